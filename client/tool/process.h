/* SPDX-License-Identifier: MIT */
/** Programs that commands start. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum process_place {
	PROCESS_OUR_GROUP,   /* keys of a terminal reach it as they reach us */
	PROCESS_OWN_GROUP,   /* a signal to the group reaches it and what it started */
	PROCESS_OWN_SESSION, /* the same, and it has no controlling terminal */
};

struct process {
	char *const *argv;    /* argv[0] is looked for in PATH */
	char *const *env;     /* "NAME=VALUE" to add to ours, NULL-terminated; NULL: none */
	const sigset_t *mask; /* signals blocked in it */
	int input;            /* becomes its standard input; -1: keeps ours */
	enum process_place place;
};

/**
 * Starts it, with default signal dispositions.
 * @param ret_pid  its pid; whoever waits for children reaps it
 * @return 0, or negative errno: why it could not be executed (it is reaped already then)
 */
int process_start(const struct process *process, pid_t *ret_pid);

/** Has this process a controlling terminal? */
bool process_has_terminal(void);

/** Has the process group of @p leader a member? While it has, no other process or group gets its
 * number. Nothing reports its end: ask every PROCESS_GROUP_POLL_MS. */
bool process_group_lives(pid_t leader);
#define PROCESS_GROUP_POLL_MS 20

/** The exit code a shell gives a wait status: 128 + n for signal n. */
int process_exit_code(int wait_status);

/** A file without a name that holds @p data, to be read from its beginning. @return fd or -errno */
int process_input(const char *data, size_t len);
