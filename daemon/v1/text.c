/* SPDX-License-Identifier: MIT */
#include "v1/text.h"

#include "api/pretty.h"
#include "base/clock.h"

void text_put_heading(struct buf *rows)
{
	buf_put(rows, "ID\tADDRESS\tSTATUS\tSINCE\tREASON\tBY\tWEIGHT\tMETADATA\n");
}

static void text_put_metadata(struct buf *rows, struct str metadata)
{
	struct buf line;
	struct str key;
	struct str value;

	buf_init(&line, METADATA_BYTES_MAX + (size_t)3 * METADATA_ENTRIES_MAX);
	for (size_t pos = 0; metadata_next(metadata, &pos, &key, &value);) {
		if (line.len > 0)
			buf_put_char(&line, ',');
		buf_put_str(&line, key);
		buf_put_char(&line, '=');
		buf_put_str(&line, value);
	}
	table_put_cell(rows, (struct str){line.data, line.len}, true);
	buf_fini(&line);
}

/* Puts all columns except the last one, which is never padded. */
static void text_put_columns(struct buf *rows, const struct member *member)
{
	const struct instance *value = &member->value;
	char time[CLOCK_RFC3339_SIZE];

	table_put_cell(rows, value->id, false);
	instance_put_address(rows, value);
	buf_put_char(rows, '\t');
	table_put_cell(rows, str_of(status_name(value->status)), false);
	unsigned len = clock_rfc3339(value->status_since_ms, time);
	table_put_cell(rows, (struct str){time, len}, false);
	table_put_cell(rows, value->status_reason, false);
	table_put_cell(rows, value->status_by, false);
	table_put_number(rows, value->weight, false);
}

void text_put_member(struct buf *rows, const struct member *member)
{
	text_put_columns(rows, member);
	text_put_metadata(rows, member->value.metadata);
}

void text_measure_member(struct table *table, struct buf *scratch, const struct member *member)
{
	buf_reset(scratch);
	text_put_columns(scratch, member);
	buf_put_char(scratch, '\n');
	table_measure(table, scratch);
}

void text_finish(struct buf *body, struct buf *rows)
{
	table_put(body, rows);
	if (buf_error(rows) < 0 && buf_error(body) == 0)
		body->error = buf_error(rows);
	buf_fini(rows);
}
