/* SPDX-License-Identifier: MIT */
/*
 * Pairs of pages that were swapped in the file: each page is sound, but at the wrong place. The
 * journal has known content (damage_fixture.h); the pairs come from a fixed seed.
 */
#include "damage_fixture.h"

#include "base/hash.h"

#include <fcntl.h>

/* Enough to swap each kind of page with each other kind; the seed is fixed. */
#define TRIALS 250

static unsigned char *content;
static long pages;
static uint64_t rows_before; /* rows of the undamaged database */

static uint64_t random_below(uint64_t most)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % most;
}

static uint64_t mix(uint64_t rows, uint64_t number)
{
	rows = (rows ^ number) * 0x9e3779b97f4a7c15;
	return rows ^ rows >> 29;
}

static int mix_instance(void *arg, const struct instance *instance)
{
	uint64_t *rows = arg;

	*rows = mix(*rows, instance->revision);
	*rows = mix(*rows, instance->metadata.len);
	for (size_t i = 0; i < instance->id.len; i++)
		*rows = mix(*rows, (unsigned char)instance->id.data[i]);
	return 0;
}

static int mix_event(void *arg, const struct event *event)
{
	uint64_t *rows = arg;

	*rows = mix(*rows, event->kind);
	return mix_instance(arg, &event->instance);
}

/** Reads all there is. @return false: a read failed and reported damage */
static bool read_all(uint64_t *ret_rows)
{
	struct journal_reader *reader = NULL;
	struct journal_query query = {.limit = UINT32_MAX};
	uint64_t last = 0;
	uint64_t oldest = 0;

	*ret_rows = 0;
	if (journal_restore(journal, mix_instance, ret_rows) < 0)
		return false;
	ck_ok(journal_reader_open(statedir_path(), &reader));
	int r = journal_reader_events(reader, &query, mix_event, ret_rows, &last, &oldest);
	if (r == -ESTALE) {
		query.since = oldest - 1;
		r = journal_reader_events(reader, &query, mix_event, ret_rows, &last, &oldest);
	}
	journal_reader_close(reader);
	ck_assert(r == 0 || r == -EIO);
	*ret_rows = mix(*ret_rows, last);
	return r == 0;
}

/** Copies the database, so that lay_out() can restore it. */
static void take_content(void)
{
	close_it();
	pages = file_size() / PAGE;
	content = malloc((size_t)(pages * PAGE));
	FILE *file = fopen(statedir_file("rollcall.db"), "rb");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fread(content, PAGE, (size_t)pages, file), pages);
	(void)fclose(file);
	ck_assert_int_eq(verify(), 0);
	journal = statedir_open();
	ck_assert(read_all(&rows_before));
}

/** Restores the database with two of its pages swapped. */
static void lay_out(long one, long other)
{
	const char *name;

	close_it();
	while ((name = statedir_find("rollcall.db")) != NULL)
		ck_assert_int_eq(unlink(statedir_file(name)), 0);
	int fd = open(statedir_file("rollcall.db"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, content, (size_t)(pages * PAGE)), pages * PAGE);
	ck_assert_int_eq(pwrite(fd, content + one * PAGE, PAGE, other * PAGE), PAGE);
	ck_assert_int_eq(pwrite(fd, content + other * PAGE, PAGE, one * PAGE), PAGE);
	ck_assert_int_eq(close(fd), 0);
}

struct tally {
	int at_start;
	int when_read;
	int harmless;
};

static void try_swap(long one, long other, struct tally *tally)
{
	uint64_t rows;

	lay_out(one, other);
	bool is_found = verify() == -EBADMSG;
	journal = statedir_open();
	if (journal_found(journal) == JOURNAL_FOUND_CORRUPT) {
		tally->at_start++;
		ck_assert_msg(is_found, "pages %ld and %ld", one, other);
	} else if (!read_all(&rows)) {
		tally->when_read++;
		ck_assert_msg(is_found, "pages %ld and %ld", one, other);
	} else {
		tally->harmless++;
		ck_assert_msg(rows == rows_before, "pages %ld and %ld", one, other);
	}
}

static void try_swaps(struct tally *tally)
{
	*tally = (struct tally){.harmless = 0};
	for (int i = 0; i < TRIALS; i++) {
		long one = (long)random_below((uint64_t)pages);
		long other = (long)random_below((uint64_t)pages - 1);

		try_swap(one, other >= one ? other + 1 : other, tally);
	}
	free(content);
}

/** Without overflow pages a start finds all swapped pages. */
START_TEST(two_pages_that_changed_places_are_found_by_a_start)
{
	struct tally tally;

	take_content();
	try_swaps(&tally);
	ck_assert_int_eq(tally.when_read, 0);
	ck_assert_int_eq(tally.harmless, 0);
}
END_TEST

/** Free pages still have their old content; retention has cut the log. */
START_TEST(a_page_that_changed_places_with_a_free_one_is_found)
{
	struct tally tally;

	journal_set_retention(journal, 0, 150);
	while (journal_tidy(journal, 0) > 0)
		;
	take_content();
	ck_assert_int_gt(statedir_number("PRAGMA freelist_count"), 5);
	try_swaps(&tally);
	ck_assert_int_eq(tally.when_read, 0);
	ck_assert_int_lt(tally.harmless, TRIALS / 2); /* pairs of free pages */
}
END_TEST

/** Long values continue in overflow pages, and a start does not read those of events. */
START_TEST(pages_of_long_metadata_are_found_at_the_latest_when_they_are_read)
{
	static char metadata[9000] = "k";
	struct tally tally;

	memset(metadata + 2, 'v', sizeof(metadata) - 3);
	for (int n = 0; n < 40; n++) {
		struct event event = statedir_event(EVENT_REGISTERED, "long", "1");
		char id[8];

		(void)snprintf(id, sizeof(id), "%d", n);
		metadata[100] = (char)('a' + n % 26);
		event.instance.id = str_of(id);
		event.instance.metadata = (struct str){metadata, sizeof(metadata)};
		event.instance.metadata_count = 1;
		ck_ok(journal_append(journal, &event, 1));
	}
	take_content();
	try_swaps(&tally);
	ck_assert_int_gt(tally.at_start, TRIALS / 2);
	ck_assert_int_lt(tally.harmless, 3); /* pairs with the same content */
}
END_TEST

SUITE("journal_swap", setup, teardown, two_pages_that_changed_places_are_found_by_a_start,
      a_page_that_changed_places_with_a_free_one_is_found,
      pages_of_long_metadata_are_found_at_the_latest_when_they_are_read)
