/* SPDX-License-Identifier: MIT */
/** Starting programs. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum process_place {
	PROCESS_OUR_GROUP,   /* in the group of the tool: keys of the terminal reach both */
	PROCESS_OWN_GROUP,   /* a signal to its group reaches it and what it has started */
	PROCESS_OWN_SESSION, /* the same, and there is no controlling terminal */
};

struct process {
	char *const *argv;    /* argv[0] is looked for in PATH */
	char *const *env;     /* "NAME=VALUE" to add to the tool's, NULL-terminated; NULL: none */
	const sigset_t *mask; /* signals blocked in it */
	int input;            /* its standard input; -1: that of the tool */
	enum process_place place;
};

/**
 * Starts a program, with default signal dispositions.
 * @param ret_pid  its pid; the caller reaps it
 * @return 0, or the negative errno of execvp(); the child is then reaped already
 */
int process_start(const struct process *process, pid_t *ret_pid);

/** @return whether the tool has a controlling terminal */
bool process_has_terminal(void);

/** @return whether the process group of @p leader has a member; while it has, no other process or
 * group gets its number. No event reports the end of a group: ask every PROCESS_GROUP_POLL_MS. */
bool process_group_lives(pid_t leader);
#define PROCESS_GROUP_POLL_MS 20

/** @return the exit code that a shell makes of a wait status: 128 + n for signal n */
int process_exit_code(int wait_status);

/** @return a descriptor of a file without a name that has @p data, to be read from its beginning;
 * or a negative errno */
int process_input(const char *data, size_t len);
