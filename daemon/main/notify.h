/* SPDX-License-Identifier: MIT */
/**
 * What systemd is told: ready, reloading, stopping, a line of status, and the watchdog's food,
 * which it gets only while every thread makes progress. Without systemd all of it does nothing.
 * Thread: main only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct notify {
	int64_t half_ms;      /* of the watchdog's interval; 0 = no watchdog */
	int64_t feed_at_ms;   /* when to look next */
	int64_t status_at_ms; /* when to look next */
	bool starving;        /* a stuck thread has been told of */
	char status[160];     /* as sent last */
};

/** Reads what systemd asked for, and forgets it, so that no child would inherit it. */
void notify_init(struct notify *notify);
void notify_ready(struct notify *notify);
/** SIGHUP has come; notify_ready() follows. */
void notify_reloading(void);
void notify_stopping(void);
/** Feeds the watchdog and tells the status, where that is due. Logs a thread that is stuck. */
void notify_tick(struct notify *notify);
/** How long main() may sleep until notify_tick() has work, in ms. */
int notify_timeout_ms(const struct notify *notify);
