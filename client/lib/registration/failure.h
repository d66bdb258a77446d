/* SPDX-License-Identifier: MIT */
/** The text for a request to the registry that failed. */
#pragma once

#include "lib/transport/registry.h"

/** @return "ADDRESS: REASON" for a request that has ended without a 2xx answer; memory for the
 * caller to free(). NULL when out of memory */
char *failure_text(const struct registry_request *request) MUST_USE;
