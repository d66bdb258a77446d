/* SPDX-License-Identifier: MIT */
/**
 * A parser for the body of a batch heartbeat: {"instances":[{"service":"...","id":"..."}, ...]}.
 * Reads entry by entry, so the up to 10,000 entries need no tree in memory. Any thread; a batch
 * belongs to one.
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
	size_t pos;                     /* of the next byte */
	unsigned count;                 /* entries read */
	bool inside;                    /* the array has begun */
	const char *what;               /* reason of an error; static */
	char service[SERVICE_NAME_MAX]; /* decoded, if the body's has escapes */
	char id[INSTANCE_ID_MAX];       /* likewise */
};

/** The strings are borrowed from the body, or from the batch until the next call. */
struct batch_entry {
	struct str service;
	struct str id;
};

void batch_init(struct batch *batch, struct str text);
/**
 * Reads the next entry.
 * @return 1; 0: the end, and the whole text is valid; -EBADMSG: malformed JSON at batch->pos;
 * -EINVAL: a wrong value in entry number batch->count. Both errors set batch->what.
 */
int batch_next(struct batch *batch, struct batch_entry *ret_entry) MUST_USE;
