/* SPDX-License-Identifier: MIT */
/** The core's own state. For files of this folder only. */
#pragma once

#include "api/api.h"
#include "base/check.h"

#include <stdatomic.h>

struct api {
	struct magic magic;

	/* set in api_open(), never changed */
	struct api_options options; /* but for its limits */

	/* atomic, relaxed: what a reload may change, and the end */
	_Atomic(int64_t) max_watchers;
	_Atomic(int64_t) max_unsent_bytes;
	_Atomic(int64_t) max_unsent_bytes_per_peer;
	_Atomic(int64_t) connections;
	_Atomic(int64_t) connections_per_peer;
	atomic_bool stopping;

	_Atomic(uint64_t) held; /* bytes of memory of all answers that are not yet sent */
	atomic_uint waiting;    /* long polls and streams, as max_watchers counts them */
};
MAGIC(api, 0xa9150);
