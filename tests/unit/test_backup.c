/* SPDX-License-Identifier: MIT */
/** Exports and imports of whole state directories. */
#include "backup/backup.h"
#include "base/clock.h"
#include "fault.h"
#include "faultvfs.h"
#include "journal/export.h"
#include "journal/pack.h"
#include "statedir.h"
#include "suite.h"

#include <dirent.h>
#include <errno.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW_MS   INT64_C(1790000000000)
#define PACK_MAX (64u << 20)

static struct journal *journal;
static struct journal_error error;
static char target[96]; /* where imports go */
static char *text;      /* of the latest export */
static size_t text_len;

static void setup(void)
{
	faultvfs_install();
	clock_virtual_set(NOW_MS);
	statedir_make();
	(void)snprintf(target, sizeof(target), "%s-copy", statedir_path());
	journal = statedir_open();
}

static void remove_target(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", target);
	ck_assert_int_eq(system(command), 0);
}

static void teardown(void)
{
	faultvfs_reset();
	journal_close(journal);
	statedir_remove();
	remove_target();
	free(text);
	text = NULL;
	clock_virtual_off();
}

/* --- helpers -------------------------------------------------------------------------- */

static struct event entry_event(enum event_kind kind, const char *service, const char *name,
                                const char *document)
{
	return (struct event){
		.kind = kind,
		.time_ms = NOW_MS,
		.author = STR("ann"),
		.entry = {.kind = ENTRY_INTENT,
	                  .service = str_of(service),
	                  .name = str_of(name),
	                  .document = str_of(document)},
	};
}

static void append(struct event *event)
{
	ck_ok(journal_append(journal, event, 1));
}

/** Closes the journal and exports its directory, or @p dir. */
static int export_of(const char *dir)
{
	journal_close(journal);
	journal = NULL;
	free(text);
	text = NULL;
	FILE *out = open_memstream(&text, &text_len);
	ck_assert_ptr_nonnull(out);
	error.text[0] = '\0';
	int r = backup_export(dir != NULL ? dir : statedir_path(), out, &error);
	ck_assert_int_eq(fclose(out), 0);
	return r;
}

static int import_of(const char *bytes, size_t len)
{
	FILE *in = len > 0 ? fmemopen((void *)(uintptr_t)bytes, len, "r") : fopen("/dev/null", "r");

	ck_assert_ptr_nonnull(in);
	error.text[0] = '\0';
	int r = backup_import(target, in, &error);
	ck_assert_int_eq(fclose(in), 0);
	return r;
}

static bool target_has(const char *name)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", target, name);
	return access(path, F_OK) == 0;
}

/** How many files are in the target; -1: there is no such directory. */
static int target_files(void)
{
	DIR *dir = opendir(target);
	int count = 0;

	if (dir == NULL)
		return -1;
	while (readdir(dir) != NULL)
		count++;
	(void)closedir(dir);
	return count - 2;
}

static void open_target(void)
{
	struct journal_options options = {.dir = target};

	ck_assert_msg(journal_open(&options, &journal, &error) == 0, "%s", error.text);
}

static int pack_instance_of(void *arg, const struct instance *instance)
{
	pack_instance(arg, instance);
	return 0;
}

static int pack_entry_of(void *arg, const struct entry *entry)
{
	pack_entry(arg, entry);
	return 0;
}

/** All that the open journal restores, in its order. */
static struct buf restored(void)
{
	struct buf out;

	buf_init(&out, PACK_MAX);
	ck_ok(journal_restore(journal, pack_instance_of, &out));
	ck_ok(journal_restore_entries(journal, pack_entry_of, &out));
	ck_assert_int_eq(buf_error(&out), 0);
	return out;
}

static void print_finding(void *arg, const char *line)
{
	(void)arg;
	ck_abort_msg("%s", line);
}

/* Ends the export @p lines with what belongs behind them. @return its length */
static size_t seal(char *out, size_t size, const char *lines)
{
	uint64_t count = 0;

	for (const char *c = lines; *c != '\0'; c++)
		count += *c == '\n';
	return (size_t)snprintf(out, size, "%s{\"end\":true,\"lines\":%llu,\"crc32\":\"%08x\"}\n",
	                        lines, (unsigned long long)count, journal_crc(0, str_of(lines)));
}

/* --- a round trip --------------------------------------------------------------------- */

static uint64_t seed = 1;

static unsigned chance(unsigned below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % below;
}

#define LIVES 1500
static struct event lives[LIVES]; /* the latest event of each id; kind 0: not there */
static char ids[LIVES][16];
static char metadata[LIVES][64];

/** Something in every field that a journal may hold. */
static struct event random_event(int n)
{
	static const char *const texts[] = {"", "kernel \"update\"",
	                                    "\xf0\x9f\x98\x80 \\ \xc3\xa4"};
	static const char *const services[] = {"web", "db", "a.b_c-1"};
	struct event event = statedir_event(EVENT_REGISTERED, services[n % 3], ids[n]);
	struct instance *instance = &event.instance;

	(void)snprintf(ids[n], sizeof(ids[n]), "id/%d:\"\\", n);
	instance->id = str_of(ids[n]);
	instance->ttl_ms = chance(3) == 0 ? 0 : 1000 + chance(80000000);
	instance->remove_after_ms = chance(2) == 0 ? 0 : (int64_t)chance(1u << 31) * 10;
	instance->port = (uint16_t)(1 + chance(65535));
	instance->weight = (uint16_t)chance(65536);
	instance->wants_drain = chance(2) == 0;
	instance->reports_unhealthy = !instance->wants_drain && chance(2) == 0;
	instance->lease_out = instance->ttl_ms > 0 && chance(2) == 0;
	instance->drained = chance(2) == 0;
	instance->drained_until_ms = instance->drained ? NOW_MS + chance(1000000) : 0;
	instance->status_reason = str_of(texts[chance(3)]);
	instance->status_by = STR("operator:192.0.2.1");
	instance->owner = str_of(texts[chance(3)]);
	instance->status_since_ms = NOW_MS - chance(1000000);
	instance->registered_ms = -(int64_t)chance(1000000); /* by a clock that was wrong */
	instance->metadata = (struct str){NULL, 0};
	instance->metadata_count = 0;
	if (chance(2) == 0) {
		int len = snprintf(metadata[n], sizeof(metadata[n]), "k%ck%u\n%cz\"%c%s", 0,
		                   chance(100), 0, 0, texts[chance(3)]);
		instance->metadata = (struct str){metadata[n], (size_t)len + 1};
		instance->metadata_count = 2;
	}
	return event;
}

static void make_random_state(void)
{
	for (int step = 0; step < 3 * LIVES; step++) {
		int n = (int)chance(LIVES);
		struct event event = random_event(n);
		bool is_there = lives[n].kind != 0 && !event_removes(lives[n].kind);

		if (is_there) {
			event.kind = chance(4) == 0 ? EVENT_DEREGISTERED : EVENT_UPDATED;
			event.instance.incarnation = lives[n].instance.incarnation;
		}
		append(&event);
		lives[n] = event;
		if (step % 10 == 0) {
			char name[16];

			(void)snprintf(name, sizeof(name), "e%d", step);
			event = entry_event(
				EVENT_ENTRY_PUT, "web", name,
				"{\"a\":[1,-2.5e3,true,null,{\"b\":\"\\u00e4\\\"\"}],\"a\":{}}");
			append(&event);
		}
	}
}

START_TEST(an_import_of_an_export_restores_the_same)
{
	make_random_state();
	uint64_t history = journal_history_id(journal);
	uint64_t revision = journal_revision(journal);
	struct buf before = restored();
	ck_assert_uint_gt(before.len, 100000);

	ck_assert_msg(export_of(NULL) == 0, "%s", error.text);
	ck_assert_msg(import_of(text, text_len) == 0, "%s", error.text);
	ck_assert(!target_has("rollcall.db.building"));
	ck_assert_int_eq(journal_verify(target, print_finding, NULL), 0);
	open_target();
	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
	struct buf after = restored();
	ck_assert_uint_eq(after.len, before.len);
	ck_assert_mem_eq(after.data, before.data, before.len);
	ck_assert(journal_history_id(journal) != history);
	ck_assert_uint_ge(journal_revision(journal), revision);

	/* and once more: all lines but the first and the last are the same */
	char *first = text;
	text = NULL;
	ck_assert_msg(export_of(target) == 0, "%s", error.text);
	char *a = strchr(first, '\n');
	char *b = strchr(text, '\n');
	ck_assert_ptr_nonnull(strstr(a, "\n{\"end\""));
	*strstr(a, "\n{\"end\"") = '\0';
	*strstr(b, "\n{\"end\"") = '\0';
	ck_assert_str_eq(a, b);
	free(first);
	buf_fini(&before);
	buf_fini(&after);
}
END_TEST

START_TEST(an_empty_registry_is_moved_too)
{
	ck_assert_msg(export_of(NULL) == 0, "%s", error.text);
	ck_assert_msg(import_of(text, text_len) == 0, "%s", error.text);
	open_target();
	struct buf nothing = restored();
	ck_assert_uint_eq(nothing.len, 0);
	buf_fini(&nothing);
}
END_TEST

START_TEST(the_new_history_begins_after_the_old_one)
{
	struct event events[] = {
		statedir_event(EVENT_REGISTERED, "web", "b"),
		statedir_event(EVENT_REGISTERED, "web", "a"),
		statedir_event(EVENT_DEREGISTERED, "web", "a"),
	};
	struct journal_reader *reader = NULL;
	uint64_t last = 0;
	uint64_t oldest = 0;

	ck_ok(journal_append(journal, events, 3));
	ck_assert_msg(export_of(NULL) == 0, "%s", error.text);
	ck_assert_msg(import_of(text, text_len) == 0, "%s", error.text);
	open_target();
	ck_assert_uint_eq(journal_revision(journal), NOW_MS);
	struct event event = statedir_event(EVENT_REGISTERED, "web", "c");
	append(&event);
	ck_assert_uint_eq(event.revision, NOW_MS + 1);
	ck_ok(journal_reader_open(target, &reader));
	/* also revisions that the old registry gave after the export */
	for (uint64_t since = 0; since < 100; since++) {
		struct journal_query query = {.since = since, .limit = 10};

		ck_fails(journal_reader_events(reader, &query, NULL, NULL, &last, &oldest), ESTALE);
		ck_assert_uint_eq(oldest, NOW_MS + 1);
	}
	journal_reader_close(reader);
	journal_close(journal);
	journal = NULL;
	ck_assert_int_eq(journal_verify(target, print_finding, NULL), 0);
}
END_TEST

/* --- what is no whole export ---------------------------------------------------------- */

static void make_small_export(void)
{
	struct event instance = statedir_event(EVENT_REGISTERED, "web", "a");
	struct event entry = entry_event(EVENT_ENTRY_PUT, "web", "b", "{\"status\":\"draining\"}");

	append(&instance);
	append(&entry);
	ck_assert_msg(export_of(NULL) == 0, "%s", error.text);
}

START_TEST(an_export_that_was_cut_anywhere_leaves_nothing)
{
	make_small_export();
	for (size_t len = 0; len < text_len; len++) {
		if (len % 2 == 0)
			ck_assert_int_eq(mkdir(target, 0700), 0);
		ck_assert_msg(import_of(text, len) == -EINVAL, "%zu", len);
		ck_assert_msg(strstr(error.text, "truncated") != NULL, "%zu: %s", len, error.text);
		ck_assert_int_eq(target_files(), len % 2 == 0 ? 0 : -1);
		if (len % 2 == 0)
			ck_assert_int_eq(rmdir(target), 0);
	}
	ck_assert_msg(import_of(text, text_len) == 0, "%s", error.text);
}
END_TEST

START_TEST(a_byte_that_has_changed_is_found)
{
	make_small_export();
	for (size_t i = 0; i < text_len; i++) {
		char was = text[i];

		text[i] = (char)(was ^ 1);
		ck_assert_msg(import_of(text, text_len) == -EINVAL, "%zu", i);
		ck_assert_str_ne(error.text, "");
		ck_assert_int_eq(target_files(), -1);
		text[i] = was;
	}
}
END_TEST

#define HEAD                                                                                      \
	"{\"rollcall_export\":1,\"history\":\"0123456789abcdef\",\"revision\":9,\"exported_at\":" \
	"\"2026-11-30T20:00:00.000Z\",\"instances\":%d,\"entries\":%d}\n"
#define ONE(id, incarnation, revision)                                                           \
	"{\"instance\":{\"service\":\"web\",\"id\":\"" id "\",\"host\":\"h\",\"port\":1,"        \
	"\"weight\":1,\"metadata\":{},\"metadata_count\":0,\"ttl_ms\":0,"                        \
	"\"remove_after_ms\":0,\"wants_drain\":false,\"reports_unhealthy\":false,"               \
	"\"lease_out\":false,\"drained\":false,"                                                 \
	"\"status_reason\":\"\",\"status_by\":\"\",\"status_since_ms\":0,"                       \
	"\"drained_until_ms\":0,\"registered_ms\":0,\"owner\":\"\",\"incarnation\":" incarnation \
	",\"revision\":" revision "}}\n"
#define ENTRY(name, incarnation, revision)                                                     \
	"{\"entry\":{\"kind\":1,\"service\":\"web\",\"name\":\"" name "\",\"document\":{},"    \
	"\"author\":\"\",\"time_ms\":0,\"incarnation\":" incarnation ",\"revision\":" revision \
	"}}\n"

START_TEST(lines_that_contradict_each_other_are_refused)
{
	static const struct {
		int instances, entries;
		const char *lines;
		const char *reason; /* NULL: it is sound */
	} cases[] = {
		{2, 1, ONE("a", "1", "1") ONE("b", "2", "3") ENTRY("a", "4", "9"), NULL},
		{2, 0, ONE("a", "1", "1") ONE("a", "2", "3"),
	         "instance 'a' of 'web': occurs twice"},
		{0, 2, ENTRY("a", "1", "1") ENTRY("a", "2", "3"),
	         "entry 'a' of 'web': occurs twice"},
		{2, 0, ONE("a", "2", "2") ONE("b", "1", "3"),
	         "line 3: incarnation 1 must be greater than 2"},
		{2, 0, ONE("a", "1", "1") ONE("b", "1", "3"),
	         "line 3: incarnation 1 must be greater than 1"},
		{0, 2, ENTRY("a", "2", "2") ENTRY("b", "1", "3"),
	         "line 3: incarnation 1 must be greater"},
		{2, 0, ONE("a", "1", "3") ONE("b", "2", "3"), "share a revision"},
		{1, 1, ONE("a", "1", "2") ENTRY("b", "1", "3"),
	         "share a revision or an incarnation"},
		{1, 1, ENTRY("b", "1", "1") ONE("a", "2", "2"),
	         "line 3: an instance must not come after"},
		{1, 0, ONE("a", "1", "10"), "the revision 9 must be from 10"},
		{1, 0, ONE("a", "3", "2"), "line 2: incarnation is above revision"},
		{1, 0, ONE("a", "1", "1") ONE("b", "2", "2"), "line 3: more instances than the 1"},
		{0, 0, ENTRY("a", "1", "1"), "line 2: more entries than the 0"},
		{2, 0, ONE("a", "1", "1"),
	         "line 3: the header has 2 instances and 0 entries, but there"},
		{1, 1, ONE("a", "1", "1"),
	         "line 3: the header has 1 instances and 1 entries, but there"},
		{0, 0, "{\"end\":true,\"lines\":1,\"crc32\":\"00000000\"}\n",
	         "line 2: the checksum"},
		{0, 0, HEAD, "line 2: "},
		{0, 0, "\n", "line 2: '{' was expected at byte 1"},
	};
	static char lines[4096];
	static char whole[4096];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int len =
			snprintf(lines, sizeof(lines), HEAD, cases[i].instances, cases[i].entries);
		(void)snprintf(lines + len, sizeof(lines) - (size_t)len, "%s", cases[i].lines);
		int r = import_of(whole, seal(whole, sizeof(whole), lines));
		if (cases[i].reason == NULL) {
			ck_assert_msg(r == 0, "%zu: %s", i, error.text);
			remove_target();
			continue;
		}
		ck_assert_msg(r == -EINVAL, "%zu: %d %s", i, r, error.text);
		ck_assert_msg(strstr(error.text, cases[i].reason) != NULL, "%zu: %s", i,
		              error.text);
		ck_assert_int_eq(target_files(), -1);
	}
}
END_TEST

START_TEST(what_is_around_the_lines_is_checked)
{
	static char whole[1024];
	static char lines[512];

	(void)snprintf(lines, sizeof(lines), HEAD, 0, 0);
	size_t len = seal(whole, sizeof(whole), lines);
	ck_assert_msg(import_of(whole, len) == 0, "%s", error.text);
	remove_target();
	whole[len] = '\n';
	ck_fails(import_of(whole, len + 1), EINVAL);
	ck_assert_str_eq(error.text, "line 3: unexpected data after the end");
	whole[len] = 'x';
	ck_fails(import_of(whole, len + 1), EINVAL);
	ck_assert_str_eq(error.text, "line 3: unexpected data after the end");
	char *wrong = strstr(whole, "\"lines\":1");
	wrong[8] = '2';
	ck_fails(import_of(whole, len), EINVAL);
	ck_assert_str_eq(error.text, "line 2: there are 1 lines before it, not 2");
	len = seal(whole, sizeof(whole), ONE("a", "1", "1"));
	ck_fails(import_of(whole, len), EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "line 1: an export must begin with"));
	char *second = strstr(lines, "\"revision\":9");
	memcpy(second, "\"revision\":0", 12);
	(void)snprintf(lines + strlen(lines), 256, HEAD, 0, 0);
	len = seal(whole, sizeof(whole), lines);
	ck_fails(import_of(whole, len), EINVAL);
	ck_assert_str_eq(error.text, "line 2: unexpected second header");
	static const char *const revisions[] = {"9007199254740993", "4503599627370497"};
	for (size_t i = 0; i < ARRAY_LEN(revisions); i++) {
		(void)snprintf(
			lines, sizeof(lines),
			"{\"rollcall_export\":1,\"history\":\"0123456789abcdef\",\"revision\":%s,"
			"\"exported_at\":\"2026-11-30T20:00:00Z\",\"instances\":0,\"entries\":0}\n",
			revisions[i]);
		ck_fails(import_of(whole, seal(whole, sizeof(whole), lines)), EINVAL);
		ck_assert_ptr_nonnull(strstr(error.text, "must be from 0"));
	}
	ck_assert_int_eq(target_files(), -1);
}
END_TEST

START_TEST(a_line_without_end_is_refused)
{
	size_t len = (size_t)300 << 10;
	char *endless = malloc(len);

	memset(endless, ' ', len);
	ck_fails(import_of(endless, len), EINVAL);
	ck_assert_str_eq(error.text, "line 1: it is longer than 262144 bytes");
	free(endless);
}
END_TEST

/* --- directories ---------------------------------------------------------------------- */

START_TEST(a_directory_that_is_not_empty_is_left_alone)
{
	static const char *const names[] = {
		"rollcall.db",      "rollcall.db.salvaged",
		"rollcall.reserve", "rollcall.keyframe-0000000000000001",
		"rollcall.db-wal",  "rollcall.db.corrupt-20261130T200000Z",
		"notes.txt",        "rollcall.db.buildin"};
	char path[160];

	make_small_export();
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		ck_assert_int_eq(mkdir(target, 0700), 0);
		(void)snprintf(path, sizeof(path), "%s/%s", target, names[i]);
		FILE *file = fopen(path, "w");
		ck_assert_ptr_nonnull(file);
		ck_assert_int_eq(fclose(file), 0);
		ck_fails(import_of(text, text_len), EEXIST);
		ck_assert_ptr_nonnull(strstr(error.text, names[i]));
		ck_assert_int_eq(target_files(), 1);
		ck_assert(target_has(names[i]));
		remove_target();
	}
	ck_assert_int_eq(import_of(text, text_len), 0);
	ck_fails(import_of(text, text_len), EEXIST);
	ck_assert_ptr_nonnull(strstr(error.text, "'rollcall.db' is in it"));
	ck_assert_int_eq(journal_verify(target, print_finding, NULL), 0);
}
END_TEST

static void touch(const char *name)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", target, name);
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(what_a_killed_import_left_is_in_nobodys_way)
{
	make_small_export();
	for (int start = 0; start < 2; start++) {
		ck_assert_int_eq(mkdir(target, 0700), 0);
		touch("rollcall.db.building");
		touch("rollcall.db.building-wal");
		touch("rollcall.lock");
		if (start == 1) {
			open_target();
			ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_NONE);
		} else {
			ck_assert_msg(import_of(text, text_len) == 0, "%s", error.text);
		}
		ck_assert(!target_has("rollcall.db.building"));
		ck_assert(!target_has("rollcall.db.building-wal"));
		remove_target();
	}
}
END_TEST

START_TEST(a_directory_in_use_is_refused)
{
	ck_fails(backup_export(statedir_path(), stdout, &error), EBUSY);
	ck_assert_ptr_nonnull(strstr(error.text, "is in use by process"));
	make_small_export();
	ck_assert_int_eq(mkdir(target, 0700), 0);
	open_target();
	ck_fails(import_of(text, text_len), EBUSY);
	ck_assert_ptr_nonnull(strstr(error.text, "is in use by process"));
	ck_assert(target_has("rollcall.db"));
}
END_TEST

START_TEST(directories_that_are_not_there)
{
	journal_close(journal);
	journal = NULL;
	ck_fails(backup_export("/nonexistent", stdout, &error), ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, "/nonexistent"));
	ck_assert_int_eq(unlink(statedir_file("rollcall.db")), 0);
	ck_fails(export_of(NULL), ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, "rollcall.db"));
	statedir_remove();
	statedir_make();
	statedir_sql("");
	ck_fails(export_of(NULL), ENODATA);
	ck_assert_ptr_nonnull(strstr(error.text, "nothing has been written"));
	(void)snprintf(target, sizeof(target), "/nonexistent/a");
	ck_fails(import_of("", 0), ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, "/nonexistent/a"));
}
END_TEST

START_TEST(what_is_damaged_or_older_is_not_exported)
{
	static const struct {
		const char *sql;
		int error;
		const char *reason;
	} cases[] = {
		{"UPDATE instances SET port = port + 1", EBADMSG,
	         "is damaged: instance 'a' of 'web': its content"},
		{"DELETE FROM entries", EBADMSG,
	         "is damaged: entry 'b' of 'web': is missing after"},
		{"PRAGMA user_version = 1", EPROTO, "older version"},
		{"PRAGMA user_version = 99", EPROTO, "newer version"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make_small_export();
		statedir_sql(cases[i].sql);
		ck_fails(export_of(NULL), cases[i].error);
		ck_assert_msg(strstr(error.text, cases[i].reason) != NULL, "%s", error.text);
		ck_assert_uint_eq(text_len, 0);
		statedir_remove();
		statedir_make();
		journal = statedir_open();
	}
}
END_TEST

/** Its row is sound, but no import would take it. */
START_TEST(what_no_import_takes_is_not_exported)
{
	struct event event = statedir_event(EVENT_REGISTERED, "web", "a");

	event.instance.status_by = STR("\xff");
	append(&event);
	ck_fails(export_of(NULL), EILSEQ);
	ck_assert_str_eq(error.text,
	                 "instance 'a' of 'web' cannot be exported: status_by: a string "
	                 "is not UTF-8");
}
END_TEST

/* --- faults --------------------------------------------------------------------------- */

START_TEST(a_disk_that_is_full_leaves_nothing)
{
	static const struct {
		int code, error;
		enum faultvfs_op op;
	} cases[] = {
		{SQLITE_FULL, ENOSPC, FAULTVFS_WRITE},
		{SQLITE_IOERR_WRITE, EIO, FAULTVFS_WRITE},
		{SQLITE_IOERR_FSYNC, EIO, FAULTVFS_SYNC},
	};

	make_small_export();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int n = 0;

		for (;; n++) {
			ck_assert_int_lt(n, 500);
			faultvfs_reset();
			faultvfs_fail(cases[i].op, FAULTVFS_ANY, n, cases[i].code);
			int r = import_of(text, text_len);
			if (!faultvfs_hit())
				break;
			ck_assert_msg(r == -cases[i].error, "%zu %d: %d %s", i, n, r, error.text);
			ck_assert_str_ne(error.text, "");
			ck_assert_msg(target_files() == -1, "%zu %d: %d", i, n, target_files());
		}
		ck_assert_int_gt(n, 2);
		faultvfs_reset();
		ck_assert_int_eq(journal_verify(target, print_finding, NULL), 0);
		remove_target();
	}
}
END_TEST

START_TEST(memory_that_runs_out_leaves_nothing)
{
	make_small_export();
	for (int n = 0;; n++) {
		FILE *in = fmemopen(text, text_len, "r");

		ck_assert_int_lt(n, 100);
		fault_arm(n);
		int r = backup_import(target, in, &error);
		bool hit = fault_hit();
		ck_assert_int_eq(fclose(in), 0);
		if (!hit)
			break;
		ck_assert_msg(r == -ENOMEM, "%d: %d %s", n, r, error.text);
		ck_assert_int_eq(target_files(), -1);
	}
	remove_target();
}
END_TEST

START_TEST(output_that_cannot_be_written_is_an_error)
{
	make_small_export();
	FILE *full = fopen("/dev/full", "w");
	ck_assert_ptr_nonnull(full);
	ck_fails(backup_export(statedir_path(), full, &error), ENOSPC);
	ck_assert_str_eq(error.text, "cannot write the export: No space left on device");
	(void)fclose(full);
}
END_TEST

SUITE("backup", setup, teardown, an_import_of_an_export_restores_the_same,
      an_empty_registry_is_moved_too, the_new_history_begins_after_the_old_one,
      an_export_that_was_cut_anywhere_leaves_nothing, a_byte_that_has_changed_is_found,
      lines_that_contradict_each_other_are_refused, what_is_around_the_lines_is_checked,
      a_line_without_end_is_refused, a_directory_that_is_not_empty_is_left_alone,
      what_a_killed_import_left_is_in_nobodys_way, a_directory_in_use_is_refused,
      directories_that_are_not_there, what_is_damaged_or_older_is_not_exported,
      what_no_import_takes_is_not_exported, a_disk_that_is_full_leaves_nothing,
      memory_that_runs_out_leaves_nothing, output_that_cannot_be_written_is_an_error)
