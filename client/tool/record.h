/* SPDX-License-Identifier: MIT */
/** An instance's record as the options of a command describe it. */
#pragma once

#include "tool/args.h"
#include "tool/tool.h"

#include <jansson.h>

/**
 * From --service, --id, --host, --port, --weight, --meta, --ttl and --remove-after; --port is
 * needed.
 * @return 0 or -EINVAL (told); *@p ret_record is owned by the caller
 */
int record_from_args(const struct args *args, json_t **ret_record);

/**
 * The body of a registration: the same and --draining. Without --host it asks the registry, to see
 * which address of ours it is reached by.
 * @return exit code; EXIT_OK: *@p ret_record is owned by the caller
 */
int record_make(struct tool *tool, const struct args *args, json_t **ret_record);
