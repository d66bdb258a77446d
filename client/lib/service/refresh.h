/* SPDX-License-Identifier: MIT */
/** Keeping a service's cache current with the registry. All with the engine's lock held. */
#pragma once

#include "lib/service/service.h"

/** Begins to keep the cache of @p service current; nothing when that has begun already. */
void refresh_start(struct service *service);

/** Calls waiter->answered(), which the caller has set, when the first answer comes. */
void refresh_wait(struct service *service, struct answer_waiter *waiter);
/** Takes @p waiter out of the list; nothing when it does not wait. */
void refresh_stop_waiting(struct service *service, struct answer_waiter *waiter);

/** Reads all services again, because the registry answers with another history: what was read before
 * says nothing about it. Until it has answered, the present sets stay in use. */
void refreshes_read_again(rollcall_client *client);

/** Ends the refreshes of all services, before services_free(); rollcall_close() only. */
void refreshes_fini(rollcall_client *client);
