/* SPDX-License-Identifier: MIT */
/** Signals as something to read, and the writer's cry for help. Thread: main, but signals_fail().
 */
#pragma once

#include "base/attr.h"

struct signals {
	int signal_fd;
	int failed_fd;
};

enum signals_event { SIGNALS_NONE, SIGNALS_STOP, SIGNALS_RELOAD, SIGNALS_FAILED };

/** Before threads start, which inherit what is blocked. @return 0 or an error */
int signals_init(struct signals *signals) MUST_USE;
void signals_fini(struct signals *signals);
/** Sleeps for at most @p timeout_ms. @param ret_name  such as "SIGTERM", with SIGNALS_STOP */
enum signals_event signals_wait(struct signals *signals, int timeout_ms, const char **ret_name);
/** Makes signals_wait() answer SIGNALS_FAILED. Any thread; never blocks. */
void signals_fail(struct signals *signals);
/**
 * For what may take long before there is anything to stop in order, such as salvaging a large file:
 * SIGTERM and SIGINT end the process at once with exit status 0. All that it does meanwhile must
 * stand a crash. Until signals_gather().
 */
void signals_end_at_once(void);
/** They wait for signals_wait() again. */
void signals_gather(void);
/** Gives SIGINT its usual meaning back: whoever presses ^C again does not want to wait. */
void signals_allow_interrupt(void);
