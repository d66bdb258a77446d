/* SPDX-License-Identifier: MIT */
/**
 * The native HTTP API, version 1: the routes under /v1/ and those about the daemon itself, such as
 * /healthz and /metrics. It is a table of routes for api/; the handlers, which run on http threads,
 * read the registry's snapshots and submit commands to it.
 *
 *	v1_open(registry, config, &v1);
 *	... api_open() with v1_table(v1), v1_revision and v1 ...
 *	... api_close() ...
 *	v1_close(v1);
 */
#pragma once

#include "base/attr.h"

#include <stdint.h>

struct config;
struct registry;
struct route_table;
struct v1;

/** @p registry is borrowed until v1_close(). @return 0 or -ENOMEM */
int v1_open(struct registry *registry, const struct config *config, struct v1 **ret_v1) MUST_USE;
/** After the last stream has been closed. Takes NULL. */
void v1_close(struct v1 *v1);
/** Sets the options that a reload may change. Any thread. */
void v1_reload(struct v1 *v1, const struct config *config);
/** Borrowed until v1_close(). */
const struct route_table *v1_table(const struct v1 *v1);
/** The latest revision, for struct api_options. @param arg  the v1. Any thread. */
uint64_t v1_revision(void *arg);
