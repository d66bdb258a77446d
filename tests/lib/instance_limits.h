/* SPDX-License-Identifier: MIT */
/** Instances with one value that no request can set, and an instance with the largest values. */
#pragma once

#include "model/instance.h"

#include <string.h>

#define INSTANCES_WRONG 13

/** A text of @p len bytes. */
static inline struct str text_of_len(size_t len)
{
	static char text[1024];

	memset(text, 'x', sizeof(text));
	return (struct str){text, len};
}

/** Copies @p right with one value changed in each. */
static inline void instances_wrong(const struct instance *right,
                                   struct instance ret[INSTANCES_WRONG])
{
	for (size_t i = 0; i < INSTANCES_WRONG; i++)
		ret[i] = *right;
	ret[0].service = text_of_len(SERVICE_NAME_MAX + 1);
	ret[1].service.len = 0;
	ret[2].id = text_of_len(INSTANCE_ID_MAX + 1);
	ret[3].id.len = 0;
	ret[4].host = text_of_len(HOST_MAX + 1);
	ret[5].status_reason = text_of_len(REASON_MAX + 1);
	ret[6].status_by = text_of_len(STATUS_BY_MAX + 1);
	ret[7].ttl_ms = TTL_MS_MAX + 1;
	ret[8].ttl_ms = -1;
	ret[9].remove_after_ms = REMOVE_AFTER_MS_MAX + 1;
	ret[10].remove_after_ms = -1;
	ret[11].drained_until_ms = -1;
	ret[12].drained_until_ms = INT64_MAX;
}

static inline void instances_longest(struct instance *ret)
{
	ret->service = text_of_len(SERVICE_NAME_MAX);
	ret->id = text_of_len(INSTANCE_ID_MAX);
	ret->host = text_of_len(HOST_MAX);
	ret->status_reason = text_of_len(REASON_MAX);
	ret->status_by = text_of_len(STATUS_BY_MAX);
	ret->ttl_ms = TTL_MS_MAX;
	ret->remove_after_ms = REMOVE_AFTER_MS_MAX;
}
