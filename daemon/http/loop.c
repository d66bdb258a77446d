/* SPDX-License-Identifier: MIT */
/*
 * The passes of an http thread: wait, take events, resume what the writer has finished, expire
 * waits, run libmicrohttpd, check deadlines. All of it runs on the loop's thread.
 *
 * Invariant: a connection is in exactly one lane, and each lane has one deadline, so a pass looks
 * only at the head of each lane. libmicrohttpd's own time-outs are not used: they count idle time
 * instead of the time since a request began, and a client that sends a byte now and then would
 * never time out.
 */
#include "http/loop.h"

#include "base/clock.h"
#include "base/thread.h"
#include "http/exchange.h"
#include "http/head.h"
#include "http/intake.h"
#include "http/internal.h"
#include "metrics/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A pass must take all events that were ready when it began (see ACCEPT_MAX). */
#define EVENTS_MAX 4096
#define HANGUP     (EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define SWEEP_MS   1000
#define LINGER_MS  2000

/* Its address marks an event of wake_fd; see loop_dispatch(). */
static char event_wake;

static void take_time(struct loop *loop)
{
	loop->now_us = clock_us();
	loop->now_ms = loop->now_us / 1000;
}

static void connection_shut(struct loop *loop, struct connection *connection)
{
	if (connection->side == NULL && !intake_pass_on(loop, connection, &loop->side[SIDE_SHORT]))
		return;
	lanes_move(&loop->lanes, connection, LANE_CLOSING, loop->now_ms);
	(void)shutdown(connection->fd, SHUT_RDWR); /* fails if the peer has reset the connection */
}

static int unread_bytes(const struct connection *connection)
{
	int unread = 0;

	(void)ioctl(connection->fd, FIONREAD, &unread); /* fails on a broken one: nothing to read */
	return unread;
}

/*
 * A client whose request was refused may still be sending. Closing a socket with unread bytes
 * resets the connection, and the client may never see the answer. So keep a duplicate of the socket
 * and read on for LINGER_MS after libmicrohttpd has ended our side.
 */
static bool connection_linger(struct loop *loop, struct connection *connection)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = connection};

	if (loop->abandoning || (!connection->refused && unread_bytes(connection) == 0))
		return false;
	if (connection->watched) /* the duplicate would keep that registration alive */
		(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
	int fd = fcntl(connection->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		(void)close(fd);
		return false;
	}
	connection->fd = fd;
	lanes_move(&loop->lanes, connection, LANE_LINGER, loop->now_ms);
	return true;
}

static void connection_drain(struct connection *connection)
{
	static const unsigned times = 8; /* then other connections have their turn */
	char sink[16384];

	for (unsigned i = 0; i < times; i++) {
		ssize_t n = recv(connection->fd, sink, sizeof(sink), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			connection_end(connection);
			return;
		}
	}
}

static void notice_connection(void *cls, struct MHD_Connection *mhd, void **context,
                              enum MHD_ConnectionNotificationCode code)
{
	struct loop *loop = cls;

	(void)mhd;
	CHECK_MAGIC(loop, loop);
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = loop->adding;
		loop->adding = NULL;
		return;
	}

	struct connection *connection = *context;
	CHECK_MAGIC(connection, connection);
	connection_silence(connection, NOT_SILENT); /* libmicrohttpd closes the socket next */
	if (connection->exchange != NULL)
		exchange_forgotten(connection->exchange);
	if (!connection_linger(loop, connection))
		connection_end(connection);
	*context = NULL;
}

static bool is_listener(const struct http *http, const void *pointer)
{
	const struct http_listener *first = http->listener;
	uintptr_t offset = (uintptr_t)pointer - (uintptr_t)first;

	return offset < sizeof(http->listener);
}

/*
 * The peer has ended its side. Once libmicrohttpd has read all bytes that came before,
 * shutdown(SHUT_RD) makes the socket ready once more, so that libmicrohttpd sees the end; no bytes
 * are lost. Until then libmicrohttpd reads on in this pass; as long as it makes progress, look
 * again at the next event.
 */
static void see_end(struct connection *connection)
{
	int unread = unread_bytes(connection);

	if (unread == 0)
		(void)shutdown(connection->fd, SHUT_RD);
	else if (unread != connection->unread)
		connection_watch_hangup(connection);
	connection->unread = unread;
}

static void see_connection(struct loop *loop, struct connection *connection, uint32_t events)
{
	CHECK_MAGIC(connection, connection);
	if (connection->lane == LANE_LINGER) {
		connection_drain(connection);
		return;
	}
	connection->awaited = 0;
	if (connection->lane == LANE_IDLE)
		lanes_move(&loop->lanes, connection, LANE_REQUEST, loop->now_ms);
	if (connection->side == NULL) {
		intake_sort(loop, connection);
		return;
	}
	connection_silence(connection, NOT_SILENT);
	connection->side->due = true;
	if ((events & HANGUP) == 0)
		connection_watch_hangup(connection);
	else if (connection->watching != NULL)
		exchange_expire(connection->watching, true);
	else
		see_end(connection);
}

static void loop_dispatch(struct loop *loop, const struct epoll_event *event)
{
	for (unsigned i = 0; i < SIDES; i++) {
		if (event->data.ptr != &loop->side[i])
			continue;
		loop->side[i].due = true;
		return;
	}
	if (event->data.ptr == &event_wake) {
		uint64_t count;

		(void)!read(loop->wake_fd, &count,
		            sizeof(count)); /* resets it; the count is unused */
		return;
	}
	if (is_listener(loop->http, event->data.ptr)) {
		if (loop->accept_again_ms == 0)
			intake_accept(loop, event->data.ptr);
		return;
	}
	see_connection(loop, event->data.ptr, event->events);
}

static void resume_done(struct loop *loop)
{
	lock_take(&loop->done_lock);
	struct exchange *exchange = loop->done;
	loop->done = NULL;
	loop->done_tail = &loop->done;
	lock_release(&loop->done_lock);

	while (exchange != NULL) {
		struct exchange *next = exchange->next;

		exchange_resume(exchange);
		exchange = next;
	}
}

/* After SETTLE_MS without a request line: has a request begun to arrive? If not, watch for one. */
static void connection_settle(struct loop *loop, struct connection *connection)
{
	if (connection->side != NULL &&
	    connection_has_begun(connection)) { /* the peer's FIN counts as a byte too */
		connection_watch_hangup(connection);
		lanes_move(&loop->lanes, connection, LANE_REQUEST, loop->now_ms);
		return;
	}
	if (connection_see_once(connection, EPOLLIN | EPOLLRDHUP) < 0) {
		connection_shut(loop, connection);
		return;
	}
	lanes_move(&loop->lanes, connection, LANE_IDLE, connection->since_ms);
	connection_silence(connection, connection->side != NULL ? SILENT_IDLE : SILENT_NEW);
}

static void expire_watchers(struct loop *loop)
{
	while (timers_next_ms(&loop->timers) <= loop->now_ms) {
		struct timer *timer = timers_expired(&loop->timers, loop->now_ms);

		if (timer != NULL)
			exchange_expire(container_of(timer, struct exchange, timer), false);
	}
}

static void shut_overdue(struct loop *loop, enum lane lane, int64_t most_ms)
{
	struct connection *connection;

	while ((connection = lanes_overdue(&loop->lanes, lane, most_ms, loop->now_ms)) != NULL) {
		if (lane == LANE_REQUEST)
			metrics_count(METRIC_REQUESTS_REFUSED, 1);
		connection_shut(loop, connection);
	}
}

static void end_lingering(struct loop *loop, int64_t most_ms)
{
	struct connection *connection;

	while ((connection = lanes_overdue(&loop->lanes, LANE_LINGER, most_ms, loop->now_ms)) !=
	       NULL)
		connection_end(connection);
}

static void check_deadlines(struct loop *loop)
{
	struct http *http = loop->http;
	int64_t request_ms = atomic_load_explicit(&http->request_ms, memory_order_relaxed);
	int64_t parked_ms = atomic_load_explicit(&http->parked_ms, memory_order_relaxed);
	int64_t idle_ms = atomic_load_explicit(&http->idle_ms, memory_order_relaxed);
	int64_t settle_ms = idle_ms / 2 < SETTLE_MS ? idle_ms / 2 : SETTLE_MS;
	struct connection *connection;

	if (loop->stopping)
		idle_ms = settle_ms = 0;
	shut_overdue(loop, LANE_REQUEST, request_ms);
	shut_overdue(loop, LANE_PARKED, parked_ms);
	shut_overdue(loop, LANE_REPLY, idle_ms > request_ms ? idle_ms : request_ms);
	while ((connection = lanes_overdue(&loop->lanes, LANE_SETTLE, settle_ms, loop->now_ms)) !=
	       NULL)
		connection_settle(loop, connection);
	shut_overdue(loop, LANE_IDLE, idle_ms);
	end_lingering(loop, LINGER_MS);
}

/* Why libmicrohttpd neither reads on nor answers; GUARD_PASS: it is not blocked. */
static enum guard_verdict see_blocked(const struct connection *connection)
{
	struct exchange *exchange = connection->exchange;

	if (exchange == NULL)
		return GUARD_PASS;
	if (exchange->state == EXCHANGE_BEGUN &&
	    MHD_get_connection_info(exchange->mhd, MHD_CONNECTION_INFO_HTTP_STATUS) != NULL)
		return GUARD_TOO_LARGE; /* libmicrohttpd has lost the error that it had to send */
	if (exchange->state != EXCHANGE_READING || unread_bytes(connection) == 0)
		return GUARD_PASS;
	bool was_blocked = exchange->blocked;
	exchange->blocked = true; /* take_body() clears it */
	return was_blocked ? GUARD_CHUNK : GUARD_PASS;
}

/*
 * A request for which libmicrohttpd has no memory would never end, and its readable socket would
 * make the loop spin. Only connections that have been in their lane for SWEEP_MS are looked at.
 */
static void refuse_blocked(struct loop *loop)
{
	struct connection *connection = loop->lanes.lane[LANE_REQUEST].first;

	while (connection != NULL && loop->now_ms - connection->since_ms >= SWEEP_MS) {
		struct connection *next = connection->next;
		enum guard_verdict verdict = see_blocked(connection);

		if (verdict != GUARD_PASS) {
			exchange_refuse_directly(connection->exchange, verdict);
			connection_shut(loop, connection);
		}
		connection = next;
	}
}

static void tidy_up(struct loop *loop)
{
	check_deadlines(loop);
	if (loop->now_ms - loop->swept_ms >= SWEEP_MS) {
		loop->swept_ms = loop->now_ms;
		replies_sweep(&loop->replies);
		refuse_blocked(loop);
	}
	if (loop->accept_again_ms != 0 && loop->now_ms >= loop->accept_again_ms &&
	    !loop->stopping) {
		loop->accept_again_ms = 0;
		intake_watch(loop, true);
	}
}

/* A timeout of 0 means that libmicrohttpd has work left; its other timeouts are not in use. */
static bool has_work(const struct side *side)
{
	MHD_UNSIGNED_LONG_LONG ms;

	return side->due || (MHD_get_timeout(side->mhd, &ms) == MHD_YES && ms == 0);
}

static void side_run(struct side *side)
{
	if (!has_work(side))
		return;
	side->due = false;
	(void)MHD_run(side->mhd);
}

static int wait_ms(const struct loop *loop)
{
	int64_t most_ms = timers_next_ms(&loop->timers) - loop->now_ms;

	if (most_ms > PROGRESS_IDLE_MS)
		most_ms = PROGRESS_IDLE_MS;
	if (most_ms < 0 || has_work(&loop->side[SIDE_SHORT]) || has_work(&loop->side[SIDE_LONG]))
		most_ms = 0;
	return (int)most_ms;
}

static void loop_pass(struct loop *loop)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, wait_ms(loop));

	take_time(loop);
	for (int i = 0; i < count; i++)
		loop_dispatch(loop, &events[i]);
	resume_done(loop);
	expire_watchers(loop);
	for (unsigned i = 0; i < SIDES; i++)
		side_run(&loop->side[i]);
	tidy_up(loop);
	progress_mark(&loop->progress);
}

/* Ends all waits for a change: those requests are answered with the current state. */
static void end_watching(struct loop *loop)
{
	static const enum lane lanes[] = {LANE_WATCH, LANE_CLOSING};

	for (size_t i = 0; i < ARRAY_LEN(lanes); i++) {
		struct connection *connection = loop->lanes.lane[lanes[i]].first;

		while (connection != NULL) {
			struct connection *next = connection->next;

			if (connection->watching != NULL)
				exchange_expire(connection->watching, false);
			connection = next;
		}
	}
}

static void cease_accepting(struct loop *loop)
{
	struct http *http = loop->http;

	loop->stopping = true;
	end_watching(loop);
	intake_watch(loop, false);
	if (atomic_fetch_sub(&http->accepting, 1) == 1)
		http_close_listeners(http);
}

static void shut_all(struct loop *loop)
{
	for (enum lane lane = 0; lane < LANE_CLOSING; lane++)
		shut_overdue(loop, lane, INT64_MIN);
	end_lingering(loop, INT64_MIN);
}

static void loop_main(void *arg)
{
	struct loop *loop = arg;
	int64_t stop_ms;

	CHECK_MAGIC(loop, loop);
	while ((stop_ms = atomic_load(&loop->http->stop_ms)) == 0)
		loop_pass(loop);
	cease_accepting(loop);
	while (loop->connections > 0 && clock_ms() < stop_ms)
		loop_pass(loop);
	shut_all(loop);
	/* Connections with a parked request stay until it is woken: see loop_fini(). */
	for (unsigned i = 0; i < 10 && loop->connections > loop->parked; i++)
		loop_pass(loop);
	progress_remove(&loop->progress);
}

/* Does not decode: exchange_begin() has kept the raw target, and api/ decodes that. */
static size_t leave_escaped(void *cls, struct MHD_Connection *mhd, char *text)
{
	(void)cls, (void)mhd;
	return strlen(text);
}

static int loop_watch(struct loop *loop, int fd, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int start_side(struct loop *loop, struct side *side)
{
	/*
	 * External epoll mode, without a listening socket: intake.c accepts connections and adds
	 * them. Without Date, which libmicrohttpd would format for each answer.
	 */
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET |
	                 MHD_USE_SUPPRESS_DATE_NO_CLOCK | MHD_USE_ERROR_LOG;

	side->mhd = MHD_start_daemon(
		flags, 0, NULL, NULL, exchange_handle, loop, MHD_OPTION_EXTERNAL_LOGGER,
		exchange_take_log, loop, MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, loop,
		MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_NOTIFY_COMPLETED,
		exchange_completed, loop, MHD_OPTION_NOTIFY_CONNECTION, notice_connection, loop,
		MHD_OPTION_CONNECTION_LIMIT, UINT_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)HEAD_MEMORY, MHD_OPTION_END);
	if (side->mhd == NULL)
		return -ENOMEM;
	return loop_watch(loop, MHD_get_daemon_info(side->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
	                  side);
}

int loop_init(struct loop *loop, struct http *http, unsigned index)
{
	*loop = (struct loop){.http = http, .epoll_fd = -1, .wake_fd = -1};
	loop->magic = MAGIC_INIT(loop);
	loop->done_tail = &loop->done;
	lock_init(&loop->done_lock, LOCK_HTTP_DONE);
	(void)snprintf(loop->name, sizeof(loop->name), "http-%u", index);
	take_time(loop);
	timers_init(&loop->timers, loop->now_ms);

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->epoll_fd < 0 || loop->wake_fd < 0)
		return -errno;
	int r = loop_watch(loop, loop->wake_fd, &event_wake);
	for (unsigned i = 0; r == 0 && i < SIDES; i++)
		r = start_side(loop, &loop->side[i]);
	if (r == 0)
		intake_watch(loop, true);
	return r;
}

int loop_start(struct loop *loop)
{
	progress_add(&loop->progress, loop->name, PROGRESS_INGRESS);
	int r = thread_start(&loop->thread, loop->name, loop_main, loop);
	if (r < 0)
		progress_remove(&loop->progress);
	return r;
}

void loop_fini(struct loop *loop)
{
	/* The registry has stopped, so every parked request is in `done` by now. */
	loop->abandoning = true;
	end_watching(loop);
	resume_done(loop);
	CHECK(loop->parked == 0);
	for (unsigned i = 0; i < SIDES; i++) {
		if (loop->side[i].mhd == NULL)
			continue;
		(void)MHD_run(loop->side[i].mhd);
		MHD_stop_daemon(loop->side[i].mhd);
	}
	end_lingering(loop, INT64_MIN); /* connections that began to linger in the last passes */
	CHECK(loop->connections == 0);
	while (loop->spare != NULL) {
		struct exchange *exchange = loop->spare;

		loop->spare = exchange->next;
		exchange_free(exchange);
	}
	replies_clear(&loop->replies);
	if (loop->epoll_fd >= 0)
		(void)close(loop->epoll_fd);
	if (loop->wake_fd >= 0)
		(void)close(loop->wake_fd);
	lock_fini(&loop->done_lock);
}
