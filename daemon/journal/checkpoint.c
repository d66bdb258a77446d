/* SPDX-License-Identifier: MIT */
/**
 * Checkpoints of the journal: by the checkpoint thread, and by the writer between two batches. Each
 * has a connection of its own.
 *
 * Invariant: they take turns. Only the thread that has the turn makes a checkpoint, and it keeps
 * the turn until the checkpoint is complete.
 *
 * SQLite's own checkpoint lock is not enough. SQLite up to 3.51.2 loses commits
 * (sqlite.org/wal.html, the WAL-reset bug) when
 *   1. the whole WAL has been moved,
 *   2. then a checkpoint begins on a second connection and reads the length of the WAL,
 *   3. then a commit on the first connection starts the WAL over,
 *   4. then that checkpoint reads how much has been moved: nothing yet. At its end it records the
 *      old WAL's length as moved, so SQLite takes pages of the new WAL for moved that are not.
 * The writer gives the turn to the thread right after a commit, which is not yet moved, and makes
 * no checkpoint until the thread has given the turn back: 1 cannot come before 2. The writer's own
 * checkpoint runs on the thread that commits: 3 cannot come before 4. A checkpoint by another
 * process is not covered; docs/operations.md asks operators not to make one.
 */
#include "journal/checkpoint.h"

#include "base/thread.h"
#include "journal/internal.h"
#include "journal/sql.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>

/* In pages of 4 KiB. */
#define BEGIN_PAGES  1000  /* to move at least, as a checkpoint costs two fsyncs */
#define REST_PAGES   250   /* the writer moves at most, in about the time of a commit */
#define RETRY_PAGES  50    /* more in the WAL, before the writer retries what a reader prevented */
#define LENGTH_PAGES 16000 /* 64 MiB: from here on the writer moves all, whatever it costs */

enum turn { TURN_WRITER, TURN_THREAD };

struct checkpointer {
	struct magic magic;

	/* set in checkpointer_start(), never changed */
	struct journal *journal;
	pthread_t thread;

	/* checkpoint thread only, once it runs */
	sqlite3 *db;

	/* writer only */
	uint32_t tried; /* length of the WAL when the writer last moved its rest */

	/* both threads */
	sem_t wake;
	atomic_bool stopping;
	_Atomic(enum turn) turn; /* of the thread that may make a checkpoint */
	_Atomic(uint32_t) moved; /* pages of the WAL that are in the database */
};
MAGIC(checkpointer, 0x63686b70);

/** Makes a checkpoint and sets moved; does nothing while another process makes one. */
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
 * Syncs the pages that the checkpoint thread has written. SQLite syncs the database only when it
 * has moved the whole WAL, which under load the writer does: it would wait for all these pages.
 */
static int sync_db(sqlite3 *db)
{
	sqlite3_file *file = NULL;
	int r = sql_error(db, sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file));

	if (r < 0)
		return r;
	return file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK ? 0 : -EIO;
}

static void checkpoint_run(void *arg)
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
		/* On a full disk the WAL keeps the pages, and a later commit wakes this thread. */
		(void)journal_fail(checkpointer->journal, r);
		atomic_store(&checkpointer->turn, TURN_WRITER);
	}
}

static int checkpoint_open_db(struct checkpointer *checkpointer, const char *path)
{
	int64_t tables;
	int r = sql_open(path, SQLITE_OPEN_READWRITE, &checkpointer->db);

	if (r < 0)
		return r;
	/* A connection finds the WAL only when it first reads. */
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
	r = checkpoint_open_db(checkpointer, journal->path);
	if (r == 0)
		r = thread_start(&checkpointer->thread, "checkpoint", checkpoint_run, checkpointer);
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
	(void)sqlite3_close(checkpointer->db); /* the writer's connection makes the last one */
	CHECK_OK(sem_destroy(&checkpointer->wake));
	free(checkpointer);
}

static bool is_writers_turn(const struct checkpointer *checkpointer)
{
	return atomic_load(&checkpointer->turn) == TURN_WRITER;
}

void checkpointer_hint(struct checkpointer *checkpointer, uint32_t wal_pages)
{
	uint32_t moved = atomic_load(&checkpointer->moved);

	/* A WAL that became shorter has started over: none of it is in the database yet. */
	if (wal_pages < moved)
		atomic_store(&checkpointer->moved, moved = 0);
	if (wal_pages < checkpointer->tried)
		checkpointer->tried = 0;
	if (wal_pages - moved < BEGIN_PAGES || wal_pages >= LENGTH_PAGES ||
	    !is_writers_turn(checkpointer))
		return;
	atomic_store(&checkpointer->turn, TURN_THREAD);
	CHECK_OK(sem_post(&checkpointer->wake));
}

int checkpointer_finish(struct checkpointer *checkpointer, uint32_t wal_pages)
{
	uint32_t moved = atomic_load(&checkpointer->moved);
	bool is_long = wal_pages >= LENGTH_PAGES;

	if (wal_pages < BEGIN_PAGES || moved >= wal_pages ||
	    wal_pages < checkpointer->tried + RETRY_PAGES || !is_writers_turn(checkpointer))
		return 0;
	if (!is_long && wal_pages - moved > REST_PAGES)
		return 0;
	checkpointer->tried = wal_pages;
	return move_pages(checkpointer, TURN_WRITER, checkpointer->journal->db);
}
