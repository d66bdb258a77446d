/* SPDX-License-Identifier: MIT */
/*
 * An HTTP service that registers itself: service NAME [PORT]
 *
 * One poll() loop serves requests and runs the client. On SIGTERM the program drains, serves
 * callers that still use it for a moment, and deregisters. The registry is $ROLLCALL_ADDR.
 */
#include <rollcall.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

static char id[ROLLCALL_ID_MAX + 1] = "unregistered";

static int listen_on(int port, int *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	socklen_t len = sizeof(address);
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_ANY);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return -1;
	*ret_port = ntohs(address.sin_port);
	return fd;
}

/* Serves one short request per connection, which is enough for an example. */
static void serve(int listener)
{
	char request[4096];
	char answer[512];
	struct timeval patience = {.tv_sec = 1};
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (recv(fd, request, sizeof(request), 0) > 0) {
		int len = snprintf(
			answer, sizeof(answer),
			"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s\n",
			strlen(id) + 1, id);

		(void)send(fd, answer, (size_t)len, MSG_NOSIGNAL);
	}
	(void)close(fd);
}

static void on_state(rollcall_registration *registration, rollcall_state state, void *arg)
{
	static const char *const names[] = {"pending", "registered", "draining", "refused",
	                                    "unconfirmed"};
	bool known = (size_t)state < sizeof(names) / sizeof(names[0]);

	(void)arg;
	(void)rollcall_registration_id(registration, id, sizeof(id));
	(void)printf("%s %s\n", known ? names[state] : "unknown", id);
	(void)fflush(stdout);
}

static int blocked_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void run(rollcall_client *client, int listener, int signals)
{
	struct pollfd fds[] = {{.fd = listener, .events = POLLIN},
	                       {.fd = rollcall_get_fd(client), .events = POLLIN},
	                       {.fd = signals, .events = POLLIN}};

	while (fds[2].revents == 0) {
		if (poll(fds, 3, -1) < 0)
			return;
		if (fds[0].revents != 0)
			serve(listener);
		if (fds[1].revents != 0)
			(void)rollcall_process(client);
	}
}

int main(int argc, char **argv)
{
	rollcall_options options;
	rollcall_client *client = NULL;
	rollcall_registration_options record;
	rollcall_registration *registration = NULL;
	int port = 0;

	if (argc < 2) {
		(void)fprintf(stderr, "usage: service NAME [PORT]\n");
		return 2;
	}
	int signals = blocked_signals();
	int listener = listen_on(argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0, &port);
	if (listener < 0 || signals < 0) {
		perror("service");
		return 1;
	}

	rollcall_options_init(&options);
	options.registry = getenv("ROLLCALL_ADDR");
	rollcall_registration_options_init(&record);
	record.service = argv[1];
	record.port = (uint32_t)port;
	record.ttl_ms = 3000;
	record.on_state = on_state;
	int r = rollcall_open(&options, &client);
	if (r == 0)
		r = rollcall_register(client, &record, &registration);
	if (r < 0) {
		(void)fprintf(stderr, "service: %s\n", rollcall_error_text(r));
		return 1;
	}
	run(client, listener, signals);

	(void)rollcall_drain(registration, 1000);
	struct pollfd late = {.fd = listener, .events = POLLIN};
	while (poll(&late, 1, 200) > 0)
		serve(listener);
	r = rollcall_deregister(registration, 2000);
	(void)printf("deregistered: %s\n", rollcall_error_text(r));
	(void)rollcall_close(client, 0);
	return r == 0 ? 0 : 1;
}
