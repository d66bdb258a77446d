/* SPDX-License-Identifier: MIT */
#include "server.h"

#include "suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* @return the length of one request, head and body; 0 when the peer has closed the connection */
static size_t receive(int fd, char *buf, size_t size)
{
	size_t len = 0;

	for (;;) {
		ssize_t got = recv(fd, buf + len, size - 1 - len, 0);

		if (got <= 0)
			return 0;
		len += (size_t)got;
		buf[len] = '\0';
		const char *end = strstr(buf, "\r\n\r\n");
		const char *length = strcasestr(buf, "content-length:");
		size_t body = length != NULL ? strtoul(length + 15, NULL, 10) : 0;
		if (end != NULL && len >= (size_t)(end + 4 - buf) + body)
			return len;
	}
}

static void answer(struct server *server, int fd, int status, const char *body)
{
	char out[2048];
	char named[64] = "";
	unsigned long long history = atomic_load(&server->history);

	if (history != 0)
		(void)snprintf(named, sizeof(named), "X-Rollcall-History: %016llx\r\n", history);
	int len = snprintf(out, sizeof(out),
	                   "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nX-Rollcall-Revision: 3\r\n"
	                   "%s\r\n%s",
	                   status, strlen(body), named, body);

	(void)!send(fd, out, (size_t)len, MSG_NOSIGNAL);
}

static void answer_registry(struct server *server, int fd, const char *request)
{
	char body[512];

	if (strncmp(request, "PUT", 3) == 0) {
		atomic_fetch_add(&server->puts, 1);
		answer(server, fd, 201, "{\"status\":\"healthy\"}");
	} else if (strncmp(request, "DELETE", 6) == 0) {
		atomic_fetch_add(&server->deletes, 1);
		(void)!send(fd, "HTTP/1.1 204 X\r\n\r\n", 18, MSG_NOSIGNAL);
	} else if (strncmp(request, "POST", 4) == 0) {
		answer(server, fd, atomic_load(&server->retires) ? 503 : 200,
		       "{\"status\":\"healthy\"}");
	} else if (strstr(request, "wait_ms=") != NULL && atomic_load(&server->retires)) {
		return;
	} else if (strncmp(request, "GET /v1/services/web", 20) == 0) {
		(void)snprintf(
			body, sizeof(body),
			"{\"revision\":3,\"instances\":[{\"id\":\"i\",\"host\":\"127.0.0.1\","
			"\"port\":%d}]}",
			server->port);
		answer(server, fd, 200, body);
	} else {
		answer(server, fd, 404, "{}");
	}
}

static void serve(struct server *server, int fd)
{
	char buf[8192];

	for (int nth = 0; receive(fd, buf, sizeof(buf)) > 0; nth++) {
		if (strstr(buf, " /v1/") != NULL && strstr(buf, " /v1/") < strchr(buf, '\r')) {
			answer_registry(server, fd, buf);
			continue;
		}
		atomic_fetch_add(&server->requests, 1);
		if (strstr(buf, " /die") != NULL) {
			atomic_fetch_add(&server->dying, 1);
			if (nth > 0)
				return;
		}
		if (strstr(buf, " /slow") != NULL)
			continue;
		answer(server, fd, 200, "ok");
	}
}

static void *connection_main(void *arg)
{
	struct server_connection connection = *(struct server_connection *)arg;
	struct server *server = connection.server;

	serve(server, connection.fd);
	(void)pthread_mutex_lock(&server->lock);
	for (int i = 0; i < SERVER_CONNECTIONS; i++)
		if (server->open[i] == connection.fd)
			server->open[i] = -1;
	(void)close(connection.fd);
	(void)pthread_mutex_unlock(&server->lock);
	return NULL;
}

static void *server_main(void *arg)
{
	struct server *server = arg;

	for (;;) {
		int fd = accept(server->fd, NULL, NULL);

		if (fd < 0 || atomic_load(&server->stopping)) {
			if (fd >= 0)
				(void)close(fd);
			return NULL;
		}
		int nth = server->thread_count++;
		server->connections[nth] = (struct server_connection){server, fd};
		(void)pthread_mutex_lock(&server->lock);
		for (int i = 0; i < SERVER_CONNECTIONS; i++) {
			if (server->open[i] < 0) {
				server->open[i] = fd;
				break;
			}
		}
		(void)pthread_mutex_unlock(&server->lock);
		/* A test may have armed a failure that hits the server instead of the client. */
		while (pthread_create(&server->threads[nth], NULL, connection_main,
		                      &server->connections[nth]) != 0) {
		}
	}
}

void server_start(struct server *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);

	memset(server, 0, sizeof(*server));
	(void)pthread_mutex_init(&server->lock, NULL);
	for (int i = 0; i < SERVER_CONNECTIONS; i++)
		server->open[i] = -1;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(server->fd, 0);
	ck_assert_int_eq(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(server->fd, 64), 0);
	ck_assert_int_eq(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
	server->port = ntohs(address.sin_port);
	ck_assert_int_eq(pthread_create(&server->thread, NULL, server_main, server), 0);
}

void server_stop(struct server *server)
{
	atomic_store(&server->stopping, true);
	(void)shutdown(server->fd, SHUT_RDWR);
	(void)pthread_join(server->thread, NULL);
	(void)close(server->fd);
	(void)pthread_mutex_lock(&server->lock);
	for (int i = 0; i < SERVER_CONNECTIONS; i++)
		if (server->open[i] >= 0)
			(void)shutdown(server->open[i], SHUT_RDWR);
	(void)pthread_mutex_unlock(&server->lock);
	for (int i = 0; i < server->thread_count; i++)
		(void)pthread_join(server->threads[i], NULL);
}
