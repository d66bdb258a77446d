/* SPDX-License-Identifier: MIT */
/*
 * Sources of the configuration other than the file: listen addresses, the environment, the command
 * line, and which source wins. Each test has a configuration file of its own and an empty
 * environment (config_fixture.h).
 */
#include "config_fixture.h"

/* --- addresses -------------------------------------------------------------------------------- */

static const struct {
	const char *text;
	bool good;
} addresses[] = {
	{"0.0.0.0:0", true},
	{"255.255.255.255:65535", true},
	{"[::]:80", true},
	{"[fe80::1]:80", true},
	{"[::ffff:10.0.0.1]:80", true},
	{"unix:/run/x", true},
	{"", false},
	{":80", false},
	{"80", false},
	{"127.0.0.1", false},
	{"127.0.0.1:", false},
	{"127.0.0.1:65536", false},
	{"127.0.0.1:080", false},
	{"127.0.0.1:-1", false},
	{"127.0.0:80", false},
	{"::1:80", false},
	{"[::1]", false},
	{"[::1]80", false},
	{"[::1:80", false},
	{"[]:80", false},
	{"[127.0.0.1]:80", false},
	{"::1]:80", false},
	{"localhost:80", false},
	{"unix:", false},
	{"unix:run/x", true},
	{"unix:/"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxx"
         "xxxxxxxxxxxxxxx",
         false},
};

START_TEST(an_address_is_checked_for_its_form)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "--listen=%s", addresses[_i].text);
	write_file("");
	ck_assert_int_eq(load(config_option, text, NULL), addresses[_i].good ? 0 : -EINVAL);
	if (addresses[_i].good)
		ck_assert_str_eq(config.listen[0], addresses[_i].text);
}
END_TEST

START_TEST(more_addresses_than_fit_are_refused)
{
	ck_assert_int_eq(setenv("ROLLCALL_LISTEN",
	                        "1.1.1.1:1 1.1.1.1:2 1.1.1.1:3 1.1.1.1:4 1.1.1.1:5 1.1.1.1:6 "
	                        "1.1.1.1:7 1.1.1.1:8 1.1.1.1:9 1.1.1.1:10 1.1.1.1:11 1.1.1.1:12 "
	                        "1.1.1.1:13 1.1.1.1:14 1.1.1.1:15 1.1.1.1:16",
	                        1),
	                 0);
	ck_ok(load_file(""));
	ck_assert_uint_eq(config.listen_count, 16);
	unload();
	ck_fails(load(config_option, "--listen=1.1.1.1:1", "--listen=1.1.1.1:1",
	              "--listen=1.1.1.1:1", "--listen=1.1.1.1:1", "--listen=1.1.1.1:1",
	              "--listen=1.1.1.1:1", "--listen=1.1.1.1:1", "--listen=1.1.1.1:1",
	              "--listen=1.1.1.1:1", "--listen=1.1.1.1:1", "--listen=1.1.1.1:1",
	              "--listen=1.1.1.1:1", "--listen=1.1.1.1:1", "--listen=1.1.1.1:1",
	              "--listen=1.1.1.1:1", "--listen=1.1.1.1:1", "--listen=1.1.1.1:17", NULL),
	         EINVAL);
	ck_output_has("command line: --listen: '1.1.1.1:17' is one too many; allowed: 16\n");
}
END_TEST

/* --- the environment and the command line ----------------------------------------------------- */

START_TEST(the_stronger_source_wins)
{
	ck_assert_int_eq(setenv("ROLLCALL_QUEUE_MAX", "200", 1), 0);
	ck_assert_int_eq(setenv("ROLLCALL_BATCH_MAX", "200", 1), 0);
	write_file("http_threads = 3\nqueue_max = 300\nbatch_max = 300\n");
	ck_ok(load(config_option, "--batch-max=100", NULL));
	ck_assert_int_eq(config.http_threads, 3);
	ck_assert_int_eq(config.queue_max, 200);
	ck_assert_int_eq(config.batch_max, 100);
}
END_TEST

START_TEST(a_stronger_list_replaces_a_weaker_one)
{
	ck_assert_int_eq(setenv("ROLLCALL_LISTEN", " 127.0.0.1:3\t127.0.0.1:4 ", 1), 0);
	write_file("listen = {\"127.0.0.1:1\", \"127.0.0.1:2\", \"127.0.0.1:5\"}\n");
	ck_ok(load(config_option, NULL));
	ck_assert_uint_eq(config.listen_count, 2);
	ck_assert_str_eq(config.listen[0], "127.0.0.1:3");
	ck_assert_str_eq(config.listen[1], "127.0.0.1:4");
	unload();
	ck_ok(load(config_option, "--listen", "127.0.0.1:6", "--listen=[::1]:7", NULL));
	ck_assert_uint_eq(config.listen_count, 2);
	ck_assert_str_eq(config.listen[0], "127.0.0.1:6");
	ck_assert_str_eq(config.listen[1], "[::1]:7");
}
END_TEST

START_TEST(an_overruled_value_is_checked_all_the_same)
{
	write_file("http_threads = 0\n");
	ck_fails(load(config_option, "--http-threads=1", NULL), EBADMSG);
	ck_output_has("conf:1: http_threads: '0'");
}
END_TEST

START_TEST(a_wrong_variable_is_named)
{
	ck_assert_int_eq(setenv("ROLLCALL_HOLD_PERCENT", "101", 1), 0);
	ck_assert_int_eq(setenv("ROLLCALL_LISTEN", "127.0.0.1:1 nowhere", 1), 0);
	ck_fails(load_file(""), EBADMSG);
	ck_output_has(
		"environment: ROLLCALL_HOLD_PERCENT: '101' is out of range; allowed: 1 to 100 "
		"percent\n");
	ck_output_has("environment: ROLLCALL_LISTEN: 'nowhere' is not an address");
}
END_TEST

START_TEST(an_empty_variable_is_as_good_as_none)
{
	ck_assert_int_eq(setenv("ROLLCALL_HTTP_THREADS", "", 1), 0);
	ck_assert_int_eq(setenv("ROLLCALL_LISTEN", "", 1), 0);
	ck_ok(load_file("http_threads = 2\n"));
	ck_assert_int_eq(config.http_threads, 2);
	ck_assert_str_eq(config.listen[0], "127.0.0.1:7655");
}
END_TEST

START_TEST(a_value_may_follow_its_option_and_the_last_wins)
{
	write_file("");
	ck_ok(load("--config", path, "--state-dir", "a=b", "--http-threads=2", "--http-threads",
	           "3", NULL));
	ck_assert_str_eq(config.state_dir, "a=b");
	ck_assert_int_eq(config.http_threads, 3);
}
END_TEST

START_TEST(a_usage_error_comes_before_other_errors)
{
	ck_assert_int_eq(setenv("ROLLCALL_HTTP_THREADS", "0", 1), 0);
	write_file("http_threads = 0\n");
	ck_fails(load(config_option, "--http-threads=0", NULL), EINVAL);
	ck_output_has("conf:1: http_threads: '0'");
	ck_output_has("environment: ROLLCALL_HTTP_THREADS: '0'");
	ck_output_has(
		"command line: --http-threads: '0' is out of range; allowed: 1 to 64 threads\n");
}
END_TEST

static const struct {
	const char *args[3];
	const char *want;
} wrong_lines[] = {
	{{"--http-thread=3"}, "unknown option '--http-thread'; did you mean --http-threads?"},
	{{"--http_threads=3"}, "unknown option '--http_threads'; did you mean --http-threads?"},
	{{"--wibble"}, "unknown option '--wibble'; see rollcalld --help"},
	{{"-x"}, "unknown option '-x'; see rollcalld --help"},
	{{"--"}, "unknown option '--'"},
	{{"---"}, "unknown option '---'"},
	{{"start"}, "unexpected argument 'start'; see rollcalld --help"},
	{{""}, "unexpected argument ''"},
	{{"-"}, "unexpected argument '-'"},
	{{"--help=1"}, "--help takes no value"},
	{{"--http-threads"}, "--http-threads needs a value"},
	{{"--http-threads="}, "--http-threads: '' is not a number"},
	{{"--state-dir="}, "--state-dir: '' is empty; allowed: 1 to 255 bytes of text"},
	{{"--state-dir=a\nb"}, "--state-dir: '(text)' holds a control character"},
	{{"--log-format=xml"}, "'xml' is not known; allowed: one of auto, text, json, journald"},
	{{"--log-format=auto|text"}, "'auto|text' is not known"},
	{{"--config"}, "--config needs a value"},
	{{"--config="}, "--config needs the name of a file"},
	{{"--check-config", "--print-config"},
         "--check-config and --print-config exclude each other"},
};

START_TEST(a_wrong_command_line_gets_a_hint)
{
	ck_fails(load(wrong_lines[_i].args[0], wrong_lines[_i].args[1], NULL), EINVAL);
	ck_output_has("command line: ");
	ck_output_has(wrong_lines[_i].want);
}
END_TEST

START_TEST(all_wrong_arguments_are_reported)
{
	ck_fails(load("--wibble", "start", "--wobble=1", NULL), EINVAL);
	ck_output_has("'--wibble'");
	ck_output_has("'start'");
	ck_output_has("'--wobble'");
}
END_TEST

static const struct {
	const char *arg;
	enum config_action action;
} actions[] = {
	{"--help", CONFIG_HELP},          {"-h", CONFIG_HELP},
	{"--version", CONFIG_VERSION},    {"--check-config", CONFIG_CHECK},
	{"--print-config", CONFIG_PRINT}, {"--check", CONFIG_VERIFY},
};

START_TEST(the_command_line_sets_the_action)
{
	write_file("http_threads = 2\n");
	ck_ok(load(config_option, actions[_i].arg, NULL));
	ck_assert_int_eq(action, actions[_i].action);
}
END_TEST

START_TEST(help_and_version_work_beside_a_broken_file)
{
	write_file("http_threads = 0\n");
	ck_ok(load(config_option, "--help", NULL));
	unload();
	ck_ok(load(config_option, "--version", NULL));
	ck_assert_str_eq(output, "");
}
END_TEST

int main(void)
{
	const TTest *cases[] = {
		more_addresses_than_fit_are_refused,
		the_stronger_source_wins,
		a_stronger_list_replaces_a_weaker_one,
		an_overruled_value_is_checked_all_the_same,
		a_wrong_variable_is_named,
		an_empty_variable_is_as_good_as_none,
		a_value_may_follow_its_option_and_the_last_wins,
		a_usage_error_comes_before_other_errors,
		all_wrong_arguments_are_reported,
		help_and_version_work_beside_a_broken_file,
	};
	Suite *suite = suite_create("args");
	TCase *tcase = tcase_create("args");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		tcase_add_test(tcase, cases[i]);
	tcase_add_loop_test(tcase, an_address_is_checked_for_its_form, 0, ARRAY_LEN(addresses));
	tcase_add_loop_test(tcase, a_wrong_command_line_gets_a_hint, 0, ARRAY_LEN(wrong_lines));
	tcase_add_loop_test(tcase, the_command_line_sets_the_action, 0, ARRAY_LEN(actions));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
