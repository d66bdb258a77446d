/* SPDX-License-Identifier: MIT */
/*
 * Reports to systemd over its datagram socket. Main thread only.
 *
 * Invariant: main() never blocks here, because it also waits for signals. sd_notify(3) blocks while
 * systemd does not read, so datagrams are sent without blocking, and a state that must arrive is
 * kept in `state` until it has been sent.
 */
#include "main/notify.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "metrics/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define STATUS_EVERY_MS 10000
#define DISK_LOOK_MS    1000
#define DISK_SLOW_MS    2000
/* Retry soon: a thread that was only late, as after SIGSTOP, must not cost a whole interval. */
#define RETRY_MS 100

/* --- sending ---------------------------------------------------------------------------------- */

/* @return the length of the address; 0: @p name is no address */
static socklen_t address_of(const char *name, struct sockaddr_un *address)
{
	size_t len = strlen(name);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if ((name[0] != '/' && name[0] != '@') || len >= sizeof(address->sun_path))
		return 0;
	memcpy(address->sun_path, name, len + 1);
	if (name[0] != '@')
		return (socklen_t)sizeof(*address);
	address->sun_path[0] = '\0'; /* an abstract name */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/*
 * Sends one datagram without blocking.
 * @return 0, also when no process listens, which is no error here; -EAGAIN: try again later
 */
static int send_now(const char *text)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	socklen_t len = name != NULL ? address_of(name, &address) : 0;
	ssize_t sent;

	if (len == 0)
		return 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -EAGAIN; /* no descriptor is free */
	sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address, len);
	int error = sent < 0 ? errno : 0;
	(void)close(fd);
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM ? -EAGAIN : 0;
}

static int notify_report(struct notify *notify, const char *text)
{
	int r = send_now(text);

	if (r < 0 && !notify->unread)
		log_line(LOG_WARNING, "systemd does not read the reports of this daemon; retrying");
	if (r == 0 && notify->unread)
		log_line(LOG_NOTICE, "systemd reads the reports of this daemon again");
	notify->unread = r < 0;
	return r;
}

/* Sends `state`, which must arrive: notify_tick() repeats it until it has been sent. */
static void report_state(struct notify *notify)
{
	if (notify_report(notify, notify->state) == 0)
		notify->state[0] = '\0';
	notify->state_at_ms = clock_ms() + RETRY_MS;
}

/* --- reports ---------------------------------------------------------------------------------- */

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
	char disk[64] = "";

	if (notify->disk_slow)
		(void)snprintf(disk, sizeof(disk), "waiting for the disk for %" PRId64 " s; ",
		               metrics_gauge(METRIC_DISK_WAIT));
	(void)snprintf(status, sizeof(status),
	               "%s%" PRId64 " services, %" PRId64 " healthy instances, %" PRId64
	               " others, revision %" PRId64 "%s",
	               disk, metrics_gauge(METRIC_SERVICES), healthy, others,
	               metrics_gauge(METRIC_REVISION),
	               metrics_gauge(METRIC_LOCKED) != 0
	                       ? "; another process has locked the database"
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
	notify->disk_at_ms = now + DISK_LOOK_MS;
	(void)snprintf(notify->state, sizeof(notify->state), "READY=1\nSTATUS=%s", notify->status);
	report_state(notify);
}

void notify_reloading(struct notify *notify)
{
	(void)snprintf(notify->state, sizeof(notify->state),
	               "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=reloading", clock_us());
	report_state(notify);
}

void notify_stopping(struct notify *notify)
{
	(void)notify_report(notify, "STOPPING=1\nSTATUS=stopping");
}

static int64_t retry_ms(const struct notify *notify)
{
	return notify->half_ms < RETRY_MS ? notify->half_ms : RETRY_MS;
}

static void notify_feed(struct notify *notify, int64_t now)
{
	const char *name = NULL;
	int64_t oldest_ms = progress_oldest_ms(-1, &name);

	if (oldest_ms <= notify->half_ms) {
		notify->feed_at_ms = now + notify->half_ms;
		if (notify_report(notify, "WATCHDOG=1") < 0)
			notify->feed_at_ms = now + retry_ms(notify);
		if (notify->starving)
			log_line(LOG_NOTICE, "every thread makes progress again");
		notify->starving = false;
		return;
	}
	if (!notify->starving)
		log_line(LOG_ERR,
		         "thread '%s' has made no progress for %" PRId64
		         " ms: the watchdog is not fed",
		         name, oldest_ms);
	notify->starving = true;
	notify->feed_at_ms = now + retry_ms(notify);
}

/* A slow disk is no fault of this process: after a restart the daemon would read the whole journal
 * from the same disk. */
static void watch_disk(struct notify *notify, int64_t now)
{
	const char *name = NULL;
	int64_t waited_ms = progress_disk_ms(&name);
	bool slow = waited_ms >= DISK_SLOW_MS;

	metrics_set(METRIC_DISK_WAIT, waited_ms / 1000);
	if (slow && !notify->disk_slow) {
		metrics_count(METRIC_DISK_STALLS, 1);
		log_line(LOG_WARNING,
		         "the disk has kept thread '%s' waiting for %" PRId64
		         " ms: changes wait, heartbeats and lookups do not",
		         name, waited_ms);
	} else if (!slow && notify->disk_slow) {
		log_line(LOG_NOTICE, "the disk answers again");
	}
	if (slow || notify->disk_slow)
		notify->status_at_ms = now;
	notify->disk_slow = slow;
	notify->disk_at_ms = now + DISK_LOOK_MS;
}

static void send_status(struct notify *notify, int64_t now)
{
	char text[sizeof(notify->status) + sizeof("STATUS=")];

	notify->status_at_ms = now + STATUS_EVERY_MS;
	if (!status_changed(notify))
		return;
	(void)snprintf(text, sizeof(text), "STATUS=%s", notify->status);
	if (notify_report(notify, text) < 0)
		notify->status[0] = '\0'; /* differs from the next status, so that is sent */
}

void notify_tick(struct notify *notify)
{
	int64_t now = clock_ms();

	if (notify->state[0] != '\0' && now >= notify->state_at_ms)
		report_state(notify);
	if (notify->half_ms > 0 && now >= notify->feed_at_ms)
		notify_feed(notify, now);
	if (now >= notify->disk_at_ms)
		watch_disk(notify, now);
	if (now >= notify->status_at_ms)
		send_status(notify, now);
}

int notify_timeout_ms(const struct notify *notify)
{
	int64_t at = notify->status_at_ms < notify->disk_at_ms ? notify->status_at_ms
	                                                       : notify->disk_at_ms;
	int64_t left;

	if (notify->half_ms > 0 && notify->feed_at_ms < at)
		at = notify->feed_at_ms;
	if (notify->state[0] != '\0' && notify->state_at_ms < at)
		at = notify->state_at_ms;
	left = at - clock_ms();
	return left > 0 ? (int)left : 0;
}
