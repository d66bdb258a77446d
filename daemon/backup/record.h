/* SPDX-License-Identifier: MIT */
/**
 * The lines of an export: one JSON object each, written from the lists of fields in model/fields.h.
 * Reading is strict: a field that is unknown, missing, repeated, of another type or outside its
 * limits is an error. Any thread.
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

/** The format that is written, and the only one that is read. */
#define RECORD_FORMAT 1
/** The most bytes of a line: 16 KiB of metadata take at most six times as many, as escapes. */
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

/** Each of these appends one line with its line feed. */
void record_put_header(struct buf *out, const struct record_header *header);
void record_put_instance(struct buf *out, const struct instance *instance);
void record_put_entry(struct buf *out, const struct entry *entry);
void record_put_end(struct buf *out, const struct record_end *end);

/**
 * Reads one line of @p len bytes, without its line feed. The strings of @p ret_record are borrowed
 * from @p line, which the call overwrites.
 * @param ret_why  after an error: its reason, with the field and the value
 * @return 0 or -EINVAL
 */
int record_read(char *line, size_t len, struct record *ret_record,
                char ret_why[RECORD_WHY_SIZE]) MUST_USE;
