/* SPDX-License-Identifier: MIT */
/** The state of the core. For files of this folder only. */
#pragma once

#include "api/api.h"
#include "api/token.h"
#include "base/check.h"

#include <stdatomic.h>

struct api {
	struct magic magic;

	/* set in api_open(), never changed */
	struct api_options options; /* options.limits is not used after api_open() */
	char history[HISTORY_DIGITS + 1];

	/* atomic, relaxed: set by a reload and by the stop */
	_Atomic(int64_t) max_watchers;
	_Atomic(int64_t) max_unsent_bytes;
	_Atomic(int64_t) max_unsent_bytes_per_peer;
	_Atomic(int64_t) connections;
	_Atomic(int64_t) connections_per_peer;
	atomic_bool stopping;

	_Atomic(uint64_t) held; /* memory of all answers that are not yet sent */
	atomic_uint waiting;    /* long polls and streams; limited by max_watchers */
};
MAGIC(api, 0xa9150);
