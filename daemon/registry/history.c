/* SPDX-License-Identifier: MIT */
#include "base/check.h"
#include "base/thread.h"
#include "registry/internal.h"

#include <errno.h>
#include <stdlib.h>

/* Queries that may wait: each holds a parked request. */
#define HISTORY_QUEUE_MAX 1024

/** Reads the log beside the writer, so that no http thread waits for the disk. */
struct history_thread {
	struct journal_reader *reader; /* the thread's own */
	uint32_t turn;                 /* events that are looked at in one */
	pthread_t thread;
	bool started;

	/* guarded by lock */
	struct lock lock;
	pthread_cond_t filled;
	struct history *head;
	struct history **tail;
	uint32_t count;
	bool stopping;
};

static int put_event(void *arg, const struct event *event)
{
	struct history *history = arg;

	if (history->put != NULL) {
		history->put(history, event);
	} else {
		if (history->count > 0)
			buf_put_char(history->out, ',');
		event_put_json(history->out, event);
	}
	history->count++;
	history->last = event->revision;
	if (history->bytes_max > 0 && history->out->len >= history->bytes_max)
		history->more = true;
	return history->more ? -ENOBUFS : buf_error(history->out);
}

static bool asks_the_same(const struct history *a, const struct history *b)
{
	return !a->has_begun && a->query.since == b->query.since &&
	       a->query.kinds == b->query.kinds && a->query.limit == b->query.limit &&
	       a->put == b->put && a->end == b->end && a->bytes_max == b->bytes_max &&
	       str_equal(a->query.service, b->query.service) && str_equal(a->query.id, b->query.id);
}

/* Those that follow the log together ask the same at the same time: one reading is enough. */
static struct history *take_same_locked(struct history_thread *thread, const struct history *first)
{
	struct history *same = NULL;
	struct history **link = &thread->head;

	while (*link != NULL) {
		struct history *history = *link;

		if (!asks_the_same(history, first)) {
			link = &history->next;
			continue;
		}
		*link = history->next;
		history->next = same;
		same = history;
		thread->count--;
	}
	thread->tail = link;
	return same;
}

/* Many may get a copy of the same result at once: each must have room for it. */
static bool is_admitted(struct history *history, size_t bytes)
{
	if (history->error < 0 || history->admit == NULL || history->admit(history, bytes))
		return true;
	history->error = -ENOBUFS;
	return false;
}

static void copy_result(struct history *to, const struct history *from)
{
	size_t bytes = from->out->len - from->start;

	to->error = from->error;
	to->last = from->last;
	to->oldest = from->oldest;
	to->oldest_ms = from->oldest_ms;
	to->count = from->count;
	to->more = from->more;
	if (is_admitted(to, bytes))
		buf_add(to->out, from->out->data + from->start, bytes);
}

/* One turn. @return true: it is answered; false: it needs another */
static bool read_on(struct history_thread *thread, struct history *history)
{
	struct journal_query query = history->query;

	if (!history->has_begun) {
		history->has_begun = true;
		history->start = history->out->len;
		history->last = query.since;
		history->count = 0;
		history->more = false;
	}
	query.since = history->last;
	query.limit -= history->count;
	query.span = thread->turn;
	int r = journal_reader_events(thread->reader, &query, put_event, history, &history->last,
	                              &history->oldest);
	if (history->more)
		r = 0; /* it was we who stopped it */
	if (r == -ESTALE && history->count > 0) {
		r = 0; /* between two turns: what was found is told first */
		history->more = true;
	}
	history->error = r < 0 ? r : 0;
	if (r == -ESTALE) {
		r = journal_reader_oldest(thread->reader, &history->oldest, &history->oldest_ms);
		history->error = r < 0 ? r : -ESTALE;
	}
	history->more |= history->count == history->query.limit;
	return r <= 0;
}

static void answer(struct history *history)
{
	struct history *same = history->same;

	if (history->end != NULL && history->error == 0)
		history->end(history);
	while (same != NULL) {
		struct history *next = same->next;

		copy_result(same, history);
		same->done(same);
		same = next;
	}
	if (!is_admitted(history, history->out->len))
		buf_fini(history->out);
	history->done(history);
}

static void put_last_locked(struct history_thread *thread, struct history *history)
{
	history->next = NULL;
	*thread->tail = history;
	thread->tail = &history->next;
	thread->count++;
}

static struct history *take_first_locked(struct history_thread *thread)
{
	struct history *history = thread->head;

	thread->head = history->next;
	if (thread->head == NULL)
		thread->tail = &thread->head;
	thread->count--;
	return history;
}

static void history_main(void *arg)
{
	struct history_thread *thread = arg;

	lock_take(&thread->lock);
	while (thread->head != NULL || !thread->stopping) {
		if (thread->head == NULL) {
			lock_wait(&thread->lock, &thread->filled);
			continue;
		}
		struct history *history = take_first_locked(thread);
		bool stopping = thread->stopping;
		if (!stopping && !history->has_begun)
			history->same = take_same_locked(thread, history);
		lock_release(&thread->lock);

		if (stopping)
			history->error = -ESHUTDOWN;
		bool answered = stopping || read_on(thread, history);
		if (answered)
			answer(history);
		lock_take(&thread->lock);
		if (!answered) /* it was admitted when it came */
			put_last_locked(thread, history);
	}
	lock_release(&thread->lock);
}

int history_start(const char *dir, uint32_t turn, struct history_thread **ret_thread)
{
	struct history_thread *thread = calloc(1, sizeof(*thread));
	int r;

	if (thread == NULL)
		return -ENOMEM;
	lock_init(&thread->lock, LOCK_HISTORY);
	lock_cond_init(&thread->filled);
	thread->tail = &thread->head;
	thread->turn = turn;
	r = journal_reader_open(dir, &thread->reader);
	if (r < 0)
		goto fail;
	r = thread_start(&thread->thread, "history", history_main, thread);
	if (r < 0)
		goto fail;
	thread->started = true;
	*ret_thread = thread;
	return 0;

fail:
	history_free(thread);
	return r;
}

int history_submit(struct history_thread *thread, struct history *history)
{
	int r = 0;

	history->has_begun = false;
	history->same = NULL;
	lock_take(&thread->lock);
	if (thread->stopping) {
		r = -ESHUTDOWN;
	} else if (thread->count >= HISTORY_QUEUE_MAX && !history->is_counted) {
		r = -EAGAIN;
	} else {
		put_last_locked(thread, history);
		CHECK_OK(pthread_cond_signal(&thread->filled));
	}
	lock_release(&thread->lock);
	return r;
}

void history_stop(struct history_thread *thread)
{
	if (thread == NULL || !thread->started)
		return;
	lock_take(&thread->lock);
	thread->stopping = true;
	CHECK_OK(pthread_cond_signal(&thread->filled));
	lock_release(&thread->lock);
	thread_join(thread->thread);
	thread->started = false;
}

void history_free(struct history_thread *thread)
{
	if (thread == NULL)
		return;
	history_stop(thread);
	journal_reader_close(thread->reader);
	CHECK_OK(pthread_cond_destroy(&thread->filled));
	lock_fini(&thread->lock);
	free(thread);
}
