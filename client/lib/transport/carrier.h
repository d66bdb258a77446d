/* SPDX-License-Identifier: MIT */
/** libcurl's easy handles: carrier.c sets them up, transport_curl.c runs them. Private to these
 * two. */
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
	int timer_fd;        /* -1 until a program polls the descriptor */
	int64_t alarm_us;    /* when timer_fd fires; -1: never */
	int64_t curl_due_us; /* when libcurl wants to be called; -1: not */
	bool kicked;         /* libcurl has run since the last look for completions */
	atomic_bool woken;   /* set by the first of many wake-ups: the others are no system calls */
	int ready;           /* events that the last wait found */
	struct epoll_event events[EVENTS_AT_ONCE];
	struct carrier *idle;
	size_t idle_count;
};

/* One exchange under way, or idle with a handle that is ready for the next. */
struct carrier {
	struct curl_transport *curl;
	struct carrier *next;
	bool special; /* the handle has options that must be reset before a plain GET */
	struct exchange *exchange;
	CURL *easy;
	struct curl_slist *headers;
	size_t uploaded;
	bool exhausted; /* there were no descriptors for a socket: not the server's fault */
};

/** @return an idle carrier or a new one; NULL when out of memory */
struct carrier *carrier_get(struct curl_transport *curl);
/** Sets up the handle for @p exchange. @return 0; -ENOMEM; -EMSGSIZE (a header over 64 KiB) */
int carrier_prepare(struct carrier *carrier, struct exchange *exchange);
/** Keeps the carrier for the next exchange, or frees it when 32 are idle. */
void carrier_rest(struct carrier *carrier);
void carrier_free(struct carrier *carrier);
