/* SPDX-License-Identifier: MIT */
/** Why a request to the registry failed, in words. */
#pragma once

#include "lib/transport/registry.h"

/** @return "ADDRESS: REASON" of a request that has ended without a 2xx answer, for the caller to
 * free(); NULL when out of memory */
char *failure_text(const struct registry_request *request) MUST_USE;
