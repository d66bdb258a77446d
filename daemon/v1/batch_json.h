/* SPDX-License-Identifier: MIT */
/**
 * The body of a batch heartbeat, read as a stream: 10,000 entries without a tree of them.
 *
 *	batch_init(&batch, body);
 *	while ((r = batch_next(&batch, &entry)) == 1)
 *		...
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"
#include "model/instance.h"

#include <stdbool.h>

#define BATCH_ENTRIES_MAX 10000

struct batch {
	struct str text;
	size_t pos;
	unsigned count;                 /* entries read */
	bool inside;                    /* the array has begun */
	const char *what;               /* on failure: static */
	char service[SERVICE_NAME_MAX]; /* decoded, when escaped */
	char id[INSTANCE_ID_MAX];
};

/** Strings are in the body, or in the batch until the next call. */
struct batch_entry {
	struct str service;
	struct str id;
};

void batch_init(struct batch *batch, struct str text);
/**
 * @return 1: an entry; 0: the end, all of the text was sound; -EBADMSG: malformed at batch->pos,
 * batch->what says why; -EINVAL: JSON, but not as expected: what says why, entry number count
 */
int batch_next(struct batch *batch, struct batch_entry *ret_entry) MUST_USE;
