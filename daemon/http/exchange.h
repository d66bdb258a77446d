/* SPDX-License-Identifier: MIT */
/**
 * One request and its answer. Lives from the request's first line to the last byte of the answer,
 * or until a parked request has been woken, whichever is later. Loop's thread only, but for
 * request.wake().
 */
#pragma once

#include "api/api.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/timer.h"
#include "http/guard.h"
#include "http/reply.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct connection;

enum exchange_state {
	EXCHANGE_BEGUN,    /* the request's first line has arrived */
	EXCHANGE_READING,  /* all headers have; the body may follow */
	EXCHANGE_PARKED,   /* suspended, before its answer or amid a stream; others refer to it */
	EXCHANGE_WOKEN,    /* the writer is done with it; api_finish() or api_abandon() is due */
	EXCHANGE_FINISHED, /* api_finish() has been called; nothing is left to abandon */
	EXCHANGE_ANSWERED
};

struct exchange {
	struct magic magic;
	struct loop *loop;
	struct connection *connection;
	struct MHD_Connection *mhd;
	enum exchange_state state;
	struct api_request request;
	struct api_response response;
	struct guard guard;
	const char
		*raw_target; /* in libmicrohttpd's memory, which it changes: `target` is the copy */
	struct buf target;
	struct buf fields; /* struct api_field, whose strings are in libmicrohttpd's memory */
	struct buf body;
	uint64_t body_max;
	bool too_long;         /* the body is */
	bool blocked;          /* bytes of the body were unread when last looked at */
	int64_t began_us;      /* the start of the pass that found its first line */
	struct exchange *next; /* in the loop's list of spare or of done ones */
	struct timer timer;    /* in LANE_WATCH: when it need not wait any longer */
	bool gone;             /* its client is */
};
MAGIC(exchange, 0xe8c4a29e);

/** The callbacks that libmicrohttpd gets; their first argument is the loop. */
void *exchange_begin(void *cls, const char *target, struct MHD_Connection *mhd);
/* NOLINTNEXTLINE(readability-function-size): libmicrohttpd decides what it gets */
enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **context);
/** The next bytes of an answer that is a stream; its first argument is the exchange. */
ssize_t exchange_read(void *cls, uint64_t position, char *to, size_t most);
void exchange_completed(void *cls, struct MHD_Connection *mhd, void **context,
                        enum MHD_RequestTerminationCode code);

/** Answers with a refusal, past libmicrohttpd, which must close the connection next. */
void exchange_refuse_directly(struct exchange *exchange, enum guard_verdict verdict);
/**
 * Its connection is being closed, but exchange_completed() has not been called: libmicrohttpd met
 * an error for which it had no memory, and then a second one.
 */
void exchange_forgotten(struct exchange *exchange);
/** A woken one goes on: libmicrohttpd will call exchange_handle() again. */
void exchange_resume(struct exchange *exchange);
/** One in LANE_WATCH need not wait any longer. */
void exchange_expire(struct exchange *exchange, bool gone);
void exchange_free(struct exchange *exchange);
