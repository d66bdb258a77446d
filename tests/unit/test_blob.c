/* SPDX-License-Identifier: MIT */
#include "base/blob.h"

#include "base/thread.h"
#include "fault.h"
#include "suite.h"

#include <stdint.h>

START_TEST(a_blob_keeps_its_bytes_and_ends_in_nul)
{
	struct blob *blob = blob_from("a\0b", 3);

	ck_assert_ptr_nonnull(blob);
	ck_assert_uint_eq(blob->len, 3);
	ck_assert_mem_eq(blob->data, "a\0b\0", 4);
	blob_unref(blob);
}
END_TEST

START_TEST(an_empty_blob_is_the_empty_string)
{
	struct blob *blob = blob_from(NULL, 0);

	ck_assert_ptr_nonnull(blob);
	ck_assert_uint_eq(blob->len, 0);
	ck_assert_str_eq(blob->data, "");
	blob_unref(blob);
}
END_TEST

START_TEST(a_blob_lives_until_its_last_reference_is_dropped)
{
	struct blob *blob = blob_from("shared", 6);

	ck_assert_ptr_eq(blob_ref(blob), blob);
	blob_unref(blob);
	ck_assert_str_eq(blob->data, "shared");
	ck_assert_uint_eq(atomic_load(&blob->refs), 1);
	blob_unref(blob);
}
END_TEST

START_TEST(dropping_null_has_no_effect)
{
	blob_unref(NULL);
}
END_TEST

START_TEST(out_of_memory_gives_no_blob)
{
	fault_arm(0);
	ck_assert_ptr_null(blob_from("x", 1));
	ck_assert(fault_hit());
	ck_assert_ptr_null(blob_new(SIZE_MAX));
	ck_assert_ptr_null(blob_new(SIZE_MAX - sizeof(struct blob)));
}
END_TEST

static void use_and_drop(void *arg)
{
	struct blob *blob = arg;

	for (int i = 0; i < 1000; i++) {
		struct blob *mine = blob_ref(blob);
		if (mine->data[0] != 's')
			abort();
		blob_unref(mine);
	}
	blob_unref(blob);
}

START_TEST(threads_share_a_blob_and_the_last_frees_it)
{
	struct blob *blob = blob_from("shared", 6);
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		ck_ok(thread_start(&threads[i], "share", use_and_drop, blob_ref(blob)));
	blob_unref(blob);
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
}
END_TEST

START_TEST(a_reference_too_many_stops_the_process)
{
	struct blob *blob = blob_from("x", 1);

	atomic_store(&blob->refs, UINT32_MAX);
	(void)blob_ref(blob);
}
END_TEST

SUITE_ABORTS("blob", NULL, NULL, (a_reference_too_many_stops_the_process),
             a_blob_keeps_its_bytes_and_ends_in_nul, an_empty_blob_is_the_empty_string,
             a_blob_lives_until_its_last_reference_is_dropped, dropping_null_has_no_effect,
             out_of_memory_gives_no_blob, threads_share_a_blob_and_the_last_frees_it)
