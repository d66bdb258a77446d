/* SPDX-License-Identifier: MIT */
#include "model/event.h"

#include "api/call.h"
#include "api/pretty.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define EVENTS_DEFAULT 100
#define EVENTS_MAX     1000

enum {
	EVENTS_SINCE = PARAM_PRETTY + 1,
	EVENTS_SERVICE,
	EVENTS_ID,
	EVENTS_KIND,
	EVENTS_LIMIT,
	EVENTS_FORMAT
};
static const struct query_rule events_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,     [EVENTS_SINCE] = {"since", 0},
	[EVENTS_SERVICE] = {"service", 0}, [EVENTS_ID] = {"id", 0},
	[EVENTS_KIND] = {"kind", 0},       [EVENTS_LIMIT] = {"limit", 0},
	[EVENTS_FORMAT] = {"format", 0},
};

/** A list of kinds between commas, as bits. */
static bool read_kinds(struct call *call, struct str list, unsigned *ret_kinds)
{
	unsigned kinds = 0;

	do {
		const char *comma = list.len > 0 ? memchr(list.data, ',', list.len) : NULL;
		struct str word = {list.data, comma ? (size_t)(comma - list.data) : list.len};
		enum event_kind kind;

		if (event_kind_parse(word, &kind) < 0) {
			problem(call->response, "invalid-parameter",
			        "kind must be a list of registered, updated, deregistered, "
			        "expired, "
			        "recovered, drained, resumed and removed, not '%.*s'",
			        (int)(word.len < 40 ? word.len : 40), word.len ? word.data : "");
			return false;
		}
		kinds |= 1u << kind;
		size_t used = word.len + (comma != NULL);
		list = (struct str){word.data + used, list.len - used};
	} while (list.len > 0);
	*ret_kinds = kinds;
	return true;
}

static bool read_text(struct call *call, unsigned rule, struct str *ret)
{
	const struct query_item *item = query_get(&call->query, rule);

	return item == NULL || call_text(call, item, ret);
}

static bool read_query(struct call *call, struct journal_query *query, bool *ret_text)
{
	uint64_t limit = EVENTS_DEFAULT;
	struct str kinds = {NULL, 0};

	*query = (struct journal_query){0};
	if (!call_query(call, events_rules, ARRAY_LEN(events_rules)) ||
	    !call_wants_text(call, query_get(&call->query, EVENTS_FORMAT), ret_text) ||
	    !call_number(call, events_rules, EVENTS_SINCE, 0, INT64_MAX, &query->since) ||
	    !call_number(call, events_rules, EVENTS_LIMIT, 1, EVENTS_MAX, &limit) ||
	    !read_text(call, EVENTS_SERVICE, &query->service) ||
	    !read_text(call, EVENTS_ID, &query->id) || !read_text(call, EVENTS_KIND, &kinds))
		return false;
	query->limit = (uint32_t)limit;
	return query_get(&call->query, EVENTS_KIND) == NULL ||
	       read_kinds(call, kinds, &query->kinds);
}

static struct str member_text(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_string(value))
		return (struct str){NULL, 0};
	return (struct str){json_string_value(value), json_string_length(value)};
}

static void put_row(struct buf *rows, const json_t *event)
{
	const json_t *instance = json_object_get(event, "instance");
	const json_t *revision = json_object_get(event, "revision");

	table_put_number(rows, (uint64_t)json_integer_value(revision), false);
	table_put_cell(rows, member_text(event, "time"), false);
	table_put_cell(rows, member_text(event, "kind"), false);
	table_put_cell(rows, member_text(instance, "service"), false);
	table_put_cell(rows, member_text(instance, "id"), false);
	table_put_cell(rows, member_text(instance, "status"), false);
	table_put_cell(rows, member_text(event, "author"), false);
	table_put_cell(rows, member_text(event, "reason"), true);
}

/** For people, so it may take its time: reads back what was rendered. */
static int put_table(struct buf *out, const struct buf *events)
{
	struct buf array;
	struct buf rows;
	const json_t *event;
	size_t i;

	buf_init(&array, events->most + 2);
	buf_put_char(&array, '[');
	buf_put_str(&array, (struct str){events->data, events->len});
	buf_put_char(&array, ']');
	json_t *root = buf_error(&array) < 0 ? NULL : json_loadb(array.data, array.len, 0, NULL);
	buf_fini(&array);
	if (root == NULL)
		return -ENOMEM;

	buf_init(&rows, out->most);
	buf_put(&rows, "REVISION\tTIME\tKIND\tSERVICE\tID\tSTATUS\tBY\tREASON\n");
	json_array_foreach(root, i, event) put_row(&rows, event);
	json_decref(root);
	table_put(out, &rows);
	int r = buf_error(&rows);
	buf_fini(&rows);
	return r;
}

static void put_events(struct buf *out, const struct history *history)
{
	buf_put(out, "{\"events\":[");
	buf_put_str(out, (struct str){history->out->data, history->out->len});
	buf_put(out, "],\"revision\":");
	buf_put_u64(out, history->last);
	if (history->count == history->query.limit) {
		buf_put(out, ",\"next\":");
		buf_put_u64(out, history->last);
	}
	buf_put_char(out, '}');
}

static enum api_result submit(struct call *call, struct parked *parked)
{
	buf_reset(&parked->out);
	call->request->park = parked;
	int r = registry_read_history(call->api->registry, &parked->history);
	if (r == 0)
		return API_PARKED;
	call->request->park = NULL;
	parked_free(parked);
	problem_errno(call->response, r);
	return API_DONE;
}

static void wake(struct history *history)
{
	struct parked *parked = container_of(history, struct parked, history);

	parked->request->wake(parked->request);
}

/** Without ?since= the reading begins with the oldest event that is kept. */
static bool begins_at_oldest(struct call *call, const struct parked *parked)
{
	return parked->history.error == -ESTALE && parked->tries < 3 &&
	       query_get(&call->query, EVENTS_SINCE) == NULL;
}

static enum api_result events_read(struct call *call, struct parked *parked)
{
	struct history *history = &parked->history;
	struct buf *body = &call->response->body;
	struct journal_query again;
	bool text = false;

	if (!read_query(call, &again, &text)) {
		parked_free(parked);
		return API_DONE;
	}
	if (begins_at_oldest(call, parked)) {
		parked->tries++;
		history->query.since = history->oldest > 0 ? history->oldest - 1 : 0;
		call->response->header_count = 0;
		return submit(call, parked);
	}

	int r = history->error < 0 ? history->error : buf_error(history->out);
	if (r == 0 && text)
		r = put_table(body, history->out);
	else if (r == 0)
		put_events(body, history);
	if (r == -ESTALE)
		problem(call->response, "compacted",
		        "events up to revision %" PRIu64 " are no longer kept: read the present "
		        "state, then go on with since=%" PRIu64,
		        history->oldest > 0 ? history->oldest - 1 : 0,
		        history->oldest > 0 ? history->oldest - 1 : 0);
	else if (r < 0)
		problem_errno(call->response, r);
	else
		(void)call_answer(call, 200, text ? TYPE_TEXT : TYPE_JSON);
	parked_free(parked);
	return API_DONE;
}

static struct str copy_to(char **end, struct str text)
{
	struct str copy = {*end, text.len};

	if (text.len > 0)
		memcpy(*end, text.data, text.len);
	*end += text.len;
	return copy;
}

enum api_result events_get(struct call *call)
{
	struct journal_query query;
	bool text;

	if (!read_query(call, &query, &text))
		return API_DONE;
	struct parked *parked = call_park(call, query.service.len + query.id.len, events_read);
	if (parked == NULL)
		return API_DONE;
	char *end = parked->memory;
	query.service = copy_to(&end, query.service);
	query.id = copy_to(&end, query.id);
	parked->history.query = query;
	parked->history.out = &parked->out;
	parked->history.done = wake;
	call->response->header_count = 0; /* is told with the answer */
	return submit(call, parked);
}
