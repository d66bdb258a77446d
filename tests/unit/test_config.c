/* SPDX-License-Identifier: MIT */
/*
 * The configuration file, reload and --print-config. Each test has a configuration file of its own
 * and an empty environment; ck_output_has() looks at the lines that config/ reports
 * (config_fixture.h).
 */
#include "config_fixture.h"
#include "fault.h"
#include "model/instance.h"

/* The output of --print-config. */
static const char *printed(void)
{
	static char text[8192];
	FILE *out = fmemopen(text, sizeof(text), "w");

	ck_assert_ptr_nonnull(out);
	config_print(out, &config, sources);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

#define ck_printed(line) \
	ck_assert_msg(strstr(printed(), line "\n") != NULL, "'%s' not in:\n%s", (line), printed())

/* --- defaults --------------------------------------------------------------------------------- */

START_TEST(without_any_source_every_option_has_its_default)
{
	ck_ok(load_file(""));
#define IS_DEFAULT_NUMBER(name, def, min, max, unit, effect, doc) \
	ck_assert_int_eq(config.name, (def));
	OPTIONS_NUMBER(IS_DEFAULT_NUMBER)
#define IS_DEFAULT_TEXT(name, def, words, effect, doc) ck_assert_str_eq(config.name, (def));
	OPTIONS_TEXT(IS_DEFAULT_TEXT)
	ck_assert_uint_eq(config.listen_count, 1);
	ck_assert_str_eq(config.listen[0], "127.0.0.1:7655");
	ck_assert_int_eq(action, CONFIG_RUN);
	ck_assert_str_eq(output, "");
}
END_TEST

START_TEST(the_bounds_of_defaults_are_those_of_an_instance)
{
	const struct option *ttl = &option_table[OPTION_default_ttl_ms];
	const struct option *remove = &option_table[OPTION_default_remove_after_ms];

	ck_assert_int_eq(ttl->least, TTL_MS_MIN);
	ck_assert_int_eq(ttl->most, TTL_MS_MAX);
	ck_assert_int_eq(remove->least, 0);
	ck_assert_int_eq(remove->most, REMOVE_AFTER_MS_MAX);
}
END_TEST

START_TEST(every_default_is_a_value_that_is_allowed)
{
	char why[OPTION_WHY_SIZE];

	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *option = &option_table[i];
		char number[32];

		(void)snprintf(number, sizeof(number), "%lld", (long long)option->number);
		option_clear(option, &config);
		ck_assert_msg(option_set(option, &config,
		                         option->kind == OPTION_NUMBER ? number : option->fallback,
		                         why) == 0,
		              "%s: %s", option->name, why);
	}
}
END_TEST

START_TEST(the_state_directory_of_the_unit_is_the_default)
{
	ck_assert_int_eq(setenv("STATE_DIRECTORY", "/run/a:/run/b", 1), 0);
	ck_ok(load_file(""));
	ck_assert_str_eq(config.state_dir, "/run/a");
	ck_printed("state_dir = \"/run/a\" # environment STATE_DIRECTORY");
}
END_TEST

START_TEST(the_file_wins_over_the_state_directory_of_the_unit)
{
	ck_assert_int_eq(setenv("STATE_DIRECTORY", "/run/a", 1), 0);
	ck_ok(load_file("state_dir = /srv/b\n"));
	ck_assert_str_eq(config.state_dir, "/srv/b");
}
END_TEST

START_TEST(a_state_directory_too_long_to_keep_is_an_error)
{
	char text[CONFIG_TEXT_MAX + 1];

	(void)memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(setenv("STATE_DIRECTORY", text, 1), 0);
	ck_fails(load_file(""), EBADMSG);
	ck_output_has("environment: STATE_DIRECTORY: ");
	ck_output_has("is too long; allowed: 1 to 255 bytes of text");
}
END_TEST

/* --- the file --------------------------------------------------------------------------------- */

START_TEST(the_file_sets_numbers_texts_and_lists)
{
	ck_ok(load_file("# a comment\n"
	                "http_threads = 4\n"
	                "log_level = debug // another\n"
	                "/* and a\n   third */ state_dir = \"/srv/roll call\"\n"
	                "listen = {\"127.0.0.1:1\", \"[::1]:2\", \"unix:/run/r.sock\"}\n"));
	ck_assert_int_eq(config.http_threads, 4);
	ck_assert_str_eq(config.log_level, "debug");
	ck_assert_str_eq(config.state_dir, "/srv/roll call");
	ck_assert_uint_eq(config.listen_count, 3);
	ck_assert_str_eq(config.listen[0], "127.0.0.1:1");
	ck_assert_str_eq(config.listen[1], "[::1]:2");
	ck_assert_str_eq(config.listen[2], "unix:/run/r.sock");
}
END_TEST

START_TEST(one_address_needs_no_braces_and_more_can_be_added)
{
	ck_ok(load_file("listen = 127.0.0.1:1\nlisten += 127.0.0.1:2\n"));
	ck_assert_uint_eq(config.listen_count, 2);
	ck_assert_str_eq(config.listen[1], "127.0.0.1:2");
}
END_TEST

START_TEST(a_number_may_be_at_either_bound_but_not_beyond)
{
	ck_ok(load_file("http_threads = 1\ndefault_remove_after_ms = 31536000000\n"));
	unload();
	ck_fails(load_file("http_threads = 0\ndefault_remove_after_ms = 31536000001\n"), EBADMSG);
	ck_output_has("conf:1: http_threads: '0' is out of range; allowed: 1 to 64 threads\n");
	ck_output_has(
		"conf:2: default_remove_after_ms: '31536000001' is out of range; allowed: 0 to "
		"31536000000 ms\n");
}
END_TEST

static const char *const not_numbers[] = {
	"four", "4x",   "-1",     "\"+1\"", "0x10",
	"4.0",  "\"\"", "\" 4\"", "04",     "99999999999999999999999"};

START_TEST(what_is_not_a_number_is_refused)
{
	char text[80];

	(void)snprintf(text, sizeof(text), "\n\nhttp_threads = %s\n", not_numbers[_i]);
	ck_fails(load_file(text), EBADMSG);
	ck_output_has("conf:3: http_threads: '");
	ck_output_has("; allowed: 1 to 64 threads");
	ck_assert_ptr_null(sources);
}
END_TEST

START_TEST(all_errors_are_reported_with_their_lines)
{
	ck_fails(load_file("http_thread = 4\n"
	                   "batch_max = many\n"
	                   "log_level = loud\n"
	                   "wibble = {1, 2}\n"
	                   "queue_max = 1\n"
	                   "wibble = 3\n"
	                   "idle_timeout_ms = 1000\n"
	                   "listen = {\"127.0.0.1:1\", \"here\", \"127.0.0.1:66000\"}\n"),
	         EBADMSG);
	ck_output_has("conf:1: unknown option 'http_thread'; did you mean http_threads?\n");
	ck_output_has("conf:2: batch_max: 'many' is not a number; allowed: 1 to 10000 events\n");
	ck_output_has(
		"conf:3: log_level: 'loud' is not known; allowed: one of error, warning, notice, "
		"info, debug\n");
	ck_output_has("conf:4: unknown option 'wibble'\n");
	ck_output_has("conf:5: queue_max: '1' is out of range; allowed: 16 to 1000000 commands\n");
	ck_output_has("conf:6: unknown option 'wibble'\n");
	ck_output_has(
		"conf:8: listen: 'here' is not an address; allowed: ADDRESS:PORT, [IPV6]:PORT or "
		"unix:PATH\n");
	ck_output_has("conf:8: listen: '127.0.0.1:66000' is not an address");
	ck_output_lacks("idle_timeout_ms");
	ck_output_lacks("'127.0.0.1:1'");
}
END_TEST

START_TEST(an_option_given_twice_is_an_error)
{
	ck_fails(load_file("http_threads = 1\nqueue_max = 16\nhttp_threads = 2\n"), EBADMSG);
	ck_output_has("conf:3: http_threads: given twice, first in line 1\n");
}
END_TEST

START_TEST(a_list_where_one_value_belongs_is_an_error)
{
	ck_fails(load_file("http_threads = {1, 2}\nqueue_max = {}\nlisten = {}\nwobble = {}\n"),
	         EBADMSG);
	ck_output_has("conf:1: http_threads: takes one value, not a list\n");
	ck_output_has("queue_max: has no value\n");
	ck_output_has("listen: has no value\n");
	ck_output_has("conf:4: unknown option 'wobble'\n");
}
END_TEST

static const struct {
	const char *text;
	const char *want;
} broken[] = {
	{"http_threads 4\n", "conf:1: missing equal sign after option 'http_threads'"},
	{"\nhttp_threads = \n", "conf:3: premature end of file"},
	{"\n}\n", "conf:2: unexpected closing brace"},
	{"listen = {1.1.1.1:1 2.2.2.2:2}\n", "conf:1: unexpected token"},
	{"server {\n  port = 1\n}\n", "conf:1: missing equal sign after option 'server'"},
	{"state_dir = \"/a\n", "conf:"},
};

START_TEST(broken_syntax_is_reported_with_its_line)
{
	ck_fails(load_file(broken[_i].text), EBADMSG);
	ck_output_has(broken[_i].want);
}
END_TEST

START_TEST(comments_do_not_change_the_count_of_lines)
{
	static const struct {
		const char *before;
		unsigned line;
	} cases[] = {
		{"# a\n# b\n", 3},
		{"#\n", 2},
		{"#### a # b /* c\n", 2},
		{"// a\n//b\n///\n", 4},
		{"/* a\n * b\n */\n", 4},
		{"/* a\n b */ ", 2},
		{"/**/", 1},
		{"/***/\n/*/ x = 1 */", 2},
		{"queue_max = 100 # a\n", 2},
		{"queue_max # a\n = # b\n 100 // c\n", 4},
		{"queue_max = /* a */ 100\n", 2},
		{"listen = {\"127.0.0.1:1\", # a\n \"127.0.0.1:2\" /* b\n */ }\n", 4},
		{"state_dir = \"a # b // c /* d\"\n", 2},
		{"state_dir = 'a # b \\' // c /* d'\n", 2},
		{"state_dir = \"a \\\" # b\"\n", 2},
		{"state_dir = \"${NONE:-a\"b} # c\"\n", 2},
		{"state_dir = a//b # c\n", 2},
		{"state_dir = /a/b#c\n", 2},
		{"state_dir = ${NONE:-a#b}# c\n", 2},
		{"state_dir = \"a\\\nb\" # c\n", 3},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[300];
		char expected[300];

		(void)snprintf(text, sizeof(text), "%shttp_threads = 0\n", cases[i].before);
		(void)snprintf(expected, sizeof(expected),
		               "%s:%u: http_threads: '0' is out of range; "
		               "allowed: 1 to 64 threads\n",
		               path, cases[i].line);
		output[0] = '\0';
		ck_fails(load_file(text), EBADMSG);
		ck_assert_msg(strcmp(output, expected) == 0, "%s: %s", text, output);
	}
}
END_TEST

START_TEST(what_looks_like_a_comment_in_a_value_is_kept)
{
	ck_ok(load_file("state_dir = \"a # b // c /* d\" # e\n"));
	ck_assert_str_eq(config.state_dir, "a # b // c /* d");
	ck_ok(load_file("state_dir = 'a # b \\' // c' // d\n"));
	ck_assert_str_eq(config.state_dir, "a # b ' // c");
	ck_ok(load_file("state_dir = //a\n/b//c // d\n"));
	ck_assert_str_eq(config.state_dir, "/b//c");
	ck_ok(load_file("state_dir = \"${NONE:-a#b}\" # c\n"));
	ck_assert_str_eq(config.state_dir, "a#b");
}
END_TEST

START_TEST(a_comment_that_does_not_end_is_an_error)
{
	ck_fails(load_file("http_threads = 2\n\n /* queue_max = 0\n"), EBADMSG);
	ck_output_has(":3: this comment does not end");
	output[0] = '\0';
	ck_fails(load_file("/*/"), EBADMSG);
	ck_output_has(":1: this comment does not end");
}
END_TEST

START_TEST(a_mode_is_three_octal_digits)
{
	static const char *const right[] = {"0660", "660", "0000", "777"};
	static const char *const wrong[] = {"", "66", "1660", "0668", "06600", "rw-rw----", "-660"};
	char text[100];

	for (size_t i = 0; i < ARRAY_LEN(right); i++) {
		(void)snprintf(text, sizeof(text), "socket_mode = \"%s\"\n", right[i]);
		ck_ok(load_file(text));
		ck_assert_str_eq(config.socket_mode, right[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		output[0] = '\0';
		(void)snprintf(text, sizeof(text), "socket_mode = \"%s\"\n", wrong[i]);
		ck_fails(load_file(text), EBADMSG);
		(void)snprintf(text, sizeof(text), ":1: socket_mode: '%s' is ", wrong[i]);
		ck_output_has(text);
		ck_output_has("allowed: three octal digits");
	}
}
END_TEST

START_TEST(only_what_is_empty_by_default_may_be_empty)
{
	ck_ok(load_file("socket_group = \"\"\n"));
	ck_assert_str_eq(config.socket_group, "");
	ck_ok(load_file("socket_group = web\n"));
	ck_assert_str_eq(config.socket_group, "web");
	ck_fails(load_file("log_level = \"\"\n"), EBADMSG);
	ck_output_has("log_level: '' is empty");
}
END_TEST

START_TEST(errors_before_broken_syntax_are_reported_too)
{
	ck_fails(load_file("http_threads = 0\nwibble = 1\nqueue_max 4\n"), EBADMSG);
	ck_output_has("conf:1: http_threads: ");
	ck_output_has("conf:2: unknown option 'wibble'\n");
	ck_output_has("conf:3: missing equal sign after option 'queue_max'\n");
}
END_TEST

START_TEST(endless_unknown_names_end)
{
	char text[4096] = "";

	for (int i = 0; i < 100; i++) {
		size_t len = strlen(text);

		(void)snprintf(text + len, sizeof(text) - len, "qqqqqq%d = 1\n", i);
	}
	ck_fails(load_file(text), EBADMSG);
	ck_output_has("conf:1: unknown option 'qqqqqq0'\n");
	ck_output_has("conf:32: unknown option 'qqqqqq31'\n");
	ck_output_has("conf:33: no such option 'qqqqqq32'\n");
	ck_output_lacks("qqqqqq33");
}
END_TEST

START_TEST(a_file_with_a_nul_byte_is_refused)
{
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite("http_threads = 2\0\nqueue_max = 1\n", 1, 33, file), 33);
	ck_assert_int_eq(fclose(file), 0);
	ck_fails(load(config_option, NULL), EBADMSG);
	ck_output_has("conf: is not text: holds a NUL byte\n");
}
END_TEST

START_TEST(a_file_too_large_is_refused)
{
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	for (int i = 0; i < 300000; i++)
		ck_assert_int_eq(fputc('\n', file), '\n');
	ck_assert_int_eq(fclose(file), 0);
	ck_fails(load(config_option, NULL), EBADMSG);
	ck_output_has("File too large");
}
END_TEST

START_TEST(a_named_file_must_exist)
{
	ck_fails(load(config_option, NULL), EBADMSG);
	ck_output_has("cannot read '");
	ck_output_has("conf': No such file or directory\n");
}
END_TEST

START_TEST(a_directory_is_not_a_file)
{
	(void)snprintf(config_option, sizeof(config_option), "--config=%s", dir);
	ck_fails(load(config_option, NULL), EBADMSG);
	ck_output_has("': Is a directory\n");
}
END_TEST

START_TEST(the_default_file_may_be_missing)
{
	if (access(config_file_default, F_OK) == 0)
		ck_skip("this machine has the default configuration file");
	ck_ok(load(NULL, NULL));
	ck_assert_str_eq(output, "");
}
END_TEST

/* --- reload ----------------------------------------------------------------------------------- */

START_TEST(a_reload_applies_and_reports_reloadable_options)
{
	ck_ok(load_file("max_connections = 100\nidle_timeout_ms = 1000\n"));
	write_file("max_connections = 200\nidle_timeout_ms = 1000\nlog_level = debug\n");
	ck_ok(config_reload(sources, &config, collect, collect_error));
	ck_assert_int_eq(config.max_connections, 200);
	ck_assert_str_eq(config.log_level, "debug");
	ck_assert_str_eq(output, "log_level = \"debug\" from now on; \"info\" before\n"
	                         "max_connections = 200 from now on; 100 before\n");
	ck_assert_ptr_nonnull(strstr(printed(), "conf:3\n"));
}
END_TEST

START_TEST(a_reload_reports_and_keeps_options_that_need_a_restart)
{
	ck_ok(load_file("http_threads = 2\n"));
	write_file("http_threads = 3\nlisten = \"[::1]:1\"\n");
	ck_ok(config_reload(sources, &config, collect, collect_error));
	ck_assert_int_eq(config.http_threads, 2);
	ck_assert_str_eq(config.listen[0], "127.0.0.1:7655");
	ck_output_has("http_threads = 3 needs a restart; 2 until then\n");
	ck_output_has("listen = {\"[::1]:1\"} needs a restart; {\"127.0.0.1:7655\"} until then\n");
}
END_TEST

START_TEST(a_reload_of_a_wrong_file_changes_nothing)
{
	struct config before;

	ck_ok(load_file("max_connections = 100\n"));
	before = config;
	write_file("max_connections = 200\nidle_timeout_ms = 0\n");
	ck_fails(config_reload(sources, &config, collect, collect_error), EBADMSG);
	ck_assert_int_eq(strncmp(output, "wrong: ", 7), 0);
	ck_output_has("conf:2: idle_timeout_ms: '0' is out of range");
	ck_assert_mem_eq(&config, &before, sizeof(config));
}
END_TEST

START_TEST(a_reload_restores_the_default_of_a_removed_option)
{
	ck_ok(load_file("max_connections = 100\n"));
	write_file("");
	ck_ok(config_reload(sources, &config, collect, collect_error));
	ck_assert_int_eq(config.max_connections, 10000);
	ck_printed("max_connections = 10000 # default");
}
END_TEST

START_TEST(the_command_line_wins_on_reload_too)
{
	write_file("");
	ck_ok(load(config_option, "--max-connections=50", NULL));
	write_file("max_connections = 200\n");
	ck_ok(config_reload(sources, &config, collect, collect_error));
	ck_assert_int_eq(config.max_connections, 50);
	ck_assert_str_eq(output, "");
}
END_TEST

/* --- --print-config --------------------------------------------------------------------------- */

START_TEST(each_value_is_printed_with_its_origin)
{
	char line[160];

	ck_assert_int_eq(setenv("ROLLCALL_QUEUE_MAX", "200", 1), 0);
	write_file("\nhttp_threads = 3\nlisten = 127.0.0.1:1\n");
	ck_ok(load(config_option, "--batch-max=100", NULL));
	ck_printed("idle_timeout_ms = 75000 # default");
	ck_printed("queue_max = 200 # environment ROLLCALL_QUEUE_MAX");
	ck_printed("batch_max = 100 # command line");
	(void)snprintf(line, sizeof(line), "\nhttp_threads = 3 # %s:2\n", path);
	ck_assert_ptr_nonnull(strstr(printed(), line));
	(void)snprintf(line, sizeof(line), "listen = {\"127.0.0.1:1\"} # %s:3\n", path);
	ck_assert_ptr_nonnull(strstr(printed(), line));
}
END_TEST

START_TEST(a_printed_configuration_loads_to_the_same_values)
{
	struct config before;

	write_file("");
	ck_ok(load(config_option, "--state-dir=/a \"b\" \\ ${HOME} $x 'c' # d", "--listen=[::1]:0",
	           "--listen=unix:/run/x y", "--log-level=notice", "--hold-percent=7", NULL));
	before = config;
	write_file(printed());
	unload();
	ck_ok(load(config_option, NULL));
	ck_assert_str_eq(config.state_dir, "/a \"b\" \\ ${HOME} $x 'c' # d");
	ck_assert_mem_eq(&config, &before, sizeof(config));
}
END_TEST

START_TEST(help_names_every_option_with_its_range)
{
	static char text[16384];
	FILE *out = fmemopen(text, sizeof(text), "w");
	char want[256];

	ck_assert_ptr_nonnull(out);
	config_help(out);
	ck_assert_int_eq(fclose(out), 0);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		option_spell(&option_table[i], want, sizeof(want));
		ck_assert_msg(strstr(text, want) != NULL, "%s", want);
		option_allowed(&option_table[i], want, sizeof(want));
		ck_assert_msg(strstr(text, want) != NULL, "%s", want);
		ck_assert_msg(strstr(text, option_table[i].doc) != NULL, "%s", option_table[i].doc);
	}
	ck_assert_ptr_nonnull(strstr(text, "--config=FILE "));
	ck_assert_ptr_nonnull(strstr(text, "--check-config "));
	ck_assert_ptr_nonnull(strstr(text, "--print-config "));
	ck_assert_ptr_nonnull(strstr(text, "--check "));
	ck_assert_ptr_nonnull(strstr(text, "--help, -h "));
	ck_assert_ptr_nonnull(strstr(text, "--version "));
}
END_TEST

/* --- out of memory ---------------------------------------------------------------------------- */

START_TEST(out_of_memory_anywhere_is_reported_and_leaks_nothing)
{
	ck_assert_int_eq(setenv("ROLLCALL_LISTEN", "127.0.0.1:3", 1), 0);
	write_file("http_threads = 3\nwibble = 1\n");
	for (int n = 0;; n++) {
		int r;

		fault_arm(n);
		r = load(config_option, NULL);
		if (!fault_hit()) {
			ck_assert_int_eq(r, -EBADMSG);
			ck_assert_int_ge(n, 3);
			break;
		}
		ck_assert_int_eq(r, -ENOMEM);
	}
}
END_TEST

int main(void)
{
	const TTest *cases[] = {
		without_any_source_every_option_has_its_default,
		every_default_is_a_value_that_is_allowed,
		the_bounds_of_defaults_are_those_of_an_instance,
		the_state_directory_of_the_unit_is_the_default,
		the_file_wins_over_the_state_directory_of_the_unit,
		a_state_directory_too_long_to_keep_is_an_error,
		the_file_sets_numbers_texts_and_lists,
		one_address_needs_no_braces_and_more_can_be_added,
		a_number_may_be_at_either_bound_but_not_beyond,
		all_errors_are_reported_with_their_lines,
		an_option_given_twice_is_an_error,
		a_list_where_one_value_belongs_is_an_error,
		comments_do_not_change_the_count_of_lines,
		what_looks_like_a_comment_in_a_value_is_kept,
		a_comment_that_does_not_end_is_an_error,
		a_mode_is_three_octal_digits,
		only_what_is_empty_by_default_may_be_empty,
		errors_before_broken_syntax_are_reported_too,
		endless_unknown_names_end,
		a_file_with_a_nul_byte_is_refused,
		a_file_too_large_is_refused,
		a_named_file_must_exist,
		a_directory_is_not_a_file,
		the_default_file_may_be_missing,
		a_reload_applies_and_reports_reloadable_options,
		a_reload_reports_and_keeps_options_that_need_a_restart,
		a_reload_of_a_wrong_file_changes_nothing,
		a_reload_restores_the_default_of_a_removed_option,
		the_command_line_wins_on_reload_too,
		each_value_is_printed_with_its_origin,
		a_printed_configuration_loads_to_the_same_values,
		help_names_every_option_with_its_range,
		out_of_memory_anywhere_is_reported_and_leaks_nothing,
	};
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		tcase_add_test(tcase, cases[i]);
	tcase_add_loop_test(tcase, what_is_not_a_number_is_refused, 0, ARRAY_LEN(not_numbers));
	tcase_add_loop_test(tcase, broken_syntax_is_reported_with_its_line, 0, ARRAY_LEN(broken));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
