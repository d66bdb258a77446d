/* SPDX-License-Identifier: MIT */
/*
 * render: keeps a file up to date with the registry. One thread, which waits in pump_turn() for
 * changes of the services, for signals, and for the commands of a deployment. Invariant: while a
 * deployment is under way no other begins; changes meanwhile set first_ms, and are written after
 * it. A write at each change would be simpler, but a rollout changes a service many times in a
 * second, and each write may reload a proxy: hence the debounce, and its bound of ten times that.
 */
#include "tool/api.h"
#include "tool/builtin.h"
#include "tool/commands.h"
#include "tool/deploy.h"
#include "tool/facts.h"
#include "tool/replace.h"
#include "tool/template.h"
#include "tool/watcher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICES_MAX 1000
#define COMMAND_MS   60000
#define RETRY_MS     1000
#define RETRY_MAX_MS 60000

struct render {
	struct tool *tool;
	const struct args *args;
	char *source; /* the template */
	struct watcher *watchers;
	size_t count;
	struct pump pump;
	struct deploy deploy;
	int64_t debounce_ms;
	int64_t first_ms; /* when the first unwritten change came; -1: there is none */
	int64_t last_ms;  /* when the last one came */
	int64_t retry_ms; /* when to retry what failed; -1: nothing failed */
	int64_t pause_ms; /* the last pause before a retry */
	bool ended;
	int code;
};

static void render_changed(struct watcher *watcher, void *arg)
{
	struct render *render = arg;

	(void)watcher;
	render->last_ms = tool_now_ms();
	if (render->first_ms < 0)
		render->first_ms = render->last_ms;
}

/** @return the text of the template, freed by the caller; NULL: reported */
static char *read_template(const char *name)
{
	const char *built_in = builtin_find(BUILTIN_TEMPLATE, name);
	struct text text = {NULL, 0, 0};

	if (built_in != NULL)
		return memory_copy(built_in);
	int r = replace_read_any(name, &text);
	if (r < 0) {
		tool_warn("cannot read template '%s': %s", name, strerror(-r));
		return NULL;
	}
	if (strlen(text.data) != text.len) {
		tool_warn("template '%s' is not text", name);
		text_free(&text);
		return NULL;
	}
	return text.data;
}

/** Fills in the template. @return 0; -EINVAL (reported) */
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

/** Plans a retry after a failure: each pause is twice the one before. */
static void retry_later(struct render *render)
{
	int64_t pause = render->pause_ms > 0 ? 2 * render->pause_ms : RETRY_MS;

	render->pause_ms = pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS;
	render->retry_ms = tool_now_ms() + render->pause_ms;
	if (render->args->value[OPT_ONCE] == NULL)
		tool_warn("retrying in %lld s", (long long)render->pause_ms / 1000);
}

/** Takes the result of a deployment. */
static void render_deployed(struct render *render, bool good)
{
	render->code = good ? EXIT_OK : EXIT_ERROR;
	if (good)
		render->pause_ms = 0;
	else
		retry_later(render);
	render->ended = render->ended || render->args->value[OPT_ONCE] != NULL;
}

static void render_print(struct render *render, const struct text *made)
{
	(void)fwrite(made->data, 1, made->len, stdout);
	(void)fflush(stdout);
	render->ended = render->args->value[OPT_ONCE] != NULL || ferror(stdout) != 0;
}

/** Fills in the template, and prints or deploys the result. */
static void render_work(struct render *render)
{
	struct text made = {NULL, 0, 0};

	render->first_ms = -1;
	render->retry_ms = -1;
	if (fill_in(render, &made) < 0) {
		render->code = EXIT_USAGE;
		render->ended = true; /* the same error would come again */
	} else if (render->args->value[OPT_TARGET] != NULL) {
		deploy_start(&render->deploy, &made);
	} else {
		render_print(render, &made);
	}
	text_free(&made);
}

/** @return milliseconds until the file must be written; below 0: there is nothing to write */
static int64_t write_in(const struct render *render)
{
	int64_t now = tool_now_ms();
	int64_t quiet = render->last_ms + render->debounce_ms;
	int64_t most = render->first_ms + 10 * render->debounce_ms;
	int64_t due = quiet < most ? quiet : most;

	for (size_t i = 0; i < render->count; i++)
		if (render->watchers[i].instances == NULL)
			return -1;
	if (deploy_is_active(&render->deploy))
		return -1;
	if (render->first_ms < 0)
		due = render->retry_ms;
	else if (render->args->value[OPT_ONCE] != NULL)
		due = now;
	if (due < 0)
		return -1;
	return due > now ? due - now : 0;
}

static void render_turn(struct render *render)
{
	struct signalfd_siginfo info;
	int64_t timeout_ms = pump_sooner(write_in(render), deploy_work(&render->deploy));
	bool good;

	for (size_t i = 0; i < render->count; i++) {
		watcher_work(&render->watchers[i], &render->pump);
		timeout_ms = pump_sooner(timeout_ms, watcher_timeout(&render->watchers[i]));
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
	(void)deploy_work(&render->deploy);
	if (!render->ended && write_in(render) == 0)
		render_work(render);
	if (deploy_take(&render->deploy, &good))
		render_deployed(render, good);
}

static void set_up(struct render *render)
{
	sigset_t signals;

	pump_end_signals(&signals);
	(void)sigaddset(&signals, SIGHUP);
	pump_init(&render->pump, &signals);
	render->count = (size_t)render->args->operand_count;
	render->watchers = memory_get(render->count * sizeof(render->watchers[0]));
	for (size_t i = 0; i < render->count; i++) {
		const char *service = render->args->operands[i];
		struct text path = api_path(service, NULL, "");

		api_query_meta(&path, render->args);
		watcher_init(&render->watchers[i], render->tool, service, path.data);
		render->watchers[i].changed = render_changed;
		render->watchers[i].arg = render;
		render->watchers[i].once = render->args->value[OPT_ONCE] != NULL;
		text_free(&path);
	}
}

/** Checks that the target can be replaced. @return exit code */
static int check_target(const struct args *args)
{
	const char *target = args->value[OPT_TARGET];
	char *path;

	if (target == NULL) {
		if (args->value[OPT_CHECK] == NULL && args->value[OPT_RELOAD] == NULL)
			return EXIT_OK;
		tool_warn("--check and --reload require --output");
		return EXIT_USAGE;
	}
	int r = replace_resolve(target, &path);
	if (r == 0)
		free(path);
	else if (r != -EINVAL)
		tool_warn("cannot write '%s': %s", target, strerror(-r));
	return r == 0 ? EXIT_OK : EXIT_USAGE;
}

static int render_read_options(struct render *render, const struct args *args)
{
	int64_t command_ms = COMMAND_MS;

	if (args_duration(args, OPT_DEBOUNCE, &render->debounce_ms) < 0 ||
	    args_duration(args, OPT_COMMAND_TIMEOUT, &command_ms) < 0)
		return EXIT_USAGE;
	if (args->value[OPT_TEMPLATE] == NULL ||
	    (args->operand_count == 0 && args->value[OPT_PRINT] == NULL)) {
		tool_warn("render requires --template and at least one service");
		return EXIT_USAGE;
	}
	if (args->operand_count > SERVICES_MAX || render->debounce_ms > HOUR_MS || command_ms < 1 ||
	    command_ms > HOUR_MS) {
		tool_warn("render takes at most %d services, --debounce at most 1h, and "
		          "--command-timeout 1ms to 1h",
		          SERVICES_MAX);
		return EXIT_USAGE;
	}
	render->deploy = (struct deploy){
		.target = args->value[OPT_TARGET],
		.check = args->value[OPT_CHECK],
		.reload = args->value[OPT_RELOAD],
		.mask = &render->pump.before,
		.command_ms = command_ms,
	};
	return check_target(args);
}

int render_run(struct tool *tool, const struct args *args)
{
	struct render render = {
		.tool = tool, .args = args, .debounce_ms = 200, .first_ms = -1, .retry_ms = -1};

	int code = render_read_options(&render, args);
	if (code != EXIT_OK)
		return code;
	render.source = read_template(args->value[OPT_TEMPLATE]);
	if (render.source == NULL)
		return EXIT_USAGE;
	if (args->value[OPT_PRINT] != NULL) {
		(void)fputs(render.source, stdout);
		free(render.source);
		return EXIT_OK;
	}
	set_up(&render);
	while (!render.ended)
		render_turn(&render);
	deploy_cancel(&render.deploy);
	for (size_t i = 0; i < render.count; i++)
		watcher_fini(&render.watchers[i], &render.pump);
	free(render.watchers);
	pump_fini(&render.pump);
	free(render.source);
	return render.code;
}
