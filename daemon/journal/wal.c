/* SPDX-License-Identifier: MIT */
/**
 * Examination of a write-ahead log; the format is https://www.sqlite.org/walformat.html. Runs
 * before SQLite opens the database, with the directory locked.
 *
 * Invariant: only a frame whose checksum is right counts as sound. Checksums are cumulative: each
 * begins with the one stored in the frame before. So frames behind a bad one can still be verified:
 * by the checksum stored in the bad frame ("seed") or, when that is what went bad, by the checksum
 * that the frame's content has ("other seed"). Stopping at the first bad frame, as SQLite does,
 * could not distinguish damage from a torn tail.
 *
 * When a log starts over, its old frames stay behind the new ones until they are overwritten; they
 * have other salts.
 */
#include "journal/wal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_SIZE       32
#define FRAME_HEADER_SIZE 24
#define WAL_MAGIC         0x377f0682u /* lowest bit set: checksums of big-endian words */
#define WAL_VERSION       3007000u
#define PAGE_MIN          512u
#define PAGE_MAX          65536u
#define PAGE_USUAL        4096u /* of all databases that rollcall makes */

/* The -shm file begins with two copies of this header, in the machine's own byte order. */
#define SHM_HEADER_SIZE 48
enum { SHM_PAGE_SIZE = 14, SHM_FRAMES = 16, SHM_SALT = 32, SHM_CHECKSUM = 40 };

struct sum {
	uint32_t a;
	uint32_t b;
};

struct frame {
	uint32_t page;
	uint32_t commit; /* ends a transaction: the database's size in pages after it; else 0 */
	unsigned char salt[8];
	struct sum stored;
	const unsigned char *head; /* 8 bytes of the frame's header that the checksum covers, ... */
	const unsigned char *data; /* ... and the page */
};

/** A pass over the frames: its state before the next frame is read. */
struct walk {
	int fd;
	bool big_endian;
	uint32_t page_size;
	uint64_t count; /* number of frames that the file has room for */
	unsigned char salt[8];
	unsigned char *buffer; /* one frame; owned */

	struct sum seed;       /* checksum stored in the frame before, or in the header */
	struct sum other_seed; /* checksum of the content before, if it differs from seed */
	bool has_other_seed;
	bool seed_is_sure; /* the content before is right */

	uint64_t synced;    /* number of frames that the -shm file counts */
	uint64_t proved;    /* number up to the last commit that must have been acknowledged */
	uint64_t commits;   /* number behind the first bad frame */
	bool commit_before; /* the frame before ends a transaction */
	bool is_whole;      /* no frame of this transaction has been bad */
	bool was_whole;     /* ... but for the latest one */
};

static uint32_t get_be32(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t get_le32(const unsigned char *at)
{
	return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

/** @param len  a multiple of 8 */
static struct sum sum_add(struct sum sum, bool big_endian, const unsigned char *data, size_t len)
{
	for (const unsigned char *end = data + len; data < end; data += 8) {
		sum.a += (big_endian ? get_be32(data) : get_le32(data)) + sum.b;
		sum.b += (big_endian ? get_be32(data + 4) : get_le32(data + 4)) + sum.a;
	}
	return sum;
}

static struct sum get_sum(const unsigned char *at)
{
	return (struct sum){get_be32(at), get_be32(at + 4)};
}

static bool sum_equal(struct sum x, struct sum y)
{
	return x.a == y.a && x.b == y.b;
}

/** @return the bytes read: fewer than @p len only at the end of the file; or an error */
static ssize_t wal_read_at(int fd, uint64_t at, unsigned char *out, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, out + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static bool is_page_size(uint32_t size)
{
	return size >= PAGE_MIN && size <= PAGE_MAX && (size & (size - 1)) == 0;
}

/* --- frames -------------------------------------------------------------------- */

/** @return 1; 0: the file ends within or before the frame; or an error */
static int wal_read_frame(const struct walk *walk, uint64_t number, struct frame *ret)
{
	size_t size = FRAME_HEADER_SIZE + walk->page_size;
	unsigned char *at = walk->buffer;
	ssize_t n = wal_read_at(walk->fd, HEADER_SIZE + (number - 1) * size, at, size);

	if (n < 0 || (size_t)n < size)
		return n < 0 ? (int)n : 0;
	*ret = (struct frame){
		.page = get_be32(at),
		.commit = get_be32(at + 4),
		.stored = get_sum(at + 16),
		.head = at,
		.data = at + FRAME_HEADER_SIZE,
	};
	memcpy(ret->salt, at + 8, sizeof(ret->salt));
	return 1;
}

static struct sum sum_of_frame(const struct walk *walk, const struct frame *frame, struct sum seed)
{
	seed = sum_add(seed, walk->big_endian, frame->head, 8);
	return sum_add(seed, walk->big_endian, frame->data, walk->page_size);
}

static void set_ok(struct wal_report *report, uint64_t number)
{
	report->ok[number / 8] |= (unsigned char)(1u << number % 8);
}

static bool is_ok(const struct wal_report *report, uint64_t number)
{
	return (report->ok[number / 8] >> number % 8 & 1) != 0;
}

/** Verifies the content of a frame, and moves the seeds on. A frame that only continues the other
 * seed shows that the checksum stored before it is what went bad. */
static bool wal_verify_frame(struct walk *walk, const struct frame *frame, uint64_t number,
                             struct wal_report *report)
{
	struct sum sum = sum_of_frame(walk, frame, walk->seed);
	bool is_right = sum_equal(sum, frame->stored);

	if (!is_right && walk->has_other_seed &&
	    sum_equal(sum_of_frame(walk, frame, walk->other_seed), frame->stored)) {
		is_right = true;
		report->is_damaged = true; /* only a checksum is wrong: no torn write */
		if (number > 1)
			set_ok(report, number - 1);
		walk->is_whole = walk->was_whole;
	}
	walk->has_other_seed = !is_right && walk->seed_is_sure;
	walk->other_seed = sum;
	walk->seed = frame->stored;
	walk->seed_is_sure = is_right;
	return is_right && frame->page != 0;
}

/** Records a frame that SQLite does not reach. */
static void wal_note_beyond(struct walk *walk, const struct frame *frame, uint64_t number,
                            bool is_right, struct wal_report *report)
{
	bool is_current = memcmp(frame->salt, walk->salt, sizeof(walk->salt)) == 0;

	/* Frames from before the log started over continue each other as well, so the salt counts.
	 * Of the first bad frame the salt may be all that is wrong. */
	is_right = is_right && (is_current || number == report->bad);
	if (is_current || is_right)
		report->frames = number;
	if (is_right) {
		set_ok(report, number);
		if (walk->commit_before && number > report->bad) {
			walk->proved = number - 1;
			report->dropped = walk->commits;
		}
	}
	walk->was_whole = walk->is_whole || walk->commit_before;
	walk->is_whole = walk->was_whole && is_right;
	walk->commit_before = frame->commit != 0 && (is_current || is_right);
	walk->commits += walk->commit_before;
	if (number == walk->synced)
		report->dropped = walk->commits;
	if (walk->commit_before && walk->is_whole) {
		report->apply = number;
		report->dropped = walk->commits;
	}
}

static int wal_walk_frames(struct walk *walk, struct wal_report *report)
{
	bool is_beyond = report->is_damaged; /* a wrong header: SQLite reaches no frame */
	struct frame frame;

	walk->is_whole = walk->was_whole = true;
	for (uint64_t number = 1; number <= walk->count; number++) {
		int r = wal_read_frame(walk, number, &frame);

		if (r <= 0)
			return r;
		bool is_right = wal_verify_frame(walk, &frame, number, report);
		if (!is_beyond && is_right &&
		    memcmp(frame.salt, walk->salt, sizeof(walk->salt)) == 0) {
			set_ok(report, number);
			report->frames = number;
			if (frame.commit != 0)
				report->valid = report->apply = number;
			continue;
		}
		if (!is_beyond) {
			is_beyond = true;
			report->bad = number;
			report->is_damaged = is_right; /* only its salt is wrong */
		}
		wal_note_beyond(walk, &frame, number, is_right, report);
	}
	return 0;
}

/* --- the header and the -shm file ----------------------------------------------- */

/** Reads the salts, the page size and the number of frames from the sound copy of the header that
 * counts more. @return 1; 0: no sound copy counts a frame; or an error */
static int wal_read_shm(int shm_fd, struct walk *walk, unsigned char salt[8],
                        uint32_t *ret_page_size)
{
	static const uint16_t one = 1;
	bool big_endian = *(const unsigned char *)&one == 0;
	unsigned char copy[SHM_HEADER_SIZE];
	bool found = false;

	for (uint64_t at = 0; shm_fd >= 0 && at <= SHM_HEADER_SIZE; at += SHM_HEADER_SIZE) {
		uint32_t frames;
		uint16_t page_size;
		struct sum stored;
		ssize_t n = wal_read_at(shm_fd, at, copy, sizeof(copy));

		if (n < 0)
			return (int)n;
		if ((size_t)n < sizeof(copy))
			break;
		memcpy(&frames, copy + SHM_FRAMES, sizeof(frames));
		memcpy(&page_size, copy + SHM_PAGE_SIZE, sizeof(page_size));
		memcpy(&stored, copy + SHM_CHECKSUM, sizeof(stored));
		if (!sum_equal(sum_add((struct sum){0, 0}, big_endian, copy, SHM_CHECKSUM),
		               stored) ||
		    frames <= walk->synced)
			continue;
		walk->synced = frames;
		*ret_page_size = page_size == 1 ? PAGE_MAX : page_size;
		memcpy(salt, copy + SHM_SALT, 8);
		found = true;
	}
	return found;
}

/** Does the first frame continue this wrong header? If not, the header was never completed, or the
 * frames are older than it. */
static int match_first_frame(struct walk *walk, const unsigned char *header, bool *ret_matches)
{
	struct frame frame;
	int r = wal_read_frame(walk, 1, &frame);

	*ret_matches = false;
	for (int big_endian = 0; r > 0 && !*ret_matches && big_endian <= 1; big_endian++) {
		struct sum content = sum_add((struct sum){0, 0}, big_endian != 0, header, 24);

		walk->big_endian = big_endian != 0;
		*ret_matches =
			sum_equal(sum_of_frame(walk, &frame, get_sum(header + 24)), frame.stored) ||
			sum_equal(sum_of_frame(walk, &frame, content), frame.stored);
	}
	if (*ret_matches)
		memcpy(walk->salt, frame.salt, sizeof(walk->salt));
	return r < 0 ? r : 0;
}

/** @return 1; 0: SQLite takes the log for empty, and rightly so; or an error */
static int wal_read_header(struct walk *walk, int shm_fd, struct wal_report *report)
{
	unsigned char header[HEADER_SIZE];
	unsigned char shm_salt[8] = {0};
	uint32_t shm_page_size = 0;
	bool matches = false;
	ssize_t n = wal_read_at(walk->fd, 0, header, sizeof(header));
	int has_shm = wal_read_shm(shm_fd, walk, shm_salt, &shm_page_size);

	if (n < 0 || has_shm < 0)
		return n < 0 ? (int)n : has_shm;
	if ((size_t)n < sizeof(header))
		return 0;
	walk->page_size = get_be32(header + 8);
	walk->big_endian = (get_be32(header) & 1) != 0;
	walk->seed = get_sum(header + 24);
	walk->other_seed = sum_add((struct sum){0, 0}, walk->big_endian, header, 24);
	memcpy(walk->salt, header + 16, sizeof(walk->salt));
	bool is_right = (get_be32(header) & ~1u) == WAL_MAGIC &&
	                get_be32(header + 4) == WAL_VERSION && is_page_size(walk->page_size) &&
	                sum_equal(walk->seed, walk->other_seed);
	if (!is_page_size(walk->page_size))
		walk->page_size = is_page_size(shm_page_size) ? shm_page_size : PAGE_USUAL;
	walk->buffer = malloc(FRAME_HEADER_SIZE + (size_t)walk->page_size);
	if (walk->buffer == NULL)
		return -ENOMEM;
	walk->seed_is_sure = is_right;
	if (!is_right) {
		int r = match_first_frame(walk, header, &matches);

		if (r < 0)
			return r;
		walk->other_seed = sum_add((struct sum){0, 0}, walk->big_endian, header, 24);
		walk->has_other_seed = true;
	}
	if (!is_right && !matches && has_shm > 0) {
		walk->big_endian = false; /* as on all common machines */
		memcpy(walk->salt, shm_salt, sizeof(shm_salt));
	}
	if (has_shm == 0 || memcmp(shm_salt, walk->salt, sizeof(shm_salt)) != 0)
		walk->synced = 0;
	report->is_damaged = !is_right && (matches || walk->synced > 0);
	return is_right || report->is_damaged;
}

static int wal_count_frames(struct walk *walk, struct wal_report *report)
{
	struct stat stat;

	if (fstat(walk->fd, &stat) < 0)
		return -errno;
	walk->count = stat.st_size < HEADER_SIZE ? 0
	                                         : ((uint64_t)stat.st_size - HEADER_SIZE) /
	                                                   (FRAME_HEADER_SIZE + walk->page_size);
	report->ok = calloc(1, (size_t)(walk->count / 8) + 1);
	return report->ok == NULL ? -ENOMEM : 0;
}

/* --- the result ------------------------------------------------------------------- */

static void wal_complete_report(const struct walk *walk, struct wal_report *report)
{
	uint64_t proved = walk->proved > walk->synced ? walk->proved : walk->synced;

	report->page_size = walk->page_size;
	if (proved <= report->valid && !report->is_damaged) {
		report->is_torn = report->frames > report->valid;
		report->has_torn_commit = walk->commits > 0;
		report->apply = report->valid;
		report->bad = 0;
		return;
	}
	report->is_damaged = true;
	if (walk->count < proved) { /* the file was cut */
		report->dropped = walk->commits + 1;
		report->bad = report->bad == 0 ? walk->count + 1 : report->bad;
		report->bad_frames = proved - walk->count;
		proved = walk->count;
	}
	for (uint64_t number = 1; number <= proved; number++)
		report->bad_frames += !is_ok(report, number);
	report->frames = report->frames > proved ? report->frames : proved;
	report->apply = report->apply > proved ? report->apply : proved;
}

int wal_examine(int wal_fd, int shm_fd, struct wal_report *ret_report)
{
	struct walk walk = {.fd = wal_fd};
	struct wal_report report = {.page_size = 0};
	int r = wal_fd < 0 ? 0 : wal_read_header(&walk, shm_fd, &report);

	if (r > 0)
		r = wal_count_frames(&walk, &report);
	if (r == 0 && report.ok != NULL)
		r = wal_walk_frames(&walk, &report);
	if (r == 0 && report.ok != NULL)
		wal_complete_report(&walk, &report);
	free(walk.buffer);
	if (r < 0) {
		wal_report_fini(&report);
		return r;
	}
	*ret_report = report;
	return 0;
}

void wal_report_fini(struct wal_report *report)
{
	free(report->ok);
	report->ok = NULL;
}

/* --- applying ------------------------------------------------------------------------ */

static int wal_write_at(int fd, uint64_t at, const unsigned char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EDQUOT ? -ENOSPC : -errno;
		at += (uint64_t)n;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int wal_apply(int wal_fd, const struct wal_report *report, int out_fd)
{
	struct walk walk = {.fd = wal_fd, .page_size = report->page_size};
	struct frame frame;
	int r = 0;

	if (report->apply == 0)
		return 0;
	walk.buffer = calloc(1, FRAME_HEADER_SIZE + (size_t)walk.page_size);
	if (walk.buffer == NULL)
		return -ENOMEM;
	for (uint64_t number = 1; r >= 0 && number <= report->apply; number++) {
		if (!is_ok(report, number))
			continue;
		r = wal_read_frame(&walk, number, &frame);
		if (r > 0)
			r = wal_write_at(out_fd, (uint64_t)(frame.page - 1) * walk.page_size,
			                 frame.data, walk.page_size);
	}
	free(walk.buffer);
	return r < 0 ? r : 0;
}
