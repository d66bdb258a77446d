/* SPDX-License-Identifier: MIT */
#include "base/blob.h"

#include "base/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_size_t retired_bytes;

struct blob *blob_new(size_t len)
{
	if (len > SIZE_MAX - sizeof(struct blob) - 1)
		return NULL;

	struct blob *blob = malloc(sizeof(*blob) + len + 1);
	if (blob == NULL)
		return NULL;
	atomic_init(&blob->refs, 1);
	blob->is_retired = false;
	blob->len = len;
	blob->data[len] = '\0';
	return blob;
}

struct blob *blob_from(const void *data, size_t len)
{
	struct blob *blob = blob_new(len);

	if (blob != NULL && len > 0)
		memcpy(blob->data, data, len);
	return blob;
}

struct blob *blob_ref(struct blob *blob)
{
	unsigned before = atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);

	/* 0: it has been freed. UINT32_MAX: the count would wrap, and the blob be freed too
	 * early. */
	CHECK(before > 0 && before < UINT32_MAX);
	return blob;
}

void blob_unref(struct blob *blob)
{
	if (blob == NULL)
		return;

	/* Release this holder's reads; acquire those of all others before the free. */
	unsigned before = atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel);
	CHECK(before > 0);
	if (before > 1)
		return;
	if (blob->is_retired)
		atomic_fetch_sub_explicit(&retired_bytes, blob->len, memory_order_relaxed);
	free(blob);
}

void blob_retire(struct blob *blob)
{
	if (blob == NULL)
		return;
	blob->is_retired = true; /* the thread that drops the last reference reads it */
	atomic_fetch_add_explicit(&retired_bytes, blob->len, memory_order_relaxed);
	blob_unref(blob);
}

size_t blob_retired_bytes(void)
{
	return atomic_load_explicit(&retired_bytes, memory_order_relaxed);
}
