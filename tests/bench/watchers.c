/* SPDX-License-Identifier: MIT */
/**
 * Parks many long polls on one service, changes it, and times the answers:
 *
 *	watchers PORT COUNT ROUNDS
 *
 * Each round parks the polls, prints "parked", waits for a line on standard input, changes the
 * service, and prints a JSON object: the ms from the acknowledgement of the change to the first and
 * to the last answer, and from the request for the change to the last answer. One thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 512

static uint16_t port;

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static double now_ms(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
		die("clock_gettime");
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int dial(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		die("setsockopt");
	return fd;
}

static void send_all(int fd, const char *text)
{
	size_t len = strlen(text);

	if (write(fd, text, len) != (ssize_t)len)
		die("write");
}

/* Reads one answer and waits for the rest of it: an answer is small. @return X-Rollcall-Revision */
static unsigned long long read_answer(int fd)
{
	char buf[65536];
	size_t have = 0;

	for (;;) {
		ssize_t n = read(fd, buf + have, sizeof(buf) - 1 - have);

		if (n <= 0)
			die("read");
		have += (size_t)n;
		buf[have] = '\0';

		const char *end = strstr(buf, "\r\n\r\n");
		const char *length = strstr(buf, "Content-Length: ");
		if (end == NULL || length == NULL)
			continue;
		if (have < (size_t)(end + 4 - buf) + strtoul(length + 16, NULL, 10))
			continue;
		const char *revision = strstr(buf, "X-Rollcall-Revision: ");
		if (strncmp(buf, "HTTP/1.1 20", 11) != 0 || revision == NULL) {
			(void)fprintf(stderr, "refused: %.200s\n", buf);
			exit(EXIT_FAILURE);
		}
		return strtoull(revision + 21, NULL, 10);
	}
}

static unsigned long long change(int fd, unsigned weight)
{
	char text[512];
	char body[128];
	int len = snprintf(body, sizeof(body), "{\"host\":\"10.0.0.1\",\"port\":80,\"weight\":%u}",
	                   weight);

	(void)snprintf(text, sizeof(text),
	               "PUT /v1/services/watched/instances/a HTTP/1.1\r\nHost: x\r\n"
	               "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
	               len, body);
	send_all(fd, text);
	return read_answer(fd);
}

static void park(const int *fds, unsigned count, unsigned long long revision)
{
	char text[256];

	(void)snprintf(
		text, sizeof(text),
		"GET /v1/services/watched?revision=%llu&wait_ms=600000 HTTP/1.1\r\nHost: x\r\n\r\n",
		revision);
	for (unsigned i = 0; i < count; i++)
		send_all(fds[i], text);
}

/* @return the time of the last answer; *ret_first: of the first */
static double collect(int epoll_fd, unsigned count, double *ret_first)
{
	struct epoll_event events[EVENTS];
	double last = 0;

	for (unsigned answered = 0; answered < count;) {
		int n = epoll_wait(epoll_fd, events, EVENTS, 30000);

		if (n <= 0)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			(void)read_answer(events[i].data.fd);
			last = now_ms();
			if (answered++ == 0)
				*ret_first = last;
		}
	}
	return last;
}

int main(int argc, char **argv)
{
	struct rlimit files;
	char line[16];

	if (argc != 4)
		return EXIT_FAILURE;
	port = (uint16_t)strtoul(argv[1], NULL, 10);
	unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
	unsigned rounds = (unsigned)strtoul(argv[3], NULL, 10);
	int *fds = calloc(count, sizeof(*fds));
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	if (fds == NULL || epoll_fd < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
		die("start");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		die("setrlimit");
	for (unsigned i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN};

		fds[i] = event.data.fd = dial();
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &event) < 0)
			die("epoll_ctl");
	}
	int control = dial();
	unsigned long long revision = change(control, 1);
	for (unsigned round = 0; round < rounds; round++) {
		double first = 0;

		park(fds, count, revision);
		(void)printf("parked\n");
		(void)fflush(stdout);
		if (fgets(line, sizeof(line), stdin) == NULL)
			return EXIT_FAILURE;
		double sent = now_ms();
		revision = change(control, 2 + round);
		double acknowledged = now_ms();
		double last = collect(epoll_fd, count, &first);
		(void)printf("{\"first_ms\": %.2f, \"last_ms\": %.2f, \"whole_ms\": %.2f}\n",
		             first - acknowledged, last - acknowledged, last - sent);
		(void)fflush(stdout);
	}
	return EXIT_SUCCESS;
}
