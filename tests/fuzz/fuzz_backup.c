/* SPDX-License-Identifier: MIT */
/**
 * A line of an export: what is taken is JSON to jansson too, within the limits of what a journal
 * holds, and written and read once more it is the same; nothing is read beyond the end.
 */
#include "backup/record.h"
#include "base/check.h"
#include "journal/pack.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_json(struct str line)
{
	json_error_t error;
	json_t *root = json_loadb(line.data, line.len, 0, &error);

	/* a document may hold numbers that only jansson has no room for */
	if (root == NULL)
		return json_error_code(&error) == json_error_numeric_overflow;
	json_decref(root);
	return true;
}

static void put(struct buf *out, const struct record *record)
{
	switch (record->kind) {
	case RECORD_HEADER:
		record_put_header(out, &record->header);
		break;
	case RECORD_INSTANCE:
		record_put_instance(out, &record->instance);
		break;
	case RECORD_ENTRY:
		record_put_entry(out, &record->entry);
		break;
	case RECORD_END:
		record_put_end(out, &record->end);
		break;
	}
	CHECK(buf_error(out) == 0);
}

static void check_again(const struct record *record)
{
	char why[RECORD_WHY_SIZE];
	struct record again;
	struct buf out;
	struct buf more; /* what again borrows from */
	struct buf last;

	buf_init(&last, RECORD_LINE_MAX);
	buf_init(&out, RECORD_LINE_MAX);
	buf_init(&more, RECORD_LINE_MAX);
	put(&out, record);
	put(&more, record);
	CHECK(out.data[out.len - 1] == '\n' && memchr(out.data, '\n', out.len - 1) == NULL);
	CHECK_OK(record_read(more.data, more.len - 1, &again, why));
	CHECK(again.kind == record->kind);
	put(&last, &again);
	CHECK(last.len == out.len && memcmp(last.data, out.data, out.len) == 0);
	buf_fini(&last);
	buf_fini(&more);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of just this length, so that a sanitizer sees each read beyond it. */
	char *copy = malloc(size + (size == 0));
	char why[RECORD_WHY_SIZE];
	struct record record;

	if (size > RECORD_LINE_MAX / 8) {
		free(copy);
		return 0;
	}
	CHECK(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	int r = record_read(copy, size, &record, why);
	CHECK((r == 0) == (why[0] == '\0') && strlen(why) < sizeof(why));
	if (r == 0) {
		struct parts parts;
		struct instance instance;
		struct entry entry;

		CHECK(is_json((struct str){(const char *)data, size}));
		if (record.kind == RECORD_INSTANCE) {
			parts_of_instance(&record.instance, &parts);
			CHECK_OK(parts_to_instance(&parts, &instance));
		} else if (record.kind == RECORD_ENTRY) {
			parts_of_entry(&record.entry, &parts);
			CHECK_OK(parts_to_entry(&parts, &entry));
			CHECK(entry_is_valid(&entry));
		}
		check_again(&record);
	}
	free(copy);
	return 0;
}
