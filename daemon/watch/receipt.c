/* SPDX-License-Identifier: MIT */
#include "watch/receipt.h"

#include <stdatomic.h>
#include <stdlib.h>

struct watch_receipt {
	atomic_uint refs;
	atomic_uint open; /* not settled, the maker's own included */
	atomic_uint sent;
	/* who takes the callback may call it: the last to settle, or the maker who cancels */
	_Atomic(void *) arg;
	void (*wake)(void *arg); /* set before the maker settles its own */
};

struct watch_receipt *watch_receipt_new(void)
{
	struct watch_receipt *receipt = calloc(1, sizeof(*receipt));

	if (receipt == NULL)
		return NULL;
	atomic_init(&receipt->refs, 1);
	atomic_init(&receipt->open, 1);
	return receipt;
}

void watch_receipt_unref(struct watch_receipt *receipt)
{
	if (receipt != NULL && atomic_fetch_sub(&receipt->refs, 1) == 1)
		free(receipt);
}

void watch_receipt_open(struct watch_receipt *receipt)
{
	atomic_fetch_add(&receipt->refs, 1);
	atomic_fetch_add(&receipt->open, 1);
}

void watch_receipt_await(struct watch_receipt *receipt, void (*wake)(void *arg), void *arg)
{
	receipt->wake = wake;
	atomic_store(&receipt->arg, arg);
}

void watch_receipt_settle(struct watch_receipt *receipt, bool sent)
{
	if (sent)
		atomic_fetch_add(&receipt->sent, 1);
	if (atomic_fetch_sub(&receipt->open, 1) == 1) {
		void *arg = atomic_exchange(&receipt->arg, NULL);

		if (arg != NULL)
			receipt->wake(arg);
	}
	watch_receipt_unref(receipt);
}

bool watch_receipt_settle_own(struct watch_receipt *receipt)
{
	if (atomic_fetch_sub(&receipt->open, 1) > 1)
		return false;
	atomic_store(&receipt->arg, NULL); /* the last: nobody else calls it */
	return true;
}

bool watch_receipt_cancel(struct watch_receipt *receipt)
{
	return atomic_exchange(&receipt->arg, NULL) != NULL;
}

void watch_receipt_count(const struct watch_receipt *receipt, unsigned *ret_sent,
                         unsigned *ret_open)
{
	*ret_sent = atomic_load(&receipt->sent);
	*ret_open = atomic_load(&receipt->open);
}
