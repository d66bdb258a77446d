/* SPDX-License-Identifier: MIT */
/*
 * Indents JSON and aligns tables; no state, any thread.
 *
 * Invariant: nothing that a client has registered reaches a terminal as a control character. The
 * JSON is indented as text in one pass: parsing it into a tree would take many times its memory.
 */
#include "api/pretty.h"

#include "base/terminal.h"

#include <stdint.h>
#include <string.h>

bool pretty_is_wanted(struct str raw_query)
{
	static const struct str yes[] = {
		{"pretty", 6}, {"pretty=", 7}, {"pretty=1", 8}, {"pretty=true", 11}};

	while (raw_query.len > 0) {
		struct str item = str_cut(&raw_query, '&');

		for (size_t i = 0; i < ARRAY_LEN(yes); i++)
			if (str_equal(item, yes[i]))
				return true;
	}
	return false;
}

static void new_line(struct buf *out, unsigned depth)
{
	buf_put_char(out, '\n');
	for (unsigned i = 0; i < depth; i++)
		buf_put(out, "  ");
}

/** Appends the leading characters of @p text that are safe for a terminal. @return their length */
static size_t put_safe(struct buf *out, struct str text)
{
	size_t len = 0;

	while (len < text.len) {
		if (terminal_is_plain(text.data[len])) {
			len++;
			continue;
		}
		struct terminal_char c =
			terminal_char((struct str){text.data + len, text.len - len});

		if (!c.is_safe)
			break;
		len += c.len;
	}
	buf_add(out, text.data, len);
	return len;
}

/** Appends the string that begins at @p i. @return the index behind it */
static size_t put_string(struct buf *out, struct str json, size_t i)
{
	size_t end = i + 1;

	while (end < json.len && json.data[end] != '"')
		end += json.data[end] == '\\' ? 2 : 1;
	end = end < json.len ? end + 1 : json.len;
	while (i < end) {
		i += put_safe(out, (struct str){json.data + i, end - i});
		if (i == end)
			break;
		struct terminal_char c = terminal_char((struct str){json.data + i, end - i});
		terminal_put_escape(out, c.code);
		i += c.len;
	}
	return end;
}

static bool opens(char c)
{
	return c == '{' || c == '[';
}

static bool closes(char c)
{
	return c == '}' || c == ']';
}

/** Appends one character outside of strings, with its line breaks. @return the new depth */
static unsigned put_mark(struct buf *out, char c, unsigned depth)
{
	if (closes(c))
		new_line(out, depth > 0 ? --depth : 0);
	buf_put_char(out, c);
	if (opens(c))
		new_line(out, ++depth);
	else if (c == ',')
		new_line(out, depth);
	else if (c == ':')
		buf_put_char(out, ' ');
	return depth;
}

void pretty_more(struct pretty *pretty, struct buf *out, struct str json)
{
	for (size_t i = 0; i < json.len;) {
		if (json.data[i] == '"') {
			i = put_string(out, json, i);
		} else if (opens(json.data[i]) && i + 1 < json.len && closes(json.data[i + 1])) {
			buf_add(out, json.data + i, 2); /* {} and [] stay on their line */
			i += 2;
		} else {
			pretty->depth = put_mark(out, json.data[i++], pretty->depth);
		}
	}
}

void pretty_put(struct buf *out, struct str json)
{
	struct pretty pretty = {0};

	if (json.len > 0 && json.data[json.len - 1] == '\n')
		json.len--;
	pretty_more(&pretty, out, json);
	buf_put_char(out, '\n');
}

void pretty_response(struct api_response *response)
{
	const char *type = response->content_type;
	struct str json = api_response_bytes(response);
	struct buf out;

	if (type == NULL || strstr(type, "json") == NULL)
		return;
	buf_init(&out, response->body.most);
	pretty_put(&out, json);
	if (buf_error(&out) < 0) {
		buf_fini(&out);
		return;
	}
	blob_unref(response->blob);
	response->blob = NULL;
	response->lent = (struct str){NULL, 0};
	buf_fini(&response->body);
	response->body = out;
}

void table_put_cell(struct buf *rows, struct str text, bool last)
{
	if (text.len == 0)
		buf_put_char(rows, '-');
	while (text.len > 0) {
		size_t len = put_safe(rows, text);

		if (len < text.len) {
			buf_put_char(rows, '?');
			len += terminal_char((struct str){text.data + len, text.len - len}).len;
		}
		text = (struct str){text.data + len, text.len - len};
	}
	buf_put_char(rows, last ? '\n' : '\t');
}

void table_put_number(struct buf *rows, uint64_t number, bool last)
{
	buf_put_u64(rows, number);
	buf_put_char(rows, last ? '\n' : '\t');
}

/** The end of the cell that begins at @p at. @param ret_width  its UTF-8 characters */
static const char *cell_end(const char *at, const char *end, size_t *ret_width)
{
	size_t width = 0;

	for (; at < end && *at != '\t' && *at != '\n'; at++)
		width += ((unsigned char)*at & 0xc0) != 0x80;
	*ret_width = width;
	return at;
}

static void put_blanks(struct buf *out, size_t count)
{
	if (buf_reserve(out, count) < 0)
		return;
	memset(out->data + out->len, ' ', count);
	out->len += count;
}

void table_measure(struct table *table, const struct buf *rows)
{
	size_t *width = table->width;
	if (rows->len == 0)
		return;
	const char *end = rows->data + rows->len;
	unsigned column = 0;

	for (const char *at = rows->data; at < end;) {
		size_t wide;
		const char *stop = cell_end(at, end, &wide);

		if (column < TABLE_COLUMNS_MAX && wide > width[column])
			width[column] = wide;
		column = stop < end && *stop == '\t' ? column + 1 : 0;
		at = stop + 1;
	}
}

void table_put_rows(const struct table *table, struct buf *out, const struct buf *rows)
{
	const size_t *width = table->width;
	if (rows->len == 0)
		return;
	const char *end = rows->data + rows->len;
	unsigned column = 0;

	for (const char *at = rows->data; at < end;) {
		size_t wide;
		const char *stop = cell_end(at, end, &wide);
		bool last = stop == end || *stop == '\n';

		buf_add(out, at, (size_t)(stop - at));
		if (last) {
			buf_put_char(out, '\n');
		} else if (column < TABLE_COLUMNS_MAX && wide < width[column] + 2) {
			put_blanks(out, width[column] + 2 - wide);
		}
		column = last ? 0 : column + 1;
		at = stop + 1;
	}
}

void table_put(struct buf *out, const struct buf *rows)
{
	struct table table = {{0}};

	table_measure(&table, rows);
	table_put_rows(&table, out, rows);
}
