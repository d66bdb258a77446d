/* SPDX-License-Identifier: MIT */
/*
 * watch: prints changes of a lookup, or runs a command on each change. One thread, which waits in
 * pump_turn() for the lookup, for signals and for the command. Invariant: at most one command runs;
 * changes meanwhile set dirty, and one more run after it covers them all, compared with what the
 * run before was about. A run per change would let a slow command fall behind without a limit.
 */
#include "tool/api.h"
#include "tool/commands.h"
#include "tool/hook.h"
#include "tool/output.h"
#include "tool/watcher.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Longer values do not fit into the environment of a process. */
#define FACT_MAX (100 << 10)

struct watch {
	struct watcher watcher;
	struct tool *tool;
	struct pump pump;
	char *const *command; /* NULL: print */
	json_t *reported;     /* instances of the last output or run; NULL: none yet */
	struct hook hook;     /* the command that runs */
	bool once;
	bool dirty;    /* the instances have changed since then */
	bool headed;   /* the headings were printed */
	bool stopping; /* by a signal */
	bool ended;
	int code;
};

/* clang-format off */
static const struct column change_columns[] = {
	{"CHANGE",   "change",            COLUMN_TEXT,     false, 7},
	{"ID",       "instance.id",       COLUMN_TEXT,     false, 24},
	{"ADDRESS",  "instance.address",  COLUMN_TEXT,     false, 21},
	{"STATUS",   "instance.status",   COLUMN_STATUS,   false, 9},
	{"REVISION", "revision",          COLUMN_NUMBER,   true,  8},
	{"METADATA", "instance.metadata", COLUMN_METADATA, false, 0},
};
/* clang-format on */
static const struct view view_changes = {change_columns,
                                         sizeof(change_columns) / sizeof(change_columns[0]),
                                         "instance.id", "instance.address"};

static json_t *watch_by_id(const json_t *instances)
{
	json_t *object = memory_json(json_object());
	json_t *one;
	size_t i;

	json_array_foreach(instances, i, one)
	{
		if (json_object_set(object, api_text(one, "id"), one) < 0)
			memory_lacks();
	}
	return object;
}

static void add_change(json_t *changes, const char *what, uint64_t revision, json_t *instance)
{
	json_t *change = memory_json(json_pack("{s:s, s:I, s:O}", "change", what, "revision",
	                                       (json_int_t)revision, "instance", instance));

	memory_append(changes, change);
}

/** @return the changes since the last output: removed, then added and changed in the order of the
 * lookup */
static json_t *find_changes(const struct watch *watch)
{
	json_t *changes = memory_json(json_array());
	json_t *before = watch_by_id(watch->reported);
	json_t *after = watch_by_id(watch->watcher.instances);
	uint64_t revision = watch->watcher.revision;
	const char *id;
	json_t *one;
	size_t i;

	json_object_foreach(before, id, one)
	{
		if (json_object_get(after, id) == NULL)
			add_change(changes, "removed", revision, one);
	}
	json_array_foreach(watch->watcher.instances, i, one)
	{
		const json_t *old = json_object_get(before, api_text(one, "id"));

		if (old == NULL)
			add_change(changes, "added", revision, one);
		else if (!json_equal(old, one))
			add_change(changes, "changed", revision, one);
	}
	json_decref(before);
	json_decref(after);
	return changes;
}

static void add_env(char ***env, size_t *count, const char *name, struct text *value)
{
	struct text pair = {NULL, 0, 0};

	text_printf(&pair, "%s=%s", name,
	            value->data != NULL && value->len <= FACT_MAX ? value->data : "");
	*env = memory_resize(*env, (*count + 2) * sizeof(**env));
	(*env)[(*count)++] = pair.data;
	(*env)[*count] = NULL;
	text_free(value);
}

/** @return the values of @p key, separated by blanks, which ids and addresses cannot contain */
static struct text watch_list(const json_t *array, const char *inner, const char *key,
                              const char *change)
{
	struct text text = {NULL, 0, 0};
	const json_t *one;
	size_t i;

	json_array_foreach(array, i, one)
	{
		const json_t *instance = inner != NULL ? json_object_get(one, inner) : one;

		if (change == NULL || strcmp(api_text(one, "change"), change) == 0)
			text_printf(&text, "%s%s", text.len > 0 ? " " : "",
			            api_text(instance, key));
	}
	return text;
}

static char **make_env(const struct watch *watch, const json_t *changes)
{
	const json_t *instances = watch->watcher.instances;
	char **env = NULL;
	size_t count = 0;
	struct text value = {NULL, 0, 0};

	text_put(&value, watch->watcher.service);
	add_env(&env, &count, "ROLLCALL_SERVICE", &value);
	text_printf(&value, "%" PRIu64, watch->watcher.revision);
	add_env(&env, &count, "ROLLCALL_REVISION", &value);
	text_printf(&value, "%zu", json_array_size(instances));
	add_env(&env, &count, "ROLLCALL_COUNT", &value);
	value = watch_list(instances, NULL, "id", NULL);
	add_env(&env, &count, "ROLLCALL_IDS", &value);
	value = watch_list(instances, NULL, "address", NULL);
	add_env(&env, &count, "ROLLCALL_ADDRESSES", &value);
	value = watch_list(changes, "instance", "id", "added");
	add_env(&env, &count, "ROLLCALL_ADDED", &value);
	value = watch_list(changes, "instance", "id", "changed");
	add_env(&env, &count, "ROLLCALL_CHANGED", &value);
	value = watch_list(changes, "instance", "id", "removed");
	add_env(&env, &count, "ROLLCALL_REMOVED", &value);
	return env;
}

static void watch_run_command(struct watch *watch, const json_t *changes)
{
	json_t *facts =
		memory_json(json_pack("{s:s, s:I, s:O, s:O}", "service", watch->watcher.service,
	                              "revision", (json_int_t)watch->watcher.revision, "instances",
	                              watch->watcher.instances, "changes", changes));
	char *text = json_dumps(facts, JSON_COMPACT);
	char **env = make_env(watch, changes);

	json_decref(facts);
	if (text == NULL)
		memory_lacks();
	int input = process_input(text, strlen(text));
	struct process process = {
		.argv = watch->command, .env = env, .mask = &watch->pump.before, .input = input};
	int r = input < 0 ? input : hook_start(&watch->hook, &process, HOOK_NO_LIMIT);
	if (r < 0) {
		tool_warn("cannot run '%s': %s", watch->command[0], strerror(-r));
		watch->code = EXIT_ERROR;
		watch->ended = watch->once;
	}
	if (input >= 0)
		(void)close(input);
	free(text);
	for (char **one = env; *one != NULL; one++)
		free(*one);
	free(env);
}

static void watch_report(struct watch *watch)
{
	bool first = watch->reported == NULL;
	json_t *changes = find_changes(watch);

	watch->dirty = false;
	json_decref(watch->reported);
	watch->reported = json_incref(watch->watcher.instances);
	if (first && watch->once) {
		json_decref(changes);
		return;
	}
	if (watch->command != NULL) {
		if (first || json_array_size(changes) > 0)
			watch_run_command(watch, changes);
	} else {
		output_part(watch->tool, &view_changes, changes, !watch->headed);
		watch->headed = true;
		watch->ended = watch->once || ferror(stdout) != 0;
	}
	json_decref(changes);
}

static void watch_changed(struct watcher *watcher, void *arg)
{
	struct watch *watch = arg;

	(void)watcher;
	watch->dirty = true;
}

static void watch_command_ended(struct watch *watch)
{
	int status;

	if (!hook_take(&watch->hook, &status))
		return;
	if (watch->stopping) {
		watch->ended = true;
		return;
	}
	watch->code = process_exit_code(status);
	watch->ended = watch->once;
	if (watch->code != 0)
		tool_warn("'%s' ended with %d", watch->command[0], watch->code);
}

/** Ends when the running command has ended. The second signal kills the command. */
static void watch_stop(struct watch *watch, int number)
{
	hook_stop(&watch->hook, number);
	watch->stopping = true;
	watch->ended = !hook_is_active(&watch->hook);
	watch->code = 128 + number;
}

static void watch_turn(struct watch *watch)
{
	struct signalfd_siginfo info;

	watcher_work(&watch->watcher, &watch->pump);
	int64_t next = pump_sooner(watcher_timeout(&watch->watcher), hook_work(&watch->hook));
	int number = pump_turn(&watch->pump, next, &info);
	if (number == SIGTERM || number == SIGINT)
		watch_stop(watch, number);
	hook_reap(&watch->hook);
	watch_command_ended(watch);
	if (!watch->ended && !watch->stopping && watch->dirty && !hook_is_active(&watch->hook))
		watch_report(watch);
}

int watch_run(struct tool *tool, const struct args *args)
{
	struct watch watch = {.tool = tool, .once = args->value[OPT_ONCE] != NULL};
	sigset_t signals;
	struct text path;

	if (output_check(tool, &view_changes) < 0)
		return EXIT_USAGE;
	if (args->operand_count > 1)
		watch.command = args->operands + 1;
	path = api_path(args->operands[0], NULL, "");
	api_query_list(&path, "status", args->value[OPT_STATUS]);
	api_query_meta(&path, args);
	pump_end_signals(&signals);
	pump_init(&watch.pump, &signals);
	watcher_init(&watch.watcher, tool, args->operands[0], path.data);
	watch.watcher.changed = watch_changed;
	watch.watcher.arg = &watch;
	watch.watcher.once = watch.once;
	text_free(&path);

	while (!watch.ended && watch.watcher.error == EXIT_OK)
		watch_turn(&watch);
	hook_end(&watch.hook, HOOK_GRACE_MS);
	int code = watch.watcher.error != EXIT_OK ? watch.watcher.error : watch.code;
	watcher_fini(&watch.watcher, &watch.pump);
	json_decref(watch.reported);
	pump_fini(&watch.pump);
	return code;
}
