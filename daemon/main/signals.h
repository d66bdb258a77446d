/* SPDX-License-Identifier: MIT */
/** Signals, and the failure of the writer, as events that main() waits for. Thread: main;
 * signals_fail(): any. */
#pragma once

#include "base/attr.h"

struct signals {
	int signal_fd;
	int failed_fd;
};

enum signals_event { SIGNALS_NONE, SIGNALS_STOP, SIGNALS_RELOAD, SIGNALS_FAILED };

/** Call it before threads start: they inherit the signal mask. @return 0 or an error */
int signals_init(struct signals *signals) MUST_USE;
void signals_fini(struct signals *signals);
/** Waits for at most @p timeout_ms. @param ret_name  set with SIGNALS_STOP: "SIGTERM", "SIGINT" */
enum signals_event signals_wait(struct signals *signals, int timeout_ms, const char **ret_name);
/** Makes signals_wait() return SIGNALS_FAILED. Any thread; never blocks. */
void signals_fail(struct signals *signals);
/**
 * Makes SIGTERM and SIGINT end the process at once with exit status 0, until signals_gather(). For
 * long work before there is anything to stop in order, such as salvaging a large file. The work
 * must be safe against a crash.
 */
void signals_end_at_once(void);
/** Makes SIGTERM and SIGINT wait for signals_wait() again. */
void signals_gather(void);
/** Makes SIGINT end the process: for a user who presses ^C again during the stop. */
void signals_allow_interrupt(void);
