/* SPDX-License-Identifier: MIT */
/**
 * Is a program fine? Asks once, without blocking, each time it is told to.
 *
 *	check_read(&check, "http://127.0.0.1:8080/healthz", NULL, 0);
 *	check_start(&check, &pump);
 *	...	check.done() is called from pump_turn() or check_reaped()
 *
 * One thread.
 */
#pragma once

#include "tool/hook.h"
#include "tool/memory.h"
#include "tool/pump.h"

#include <sys/types.h>

enum check_kind {
	CHECK_NONE,     /* always fine */
	CHECK_TCP,      /* HOST:PORT accepts connections */
	CHECK_HTTP,     /* a GET is answered with 2xx or 3xx */
	CHECK_COMMAND,  /* a shell command ends with 0 */
	CHECK_PID_FILE, /* the process whose number is in a file lives */
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
	char why[CHECK_WHY_SIZE]; /* what was wrong, until the next start */
	struct pump *pump;
	struct pump_job job;
	struct hook hook; /* the command */
};

/**
 * Reads how a check is written: "tcp", "tcp://HOST:PORT", "http://...", "https://...", "/PATH" (by
 * HTTP at host and port), "exec:COMMAND", "pid:FILE" or "none". The rest of @p check stays zero.
 * @return 0 or -EINVAL, without a word
 */
int check_read(struct check *check, const char *text, const char *host, unsigned port);
void check_fini(struct check *check);

/** Begins. Must not be under way. done() is called later. */
void check_start(struct check *check, struct pump *pump);
bool check_is_active(const struct check *check);
/** Ends it without a word. */
void check_cancel(struct check *check);
/** A child was reaped. @return was it this check's? */
bool check_reaped(struct check *check, pid_t pid, int wait_status);
/** Ends a command that is out of time, and may call done(). @return milliseconds until the next
 * call; below 0: no limit */
int64_t check_work(struct check *check);
