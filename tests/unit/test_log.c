/* SPDX-License-Identifier: MIT */
/*
 * The log: its formats, escaping, and the ring between threads and the log thread. Standard error
 * becomes a file or a pipe. This program defines sd_journal_sendv() and access() itself, in place
 * of libsystemd and the socket of the journal.
 */
#include "base/log.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/thread.h"
#include "fault.h"
#include "terminal_cases.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define TIME "2026-11-23T18:41:28.123Z"

static int terminal; /* the original standard error */
static FILE *written;
static char text[1 << 20];

/* Replaces the journal: libsystemd's function, and the check for the journal's socket. */
static bool journal_is_there;
static int journal_error;
static char fields[20][4096];
static int field_count;
static int journal_waits = -1; /* a pipe: each record waits for a byte from it; -1: none waits */

int sd_journal_sendv(const struct iovec *iov, int n);
int sd_journal_sendv(const struct iovec *iov, int n)
{
	char c;

	if (journal_waits >= 0)
		ck_assert_int_eq(read(journal_waits, &c, 1), 1);
	if (journal_error < 0)
		return journal_error;
	field_count = n;
	for (int i = 0; i < n; i++)
		(void)snprintf(fields[i], sizeof(fields[i]), "%.*s", (int)iov[i].iov_len,
		               (const char *)iov[i].iov_base);
	return 0;
}

int access(const char *path, int mode)
{
	if (strcmp(path, "/run/systemd/journal/socket") != 0)
		return faccessat(AT_FDCWD, path, mode, 0);
	errno = ENOENT;
	return journal_is_there ? 0 : -1;
}

static void setup(void)
{
	terminal = dup(STDERR_FILENO);
	written = tmpfile();
	ck_assert_ptr_nonnull(written);
	ck_assert_int_ge(dup2(fileno(written), STDERR_FILENO), 0);
	(void)unsetenv("JOURNAL_STREAM");
	clock_virtual_set(1795459288123);
	log_set_level(LOG_INFO);
	log_open(LOG_FORMAT_TEXT);
}

static void teardown(void)
{
	ck_assert_int_ge(dup2(terminal, STDERR_FILENO), 0);
	(void)fclose(written);
}

/* Returns what was written since the last call. */
static const char *seen(void)
{
	ck_assert_int_eq(fseek(written, 0, SEEK_SET), 0);
	size_t len = fread(text, 1, sizeof(text) - 1, written);
	text[len] = '\0';
	ck_assert_int_eq(ftruncate(fileno(written), 0), 0);
	ck_assert_int_eq(fseek(written, 0, SEEK_SET), 0);
	return text;
}

START_TEST(text_is_aligned_and_quoted_where_needed)
{
	log_event(LOG_INFO, "expired", "service", "order-service", "id", "a b", "empty", "", NULL);
	ck_assert_str_eq(seen(),
	                 TIME " info    expired service=order-service id=\"a b\" empty=\"\"\n");
	log_event(LOG_WARNING, "odd", "a", "x=y", "b", "say \"hi\"", "c", "back\\slash", "d",
	          "\xc3\xa9", NULL);
	ck_assert_str_eq(seen(), TIME " warning odd a=\"x=y\" b=\"say \\\"hi\\\"\" "
	                              "c=\"back\\\\slash\" d=\xc3\xa9\n");
}
END_TEST

START_TEST(a_line_is_formatted)
{
	log_line(LOG_ERR, "cannot open '%s': %d", "x", 7);
	ck_assert_str_eq(seen(), TIME " error   cannot open 'x': 7\n");
}
END_TEST

START_TEST(each_level_has_its_name)
{
	static const char *const names[] = {"emerg",   "alert",  "crit", "error",
	                                    "warning", "notice", "info", "debug"};

	log_set_level(LOG_DEBUG);
	for (int level = LOG_EMERG; level <= LOG_DEBUG; level++) {
		char expected[100];

		log_event(level, "x", NULL);
		(void)snprintf(expected, sizeof(expected), TIME " %-7s x\n", names[level]);
		ck_assert_str_eq(seen(), expected);
	}
}
END_TEST

START_TEST(less_important_lines_are_dropped)
{
	log_set_level(LOG_WARNING);
	ck_assert(log_enabled(LOG_ERR));
	ck_assert(log_enabled(LOG_WARNING));
	ck_assert(!log_enabled(LOG_NOTICE));
	log_event(LOG_NOTICE, "not this", NULL);
	log_line(LOG_DEBUG, "nor this");
	log_event(LOG_WARNING, "this", NULL);
	ck_assert_str_eq(seen(), TIME " warning this\n");
}
END_TEST

START_TEST(a_pair_without_value_is_dropped)
{
	log_event(LOG_INFO, "x", "a", NULL, "b", "2", NULL);
	ck_assert_str_eq(seen(), TIME " info    x b=2\n");
}
END_TEST

/* A line feed, a closing quote, an escape sequence, C1, DEL, and a byte that is not UTF-8. */
#define EVIL "a\nb\"\x1b[31m\xc2\x9b\x7f\xff\t"

START_TEST(text_cannot_be_forged)
{
	log_event(LOG_INFO, "x", "id", "a\x1b[m", NULL);
	ck_assert_str_eq(seen(), TIME " info    x id=\"a\\x1b[m\"\n");
	log_event(LOG_INFO, "x\ny", "id", EVIL, NULL);
	ck_assert_str_eq(seen(), TIME " info    x\\ny id=\"a\\nb\\\"\\x1b[31m"
	                              "\\xc2\\x9b\\x7f\\xff\\x09\"\n");
}
END_TEST

static void ck_json(const char *key, const char *value)
{
	json_error_t error;
	json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	ck_assert_msg(line != NULL, "%s: %s", error.text, text);
	const char *actual = json_string_value(json_object_get(line, key));
	ck_assert_ptr_nonnull(actual);
	ck_assert_str_eq(actual, value);
	json_decref(line);
}

START_TEST(what_a_terminal_obeys_is_in_no_line)
{
	struct terminal_case each;
	FILE *file = terminal_cases_open();

	while (terminal_cases_next(file, &each)) {
		char value[16] = "<";

		if (each.kind == CASE_HIDE && each.first == 0)
			continue; /* the terminator of a value */
		memcpy(value + 1, each.bytes, each.len);
		value[1 + each.len] = '>';
		value[2 + each.len] = '\0';
		for (int json = 0; json < 2; json++) {
			log_open(json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
			log_event(LOG_INFO, value, "id", value, NULL);
			(void)seen();
			ck_assert_msg(terminal_is_clean(str_of(text)), "%s%s", each.line, text);
			ck_assert_msg((strstr(text, value) != NULL) == (each.kind == CASE_SHOW),
			              "%s%s", each.line, text);
		}
	}
	(void)fclose(file);
}
END_TEST

START_TEST(json_is_one_object_a_line)
{
	log_open(LOG_FORMAT_JSON);
	log_event(LOG_INFO, "expired", "service", "order-service", "id", "a \"b\"", NULL);
	ck_assert_str_eq(seen(),
	                 "{\"time\":\"" TIME "\",\"level\":\"info\",\"message\":\"expired\","
	                 "\"service\":\"order-service\",\"id\":\"a \\\"b\\\"\"}\n");
}
END_TEST

START_TEST(json_cannot_be_forged_and_stays_utf8)
{
	log_open(LOG_FORMAT_JSON);
	log_event(LOG_INFO, "x", "id", EVIL, NULL);
	ck_assert_ptr_eq(strchr(seen(), '\n'), text + strlen(text) - 1);
	for (const char *c = text; c[1] != '\0'; c++)
		ck_assert_int_ge((unsigned char)*c, 0x20);
	ck_assert_ptr_null(strstr(text, "\xc2\x9b"));
	ck_assert_ptr_null(strchr(text, 0x7f));
	ck_json("id", "a\nb\"\x1b[31m\xc2\x9b\x7f\xef\xbf\xbd\t");
}
END_TEST

START_TEST(a_file_gets_json_by_itself)
{
	log_open(LOG_FORMAT_AUTO);
	log_event(LOG_INFO, "x", NULL);
	ck_assert_int_eq(seen()[0], '{');
}
END_TEST

START_TEST(a_terminal_gets_text_by_itself)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	char got[100];

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		ck_skip("no pseudo terminals here");
	int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	if (slave < 0)
		ck_skip("no pseudo terminals here");
	ck_assert_int_ge(dup2(slave, STDERR_FILENO), 0);
	log_open(LOG_FORMAT_AUTO);
	log_event(LOG_INFO, "x", NULL);
	ssize_t len = read(master, got, sizeof(got));
	ck_assert_int_ge(len, 24);
	ck_assert_mem_eq(got, TIME, 24);
}
END_TEST

static void name_stream(ino_t offset)
{
	struct stat stream;
	char name[64];

	ck_assert_int_eq(fstat(STDERR_FILENO, &stream), 0);
	(void)snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)stream.st_dev,
	               (uintmax_t)(stream.st_ino + offset));
	(void)setenv("JOURNAL_STREAM", name, 1);
}

START_TEST(the_journal_gets_fields_when_it_has_our_stream)
{
	journal_is_there = true;
	name_stream(0);
	log_open(LOG_FORMAT_AUTO);
	log_event(LOG_WARNING, "expired", "service", "order-service", "odd-key9", "a b\n\xff",
	          NULL);
	ck_assert_str_eq(seen(), "");
	ck_assert_int_eq(field_count, 4);
	ck_assert_str_eq(fields[0],
	                 "MESSAGE=expired service=order-service odd-key9=\"a b\\n\\xff\"");
	ck_assert_str_eq(fields[1], "PRIORITY=4");
	ck_assert_str_eq(fields[2], "ROLLCALL_SERVICE=order-service");
	ck_assert_str_eq(fields[3], "ROLLCALL_ODD_KEY9=a b\\n\\xff");
}
END_TEST

START_TEST(the_journal_of_another_stream_is_not_ours)
{
	journal_is_there = true;
	name_stream(1);
	log_open(LOG_FORMAT_AUTO);
	log_event(LOG_INFO, "x", NULL);
	ck_assert_int_eq(field_count, 0);
	ck_assert_int_eq(seen()[0], '{');
}
END_TEST

START_TEST(without_a_journal_the_lines_are_text)
{
	log_open(LOG_FORMAT_JOURNALD);
	log_event(LOG_INFO, "x", NULL);
	ck_assert_int_eq(field_count, 0);
	ck_assert_str_eq(seen(), TIME " info    x\n");
}
END_TEST

START_TEST(what_the_journal_refuses_is_written_as_text)
{
	journal_is_there = true;
	log_open(LOG_FORMAT_JOURNALD);
	journal_error = -EPERM;
	log_event(LOG_INFO, "x", "a", "1", NULL);
	ck_assert_str_eq(seen(), TIME " info    x a=1\n");
}
END_TEST

START_TEST(a_long_value_is_cut_between_characters)
{
	char value[3000];

	/* The three bytes of a euro sign include the 1024th. */
	memset(value, 'a', 1022);
	memcpy(value + 1022, "\xe2\x82\xac and more", 12);
	log_open(LOG_FORMAT_JSON);
	log_event(LOG_INFO, "x", "id", value, NULL);
	(void)seen();
	value[1022] = '\0';
	ck_json("id", value);

	memset(value, 0x80, sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	log_line(LOG_INFO, "%s", value);
	ck_assert_uint_lt(strlen(seen()), 8000);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
}
END_TEST

START_TEST(pairs_that_do_not_fit_are_left_out_whole)
{
	char value[1025];

	memset(value, 1, sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	log_open(LOG_FORMAT_JSON);
	log_event(LOG_INFO, value, "a", value, "b", value, "c", value, "d", "not this", NULL);
	(void)seen();
	ck_json("message", value);
	ck_json("a", value);
	ck_assert_uint_lt(strlen(text), 16384);
	ck_assert_ptr_null(strstr(text, "\"b\":"));
	ck_assert_ptr_null(strstr(text, "\"d\":"));

	/* The next line has all its pairs. */
	log_event(LOG_INFO, "x", "b", "1", NULL);
	(void)seen();
	ck_json("b", "1");
}
END_TEST

START_TEST(a_line_needs_no_memory)
{
	for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
		log_open((enum log_format)format);
		fault_arm(0);
		log_event(LOG_INFO, "x", "a", "b c", NULL);
		ck_assert(!fault_hit());
		ck_assert_ptr_nonnull(strstr(seen(), "b c"));
	}
}
END_TEST

static void log_much(void *arg)
{
	char value[900];

	memset(value, *(const char *)arg, sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 200; i++)
		log_event(LOG_INFO, "x", "a", value, "b", value, NULL);
}

START_TEST(lines_of_threads_do_not_mix)
{
	static char names[] = "pqrs";
	pthread_t threads[4];
	int lines = 0;

	/* In append mode each write() of a line goes to the end of the file. */
	ck_assert_int_eq(fcntl(STDERR_FILENO, F_SETFL, O_APPEND), 0);
	for (int i = 0; i < 4; i++)
		ck_ok(thread_start(&threads[i], "log", log_much, &names[i]));
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	(void)fseek(written, 0, SEEK_SET);
	while (fgets(text, sizeof(text), written) != NULL) {
		char c = text[strlen(text) - 2];

		ck_assert_uint_eq(strlen(text), strlen(TIME " info    x a= b=\n") + 2 * 899);
		ck_assert_uint_eq(strspn(strstr(text, "a=") + 2, (char[]){c, '\0'}), 899);
		lines++;
	}
	ck_assert_int_eq(lines, 800);
}
END_TEST

START_TEST(what_is_queued_is_written_when_the_thread_ends)
{
	char expected[100];
	const char *at;

	ck_ok(log_start());
	for (int i = 0; i < 1000; i++)
		log_line(LOG_INFO, "line %d", i);
	log_stop();
	at = seen();
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(expected, sizeof(expected), TIME " info    line %d\n", i);
		ck_assert_int_eq(strncmp(at, expected, strlen(expected)), 0);
		at += strlen(expected);
	}
	ck_assert_str_eq(at, "");
	ck_assert_uint_eq(log_dropped(), 0);

	/* Without the thread each line is written at once, and the thread can be started again. */
	log_line(LOG_INFO, "direct");
	ck_assert_str_eq(seen(), TIME " info    direct\n");
	ck_ok(log_start());
	log_line(LOG_INFO, "queued");
	log_stop();
	ck_assert_str_eq(seen(), TIME " info    queued\n");
}
END_TEST

/* Makes standard error a small pipe. @return its other end */
static int make_pipe(void)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_ge(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
	ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
	ck_assert_int_eq(close(ends[1]), 0);
	return ends[0];
}

#define MANY 100000 /* lines, more than fit into the ring */

static void log_many(void)
{
	for (int i = 0; i < MANY; i++)
		log_event(LOG_INFO, "x", "n", "12345", NULL);
}

START_TEST(lines_are_dropped_and_counted_while_nothing_reads)
{
	static char got[1 << 16];
	int end = make_pipe();
	unsigned long reported = 0;
	uint64_t lines = 0;

	ck_ok(log_start());
	log_many();
	ck_assert_uint_gt(log_dropped(), 0);
	ck_assert_uint_lt(log_dropped(), MANY);

	FILE *reader = fdopen(end, "r");
	ck_assert_ptr_nonnull(reader);
	while (reported == 0) {
		ck_assert_ptr_nonnull(fgets(got, sizeof(got), reader));
		ck_assert_ptr_null(strstr(got, "in the gap"));
		if (sscanf(got, TIME " warning %lu log lines were dropped: ", &reported) == 0)
			lines++;
		/* The ring has room, but the lines dropped before are not yet reported. */
		if (lines == 1000)
			log_line(LOG_INFO, "in the gap");
	}
	ck_assert_uint_eq(reported, log_dropped());
	ck_assert_uint_eq(lines + reported, MANY + 1);

	/* After the report lines are accepted again. */
	log_line(LOG_INFO, "after");
	ck_assert_ptr_nonnull(fgets(got, sizeof(got), reader));
	ck_assert_str_eq(got, TIME " info    after\n");
	log_stop();
	(void)fclose(reader);
}
END_TEST

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

START_TEST(log_stop_does_not_wait_for_ever)
{
	int end = make_pipe();
	int64_t begun;
	uint64_t dropped;

	ck_ok(log_start());
	log_many();
	dropped = log_dropped();
	begun = now_ms();
	log_stop();
	ck_assert_int_ge(now_ms() - begun, 990);
	ck_assert_int_lt(now_ms() - begun, 5000);
	log_line(LOG_INFO, "nowhere");
	ck_assert_uint_eq(log_dropped(), dropped + 1);
	/* log_stop() left the thread, which reads the ring: let it end before the process. */
	(void)close(end);
}
END_TEST

START_TEST(a_journal_that_does_not_read_blocks_only_the_thread)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	journal_is_there = true;
	journal_waits = ends[0];
	log_open(LOG_FORMAT_JOURNALD);
	ck_ok(log_start());
	log_event(LOG_INFO, "first", "a", "1", NULL);
	log_event(LOG_INFO, "second", "a", "2", "b", "3", NULL);
	ck_assert_int_eq(write(ends[1], "12", 2), 2);
	log_stop();
	ck_assert_int_eq(field_count, 4);
	ck_assert_str_eq(fields[0], "MESSAGE=second a=2 b=3");
	ck_assert_str_eq(fields[1], "PRIORITY=6");
	ck_assert_str_eq(fields[2], "ROLLCALL_A=2");
	ck_assert_str_eq(fields[3], "ROLLCALL_B=3");
}
END_TEST

START_TEST(lines_of_threads_do_not_mix_in_the_queue)
{
	static char names[] = "pqrs";
	pthread_t threads[4];
	int lines = 0;

	ck_ok(log_start());
	for (int i = 0; i < 4; i++)
		ck_ok(thread_start(&threads[i], "log", log_much, &names[i]));
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	log_stop();
	(void)fseek(written, 0, SEEK_SET);
	while (fgets(text, sizeof(text), written) != NULL) {
		char c = text[strlen(text) - 2];

		if (strstr(text, "were dropped") != NULL)
			continue;
		ck_assert_uint_eq(strlen(text), strlen(TIME " info    x a= b=\n") + 2 * 899);
		ck_assert_uint_eq(strspn(strstr(text, "a=") + 2, (char[]){c, '\0'}), 899);
		lines++;
	}
	ck_assert_int_eq(lines + (int)log_dropped(), 800);
}
END_TEST

START_TEST(a_plain_line_has_nothing_else_but_in_json)
{
	log_set_level(LOG_ERR);
	log_plain("ready on x");
	ck_assert_str_eq(seen(), "ready on x\n");
	log_open(LOG_FORMAT_JSON);
	log_plain("ready on x");
	ck_assert_str_eq(seen(), "{\"time\":\"" TIME "\",\"level\":\"notice\","
	                         "\"message\":\"ready on x\"}\n");
	journal_is_there = true;
	log_open(LOG_FORMAT_JOURNALD);
	log_plain("ready on x");
	ck_assert_str_eq(seen(), "ready on x\n");
	ck_assert_int_eq(field_count, 0);
}
END_TEST

START_TEST(last_words_come_after_what_is_queued)
{
	ck_ok(log_start());
	log_line(LOG_INFO, "before");
	log_fatal("the end");
	ck_assert_str_eq(seen(), TIME " info    before\n" TIME " crit    the end\n");
	log_stop();
	log_open(LOG_FORMAT_JSON);
	log_fatal("the end");
	ck_assert_str_eq(seen(), "{\"time\":\"" TIME "\",\"level\":\"crit\","
	                         "\"message\":\"the end\"}\n");
	journal_is_there = true;
	log_open(LOG_FORMAT_JOURNALD);
	log_fatal("the end");
	ck_assert_str_eq(seen(), "<2>the end\n");
}
END_TEST

START_TEST(last_words_do_not_wait_for_ever)
{
	int end = make_pipe();
	int64_t begun;

	ck_ok(log_start());
	log_many();
	begun = now_ms();
	log_fatal("the end");
	ck_assert_int_lt(now_ms() - begun, 5000);
	(void)close(end);
}
END_TEST

START_TEST(a_failed_check_ends_the_process_although_nothing_reads_the_log)
{
	(void)make_pipe();
	ck_ok(log_start());
	log_many();
	CHECK(!"reached");
}
END_TEST

START_TEST(too_many_pairs_stop_the_process)
{
	log_event(LOG_INFO, "x", "1", "", "2", "", "3", "", "4", "", "5", "", "6", "", "7", "", "8",
	          "", "9", "", "10", "", "11", "", "12", "", "13", "", "14", "", "15", "", "16", "",
	          "17", "", NULL);
}
END_TEST

SUITE_ABORTS("log", setup, teardown,
             (too_many_pairs_stop_the_process,
              a_failed_check_ends_the_process_although_nothing_reads_the_log),
             text_is_aligned_and_quoted_where_needed, a_line_is_formatted, each_level_has_its_name,
             less_important_lines_are_dropped, a_pair_without_value_is_dropped,
             text_cannot_be_forged, what_a_terminal_obeys_is_in_no_line, json_is_one_object_a_line,
             json_cannot_be_forged_and_stays_utf8, a_file_gets_json_by_itself,
             a_terminal_gets_text_by_itself, the_journal_gets_fields_when_it_has_our_stream,
             the_journal_of_another_stream_is_not_ours, without_a_journal_the_lines_are_text,
             what_the_journal_refuses_is_written_as_text, a_long_value_is_cut_between_characters,
             pairs_that_do_not_fit_are_left_out_whole, a_line_needs_no_memory,
             lines_of_threads_do_not_mix, what_is_queued_is_written_when_the_thread_ends,
             lines_are_dropped_and_counted_while_nothing_reads, log_stop_does_not_wait_for_ever,
             a_journal_that_does_not_read_blocks_only_the_thread,
             lines_of_threads_do_not_mix_in_the_queue, a_plain_line_has_nothing_else_but_in_json,
             last_words_come_after_what_is_queued, last_words_do_not_wait_for_ever)
