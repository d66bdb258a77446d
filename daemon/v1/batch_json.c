/* SPDX-License-Identifier: MIT */
/*
 * The parser of batch heartbeats. No state outside of struct batch, any thread.
 *
 * Invariant: a body that it accepts is valid JSON. It knows only objects, arrays and strings,
 * because any other value is an error at every place. jansson is not used: it would build a tree of
 * 10,000 objects for a request that only renews leases.
 */
#include "v1/batch_json.h"

#include "base/parse.h"
#include "model/valid.h"

#include <errno.h>
#include <stdint.h>

static int batch_malformed(struct batch *batch, const char *what)
{
	batch->what = what;
	return -EBADMSG;
}

static int batch_wrong(struct batch *batch, const char *what)
{
	batch->what = what;
	return -EINVAL;
}

/* Skips blanks. @return the next character; '\0' at the end */
static char batch_peek(struct batch *batch)
{
	while (batch->pos < batch->text.len) {
		char c = batch->text.data[batch->pos];

		if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
			return c;
		batch->pos++;
	}
	return '\0';
}

static bool batch_accept(struct batch *batch, char c)
{
	if (batch_peek(batch) != c)
		return false;
	batch->pos++;
	return true;
}

/* Reads four hex digits at @p at. @return -1: there are no four */
static int batch_hex4(struct str text, size_t at)
{
	int value = 0;

	if (at + 4 > text.len)
		return -1;
	for (size_t i = at; i < at + 4; i++) {
		int digit = parse_hex_digit(text.data[i]);

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/*
 * Decodes the escape after a backslash, at @p *pos. Names and ids are printable ASCII, so every
 * other character becomes 0x7f, which they cannot contain.
 * @return '\0': it is no valid escape
 */
static char batch_unescape(struct str text, size_t *pos)
{
	char c = text.data[(*pos)++];
	int value;

	switch (c) {
	case '"':
	case '\\':
	case '/':
		return c;
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return 0x7f;
	case 'u':
		value = batch_hex4(text, *pos);
		*pos += 4;
		if (value <= 0)
			return '\0';
		return (char)(value < 0x7f ? value : 0x7f);
	default:
		return '\0';
	}
}

/* Decodes @p raw. Bytes beyond @p size are counted, but not copied. @return 0 or -EBADMSG */
static int batch_decode(struct batch *batch, struct str raw, char *out, size_t size,
                        struct str *ret)
{
	size_t len = 0;

	for (size_t i = 0; i < raw.len;) {
		char c = raw.data[i++];

		if (c == '\\')
			c = batch_unescape(raw, &i);
		if (c == '\0' || i > raw.len)
			return batch_malformed(batch, "a string has an invalid escape");
		if (len < size)
			out[len] = c;
		len++;
	}
	*ret = (struct str){out, len};
	return 0;
}

/* Reads up to the closing quote, without decoding escapes. */
static int batch_read_raw(struct batch *batch, struct str *ret, bool *ret_escaped)
{
	struct str text = batch->text;
	size_t i = batch->pos;

	*ret_escaped = false;
	while (i < text.len && text.data[i] != '"') {
		if ((unsigned char)text.data[i] < ' ')
			return batch_malformed(batch, "a string has a control character");
		if (text.data[i] == '\\') {
			*ret_escaped = true;
			i++;
		}
		i++;
	}
	if (i >= text.len)
		return batch_malformed(batch, "a string has no end");
	*ret = (struct str){text.data + batch->pos, i - batch->pos};
	if (!parse_is_utf8(*ret))
		return batch_malformed(batch, "a string is not UTF-8");
	batch->pos = i + 1;
	return 0;
}

/* Reads a string of at most @p size bytes; @p ret is borrowed from the text unless it has
 * escapes. */
static int batch_read_string(struct batch *batch, char *out, size_t size, struct str *ret)
{
	struct str string;
	bool escaped;

	if (!batch_accept(batch, '"'))
		return batch_wrong(batch, "a string was expected");
	int r = batch_read_raw(batch, &string, &escaped);
	if (r == 0 && escaped)
		r = batch_decode(batch, string, out, size, &string);
	if (r < 0)
		return r;
	if (string.len > size)
		return batch_wrong(batch, "a service, an id or a field's name is too long");
	*ret = string;
	return 0;
}

static int batch_read_key(struct batch *batch, char out[16], struct str *ret)
{
	int r = batch_read_string(batch, out, 16, ret);

	if (r == -EINVAL)
		return batch_wrong(batch, "an unknown field: an entry has service and id");
	if (r == 0 && !batch_accept(batch, ':'))
		return batch_malformed(batch, "':' was expected");
	return r;
}

static int batch_read_member(struct batch *batch, struct batch_entry *entry)
{
	char space[16];
	struct str key;

	int r = batch_read_key(batch, space, &key);
	if (r < 0)
		return r;
	bool is_id = str_equal(key, STR("id"));
	if (!is_id && !str_equal(key, STR("service")))
		return batch_wrong(batch, "an unknown field: an entry has service and id");
	struct str *value = is_id ? &entry->id : &entry->service;
	if (value->data != NULL)
		return batch_malformed(batch, "a field is given twice");
	return is_id ? batch_read_string(batch, batch->id, sizeof(batch->id), value)
	             : batch_read_string(batch, batch->service, sizeof(batch->service), value);
}

static int batch_read_entry(struct batch *batch, struct batch_entry *ret_entry)
{
	struct batch_entry entry = {0};

	if (!batch_accept(batch, '{'))
		return batch_wrong(batch, "an object was expected");
	if (!batch_accept(batch, '}')) {
		do {
			int r = batch_read_member(batch, &entry);
			if (r < 0)
				return r;
		} while (batch_accept(batch, ','));
		if (!batch_accept(batch, '}'))
			return batch_malformed(batch, "',' or '}' was expected");
	}
	if (entry.service.data == NULL || entry.id.data == NULL)
		return batch_wrong(batch, "service and id are required");
	if (!valid_service_name(entry.service))
		return batch_wrong(batch, "the service name is not valid");
	if (!valid_instance_id(entry.id))
		return batch_wrong(batch, "the id is not valid");
	*ret_entry = entry;
	batch->count++;
	return 1;
}

/* Reads {"instances":[ */
static int batch_read_head(struct batch *batch)
{
	char space[16];
	struct str key;

	if (!batch_accept(batch, '{'))
		return batch_malformed(batch, "an object was expected");
	if (batch_peek(batch) == '}')
		return batch_wrong(batch, "instances is required");
	int r = batch_read_key(batch, space, &key);
	if (r < 0 || !str_equal(key, STR("instances")))
		return r == -EBADMSG
		               ? r
		               : batch_wrong(batch, "an unknown field: there is only instances");
	if (!batch_accept(batch, '['))
		return batch_wrong(batch, "instances must be an array");
	batch->inside = true;
	return 0;
}

/* Reads ]} */
static int batch_read_tail(struct batch *batch)
{
	if (!batch_accept(batch, ']'))
		return batch_malformed(batch, "',' or ']' was expected");
	if (batch_peek(batch) == ',')
		return batch_wrong(batch, "an unknown field: there is only instances");
	if (!batch_accept(batch, '}'))
		return batch_malformed(batch, "'}' was expected");
	if (batch_peek(batch) != '\0' || batch->pos < batch->text.len)
		return batch_malformed(batch, "unexpected data after the object");
	return 0;
}

void batch_init(struct batch *batch, struct str text)
{
	batch->text = text;
	batch->pos = 0;
	batch->count = 0;
	batch->inside = false;
	batch->what = "";
}

int batch_next(struct batch *batch, struct batch_entry *ret_entry)
{
	if (!batch->inside) {
		int r = batch_read_head(batch);
		if (r < 0)
			return r;
		if (batch_peek(batch) == ']')
			return batch_read_tail(batch);
	} else if (!batch_accept(batch, ',')) {
		return batch_read_tail(batch);
	}
	if (batch->count == BATCH_ENTRIES_MAX)
		return batch_wrong(batch, "more than 10000 entries");
	return batch_read_entry(batch, ret_entry);
}
