/* SPDX-License-Identifier: MIT */
/**
 * The life of one request: what libmicrohttpd's callbacks do with a struct exchange, from its first
 * line to the last byte of the answer. Loop's thread only.
 */
#pragma once

#include "http/guard.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

struct exchange;

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

/**
 * Libmicrohttpd's log. It has a line before each error that libmicrohttpd answers itself, which is
 * when the answer can still be sent in its place.
 * @param cls  the loop
 */
void exchange_take_log(void *cls, const char *format, va_list args);

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
