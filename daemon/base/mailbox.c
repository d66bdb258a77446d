/* SPDX-License-Identifier: MIT */
/*
 * A linked list under a mutex, with a condition for its one reader.
 *
 * Invariant: `count` is the length of the list, and `tail` points to the last link, or to `head` of
 * an empty list. Only mail that finds the list empty signals: a reader that finds mail does not
 * wait, and a signal for each mail would cost a system call each.
 */
#include "base/mailbox.h"

#include "base/check.h"

#include <errno.h>
#include <stddef.h>

void mailbox_init(struct mailbox *box, enum lock_rank rank, uint32_t most)
{
	lock_init(&box->lock, rank);
	lock_cond_init(&box->filled);
	box->most = most;
	atomic_init(&box->count, 0);
	atomic_init(&box->stopping, false);
	box->head = NULL;
	box->tail = &box->head;
	box->woken = false;
}

void mailbox_fini(struct mailbox *box)
{
	CHECK(box->head == NULL);
	CHECK_OK(pthread_cond_destroy(&box->filled));
	lock_fini(&box->lock);
}

/* --- any thread ------------------------------------------------------------------- */

static void add_count_locked(struct mailbox *box, int by)
{
	uint32_t count = atomic_load_explicit(&box->count, memory_order_relaxed);

	CHECK(lock_held(&box->lock));
	atomic_store_explicit(&box->count, count + (uint32_t)by, memory_order_relaxed);
}

static void put_locked(struct mailbox *box, struct mail *mail, bool first)
{
	if (box->head == NULL)
		CHECK_OK(pthread_cond_signal(&box->filled));
	mail->next = first ? box->head : NULL;
	if (first)
		box->head = mail;
	else
		*box->tail = mail;
	if (mail->next == NULL)
		box->tail = &mail->next;
	add_count_locked(box, 1);
}

static int mailbox_put_locked(struct mailbox *box, struct mail *mail, uint32_t most, bool first)
{
	int r = 0;

	lock_take(&box->lock);
	if (mailbox_is_stopping(box))
		r = -ESHUTDOWN;
	else if (mailbox_count(box) >= most)
		r = -EAGAIN;
	else
		put_locked(box, mail, first);
	lock_release(&box->lock);
	return r;
}

int mailbox_put(struct mailbox *box, struct mail *mail)
{
	return mailbox_put_locked(box, mail, box->most, false);
}

int mailbox_put_beyond(struct mailbox *box, struct mail *mail)
{
	return mailbox_put_locked(box, mail, UINT32_MAX, false);
}

int mailbox_put_first(struct mailbox *box, struct mail *mail)
{
	return mailbox_put_locked(box, mail, UINT32_MAX, true);
}

void mailbox_wake(struct mailbox *box)
{
	lock_take(&box->lock);
	box->woken = true;
	CHECK_OK(pthread_cond_signal(&box->filled));
	lock_release(&box->lock);
}

void mailbox_stop(struct mailbox *box)
{
	lock_take(&box->lock);
	atomic_store_explicit(&box->stopping, true, memory_order_release);
	CHECK_OK(pthread_cond_signal(&box->filled));
	lock_release(&box->lock);
}

bool mailbox_is_stopping(const struct mailbox *box)
{
	return atomic_load_explicit(&box->stopping, memory_order_acquire);
}

uint32_t mailbox_count(const struct mailbox *box)
{
	return atomic_load_explicit(&box->count, memory_order_relaxed);
}

/* --- the reader --------------------------------------------------------------------- */

static void wait_locked(struct mailbox *box, uint32_t most, int64_t deadline_ms)
{
	while (!box->woken && !mailbox_is_stopping(box) && (most == 0 || box->head == NULL)) {
		if (deadline_ms == MAILBOX_NO_DEADLINE)
			lock_wait(&box->lock, &box->filled);
		else if (lock_wait_until(&box->lock, &box->filled, deadline_ms) < 0)
			break;
	}
	box->woken = false;
}

struct mail *mailbox_take(struct mailbox *box, uint32_t most, int64_t deadline_ms)
{
	struct mail *taken = NULL;
	struct mail **end = &taken;

	lock_take(&box->lock);
	wait_locked(box, most, deadline_ms);
	for (; most > 0 && box->head != NULL; most--) {
		*end = box->head;
		end = &box->head->next;
		box->head = *end;
		add_count_locked(box, -1);
	}
	*end = NULL;
	if (box->head == NULL)
		box->tail = &box->head;
	lock_release(&box->lock);
	return taken;
}

struct mail *mailbox_take_matching(struct mailbox *box,
                                   bool (*matches)(struct mail *mail, const void *arg),
                                   const void *arg)
{
	struct mail *taken = NULL;
	struct mail **end = &taken;

	lock_take(&box->lock);
	struct mail **link = &box->head;
	while (*link != NULL) {
		struct mail *mail = *link;

		if (!matches(mail, arg)) {
			link = &mail->next;
			continue;
		}
		*link = mail->next;
		*end = mail;
		end = &mail->next;
		add_count_locked(box, -1);
	}
	*end = NULL;
	box->tail = link;
	lock_release(&box->lock);
	return taken;
}

void mailbox_return(struct mailbox *box, struct mail *mail)
{
	lock_take(&box->lock);
	put_locked(box, mail, false);
	lock_release(&box->lock);
}

bool mailbox_has_ended(struct mailbox *box)
{
	bool ended = false;

	if (!mailbox_is_stopping(box))
		return false;
	lock_take(&box->lock);
	ended = box->head == NULL;
	lock_release(&box->lock);
	return ended;
}
