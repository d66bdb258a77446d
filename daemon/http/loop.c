/* SPDX-License-Identifier: MIT */
#include "http/loop.h"

#include "base/clock.h"
#include "base/thread.h"
#include "http/exchange.h"
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

#define EVENTS_MAX 64
#define HANGUP     (EPOLLRDHUP | EPOLLHUP | EPOLLERR)
/* A whole backlog a pass: a pass must take all that was ready when it began. */
#define ACCEPT_MAX      4096
#define ACCEPT_PAUSE_MS 100
#define SWEEP_MS        1000
#define LINGER_MS       2000
/*
 * libmicrohttpd clears this much after each request. 8 KiB takes request heads of up to 7.9 KB and
 * costs no more to serve than 4 KiB.
 */
#define CONNECTION_MEMORY 8192

/* What an event of the loop's epoll is about; any other pointer is a struct connection. */
static char event_mhd;
static char event_wake;

static void take_time(struct loop *loop)
{
	loop->now_us = clock_us();
	loop->now_ms = loop->now_us / 1000;
}

static void shut(struct loop *loop, struct connection *connection)
{
	lanes_move(&loop->lanes, connection, LANE_CLOSING, loop->now_ms);
	(void)shutdown(connection->fd, SHUT_RDWR); /* the peer may have left already */
}

static void end(struct loop *loop, struct connection *connection)
{
	if (connection->lane == LANE_LINGER)
		(void)close(connection->fd);
	lanes_leave(&loop->lanes, connection);
	loop->connections--;
	(void)atomic_fetch_sub(&loop->http->connections, 1);
	metrics_move(METRIC_CONNECTIONS, -1);
	peers_leave(&loop->http->peers, &connection->peer);
	free(connection);
}

/*
 * Who was refused may still be sending. Closing the socket on unread bytes resets the connection,
 * and the peer may never see why; so read on for a moment, after libmicrohttpd has ended our side.
 */
static bool linger(struct loop *loop, struct connection *connection)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = connection};

	if (!connection->refused || loop->abandoning)
		return false;
	if (connection->watched) /* or the duplicate would keep that alive */
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

static void drain(struct loop *loop, struct connection *connection)
{
	static const unsigned times = 8; /* then others have their turn */
	char sink[16384];

	for (unsigned i = 0; i < times; i++) {
		ssize_t n = recv(connection->fd, sink, sizeof(sink), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			end(loop, connection);
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
		lanes_enter(&loop->lanes, loop->adding, LANE_SETTLE, loop->now_ms);
		loop_watch_hangup(loop, loop->adding);
		loop->connections++;
		metrics_move(METRIC_CONNECTIONS, 1);
		loop->adding = NULL;
		return;
	}

	struct connection *connection = *context;
	CHECK_MAGIC(connection, connection);
	if (!linger(loop, connection))
		end(loop, connection);
	*context = NULL;
}

/* Takes @p fd in any case: serves it, or closes it at a limit or without memory. */
static void admit(struct loop *loop, int fd, const struct sockaddr_storage *address,
                  socklen_t address_len)
{
	struct http *http = loop->http;
	const struct sockaddr *generic = (const struct sockaddr *)address;
	unsigned most = atomic_load_explicit(&http->connections_max, memory_order_relaxed);
	unsigned most_per_peer =
		atomic_load_explicit(&http->connections_per_peer_max, memory_order_relaxed);
	struct connection *connection = NULL;
	struct peer peer = {0};

	if (atomic_fetch_add(&http->connections, 1) >= most)
		goto refuse;
	if (peers_enter(&http->peers, generic, most_per_peer, &peer) < 0)
		goto refuse;
	connection = calloc(1, sizeof(*connection));
	if (connection == NULL)
		goto refuse;
	connection->magic = MAGIC_INIT(connection);
	connection->loop = loop;
	connection->fd = fd;
	connection->peer = peer;
	connection_describe(connection, address);
	loop->adding = connection;
	if (MHD_add_connection(loop->mhd, fd, generic, address_len) == MHD_YES)
		return;
	fd = -1; /* it has closed the socket */
	if (loop->adding == NULL)
		return; /* and, as it had told of the start, told of the end too */
	loop->adding = NULL;

refuse:
	metrics_count(METRIC_CONNECTIONS_REFUSED, 1);
	if (fd >= 0)
		(void)close(fd);
	free(connection);
	peers_leave(&http->peers, &peer);
	(void)atomic_fetch_sub(&http->connections, 1);
}

static void watch_listeners(struct loop *loop, bool on)
{
	struct http *http = loop->http;

	for (size_t i = 0; i < http->listener_count; i++) {
		/* Exclusive: a new connection wakes one of the threads, not all. */
		struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE,
		                            .data.ptr = &http->listener[i]};

		/* Without memory it is tried again with the next pause. */
		(void)epoll_ctl(loop->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
		                http->listener[i].fd, &event);
	}
}

/* Out of descriptors: the listener stays ready, so look away for a while instead of spinning. */
static void pause_accepting(struct loop *loop)
{
	watch_listeners(loop, false);
	loop->accept_again_ms = loop->now_ms + ACCEPT_PAUSE_MS;
	metrics_count(METRIC_CONNECTIONS_REFUSED, 1);
}

static void accept_ready(struct loop *loop, const struct http_listener *listener)
{
	for (unsigned i = 0; i < ACCEPT_MAX; i++) {
		struct sockaddr_storage address = {.ss_family = AF_UNIX};
		socklen_t len = sizeof(address);
		int fd = accept4(listener->fd, (struct sockaddr *)&address, &len,
		                 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			if (len < sizeof(address.ss_family))
				len = sizeof(address.ss_family);
			admit(loop, fd, &address, len);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_accepting(loop);
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static bool is_listener(const struct http *http, const void *pointer)
{
	const struct http_listener *first = http->listener;
	uintptr_t offset = (uintptr_t)pointer - (uintptr_t)first;

	return offset < sizeof(http->listener);
}

/* The next of these events, and no more, of a socket that libmicrohttpd waits for too. */
static int see_once(struct loop *loop, struct connection *connection, uint32_t events)
{
	struct epoll_event event = {.events = events | EPOLLONESHOT, .data.ptr = connection};
	int op = connection->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (connection->awaited == events)
		return 0;
	if (epoll_ctl(loop->epoll_fd, op, connection->fd, &event) < 0)
		return -errno;
	connection->watched = true;
	connection->awaited = events;
	return 0;
}

void loop_watch_hangup(struct loop *loop, struct connection *connection)
{
	/* Without memory it is noticed later: when its time is over. */
	(void)see_once(loop, connection, EPOLLRDHUP);
}

/*
 * The peer sends no more. Once libmicrohttpd has read all that came before, it is made to see the
 * end: that takes nothing away, but makes the socket ready once more. While it has not, it reads on
 * in this pass, unless it waits for something else; then it looks again by itself.
 */
static void see_end(struct loop *loop, struct connection *connection)
{
	int unread = 0;

	(void)ioctl(connection->fd, FIONREAD, &unread); /* a broken one has nothing to read */
	if (unread == 0)
		(void)shutdown(connection->fd, SHUT_RD);
	else if (unread != connection->unread)
		loop_watch_hangup(loop, connection);
	connection->unread = unread;
}

static void see_connection(struct loop *loop, struct connection *connection, uint32_t events)
{
	CHECK_MAGIC(connection, connection);
	if (connection->lane == LANE_LINGER) {
		drain(loop, connection);
		return;
	}
	connection->awaited = 0;
	if (connection->lane == LANE_IDLE)
		lanes_move(&loop->lanes, connection, LANE_REQUEST, loop->now_ms);
	if ((events & HANGUP) == 0)
		loop_watch_hangup(loop, connection);
	else if (connection->watching != NULL)
		exchange_expire(connection->watching, true);
	else
		see_end(loop, connection);
}

static void dispatch(struct loop *loop, const struct epoll_event *event)
{
	if (event->data.ptr == &event_mhd)
		return; /* MHD_run() follows in any case */
	if (event->data.ptr == &event_wake) {
		uint64_t count;

		(void)!read(loop->wake_fd, &count, sizeof(count)); /* only to make it not ready */
		return;
	}
	if (is_listener(loop->http, event->data.ptr)) {
		if (loop->accept_again_ms == 0)
			accept_ready(loop, event->data.ptr);
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

/* No request for a moment: has one begun to arrive? If not, see its first byte. */
static void settle(struct loop *loop, struct connection *connection)
{
	if (connection_has_begun(connection)) { /* or ended: that counts as a byte */
		loop_watch_hangup(loop, connection);
		lanes_move(&loop->lanes, connection, LANE_REQUEST, loop->now_ms);
		return;
	}
	if (see_once(loop, connection, EPOLLIN | EPOLLRDHUP) < 0) {
		shut(loop, connection);
		return;
	}
	lanes_move(&loop->lanes, connection, LANE_IDLE, connection->since_ms);
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
		shut(loop, connection);
	}
}

static void end_lingering(struct loop *loop, int64_t most_ms)
{
	struct connection *connection;

	while ((connection = lanes_overdue(&loop->lanes, LANE_LINGER, most_ms, loop->now_ms)) !=
	       NULL)
		end(loop, connection);
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
		settle(loop, connection);
	shut_overdue(loop, LANE_IDLE, idle_ms);
	end_lingering(loop, LINGER_MS);
}

static void tidy_up(struct loop *loop)
{
	check_deadlines(loop);
	if (loop->now_ms - loop->swept_ms >= SWEEP_MS) {
		loop->swept_ms = loop->now_ms;
		replies_sweep(&loop->replies);
	}
	if (loop->accept_again_ms != 0 && loop->now_ms >= loop->accept_again_ms &&
	    !loop->stopping) {
		loop->accept_again_ms = 0;
		watch_listeners(loop, true);
	}
}

static int wait_ms(const struct loop *loop)
{
	MHD_UNSIGNED_LONG_LONG mhd_ms;
	int64_t most_ms = timers_next_ms(&loop->timers) - loop->now_ms;

	if (most_ms > PROGRESS_IDLE_MS)
		most_ms = PROGRESS_IDLE_MS;
	if (most_ms < 0)
		most_ms = 0;
	if (MHD_get_timeout(loop->mhd, &mhd_ms) == MHD_YES && mhd_ms < (uint64_t)most_ms)
		return (int)mhd_ms;
	return (int)most_ms;
}

static void pass(struct loop *loop)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, wait_ms(loop));

	take_time(loop);
	for (int i = 0; i < count; i++)
		dispatch(loop, &events[i]);
	resume_done(loop);
	expire_watchers(loop);
	(void)MHD_run(loop->mhd);
	tidy_up(loop);
	progress_mark(&loop->progress);
}

/* Nobody waits for a change any longer: they are answered with what there is. */
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
	watch_listeners(loop, false);
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
		pass(loop);
	cease_accepting(loop);
	while (loop->connections > 0 && clock_ms() < stop_ms)
		pass(loop);
	shut_all(loop);
	/* What is parked stays until it is woken: see loop_fini(). */
	for (unsigned i = 0; i < 10 && loop->connections > loop->parked; i++)
		pass(loop);
	progress_remove(&loop->progress);
}

void loop_wake(struct loop *loop)
{
	uint64_t one = 1;

	(void)!write(loop->wake_fd, &one, sizeof(one)); /* fails only when it is ready anyway */
}

/* The raw target is what we work on: see exchange_begin(). */
static size_t leave_escaped(void *cls, struct MHD_Connection *mhd, char *text)
{
	(void)cls, (void)mhd;
	return strlen(text);
}

static int start_mhd(struct loop *loop)
{
	/*
	 * External epoll mode, without a listening socket: connections are added as we accept them.
	 * No Date either: it is made anew for each answer.
	 */
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET |
	                 MHD_USE_SUPPRESS_DATE_NO_CLOCK;

	loop->mhd = MHD_start_daemon(
		flags, 0, NULL, NULL, exchange_handle, loop, MHD_OPTION_URI_LOG_CALLBACK,
		exchange_begin, loop, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, loop, MHD_OPTION_NOTIFY_CONNECTION,
		notice_connection, loop, MHD_OPTION_CONNECTION_LIMIT, UINT_MAX,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
	return loop->mhd != NULL ? 0 : -ENOMEM;
}

static int watch(struct loop *loop, int fd, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
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

	int r = start_mhd(loop);
	if (r < 0)
		return r;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->epoll_fd < 0 || loop->wake_fd < 0)
		return -errno;
	int mhd_fd = MHD_get_daemon_info(loop->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	r = watch(loop, mhd_fd, &event_mhd);
	if (r == 0)
		r = watch(loop, loop->wake_fd, &event_wake);
	if (r == 0)
		watch_listeners(loop, true);
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
	if (loop->mhd != NULL) {
		/* The thread has ended: what was parked then has been woken since. */
		loop->abandoning = true;
		end_watching(loop);
		resume_done(loop);
		CHECK(loop->parked == 0);
		(void)MHD_run(loop->mhd);
		MHD_stop_daemon(loop->mhd);
	}
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
