/* SPDX-License-Identifier: MIT */
/** The listening sockets: those that systemd has opened, otherwise those that --listen names. */
#pragma once

#include "base/attr.h"

#include <stddef.h>

struct config;
struct http_access;
struct http_listener;

/**
 * Finds the mode and group of Unix sockets. Asks the system's databases of groups, which may be
 * remote: before SIGTERM is blocked.
 * @return 0; -ENOENT: there is no such group; another error: nobody knows now. Logged
 */
int sockets_access(const struct config *config, struct http_access *ret_access) MUST_USE;
/**
 * Logs what is wrong.
 * @param listeners  room for HTTP_LISTENERS_MAX
 * @return 0 or an error; then nothing is left open
 */
int sockets_open(const struct config *config, const struct http_access *access,
                 struct http_listener *listeners, size_t *ret_count) MUST_USE;
/** For what http_start() has not taken over. */
void sockets_close(const struct http_listener *listeners, size_t count);
/** Writes "ready on URL" for each: the line that scripts wait for. In the JSON format it is the
 * message of a line, in all others the whole line. */
void sockets_announce(const struct http_listener *listeners, size_t count);
