/* SPDX-License-Identifier: MIT */
/**
 * Opening, closing and failing of a journal. The writer's thread opens and closes; any thread may
 * make the journal fail.
 *
 * Invariant: a journal that has failed never works again. After a failed fsync() the kernel may
 * report success for the next one though the data never reached the disk, so nothing is retried:
 * the next start reads what the disk really holds.
 *
 * Opening looks at the files before SQLite does (survey.h). Opening with SQLite first and checking
 * the result would lose commits: SQLite drops the rest of a damaged write-ahead log without an
 * error, and takes a database without content for a new one.
 */
#include "journal/journal.h"

#include "journal/checkpoint.h"
#include "journal/holder.h"
#include "journal/internal.h"
#include "journal/lockfile.h"
#include "journal/salvage.h"
#include "journal/sql.h"
#include "journal/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const statements[STMT_COUNT] = {
	/* IMMEDIATE takes the write lock now: no later statement can fail for lack of it. */
	[STMT_BEGIN] = "BEGIN IMMEDIATE",
	[STMT_DATA_VERSION] = "PRAGMA data_version",
	[STMT_COMMIT] = "COMMIT",
	[STMT_PUT_EVENT] = "INSERT INTO events (" ROW_EVENT ") VALUES (" ROW_EVENT_BIND ")",
	[STMT_PUT_INSTANCE] =
		"REPLACE INTO instances (" ROW_INSTANCE ") VALUES (" ROW_INSTANCE_BIND ")",
	[STMT_DROP_INSTANCE] = "DELETE FROM instances WHERE incarnation = ?",
	[STMT_PUT_ENTRY] = "REPLACE INTO entries (" ROW_ENTRY ") VALUES (" ROW_ENTRY_BIND ")",
	[STMT_DROP_ENTRY] = "DELETE FROM entries WHERE incarnation = ?",
	/* Without the newest event, which always stays. */
	[STMT_OLDEST_EVENTS] = ("SELECT " ROW_EVENT " FROM events WHERE revision <"
                                " (SELECT max(revision) FROM events) ORDER BY revision LIMIT ?"),
	[STMT_COUNT_EVENTS] = "SELECT count(*), max(revision) FROM (SELECT revision FROM events"
			      " WHERE revision > ? ORDER BY revision LIMIT ?)",
	[STMT_REMOVE_EVENTS] = "DELETE FROM events WHERE revision <= ?",
	[STMT_NOTE_REMOVED] =
		"UPDATE counters SET value = max(value, ?) WHERE name = 'removed_through'",
};

int journal_error_set(struct journal_error *error, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(error->text, sizeof(error->text), format, args); /* may be cut */
	va_end(args);
	return r;
}

void journal_suspect(const char *path)
{
	char name[PATH_MAX + sizeof(JOURNAL_FILE_SUSPECT)];

	(void)snprintf(name, sizeof(name), "%s%s", path,
	               &JOURNAL_FILE_SUSPECT[sizeof(JOURNAL_FILE) - 1]);
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0)
		(void)close(fd); /* only the name matters */
}

static const char *failure_reason(int r)
{
	switch (-r) {
	case EBADMSG:
		return "the file is damaged";
	case ETXTBSY:
		return "another process writes this database";
	default:
		return strerror(-r);
	}
}

int journal_fail_because(struct journal *journal, int r, const char *reason)
{
	int works = 0;

	if (!atomic_compare_exchange_strong(&journal->failing, &works, 1))
		return -EIO; /* the first failure sets the reason */
	(void)snprintf(journal->failure, sizeof(journal->failure), "'%.90s': %s", journal->path,
	               reason);
	journal->failed_as = r;
	atomic_store(&journal->failing, 2);
	return r;
}

int journal_fail(struct journal *journal, int r)
{
	if (r >= 0 || r == -ENOSPC || r == -ENOMEM || r == -EBUSY)
		return r;
	if (r == -EBADMSG && !journal_has_failed(journal))
		journal_suspect(journal->path);
	return journal_fail_because(journal, r == -ETXTBSY ? r : -EIO, failure_reason(r));
}

bool journal_has_failed(const struct journal *journal)
{
	return atomic_load(&journal->failing) != 0;
}

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct journal *journal = arg;

	(void)db;
	(void)name;
	journal->wal_pages = (uint32_t)pages;
	return SQLITE_OK;
}

/**
 * Moves the whole WAL into the database and empties it. Its last commit may be one whose fsync
 * failed: the kernel still shows it, but the disk may not have it. Moving writes and syncs it once
 * more. Starting with an empty WAL, no frame that a crash left behind its end is taken for damage.
 */
static int journal_empty_wal(sqlite3 *db)
{
	int r = sql_error(
		db, sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));

	/* No room, or another process reads or writes: the WAL stays for a later checkpoint. */
	return r == -ENOSPC || r == -EBUSY ? 0 : r;
}

/** Opens the database and fills the journal from it. The caller holds the lock. */
static int journal_start(struct journal *journal, struct journal_error *ret_error)
{
	char reason[JOURNAL_HOLDER_SIZE + 32];
	bool is_new = false;
	int r = journal_open_file(journal->path, &journal->db, &is_new, ret_error);

	if (r < 0)
		return r;
	(void)sqlite3_busy_timeout(journal->db, JOURNAL_LOCKED_MS);
	r = journal_empty_wal(journal->db);
	for (size_t i = 0; r == 0 && i < STMT_COUNT; i++)
		r = sql_prepare(journal->db, statements[i], &journal->stmt[i]);
	if (r == 0)
		r = journal_last_revision(journal->db, &journal->revision);
	if (r == 0)
		r = journal_read_history(journal->db, &journal->history);
	if (r == 0)
		r = age_open(&journal->age, journal->db);
	if (r < 0)
		return journal_error_set(ret_error, r, "cannot read '%s': %s", journal->path,
		                         holder_reason(journal->path, r, reason, sizeof(reason)));

	(void)sqlite3_wal_hook(journal->db, on_commit, journal); /* gives the previous hook: NULL */
	if (journal->found == JOURNAL_FOUND_NONE && !is_new)
		journal->found = JOURNAL_FOUND_SOUND;
	return 0;
}

static void journal_stop(struct journal *journal)
{
	for (size_t i = 0; i < STMT_COUNT; i++) {
		(void)sqlite3_finalize(journal->stmt[i]); /* its error was returned when it ran */
		journal->stmt[i] = NULL;
	}
	/* After a failure the next start judges the WAL; files that were never in use stay as they
	 * were found. */
	bool keeps_wal = journal_has_failed(journal) || journal->checkpointer == NULL;
	if (journal->db != NULL && keeps_wal)
		(void)sqlite3_db_config(journal->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close(journal->db); /* without a checkpoint the WAL still has it all */
	journal->db = NULL;
}

static void journal_describe_salvage(struct journal *journal, const struct survey *survey,
                                     const struct salvage_result *result)
{
	char kept[128] = "";
	char lost[64] = "";
	char keyframe[64] = "";

	if (survey->finding[0] == '\0')
		(void)snprintf(kept, sizeof(kept), "'%s' was damaged and is kept as %s",
		               JOURNAL_FILE, result->kept_as);
	else if (result->kept_as[0] != '\0')
		(void)snprintf(kept, sizeof(kept), "; kept as %s", result->kept_as);
	if (result->keyframe > 0)
		(void)snprintf(keyframe, sizeof(keyframe), " (with the keyframe of revision %llu)",
		               (unsigned long long)result->keyframe);
	if (result->events_lost > 0)
		(void)snprintf(lost, sizeof(lost), "; events that could not be read: %llu",
		               (unsigned long long)result->events_lost);
	(void)snprintf(journal->trouble, sizeof(journal->trouble),
	               "%s%s; instances salvaged: %llu%s%s; the event log begins anew after "
	               "revision %llu",
	               survey->finding, kept, (unsigned long long)result->instances, keyframe, lost,
	               (unsigned long long)result->revision);
	journal->events_lost = result->events_lost;
}

static int journal_start_surveyed(struct journal *journal, const struct survey *survey,
                                  struct journal_error *ret_error)
{
	struct salvage_result result;
	bool is_suspect = faccessat(journal->dir_fd, JOURNAL_FILE_SUSPECT, F_OK, 0) == 0;
	int r;

	if (survey->finding[0] != '\0')
		r = -EBADMSG; /* SQLite would open it without an error */
	else
		r = is_suspect ? salvage_examine(journal->dir_fd, journal->path, ret_error)
		               : journal_start(journal, ret_error);
	if (r == -EBADMSG) {
		journal_stop(journal);
		r = salvage_run(journal->dir_fd, journal->path, survey, &result, ret_error);
		if (r < 0)
			return r;
		journal->found = JOURNAL_FOUND_CORRUPT;
		journal_describe_salvage(journal, survey, &result);
	}
	(void)unlinkat(journal->dir_fd, JOURNAL_FILE_SUSPECT, 0); /* usually absent */
	return r < 0 || journal->db != NULL ? r : journal_start(journal, ret_error);
}

static int journal_start_or_salvage(struct journal *journal, struct journal_error *ret_error)
{
	struct survey survey;
	int r = salvage_finish(journal->dir_fd, ret_error); /* of a crash during a salvage */

	if (r < 0)
		return r;
	r = survey_files(journal->dir_fd, &survey);
	if (r < 0)
		return journal_error_set(ret_error, r, "cannot read '%s' or its log: %s",
		                         journal->path, strerror(-r));
	(void)snprintf(journal->note, sizeof(journal->note), "%s", survey.note);
	r = journal_start_surveyed(journal, &survey, ret_error);
	survey_fini(&survey);
	return r;
}

int journal_open(const struct journal_options *options, struct journal **ret_journal,
                 struct journal_error *ret_error)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	int r;

	if (journal == NULL)
		return journal_error_set(ret_error, -ENOMEM, "out of memory");
	journal->magic = MAGIC_INIT(journal);
	journal->lock_fd = -1;
	journal->retention = *options;
	journal->retention.dir = NULL;
	journal->dir_fd = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (journal->dir_fd < 0) {
		r = journal_error_set(ret_error, -errno, "cannot open '%s': %s", options->dir,
		                      strerror(errno));
		goto fail;
	}
	if ((size_t)snprintf(journal->path, sizeof(journal->path), "%s/" JOURNAL_FILE,
	                     options->dir) >= sizeof(journal->path)) {
		r = journal_error_set(ret_error, -ENAMETOOLONG,
		                      "the path of the state directory is too long");
		goto fail;
	}
	r = lockfile_take(journal->dir_fd, options->dir, &journal->lock_fd, ret_error);
	if (r < 0)
		goto fail;
	r = journal_start_or_salvage(journal, ret_error);
	if (r < 0)
		goto fail;
	r = checkpointer_start(journal, &journal->checkpointer);
	if (r < 0) {
		r = journal_error_set(ret_error, r, "cannot start the checkpointer: %s",
		                      strerror(-r));
		goto fail;
	}
	(void)journal_take_reserve(journal); /* a full disk does not stop a start */
	*ret_journal = journal;
	return 0;

fail:
	journal_close(journal);
	return r;
}

void journal_close(struct journal *journal)
{
	if (journal == NULL)
		return;
	CHECK_MAGIC(journal, journal);
	checkpointer_stop(journal->checkpointer);
	journal_stop(journal);
	if (journal->lock_fd >= 0)
		(void)close(journal->lock_fd); /* releases the lock */
	if (journal->dir_fd >= 0)
		(void)close(journal->dir_fd); /* only read */
	free(journal);
}

enum journal_found journal_found(const struct journal *journal)
{
	return journal->found;
}

uint64_t journal_events_lost(const struct journal *journal)
{
	return journal->events_lost;
}

const char *journal_note(const struct journal *journal)
{
	return journal->note;
}

const char *journal_trouble(const struct journal *journal)
{
	return atomic_load(&journal->failing) == 2 ? journal->failure : journal->trouble;
}

void journal_locked_by(const struct journal *journal, char out[JOURNAL_HOLDER_SIZE])
{
	holder_find(journal->path, out);
}

int journal_failure(const struct journal *journal)
{
	int failing = atomic_load(&journal->failing);

	return failing == 2 ? journal->failed_as : failing == 1 ? -EIO : 0;
}

int64_t journal_now_ms(struct journal *journal, int64_t now_real_ms)
{
	return age_now(&journal->age, now_real_ms);
}

uint64_t journal_history_id(const struct journal *journal)
{
	return journal->history;
}

uint64_t journal_revision(const struct journal *journal)
{
	return journal->revision;
}

void journal_set_retention(struct journal *journal, int64_t max_age_ms, uint64_t max_count)
{
	journal->retention.events_max_age_ms = max_age_ms;
	journal->retention.events_max_count = max_count;
	journal->aged_ms = 0;
}
