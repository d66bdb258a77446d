/* SPDX-License-Identifier: MIT */
/**
 * client/ is the top of the library: opening, closing and running a client, and its statistics.
 * This header is for tests, which open clients with a transport of their own.
 */
#pragma once

#include "lib/base/util.h"
#include "lib/transport/transport.h"
#include "rollcall.h"

/** rollcall_open() with a transport of another kind. @param make  NULL: libcurl. @param arg  for
 * @p make. @return as rollcall_open() */
int client_open(const rollcall_options *given, transport_fn make, void *arg,
                rollcall_client **ret_client) MUST_USE;
