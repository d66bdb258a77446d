/* SPDX-License-Identifier: MIT */
/** Opening a client with a transport of the caller's, which tests need. */
#pragma once

#include "lib/base/util.h"
#include "lib/transport/transport.h"
#include "rollcall.h"

/** rollcall_open() with a transport of another kind. @param make  NULL: libcurl. @param arg  for
 * @p make. @return as rollcall_open() */
int client_open(const rollcall_options *given, transport_fn make, void *arg,
                rollcall_client **ret_client) MUST_USE;
