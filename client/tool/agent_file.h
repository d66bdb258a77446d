/* SPDX-License-Identifier: MIT */
/** What an agent is to look after, as its file says. */
#pragma once

#include <jansson.h>

#define AGENT_SERVICES_MAX 10000

/**
 * Reads and checks the file. Each service in the array has all of "service", "id", "port", "check",
 * "interval_ms", "timeout_ms", "pass" and "fail", given or by default; service and id together are
 * there once.
 * @return 0, or -EINVAL (told, with the place)
 */
int agent_file_read(const char *path, json_t **ret_services);
