/* SPDX-License-Identifier: MIT */
#include "http/http.h"

#include "base/clock.h"
#include "base/thread.h"
#include "http/internal.h"
#include "http/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void http_reload(struct http *http, const struct http_options *options)
{
	atomic_store(&http->connections_max, options->connections_max);
	atomic_store(&http->connections_per_peer_max, options->connections_per_peer_max);
	atomic_store(&http->request_ms, options->request_ms);
	atomic_store(&http->idle_ms, options->idle_ms);
	atomic_store(&http->parked_ms, options->parked_ms);
}

void http_close_listeners(struct http *http)
{
	for (size_t i = 0; i < http->listener_count; i++) {
		struct http_listener *listener = &http->listener[i];

		if (listener->fd < 0)
			continue;
		if (listener->made_path)
			(void)unlink(listener->url + strlen("unix:")); /* it may be gone already */
		(void)close(listener->fd);
		listener->fd = -1;
	}
}

int http_start(const struct http_options *options, struct api *api,
               const struct http_listener *listeners, size_t count, struct http **ret_http)
{
	struct http *http = calloc(1, sizeof(*http));
	int r = -ENOMEM;

	CHECK(count <= HTTP_LISTENERS_MAX && options->threads > 0);
	if (http == NULL)
		return r;
	http->api = api;
	peers_init(&http->peers);
	http_reload(http, options);
	http->loop = calloc(options->threads, sizeof(*http->loop));
	if (http->loop == NULL)
		goto fail;
	memcpy(http->listener, listeners, count * sizeof(*listeners));
	http->listener_count = count;

	/* One more than loops, so that no loop closes the listeners before all threads run. */
	http->accepting = options->threads + 1;

	while (http->loop_count < options->threads) {
		unsigned i = http->loop_count++;

		r = loop_init(&http->loop[i], http, i);
		if (r < 0)
			goto fail;
	}
	while (http->started < options->threads) {
		r = loop_start(&http->loop[http->started]);
		if (r < 0)
			goto fail;
		http->started++;
	}
	(void)atomic_fetch_sub(&http->accepting, 1);
	*ret_http = http;
	return 0;

fail:
	http_free(http);
	return r;
}

void http_stop(struct http *http, int64_t grace_ms)
{
	int64_t none = 0;
	int64_t stop_ms = clock_ms() + (grace_ms > 0 ? grace_ms : 0);

	if (!atomic_compare_exchange_strong(&http->stop_ms, &none, stop_ms > 0 ? stop_ms : 1))
		return;
	for (unsigned i = 0; i < http->started; i++)
		loop_wake(&http->loop[i]);
	for (unsigned i = 0; i < http->started; i++)
		thread_join(http->loop[i].thread);
}

void http_free(struct http *http)
{
	if (http == NULL)
		return;
	http_stop(http, 0);
	for (unsigned i = 0; i < http->loop_count; i++)
		loop_fini(&http->loop[i]);
	peers_fini(&http->peers);
	free(http->loop);
	free(http);
}
