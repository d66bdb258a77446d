/* SPDX-License-Identifier: MIT */
/**
 * Immutable bytes, shared by reference count: a rendered answer that the snapshot keeps and any
 * number of responses send. Any thread.
 */
#pragma once

#include "base/attr.h"
#include "base/buf.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct blob {
	atomic_uint refs;
	bool is_retired; /* see blob_retire() */
	size_t len;
	char data[]; /* followed by a NUL that len does not count */
};

/** @return a blob of @p len uninitialised bytes with one reference; NULL when out of memory */
struct blob *blob_new(size_t len) MUST_USE;
struct blob *blob_from(const void *data, size_t len) MUST_USE;
struct blob *blob_ref(struct blob *blob);
/** Drops one reference; the last one frees. Takes NULL. */
void blob_unref(struct blob *blob);
/**
 * Drops the maker's reference when no new response will use @p blob: from now on only responses
 * that are being sent keep it, and blob_retired_bytes() counts it. Takes NULL.
 */
void blob_retire(struct blob *blob);
/** Bytes of all blobs that were retired and are still referenced. */
size_t blob_retired_bytes(void);
