/* SPDX-License-Identifier: MIT */
/*
 * Runs queries of the event log, on the history thread (a lane of the background reader).
 *
 * Invariant: a query reads at most `turn` events before the next query has its turn, so a query
 * that matches few events of a long log does not delay the others. Equal queries share one read:
 * streams that follow the log all ask for the same events at the same time, and a read for each of
 * them would multiply the work by their number.
 */
#include "registry/internal.h"
#include "registry/reader.h"

#include <errno.h>
#include <stdlib.h>

struct log_reader {
	struct journal_reader *journal;
	struct mailbox *queue; /* of queries that wait for a turn */
	uint32_t turn;         /* events that one turn reads */
};

static struct history *history_of(struct mail *mail)
{
	return container_of(mail, struct history, mail);
}

static int history_put_event(void *arg, const struct event *event)
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

static bool history_is_same(struct mail *mail, const void *arg)
{
	const struct history *a = container_of(mail, struct history, mail);
	const struct history *b = arg;

	return !a->has_begun && a->query.since == b->query.since &&
	       a->query.kinds == b->query.kinds && a->query.limit == b->query.limit &&
	       a->put == b->put && a->arg == b->arg && a->end == b->end &&
	       a->bytes_max == b->bytes_max && str_equal(a->query.service, b->query.service) &&
	       str_equal(a->query.id, b->query.id);
}

/* Asks admit() for @p bytes of result: many queries may get a copy at once, each needs room. */
static bool history_is_admitted(struct history *history, size_t bytes)
{
	if (history->error < 0 || history->admit == NULL || history->admit(history, bytes))
		return true;
	history->error = -ENOBUFS;
	return false;
}

static void history_copy_result(struct history *to, const struct history *from)
{
	size_t bytes = from->out->len - from->start;

	to->error = from->error;
	to->last = from->last;
	to->oldest = from->oldest;
	to->oldest_ms = from->oldest_ms;
	to->count = from->count;
	to->more = from->more;
	if (history_is_admitted(to, bytes))
		buf_add(to->out, from->out->data + from->start, bytes);
}

/* One turn. @return true: the query is complete; false: it needs another turn */
static bool history_read_turn(struct log_reader *reader, struct history *history)
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
	int r = journal_reader_events(reader->journal, &query, history_put_event, history,
	                              &history->last, &history->oldest);
	if (history->more)
		r = 0; /* history_put_event() stopped the read */
	if (r == -ESTALE && history->count > 0) {
		r = 0; /* retention removed events between two turns: return those found first */
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

static void history_answer(struct history *history)
{
	struct mail *mail = history->same;

	if (history->end != NULL && history->error == 0)
		history->end(history);
	while (mail != NULL) {
		struct history *same = history_of(mail);

		mail = mail->next; /* done() may free it */
		history_copy_result(same, history);
		same->done(same);
	}
	if (!history_is_admitted(history, history->out->len))
		buf_fini(history->out);
	history->done(history);
}

static bool history_take_turn(void *arg, struct mail *mail)
{
	struct log_reader *reader = arg;
	struct history *history = history_of(mail);

	if (!history->has_begun)
		history->same = mailbox_take_matching(reader->queue, history_is_same, history);
	if (!history_read_turn(reader, history))
		return false;
	history_answer(history);
	return true;
}

static void history_refuse(struct mail *mail)
{
	struct history *history = history_of(mail);

	history->error = -ESHUTDOWN;
	history_answer(history);
}

static void history_close(void *arg)
{
	struct log_reader *reader = arg;

	if (reader == NULL)
		return;
	journal_reader_close(reader->journal);
	free(reader);
}

static int history_open(struct registry *registry, struct mailbox *queue, void **ret_arg)
{
	struct log_reader *reader = calloc(1, sizeof(*reader));
	uint32_t turn = registry->options.history_turn;

	if (reader == NULL)
		return -ENOMEM;
	reader->queue = queue;
	reader->turn = turn > 0 ? turn : HISTORY_TURN;
	int r = journal_reader_open(registry->dir, &reader->journal);
	if (r < 0) {
		history_close(reader);
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
	.open = history_open,
	.close = history_close,
	.turn = history_take_turn,
	.refuse = history_refuse,
};
