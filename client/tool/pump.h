/* SPDX-License-Identifier: MIT */
/**
 * The event loop of commands that keep running: transfers, signals, and the client library.
 *
 *	pump_init(&pump, signals);
 *	pump_add(&pump, &job);
 *	int number = pump_turn(&pump, timeout_ms, &info);
 *
 * One thread. Signals are blocked from pump_init() to pump_fini(), and pump_turn() returns them.
 */
#pragma once

#include <curl/curl.h>
#include <rollcall.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/signalfd.h>

struct pump {
	CURLM *multi;
	rollcall_client *client; /* borrowed; NULL: none */
	int signal_fd;
	sigset_t before; /* signals that were blocked before */
};

/** One transfer. */
struct pump_job {
	CURL *easy; /* owned by the caller */
	void (*done)(struct pump_job *job, CURLcode code);
	bool active;
};

/** The signals that end a command: SIGINT and SIGTERM. The caller may add more. */
void pump_end_signals(sigset_t *ret_signals);

/** @param signals  to wait for; SIGCHLD is always among them */
void pump_init(struct pump *pump, const sigset_t *signals);
void pump_fini(struct pump *pump);

/** Starts the transfer job->easy, whose CURLOPT_PRIVATE the pump uses. done() is called once, from
 * pump_turn(). */
void pump_add(struct pump *pump, struct pump_job *job);
/** Ends a transfer, if it is active, without a call of done(). */
void pump_remove(struct pump *pump, struct pump_job *job);

/**
 * Handles events; waits for one for at most @p timeout_ms (below 0: a minute), and may return
 * earlier.
 * @return the number of a signal that arrived, described in *@p ret_info; or 0
 */
int pump_turn(struct pump *pump, int64_t timeout_ms, struct signalfd_siginfo *ret_info);

/** @return the sooner of two timeouts, where below 0 is never */
int64_t pump_sooner(int64_t a, int64_t b);
