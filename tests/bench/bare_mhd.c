/* SPDX-License-Identifier: MIT */
/**
 * The reference for HTTP requests: libmicrohttpd alone, with one thread, an epoll of its own around
 * MHD's, MHD_run(), and the same prebuilt answer to each request.
 *
 *	bare_mhd BODY_BYTES     prints its port
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION_BYTES (8 * 1024)

static struct MHD_Response *answer;

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *body,
                              size_t *body_size, void **state)
{
	static char seen;

	(void)arg;
	(void)url;
	(void)method;
	(void)version;
	(void)body;
	/* An answer to the first call would close the connection. */
	if (*state == NULL) {
		*state = &seen;
		return MHD_YES;
	}
	if (*body_size > 0) {
		*body_size = 0;
		return MHD_YES;
	}
	return MHD_queue_response(connection, MHD_HTTP_OK, answer);
}

static int listen_anywhere(unsigned *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0 || listen(fd, 4096) < 0) {
		perror("listen");
		exit(EXIT_FAILURE);
	}
	*ret_port = ntohs(address.sin_port);
	return fd;
}

int main(int argc, char **argv)
{
	size_t size = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	char *body = malloc(size + 1);
	unsigned port;
	int fd = listen_anywhere(&port);

	if (body == NULL)
		return EXIT_FAILURE;
	memset(body, 'x', size);
	answer = MHD_create_response_from_buffer(size, body, MHD_RESPMEM_PERSISTENT);
	if (answer == NULL ||
	    MHD_add_response_header(answer, "Content-Type", "application/json") != MHD_YES)
		return EXIT_FAILURE;
	struct MHD_Daemon *daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_SUPPRESS_DATE_NO_CLOCK, 0, NULL, NULL, handle, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_LIMIT, 10000U, MHD_OPTION_END);
	if (daemon == NULL)
		return EXIT_FAILURE;

	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, info->epoll_fd, &event) < 0)
		return EXIT_FAILURE;
	(void)printf("%u\n", port);
	(void)fflush(stdout);
	for (;;) {
		MHD_UNSIGNED_LONG_LONG ms;
		int wait = MHD_get_timeout(daemon, &ms) == MHD_YES ? (int)ms : -1;

		(void)epoll_wait(epoll, &event, 1, wait);
		(void)MHD_run(daemon);
	}
}
