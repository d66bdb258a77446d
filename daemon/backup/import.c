/* SPDX-License-Identifier: MIT */
/*
 * Reads an export into a new journal. One thread, no daemon. The lines must come in this order: the
 * header, as many instances and then entries as it counts, the end, and nothing after it.
 *
 * Invariant: the new journal is put in place (journal_import_finish()) only when the counts and the
 * checksum in the last line agree with all lines before it. Importing line by line into the state
 * directory itself would leave a part of a state behind when the export turns out to be truncated.
 */
#include "journal/import.h"
#include "backup/backup.h"
#include "backup/record.h"
#include "journal/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	FILE *in;
	char *line;
	size_t len;
	uint64_t lines;      /* number of the current line, from 1 */
	uint32_t crc;        /* of all lines read */
	uint32_t crc_before; /* of all lines before the current one */
	struct record_header header;
	uint64_t instances;
	uint64_t entries;
	struct journal_import *import;
	struct journal_error *error;
};

static int PRINTF_LIKE(2, 3) import_refuse(struct reading *reading, const char *format, ...)
{
	char why[RECORD_WHY_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	(void)snprintf(reading->error->text, sizeof(reading->error->text),
	               "line %" PRIu64 ": %.230s", reading->lines, why);
	return -EINVAL;
}

/* Reads the next line, without its line feed. @return 1; 0: there is no line left; or an error */
static int import_next_line(struct reading *reading)
{
	int c;

	reading->len = 0;
	reading->lines++;
	errno = 0;
	while ((c = getc_unlocked(reading->in)) != EOF && c != '\n') {
		if (reading->len == RECORD_LINE_MAX)
			return import_refuse(reading, "it is longer than %zu bytes",
			                     RECORD_LINE_MAX);
		reading->line[reading->len++] = (char)c;
	}
	if (ferror(reading->in) != 0) {
		int r = errno != 0 ? -errno : -EIO;

		(void)snprintf(reading->error->text, sizeof(reading->error->text),
		               "cannot read the export: %s", strerror(-r));
		return r;
	}
	if (c == EOF && reading->len > 0)
		return import_refuse(reading, "the export is truncated within this line");
	if (c == EOF)
		return 0;
	/* The checksum comes first: record_read() overwrites the line. */
	reading->crc_before = reading->crc;
	reading->crc = journal_crc(reading->crc, (struct str){reading->line, reading->len});
	reading->crc = journal_crc(reading->crc, STR("\n"));
	return 1;
}

static int import_next_record(struct reading *reading, struct record *ret_record)
{
	char why[RECORD_WHY_SIZE];
	int r = import_next_line(reading);

	if (r < 0)
		return r;
	if (r == 0)
		return import_refuse(reading, "the export is truncated before this line");
	r = record_read(reading->line, reading->len, ret_record, why);
	return r < 0 ? import_refuse(reading, "%s", why) : 0;
}

static int import_read_header(struct reading *reading)
{
	struct record record = {.kind = RECORD_END};
	int r = import_next_record(reading, &record);

	if (r < 0)
		return r;
	if (record.kind != RECORD_HEADER)
		return import_refuse(reading, "an export must begin with {\"rollcall_export\":");
	reading->header = record.header;
	return 0;
}

static int import_add(struct reading *reading, const struct record *record)
{
	bool is_instance = record->kind == RECORD_INSTANCE;
	uint64_t *count = is_instance ? &reading->instances : &reading->entries;
	uint64_t most = is_instance ? reading->header.instances : reading->header.entries;
	int r;

	if (is_instance && reading->entries > 0)
		return import_refuse(reading, "an instance must not come after an entry");
	if (++*count > most)
		return import_refuse(reading, "more %s than the %" PRIu64 " of the header",
		                     is_instance ? "instances" : "entries", most);
	r = is_instance
	            ? journal_import_instance(reading->import, &record->instance, reading->error)
	            : journal_import_entry(reading->import, &record->entry, reading->error);
	if (r != -EINVAL)
		return r;
	char why[sizeof(reading->error->text)];
	(void)snprintf(why, sizeof(why), "%s", reading->error->text);
	return import_refuse(reading, "%s", why);
}

static int import_check_end(struct reading *reading, const struct record_end *end)
{
	const struct record_header *header = &reading->header;

	if (reading->instances != header->instances || reading->entries != header->entries)
		return import_refuse(reading,
		                     "the header has %" PRIu64 " instances and %" PRIu64
		                     " entries, but there are %" PRIu64 " and %" PRIu64,
		                     header->instances, header->entries, reading->instances,
		                     reading->entries);
	if (end->lines != reading->lines - 1)
		return import_refuse(reading, "there are %" PRIu64 " lines before it, not %" PRIu64,
		                     reading->lines - 1, end->lines);
	if (end->crc != reading->crc_before)
		return import_refuse(reading,
		                     "the checksum of the lines before it is %08" PRIx32
		                     ", not %08" PRIx32,
		                     reading->crc_before, end->crc);
	int r = import_next_line(reading);
	return r == 0 || (r < 0 && r != -EINVAL)
	               ? r
	               : import_refuse(reading, "unexpected data after the end");
}

/* Reads all lines after the header. */
static int import_read_all(struct reading *reading)
{
	struct record record = {.kind = RECORD_END};
	int r;

	do {
		r = import_next_record(reading, &record);
		if (r == 0 && record.kind == RECORD_END)
			return import_check_end(reading, &record.end);
		if (r == 0 && record.kind == RECORD_HEADER)
			r = import_refuse(reading, "unexpected second header");
		if (r == 0)
			r = import_add(reading, &record);
	} while (r == 0);
	return r;
}

int backup_import(const char *dir, FILE *in, struct journal_error *ret_error)
{
	struct reading reading = {.in = in, .error = ret_error};
	int r;

	reading.line = malloc(RECORD_LINE_MAX);
	if (reading.line == NULL) {
		(void)snprintf(ret_error->text, sizeof(ret_error->text), "out of memory");
		return -ENOMEM;
	}
	r = journal_import_open(dir, &reading.import, ret_error);
	if (r == 0)
		r = import_read_header(&reading);
	if (r == 0)
		r = import_read_all(&reading);
	if (r == 0)
		r = journal_import_finish(reading.import, reading.header.revision, ret_error);
	journal_import_close(reading.import);
	free(reading.line);
	return r;
}
