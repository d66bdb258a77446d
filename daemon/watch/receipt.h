/* SPDX-License-Identifier: MIT */
/**
 * Counts those who have been woken for a change until each has been sent it, so that who made the
 *change can wait for them. By reference count; any thread.
 *
 *	receipt = watch_receipt_new();
 *	watch_notify(hub, &change, receipt);                 // opens it once for each that is woken
 *	watch_receipt_await(receipt, wake, arg);
 *	if (watch_receipt_settle_own(receipt))
 *		... all have been sent it already; otherwise wake(arg) will be called, once ...
 *	watch_receipt_unref(receipt);
 */
#pragma once

#include "base/attr.h"

#include <stdbool.h>

struct watch_receipt;

/** @return one reference, and one that is not settled: the maker's own; NULL when out of memory */
struct watch_receipt *watch_receipt_new(void) MUST_USE;
void watch_receipt_unref(struct watch_receipt *receipt);
/** One more is woken: it holds a reference until it is settled. For the hub. */
void watch_receipt_open(struct watch_receipt *receipt);
/** Whom to call, once, when the last is settled; before the maker settles its own. */
void watch_receipt_await(struct watch_receipt *receipt, void (*wake)(void *arg), void *arg);
/** One that was woken has been sent the change, or will not be (@p sent false). The last one wakes
 * the maker. */
void watch_receipt_settle(struct watch_receipt *receipt, bool sent);
/** The maker's own. @return true: all are settled, wake() will not be called */
bool watch_receipt_settle_own(struct watch_receipt *receipt) MUST_USE;
/** The maker waits no longer. @return true: wake() will not be called any more */
bool watch_receipt_cancel(struct watch_receipt *receipt) MUST_USE;
/** How many have been sent it, and how many are not settled. */
void watch_receipt_count(const struct watch_receipt *receipt, unsigned *ret_sent,
                         unsigned *ret_open);
