/* SPDX-License-Identifier: MIT */
/** The client library, as the commands' options set it up. */
#pragma once

#include "tool/reminder.h"
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

/**
 * Reports that registering or a heartbeat fails and why, at once and then each minute, and that it
 * succeeds again. To be called whenever the client has run.
 * @param id  NULL: the service's name says enough
 */
void library_report(struct reminder *reminder, rollcall_registration *registration,
                    const char *service, const char *id);
