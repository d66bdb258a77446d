/* SPDX-License-Identifier: MIT */
#include "lib/service/watch.h"

#include <stdlib.h>

struct rollcall_watch {
	rollcall_watch *next; /* in client->watches */
	rollcall_client *client;
	const struct service *service;
	const char *name;
	struct notice notice;
	void (*on_change)(rollcall_client *client, const char *service, void *arg);
	void *arg;
};

static void deliver_change(struct notice *notice)
{
	rollcall_watch *watch = container_of(notice, struct rollcall_watch, notice);
	rollcall_client *client = watch->client;
	const char *name = watch->name;
	void (*on_change)(rollcall_client *, const char *, void *) = watch->on_change;
	void *arg = watch->arg;

	engine_unlock(&client->engine);
	on_change(client, name, arg); /* may free the watch */
	engine_lock(&client->engine);
}

rollcall_watch *watch_add(rollcall_client *client, const struct service *service, const char *name,
                          void (*on_change)(rollcall_client *client, const char *service,
                                            void *arg),
                          void *arg)
{
	rollcall_watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return NULL;
	watch->client = client;
	watch->service = service;
	watch->name = name;
	watch->on_change = on_change;
	watch->arg = arg;
	watch->notice.deliver = deliver_change;
	watch->next = client->watches;
	client->watches = watch;
	return watch;
}

void watch_notify(rollcall_watch *watch)
{
	engine_notify(&watch->client->engine, &watch->notice);
}

void watches_notify(rollcall_client *client, const struct service *service)
{
	for (rollcall_watch *one = client->watches; one != NULL; one = one->next)
		if (one->service == service)
			watch_notify(one);
}

static void unlink_watch(rollcall_client *client, const rollcall_watch *watch)
{
	for (rollcall_watch **at = &client->watches; *at != NULL; at = &(*at)->next) {
		if (*at == watch) {
			*at = watch->next;
			return;
		}
	}
}

void rollcall_watch_stop(rollcall_watch *watch)
{
	if (watch == NULL)
		return;
	rollcall_client *client = watch->client;
	if (!client_forked(client)) {
		engine_lock(&client->engine);
		unlink_watch(client, watch);
		engine_settle(&client->engine, &watch->notice);
		engine_unlock(&client->engine);
		free(watch);
	}
}

void watches_free(rollcall_client *client)
{
	while (client->watches != NULL) {
		rollcall_watch *next = client->watches->next;

		free(client->watches);
		client->watches = next;
	}
}
