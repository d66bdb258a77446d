/* SPDX-License-Identifier: MIT */
/** The client library, set up from the options of a command. */
#pragma once

#include "tool/reminder.h"
#include "tool/tool.h"

#include <jansson.h>
#include <rollcall.h>

/** @param strategy  for calls; NULL: the default. @return a client for rollcall_close(); NULL:
 * reported */
rollcall_client *library_open(const struct tool *tool, const char *strategy);

/**
 * Begins to keep an instance registered.
 * @param record  as the API takes it, and "service", perhaps "id" and "host"; copied
 * @return a registration for rollcall_deregister(); NULL: reported
 */
rollcall_registration *library_register(rollcall_client *client, const json_t *record);

/** @return whether an instance of this record has a lease, so that it expires by itself */
bool library_has_lease(const json_t *record);

/**
 * Reports that registering or a heartbeat fails, and why, at once and then each minute, and that it
 * succeeds again. Called after each run of the client.
 * @param record  as library_register() took it
 * @param id  NULL: the message names the service only
 */
void library_report(struct reminder *reminder, rollcall_registration *registration,
                    const json_t *record, const char *id);
