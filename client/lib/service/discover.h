/* SPDX-License-Identifier: MIT */
/** What calls share with discovery. */
#pragma once

#include "lib/service/service.h"

/** Checks the arguments, finds or makes the service. @return 0, -EINVAL, -ECHILD, -ENOMEM, -ENOSPC
 */
int discover_prepare(rollcall_client *client, const char *name,
                     struct service **ret_service) MUST_USE;
/** Asks the registry if that was not done yet, and waits for the first answer. Blocks. */
void discover_await(struct service *service, int64_t deadline_us);
