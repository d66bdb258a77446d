/* SPDX-License-Identifier: MIT */
#include "lib/core/client.h"

#include <ctype.h>
#include <string.h>

bool client_valid_service(const char *name)
{
	if (name == NULL || isalnum((unsigned char)name[0]) == 0)
		return false;
	size_t len =
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
	return name[len] == '\0' && len <= SERVICE_NAME_MAX;
}

struct backoff client_backoff(const rollcall_client *client)
{
	return (struct backoff){
		.base_ms = client->options.retry_base_ms,
		.max_ms = client->options.retry_max_ms,
		.jitter = ROLLCALL_J_EQUAL,
		.recap = true,
	};
}
