/* SPDX-License-Identifier: MIT */
/** Asynchronous calls, which run on the client's own loop. client->calls is their list. */
#pragma once

#include "rollcall.h"

/** Ends and frees all calls, without a call of done(); rollcall_close() only. With the engine's
 * lock held, except in a child of fork(). */
void async_calls_free(rollcall_client *client);
