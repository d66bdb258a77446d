/* SPDX-License-Identifier: MIT */
#include "suite.h"

#include "http/reply.h"

#include <microhttpd.h>

static struct replies replies;

static void fill(unsigned slot, uint64_t revision)
{
	static char body[1];

	replies.slot[slot].mhd = MHD_create_response_from_buffer(1, body, MHD_RESPMEM_PERSISTENT);
	replies.slot[slot].revision = revision;
}

START_TEST(what_is_older_than_the_latest_revision_is_dropped)
{
	fill(0, 6);
	fill(7, 7);
	fill(REPLIES_SLOTS - 1, 5);
	replies.revision = 7;
	replies_sweep(&replies);
	ck_assert_ptr_null(replies.slot[0].mhd);
	ck_assert_ptr_nonnull(replies.slot[7].mhd);
	ck_assert_ptr_null(replies.slot[REPLIES_SLOTS - 1].mhd);
	replies_clear(&replies);
	ck_assert_ptr_null(replies.slot[7].mhd);
}
END_TEST

SUITE("http_reply", NULL, NULL, what_is_older_than_the_latest_revision_is_dropped)
