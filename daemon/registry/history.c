/* SPDX-License-Identifier: MIT */
/** Questions about the event log, read in turns on a lane of the background reader. */
#include "registry/internal.h"
#include "registry/reader.h"

#include <errno.h>
#include <stdlib.h>

struct log_reader {
	struct journal_reader *journal;
	struct mailbox *queue; /* of those that wait for a turn */
	uint32_t turn;         /* events that are looked at in one */
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
	       a->put == b->put && a->arg == b->arg && a->end == b->end &&
	       a->bytes_max == b->bytes_max && str_equal(a->query.service, b->query.service) &&
	       str_equal(a->query.id, b->query.id);
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
static bool read_on(struct log_reader *reader, struct history *history)
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
	query.span = reader->turn;
	int r = journal_reader_events(reader->journal, &query, put_event, history, &history->last,
	                              &history->oldest);
	if (history->more)
		r = 0; /* it was we who stopped it */
	if (r == -ESTALE && history->count > 0) {
		r = 0; /* between two turns: what was found is told first */
		history->more = true;
	}
	history->error = r < 0 ? r : 0;
	if (r == -ESTALE) {
		r = journal_reader_oldest(reader->journal, &history->oldest, &history->oldest_ms);
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

static bool take_turn(void *arg, struct mail *mail)
{
	struct log_reader *reader = arg;
	struct history *history = history_of(mail);

	if (!history->has_begun)
		history->same = mailbox_take_matching(reader->queue, asks_the_same, history);
	if (!read_on(reader, history))
		return false;
	answer(history);
	return true;
}

static void refuse(struct mail *mail)
{
	struct history *history = history_of(mail);

	history->error = -ESHUTDOWN;
	answer(history);
}

static void close_log(void *arg)
{
	struct log_reader *reader = arg;

	if (reader == NULL)
		return;
	journal_reader_close(reader->journal);
	free(reader);
}

static int open_log(struct registry *registry, struct mailbox *queue, void **ret_arg)
{
	struct log_reader *reader = calloc(1, sizeof(*reader));
	uint32_t turn = registry->options.history_turn;

	if (reader == NULL)
		return -ENOMEM;
	reader->queue = queue;
	reader->turn = turn > 0 ? turn : HISTORY_TURN;
	int r = journal_reader_open(registry->dir, &reader->journal);
	if (r < 0) {
		close_log(reader);
		return r;
	}
	*ret_arg = reader;
	return 0;
}

const struct lane history_lane = {
	.name = "history",
	.rank = LOCK_HISTORY,
	.most = 1024,
	.look_ms = MAILBOX_NO_DEADLINE,
	.open = open_log,
	.close = close_log,
	.turn = take_turn,
	.refuse = refuse,
};
