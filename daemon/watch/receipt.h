/* SPDX-License-Identifier: MIT */
/**
 * A receipt counts the live watchers that observe a change and have not been sent it yet, so that
 * the request that made the change can wait for them: for watchers that wait, and for watchers that
 * are still sending an earlier result. Any thread.
 *
 *	receipt = watch_receipt_new(hub);
 *	watch_receipt_open(receipt, &change, revision);              // before watch_notify()
 *	if (watch_receipt_await(receipt, wake, arg))
 *		... wake(arg) will be called, once; otherwise every watcher has been sent it ...
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
/** Not while wake() may still be called. Takes NULL. */
void watch_receipt_free(struct watch_receipt *receipt);
/**
 * Called once, after the change has been published: counts the live watchers that have not been
 * sent what they observe up to @p revision.
 * @param change  its topic is borrowed until watch_receipt_free()
 */
void watch_receipt_open(struct watch_receipt *receipt, const struct watch_change *change,
                        uint64_t revision);
/** @return true: wake() will be called once, when every watcher is settled; false: they are now */
bool watch_receipt_await(struct watch_receipt *receipt, void (*wake)(void *arg),
                         void *arg) MUST_USE;
/** Stops waiting. @return true: wake() will not be called; false: it has been or is being called */
bool watch_receipt_cancel(struct watch_receipt *receipt) MUST_USE;
/** The number of watchers that have been sent the change, and of those not settled yet. */
void watch_receipt_count(struct watch_receipt *receipt, unsigned *ret_sent, unsigned *ret_open);
