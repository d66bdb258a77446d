/* SPDX-License-Identifier: MIT */
/*
 * The reader of write-ahead logs with logs made by hand, frame by frame: which faults prove damage
 * and which are only an unfinished transaction.
 */
#include "journal/wal.h"

#include "suite.h"

#include <stdio.h>
#include <unistd.h>

#define PAGE   512
#define FRAME  (24 + PAGE)
#define FRAMES 7

/* Three transactions: 2, 3 and 2 frames. */
static const uint32_t commits[FRAMES] = {0, 9, 0, 0, 9, 0, 9};

static unsigned char wal[32 + FRAMES * FRAME];
static unsigned char shm[96];
static size_t wal_len;
static bool big_endian;
static struct wal_report report;
static FILE *wal_file;

static void put_be32(unsigned char *at, uint32_t number)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(number >> (24 - 8 * i));
}

static uint32_t word(const unsigned char *at)
{
	uint32_t number = 0;

	for (int i = 0; i < 4; i++)
		number |= (uint32_t)at[i] << (big_endian ? 24 - 8 * i : 8 * i);
	return number;
}

static void sum(uint32_t s[2], const unsigned char *data, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		s[0] += word(data + i) + s[1];
		s[1] += word(data + i + 4) + s[0];
	}
}

static unsigned char *frame(int number)
{
	return wal + 32 + (number - 1) * FRAME;
}

/** Makes frame @p n, which has page n + 1, filled with n. */
static void make_wal(void)
{
	uint32_t s[2] = {0, 0};

	put_be32(wal, 0x377f0682u | big_endian);
	put_be32(wal + 4, 3007000);
	put_be32(wal + 8, PAGE);
	put_be32(wal + 12, 3);
	put_be32(wal + 16, 0x01020304);
	put_be32(wal + 20, 0xa0b0c0d0);
	sum(s, wal, 24);
	put_be32(wal + 24, s[0]);
	put_be32(wal + 28, s[1]);
	for (int n = 1; n <= FRAMES; n++) {
		unsigned char *at = frame(n);

		put_be32(at, (uint32_t)n + 1);
		put_be32(at + 4, commits[n - 1]);
		memcpy(at + 8, wal + 16, 8);
		memset(at + 24, n, PAGE);
		sum(s, at, 8);
		sum(s, at + 24, PAGE);
		put_be32(at + 16, s[0]);
		put_be32(at + 20, s[1]);
	}
	wal_len = sizeof(wal);
}

/** Makes a -shm file as SQLite does on this machine; both copies of the header are equal. */
static void make_shm(uint32_t frames)
{
	uint32_t s[2] = {0, 0};
	uint32_t fields[12] = {3007000, 0, 1, 0, frames, 9};
	uint16_t page_size = PAGE;
	bool was = big_endian;

	fields[3] = 1; /* isInit of SQLite's WalIndexHdr */
	memcpy((unsigned char *)fields + 14, &page_size, 2);
	memcpy(&fields[8], wal + 16, 8);
	big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
	sum(s, (unsigned char *)fields, 40);
	big_endian = was;
	memcpy(&fields[10], s, 8);
	memcpy(shm, fields, 48);
	memcpy(shm + 48, fields, 48);
}

static void setup(void)
{
	big_endian = false;
	make_wal();
	make_shm(FRAMES);
}

static void teardown(void)
{
	wal_report_fini(&report);
	if (wal_file != NULL)
		(void)fclose(wal_file);
	wal_file = NULL;
}

static FILE *file_of(const unsigned char *data, size_t len)
{
	FILE *file = tmpfile();

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(data, 1, len, file), len);
	ck_assert_int_eq(fflush(file), 0);
	return file;
}

static void examine(bool with_shm)
{
	FILE *shm_file = with_shm ? file_of(shm, sizeof(shm)) : NULL;

	teardown();
	report = (struct wal_report){.page_size = 1};
	wal_file = file_of(wal, wal_len);
	ck_ok(wal_examine(fileno(wal_file), with_shm ? fileno(shm_file) : -1, &report));
	if (shm_file != NULL)
		(void)fclose(shm_file);
}

/** A letter for the page of each frame: + wal_apply() wrote it, - it did not. */
static const char *applied(void)
{
	static char out[FRAMES + 1];
	unsigned char page[PAGE];
	FILE *file = tmpfile();

	ck_ok(wal_apply(fileno(wal_file), &report, fileno(file)));
	for (int n = 1; n <= FRAMES; n++) {
		unsigned char want[PAGE];

		memset(want, n, PAGE);
		out[n - 1] = pread(fileno(file), page, PAGE, (long)n * PAGE) == PAGE &&
		                             memcmp(page, want, PAGE) == 0
		                     ? '+'
		                     : '-';
	}
	(void)fclose(file);
	return out;
}

START_TEST(a_sound_log_is_read_to_its_end)
{
	for (int big = 0; big < 2; big++) {
		big_endian = big;
		make_wal();
		for (int with_shm = 0; with_shm < 2; with_shm++) {
			examine(with_shm);
			ck_assert(!report.is_damaged && !report.is_torn);
			ck_assert_uint_eq(report.valid, FRAMES);
			ck_assert_uint_eq(report.frames, FRAMES);
			ck_assert_str_eq(applied(), "+++++++");
		}
		frame(4)[100] ^= 1;
		examine(false);
		ck_assert(report.is_damaged);
	}
}
END_TEST

START_TEST(what_follows_a_bad_frame_is_proved_by_the_checksum_in_it)
{
	frame(4)[100] ^= 1;
	for (int with_shm = 0; with_shm < 2; with_shm++) {
		examine(with_shm);
		ck_assert(report.is_damaged && !report.is_torn);
		ck_assert_uint_eq(report.valid, 2);
		ck_assert_uint_eq(report.bad, 4);
		ck_assert_uint_eq(report.bad_frames, 1);
		ck_assert_uint_eq(report.dropped, 2);
		ck_assert_str_eq(applied(), "+++-+++");
	}
	/* The earlier frames of its transaction are lost too. */
	frame(5)[100] ^= 1;
	examine(false);
	ck_assert(report.is_damaged);
	ck_assert_uint_eq(report.bad_frames, 2);
	ck_assert_str_eq(applied(), "+++--++");
}
END_TEST

START_TEST(a_bad_frame_in_the_last_transaction_proves_nothing_by_itself)
{
	frame(6)[100] ^= 1;
	examine(false);
	ck_assert(!report.is_damaged && report.is_torn && report.has_torn_commit);
	ck_assert_uint_eq(report.valid, 5);
	ck_assert_str_eq(applied(), "+++++--");
	/* The -shm file proves that the frame was synced. */
	examine(true);
	ck_assert(report.is_damaged);
	ck_assert_uint_eq(report.dropped, 1);
	ck_assert_uint_eq(report.bad_frames, 1);
	ck_assert_str_eq(applied(), "+++++-+");
	/* It proves nothing if it counts only earlier frames. */
	make_shm(5);
	examine(true);
	ck_assert(!report.is_damaged && report.is_torn);
	/* It proves nothing if it is damaged itself. */
	make_shm(FRAMES);
	shm[16] ^= 1;
	shm[48 + 16] ^= 1;
	examine(true);
	ck_assert(!report.is_damaged);
	/* One sound copy of its header is enough. */
	make_shm(FRAMES);
	shm[16] ^= 1;
	examine(true);
	ck_assert(report.is_damaged);
}
END_TEST

START_TEST(a_shm_file_of_another_log_proves_nothing)
{
	unsigned char salt[8];

	frame(6)[100] ^= 1;
	memcpy(salt, wal + 16, 8);
	wal[16] ^= 1;
	make_shm(100);
	memcpy(wal + 16, salt, 8);
	examine(true);
	ck_assert(!report.is_damaged && report.is_torn);
}
END_TEST

/** An unfinished write does not end like this: all bytes are there, and a few bits are wrong. */
START_TEST(a_wrong_salt_or_checksum_alone_is_damage)
{
	frame(6)[10] ^= 1; /* salt */
	examine(false);
	ck_assert(report.is_damaged);
	ck_assert_uint_eq(report.bad, 6);
	ck_assert_uint_eq(report.bad_frames, 0);
	ck_assert_uint_eq(report.dropped, 1);
	ck_assert_str_eq(applied(), "+++++++");

	make_wal();
	frame(6)[17] ^= 1; /* checksum; that of the next frame continues from the right value */
	examine(false);
	ck_assert(report.is_damaged);
	ck_assert_uint_eq(report.bad_frames, 0);
	ck_assert_str_eq(applied(), "+++++++");

	make_wal();
	frame(7)[17] ^= 1; /* the last frame */
	examine(false);
	ck_assert(!report.is_damaged && report.is_torn);
	ck_assert_str_eq(applied(), "+++++--");
}
END_TEST

START_TEST(frames_behind_a_wrong_header_prove_that_it_was_right)
{
	for (int at = 0; at < 32; at++) {
		make_wal();
		wal[at] ^= 4;
		examine(false);
		if (at >= 8 && at < 12)
			continue; /* the size of a page */
		ck_assert_msg(report.is_damaged, "byte %d", at);
		ck_assert_uint_eq(report.bad, 0);
		ck_assert_uint_eq(report.dropped, 3);
		ck_assert_str_eq(applied(), "+++++++");
	}
	/* If the first frame is wrong as well, only the -shm file distinguishes the log from one
	 * whose first write was never finished. */
	make_wal();
	wal[13] ^= 4;
	frame(1)[100] ^= 4;
	examine(true);
	ck_assert(report.is_damaged);
	ck_assert_str_eq(applied(), "-++++++");
	examine(false);
	ck_assert(!report.is_damaged && !report.is_torn);
	ck_assert_uint_eq(report.apply, 0);
}
END_TEST

/** An incomplete last transaction is not applied in part, even behind damage. */
START_TEST(a_torn_tail_behind_damage_is_left_out)
{
	frame(2)[100] ^= 1;
	memset(frame(6) + 100, 0, 200);
	examine(false);
	ck_assert(report.is_damaged);
	ck_assert_str_eq(applied(), "+-+++--");
}
END_TEST

START_TEST(a_file_that_ends_too_early_is_damage_when_that_is_known)
{
	wal_len = 32 + 5 * FRAME + 100;
	examine(false);
	ck_assert(!report.is_damaged && !report.is_torn);
	examine(true);
	ck_assert(report.is_damaged);
	ck_assert_uint_eq(report.bad, 6);
	ck_assert_uint_eq(report.bad_frames, 2);
	ck_assert_uint_eq(report.dropped, 1);
	ck_assert_str_eq(applied(), "+++++--");
}
END_TEST

START_TEST(what_is_too_short_or_no_log_is_empty)
{
	static const size_t lens[] = {0, 1, 31, 32, 100};

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		wal_len = lens[i];
		examine(false);
		ck_assert(!report.is_damaged && !report.is_torn);
		ck_assert_uint_eq(report.apply, 0);
	}
	wal_report_fini(&report);
	ck_ok(wal_examine(-1, -1, &report));
	ck_assert(!report.is_damaged && !report.is_torn);
	memset(wal, 0, sizeof(wal));
	wal_len = sizeof(wal);
	examine(true);
	ck_assert(!report.is_damaged || report.apply == 0);
}
END_TEST

/** SQLite stops at such a frame, and a database has no page 0. */
START_TEST(a_frame_of_page_0_is_none)
{
	uint32_t s[2];

	put_be32(frame(7), 0);
	s[0] = (uint32_t)frame(6)[16] << 24 | (uint32_t)frame(6)[17] << 16 |
	       (uint32_t)frame(6)[18] << 8 | frame(6)[19];
	s[1] = (uint32_t)frame(6)[20] << 24 | (uint32_t)frame(6)[21] << 16 |
	       (uint32_t)frame(6)[22] << 8 | frame(6)[23];
	sum(s, frame(7), 8);
	sum(s, frame(7) + 24, PAGE);
	put_be32(frame(7) + 16, s[0]);
	put_be32(frame(7) + 20, s[1]);
	examine(false);
	ck_assert(!report.is_damaged);
	ck_assert_str_eq(applied(), "+++++--");
	examine(true);
	ck_assert(report.is_damaged);
	ck_assert_str_eq(applied(), "++++++-");
}
END_TEST

SUITE("wal_format", setup, teardown, a_sound_log_is_read_to_its_end,
      what_follows_a_bad_frame_is_proved_by_the_checksum_in_it,
      a_bad_frame_in_the_last_transaction_proves_nothing_by_itself,
      a_shm_file_of_another_log_proves_nothing, a_wrong_salt_or_checksum_alone_is_damage,
      frames_behind_a_wrong_header_prove_that_it_was_right, a_torn_tail_behind_damage_is_left_out,
      a_file_that_ends_too_early_is_damage_when_that_is_known, what_is_too_short_or_no_log_is_empty,
      a_frame_of_page_0_is_none)
