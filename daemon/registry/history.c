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

	if (history->count > 0)
		buf_put_char(history->out, ',');
	event_put_json(history->out, event);
	history->count++;
	return buf_error(history->out);
}

static void read_one(struct history_thread *thread, struct history *history)
{
	history->count = 0;
	history->error = journal_reader_events(thread->reader, &history->query, put_event, history,
	                                       &history->last, &history->oldest);
	history->done(history);
}

static void history_main(void *arg)
{
	struct history_thread *thread = arg;

	lock_take(&thread->lock);
	for (;;) {
		struct history *history = thread->head;

		if (history == NULL && thread->stopping)
			break;
		if (history == NULL) {
			lock_wait(&thread->lock, &thread->filled);
			continue;
		}
		thread->head = history->next;
		if (thread->head == NULL)
			thread->tail = &thread->head;
		thread->count--;

		bool stopping = thread->stopping;
		lock_release(&thread->lock);
		if (stopping) {
			history->error = -ESHUTDOWN;
			history->done(history);
		} else {
			read_one(thread, history);
		}
		lock_take(&thread->lock);
	}
	lock_release(&thread->lock);
}

int history_start(const char *dir, struct history_thread **ret_thread)
{
	struct history_thread *thread = calloc(1, sizeof(*thread));
	int r;

	if (thread == NULL)
		return -ENOMEM;
	lock_init(&thread->lock, LOCK_HISTORY);
	lock_cond_init(&thread->filled);
	thread->tail = &thread->head;
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

	history->next = NULL;
	lock_take(&thread->lock);
	if (thread->stopping) {
		r = -ESHUTDOWN;
	} else if (thread->count == HISTORY_QUEUE_MAX) {
		r = -EAGAIN;
	} else {
		*thread->tail = history;
		thread->tail = &history->next;
		thread->count++;
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
