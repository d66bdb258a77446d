/* SPDX-License-Identifier: MIT */
/** What transport_curl.c, which loops, and carrier.c, which sets up libcurl's handles, share. */
#pragma once

#include "lib/transport/transport.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#define EVENTS_AT_ONCE 32
#define IDLE_MAX       32
#define AGENT_MAX      128

struct curl_transport {
	struct transport transport;
	const struct env *env;
	char *ca_file;
	char user_agent[AGENT_MAX];
	CURLM *multi;
	int epoll_fd;
	int event_fd;
	int timer_fd; /* -1 until somebody polls */
	int64_t alarm_us;
	int64_t curl_due_us; /* when libcurl wants to be called; -1: not */
	bool kicked;         /* something was started: completions may be waiting */
	atomic_bool woken;   /* so that only the first of many wake-ups is a system call */
	int ready;
	struct epoll_event events[EVENTS_AT_ONCE];
	struct carrier *idle;
	size_t idle_count;
};

/* One exchange under way, or idle with a handle that is ready for the next. */
struct carrier {
	struct curl_transport *curl;
	struct carrier *next;
	bool special; /* the handle has options that a plain GET must not have */
	struct exchange *exchange;
	CURL *easy;
	struct curl_slist *headers;
	size_t uploaded;
	bool exhausted; /* no socket could be had: our trouble, not the other side's */
};

/** An idle one or a new one; NULL when out of memory. */
struct carrier *carrier_get(struct curl_transport *curl);
/** Sets up its handle for @p exchange. @return 0, -ENOMEM or -EMSGSIZE */
int carrier_prepare(struct carrier *carrier, struct exchange *exchange);
/** Keeps it for the next, or frees it when there are enough. */
void carrier_rest(struct carrier *carrier);
void carrier_free(struct carrier *carrier);
