/* SPDX-License-Identifier: MIT */
/**
 * Runs a command of the user, with a time limit: a check, a reload, the command of watch. The
 * command gets a session of its own, so that a signal to its process group reaches everything that
 * it has started, and so that it is not stopped for using the terminal from the background.
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
	pid_t group; /* its leader is the process that was started; 0: no command runs */
	int status;  /* wait status of the leader, once it is reaped */
	bool reaped;
	bool stopping; /* the group was sent a signal to end */
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
/** Takes the status of a child that the caller has reaped. @return whether it was this hook's */
bool hook_reaped(struct hook *hook, pid_t pid, int wait_status);

/** Sends the signals that are due. @return milliseconds until the next call; below 0: no limit */
int64_t hook_work(struct hook *hook);

/** Sends signal @p number to the group. SIGKILL follows after HOOK_GRACE_MS, or at once with the
 * second call. */
void hook_stop(struct hook *hook, int number);

/**
 * @return whether the command has ended; after a signal, whether its whole group has
 * @param ret_status  its wait status, or -ETIMEDOUT; written only when this returns true
 */
bool hook_take(struct hook *hook, int *ret_status);

/** Ends the command, if one runs, and blocks until it has ended, for @p grace_ms plus one second at
 * most. @param grace_ms  from SIGTERM to SIGKILL */
void hook_end(struct hook *hook, int64_t grace_ms);
