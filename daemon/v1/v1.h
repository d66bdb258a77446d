/* SPDX-License-Identifier: MIT */
/**
 * The native HTTP API, version 1: /v1/..., and what is about the daemon itself, such as /healthz
 * and /metrics. A table of routes for api/, whose handlers read the registry's snapshots and send
 * it commands.
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

/** @return 0 or -ENOMEM */
int v1_open(struct registry *registry, const struct config *config, struct v1 **ret_v1) MUST_USE;
/** After the last stream has been closed. Takes NULL. */
void v1_close(struct v1 *v1);
/** Takes over what a reload may change. Any thread. */
void v1_reload(struct v1 *v1, const struct config *config);
const struct route_table *v1_table(const struct v1 *v1);
/** For struct api_options, with the v1 as its argument. Any thread. */
uint64_t v1_revision(void *arg);
