/* SPDX-License-Identifier: MIT */
/**
 * What systemd is told: ready, reloading, stopping, a line of status, and the watchdog's food,
 * which it gets only while every thread makes progress. Without systemd nothing is sent. Never
 * blocks: what systemd does not read is sent again later. A disk that keeps a thread waiting is
 * reported in the status, the log and the metrics, and does not stop the feeding.
 * Thread: main only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct notify {
	int64_t half_ms;      /* of the watchdog's interval; 0 = no watchdog */
	int64_t feed_at_ms;   /* when to look next */
	int64_t status_at_ms; /* when to look next */
	int64_t disk_at_ms;   /* when to look next */
	int64_t state_at_ms;  /* when to send state again */
	bool starving;        /* a stuck thread has been logged */
	bool unread;          /* systemd did not read the last report, and that has been logged */
	bool disk_slow;       /* a slow disk has been logged */
	char status[240];     /* as sent last */
	char state[280];      /* a report of readiness that has not been sent yet, or "" */
};

/** Reads what systemd asked for, and forgets it, so that no child would inherit it. */
void notify_init(struct notify *notify);
void notify_ready(struct notify *notify);
/** SIGHUP has come; notify_ready() follows. */
void notify_reloading(struct notify *notify);
void notify_stopping(struct notify *notify);
/** Feeds the watchdog, looks at the disk and sends the status, where that is due. Logs a thread
 * that is stuck. */
void notify_tick(struct notify *notify);
/** How long main() may sleep until notify_tick() has work, in ms. */
int notify_timeout_ms(const struct notify *notify);
