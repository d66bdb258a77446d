/* SPDX-License-Identifier: MIT */
/**
 * A small HTTP server, registry and instance in one, on a port that the kernel chooses, with one
 * thread per connection. "/v1/..." answers as a registry with one service, "web", whose only
 * instance is this server; "/die" closes the connection instead of answering its second request;
 * "/slow" never answers; every other path answers "ok". Fields after the counters may be set while
 * it runs.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define SERVER_CONNECTIONS 64

struct server;

struct server_connection {
	struct server *server;
	int fd;
};

struct server {
	int fd;
	int port;
	pthread_t thread;
	pthread_mutex_t lock;
	int open[SERVER_CONNECTIONS];
	pthread_t threads[4096];
	struct server_connection connections[4096]; /* no malloc(): tests make that fail */
	int thread_count;
	atomic_bool stopping;
	atomic_int requests; /* to the instance */
	atomic_int dying;    /* "/die" requests received */
	atomic_int puts;
	atomic_int deletes;
	atomic_ullong history; /* 0: not named in answers */
	atomic_bool retires;   /* holds long polls, and answers heartbeats with 503 */
};

void server_start(struct server *server);
void server_stop(struct server *server);
