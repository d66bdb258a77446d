/* SPDX-License-Identifier: MIT */
#include "http/direct.h"

#include "http/internal.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

void direct_send(struct exchange *exchange)
{
	const struct api_response *response = &exchange->response;
	/* The method is unknown when libmicrohttpd itself refuses. A body after HEAD does no harm
	 * then: nothing follows it on this connection. */
	bool bodiless = exchange->request.method == API_HEAD;
	char head[512];
	int len = snprintf(head, sizeof(head),
	                   "HTTP/1.1 %u %s\r\nX-Rollcall-Revision: %" PRIu64
	                   "\r\nX-Rollcall-History: %s\r\nContent-Type: %s\r\n"
	                   "Content-Length: %zu\r\nConnection: close\r\n\r\n",
	                   response->status, MHD_get_reason_phrase_for(response->status),
	                   response->revision, api_history_text(exchange->loop->http->api),
	                   response->content_type, response->body.len);
	struct iovec parts[] = {
		{.iov_base = head, .iov_len = (size_t)len},
		{.iov_base = response->body.data, .iov_len = response->body.len},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = bodiless ? 1 : 2};
	int fd = exchange->connection->fd;

	/* All earlier answers have been sent. A client whose window is full gets nothing. */
	(void)!sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
}
