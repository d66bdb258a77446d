/* SPDX-License-Identifier: MIT */
/*
 * A transport over libcurl's multi interface. One epoll descriptor holds libcurl's sockets, an
 * eventfd for wake-ups and, once a program polls that descriptor, a timerfd. Everything but
 * curl_wake() runs in the thread that runs the loop; curl_wait() runs without a lock and touches
 * only the epoll descriptor and the events. Invariant: done() is called from curl_step() alone, so
 * starting or cancelling an exchange never calls back. curl_multi_poll() would be simpler, but it
 * offers no descriptor for the program's own event loop.
 */
#include "lib/base/env.h"
#include "lib/base/util.h"
#include "lib/transport/carrier.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CONNECTIONS 256L

static int init_result;

static void init_libcurl(void)
{
	init_result = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -EIO;
}

static struct curl_transport *curl_of(struct transport *transport)
{
	return container_of(transport, struct curl_transport, transport);
}

/* --- what libcurl calls --------------------------------------------------------------------- */

static int curl_on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct curl_transport *curl = arg;
	struct epoll_event event = {.data.fd = fd};

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		/* Fails when libcurl has closed the socket, which then has left epoll already. */
		(void)epoll_ctl(curl->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if ((what & CURL_POLL_IN) != 0)
		event.events |= EPOLLIN;
	if ((what & CURL_POLL_OUT) != 0)
		event.events |= EPOLLOUT;
	if (known == NULL)
		(void)curl_multi_assign(curl->multi, fd, curl);
	if (epoll_ctl(curl->epoll_fd, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) ==
	    0)
		return 0;
	/* libcurl closed the socket, and a new one got its number before the callback. */
	int other = errno == EEXIST ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	return epoll_ctl(curl->epoll_fd, other, fd, &event) == 0 ? 0 : -1;
}

static int curl_on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct curl_transport *curl = arg;

	(void)multi;
	curl->curl_due_us =
		timeout_ms < 0 ? -1 : env_now(curl->env) + (int64_t)timeout_ms * US_PER_MS;
	return 0;
}

/* --- one exchange --------------------------------------------------------------------------- */

static int curl_drive(struct curl_transport *curl, curl_socket_t fd, int events)
{
	int running;

	curl->kicked = true;
	return curl_multi_socket_action(curl->multi, fd, events, &running) == CURLM_OK ? 0 : -EIO;
}

static int curl_start(struct transport *transport, struct exchange *exchange)
{
	struct curl_transport *curl = curl_of(transport);
	struct carrier *carrier = carrier_get(curl);

	if (carrier == NULL)
		return -ENOMEM;
	int r = carrier_prepare(carrier, exchange);
	if (r == 0 && curl_multi_add_handle(curl->multi, carrier->easy) != CURLM_OK)
		r = -ENOMEM;
	if (r < 0) {
		carrier_free(carrier);
		return r;
	}
	exchange->carrier = carrier;
	curl->curl_due_us = -1;
	(void)curl_drive(curl, CURL_SOCKET_TIMEOUT,
	                 0); /* an error becomes the result of the exchange */
	return 0;
}

static bool was_sent(CURL *easy)
{
	long bytes = 0;

	return curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &bytes) != CURLE_OK || bytes > 0;
}

static void curl_detach(struct curl_transport *curl, struct carrier *carrier)
{
	struct exchange *exchange = carrier->exchange;
	char *local = NULL;

	exchange->sent = was_sent(carrier->easy);
	if (curl_easy_getinfo(carrier->easy, CURLINFO_LOCAL_IP, &local) == CURLE_OK &&
	    local != NULL && strlen(local) < sizeof(exchange->local_ip))
		memcpy(exchange->local_ip, local, strlen(local) + 1);
	(void)curl_multi_remove_handle(curl->multi, carrier->easy);
	exchange->carrier = NULL;
	carrier_rest(carrier);
}

static void curl_cancel(struct transport *transport, struct exchange *exchange)
{
	if (exchange->carrier != NULL)
		curl_detach(curl_of(transport), exchange->carrier);
}

static int error_of(CURLcode code, const struct carrier *carrier)
{
	const struct exchange *exchange = carrier->exchange;

	if (carrier->exhausted && code == CURLE_COULDNT_CONNECT)
		return -EMFILE;
	if (exchange->answer.error < 0)
		return exchange->answer.error;
	if (exchange->head.error < 0)
		return exchange->head.error;

	/* clang-format off */
	static const struct { CURLcode code; int error; } table[] = {
		{CURLE_OUT_OF_MEMORY,          -ENOMEM},
		{CURLE_OPERATION_TIMEDOUT,     -ETIMEDOUT},
		{CURLE_COULDNT_CONNECT,        -ECONNREFUSED},
		{CURLE_COULDNT_RESOLVE_HOST,   -ENXIO},
		{CURLE_URL_MALFORMAT,          -EINVAL},
		{CURLE_SSL_CONNECT_ERROR,      -EPROTO},
		{CURLE_PEER_FAILED_VERIFICATION, -EPROTO},
		{CURLE_WEIRD_SERVER_REPLY,     -EPROTO},
		{CURLE_UNSUPPORTED_PROTOCOL,   -EPROTO},
	};
	/* clang-format on */
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].code == code)
			return table[i].error;
	return -ECONNRESET;
}

static void curl_finish(struct curl_transport *curl, CURL *easy, CURLcode code)
{
	struct carrier *carrier = NULL;
	long status = 0;

	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&carrier);
	(void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);

	struct exchange *exchange = carrier->exchange;
	exchange->error = code == CURLE_OK ? 0 : error_of(code, carrier);
	exchange->status = code == CURLE_OK ? (int)status : 0;
	curl_detach(curl, carrier);
	exchange->done(exchange);
}

static void curl_finish_all(struct curl_transport *curl)
{
	CURLMsg *message;
	int left;

	curl->kicked = false;
	while ((message = curl_multi_info_read(curl->multi, &left)) != NULL)
		if (message->msg == CURLMSG_DONE)
			curl_finish(curl, message->easy_handle, message->data.result);
}

/* --- the loop's side ------------------------------------------------------------------------ */

static void curl_wait(struct transport *transport, int64_t until_us)
{
	struct curl_transport *curl = curl_of(transport);
	int64_t wait_us = until_us < 0 ? -1 : max_i64(0, until_us - env_now(curl->env));
	int wait_ms = wait_us < 0 ? -1 : (int)min_i64((wait_us + 999) / 1000, 60000);

	int ready = epoll_wait(curl->epoll_fd, curl->events, EVENTS_AT_ONCE, wait_ms);
	curl->ready = ready > 0 ? ready : 0; /* EINTR: no events */
}

static void curl_drain_fd(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count)); /* non-blocking; EAGAIN is fine */
}

static void curl_handle(struct curl_transport *curl, const struct epoll_event *event)
{
	int events = 0;

	if (event->data.fd == curl->event_fd) {
		curl_drain_fd(curl->event_fd);
		atomic_store(&curl->woken, false);
		return;
	}
	if (event->data.fd == curl->timer_fd) {
		curl_drain_fd(curl->timer_fd);
		curl->alarm_us = -1;
		return;
	}
	if ((event->events & (EPOLLIN | EPOLLHUP)) != 0)
		events |= CURL_CSELECT_IN;
	if ((event->events & EPOLLOUT) != 0)
		events |= CURL_CSELECT_OUT;
	if ((event->events & EPOLLERR) != 0)
		events |= CURL_CSELECT_ERR;
	(void)curl_drive(curl, event->data.fd, events);
}

static void curl_step(struct transport *transport)
{
	struct curl_transport *curl = curl_of(transport);
	int ready = curl->ready;

	curl->ready = 0;
	for (int i = 0; i < ready; i++)
		curl_handle(curl, &curl->events[i]);
	if (curl->curl_due_us >= 0 && curl->curl_due_us <= env_now(curl->env)) {
		curl->curl_due_us = -1;
		(void)curl_drive(curl, CURL_SOCKET_TIMEOUT, 0);
	}
	if (curl->kicked)
		curl_finish_all(curl);
}

static void curl_wake(struct transport *transport)
{
	struct curl_transport *curl = curl_of(transport);
	uint64_t one = 1;

	if (!atomic_exchange(&curl->woken, true))
		(void)!write(curl->event_fd, &one, sizeof(one)); /* a full counter wakes too */
}

static void curl_set_alarm(struct transport *transport, int64_t due_us)
{
	struct curl_transport *curl = curl_of(transport);
	int64_t wait_us = due_us < 0 ? 0 : max_i64(1, due_us - env_now(curl->env));
	struct itimerspec spec = {.it_value = {wait_us / US_PER_S, wait_us % US_PER_S * 1000}};

	if (curl->timer_fd < 0 || due_us == curl->alarm_us)
		return;
	curl->alarm_us = due_us;
	(void)timerfd_settime(curl->timer_fd, 0, &spec, NULL); /* fails only for bad arguments */
}

static int curl_fd(struct transport *transport)
{
	struct curl_transport *curl = curl_of(transport);
	struct epoll_event event = {.events = EPOLLIN};

	if (curl->timer_fd < 0) {
		int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

		if (fd < 0)
			return -errno;
		event.data.fd = fd;
		if (epoll_ctl(curl->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
			int r = -errno;

			(void)close(fd);
			return r;
		}
		curl->timer_fd = fd;
		curl->alarm_us = -1;
	}
	return curl->epoll_fd;
}

static int64_t curl_due(struct transport *transport)
{
	const struct curl_transport *curl = curl_of(transport);

	return curl->kicked ? 0 : curl->curl_due_us;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

/* A forked child leaves libcurl's handles alone: closing its connections would write to sockets
 * that the parent uses, and removing them from epoll would remove the parent's. */
static void curl_free_transport(struct transport *transport, bool forked)
{
	struct curl_transport *curl = curl_of(transport);

	if (!forked) {
		while (curl->idle != NULL) {
			struct carrier *carrier = curl->idle;

			curl->idle = carrier->next;
			carrier_free(carrier);
		}
		if (curl->multi != NULL)
			(void)curl_multi_cleanup(curl->multi);
	}
	close_fd(curl->timer_fd);
	close_fd(curl->event_fd);
	close_fd(curl->epoll_fd);
	free(curl->ca_file);
	free(curl);
}

static int curl_open_fds(struct curl_transport *curl)
{
	struct epoll_event event = {.events = EPOLLIN};

	curl->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (curl->epoll_fd < 0)
		return -errno;
	curl->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (curl->event_fd < 0)
		return -errno;
	event.data.fd = curl->event_fd;
	return epoll_ctl(curl->epoll_fd, EPOLL_CTL_ADD, curl->event_fd, &event) < 0 ? -errno : 0;
}

static int curl_open_multi(struct curl_transport *curl)
{
	curl->multi = curl_multi_init();
	if (curl->multi == NULL)
		return -ENOMEM;
	if (curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, curl_on_socket) != CURLM_OK ||
	    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl) != CURLM_OK ||
	    curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, curl_on_timer) != CURLM_OK ||
	    curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl) != CURLM_OK ||
	    curl_multi_setopt(curl->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS) != CURLM_OK)
		return -EIO;
	return 0;
}

int transport_curl_new(const struct transport_options *options, void *arg,
                       struct transport **ret_transport)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static const struct transport vtable = {
		.start = curl_start,
		.cancel = curl_cancel,
		.wait = curl_wait,
		.step = curl_step,
		.wake = curl_wake,
		.fd = curl_fd,
		.set_alarm = curl_set_alarm,
		.due_us = curl_due,
		.free = curl_free_transport,
	};
	struct curl_transport *curl;
	int r;

	(void)arg;
	(void)pthread_once(&once, init_libcurl);
	if (init_result < 0)
		return init_result;
	curl = calloc(1, sizeof(*curl));
	if (curl == NULL)
		return -ENOMEM;
	curl->transport = vtable;
	curl->env = options->env;
	curl->epoll_fd = curl->event_fd = curl->timer_fd = -1;
	curl->curl_due_us = curl->alarm_us = -1;
	memccpy(curl->user_agent, options->user_agent, '\0', sizeof(curl->user_agent) - 1);
	curl->ca_file = text_copy(options->ca_file);
	r = options->ca_file != NULL && curl->ca_file == NULL ? -ENOMEM : curl_open_fds(curl);
	if (r == 0)
		r = curl_open_multi(curl);
	if (r < 0) {
		curl_free_transport(&curl->transport, false);
		return r;
	}
	*ret_transport = &curl->transport;
	return 0;
}
