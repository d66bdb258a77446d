/* SPDX-License-Identifier: MIT */
/**
 * Reports to systemd: ready, reloading, stopping, a line of status, and watchdog messages, which
 * are sent only while every thread makes progress. Without systemd nothing is sent. Never blocks: a
 * report that systemd does not read is sent again later. A disk that keeps a thread waiting is
 * reported in the status, the log and the metrics, and does not stop the watchdog messages. Thread:
 * main only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct notify {
	int64_t half_ms;      /* half of the watchdog's interval; 0: no watchdog */
	int64_t feed_at_ms;   /* when to send the next watchdog message */
	int64_t status_at_ms; /* when to send the status if it has changed */
	int64_t disk_at_ms;   /* when to look at waits for the disk */
	int64_t state_at_ms;  /* when to send `state` again */
	bool starving;        /* a hanging thread has been logged */
	bool unread;          /* systemd did not read the last report (logged) */
	bool disk_slow;       /* a slow disk has been logged */
	char status[240];     /* the status that was sent last */
	char state[280];      /* a state that has not been sent yet, or "" */
};

/** Reads the watchdog's interval from the environment. */
void notify_init(struct notify *notify);
void notify_ready(struct notify *notify);
/** Reports a reload; call notify_ready() after it. */
void notify_reloading(struct notify *notify);
void notify_stopping(struct notify *notify);
/** Sends what is due: watchdog message and status; looks at the disk; logs a hanging thread. */
void notify_tick(struct notify *notify);
/** The time until notify_tick() has work, in ms. */
int notify_timeout_ms(const struct notify *notify);
