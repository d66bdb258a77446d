/* SPDX-License-Identifier: MIT */
#include "http/direct.h"

#include "http/exchange.h"
#include "http/loop.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

void direct_send(struct exchange *exchange)
{
	const struct api_response *response = &exchange->response;
	/* Not known when libmicrohttpd itself refuses; nothing follows that could be misread. */
	bool bodiless = exchange->request.method == API_HEAD;
	char head[512];
	int len = snprintf(head, sizeof(head),
	                   "HTTP/1.1 %u %s\r\nX-Rollcall-Revision: %" PRIu64
	                   "\r\nContent-Type: %s\r\n"
	                   "Content-Length: %zu\r\nConnection: close\r\n\r\n",
	                   response->status, MHD_get_reason_phrase_for(response->status),
	                   response->revision, response->content_type, response->body.len);
	struct iovec parts[] = {
		{.iov_base = head, .iov_len = (size_t)len},
		{.iov_base = response->body.data, .iov_len = response->body.len},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = bodiless ? 1 : 2};
	int fd = exchange->connection->fd;

	/* Everything before has been sent; a client that takes none of it hears no more. */
	(void)!sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
}

/* Its head is complete, but has not been handed over. */
static bool is_failing(const struct exchange *exchange)
{
	return exchange->state == EXCHANGE_BEGUN &&
	       MHD_get_connection_info(exchange->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE) !=
	               NULL;
}

static struct exchange *find_failing(const struct loop *loop)
{
	struct connection *connection = loop->lanes.lane[LANE_REQUEST].last;

	for (; connection != NULL; connection = connection->previous)
		if (connection->exchange != NULL && is_failing(connection->exchange))
			return connection->exchange;
	return NULL;
}

void direct_take_log(void *cls, const char *format, va_list args)
{
	static const struct str error = STR("Error processing request (HTTP response code is %u ");
	struct loop *loop = cls;

	if (strncmp(format, error.data, error.len) != 0)
		return;
	unsigned status = va_arg(args, unsigned);
	struct exchange *exchange = find_failing(loop);
	if (exchange != NULL)
		exchange_refuse_directly(exchange, status == 431   ? GUARD_TOO_LARGE
		                                   : status == 413 ? GUARD_LENGTH_HUGE
		                                                   : GUARD_LENGTH);
}
