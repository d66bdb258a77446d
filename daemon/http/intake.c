/* SPDX-License-Identifier: MIT */
#include "http/intake.h"

#include "http/internal.h"
#include "metrics/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A whole backlog in one pass: a pass must take all that was ready when it began. */
#define ACCEPT_MAX      4096
#define ACCEPT_PAUSE_MS 100
#define LOOK_BYTES      1024

/* Does the beginning of the request show that it will wait or stream? */
static bool will_wait(const char *text, size_t len)
{
	static const struct str signs[] = {STR("wait_ms="), STR("/watch "), STR("/watch?"),
	                                   STR("text/event-stream"), STR("application/jsonl")};

	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (memmem(text, len, signs[i].data, signs[i].len) != NULL)
			return true;
	return false;
}

bool intake_pass_on(struct loop *loop, struct connection *connection, struct side *side)
{
	/* libmicrohttpd requires an address, but does not use it. */
	static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	connection_silence(connection, NOT_SILENT); /* libmicrohttpd may close the socket */
	connection->side = side;
	side->due = true;
	loop->adding = connection;
	if (MHD_add_connection(side->mhd, connection->fd, &nobody, sizeof(nobody)) == MHD_YES)
		return true;
	metrics_count(METRIC_CONNECTIONS_REFUSED, 1);
	/* libmicrohttpd has closed the socket. If it called notice_connection() for the start, it
	 * has called it for the end too, and `adding` is NULL. */
	if (loop->adding != NULL) {
		loop->adding = NULL;
		connection_end(connection);
	}
	return false;
}

void intake_sort(struct loop *loop, struct connection *connection)
{
	char text[LOOK_BYTES];
	ssize_t n = recv(connection->fd, text, sizeof(text), MSG_PEEK | MSG_DONTWAIT);
	bool silent = n < 0 && (errno == EAGAIN || errno == EINTR);

	if (silent && connection_see_once(connection, EPOLLIN | EPOLLRDHUP) == 0) {
		connection_silence(connection, SILENT_NEW);
		return;
	}
	bool waits = n > 0 && will_wait(text, (size_t)n);
	if (intake_pass_on(loop, connection, &loop->side[waits ? SIDE_LONG : SIDE_SHORT]))
		connection_watch_hangup(connection);
}

/* Owns @p fd from now on: keeps it, or closes it at a limit or without memory. */
static void intake_admit(struct loop *loop, int fd, const struct sockaddr_storage *address)
{
	struct http *http = loop->http;
	const struct sockaddr *generic = (const struct sockaddr *)address;
	unsigned most = atomic_load_explicit(&http->connections_max, memory_order_relaxed);
	unsigned most_per_peer =
		atomic_load_explicit(&http->connections_per_peer_max, memory_order_relaxed);
	struct connection *connection = calloc(1, sizeof(*connection));

	if (connection == NULL ||
	    peers_enter(&http->peers, generic, fd, most, most_per_peer, &connection->peer) < 0) {
		metrics_count(METRIC_CONNECTIONS_REFUSED, 1);
		(void)close(fd);
		free(connection);
		return;
	}
	connection->magic = MAGIC_INIT(connection);
	connection->loop = loop;
	connection->fd = fd;
	connection->silence = NOT_SILENT;
	connection_describe(connection, address);
	loop->connections++;
	metrics_move(METRIC_CONNECTIONS, 1);
	lanes_enter(&loop->lanes, connection, LANE_SETTLE, loop->now_ms);
	intake_sort(loop, connection);
}

void intake_watch(struct loop *loop, bool on)
{
	struct http *http = loop->http;

	for (size_t i = 0; i < http->listener_count; i++) {
		/* EPOLLEXCLUSIVE: a new connection wakes one thread, not all of them. */
		struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE,
		                            .data.ptr = &http->listener[i]};

		/* Fails without memory; the end of the next pause tries again. */
		(void)epoll_ctl(loop->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
		                http->listener[i].fd, &event);
	}
}

/* Out of descriptors: the listener stays ready, so stop watching it for a while; no spinning. */
static void pause_accepting(struct loop *loop)
{
	intake_watch(loop, false);
	loop->accept_again_ms = loop->now_ms + ACCEPT_PAUSE_MS;
	metrics_count(METRIC_CONNECTIONS_REFUSED, 1);
}

void intake_accept(struct loop *loop, const struct http_listener *listener)
{
	for (unsigned i = 0; i < ACCEPT_MAX; i++) {
		struct sockaddr_storage address = {.ss_family = AF_UNIX};
		socklen_t len = sizeof(address);
		int fd = accept4(listener->fd, (struct sockaddr *)&address, &len,
		                 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			intake_admit(loop, fd, &address);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_accepting(loop);
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}
