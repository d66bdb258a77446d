/* SPDX-License-Identifier: MIT */
#include "http/connection.h"

#include "http/internal.h"
#include "metrics/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

bool connection_has_begun(const struct connection *connection)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return false;
	return info.tcpi_bytes_received > connection->consumed;
}

void connection_silence(struct connection *connection, enum silence silence)
{
	if (connection->silence == silence)
		return;
	connection->silence = silence;
	peers_silence(&connection->loop->http->peers, &connection->peer, silence);
}

void connection_describe(struct connection *connection, const struct sockaddr_storage *address)
{
	char text[INET6_ADDRSTRLEN] = "?";
	char *out = connection->peer_text;
	size_t size = sizeof(connection->peer_text);

	if (address->ss_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, address, sizeof(in));
		(void)inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
		(void)snprintf(out, size, "%s:%u", text, ntohs(in.sin_port));
	} else if (address->ss_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, address, sizeof(in6));
		(void)inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text));
		(void)snprintf(out, size, "[%s]:%u", text, ntohs(in6.sin6_port));
	} else {
		struct ucred who = {.uid = (uid_t)-1};
		socklen_t len = sizeof(who);

		(void)getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &who, &len);
		(void)snprintf(out, size, "unix:uid=%u", who.uid);
	}
}

int connection_see_once(struct connection *connection, uint32_t events)
{
	struct epoll_event event = {.events = events | EPOLLONESHOT, .data.ptr = connection};
	int op = connection->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (connection->awaited == events)
		return 0;
	if (epoll_ctl(connection->loop->epoll_fd, op, connection->fd, &event) < 0)
		return -errno;
	connection->watched = true;
	connection->awaited = events;
	return 0;
}

void connection_watch_hangup(struct connection *connection)
{
	/* Fails without memory: then the deadline of the lane ends the connection. */
	(void)!connection_see_once(connection, EPOLLRDHUP);
}

void connection_end(struct connection *connection)
{
	struct loop *loop = connection->loop;

	if (connection->lane == LANE_LINGER)
		(void)close(connection->fd);
	lanes_leave(&loop->lanes, connection);
	loop->connections--;
	metrics_move(METRIC_CONNECTIONS, -1);
	peers_leave(&loop->http->peers, &connection->peer);
	free(connection);
}

void lanes_enter(struct lanes *lanes, struct connection *connection, enum lane lane,
                 int64_t since_ms)
{
	struct connection *last = lanes->lane[lane].last;

	connection->lane = lane;
	connection->since_ms = since_ms;
	connection->previous = last;
	connection->next = NULL;
	if (last != NULL)
		last->next = connection;
	else
		lanes->lane[lane].first = connection;
	lanes->lane[lane].last = connection;
}

void lanes_leave(struct lanes *lanes, struct connection *connection)
{
	if (connection->previous != NULL)
		connection->previous->next = connection->next;
	else
		lanes->lane[connection->lane].first = connection->next;
	if (connection->next != NULL)
		connection->next->previous = connection->previous;
	else
		lanes->lane[connection->lane].last = connection->previous;
}

void lanes_move(struct lanes *lanes, struct connection *connection, enum lane lane,
                int64_t since_ms)
{
	lanes_leave(lanes, connection);
	lanes_enter(lanes, connection, lane, since_ms);
}

struct connection *lanes_overdue(const struct lanes *lanes, enum lane lane, int64_t most_ms,
                                 int64_t now_ms)
{
	struct connection *first = lanes->lane[lane].first;

	return first != NULL && now_ms - first->since_ms >= most_ms ? first : NULL;
}
