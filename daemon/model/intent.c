/* SPDX-License-Identifier: MIT */
#include "model/intent.h"

#include "base/parse.h"
#include "model/valid.h"

#include <errno.h>

/* The end of the year 9999: a sum of two such times does not overflow. */
#define TIME_MAX_MS INT64_C(253402300799999)

static bool intent_take(struct str *text, const char *word)
{
	if (!str_begins(*text, str_of(word)))
		return false;
	*text = (struct str){text->data + strlen(word), text->len - strlen(word)};
	return true;
}

static bool intent_take_time(struct str *text, int64_t *ret_ms)
{
	size_t len = 0;
	uint64_t ms;

	while (len < text->len && text->data[len] >= '0' && text->data[len] <= '9')
		len++;
	if (parse_u64((struct str){text->data, len}, 1, TIME_MAX_MS, &ms) < 0)
		return false;
	*text = (struct str){text->data + len, text->len - len};
	*ret_ms = (int64_t)ms;
	return true;
}

/* Takes a JSON string of 1 to @p most bytes. Control characters are refused, so the only escapes
 * are \" and \\. */
static bool intent_take_string(struct str *text, char *memory, size_t most, struct str *ret)
{
	size_t len = 0;
	size_t i = 0;

	if (text->len == 0 || text->data[i++] != '"')
		return false;
	for (; i < text->len && text->data[i] != '"'; i++) {
		if (text->data[i] == '\\' &&
		    (++i == text->len || (text->data[i] != '"' && text->data[i] != '\\')))
			return false;
		if (len == most)
			return false;
		memory[len++] = text->data[i];
	}
	*ret = (struct str){memory, len};
	if (i == text->len || len == 0 || !valid_text(*ret, most))
		return false;
	*text = (struct str){text->data + i + 1, text->len - i - 1};
	return true;
}

int drain_intent_parse(struct str document, struct drain_intent *ret_intent)
{
	char *reason = ret_intent->memory;
	char *by = ret_intent->memory + REASON_MAX;
	struct str *at = &document;

	ret_intent->reason = ret_intent->by = (struct str){"", 0};
	ret_intent->since_ms = ret_intent->until_ms = ret_intent->absent_since_ms = 0;
	bool fits = intent_take(at, "{\"status\":\"draining\"");
	if (fits && intent_take(at, ",\"reason\":"))
		fits = intent_take_string(at, reason, REASON_MAX, &ret_intent->reason);
	fits = fits && intent_take(at, ",\"by\":") &&
	       intent_take_string(at, by, STATUS_BY_MAX, &ret_intent->by) &&
	       intent_take(at, ",\"since_ms\":") && intent_take_time(at, &ret_intent->since_ms);
	if (fits && intent_take(at, ",\"until_ms\":"))
		fits = intent_take_time(at, &ret_intent->until_ms);
	if (fits && intent_take(at, ",\"absent_since_ms\":"))
		fits = intent_take_time(at, &ret_intent->absent_since_ms);
	return fits && str_equal(document, STR("}")) ? 0 : -EINVAL;
}

static int64_t intent_time(int64_t ms)
{
	if (ms < 1)
		return 1;
	return ms < TIME_MAX_MS ? ms : TIME_MAX_MS;
}

void drain_intent_of(const struct entry *entry, struct drain_intent *ret_intent)
{
	if (drain_intent_parse(entry->document, ret_intent) == 0)
		return;
	ret_intent->reason = (struct str){"", 0};
	ret_intent->by = STR("operator");
	ret_intent->since_ms = intent_time(entry->time_ms);
	ret_intent->until_ms = ret_intent->absent_since_ms = 0;
}

void drain_intent_put(struct buf *out, const struct drain_intent *intent)
{
	buf_put(out, "{\"status\":\"draining\"");
	if (intent->reason.len > 0) {
		buf_put(out, ",\"reason\":");
		buf_put_json(out, intent->reason);
	}
	buf_put(out, ",\"by\":");
	buf_put_json(out, intent->by);
	buf_put(out, ",\"since_ms\":");
	buf_put_i64(out, intent_time(intent->since_ms));
	if (intent->until_ms != 0) {
		buf_put(out, ",\"until_ms\":");
		buf_put_i64(out, intent_time(intent->until_ms));
	}
	if (intent->absent_since_ms != 0) {
		buf_put(out, ",\"absent_since_ms\":");
		buf_put_i64(out, intent_time(intent->absent_since_ms));
	}
	buf_put_char(out, '}');
}

int64_t drain_intent_end(const struct drain_intent *intent, int64_t ttl_ms)
{
	int64_t absent = intent->absent_since_ms != 0 ? intent->absent_since_ms : intent->since_ms;
	int64_t end = ttl_ms > 0 ? absent + ttl_ms : INT64_MAX;

	return intent->until_ms != 0 && intent->until_ms < end ? intent->until_ms : end;
}
