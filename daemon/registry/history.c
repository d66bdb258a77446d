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

	struct mailbox queue;
};

static struct history *history_of(struct mail *mail)
{
	return container_of(mail, struct history, mail);
}

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

/* Queries that follow the log together ask the same at the same time: one reading is enough. */
static bool asks_the_same(struct mail *mail, const void *arg)
{
	const struct history *a = container_of(mail, struct history, mail);
	const struct history *b = arg;

	return !a->has_begun && a->query.since == b->query.since &&
	       a->query.kinds == b->query.kinds && a->query.limit == b->query.limit &&
	       a->put == b->put && a->end == b->end && a->bytes_max == b->bytes_max &&
	       str_equal(a->query.service, b->query.service) && str_equal(a->query.id, b->query.id);
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
	struct mail *mail = history->same;

	if (history->end != NULL && history->error == 0)
		history->end(history);
	while (mail != NULL) {
		struct history *same = history_of(mail);

		mail = mail->next; /* done() may free it */
		copy_result(same, history);
		same->done(same);
	}
	if (!is_admitted(history, history->out->len))
		buf_fini(history->out);
	history->done(history);
}

/* One turn of the query that has waited longest. */
static void take_turn(struct history_thread *thread, struct history *history)
{
	if (mailbox_is_stopping(&thread->queue)) {
		history->error = -ESHUTDOWN;
		answer(history);
		return;
	}
	if (!history->has_begun)
		history->same = mailbox_take_matching(&thread->queue, asks_the_same, history);
	if (read_on(thread, history))
		answer(history);
	else
		mailbox_return(&thread->queue, &history->mail);
}

static void history_main(void *arg)
{
	struct history_thread *thread = arg;

	while (!mailbox_has_ended(&thread->queue)) {
		struct mail *mail = mailbox_take(&thread->queue, 1, MAILBOX_NO_DEADLINE);

		if (mail != NULL)
			take_turn(thread, history_of(mail));
	}
}

int history_start(const char *dir, uint32_t turn, struct history_thread **ret_thread)
{
	struct history_thread *thread = calloc(1, sizeof(*thread));
	int r;

	if (thread == NULL)
		return -ENOMEM;
	mailbox_init(&thread->queue, LOCK_HISTORY, HISTORY_QUEUE_MAX);
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
	history->has_begun = false;
	history->same = NULL;
	return history->is_counted ? mailbox_put_beyond(&thread->queue, &history->mail)
	                           : mailbox_put(&thread->queue, &history->mail);
}

void history_stop(struct history_thread *thread)
{
	if (thread == NULL || !thread->started)
		return;
	mailbox_stop(&thread->queue);
	thread_join(thread->thread);
	thread->started = false;
}

void history_free(struct history_thread *thread)
{
	if (thread == NULL)
		return;
	history_stop(thread);
	journal_reader_close(thread->reader);
	mailbox_fini(&thread->queue);
	free(thread);
}
