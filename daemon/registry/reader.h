/* SPDX-License-Identifier: MIT */
/**
 * The background reader of the past, which waits for the disk so that no http thread has to.
 *
 * It has two lanes. Each is one thread with one mailbox, and both run the same loop. LANE_EVENTS
 * reads the event log in short turns (history.c). LANE_STATES rebuilds past states and writes
 * keyframes (archive.c); each of these is one piece of work that takes seconds in a large registry,
 * and streams must not wait so long for their next event: therefore two threads.
 */
#pragma once

#include "base/mailbox.h"
#include "registry/registry.h"

struct reader;

/** Opens what the lanes read, and starts their threads. */
int reader_start(struct registry *registry, struct reader **ret_reader) MUST_USE;
/** From now on questions get -ESHUTDOWN, and so do those that wait. Takes NULL; twice is fine. */
void reader_stop(struct reader *reader);
/** Takes NULL and half-started ones. */
void reader_free(struct reader *reader);

/* As registry_read_history(), registry_read_past(), registry_drop_past(). Any thread. */
int reader_events(struct reader *reader, struct history *history) MUST_USE;
int reader_state(struct reader *reader, struct archive_query *query) MUST_USE;
void reader_drop(struct reader *reader, struct archive_query *query);

/** The latest revision is now @p revision: a keyframe may be due. Writer only; next to free. */
void reader_hint(struct reader *reader, uint64_t revision);
/** Retention has changed. Writer only. */
void reader_retain(struct reader *reader, const struct journal_options *retention);

/** What a lane does, on its thread; @p arg is of its open(). */
struct lane {
	const char *name; /* of the thread */
	enum lock_rank rank;
	uint32_t most; /* questions that may wait: each holds a parked request */
	/** How often look() is called when nothing is asked; MAILBOX_NO_DEADLINE: only after
	 * wakes. */
	int64_t look_ms;
	int (*open)(struct registry *registry, struct mailbox *queue, void **ret_arg);
	/** Takes NULL. */
	void (*close)(void *arg);
	/** Before each turn, and when there is none. NULL: nothing is to be done. */
	void (*look)(void *arg);
	/** @return true: the question is answered; false: it needs another turn */
	bool (*turn)(void *arg, struct mail *mail);
	/** The reader is stopping: answers with -ESHUTDOWN. */
	void (*refuse)(struct mail *mail);
};
extern const struct lane history_lane;
extern const struct lane archive_lane;

/* archive.c; @p arg is of archive_lane.open() */
void archive_hint(void *arg, uint64_t revision);
void archive_retain(void *arg, const struct journal_options *retention);
void archive_drop(struct archive_query *query);
