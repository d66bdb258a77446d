/* SPDX-License-Identifier: MIT */
/**
 * The background reader: runs queries about the past, so that no http thread waits for the disk.
 *
 * It has two lanes. A lane is one thread with one mailbox; both run the same loop (reader.c).
 * LANE_EVENTS reads the event log in short turns (history.c). LANE_STATES rebuilds past states and
 * writes keyframes (archive.c), each in one turn that takes seconds in a large registry. One thread
 * for both would delay the next events of streams by that much.
 */
#pragma once

#include "base/mailbox.h"
#include "registry/registry.h"

struct reader;

/** Opens what the lanes read and starts their threads. @return 0, or errors of the lanes' open()
 * and of thread_start() */
int reader_start(struct registry *registry, struct reader **ret_reader) MUST_USE;
/** Ends the threads; waiting and later queries get -ESHUTDOWN. Takes NULL; twice is fine. */
void reader_stop(struct reader *reader);
/** Takes NULL and half-started readers. */
void reader_free(struct reader *reader);

/* As registry_read_history(), registry_read_past(), registry_drop_past(). Any thread. */
int reader_events(struct reader *reader, struct history *history) MUST_USE;
int reader_state(struct reader *reader, struct archive_query *query) MUST_USE;
void reader_drop(struct reader *reader, struct archive_query *query);

/** Publishes the latest revision, for which a keyframe may be due. Writer only; costs one load
 * unless one is due. */
void reader_hint(struct reader *reader, uint64_t revision);
/** Sets the retention, which has changed. Writer only. */
void reader_retain(struct reader *reader, const struct journal_options *retention);

/** The functions of a lane. They run on its thread, except open() and close(); @p arg is what its
 * open() returned. */
struct lane {
	const char *name; /* of the thread */
	enum lock_rank rank;
	uint32_t most; /* waiting queries; each holds a parked request */
	/** How often look() is called while there is no query; MAILBOX_NO_DEADLINE: only after
	 * wake-ups. */
	int64_t look_ms;
	int (*open)(struct registry *registry, struct mailbox *queue, void **ret_arg);
	/** Takes NULL. */
	void (*close)(void *arg);
	/** Called before each turn, and every look_ms without a query. May be NULL. */
	void (*look)(void *arg);
	/** One turn of a query. @return true: it is completed; false: it needs another turn */
	bool (*turn)(void *arg, struct mail *mail);
	/** The reader is stopping: completes the query with -ESHUTDOWN. */
	void (*refuse)(struct mail *mail);
};
extern const struct lane history_lane;
extern const struct lane archive_lane;

/* archive.c; @p arg is what archive_lane.open() returned */
void archive_hint(void *arg, uint64_t revision);
void archive_retain(void *arg, const struct journal_options *retention);
void archive_drop(struct archive_query *query);
