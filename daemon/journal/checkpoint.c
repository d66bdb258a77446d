/* SPDX-License-Identifier: MIT */
/**
 * Checkpoints of the journal: by a thread of its own, and by the writer between two batches. Each
 * has a connection. They take turns: only the one that has the turn may make a checkpoint, and it
 * keeps the turn until that is over.
 *
 * SQLite's own checkpoint lock is not enough. SQLite up to 3.51.2 loses commits
 * (sqlite.org/wal.html, the WAL-reset bug) when
 *   1. the whole WAL has been moved,
 *   2. then a checkpoint begins on a second connection and reads how long the WAL is,
 *   3. then a commit on the first connection starts the WAL over,
 *   4. then that checkpoint reads how much was moved: nothing yet. When it ends it notes as many
 * pages as moved as the old WAL had, so pages of the new WAL are taken for moved that are not. The
 * writer gives the turn to the thread right after a commit, when that commit has not been moved,
 * and makes no checkpoint until the thread has given the turn back: 1 cannot come before 2. The
 * writer's own checkpoint runs on the thread that commits, so 3 cannot come before 4. A checkpoint
 * of another process, which docs/operations.md asks not to make, is not covered.
 */
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
#define LENGTH_PAGES 16000 /* 64 MiB: the writer has the next turn, whatever it costs */

enum turn { TURN_WRITER, TURN_THREAD };

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
	_Atomic(enum turn) turn; /* who may make a checkpoint, and gives it to the other */
	_Atomic(uint32_t) moved; /* pages of the WAL that are in the database */
};
MAGIC(checkpointer, 0x63686b70);

/** Notes what the database has of the WAL, unless another process is at it. */
static int move_pages(struct checkpointer *checkpointer, enum turn who, sqlite3 *db)
{
	int length = 0;
	int moved = 0;

	CHECK(atomic_load(&checkpointer->turn) == who);
	int rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &length, &moved);

	if (rc == SQLITE_OK && moved >= 0)
		atomic_store(&checkpointer->moved, (uint32_t)moved);
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
		int r = move_pages(checkpointer, TURN_THREAD, checkpointer->db);
		if (r == 0)
			r = sync_db(checkpointer->db);
		/* On a full disk the WAL keeps it all; the next commits wake us again. */
		(void)journal_fail(checkpointer->journal, r);
		atomic_store(&checkpointer->turn, TURN_WRITER);
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

static bool is_writers(const struct checkpointer *checkpointer)
{
	return atomic_load(&checkpointer->turn) == TURN_WRITER;
}

void checkpointer_hint(struct checkpointer *checkpointer, uint32_t wal_pages)
{
	uint32_t moved = atomic_load(&checkpointer->moved);

	/* The WAL has started over: nothing of it is in the database yet. */
	if (wal_pages < moved)
		atomic_store(&checkpointer->moved, moved = 0);
	if (wal_pages < checkpointer->tried)
		checkpointer->tried = 0;
	if (wal_pages - moved < BEGIN_PAGES || wal_pages >= LENGTH_PAGES ||
	    !is_writers(checkpointer))
		return;
	atomic_store(&checkpointer->turn, TURN_THREAD);
	CHECK_OK(sem_post(&checkpointer->wake));
}

int checkpointer_finish(struct checkpointer *checkpointer, uint32_t wal_pages)
{
	uint32_t moved = atomic_load(&checkpointer->moved);
	bool is_long = wal_pages >= LENGTH_PAGES;

	if (wal_pages < BEGIN_PAGES || moved >= wal_pages ||
	    wal_pages < checkpointer->tried + RETRY_PAGES || !is_writers(checkpointer))
		return 0;
	if (!is_long && wal_pages - moved > REST_PAGES)
		return 0;
	checkpointer->tried = wal_pages;
	return move_pages(checkpointer, TURN_WRITER, checkpointer->journal->db);
}
