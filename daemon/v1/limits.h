/* SPDX-License-Identifier: MIT */
/** Limits of the native API that more than one file uses. /v1/status publishes them. */
#pragma once

#define V1_BATCH_BODY_MAX (4u << 20) /* bytes of a batch heartbeat */
#define WAIT_MS_MAX       600000     /* most of ?wait_ms= and "wait_ms" */
#define LIST_MAX          10000      /* most of ?limit= */
/* A page of events, differences, intents or an instance's history ends once it has this length. */
#define PAST_PAGE_BYTES (4u << 20)
