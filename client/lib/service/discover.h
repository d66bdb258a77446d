/* SPDX-License-Identifier: MIT */
/** Looking services up, for discovery and for calls. */
#pragma once

#include "lib/service/service.h"

/** Checks the arguments, and finds or makes the service. Any thread, no lock held. @return 0;
 * -EINVAL; -ECHILD; -ENOMEM; -ENOSPC */
int discover_prepare(rollcall_client *client, const char *name,
                     struct service **ret_service) MUST_USE;
/** Waits for the first answer of the registry about @p service, which it begins to ask if need be.
 * Blocks until @p deadline_us, unless there is an answer already. */
void discover_await(struct service *service, int64_t deadline_us);
