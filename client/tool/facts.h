/* SPDX-License-Identifier: MIT */
/** The data that a template is filled in with. */
#pragma once

#include "tool/args.h"
#include "tool/watcher.h"

#include <jansson.h>
#include <stddef.h>

/**
 * {"services": [{"service", "revision", "count", "instances": [...]}], "set": {KEY: VALUE}}, where
 * each instance is as the registry gives it, in the order of ids, and has besides:
 *   name      its id in characters that every configuration language takes, unique in its service
 *   share     its weight, at least 1
 *   backup    true when its weight is 0 and another's is not
 *   share256  its weight scaled to 0-256; 0 only when another's is not
 * @return owned by the caller
 */
json_t *facts_make(const struct watcher *watchers, size_t count, const struct args *args);
