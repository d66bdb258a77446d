/* SPDX-License-Identifier: MIT */
/**
 * The HTTP server, and the only user of libmicrohttpd: listening sockets, http threads with an
 * epoll loop each, checks that libmicrohttpd's parser leaves out, deadlines, limits, and the life
 * of one request from socket to socket.
 *
 * Each thread owns two MHD daemons in external epoll mode (one for long-lived requests, one for all
 * others), an epoll of its own in which it accepts from all listeners, and a wake-up eventfd. A
 * request that waits for the writer is suspended; the writer puts it on the thread's queue when it
 * is done, and the thread resumes all that are queued in one batch.
 */
#pragma once

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct api;
struct http;

struct http_options {
	unsigned threads;
	unsigned connections_max;          /* all listeners, all threads */
	unsigned connections_per_peer_max; /* from one IP address; 0: no limit */
	int64_t request_ms; /* from a request's first byte to its last; then the connection is shut
	                       down */
	int64_t idle_ms;    /* for a connection without a request; also for sending an answer, if
	                       longer than request_ms */
	int64_t parked_ms;  /* for a parked request; then the connection is shut down, while the
	                       change that it waits for still takes effect */
};

/** A listening socket, by address text or given by systemd. */
struct http_listener {
	int fd;
	bool made_path; /* http_listen() made its Unix path: http_close_listeners() removes it */
	char url[300];  /* "http://127.0.0.1:7655", "http://[::1]:80", "unix:/run/rollcall.sock" */
};

#define HTTP_LISTENERS_MAX 16
#define HTTP_TEXT_SIZE     256 /* of an error of http_listen() */

/** Who may connect to a Unix socket that http_listen_as() makes. */
struct http_access {
	mode_t mode;
	gid_t group; /* (gid_t)-1: the process's own */
};

/**
 * Opens a listening socket for "ADDRESS:PORT", "[::1]:PORT" or "unix:PATH" (port 0: the kernel
 * chooses, and url has the choice). A stale Unix socket is replaced, a live one is -EADDRINUSE.
 * @param ret_text  on failure the error as a sentence; HTTP_TEXT_SIZE bytes
 * @return 0; -EINVAL: not an address; the error of socket(), bind() or listen()
 */
int http_listen(const char *address, struct http_listener *ret_listener, char *ret_text) MUST_USE;
/** The same, with the mode and group of a Unix socket; http_listen() gives it 0660. No client can
 * connect before they are set. */
int http_listen_as(const char *address, const struct http_access *access,
                   struct http_listener *ret_listener, char *ret_text) MUST_USE;
/** Takes an inherited listening socket. @return 0; -EINVAL: not a listening stream socket */
int http_adopt(int fd, struct http_listener *ret_listener) MUST_USE;

/**
 * Starts to serve @p count listeners and takes ownership of their fds.
 * @return 0; -ENOMEM, -EMFILE, -EAGAIN (no more threads): the caller still owns the fds
 */
int http_start(const struct http_options *options, struct api *api,
               const struct http_listener *listeners, size_t count,
               struct http **ret_http) MUST_USE;
/** Stops accepting, lets requests in flight finish for at most @p grace_ms, closes all other
 * connections, ends the threads. */
void http_stop(struct http *http, int64_t grace_ms);
/** Call it after the registry has stopped: it wakes parked requests. Takes NULL. */
void http_free(struct http *http);
void http_reload(struct http *http, const struct http_options *options);
/** Does libmicrohttpd of @p version, such as "0.9.75", have the fault that guard.c works round? */
bool http_library_is_lenient(const char *version);
/** A sentence about the known fault of the libmicrohttpd in use; NULL: it has none. */
const char *http_library_note(char *out, size_t size);
