/* SPDX-License-Identifier: MIT */
/**
 * A small HTTP server on a port of the kernel's choice, a thread a connection: registry and
 * instance in one. "/v1/..." answers as the registry of one service, "web", whose only instance is
 * this server;
 * "/die" closes instead of answering from the second request on a connection on; "/slow" never
 * answers; all else answers "ok".
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
};

void server_start(struct server *server);
void server_stop(struct server *server);
