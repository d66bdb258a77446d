/* SPDX-License-Identifier: MIT */
/**
 * Loads an HTTP server over keep-alive connections from one thread, and prints one line of JSON.
 *
 *	load [-s] PORT CONNECTIONS SECONDS REQUESTS [RATE]
 *
 * REQUESTS is a file of complete requests, each preceded by its length in 4 bytes in this machine's
 * order; load sends them in turn, again and again. Without RATE each connection sends its next
 * request as soon as its answer is complete. With RATE so many requests fall due each second, and
 * the time of an answer counts from when its request was due, even if no connection was free then:
 * a server that is late cannot slow down the measurement. SECONDS 0 sends each request once, as
 * fast as possible. With -s load polls and never sleeps: on a machine that it shares with the
 * server, waking load would cost the server CPU time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER    (256 * 1024)
#define EVENTS    512
#define MAX_SLOTS (1u << 24)

struct connection {
	int fd;
	int64_t since_ns; /* when its request was sent or, with RATE, was due */
	size_t have;      /* bytes of the answer that have come */
	size_t want;      /* bytes of the whole answer; 0 until its head is complete */
	char *buffer;
};

struct request {
	const char *data;
	uint32_t len;
};

static struct request *requests;
static size_t request_count;
static size_t next_request;
static bool once;  /* send each request once */
static bool spins; /* poll, never sleep */

static uint32_t *took_us;
static size_t answered;
static size_t refused; /* answers other than 2xx */
static size_t body_bytes;
static size_t in_flight;

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void read_requests(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat about;

	if (fd < 0 || fstat(fd, &about) < 0)
		die(path);
	size_t size = (size_t)about.st_size;
	const char *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (data == MAP_FAILED)
		die(path);

	for (size_t at = 0; at < size;) {
		struct request request;

		memcpy(&request.len, data + at, sizeof(request.len));
		request.data = data + at + sizeof(request.len);
		at += sizeof(request.len) + request.len;
		if (at > size || request.len == 0) {
			(void)fprintf(stderr, "%s: damaged\n", path);
			exit(EXIT_FAILURE);
		}
		if ((request_count & (request_count - 1)) == 0) {
			size_t room = request_count == 0 ? 1 : 2 * request_count;

			requests = realloc(requests, room * sizeof(*requests));
			if (requests == NULL)
				die("requests");
		}
		requests[request_count++] = request;
	}
	if (request_count == 0) {
		(void)fprintf(stderr, "%s: no requests\n", path);
		exit(EXIT_FAILURE);
	}
}

static void connect_to(struct connection *connection, uint16_t port, int epoll)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_port = htons(port),
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	int on = 1;

	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	connection->buffer = malloc(BUFFER);
	if (connection->fd < 0 || connection->buffer == NULL ||
	    connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    fcntl(connection->fd, F_SETFL, O_NONBLOCK) < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
		die("connect");
}

static bool is_exhausted(void)
{
	return once && next_request == request_count;
}

static void send_next(struct connection *connection, int64_t since_ns)
{
	const struct request *request = &requests[next_request % request_count];

	next_request++;
	connection->since_ns = since_ns;
	connection->have = 0;
	connection->want = 0;
	in_flight++;
	/* The socket's buffer is empty and larger than a request, so this neither blocks nor stops. */
	if (send(connection->fd, request->data, request->len, MSG_NOSIGNAL) !=
	    (ssize_t)request->len)
		die("send");
}

/** Sets the length of the whole answer once its head is complete. */
static void read_head(struct connection *connection)
{
	static const char length[] = "\r\nContent-Length:";
	char *end;

	connection->buffer[connection->have] = '\0';
	end = strstr(connection->buffer, "\r\n\r\n");
	if (end == NULL)
		return;
	size_t head = (size_t)(end - connection->buffer) + 4;
	*end = '\0';
	const char *found = strcasestr(connection->buffer, length);
	size_t body = found == NULL ? 0 : strtoul(found + sizeof(length) - 1, NULL, 10);
	connection->want = head + body;
	body_bytes += body;
	if (connection->have < 12 || connection->buffer[9] != '2')
		refused++;
	if (connection->want >= BUFFER) {
		(void)fprintf(stderr, "an answer of %zu bytes\n", connection->want);
		exit(EXIT_FAILURE);
	}
}

/** @return whether the answer is complete */
static bool receive(struct connection *connection)
{
	ssize_t got = recv(connection->fd, connection->buffer + connection->have,
	                   BUFFER - 1 - connection->have, 0);

	if (got < 0 && errno == EAGAIN)
		return false;
	if (got <= 0)
		die(got == 0 ? "closed by the server" : "recv");
	connection->have += (size_t)got;
	if (connection->want == 0)
		read_head(connection);
	return connection->want != 0 && connection->have >= connection->want;
}

static void count(const struct connection *connection, int64_t now)
{
	in_flight--;
	if (answered < MAX_SLOTS)
		took_us[answered] = (uint32_t)((now - connection->since_ns) / 1000);
	answered++;
}

/** Keeps one request in flight on each connection. */
static void run_closed(struct connection *connections, size_t n, int epoll, int64_t end)
{
	struct epoll_event events[EVENTS];
	int64_t now = now_ns();

	for (size_t i = 0; i < n && !is_exhausted(); i++)
		send_next(&connections[i], now);
	while (in_flight > 0 && now < end) {
		int ready = epoll_wait(epoll, events, EVENTS, spins ? 0 : 100);

		now = now_ns();
		for (int i = 0; i < ready; i++) {
			struct connection *connection = events[i].data.ptr;

			if (!receive(connection))
				continue;
			now = now_ns();
			count(connection, now);
			if (!is_exhausted())
				send_next(connection, now);
		}
	}
}

/** Sends @p rate requests a second; one that is due waits for an idle connection, and that counts. */
static void run_paced(struct connection *connections, size_t n, int epoll, int64_t end, double rate)
{
	struct connection **idle = calloc(n, sizeof(struct connection *));
	struct epoll_event events[EVENTS];
	size_t idle_count = 0;
	size_t sent = 0;
	int64_t start = now_ns();
	int64_t now = start;

	if (idle == NULL)
		die("idle");
	while (idle_count < n) {
		idle[idle_count] = &connections[idle_count];
		idle_count++;
	}
	while (now < end) {
		int64_t due = start + (int64_t)((double)sent * 1e9 / rate);

		while (due <= now && idle_count > 0) {
			send_next(idle[--idle_count], due);
			due = start + (int64_t)((double)++sent * 1e9 / rate);
		}
		int64_t ns = idle_count == 0 || due <= now ? 1000000 : due - now;
		struct timespec wait = {.tv_nsec = ns > 1000000 ? 1000000 : ns};
		int ready = epoll_pwait2(epoll, events, EVENTS, &wait, NULL);
		now = now_ns();
		for (int i = 0; i < ready; i++) {
			struct connection *connection = events[i].data.ptr;

			if (!receive(connection))
				continue;
			now = now_ns();
			count(connection, now);
			idle[idle_count++] = connection;
		}
	}
	free(idle);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t percentile(size_t samples, double share)
{
	return samples == 0 ? 0 : took_us[(size_t)((double)(samples - 1) * share)];
}

static void report(double seconds)
{
	size_t samples = answered < MAX_SLOTS ? answered : MAX_SLOTS;

	qsort(took_us, samples, sizeof(*took_us), by_value);
	(void)printf("{\"answered\": %zu, \"refused\": %zu, \"seconds\": %.4f, \"rate\": %.1f, "
	             "\"p50_us\": %u, \"p99_us\": %u, \"p999_us\": %u, \"max_us\": %u, "
	             "\"body_bytes\": %zu}\n",
	             answered, refused, seconds, (double)answered / seconds,
	             percentile(samples, 0.5), percentile(samples, 0.99),
	             percentile(samples, 0.999), percentile(samples, 1), body_bytes);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "-s") == 0) {
		spins = true;
		argc--;
		argv++;
	}
	if (argc < 5 || argc > 6) {
		(void)fprintf(stderr,
		              "usage: load [-s] PORT CONNECTIONS SECONDS REQUESTS [RATE]\n");
		return EXIT_FAILURE;
	}
	uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
	size_t n = strtoul(argv[2], NULL, 10);
	double seconds = strtod(argv[3], NULL);
	double rate = argc == 6 ? strtod(argv[5], NULL) : 0;
	struct connection *connections = calloc(n, sizeof(*connections));
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	once = seconds <= 0;
	took_us = mmap(NULL, MAX_SLOTS * sizeof(*took_us), PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (connections == NULL || epoll < 0 || took_us == MAP_FAILED)
		die("load");
	read_requests(argv[4]);
	for (size_t i = 0; i < n; i++)
		connect_to(&connections[i], port, epoll);

	int64_t start = now_ns();
	int64_t end = once ? INT64_MAX : start + (int64_t)(seconds * 1e9);
	if (rate > 0)
		run_paced(connections, n, epoll, end, rate);
	else
		run_closed(connections, n, epoll, end);
	report((double)(now_ns() - start) / 1e9);
	return EXIT_SUCCESS;
}
