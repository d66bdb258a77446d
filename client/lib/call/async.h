/* SPDX-License-Identifier: MIT */
/** Asynchronous calls: they run on the client's own loop. They stand in client->calls. */
#pragma once

#include "rollcall.h"

/** Ends and frees all, without a call of done(); rollcall_close() only. In a child of fork()
 * without the engine's lock, else with it. */
void async_calls_free(rollcall_client *client);
