/* SPDX-License-Identifier: MIT */
#include "api/slices.h"

#include <string.h>

/* Larger than any piece: two records of the greatest size, each byte escaped. */
#define PAGE_MAX (4u << 20)

/** Appends the next piece, indented if is_pretty. @return false: there is none */
static bool put_piece(struct slices *slices)
{
	struct buf piece;

	if (!slices->is_pretty)
		return slices->put(slices, &slices->page);
	buf_init(&piece, PAGE_MAX);
	bool more = slices->put(slices, &piece);
	pretty_more(&slices->pretty, &slices->page, (struct str){piece.data, piece.len});
	if (buf_error(&piece) < 0)
		slices->page.error = buf_error(&piece);
	buf_fini(&piece);
	return more;
}

static long slices_read(struct api_stream *out, char *to, size_t most)
{
	struct slices *slices = container_of(out, struct slices, out);
	struct buf *page = &slices->page;

	if (slices->read == page->len && buf_error(page) == 0) {
		buf_reset(page);
		slices->read = 0;
	}
	while (slices->read == 0 && page->len < SLICE_BYTES && put_piece(slices))
		continue;
	if (buf_error(page) < 0)
		return API_STREAM_BROKEN;
	size_t left = page->len - slices->read;
	size_t count = left < most ? left : most;
	if (count == 0)
		return API_STREAM_END;
	memcpy(to, page->data + slices->read, count);
	slices->read += count;
	return (long)count;
}

static bool slices_expire(struct api_stream *out)
{
	(void)out;
	return false; /* it never waits */
}

static void slices_close(struct api_stream *out)
{
	struct slices *slices = container_of(out, struct slices, out);

	buf_fini(&slices->page);
	slices->free(slices);
}

void slices_init(struct slices *slices, bool (*put)(struct slices *, struct buf *),
                 void (*free)(struct slices *))
{
	*slices = (struct slices){
		.out = {.read = slices_read,
	                .expire = slices_expire,
	                .close = slices_close,
	                .is_whole = true},
		.put = put,
		.free = free,
	};
	buf_init(&slices->page, PAGE_MAX);
}

void slices_start(struct slices *slices, const struct buf *head, bool is_pretty)
{
	struct str text = {head->data, head->len};

	slices->is_pretty = is_pretty;
	if (is_pretty)
		pretty_more(&slices->pretty, &slices->page, text);
	else
		buf_put_str(&slices->page, text);
	if (buf_error(head) < 0)
		slices->page.error = buf_error(head);
}
