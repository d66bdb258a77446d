/* SPDX-License-Identifier: MIT */
/**
 * The only user of libmicrohttpd: listening sockets, http threads with an external epoll loop each,
 * the guards that its parser needs, deadlines and limits, and the life of one request from socket
 * to socket.
 *
 * Each thread owns two MHD daemons (external epoll mode), one for those who wait long and one for
 * all others, an epoll of its own, in which it accepts from all listeners, and a wake-up eventfd.
 * Requests that wait for the writer are suspended; finished ones come back through the thread's
 * queue and are resumed in batches.
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
	int64_t request_ms; /* from a request's first byte to its last; the connection is shut down
	                       when it passes */
	int64_t idle_ms;    /* a connection without a request; also how long an answer may take to
	                       send, if longer than request_ms */
	int64_t parked_ms;  /* a parked request at most: then the connection is shut down, the
	                       change it waits for goes its way */
};

/** A listening socket, by address text or given by systemd. */
struct http_listener {
	int fd;
	bool made_path; /* http_listen() made its Unix path: it is removed in the end */
	char url[300];  /* "http://127.0.0.1:7655", "http://[::1]:80", "unix:/run/rollcall.sock" */
};

#define HTTP_LISTENERS_MAX 16

/** Who may connect to a Unix socket that http_listen_as() makes. */
struct http_access {
	mode_t mode;
	gid_t group; /* (gid_t)-1: the process's own */
};

/**
 * Opens a listening socket for "ADDRESS:PORT", "[::1]:PORT" or "unix:PATH" (port 0: the kernel's
 * choice, told in url). A stale Unix socket is replaced, a live one refused with -EADDRINUSE.
 * @param ret_text  a sentence on failure; at least 256 bytes
 * @return 0; -EINVAL: not an address; the error of socket(), bind() or listen()
 */
int http_listen(const char *address, struct http_listener *ret_listener, char *ret_text) MUST_USE;
/** The same, with the mode and group of a Unix socket; http_listen() gives it 0660. Nobody can
 * connect before it has them. */
int http_listen_as(const char *address, const struct http_access *access,
                   struct http_listener *ret_listener, char *ret_text) MUST_USE;
/** Takes an inherited listening socket. @return 0; -EINVAL: not a listening stream socket */
int http_adopt(int fd, struct http_listener *ret_listener) MUST_USE;

/**
 * Starts to serve @p count listeners, whose fds become http's.
 * @return 0; -ENOMEM, -EMFILE, -EAGAIN (no more threads): then the fds are still the caller's
 */
int http_start(const struct http_options *options, struct api *api,
               const struct http_listener *listeners, size_t count,
               struct http **ret_http) MUST_USE;
/** Stops to accept, lets requests in flight finish for at most @p grace_ms, closes the rest, ends
 * the threads. */
void http_stop(struct http *http, int64_t grace_ms);
/** After the registry has stopped. Takes NULL. */
void http_free(struct http *http);
void http_reload(struct http *http, const struct http_options *options);
/** Has libmicrohttpd of @p version, as "0.9.75", the fault that guard.c works round? */
bool http_library_is_lenient(const char *version);
/** Says for people that the libmicrohttpd in use has a known fault that is worked round; NULL: it
 * has none. */
const char *http_library_note(char *out, size_t size);
