/* SPDX-License-Identifier: MIT */
/**
 * An answer that is rendered while its client takes it, so that one that nobody reads costs a
 *slice. A kind of answer embeds struct slices, and puts one piece after another; what it renders
 *must stay as it is until free(). Used on one http thread.
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

/* A slice ends with the piece that fills it. A shorter answer is rendered at once. */
#define SLICE_BYTES 65536

struct slices {
	struct api_stream out;
	/** Appends the next piece. @return false: there is none, and nothing was appended */
	bool (*put)(struct slices *slices, struct buf *out);
	/** Frees what it is embedded in. */
	void (*free)(struct slices *slices);
	struct buf page; /* what is rendered and not all taken */
	size_t read;     /* of the page */
	bool is_pretty;
	struct pretty pretty;
};

void slices_init(struct slices *slices, bool (*put)(struct slices *, struct buf *),
                 void (*free)(struct slices *));
/** Begins it with @p head, which stands before the pieces. */
void slices_start(struct slices *slices, const struct buf *head, bool is_pretty);
