/* SPDX-License-Identifier: MIT */
/**
 * The one queue between threads: many put, one takes. It is intrusive, so putting allocates
 *nothing; it has a bound; and after it was stopped it takes no more but gives out what is in it.
 *
 *	mailbox_init(&box, LOCK_COMMIT_QUEUE, most);
 *	mailbox_put(&box, &command->mail);               // any thread
 *	mail = mailbox_take(&box, 1, deadline_ms);       // the reader; then container_of()
 *	mailbox_stop(&box);                              // the reader drains it and ends:
 *	while (!mailbox_has_ended(&box)) ...
 *	mailbox_fini(&box);
 *
 * What was put belongs to the mailbox until it is taken.
 */
#pragma once

#include "base/attr.h"
#include "base/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MAILBOX_NO_DEADLINE INT64_MAX

/** Embedded in what is put. */
struct mail {
	struct mail *next;
};

struct mailbox {
	/* set in mailbox_init(), never changed */
	uint32_t most;

	/* atomic; changed under the lock */
	_Atomic uint32_t count;
	_Atomic bool stopping;

	/* guarded by lock */
	struct lock lock;
	pthread_cond_t filled; /* the reader waits */
	struct mail *head;
	struct mail **tail;
	bool woken; /* the reader's next wait ends at once */
};

/** @param most  mailbox_put() refuses more */
void mailbox_init(struct mailbox *box, enum lock_rank rank, uint32_t most);
/** It must be empty. */
void mailbox_fini(struct mailbox *box);

/** Puts @p mail behind all others. Any thread. @return 0; -EAGAIN: full; -ESHUTDOWN: stopped */
int mailbox_put(struct mailbox *box, struct mail *mail) MUST_USE;
/** The same without the bound, for what is limited elsewhere. @return 0 or -ESHUTDOWN */
int mailbox_put_beyond(struct mailbox *box, struct mail *mail) MUST_USE;
/** Puts it before all others, without the bound. @return 0 or -ESHUTDOWN */
int mailbox_put_first(struct mailbox *box, struct mail *mail) MUST_USE;
/** Ends the reader's wait, or its next one, though nothing was put. Any thread. */
void mailbox_wake(struct mailbox *box);
/** Refuses what is put from now on; the reader does not wait any more. Any thread; twice is fine.
 */
void mailbox_stop(struct mailbox *box);
bool mailbox_is_stopping(const struct mailbox *box);
/** How many are in it. Any thread; of the moment. */
uint32_t mailbox_count(const struct mailbox *box);

/**
 * Takes the first @p most, as a list that ends with NULL. When there are none, or @p most is 0, it
 * waits before: until @p deadline_ms of CLOCK_MONOTONIC, a wake, a stop or, with @p most above 0,
 * mail. Reader only. @return NULL: none
 */
struct mail *mailbox_take(struct mailbox *box, uint32_t most, int64_t deadline_ms);
/**
 * Takes all that match, as mailbox_take(), without waiting. Reader only.
 * @param matches  compares, no more: the lock is held
 */
struct mail *mailbox_take_matching(struct mailbox *box,
                                   bool (*matches)(struct mail *mail, const void *arg),
                                   const void *arg);
/** Puts back what was taken, behind all others, whatever the bound and though it was stopped.
 * Reader only. */
void mailbox_return(struct mailbox *box, struct mail *mail);
/** Stopped and empty: nothing comes any more. Reader only. */
bool mailbox_has_ended(struct mailbox *box);
