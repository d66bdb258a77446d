/* SPDX-License-Identifier: MIT */
/**
 * The life of one request: libmicrohttpd's callbacks, which take a struct exchange from the first
 * line of the request to the last byte of the answer. Loop's thread only.
 */
#pragma once

#include "http/guard.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

struct exchange;

/** Callbacks for libmicrohttpd; their first argument is the loop. */
void *exchange_begin(void *cls, const char *target, struct MHD_Connection *mhd);
/* NOLINTNEXTLINE(readability-function-size): libmicrohttpd defines the parameters */
enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **context);
/** Callback: the next bytes of an answer that is a stream; its first argument is the exchange. */
ssize_t exchange_read(void *cls, uint64_t position, char *to, size_t most);
void exchange_completed(void *cls, struct MHD_Connection *mhd, void **context,
                        enum MHD_RequestTerminationCode code);

/**
 * Callback for libmicrohttpd's log. libmicrohttpd logs a line before it answers an error itself; at
 * that moment our own answer can still be sent in its place.
 * @param cls  the loop
 */
void exchange_take_log(void *cls, const char *format, va_list args);

/** Sends a refusal without libmicrohttpd; the caller makes libmicrohttpd close the connection. */
void exchange_refuse_directly(struct exchange *exchange, enum guard_verdict verdict);
/**
 * Completes an exchange whose connection is being closed without a call of exchange_completed():
 * libmicrohttpd met an error for which it had no memory, and then a second one.
 */
void exchange_forgotten(struct exchange *exchange);
/** Resumes a woken exchange: libmicrohttpd will call exchange_handle() again. */
void exchange_resume(struct exchange *exchange);
/** Ends the wait of an exchange in LANE_WATCH. @param gone  because the client has hung up */
void exchange_expire(struct exchange *exchange, bool gone);
void exchange_free(struct exchange *exchange);
