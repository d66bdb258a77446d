/* SPDX-License-Identifier: MIT */
#include "main/notify.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "metrics/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define STATUS_EVERY_MS 10000
/* A thread that is only late, as after SIGSTOP, must not cost the whole of the next interval. */
#define RETRY_MS 100

void notify_init(struct notify *notify)
{
	uint64_t usec = 0;

	*notify = (struct notify){0};
	if (sd_watchdog_enabled(0, &usec) <= 0)
		return;
	notify->half_ms = (int64_t)(usec / 2000);
	if (notify->half_ms == 0)
		notify->half_ms = 1;
}

static bool status_changed(struct notify *notify)
{
	char status[sizeof(notify->status)];
	int64_t healthy = metrics_gauge(METRIC_HEALTHY);
	int64_t others = metrics_gauge(METRIC_UNHEALTHY) + metrics_gauge(METRIC_DRAINING);

	(void)snprintf(
		status, sizeof(status),
		"%" PRId64 " services, %" PRId64 " healthy instances, %" PRId64
		" others, revision %" PRId64 "%s",
		metrics_gauge(METRIC_SERVICES), healthy, others, metrics_gauge(METRIC_REVISION),
		metrics_gauge(METRIC_LOCKED) != 0 ? "; another process has locked the database"
						  : "");
	if (strcmp(status, notify->status) == 0)
		return false;
	(void)memcpy(notify->status, status, sizeof(status));
	return true;
}

void notify_ready(struct notify *notify)
{
	int64_t now = clock_ms();

	(void)status_changed(notify);
	notify->status_at_ms = now + STATUS_EVERY_MS;
	notify->feed_at_ms = now;
	/* Whether systemd listens is systemd's business, here and below. */
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s", notify->status);
}

void notify_reloading(void)
{
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=reloading",
	                 clock_us());
}

void notify_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}

static void feed(struct notify *notify, int64_t now)
{
	const char *name = NULL;
	int64_t oldest_ms = progress_oldest_ms(-1, &name);

	if (oldest_ms <= notify->half_ms) {
		(void)sd_notify(0, "WATCHDOG=1");
		if (notify->starving)
			log_line(LOG_NOTICE, "every thread makes progress again");
		notify->starving = false;
		notify->feed_at_ms = now + notify->half_ms;
		return;
	}
	if (!notify->starving)
		log_line(LOG_ERR,
		         "thread '%s' has made no progress for %" PRId64
		         " ms: the watchdog is not fed",
		         name, oldest_ms);
	notify->starving = true;
	notify->feed_at_ms = now + (notify->half_ms < RETRY_MS ? notify->half_ms : RETRY_MS);
}

void notify_tick(struct notify *notify)
{
	int64_t now = clock_ms();

	if (notify->half_ms > 0 && now >= notify->feed_at_ms)
		feed(notify, now);
	if (now >= notify->status_at_ms) {
		if (status_changed(notify))
			(void)sd_notifyf(0, "STATUS=%s", notify->status);
		notify->status_at_ms = now + STATUS_EVERY_MS;
	}
}

int notify_timeout_ms(const struct notify *notify)
{
	int64_t at = notify->status_at_ms;
	int64_t left;

	if (notify->half_ms > 0 && notify->feed_at_ms < at)
		at = notify->feed_at_ms;
	left = at - clock_ms();
	return left > 0 ? (int)left : 0;
}
