/* SPDX-License-Identifier: MIT */
/**
 * Watches: callbacks of the program for changes of a service's healthy instances. client->watches
 * is their list, under the engine's lock.
 */
#pragma once

#include "lib/core/client.h"

struct service;

/**
 * Adds a watch of @p service, which has this @p client and @p name; both are borrowed until
 * rollcall_watch_stop(). With the engine's lock held. @return NULL when out of memory
 */
rollcall_watch *watch_add(rollcall_client *client, const struct service *service, const char *name,
                          void (*on_change)(rollcall_client *client, const char *service,
                                            void *arg),
                          void *arg) MUST_USE;
/** Queues the callback of one watch. With the engine's lock held. */
void watch_notify(rollcall_watch *watch);
/** Queues the callbacks of all watches of @p service. With the engine's lock held. */
void watches_notify(rollcall_client *client, const struct service *service);
/** Frees all watches without calling them; rollcall_close() only. */
void watches_free(rollcall_client *client);
