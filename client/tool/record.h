/* SPDX-License-Identifier: MIT */
/** The record of an instance, made from the options of a command. */
#pragma once

#include "tool/args.h"
#include "tool/tool.h"

#include <jansson.h>

/**
 * Makes a record of --service, --id, --host, --port, --weight, --meta, --ttl and --remove-after;
 * --port is required.
 * @return 0, and *@p ret_record is owned by the caller; -EINVAL (reported)
 */
int record_from_args(const struct args *args, json_t **ret_record);

/**
 * Makes the body of a registration: the same, and --draining. Without --host it sends a request to
 * the registry and uses the local address of that connection.
 * @return exit code; EXIT_OK: *@p ret_record is owned by the caller
 */
int record_make(struct tool *tool, const struct args *args, json_t **ret_record);
