/* SPDX-License-Identifier: MIT */
/** The file of an agent: the services that it checks and registers. */
#pragma once

#include <jansson.h>

#define AGENT_SERVICES_MAX 10000

/**
 * Reads and checks the file. Each service in the array has all of "service", "id", "port", "check",
 * "interval_ms", "timeout_ms", "pass" and "fail", given or by default, and no two have the same
 * service and id.
 * @param ret_services  an array, owned by the caller
 * @return 0; -EINVAL (reported, with the place)
 */
int agent_file_read(const char *path, json_t **ret_services);
