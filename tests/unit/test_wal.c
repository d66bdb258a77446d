/* SPDX-License-Identifier: MIT */
/*
 * Write-ahead logs that a crash left behind, with bits that changed since or never reached the
 * disk. Each test lays out a database, a log and a -shm file as after kill -9, opens the journal,
 * and compares what is there with what was acknowledged.
 */
#include "damage_fixture.h"

#include "journal/wal.h"

#include <fcntl.h>
#include <sqlite3.h>

#define FRAME (24 + PAGE)

struct image {
	unsigned char *data;
	size_t len;
};

static struct image db;
static struct image wal;
static struct image shm;
static struct image wal_before; /* without the last transaction */
static struct image shm_before;
static uint64_t revision;
static uint64_t last_begins; /* bytes of the log before its last transaction */

static struct image load(const char *name)
{
	struct stat status;
	struct image image;
	FILE *file = fopen(statedir_file(name), "rb");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fstat(fileno(file), &status), 0);
	image.len = (size_t)status.st_size;
	image.data = malloc(image.len + 1);
	ck_assert_ptr_nonnull(image.data);
	ck_assert_uint_eq(fread(image.data, 1, image.len, file), image.len);
	(void)fclose(file);
	return image;
}

static void store(const char *name, const struct image *image)
{
	FILE *file = fopen(statedir_file(name), "wb");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(image->data, 1, image->len, file), image->len);
	ck_assert_int_eq(fclose(file), 0);
}

/** Lays out the files as after kill -9 with the log @p log. @param index  NULL: no -shm file */
static void lay_out(const struct image *log, const struct image *index)
{
	const char *name;

	close_it();
	while ((name = statedir_find("rollcall.db")) != NULL)
		ck_assert_int_eq(unlink(statedir_file(name)), 0);
	store("rollcall.db", &db);
	store("rollcall.db-wal", log);
	if (index != NULL)
		store("rollcall.db-shm", index);
}

/** Loads the files on the disk. */
static void take_images(void)
{
	free(db.data);
	free(wal_before.data);
	free(shm_before.data);
	wal_before = wal;
	shm_before = shm;
	db = load("rollcall.db");
	wal = load("rollcall.db-wal");
	shm = load("rollcall.db-shm");
	last_begins = wal_before.len;
	revision = journal_revision(journal);
}

static void setup_log(void)
{
	setup();
	take_images();
	put(EVENT_UPDATED, 1);
	take_images();
	ck_assert_uint_gt(wal.len, wal_before.len);
}

static void teardown_log(void)
{
	free(db.data);
	free(wal.data);
	free(shm.data);
	free(wal_before.data);
	free(shm_before.data);
	teardown();
}

static uint64_t random_below(uint64_t most)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % most;
}

static struct image flipped(size_t at, unsigned bit)
{
	struct image image = {malloc(wal.len), wal.len};

	ck_assert_ptr_nonnull(image.data);
	memcpy(image.data, wal.data, wal.len);
	image.data[at] ^= (unsigned char)(1u << bit);
	return image;
}

/** Checks that the -shm file, which proves the damage, is unchanged. */
static void expect_same_shm(void)
{
	struct image left = load("rollcall.db-shm");

	ck_assert_uint_eq(left.len, shm.len);
	ck_assert_mem_eq(left.data, shm.data, shm.len);
	free(left.data);
}

/** Opens the files of lay_out(): they are damaged, and no more is lost than is reported. */
static void expect_repaired(size_t at)
{
	journal = statedir_open();
	ck_assert_msg(journal_found(journal) == JOURNAL_FOUND_CORRUPT, "byte %zu", at);
	ck_assert_ptr_nonnull(strstr(journal_trouble(journal), "'rollcall.db-wal' is damaged in"));
	ck_assert_ptr_nonnull(statedir_find("rollcall.db.corrupt-"));
	ck_assert_uint_ge(journal_revision(journal), revision);
	size_t there = instances();
	uint64_t lost = journal_events_lost(journal);
	size_t wrong = 0;
	for (int n = 0; n < MANY; n++)
		wrong += seen[n] != is_left(n);
	ck_assert_msg(wrong <= lost, "byte %zu: %zu there, %zu wrong, %llu events lost", at, there,
	              wrong, (unsigned long long)lost);
	ck_assert_uint_le(lost, 64); /* the events of one page */
	close_it();
	ck_assert_int_eq(verify(), 0);
}

/** Does a flipped bit at @p at prove damage without the -shm file? */
static bool is_proved(size_t at)
{
	size_t in_frame = (at - 32) % FRAME;

	return at < last_begins || (in_frame >= 8 && in_frame < 16); /* a salt */
}

/** Each bit matters: SQLite silently drops what follows the first wrong frame. */
START_TEST(one_flipped_bit_is_damage)
{
	for (int i = 0; i < 60; i++) {
		/* the header of the log, headers of frames, and pages in turn */
		size_t at = i % 3 == 0   ? random_below(wal.len)
		            : i % 3 == 1 ? 32 + random_below((wal.len - 32) / FRAME) * FRAME +
		                                   random_below(24)
		                         : random_below(32);
		struct image image = flipped(at, (unsigned)random_below(8));

		lay_out(&image, &shm);
		ck_assert_msg(verify() == -EBADMSG, "byte %zu: %s", at, findings);
		ck_assert_ptr_nonnull(strstr(findings, "'rollcall.db-wal' is damaged in"));
		expect_same_shm();
		if (i % 10 < 3)
			expect_repaired(at);

		lay_out(&image, NULL);
		int r = verify();
		ck_assert_msg(r == (is_proved(at) ? -EBADMSG : 0), "byte %zu: %d %s", at, r,
		              findings);
		if (r == 0)
			ck_assert_ptr_nonnull(strstr(findings, "unless damage made it incomplete"));
		else if (i % 10 == 4)
			expect_repaired(at);
		free(image.data);
	}
}
END_TEST

START_TEST(the_content_of_a_sound_log_is_there_and_no_damage)
{
	for (int with_shm = 0; with_shm < 2; with_shm++) {
		lay_out(&wal, with_shm ? &shm : NULL);
		ck_assert_int_eq(verify(), 0);
		ck_assert_str_eq(findings, "");
		ck_assert(with_shm || !statedir_has("rollcall.db-shm"));
		if (with_shm)
			expect_same_shm();
		journal = statedir_open();
		ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
		ck_assert_str_eq(journal_note(journal), "");
		ck_assert_uint_eq(journal_revision(journal), revision);
		expect_all_left();
	}
}
END_TEST

START_TEST(a_log_that_was_cut_is_damage)
{
	struct image cut = wal;

	for (cut.len = 1; cut.len < wal.len; cut.len += 10000 + random_below(20000)) {
		if (cut.len < 32 + FRAME)
			continue; /* less than a frame does not prove that there was more */
		lay_out(&cut, &shm);
		ck_assert_msg(verify() == -EBADMSG, "%zu bytes", cut.len);
		journal = statedir_open();
		ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
		ck_assert_uint_ge(journal_revision(journal), NOW_MS);
	}
}
END_TEST

/** Sectors of the last transaction never reached the disk; it was not acknowledged. */
START_TEST(a_torn_tail_is_no_damage)
{
	size_t first = last_begins / 512 * 512;

	for (int i = 0; i < 60; i++) {
		struct image image = flipped(0, 0);
		image.data[0] ^= 1;
		if (i % 4 == 3) /* the file has not grown to its full length either */
			image.len = last_begins + random_below(wal.len - last_begins);
		for (size_t sector = first; sector < image.len; sector += 512) {
			size_t from = sector < last_begins ? last_begins : sector;
			size_t len = image.len - from < 512 ? image.len - from : 512;

			if (random_below(3) == 0)
				memset(image.data + from, i % 2 ? 0 : (int)random_below(256), len);
		}
		lay_out(&image, i % 3 == 0 ? NULL : &shm_before);
		ck_assert_msg(verify() == 0, "%d: %s", i, findings);
		journal = statedir_open();
		ck_assert_msg(journal_found(journal) == JOURNAL_FOUND_SOUND, "%d: %s", i,
		              journal_trouble(journal));
		ck_assert_uint_ge(journal_revision(journal), revision - 1);
		expect_all_left();
		/* no frame of it may later count as the end of another transaction */
		put(EVENT_UPDATED, 1);
		struct image after = load("rollcall.db-wal");
		struct image whole = load("rollcall.db");
		struct image old = db;
		db = whole;
		lay_out(&after, NULL);
		ck_assert_int_eq(verify(), 0);
		ck_assert_str_eq(findings, "");
		db = old;
		free(after.data);
		free(whole.data);
		free(image.data);
	}
}
END_TEST

/** After a torn first transaction SQLite starts the same log over, before the rest of that one. */
START_TEST(a_torn_first_transaction_leaves_nothing_behind)
{
	close_it();
	journal = statedir_open();
	put(EVENT_UPDATED, 1);
	put(EVENT_UPDATED, 1);
	take_images();
	memset(wal.data + 32 + 100, 0, 200);
	lay_out(&wal, NULL);
	ck_assert_int_eq(verify(), -EBADMSG); /* the frames are of two transactions */
	size_t whole = wal.len;
	wal.len = 32 + 2 * FRAME;
	ck_assert_uint_lt(wal.len, whole);
	lay_out(&wal, NULL);
	ck_assert_msg(verify() == 0, "%s", findings);
	ck_assert_ptr_nonnull(strstr(findings, "incomplete"));
	journal = statedir_open();
	ck_assert_ptr_nonnull(strstr(journal_note(journal), "incomplete"));
	struct stat status;
	ck_assert_int_eq(stat(statedir_file("rollcall.db-wal"), &status), 0);
	ck_assert_int_eq(status.st_size, 0);
}
END_TEST

/** Frames of a transaction that was rolled back stay behind those of the next one. */
START_TEST(what_was_rolled_back_is_no_damage)
{
	struct event events[200];
	static char ids[200][8];

	for (int i = 0; i < 200; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "n%d", i);
		events[i] = statedir_event(EVENT_REGISTERED, "b", ids[i]);
	}
	for (int nth = 2; nth < 12; nth++) {
		faultvfs_fail_once(FAULTVFS_WRITE, FAULTVFS_WAL, nth, SQLITE_FULL);
		ck_fails(journal_append(journal, events, 200), ENOSPC);
		ck_assert(faultvfs_hit());
		faultvfs_reset();
	}
	put(EVENT_UPDATED, 1);
	take_images();
	for (int with_shm = 0; with_shm < 2; with_shm++) {
		lay_out(&wal, with_shm ? &shm : NULL);
		ck_assert_msg(verify() == 0, "%s", findings);
		ck_assert_ptr_null(strstr(findings, "unless damage"));
		journal = statedir_open();
		ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_SOUND);
		ck_assert_uint_eq(journal_revision(journal), revision);
	}
}
END_TEST

/** Does the file have frames behind the valid ones? */
static bool has_started_over(void)
{
	struct wal_report report;
	int fd = open(statedir_file("rollcall.db-wal"), O_RDONLY | O_CLOEXEC);

	ck_ok(wal_examine(fd, -1, &report));
	(void)close(fd);
	bool has = report.valid < (wal.len - 32) / FRAME;
	ck_assert_uint_eq(report.frames, report.valid);
	ck_assert(!report.is_damaged && !report.is_torn);
	wal_report_fini(&report);
	return has;
}

/** Frames from before the log started over are behind the valid ones. */
START_TEST(frames_of_an_older_log_are_no_damage)
{
	do {
		put(EVENT_UPDATED, 1);
		ck_assert_int_ge(journal_tidy(journal, 0), 0);
		take_images();
	} while (!has_started_over());
	for (int i = 0; i < 5; i++)
		put(EVENT_UPDATED, 1);
	take_images();
	ck_assert(has_started_over());
	lay_out(&wal, &shm);
	ck_assert_int_eq(verify(), 0);
	ck_assert_str_eq(findings, "");
	/* a bad frame among the valid ones is still found */
	struct image image = flipped(32 + 100, 1);
	lay_out(&image, &shm);
	ck_assert_int_eq(verify(), -EBADMSG);
	lay_out(&image, NULL);
	ck_assert_int_eq(verify(), -EBADMSG);
	free(image.data);
}
END_TEST

START_TEST(a_database_that_was_emptied_comes_back_from_its_log)
{
	struct image whole = db;

	for (int missing = 0; missing < 2; missing++) {
		db.len = 0;
		lay_out(&wal, &shm);
		db = whole;
		if (missing)
			ck_assert_int_eq(unlink(statedir_file("rollcall.db")), 0);
		ck_assert_int_eq(verify(), -EBADMSG);
		journal = statedir_open();
		ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
		char name[64];
		(void)snprintf(name, sizeof(name), "%s", statedir_find("rollcall.db.corrupt-"));
		ck_assert_uint_eq(journal_events_lost(journal), 0);
		expect_all_left();
	}
}
END_TEST

SUITE("wal", setup_log, teardown_log, one_flipped_bit_is_damage,
      the_content_of_a_sound_log_is_there_and_no_damage, a_log_that_was_cut_is_damage,
      a_torn_tail_is_no_damage, a_torn_first_transaction_leaves_nothing_behind,
      what_was_rolled_back_is_no_damage, frames_of_an_older_log_are_no_damage,
      a_database_that_was_emptied_comes_back_from_its_log)
