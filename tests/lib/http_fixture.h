/* SPDX-License-Identifier: MIT */
/**
 * An HTTP server on 127.0.0.1 with the fake API (fake_api.h), and clients that send raw bytes to
 * it. The server runs its own threads; the test is the client.
 */
#pragma once

#include "fake_api.h"

#include "base/clock.h"
#include "base/thread.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HOST "Host: x\r\n"

static struct api fake;
static struct http *server;
static struct http_listener listener;
static struct http_options options;
static int port;

static void serve_at(const char *address)
{
	char text[256] = "";

	ck_assert_msg(http_listen(address, &listener, text) == 0, "%s", text);
	const char *colon = strrchr(listener.url, ':');
	port = atoi(colon + 1);
	ck_assert_int_eq(http_start(&options, &fake, &listener, 1, &server), 0);
}

static inline void serve(void)
{
	serve_at("127.0.0.1:0");
}

static inline void http_setup(void)
{
	thread_adopt();
	fake_init(&fake);
	server = NULL;
	options = (struct http_options){.threads = 1,
	                                .connections_max = 10000,
	                                .request_ms = 10000,
	                                .idle_ms = 75000,
	                                .parked_ms = 60000};
}

static inline void http_teardown(void)
{
	if (server != NULL)
		http_stop(server, 0);
	http_free(server);
	fake_fini(&fake);
	thread_abandon();
}

/* The limit ends a test whose connection fails; a test that passes does not wait for it. */
static void set_timeout(int fd)
{
	struct timeval most = {.tv_sec = 20};

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most)), 0);
}

static inline int dial(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	                         .sin_port = htons((uint16_t)port),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	ck_assert_msg(connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0, "%s", strerror(errno));
	set_timeout(fd);
	return fd;
}

static void send_bytes(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		ck_assert_msg(n > 0, "send: %s", strerror(errno));
		data += n;
		len -= (size_t)n;
	}
}

static inline void send_text(int fd, const char *text)
{
	send_bytes(fd, text, strlen(text));
}

static inline void get(int fd, const char *path)
{
	char text[512];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST "\r\n", path);
	send_text(fd, text);
}

struct answer {
	int status;
	char head[2048];
	char body[70000];
	size_t body_len;
};

/* Reads one answer and no byte after it. @return false: the server closed the connection instead */
static inline bool try_read_answer(int fd, struct answer *answer, bool head_only)
{
	size_t len = 0;
	char *end = NULL;

	answer->body_len = 0;
	answer->head[0] = '\0';
	while (end == NULL) { /* peek first, so as to read no more than the head */
		ssize_t n = recv(fd, answer->head + len, sizeof(answer->head) - 1 - len, MSG_PEEK);

		ck_assert_msg(n >= 0 || errno == ECONNRESET, "recv: %s", strerror(errno));
		if (n <= 0) {
			ck_assert_msg(len == 0, "closed within the head: %s", answer->head);
			return false;
		}
		answer->head[len + (size_t)n] = '\0';
		end = strstr(answer->head, "\r\n\r\n");
		size_t take = end != NULL ? (size_t)(end + 4 - answer->head) - len : (size_t)n;
		ck_assert_int_eq(recv(fd, answer->head + len, take, 0), (ssize_t)take);
		len += take;
		answer->head[len] = '\0';
	}
	ck_assert_int_eq(sscanf(answer->head, "HTTP/1.1 %d", &answer->status), 1);
	const char *length = strstr(answer->head, "Content-Length: ");
	size_t want = length != NULL && !head_only ? strtoul(length + 16, NULL, 10) : 0;
	ck_assert_uint_lt(want, sizeof(answer->body));
	while (answer->body_len < want) {
		ssize_t n = recv(fd, answer->body + answer->body_len, want - answer->body_len, 0);

		ck_assert_int_gt(n, 0);
		answer->body_len += (size_t)n;
	}
	answer->body[want] = '\0';
	return true;
}

static inline struct answer *read_answer(int fd)
{
	static struct answer answer;

	ck_assert_msg(try_read_answer(fd, &answer, false), "closed without an answer");
	return &answer;
}

/* Waits until the server closes the connection; fails on any byte before that. */
static inline void wait_closed(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);

	ck_assert_msg(n == 0 || (n < 0 && errno == ECONNRESET), "%zd %s", n,
	              n < 0 ? strerror(errno) : "a byte");
}

static inline bool is_open(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 0;
}
