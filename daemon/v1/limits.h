/* SPDX-License-Identifier: MIT */
/** Limits of the native API that more than one file keeps to; /v1/status publishes them. */
#pragma once

#define V1_BATCH_BODY_MAX (4u << 20) /* bytes of a batch heartbeat */
#define WAIT_MS_MAX       600000     /* what ?wait_ms= and "wait_ms" may ask for */
#define LIST_MAX          10000      /* entries that ?limit= may ask for */
#define PAST_PAGE_BYTES \
	(4u << 20) /* a page of events, differences or a life ends with what reaches it */
