/* SPDX-License-Identifier: MIT */
/*
 * One deployment as a state machine: check, replace, reload, and after a failed reload put back and
 * reload again. One thread; commands run in hook.c, and deploy_work() continues when one has ended.
 * Invariant: from before the target changes until a reload has succeeded the mark exists, so that
 * after a crash the next run repeats the reload. Reloading at every start would do without a mark,
 * but would interrupt programs for nothing.
 */
#include "tool/deploy.h"

#include "tool/replace.h"
#include "tool/tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MODE 0644
#define MARK_MODE 0600

/* The first line of the mark. The content that was in use follows MARK_OLD. */
#define MARK_OLD  "a reload is owed; before it the file held:\n"
#define MARK_NONE "a reload is owed; there was no file before\n"

static void deploy_end(struct deploy *deploy, bool good)
{
	deploy->step = DEPLOY_ENDED;
	deploy->good = good;
}

static void drop_made(struct deploy *deploy)
{
	if (deploy->made != NULL)
		(void)unlink(deploy->made);
	free(deploy->made);
	deploy->made = NULL;
}

static void report_write(const char *path, int r)
{
	if (r != -EINVAL) /* replace.c has reported that */
		tool_warn("cannot write '%s': %s", path, strerror(-r));
}

/** @return @p command with each {} replaced by @p path, which is quoted for the shell if need be */
static struct text fill_in_path(const char *command, const char *path)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789/._-+,=@:";
	struct text text = {NULL, 0, 0};
	bool quoted = strspn(path, plain) != strlen(path);
	const char *braces;

	text_put(&text, "");
	while ((braces = strstr(command, "{}")) != NULL) {
		text_put_bytes(&text, command, (size_t)(braces - command));
		text_put(&text, quoted ? "'" : "");
		for (const char *c = path; *c != '\0'; c++)
			text_put_bytes(&text, *c == '\'' ? "'\\''" : c, *c == '\'' ? 4 : 1);
		text_put(&text, quoted ? "'" : "");
		command = braces + 2;
	}
	text_put(&text, command);
	return text;
}

/** @return whether the command was started; false is reported */
static bool deploy_start_command(struct deploy *deploy, enum deploy_step step, const char *command,
                                 const char *path)
{
	struct text variable = {NULL, 0, 0};

	text_printf(&variable, "ROLLCALL_FILE=%s", path);
	char *env[] = {variable.data, NULL};
	struct process process = {.env = env, .mask = deploy->mask, .input = -1};
	int r = hook_start_shell(&deploy->hook, &process, command, deploy->command_ms);
	text_free(&variable);
	if (r < 0) {
		tool_warn("cannot run '%s': %s", command, strerror(-r));
		return false;
	}
	deploy->step = step;
	return true;
}

static void deploy_run_reload(struct deploy *deploy, enum deploy_step step)
{
	if (!deploy_start_command(deploy, step, deploy->reload, deploy->target))
		deploy_end(deploy, false);
}

/** Writes the mark, with the content in use. @return 0; -EINVAL (reported); or another negative
 * errno */
static int write_mark(struct deploy *deploy)
{
	struct text text = {NULL, 0, 0};

	text_put(&text, MARK_OLD);
	int r = replace_read(deploy->path, &text);
	if (r == -ENOENT) {
		text_clear(&text);
		text_put(&text, MARK_NONE);
		r = 0;
	}
	if (r == 0)
		r = replace_file(deploy->mark, &text, MARK_MODE);
	text_free(&text);
	deploy->owed = r == 0;
	return r;
}

static void deploy_install(struct deploy *deploy)
{
	int r = 0;

	/* An existing mark keeps the content from before the last reload that failed. */
	if (deploy->reload != NULL && !deploy->owed)
		r = write_mark(deploy);
	if (r < 0) {
		report_write(deploy->mark, r);
		drop_made(deploy);
		deploy_end(deploy, false);
		return;
	}
	r = replace_install(deploy->made, deploy->path);
	free(deploy->made);
	deploy->made = NULL;
	if (r < 0) {
		report_write(deploy->path, r);
		deploy_end(deploy, false);
	} else if (deploy->reload != NULL) {
		deploy_run_reload(deploy, DEPLOY_RELOAD);
	} else {
		deploy_end(deploy, true);
	}
}

static void deploy_settle(struct deploy *deploy)
{
	if (unlink(deploy->mark) < 0 && errno != ENOENT)
		tool_warn("cannot remove '%s': %s", deploy->mark, strerror(errno));
}

/** Reads the old content from the mark. @return false: there is none, or it is in the target */
static bool read_old(const struct deploy *deploy, struct text *old)
{
	struct text mark = {NULL, 0, 0};
	const size_t head = strlen(MARK_OLD);
	bool other = false;

	if (replace_read(deploy->mark, &mark) == 0 && strncmp(mark.data, MARK_OLD, head) == 0) {
		text_put_bytes(old, mark.data + head, mark.len - head);
		other = !replace_holds(deploy->path, old);
	}
	text_free(&mark);
	return other;
}

/** After a failed reload: puts the old content back, and reloads that. */
static void deploy_put_back(struct deploy *deploy)
{
	struct text old = {NULL, 0, 0};
	char *made;

	if (!read_old(deploy, &old)) {
		tool_warn("cannot put the old content of '%s' back: there is no other content",
		          deploy->target);
		text_free(&old);
		deploy_end(deploy, false);
		return;
	}
	int r = replace_prepare(deploy->path, &old, FILE_MODE, &made);
	text_free(&old);
	if (r == 0) {
		r = replace_install(made, deploy->path);
		free(made);
	}
	if (r < 0) {
		report_write(deploy->path, r);
		deploy_end(deploy, false);
		return;
	}
	tool_warn("'%s': put the old content back, reloading it", deploy->target);
	deploy_run_reload(deploy, DEPLOY_PUT_BACK);
}

static void deploy_report(const struct deploy *deploy, const char *what, int status)
{
	if (status == -ETIMEDOUT)
		tool_warn("the %s took longer than %lld ms and was stopped", what,
		          (long long)deploy->command_ms);
	else if (status != 0)
		tool_warn("the %s ended with %d", what, process_exit_code(status));
}

static void deploy_command_ended(struct deploy *deploy, int status)
{
	deploy_report(deploy, deploy->step == DEPLOY_CHECK ? "check" : "reload", status);
	if (deploy->step == DEPLOY_CHECK && status == 0) {
		deploy_install(deploy);
	} else if (deploy->step == DEPLOY_CHECK) {
		tool_warn("'%s' is unchanged", deploy->target);
		drop_made(deploy);
		deploy_end(deploy, false);
	} else if (status == 0) {
		deploy_settle(deploy);
		deploy_end(deploy, deploy->step == DEPLOY_RELOAD);
	} else if (deploy->step == DEPLOY_RELOAD) {
		deploy_put_back(deploy);
	} else {
		deploy_end(deploy, false);
	}
}

static void deploy_run_check(struct deploy *deploy)
{
	struct text command = fill_in_path(deploy->check, deploy->made);

	if (!deploy_start_command(deploy, DEPLOY_CHECK, command.data, deploy->made)) {
		drop_made(deploy);
		deploy_end(deploy, false);
	}
	text_free(&command);
}

void deploy_start(struct deploy *deploy, const struct text *content)
{
	int r = replace_resolve(deploy->target, &deploy->path);
	if (r < 0) {
		report_write(deploy->target, r);
		deploy_end(deploy, false);
		return;
	}
	deploy->mark = replace_hidden(deploy->path, ".reload");
	deploy->owed = deploy->reload != NULL && access(deploy->mark, F_OK) == 0;
	if (replace_holds(deploy->path, content)) {
		if (deploy->owed)
			deploy_run_reload(deploy, DEPLOY_RELOAD);
		else
			deploy_end(deploy, true);
		return;
	}
	r = replace_prepare(deploy->path, content, FILE_MODE, &deploy->made);
	if (r < 0) {
		report_write(deploy->path, r);
		deploy_end(deploy, false);
	} else if (deploy->check != NULL) {
		deploy_run_check(deploy);
	} else {
		deploy_install(deploy);
	}
}

bool deploy_is_active(const struct deploy *deploy)
{
	return deploy->step != DEPLOY_IDLE;
}

int64_t deploy_work(struct deploy *deploy)
{
	int status;

	hook_reap(&deploy->hook);
	int64_t next = hook_work(&deploy->hook);
	if (!hook_take(&deploy->hook, &status))
		return deploy->step == DEPLOY_ENDED ? 0 : next;
	deploy_command_ended(deploy, status);
	return deploy->step == DEPLOY_ENDED ? 0 : hook_work(&deploy->hook);
}

static void deploy_forget(struct deploy *deploy)
{
	drop_made(deploy);
	free(deploy->path);
	free(deploy->mark);
	deploy->path = deploy->mark = NULL;
	deploy->step = DEPLOY_IDLE;
}

bool deploy_take(struct deploy *deploy, bool *ret_good)
{
	if (deploy->step != DEPLOY_ENDED)
		return false;
	*ret_good = deploy->good;
	deploy_forget(deploy);
	return true;
}

void deploy_cancel(struct deploy *deploy)
{
	hook_end(&deploy->hook, HOOK_GRACE_MS);
	deploy_forget(deploy);
}
