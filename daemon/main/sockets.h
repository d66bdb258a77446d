/* SPDX-License-Identifier: MIT */
/** The listening sockets: those that systemd passes, otherwise those of --listen. */
#pragma once

#include "base/attr.h"

#include <stddef.h>

struct config;
struct http_access;
struct http_listener;

/**
 * Finds the mode and group of Unix sockets. The system's database of groups may be remote and slow,
 * so call it before SIGTERM is blocked.
 * @return 0; -ENOENT: there is no such group; another error: the database failed. Errors are logged
 */
int sockets_access(const struct config *config, struct http_access *ret_access) MUST_USE;
/**
 * Opens the sockets.
 * @param listeners  room for HTTP_LISTENERS_MAX
 * @return 0 or an error, which has been logged; then no socket of ours stays open
 */
int sockets_open(const struct config *config, const struct http_access *access,
                 struct http_listener *listeners, size_t *ret_count) MUST_USE;
/** Closes sockets that http_start() has not taken over. */
void sockets_close(const struct http_listener *listeners, size_t count);
/** Logs "ready on URL" for each, the line that scripts wait for. In the JSON format it is the
 * message of a line, in all others the whole line. */
void sockets_announce(const struct http_listener *listeners, size_t count);
