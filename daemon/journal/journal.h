/* SPDX-License-Identifier: MIT */
/**
 * All events, durable and in order. The seam behind which SQLite stands; nothing above it knows
 *SQL.
 *
 *	journal_open(&options, &journal, &error);
 *	journal_restore(journal, apply, arg);            // current instances
 *	journal_append(journal, events, count);          // one FULL commit; gives the revisions
 *
 * The writer thread owns a journal; readers of history (any thread) open a struct journal_reader
 *each. Every function blocks on the disk.
 */
#pragma once

#include "base/attr.h"
#include "model/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** How long one try waits for a lock that another process has on the database. */
#define JOURNAL_LOCKED_MS 50
/** Enough for journal_locked_by(). */
#define JOURNAL_HOLDER_SIZE 64

struct journal;
struct journal_reader;

/** What went wrong, for a human. */
struct journal_error {
	char text[256];
};

struct journal_options {
	/** State directory: rollcall.db with its -wal and -shm, rollcall.lock, rollcall.reserve.
	 * Borrowed until journal_open() returns. */
	const char *dir;
	/** Events older than this or beyond this many are removed by journal_tidy(); 0 = no bound.
	 * The newest always stays. */
	int64_t events_max_age_ms;
	uint64_t events_max_count;
};

/** How journal_open() found the file. */
enum journal_found { JOURNAL_FOUND_NONE, JOURNAL_FOUND_SOUND, JOURNAL_FOUND_CORRUPT };

/**
 * Opens or creates, locks against a second daemon, migrates.
 *
 * A corrupt file is moved aside to rollcall.db.corrupt-<UTC time>, and a new one gets the instances
 * whose rows or events are sound; journal_found() tells, and journal_trouble() says what was done.
 * Revisions never go back even then. The event log begins anew, as nobody can tell what it lost:
 * readers that go on from before get -ESTALE.
 *
 * @return 0; -EBUSY: another process holds it, or has kept it locked for 5 s; -EPROTO: made by a
 * newer version or by another program; -EACCES, -ENOENT, -EROFS, -ENOSPC, -EIO, -ENOMEM. Each with
 * a text.
 */
int journal_open(const struct journal_options *options, struct journal **ret_journal,
                 struct journal_error *ret_error) MUST_USE;
/** Checkpoints and closes. Takes NULL and half-opened ones. */
void journal_close(struct journal *journal);

enum journal_found journal_found(const struct journal *journal);
/** Events that journal_open() could not read in a damaged file. */
uint64_t journal_events_lost(const struct journal *journal);
/** What journal_open() found that is no damage but worth a line of the log; or "". */
const char *journal_note(const struct journal *journal);
/** What was wrong: why it failed, once it has (-EIO), else what journal_open() found; or "". */
const char *journal_trouble(const struct journal *journal);
/** Why it has failed: -EIO, -ETXTBSY: another process writes the database; 0 while it has not. Any
 * thread. */
int journal_failure(const struct journal *journal);
/** 64 random bits, never 0, made with the database and anew by a salvage: a revision means the same
 * only within one history. */
uint64_t journal_history_id(const struct journal *journal);
/** The latest revision ever given, 0 in a new journal. */
uint64_t journal_revision(const struct journal *journal);

/** What time it is, to compare with times in the journal: @p now_real_ms, unless that is more than
 * a day ahead of the newest event and has not been so for a day. Writer's thread. */
int64_t journal_now_ms(struct journal *journal, int64_t now_real_ms);

/**
 * Calls @p each with every current instance in ascending order of incarnation, which is
 * registration order. The value is borrowed until @p each returns; a result below 0 ends the visit
 * and is returned.
 */
int journal_restore(struct journal *journal,
                    int (*each)(void *arg, const struct instance *instance), void *arg) MUST_USE;

/** The same with every current entry. */
int journal_restore_entries(struct journal *journal,
                            int (*each)(void *arg, const struct entry *entry), void *arg) MUST_USE;

/**
 * Appends @p count events in one durable transaction, and brings the current instances and
 * entries up to date in the same. On success each event, and its subject, carries its revision (and
 * incarnation); otherwise nothing has changed, but for -ENOTRECOVERABLE. An incarnation of 0 in any
 * kind but EVENT_REGISTERED stands for the life that the same subject began earlier in this batch;
 * in an EVENT_ENTRY_PUT without one it begins one. The caller sees to it that a subject has one
 * life at a time.
 *
 * @return 0; -ENOSPC: disk or quota full, may be tried again later; -EBUSY: another process has had
 * the write lock for JOURNAL_LOCKED_MS, may be tried again at once; -EIO: the disk failed, this
 * journal must not be used again but for journal_close(); -ENOTRECOVERABLE: the same, and the next
 * journal_open() may find the events or not, as the disk failed during the commit; -ETXTBSY: the
 * same as -EIO, as another process has written to the database; -ENOMEM
 */
int journal_append(struct journal *journal, struct event *events, size_t count) MUST_USE;

/**
 * Stores @p count events that were committed elsewhere, as journal_append() does, with the numbers
 * that they have: those that follow journal_revision(), without gaps.
 * @return as journal_append(); -ESTALE: the first has been stored before; -ERANGE: it is not the
 * one that comes next, or there is a gap; -EINVAL: an incarnation that cannot be. Then nothing has
 * changed.
 */
int journal_store(struct journal *journal, const struct event *events, size_t count) MUST_USE;
/** Gives events numbers from @p first on, as journal_append() does with those that come next. Twice
 * is fine. Any thread. */
void journal_number(struct event *events, size_t count, uint64_t first);
/** What was committed elsewhere cannot be stored here: ends the use of this journal, as when the
 * disk fails. @return -EIO */
int journal_give_up(struct journal *journal, const char *reason);

/** Can it be written now? Takes and releases the write lock. @return as journal_append() */
int journal_probe(struct journal *journal) MUST_USE;
/** Names the process whose lock made journal_append() return -EBUSY: "process 123 (sqlite3)", or
 * "another process" when it cannot be named. Writer's thread. */
void journal_locked_by(const struct journal *journal, char out[JOURNAL_HOLDER_SIZE]);

/** Gives back the space held in reserve, so that deregistrations fit on a full disk; and takes it
 * again (-ENOSPC). */
void journal_release_reserve(struct journal *journal);
int journal_take_reserve(struct journal *journal);

/**
 * One bounded step of housekeeping: removes old events (their age is by journal_now_ms()), lets the
 * WAL start over. For the writer after each batch and now and then when idle; it costs next to
 * nothing when nothing is due. Called less often, both fall behind the commits.
 * @return 1 when there is more to do soon, 0 when not (or not while another process has the write
 * lock), or an error as journal_append()
 */
int journal_tidy(struct journal *journal, int64_t now_real_ms);
/** Changes the retention from the next journal_tidy() on. Writer's thread. */
void journal_set_retention(struct journal *journal, int64_t max_age_ms, uint64_t max_count);

/** Verifies a file that no daemon has open: its log, structure, checksums, instances against
 * events. Prints findings through @p say.
 *  @return 0 sound; 1: nothing has been written yet; -EBADMSG findings; otherwise as journal_open()
 */
int journal_verify(const char *dir, void (*say)(void *arg, const char *line), void *arg);

/** Has SQLite of @p version, as 3040001, the fault that checkpoint.c works round? */
bool journal_sqlite_loses_commits(int version);
/** Says for people that the SQLite in use has a known fault that is worked round; NULL: it has
 * none. Any thread. */
const char *journal_sqlite_note(char *out, size_t size);

struct journal_query {
	uint64_t since;     /* events with a greater revision */
	struct str service; /* empty: all */
	struct str id;      /* empty: all */
	unsigned kinds;     /* bit 1 << kind; 0: all */
	uint32_t limit;     /* at most so many */
	uint32_t span; /* looks at no more than so many, whether they match or not; 0: at all */
};

int journal_reader_open(const char *dir, struct journal_reader **ret_reader) MUST_USE;
void journal_reader_close(struct journal_reader *reader);
/**
 * Visits events in ascending order of revision, from one consistent view of the file.
 * @param ret_last  newest revision that was looked at: where to go on from
 * @param ret_oldest  the oldest event that may be there; set with -ESTALE too
 * @return 0; 1: stopped by query.span, go on from ret_last; -ESTALE: events after query.since are
 * missing, go on from ret_oldest - 1; -ERANGE: query.since is after the latest, which ret_last is;
 * errors of the disk; or what @p each returned below 0
 */
int journal_reader_events(struct journal_reader *reader, const struct journal_query *query,
                          int (*each)(void *arg, const struct event *event), void *arg,
                          uint64_t *ret_last, uint64_t *ret_oldest) MUST_USE;
/**
 * Where the log begins: for who was told -ESTALE.
 * @param ret_oldest  as of journal_reader_events()
 * @param ret_ms  the time of the first event that is there; 0: there is none
 * @return 0 or errors of the disk
 */
int journal_reader_oldest(struct journal_reader *reader, uint64_t *ret_oldest,
                          int64_t *ret_ms) MUST_USE;
