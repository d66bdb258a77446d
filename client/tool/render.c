/* SPDX-License-Identifier: MIT */
/** render: keeps a file in step with the registry. */
#include "tool/api.h"
#include "tool/builtin.h"
#include "tool/commands.h"
#include "tool/facts.h"
#include "tool/process.h"
#include "tool/replace.h"
#include "tool/template.h"
#include "tool/watcher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICES_MAX   1000
#define COMMAND_MAX_MS 60000

struct render {
	struct tool *tool;
	const struct args *args;
	char *source; /* the template */
	struct watcher *watchers;
	size_t count;
	struct pump pump;
	int64_t debounce_ms;
	int64_t first_ms; /* when the first change came that is not yet written; -1: none */
	int64_t last_ms;  /* when the last did */
	bool ended;
	int code;
};

static void changed(struct watcher *watcher, void *arg)
{
	struct render *render = arg;

	(void)watcher;
	render->last_ms = tool_now_ms();
	if (render->first_ms < 0)
		render->first_ms = render->last_ms;
}

/** The template's text; NULL: told. */
static char *read_template(const char *name)
{
	const char *built_in = builtin_find(BUILTIN_TEMPLATE, name);
	struct text text = {NULL, 0, 0};

	if (built_in != NULL)
		return memory_copy(built_in);
	int r = replace_read(name, &text);
	if (r < 0) {
		tool_warn("cannot read template '%s': %s", name, strerror(-r));
		return NULL;
	}
	if (strlen(text.data) != text.len) {
		tool_warn("template '%s' is no text", name);
		text_free(&text);
		return NULL;
	}
	return text.data;
}

/** @return 0, -EINVAL (told) */
static int fill_in(const struct render *render, struct text *out)
{
	json_t *facts = facts_make(render->watchers, render->count, render->args);
	struct template_error error;

	int r = template_render(render->source, facts, out, &error);
	json_decref(facts);
	if (r < 0)
		tool_warn("template '%s', line %u: %s", render->args->value[OPT_TEMPLATE],
		          error.line, error.text);
	else
		text_put(out, "");
	return r;
}

/** Runs a command of the user's. @return 0, or -EINVAL (told) */
static int run_shell(const struct render *render, const char *what, const char *command,
                     const char *path)
{
	struct text variable = {NULL, 0, 0};
	pid_t pid;

	text_printf(&variable, "ROLLCALL_FILE=%s", path);
	char *env[] = {variable.data, NULL};
	struct process process = {NULL, env, &render->pump.before, -1};
	int r = process_start_shell(&process, command, &pid);
	if (r < 0)
		tool_warn("cannot run the %s: %s", what, strerror(-r));
	else
		r = process_wait(pid, COMMAND_MAX_MS);
	if (r == -ETIMEDOUT)
		tool_warn("the %s took longer than %d s", what, COMMAND_MAX_MS / 1000);
	else if (r > 0)
		tool_warn("the %s ended with %d", what, process_exit_code(r));
	text_free(&variable);
	return r == 0 ? 0 : -EINVAL;
}

static int check_file(const char *path, void *arg)
{
	const struct render *render = arg;
	const char *command = render->args->value[OPT_CHECK];

	return command != NULL ? run_shell(render, "check", command, path) : 0;
}

static void write_file(struct render *render, const struct text *made)
{
	const char *path = render->args->value[OPT_TARGET];
	const char *reload = render->args->value[OPT_RELOAD];
	bool replaced = false;

	int r = replace_file(path, made, check_file, render, &replaced);
	render->code = r < 0 ? EXIT_ERROR : EXIT_OK;
	if (r == -EINVAL)
		tool_warn("'%s' stays as it is", path);
	else if (r < 0)
		tool_warn("cannot write '%s': %s", path, strerror(-r));
	else if (replaced && reload != NULL && run_shell(render, "reload", reload, path) < 0)
		render->code = EXIT_ERROR;
}

/** Writes what is due. */
static void work(struct render *render)
{
	struct text made = {NULL, 0, 0};

	render->first_ms = -1;
	if (fill_in(render, &made) < 0) {
		render->code = EXIT_ERROR;
		render->ended = true; /* it would be wrong again */
	} else if (render->args->value[OPT_TARGET] != NULL) {
		write_file(render, &made);
	} else {
		(void)fwrite(made.data, 1, made.len, stdout);
		(void)fflush(stdout);
	}
	render->ended = render->ended || render->args->value[OPT_ONCE] != NULL;
	text_free(&made);
}

/** Milliseconds until the file is to be written; below 0: nothing to write. */
static int64_t write_in(const struct render *render)
{
	int64_t quiet = render->last_ms + render->debounce_ms;
	int64_t most = render->first_ms + 10 * render->debounce_ms;
	int64_t left = (quiet < most ? quiet : most) - tool_now_ms();

	for (size_t i = 0; i < render->count; i++)
		if (render->watchers[i].instances == NULL)
			return -1;
	if (render->first_ms < 0)
		return -1;
	return left > 0 && render->args->value[OPT_ONCE] == NULL ? left : 0;
}

static int64_t sooner(int64_t a, int64_t b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

static void turn(struct render *render)
{
	struct signalfd_siginfo info;
	int64_t timeout_ms = write_in(render);

	for (size_t i = 0; i < render->count; i++) {
		watcher_work(&render->watchers[i], &render->pump);
		timeout_ms = sooner(timeout_ms, watcher_timeout(&render->watchers[i]));
		if (render->watchers[i].error != EXIT_OK) {
			render->code = render->watchers[i].error;
			render->ended = true;
			return;
		}
	}
	int number = pump_turn(&render->pump, timeout_ms, &info);
	if (number == SIGTERM || number == SIGINT)
		render->ended = true;
	else if (number == SIGHUP && render->first_ms < 0)
		render->first_ms = render->last_ms = tool_now_ms();
	if (!render->ended && write_in(render) == 0)
		work(render);
}

static void set_up(struct render *render)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	pump_init(&render->pump, &signals);
	render->count = (size_t)render->args->operand_count;
	render->watchers = memory_get(render->count * sizeof(render->watchers[0]));
	for (size_t i = 0; i < render->count; i++) {
		const char *service = render->args->operands[i];
		struct text path = api_path(service, NULL, "");

		api_query_meta(&path, render->args);
		watcher_init(&render->watchers[i], render->tool, service, path.data);
		render->watchers[i].changed = changed;
		render->watchers[i].arg = render;
		text_free(&path);
	}
}

int render_run(struct tool *tool, const struct args *args)
{
	struct render render = {.tool = tool, .args = args, .debounce_ms = 200, .first_ms = -1};
	const char *name = args->value[OPT_TEMPLATE];

	if (args_duration(args, OPT_DEBOUNCE, &render.debounce_ms) < 0)
		return EXIT_USAGE;
	if (name == NULL || (args->operand_count == 0 && args->value[OPT_PRINT] == NULL)) {
		tool_warn("render takes --template and services");
		return EXIT_USAGE;
	}
	if (args->operand_count > SERVICES_MAX || render.debounce_ms > 3600000) {
		tool_warn("render takes at most %d services, and --debounce at most 1h",
		          SERVICES_MAX);
		return EXIT_USAGE;
	}
	render.source = read_template(name);
	if (render.source == NULL)
		return EXIT_ERROR;
	if (args->value[OPT_PRINT] != NULL) {
		(void)fputs(render.source, stdout);
		free(render.source);
		return EXIT_OK;
	}
	set_up(&render);
	while (!render.ended)
		turn(&render);
	for (size_t i = 0; i < render.count; i++)
		watcher_fini(&render.watchers[i], &render.pump);
	free(render.watchers);
	pump_fini(&render.pump);
	free(render.source);
	return render.code;
}
