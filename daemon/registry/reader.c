/* SPDX-License-Identifier: MIT */
#include "registry/reader.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <stdlib.h>

enum { LANE_EVENTS, LANE_STATES, LANE_COUNT };

static const struct lane *const lanes[LANE_COUNT] = {
	[LANE_EVENTS] = &history_lane,
	[LANE_STATES] = &archive_lane,
};

struct running {
	const struct lane *lane;
	void *arg;
	struct mailbox queue;
	pthread_t thread;
	bool started;
};

struct reader {
	struct running running[LANE_COUNT];
};

static void reader_main(void *arg)
{
	struct running *running = arg;
	const struct lane *lane = running->lane;

	while (!mailbox_has_ended(&running->queue)) {
		int64_t until_ms = lane->look_ms == MAILBOX_NO_DEADLINE
		                           ? MAILBOX_NO_DEADLINE
		                           : clock_ms() + lane->look_ms;
		struct mail *mail = mailbox_take(&running->queue, 1, until_ms);
		bool stopping = mailbox_is_stopping(&running->queue);

		if (!stopping && lane->look != NULL)
			lane->look(running->arg);
		if (mail == NULL)
			continue;
		if (stopping)
			lane->refuse(mail);
		else if (!lane->turn(running->arg, mail))
			mailbox_return(&running->queue,
			               mail); /* for its next turn; never refused */
	}
}

int reader_start(struct registry *registry, struct reader **ret_reader)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	int r = 0;

	if (reader == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < LANE_COUNT; i++) {
		struct running *running = &reader->running[i];

		running->lane = lanes[i];
		mailbox_init(&running->queue, lanes[i]->rank, lanes[i]->most);
	}
	for (size_t i = 0; i < LANE_COUNT && r == 0; i++) {
		struct running *running = &reader->running[i];

		r = lanes[i]->open(registry, &running->queue, &running->arg);
		if (r == 0)
			r = thread_start(&running->thread, lanes[i]->name, reader_main, running);
		running->started = r == 0;
	}
	if (r < 0) {
		reader_free(reader);
		return r;
	}
	*ret_reader = reader;
	return 0;
}

void reader_stop(struct reader *reader)
{
	for (size_t i = 0; reader != NULL && i < LANE_COUNT; i++) {
		struct running *running = &reader->running[i];

		mailbox_stop(&running->queue);
		if (running->started)
			thread_join(running->thread);
		running->started = false;
	}
}

void reader_free(struct reader *reader)
{
	if (reader == NULL)
		return;
	reader_stop(reader);
	for (size_t i = 0; i < LANE_COUNT; i++) {
		struct running *running = &reader->running[i];

		running->lane->close(running->arg);
		mailbox_fini(&running->queue);
	}
	free(reader);
}

int reader_events(struct reader *reader, struct history *history)
{
	struct mailbox *queue = &reader->running[LANE_EVENTS].queue;

	history->has_begun = false;
	history->same = NULL;
	return history->is_counted ? mailbox_put_beyond(queue, &history->mail)
	                           : mailbox_put(queue, &history->mail);
}

int reader_state(struct reader *reader, struct archive_query *query)
{
	return mailbox_put(&reader->running[LANE_STATES].queue, &query->mail);
}

void reader_drop(struct reader *reader, struct archive_query *query)
{
	query->kind = ARCHIVE_DROP;
	/* Before all queries: their results would pile up if stores were freed last. */
	if (mailbox_put_first(&reader->running[LANE_STATES].queue, &query->mail) < 0)
		archive_drop(query);
}

void reader_hint(struct reader *reader, uint64_t revision)
{
	archive_hint(reader->running[LANE_STATES].arg, revision);
}

void reader_retain(struct reader *reader, const struct journal_options *retention)
{
	archive_retain(reader->running[LANE_STATES].arg, retention);
}
