/* SPDX-License-Identifier: MIT */
#include "journal/checkpoint.h"

#include "base/thread.h"
#include "journal/internal.h"
#include "journal/sql.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>

/* In pages of 4 KiB. */
#define BEGIN_PAGES  1000  /* a checkpoint costs two fsyncs: worth it from here on */
#define REST_PAGES   250   /* the writer moves so many in about the time of a commit */
#define RETRY_PAGES  50    /* that a reader kept it from moving all: again after so many more */
#define LENGTH_PAGES 16000 /* 64 MiB: from here on the writer does it, whatever it costs */

struct checkpointer {
	struct magic magic;

	/* set in checkpointer_start(), never changed */
	struct journal *journal;
	pthread_t thread;

	/* its thread only, once started */
	sqlite3 *db;

	/* writer only */
	uint32_t tried; /* length of the WAL when the writer last moved its rest */

	sem_t wake;
	atomic_bool stopping;
	atomic_bool busy;        /* woken, and not done */
	_Atomic(uint32_t) moved; /* pages of the WAL that are in the database */
};
MAGIC(checkpointer, 0x63686b70);

/** @param ret_moved  pages of the WAL that the database has; unchanged when another is at it */
static int move_pages(sqlite3 *db, _Atomic(uint32_t) *ret_moved)
{
	int length = 0;
	int moved = 0;
	int rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &length, &moved);

	if (rc == SQLITE_OK && moved >= 0)
		atomic_store(ret_moved, (uint32_t)moved);
	return rc == SQLITE_BUSY ? 0 : sql_error(db, rc);
}

/**
 * SQLite syncs the database only when it has moved the whole WAL, which under load is when the
 * writer moves the rest: it would then wait for all the pages that this thread wrote.
 */
static int sync_db(sqlite3 *db)
{
	sqlite3_file *file = NULL;
	int r = sql_error(db, sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file));

	if (r < 0)
		return r;
	return file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK ? 0 : -EIO;
}

static void run(void *arg)
{
	struct checkpointer *checkpointer = arg;

	CHECK_MAGIC(checkpointer, checkpointer);
	for (;;) {
		while (sem_wait(&checkpointer->wake) < 0)
			CHECK(errno == EINTR);
		if (atomic_load(&checkpointer->stopping))
			return;
		int r = move_pages(checkpointer->db, &checkpointer->moved);
		if (r == 0)
			r = sync_db(checkpointer->db);
		/* On a full disk the WAL keeps it all; the next commits wake us again. */
		(void)journal_fail(checkpointer->journal, r);
		atomic_store(&checkpointer->busy, false);
	}
}

static int open_db(struct checkpointer *checkpointer, const char *path)
{
	int64_t tables;
	int r = sql_open(path, SQLITE_OPEN_READWRITE, &checkpointer->db);

	if (r < 0)
		return r;
	/* A connection learns that there is a WAL when it reads. */
	return sql_integer(checkpointer->db, "SELECT count(*) FROM sqlite_schema", &tables);
}

int checkpointer_start(struct journal *journal, struct checkpointer **ret_checkpointer)
{
	struct checkpointer *checkpointer = calloc(1, sizeof(*checkpointer));
	int r;

	if (checkpointer == NULL)
		return -ENOMEM;
	checkpointer->magic = MAGIC_INIT(checkpointer);
	checkpointer->journal = journal;
	CHECK_OK(sem_init(&checkpointer->wake, 0, 0));
	r = open_db(checkpointer, journal->path);
	if (r == 0)
		r = thread_start(&checkpointer->thread, "checkpoint", run, checkpointer);
	if (r < 0) {
		(void)sqlite3_close(checkpointer->db); /* takes NULL */
		CHECK_OK(sem_destroy(&checkpointer->wake));
		free(checkpointer);
		return r;
	}
	*ret_checkpointer = checkpointer;
	return 0;
}

void checkpointer_stop(struct checkpointer *checkpointer)
{
	if (checkpointer == NULL)
		return;
	CHECK_MAGIC(checkpointer, checkpointer);
	atomic_store(&checkpointer->stopping, true);
	CHECK_OK(sem_post(&checkpointer->wake));
	thread_join(checkpointer->thread);
	(void)sqlite3_close(checkpointer->db); /* the writer's connection checkpoints */
	CHECK_OK(sem_destroy(&checkpointer->wake));
	free(checkpointer);
}

void checkpointer_hint(struct checkpointer *checkpointer, uint32_t wal_pages)
{
	uint32_t moved = atomic_load(&checkpointer->moved);

	/* The WAL has started over: nothing of it is in the database yet. */
	if (wal_pages < moved)
		atomic_store(&checkpointer->moved, moved = 0);
	if (wal_pages < checkpointer->tried)
		checkpointer->tried = 0;
	if (wal_pages - moved < BEGIN_PAGES || atomic_exchange(&checkpointer->busy, true))
		return;
	CHECK_OK(sem_post(&checkpointer->wake));
}

int checkpointer_finish(struct checkpointer *checkpointer, uint32_t wal_pages)
{
	uint32_t moved = atomic_load(&checkpointer->moved);
	bool is_long = wal_pages >= LENGTH_PAGES;

	if (wal_pages < BEGIN_PAGES || moved >= wal_pages ||
	    wal_pages < checkpointer->tried + RETRY_PAGES)
		return 0;
	if (!is_long && (atomic_load(&checkpointer->busy) || wal_pages - moved > REST_PAGES))
		return 0;
	checkpointer->tried = wal_pages;
	return move_pages(checkpointer->journal->db, &checkpointer->moved);
}
