/* SPDX-License-Identifier: MIT */
/**
 * The queue between threads: many threads put, one takes. It is intrusive, so putting does not
 * allocate; it has a bound; after mailbox_stop() it refuses new mail and still gives out the rest.
 *
 *	mailbox_init(&box, LOCK_COMMIT_QUEUE, most);
 *	mailbox_put(&box, &command->mail);               // any thread
 *	mail = mailbox_take(&box, 1, deadline_ms);       // the reader; then container_of()
 *	mailbox_stop(&box);                              // the reader empties it and ends:
 *	while (!mailbox_has_ended(&box)) ...
 *	mailbox_fini(&box);
 *
 * Mail belongs to the mailbox until it is taken.
 */
#pragma once

#include "base/attr.h"
#include "base/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MAILBOX_NO_DEADLINE INT64_MAX

/** Embedded in the struct that is put. */
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
	bool woken; /* the reader's current or next wait ends at once */
};

/** @param most  bound of mailbox_put() */
void mailbox_init(struct mailbox *box, enum lock_rank rank, uint32_t most);
/** @p box must be empty. */
void mailbox_fini(struct mailbox *box);

/** Puts @p mail behind all others. Any thread. @return 0; -EAGAIN: full; -ESHUTDOWN: stopped */
int mailbox_put(struct mailbox *box, struct mail *mail) MUST_USE;
/** The same without the bound, for mail that is limited elsewhere. @return 0 or -ESHUTDOWN */
int mailbox_put_beyond(struct mailbox *box, struct mail *mail) MUST_USE;
/** Puts @p mail before all others, without the bound. @return 0 or -ESHUTDOWN */
int mailbox_put_first(struct mailbox *box, struct mail *mail) MUST_USE;
/** Ends the reader's current or next wait. Any thread. */
void mailbox_wake(struct mailbox *box);
/** Refuses new mail and ends all waits of the reader. Any thread; may be called twice. */
void mailbox_stop(struct mailbox *box);
bool mailbox_is_stopping(const struct mailbox *box);
/** The number of mails at this moment. Any thread. */
uint32_t mailbox_count(const struct mailbox *box);

/**
 * Takes the first @p most mails, as a list that ends with NULL. When there are none, or @p most is
 * 0, first waits for @p deadline_ms of CLOCK_MONOTONIC, mailbox_wake(), mailbox_stop() or, if
 * @p most is above 0, mail. Reader only. @return NULL: none
 */
struct mail *mailbox_take(struct mailbox *box, uint32_t most, int64_t deadline_ms);
/**
 * Takes all mails that match, as mailbox_take(), without waiting. Reader only.
 * @param matches  called with the lock held: may only compare
 */
struct mail *mailbox_take_matching(struct mailbox *box,
                                   bool (*matches)(struct mail *mail, const void *arg),
                                   const void *arg);
/** Puts @p mail that was taken behind all others, without the bound and even after mailbox_stop().
 * Reader only. */
void mailbox_return(struct mailbox *box, struct mail *mail);
/** Is @p box stopped and empty, so that no mail will come? Reader only. */
bool mailbox_has_ended(struct mailbox *box);
