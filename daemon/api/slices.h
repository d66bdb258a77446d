/* SPDX-License-Identifier: MIT */
/**
 * An answer that is rendered while its client reads it, so that an answer to a client that does not
 * read costs one slice of memory. A kind of answer embeds struct slices, and put() renders one
 * piece after another; what it renders must not change before free(). Used on one http thread.
 *
 *	slices_init(&mine->slices, put, free);
 *	slices_start(&mine->slices, &head, false);
 *	call->response->stream = &mine->slices.out;
 */
#pragma once

#include "api/pretty.h"
#include "api/response.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* A slice ends with the piece that fills it. An answer below this is rendered at once. */
#define SLICE_BYTES 65536

struct slices {
	struct api_stream out;
	/** Appends the next piece. @return false: there is none, and nothing was appended */
	bool (*put)(struct slices *slices, struct buf *out);
	/** Frees the struct that embeds it. */
	void (*free)(struct slices *slices);
	struct buf page; /* rendered bytes */
	size_t read;     /* bytes of the page that have been read */
	bool is_pretty;
	struct pretty pretty;
};

void slices_init(struct slices *slices, bool (*put)(struct slices *, struct buf *),
                 void (*free)(struct slices *));
/** Begins the answer with @p head, which stands before the pieces. */
void slices_start(struct slices *slices, const struct buf *head, bool is_pretty);
