/* SPDX-License-Identifier: MIT */
/**
 * Counts those who live at a change and look at what it changed, until each has been sent it, so
 * that who made the change can wait for them: those who wait for it, and those who are still busy
 * with what came before. Any thread.
 *
 *	receipt = watch_receipt_new(hub);
 *	watch_tell(receipt, &change, revision);              // before watch_notify()
 *	if (watch_receipt_await(receipt, wake, arg))
 *		... wake(arg) will be called, once; otherwise all have been sent it already ...
 *	watch_receipt_free(receipt);
 */
#pragma once

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

struct watch_change;
struct watch_hub;
struct watch_receipt;

/** @return owned by the caller; NULL when out of memory */
struct watch_receipt *watch_receipt_new(struct watch_hub *hub) MUST_USE;
/** Not while it may still be woken. Takes NULL. */
void watch_receipt_free(struct watch_receipt *receipt);
/**
 * The change is published: counts those who live now and have not been sent all of what they look
 * at up to @p revision. Once.
 * @param change  its topic is borrowed until watch_receipt_free()
 */
void watch_tell(struct watch_receipt *receipt, const struct watch_change *change,
                uint64_t revision);
/** @return true: wake() will be called, once, when all are settled; false: they are already */
bool watch_receipt_await(struct watch_receipt *receipt, void (*wake)(void *arg),
                         void *arg) MUST_USE;
/** The maker waits no longer. @return true: wake() will not be called any more */
bool watch_receipt_cancel(struct watch_receipt *receipt) MUST_USE;
/** How many have been sent it, and how many are not settled. */
void watch_receipt_count(struct watch_receipt *receipt, unsigned *ret_sent, unsigned *ret_open);
