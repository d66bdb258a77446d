/* SPDX-License-Identifier: MIT */
/*
 * Reports to systemd: readiness, reload, stop, status, watchdog. The test has the service manager's
 * end of NOTIFY_SOCKET, which it can fill so that nothing more fits. The clock is virtual.
 */
#include "main/notify.h"

#include "base/attr.h"
#include "base/clock.h"
#include "base/progress.h"
#include "metrics/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "suite.h"

static int systemd = -1; /* the socket that the daemon reports to */
static struct notify notify;
static struct progress writer;

static void setup(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t len;
	char name[sizeof(address.sun_path) + 1];

	ck_assert_int_eq(clearenv(), 0);
	systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(systemd, 0);
	/* An abstract socket name that only this process has. */
	(void)snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "rollcall-notify-%d",
	               (int)getpid());
	len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1);
	ck_assert_int_eq(bind(systemd, (struct sockaddr *)&address, len), 0);
	(void)snprintf(name, sizeof(name), "@%s", address.sun_path + 1);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
	clock_virtual_set(1000000);
}

static void teardown(void)
{
	clock_virtual_off();
	(void)close(systemd);
}

/* Returns the next report, "" when there is none. */
static const char *report(void)
{
	static char text[512];
	ssize_t len = recv(systemd, text, sizeof(text) - 1, 0);

	text[len < 0 ? 0 : len] = '\0';
	return text;
}

/* Starts with a watchdog of 10 s and one thread, which has just marked its progress. */
static void start_with_watchdog(void)
{
	ck_assert_int_eq(setenv("WATCHDOG_USEC", "10000000", 1), 0);
	notify_init(&notify);
	progress_add(&writer, "writer", PROGRESS_WORKER);
	notify_ready(&notify);
	ck_assert_str_eq(report(), "READY=1\nSTATUS=0 services, 0 healthy instances, 0 others, "
	                           "revision 0");
}

START_TEST(ready_comes_with_a_status)
{
	notify_init(&notify);
	metrics_set(METRIC_SERVICES, 2);
	metrics_set(METRIC_HEALTHY, 5);
	metrics_set(METRIC_UNHEALTHY, 1);
	metrics_set(METRIC_DRAINING, 2);
	metrics_set(METRIC_REVISION, 17);
	notify_ready(&notify);
	ck_assert_str_eq(report(), "READY=1\nSTATUS=2 services, 5 healthy instances, 3 others, "
	                           "revision 17");
}
END_TEST

START_TEST(a_reload_is_reported_with_the_time)
{
	notify_reloading(&notify);
	ck_assert_str_eq(report(), "RELOADING=1\nMONOTONIC_USEC=1000000000\nSTATUS=reloading");
}
END_TEST

START_TEST(stopping_is_reported)
{
	notify_stopping(&notify);
	ck_assert_str_eq(report(), "STOPPING=1\nSTATUS=stopping");
}
END_TEST

START_TEST(the_status_is_sent_again_only_when_it_has_changed)
{
	notify_init(&notify);
	notify_ready(&notify);
	(void)report();
	clock_virtual_advance(10000);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "");
	metrics_set(METRIC_HEALTHY, 1);
	clock_virtual_advance(9999);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "");
	clock_virtual_advance(1);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "STATUS=0 services, 1 healthy instances, 0 others, revision 0");
	metrics_set(METRIC_LOCKED, 1);
	clock_virtual_advance(10000);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "STATUS=0 services, 1 healthy instances, 0 others, revision 0; "
	                           "another process has locked the database");
}
END_TEST

START_TEST(the_watchdog_is_fed_at_half_its_interval)
{
	start_with_watchdog();
	ck_assert_int_eq(notify_timeout_ms(&notify), 0);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "WATCHDOG=1");
	ck_assert_int_eq(notify_timeout_ms(&notify), 1000); /* checks the disk each second */
	clock_virtual_advance(4000);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "");
	ck_assert_int_eq(notify_timeout_ms(&notify), 1000);
	clock_virtual_advance(999);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "");
	clock_virtual_advance(1);
	progress_mark(&writer);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "WATCHDOG=1");
}
END_TEST

START_TEST(the_watchdog_is_not_fed_while_a_thread_is_stuck)
{
	start_with_watchdog();
	clock_virtual_advance(5001);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "");
	ck_assert(notify.starving);
	/* The next check comes soon: a thread that was only late must cost no whole interval. */
	ck_assert_int_eq(notify_timeout_ms(&notify), 100);
	clock_virtual_advance(100);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "");
	clock_virtual_advance(100);
	progress_mark(&writer);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "WATCHDOG=1");
	ck_assert(!notify.starving);
}
END_TEST

START_TEST(the_watchdog_is_fed_while_a_thread_waits_for_the_disk)
{
	start_with_watchdog();
	notify_tick(&notify);
	ck_assert_str_eq(report(), "WATCHDOG=1");
	progress_disk_begin(&writer);
	clock_virtual_advance(1999);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "");
	ck_assert_int_eq(metrics_gauge(METRIC_DISK_WAIT), 1);
	ck_assert_uint_eq(metrics_counter(METRIC_DISK_STALLS), 0);

	clock_virtual_advance(18001);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "WATCHDOG=1");
	ck_assert_str_eq(report(), "STATUS=waiting for the disk for 20 s; 0 services, "
	                           "0 healthy instances, 0 others, revision 0");
	ck_assert(!notify.starving);
	ck_assert_int_eq(metrics_gauge(METRIC_DISK_WAIT), 20);
	ck_assert_uint_eq(metrics_counter(METRIC_DISK_STALLS), 1);

	/* The wait is over: its time counts once, and not as the thread's own. */
	progress_disk_end(&writer);
	clock_virtual_advance(5000);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "WATCHDOG=1");
	ck_assert_str_eq(report(), "STATUS=0 services, 0 healthy instances, 0 others, revision 0");
	ck_assert_int_eq(metrics_gauge(METRIC_DISK_WAIT), 0);
	ck_assert_uint_eq(metrics_counter(METRIC_DISK_STALLS), 1);
	clock_virtual_advance(5001);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "");
	ck_assert(notify.starving);
}
END_TEST

/* Fills the buffer of the socket with reports. */
static void fill_systemd(void)
{
	struct sockaddr_un address;
	socklen_t len = sizeof(address);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(getsockname(systemd, (struct sockaddr *)&address, &len), 0);
	while (sendto(fd, "FULL=1", 6, 0, (struct sockaddr *)&address, len) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
	(void)close(fd);
}

static void empty_systemd(void)
{
	while (strcmp(report(), "FULL=1") == 0)
		;
}

START_TEST(ready_is_sent_again_until_systemd_reads)
{
	notify_init(&notify);
	fill_systemd();
	notify_ready(&notify);
	ck_assert(notify.unread);
	ck_assert_int_eq(notify_timeout_ms(&notify), 100);
	clock_virtual_advance(100);
	notify_tick(&notify);
	ck_assert(notify.unread);
	empty_systemd();
	notify_tick(&notify);
	ck_assert_str_eq(report(), "");
	clock_virtual_advance(100);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "READY=1\nSTATUS=0 services, 0 healthy instances, 0 others, "
	                           "revision 0");
	ck_assert(!notify.unread);
	clock_virtual_advance(100);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "");
}
END_TEST

START_TEST(the_end_of_a_reload_replaces_its_beginning)
{
	notify_init(&notify);
	fill_systemd();
	notify_reloading(&notify);
	notify_ready(&notify);
	empty_systemd();
	clock_virtual_advance(100);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "READY=1\nSTATUS=0 services, 0 healthy instances, 0 others, "
	                           "revision 0");
}
END_TEST

START_TEST(watchdog_and_status_are_sent_again_until_systemd_reads)
{
	start_with_watchdog();
	fill_systemd();
	notify_tick(&notify);
	ck_assert_int_eq(notify_timeout_ms(&notify), 100);
	metrics_set(METRIC_HEALTHY, 1);
	clock_virtual_advance(10000);
	progress_mark(&writer);
	notify_tick(&notify);
	empty_systemd();
	clock_virtual_advance(100);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "WATCHDOG=1");
	clock_virtual_advance(10000);
	progress_mark(&writer);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "WATCHDOG=1");
	ck_assert_str_eq(report(), "STATUS=0 services, 1 healthy instances, 0 others, revision 0");
}
END_TEST

START_TEST(stopping_does_not_wait_for_systemd)
{
	notify_init(&notify);
	fill_systemd();
	notify_stopping(&notify);
	empty_systemd();
	ck_assert_str_eq(report(), "");
}
END_TEST

START_TEST(a_socket_in_the_file_system_is_reported_to)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char dir[] = "/tmp/rollcall-notify-XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", dir);
	(void)close(systemd);
	systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(systemd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
	notify_stopping(&notify);
	ck_assert_str_eq(report(), "STOPPING=1\nSTATUS=stopping");
	(void)unlink(address.sun_path);
	(void)rmdir(dir);
}
END_TEST

START_TEST(without_a_watchdog_none_is_fed)
{
	notify_init(&notify);
	notify_ready(&notify);
	(void)report();
	clock_virtual_advance(9000);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "");
}
END_TEST

START_TEST(a_watchdog_meant_for_another_process_is_not_ours)
{
	ck_assert_int_eq(setenv("WATCHDOG_USEC", "10000000", 1), 0);
	ck_assert_int_eq(setenv("WATCHDOG_PID", "1", 1), 0);
	notify_init(&notify);
	ck_assert_int_eq(notify.half_ms, 0);
}
END_TEST

START_TEST(without_systemd_nothing_happens)
{
	ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
	notify_init(&notify);
	notify_ready(&notify);
	notify_reloading(&notify);
	notify_stopping(&notify);
	notify_tick(&notify);
	ck_assert_str_eq(report(), "");
}
END_TEST

SUITE("notify", setup, teardown, ready_comes_with_a_status, a_reload_is_reported_with_the_time,
      stopping_is_reported, the_status_is_sent_again_only_when_it_has_changed,
      the_watchdog_is_fed_at_half_its_interval, the_watchdog_is_not_fed_while_a_thread_is_stuck,
      the_watchdog_is_fed_while_a_thread_waits_for_the_disk,
      ready_is_sent_again_until_systemd_reads, the_end_of_a_reload_replaces_its_beginning,
      watchdog_and_status_are_sent_again_until_systemd_reads, stopping_does_not_wait_for_systemd,
      a_socket_in_the_file_system_is_reported_to, without_a_watchdog_none_is_fed,
      a_watchdog_meant_for_another_process_is_not_ours, without_systemd_nothing_happens)
