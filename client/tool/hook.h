/* SPDX-License-Identifier: MIT */
/**
 * Commands of the user that may take a limited time: a check, a reload, the command of watch. Each
 * runs in a session of its own: a signal to its process group reaches everything that it started,
 * and it cannot be stopped by a terminal that it is not in the foreground of.
 *
 *	hook_start(&hook, &process, 60000);
 *	while (!hook_take(&hook, &status)) {
 *		int number = pump_turn(&pump, hook_work(&hook), &info);
 *		if (number == SIGCHLD)
 *			hook_reap(&hook);
 *	}
 *
 * A hook that is out of time gets SIGTERM, and SIGKILL two seconds later. One thread.
 */
#pragma once

#include "tool/process.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HOOK_NO_LIMIT INT64_MAX
#define HOOK_GRACE_MS 2000

/** Zeroed: no command runs. */
struct hook {
	pid_t group; /* the process that was started leads it; 0: no command runs */
	int status;  /* wait status of that process, once it is reaped */
	bool reaped;
	bool stopping; /* the group was sent a signal to end it */
	bool killed;
	bool timed_out;
	int64_t due_ms; /* when to send the next signal; HOOK_NO_LIMIT: never */
};

/**
 * Starts process->argv. Its standard input is /dev/null unless process->input is given.
 * @param timeout_ms  HOOK_NO_LIMIT: the command may take any time
 * @return 0, or negative errno: why it could not be executed
 */
int hook_start(struct hook *hook, const struct process *process, int64_t timeout_ms);
/** Starts `sh -c COMMAND`, otherwise the same; process->argv is not used. */
int hook_start_shell(struct hook *hook, const struct process *process, const char *command,
                     int64_t timeout_ms);

bool hook_is_active(const struct hook *hook);

/** Reaps the process that was started, if it has ended. */
void hook_reap(struct hook *hook);
/** A child was reaped elsewhere. @return was it this hook's? */
bool hook_reaped(struct hook *hook, pid_t pid, int wait_status);

/** Sends the signals that are due. @return milliseconds until the next call; below 0: no limit */
int64_t hook_work(struct hook *hook);

/** Sends @p number to the group; SIGKILL follows after HOOK_GRACE_MS, or at once at the second
 * call. */
void hook_stop(struct hook *hook, int number);

/**
 * Has it ended? After a signal it ends when its whole group has.
 * @param ret_status  its wait status, or -ETIMEDOUT; written when this returns true
 */
bool hook_take(struct hook *hook, int *ret_status);

/** Ends it, if it is active, and blocks until then. @param grace_ms  between SIGTERM and SIGKILL */
void hook_end(struct hook *hook, int64_t grace_ms);
