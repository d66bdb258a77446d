/* SPDX-License-Identifier: MIT */
/** The client library, as the commands' options set it up. */
#pragma once

#include "tool/tool.h"

#include <jansson.h>
#include <rollcall.h>

/** @param strategy  for calls; NULL: the default. @return NULL: told */
rollcall_client *library_open(const struct tool *tool, const char *strategy);

/**
 * Begins to keep an instance registered.
 * @param record  as the API takes it, and "service", perhaps "id" and "host";
 *                stays until it is deregistered
 * @return NULL: told
 */
rollcall_registration *library_register(rollcall_client *client, const json_t *record);
