/* SPDX-License-Identifier: MIT */
/**
 * Checks whether a program is healthy: each check_start() checks once, without blocking.
 *
 *	check_read(&check, "http://127.0.0.1:8080/healthz", NULL, 0);
 *	check_start(&check, &pump);
 *	... // check.done() is called from pump_turn(), check_work() or check_reaped()
 *
 * One thread.
 */
#pragma once

#include "tool/hook.h"
#include "tool/memory.h"
#include "tool/pump.h"

#include <sys/types.h>

enum check_kind {
	CHECK_NONE,     /* always healthy */
	CHECK_TCP,      /* HOST:PORT accepts connections */
	CHECK_HTTP,     /* a GET gets 2xx or 3xx */
	CHECK_COMMAND,  /* a shell command exits with 0 */
	CHECK_PID_FILE, /* the process whose number is in a file exists */
};

#define CHECK_WHY_SIZE 200

/** How a check is written, for messages. */
#define CHECK_SYNTAX "tcp, tcp://HOST:PORT, http://URL, /PATH, exec:COMMAND, pid:FILE or none"

struct check {
	enum check_kind kind;
	char *target; /* URL, command or path; owned */
	int64_t timeout_ms;
	void (*done)(struct check *check, bool fine, void *arg);
	void *arg;
	char why[CHECK_WHY_SIZE]; /* why the last check failed, or "" */
	struct pump *pump;
	struct pump_job job;
	struct hook hook; /* the command */
};

/**
 * Sets up a check from its text: "tcp", "tcp://HOST:PORT", "http://...", "https://...", "/PATH" (by
 * HTTP at @p host and @p port), "exec:COMMAND", "pid:FILE" or "none". The caller sets done, arg and
 * perhaps timeout_ms.
 * @param host  NULL: "tcp" and "/PATH" are not allowed
 * @return 0; -EINVAL (not reported)
 */
int check_read(struct check *check, const char *text, const char *host, unsigned port);
void check_fini(struct check *check);

/** Starts a check; none may be under way. done() is called from here or later. */
void check_start(struct check *check, struct pump *pump);
bool check_is_active(const struct check *check);
/** Ends the check without a call of done(). May block for a second if a command does not end. */
void check_cancel(struct check *check);
/** Takes the status of a child that the caller has reaped, and calls done(). @return whether the
 * child was this check's command */
bool check_reaped(struct check *check, pid_t pid, int wait_status);
/** Stops a command that is out of time, and may call done(). @return milliseconds until the next
 * call; below 0: no limit */
int64_t check_work(struct check *check);
