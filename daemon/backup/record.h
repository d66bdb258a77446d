/* SPDX-License-Identifier: MIT */
/**
 * The lines of an export: one JSON object each, written from the list of fields in model/fields.h
 * and read back strictly. No field is unknown, missing, given twice or of another type; each is
 * within its limits. Any thread.
 *
 *	{"rollcall_export":1,"history":"...","revision":N,"exported_at":"...","instances":N,"entries":N}
 *	{"instance":{"service":"...",...}}
 *	{"entry":{"kind":1,...}}
 *	{"end":true,"lines":N,"crc32":"..."}
 */
#pragma once

#include "base/attr.h"
#include "model/entry.h"

#include <stdint.h>

/** What is written now, and the only thing that is read. */
#define RECORD_FORMAT 1
/** Bytes of a line, more than any needs: each byte of metadata may take six. */
#define RECORD_LINE_MAX ((size_t)256 << 10)

enum record_kind { RECORD_HEADER, RECORD_INSTANCE, RECORD_ENTRY, RECORD_END };

struct record_header {
	uint64_t history;
	uint64_t revision;
	uint64_t instances;
	uint64_t entries;
	int64_t exported_ms;
};

struct record_end {
	uint64_t lines; /* before this one */
	uint32_t crc;   /* of all bytes before this line */
};

struct record {
	enum record_kind kind;
	union {
		struct record_header header;
		struct instance instance;
		struct entry entry;
		struct record_end end;
	};
};

#define RECORD_WHY_SIZE 320

/** Each appends one line with its end. */
void record_put_header(struct buf *out, const struct record_header *header);
void record_put_instance(struct buf *out, const struct instance *instance);
void record_put_entry(struct buf *out, const struct entry *entry);
void record_put_end(struct buf *out, const struct record_end *end);

/**
 * Reads one line, without its end. Strings of @p ret_record are borrowed from @p line, which is
 * overwritten.
 * @param ret_why  what is wrong, which names the field and its value
 * @return 0 or -EINVAL
 */
int record_read(char *line, size_t len, struct record *ret_record,
                char ret_why[RECORD_WHY_SIZE]) MUST_USE;
