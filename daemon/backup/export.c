/* SPDX-License-Identifier: MIT */
/*
 * Writes an export: the header, each instance, each entry, the end. One thread, no daemon.
 *
 * Invariant: each line of an instance or entry is read back before it is written, so an export that
 * was written can be imported. Relying on the journal's checksums instead is not enough: another
 * program may have stored a value with a correct checksum that an import refuses.
 */
#include "journal/export.h"
#include "backup/backup.h"
#include "backup/record.h"
#include "base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct writing {
	FILE *out;
	struct buf line;
	char *copy; /* of the line: reading it back overwrites it */
	struct record_end end;
	struct journal_error *error;
};

static int PRINTF_LIKE(3, 4) export_fail(struct writing *writing, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(writing->error->text, sizeof(writing->error->text), format, args);
	va_end(args);
	return r;
}

static int export_flush_line(struct writing *writing)
{
	struct str line = {writing->line.data, writing->line.len};

	if (buf_error(&writing->line) < 0)
		return export_fail(writing, buf_error(&writing->line), "out of memory");
	if (fwrite(line.data, 1, line.len, writing->out) != line.len) {
		int r = errno != 0 ? -errno : -EIO;

		return export_fail(writing, r, "cannot write the export: %s", strerror(-r));
	}
	writing->end.crc = journal_crc(writing->end.crc, line);
	writing->end.lines++;
	buf_reset(&writing->line);
	return 0;
}

/* Reads the line back, as an import will. */
static int export_check_line(struct writing *writing, const char *what, struct str service,
                             struct str name)
{
	char why[RECORD_WHY_SIZE];
	struct record record;

	if (buf_error(&writing->line) == -EMSGSIZE)
		(void)snprintf(why, sizeof(why), "its line is longer than %zu bytes",
		               RECORD_LINE_MAX);
	else if (buf_error(&writing->line) < 0)
		return 0; /* export_flush_line() reports it */
	else {
		memcpy(writing->copy, writing->line.data, writing->line.len);
		if (record_read(writing->copy, writing->line.len - 1, &record, why) == 0)
			return 0;
	}
	return export_fail(writing, -EILSEQ, "%s '%.*s' of '%.*s' cannot be exported: %.100s", what,
	                   (int)(name.len < 60 ? name.len : 60), name.data,
	                   (int)(service.len < 60 ? service.len : 60), service.data, why);
}

static int export_write_instance(void *arg, const struct instance *instance)
{
	struct writing *writing = arg;

	record_put_instance(&writing->line, instance);
	int r = export_check_line(writing, "instance", instance->service, instance->id);
	return r < 0 ? r : export_flush_line(writing);
}

static int export_write_entry(void *arg, const struct entry *entry)
{
	struct writing *writing = arg;

	record_put_entry(&writing->line, entry);
	int r = export_check_line(writing, "entry", entry->service, entry->name);
	return r < 0 ? r : export_flush_line(writing);
}

static int export_write_all(struct writing *writing, struct journal_export *export,
                            const struct journal_summary *summary)
{
	struct record_header header = {
		.history = summary->history,
		.revision = summary->revision,
		.instances = summary->instances,
		.entries = summary->entries,
		.exported_ms = clock_real_ms(),
	};
	int r;

	record_put_header(&writing->line, &header);
	r = export_flush_line(writing);
	if (r < 0)
		return r;
	r = journal_export_each(export, export_write_instance, export_write_entry, writing);
	if (r < 0)
		return writing->error->text[0] != '\0'
		               ? r
		               : export_fail(writing, r, "cannot read the journal: %s",
		                             strerror(-r));
	struct record_end end = writing->end;
	record_put_end(&writing->line, &end);
	r = export_flush_line(writing);
	if (r == 0 && fflush(writing->out) != 0) {
		r = errno != 0 ? -errno : -EIO;
		(void)export_fail(writing, r, "cannot write the export: %s", strerror(-r));
	}
	return r;
}

int backup_export(const char *dir, FILE *out, struct journal_error *ret_error)
{
	struct writing writing = {.out = out, .error = ret_error};
	struct journal_export *export = NULL;
	struct journal_summary summary;
	int r = journal_export_open(dir, &export, &summary, ret_error);

	if (r < 0)
		return r;
	ret_error->text[0] = '\0';
	buf_init(&writing.line, RECORD_LINE_MAX);
	writing.copy = malloc(RECORD_LINE_MAX);
	r = writing.copy == NULL ? export_fail(&writing, -ENOMEM, "out of memory")
	                         : export_write_all(&writing, export, &summary);
	free(writing.copy);
	buf_fini(&writing.line);
	journal_export_close(export);
	return r;
}
