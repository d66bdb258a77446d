/* SPDX-License-Identifier: MIT */
/**
 * The journal: the daemon's durable log of events, in order of their revisions, and beside it the
 * current instances and entries. It is an SQLite database; no other folder of the daemon uses SQL.
 *
 *	journal_open(&options, &journal, &error);
 *	journal_restore(journal, each, arg);        // the current instances
 *	journal_append(journal, events, count);     // one durable transaction; sets the revisions
 *
 * The writer thread owns a struct journal: functions that take one belong to that thread, unless
 * their comment reads "Any thread". A thread that reads the log opens a struct journal_reader of
 * its own. All but the functions that only return a value of the struct block on the disk.
 */
#pragma once

#include "base/attr.h"
#include "model/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Milliseconds that one attempt waits for a lock that another process holds on the database. */
#define JOURNAL_LOCKED_MS 50
/** Bytes that journal_locked_by() needs at most. */
#define JOURNAL_HOLDER_SIZE 64

struct journal;
struct journal_reader;

/** A message about a failure, for the log or the terminal. */
struct journal_error {
	char text[256];
};

struct journal_options {
	/** State directory: rollcall.db with its -wal and -shm, rollcall.lock, rollcall.reserve,
	 * keyframes. Borrowed until journal_open() returns. */
	const char *dir;
	/** Retention: journal_tidy() removes events that are older than events_max_age_ms, and the
	 * oldest of more than events_max_count; 0: no bound. The newest event always stays. */
	int64_t events_max_age_ms;
	uint64_t events_max_count;
};

/** How journal_open() found the database: NONE: it did not exist or was empty; CORRUPT: it was
 * damaged and has been salvaged. */
enum journal_found { JOURNAL_FOUND_NONE, JOURNAL_FOUND_SOUND, JOURNAL_FOUND_CORRUPT };

/**
 * Locks the state directory against a second daemon, opens or creates the database and migrates its
 * schema. Starts the checkpoint thread.
 *
 * A damaged database is renamed to rollcall.db.corrupt-<UTC time>. A new one takes its place, with
 * the instances and entries that sound rows, events or keyframes still hold; journal_found() and
 * journal_trouble() report it. Revisions never go back, even then. The event log begins anew, since
 * what it lost cannot be known: a reader that goes on from an earlier revision gets -ESTALE.
 *
 * @param ret_error  set with each error
 * @return 0; -EBUSY: another process uses the directory, or has kept the database locked for 5 s;
 * -EPROTO: a newer version of rollcall or another program made the database; -EACCES, -ENOENT,
 * -ENAMETOOLONG, -EROFS, -ENOSPC, -EIO and other errors of the file system; -ENOMEM; -EAGAIN: no
 * thread can be started
 */
int journal_open(const struct journal_options *options, struct journal **ret_journal,
                 struct journal_error *ret_error) MUST_USE;
/** Stops the checkpoint thread, moves the write-ahead log into the database unless the journal has
 * failed, closes and unlocks. Takes NULL. */
void journal_close(struct journal *journal);

/** Any thread. */
enum journal_found journal_found(const struct journal *journal);
/** The number of events that journal_open() could not read in a damaged database, as far as that is
 * known; else 0. Any thread. */
uint64_t journal_events_lost(const struct journal *journal);
/** What journal_open() found that is no damage but belongs in the log, such as an incomplete
 * transaction that a power cut left; or "". Any thread. */
const char *journal_note(const struct journal *journal);
/** Once the journal has failed, why; before that, what damage journal_open() found and what it did
 * about it; or "". Any thread. */
const char *journal_trouble(const struct journal *journal);
/** Has the journal failed? 0: no; -EIO: the disk failed, or the database is damaged; -ETXTBSY:
 * another process writes the database. Any thread. */
int journal_failure(const struct journal *journal);
/** The id of this history: 64 random bits, never 0, made with the database and anew by a salvage.
 * Revisions of two journals may be compared only when their ids are equal. Any thread. */
uint64_t journal_history_id(const struct journal *journal);
/** The greatest revision that was ever given; 0 in a new journal. */
uint64_t journal_revision(const struct journal *journal);

/** The time to compare with times in the journal, in ms since 1970: @p now_real_ms, unless the
 * system's clock has jumped ahead of the log by more than a day and has not been ahead for a day
 * (age.h). */
int64_t journal_now_ms(struct journal *journal, int64_t now_real_ms);

/**
 * Calls @p each with every current instance in ascending order of incarnation, which is the order
 * of registration. The instance is borrowed until @p each returns; a result below 0 ends the visit
 * and is returned.
 * @return 0, what @p each returned, or an error as journal_append()
 */
int journal_restore(struct journal *journal,
                    int (*each)(void *arg, const struct instance *instance), void *arg) MUST_USE;

/** As journal_restore(), with every current entry. */
int journal_restore_entries(struct journal *journal,
                            int (*each)(void *arg, const struct entry *entry), void *arg) MUST_USE;

/**
 * Appends @p count events, and updates the current instances and entries, in one durable
 * transaction. On success each event and its subject (its instance or entry) carry their revision
 * and incarnation. On any error but -ENOTRECOVERABLE nothing has changed.
 *
 * In any kind but EVENT_REGISTERED, which begins an incarnation, an incarnation of 0 stands for the
 * one that the same subject began earlier in this batch; without such a one, EVENT_ENTRY_PUT begins
 * one, and any other kind is a fault of the caller. The caller ensures that a subject has at most
 * one incarnation at a time.
 *
 * @return 0;
 * -ENOSPC: disk or quota full; retry later;
 * -EBUSY: another process has held the write lock for JOURNAL_LOCKED_MS; retry at any time;
 * -ENOMEM;
 * -EIO: the disk failed or the database is damaged; this journal can only be closed;
 * -ENOTRECOVERABLE: as -EIO, but the commit had begun: the next journal_open() may find the events
 * or not;
 * -ETXTBSY: another process has written to the database; this journal can only be closed
 */
int journal_append(struct journal *journal, struct event *events, size_t count) MUST_USE;

/**
 * Stores @p count events that were committed elsewhere, as journal_append() does, but with the
 * revisions and incarnations that they carry. Their revisions follow journal_revision() without
 * gaps.
 * @return as journal_append(); -ESTALE: the first event's revision is not above journal_revision();
 * -ERANGE: a revision does not follow the one before it; -EINVAL: an incarnation is 0 or above its
 * event's revision. With these three nothing has changed.
 */
int journal_store(struct journal *journal, const struct event *events, size_t count) MUST_USE;
/** Gives events the revisions from @p first on, and incarnations, as journal_append() does.
 * Repeating it with the same @p first changes nothing. Any thread. */
void journal_number(struct event *events, size_t count, uint64_t first);
/** Makes the journal fail, as the disk does, because it cannot store events that were committed
 * elsewhere. @return -EIO */
int journal_give_up(struct journal *journal, const char *reason);

/** Tests whether the database can be written: takes and releases the write lock. @return as
 * journal_append() */
int journal_probe(struct journal *journal) MUST_USE;
/** Names the process whose lock made journal_append() return -EBUSY: "process 123 (sqlite3)", or
 * "another process" when it cannot be named. */
void journal_locked_by(const struct journal *journal, char out[JOURNAL_HOLDER_SIZE]);

/** Deletes the reserve file, so that deregistrations fit on a full disk. */
void journal_release_reserve(struct journal *journal);
/** Allocates the reserve file, unless it is there. @return 0, -ENOSPC, or an error of the file
 * system; then there is no reserve */
int journal_take_reserve(struct journal *journal);

/**
 * Makes one bounded step of housekeeping: removes events that retention does not keep (their age is
 * by journal_now_ms()), and lets the write-ahead log start over. Call it after each batch and about
 * once a second when idle, or the log and the database grow; when nothing is due it costs next to
 * nothing.
 * @return 1: more is due, call again soon; 0: nothing is, or nothing can be done while another
 * process holds the write lock; or an error as journal_append()
 */
int journal_tidy(struct journal *journal, int64_t now_real_ms);
/** Changes the retention from the next journal_tidy() on. */
void journal_set_retention(struct journal *journal, int64_t max_age_ms, uint64_t max_count);

/**
 * Verifies a database that no daemon has open: its write-ahead log, pages, checksums, the current
 * instances and entries against the events and the newest keyframe. Takes the directory's lock.
 * @param report  called with a line for each finding, with the reason of any other error, and about
 * damaged keyframes and incomplete transactions, which do not count as damage
 * @return 0: sound; 1: the database is empty; -EBADMSG: damaged; otherwise as journal_open()
 */
int journal_verify(const char *dir, void (*report)(void *arg, const char *line), void *arg);

/** Does SQLite of @p version, such as 3040001, have the WAL-reset bug that checkpoint.c avoids? Any
 * thread. */
bool journal_sqlite_loses_commits(int version);
/** Describes a known bug of the SQLite in use that this daemon works around. @return @p out; NULL:
 * no such bug. Any thread. */
const char *journal_sqlite_note(char *out, size_t size);

struct journal_query {
	uint64_t since;     /* events with a greater revision */
	struct str service; /* empty: all */
	struct str id;      /* of the instance that the event is about; empty: all */
	unsigned kinds;     /* bit 1 << kind; 0: all */
	uint32_t limit;     /* events to visit at most */
	uint32_t span;      /* revisions to read at most, whether they match or not; 0: no bound */
};

/** Any thread, which then owns the reader. @return 0, -ENAMETOOLONG, -ENOMEM, or an error of the
 * disk */
int journal_reader_open(const char *dir, struct journal_reader **ret_reader) MUST_USE;
/** Takes NULL. */
void journal_reader_close(struct journal_reader *reader);
/**
 * Visits events in ascending order of revision, in one consistent view of the database. Each event
 * is borrowed until @p each returns; a result below 0 ends the visit.
 * @param ret_last  the greatest revision that was read: continue from it; not set by other errors
 * than -ERANGE
 * @param ret_oldest  the oldest revision that can be asked for; not set by other errors than
 * -ESTALE
 * @return 0; 1: query.span ended the visit, continue from ret_last; -ESTALE: events after
 * query.since have been removed, continue from ret_oldest - 1; -ERANGE: query.since is beyond the
 * latest revision, which is in ret_last; what @p each returned; -EIO: a damaged or missing event
 * (the next start looks at the whole database), or the disk failed; -EBUSY; -ENOMEM
 */
int journal_reader_events(struct journal_reader *reader, const struct journal_query *query,
                          int (*each)(void *arg, const struct event *event), void *arg,
                          uint64_t *ret_last, uint64_t *ret_oldest) MUST_USE;
/**
 * Reads where the log begins, for the answer to a query that got -ESTALE.
 * @param ret_oldest  as journal_reader_events()
 * @param ret_ms  the time of the oldest event, in ms since 1970; 0: the log is empty
 * @return 0, -EIO, -EBUSY or -ENOMEM
 */
int journal_reader_oldest(struct journal_reader *reader, uint64_t *ret_oldest,
                          int64_t *ret_ms) MUST_USE;
