/* SPDX-License-Identifier: MIT */
#include "tool/hook.h"

#include "tool/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAP_MS 1000 /* how long the kernel may take to end a killed group */

int hook_start(struct hook *hook, const struct process *process, int64_t timeout_ms)
{
	struct process made = *process;
	pid_t pid;
	int null = -1;

	made.place = PROCESS_OWN_SESSION;
	if (made.input < 0)
		made.input = null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int r = made.input < 0 ? -errno : process_start(&made, &pid);
	if (null >= 0)
		(void)close(null);
	if (r < 0)
		return r;
	*hook = (struct hook){.group = pid, .due_ms = HOOK_NO_LIMIT};
	if (timeout_ms < HOOK_NO_LIMIT - tool_now_ms())
		hook->due_ms = tool_now_ms() + timeout_ms;
	return 0;
}

int hook_start_shell(struct hook *hook, const struct process *process, const char *command,
                     int64_t timeout_ms)
{
	struct process made = *process;
	char shell[] = "/bin/sh";
	char option[] = "-c";
	/* execvp() takes no const text, and changes nothing. */
	char *argv[] = {shell, option, (char *)(uintptr_t)command, NULL};

	made.argv = argv;
	return hook_start(hook, &made, timeout_ms);
}

bool hook_is_active(const struct hook *hook)
{
	return hook->group != 0;
}

void hook_reap(struct hook *hook)
{
	int status;

	if (hook->group != 0 && !hook->reaped &&
	    waitpid(hook->group, &status, WNOHANG) == hook->group)
		(void)hook_reaped(hook, hook->group, status);
}

bool hook_reaped(struct hook *hook, pid_t pid, int wait_status)
{
	if (hook->group == 0 || hook->group != pid)
		return false;
	hook->reaped = true;
	hook->status = wait_status;
	return true;
}

static bool hook_group_lives(const struct hook *hook)
{
	return !hook->reaped || process_group_lives(hook->group);
}

static void kill_group(struct hook *hook)
{
	if (hook_group_lives(hook))
		(void)kill(-hook->group, SIGKILL);
	hook->killed = true;
	hook->due_ms = HOOK_NO_LIMIT;
}

void hook_stop(struct hook *hook, int number)
{
	if (hook->group == 0)
		return;
	if (hook->stopping) {
		kill_group(hook);
		return;
	}
	if (hook_group_lives(hook))
		(void)kill(-hook->group, number);
	hook->stopping = true;
	hook->due_ms = tool_now_ms() + HOOK_GRACE_MS;
}

int64_t hook_work(struct hook *hook)
{
	if (hook->group == 0 || (hook->reaped && !hook->stopping))
		return -1;
	if (tool_now_ms() >= hook->due_ms) {
		hook->timed_out = hook->timed_out || !hook->stopping;
		hook_stop(hook, SIGTERM);
	}
	if (hook->due_ms == HOOK_NO_LIMIT)
		return -1;
	int64_t left = hook->due_ms - tool_now_ms();
	if (hook->reaped && left > PROCESS_GROUP_POLL_MS)
		return PROCESS_GROUP_POLL_MS;
	return left > 0 ? left : 0;
}

bool hook_take(struct hook *hook, int *ret_status)
{
	if (hook->group == 0 || !hook->reaped)
		return false;
	if (hook->stopping && !hook->killed && hook_group_lives(hook))
		return false;
	*ret_status = hook->timed_out ? -ETIMEDOUT : hook->status;
	*hook = (struct hook){0};
	return true;
}

void hook_end(struct hook *hook, int64_t grace_ms)
{
	int64_t until = tool_now_ms() + grace_ms + REAP_MS;
	int status;

	if (hook->group == 0)
		return;
	hook_stop(hook, SIGTERM);
	if (!hook->killed)
		hook->due_ms = tool_now_ms() + grace_ms;
	hook_reap(hook);
	while (!hook_take(hook, &status) && tool_now_ms() < until) {
		int64_t next = hook_work(hook);

		(void)poll(NULL, 0,
		           next < 0 || next > PROCESS_GROUP_POLL_MS ? PROCESS_GROUP_POLL_MS
		                                                    : (int)next);
		hook_reap(hook);
	}
	*hook = (struct hook){0};
}
