/* SPDX-License-Identifier: MIT */
/*
 * Keyframes as files: which names count, which contents are refused although their checksums are
 * right, and that a failed write leaves no file behind. change() edits a field of the file and
 * corrects the checksums.
 */
#include "journal/keyframe.h"

#include "fault.h"
#include "instance_limits.h"
#include "journal/pack.h"
#include "statedir.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define REVISION 1909

/* Where things are in the file: a header of 56 bytes, then 24 bytes and a name for each service. */
enum {
	AT_MAGIC = 0,
	AT_REVISION = 8,
	AT_INDEX_LEN = 24,
	AT_ROWS_LEN = 32,
	AT_SERVICES = 44,
	AT_INDEX_CRC = 48,
	AT_CRC = 52,
	AT_INDEX = 56,
	AT_ENTRY_AT = AT_INDEX,
	AT_ENTRY_LEN = AT_INDEX + 8,
	AT_ENTRY_NAME_LEN = AT_INDEX + 20
};
#define INDEX_LEN (24 + 2 + 24 + 3)

static int dir_fd;

static const char *name_of(uint64_t revision)
{
	static char names[2][64]; /* two, so that one expression can use two names */
	static int next;
	char *name = names[next++ % 2];

	(void)snprintf(name, sizeof(names[0]), KEYFRAME_PREFIX "%016llu",
	               (unsigned long long)revision);
	return name;
}

static void add(struct keyframe_draft *draft, const char *service, const char *id)
{
	struct event event = statedir_event(EVENT_REGISTERED, service, id);

	event.instance.revision = event.instance.incarnation = 1;
	keyframe_add(draft, &event.instance);
}

static int write_one(uint64_t revision)
{
	struct keyframe_draft draft;
	const struct keyframe_mark mark = {.revision = revision, .time_ms = 7, .checksum = 9};

	keyframe_init(&draft);
	add(&draft, "db", "1");
	add(&draft, "web", "1");
	add(&draft, "web", "2");
	int r = keyframe_write(&draft, dir_fd, &mark);
	keyframe_fini(&draft);
	return r;
}

static int check(void)
{
	struct keyframe_mark mark;

	return keyframe_check(dir_fd, REVISION, &mark);
}

static void setup(void)
{
	statedir_make();
	dir_fd = open(statedir_path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_ok(write_one(REVISION));
	ck_ok(check());
}

static void teardown(void)
{
	(void)close(dir_fd);
	statedir_remove();
}

static uint64_t number_at(int fd, off_t at, size_t len)
{
	uint64_t number = 0;

	ck_assert_int_eq(pread(fd, &number, len, at), (ssize_t)len);
	return number;
}

static void put_at(int fd, off_t at, size_t len, uint64_t number)
{
	ck_assert_int_eq(pwrite(fd, &number, len, at), (ssize_t)len);
}

/** Changes a number in the file and corrects all its checksums. */
static void change(off_t at, size_t len, uint64_t number)
{
	unsigned char bytes[INDEX_LEN];
	int fd = openat(dir_fd, name_of(REVISION), O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	put_at(fd, at, len, number);
	ck_assert_int_eq(pread(fd, bytes, INDEX_LEN, AT_INDEX), INDEX_LEN);
	size_t index_len = (size_t)number_at(fd, AT_INDEX_LEN, 8);
	if (index_len <= INDEX_LEN)
		put_at(fd, AT_INDEX_CRC, 4, crc32(0, bytes, (uInt)index_len));
	ck_assert_int_eq(pread(fd, bytes, AT_CRC, 0), AT_CRC);
	put_at(fd, AT_CRC, 4, crc32(0, bytes, AT_CRC));
	(void)close(fd);
}

START_TEST(a_contradictory_keyframe_is_refused_although_its_checksums_are_right)
{
	static const struct {
		off_t at;
		size_t len;
		uint64_t number;
	} cases[] = {
		{AT_MAGIC + 7, 1, '2'},
		{AT_REVISION, 8, REVISION + 1},
		{AT_INDEX_LEN, 8, INDEX_LEN - 1},
		{AT_INDEX_LEN, 8, UINT64_MAX - 100},
		{AT_ROWS_LEN, 8, 1},
		{AT_ROWS_LEN, 8, UINT64_MAX - 100},
		{AT_SERVICES, 4, 1},
		{AT_SERVICES, 4, 3},
		{AT_ENTRY_AT, 8, 1},
		{AT_ENTRY_AT, 8, 1 << 20},
		{AT_ENTRY_AT, 8, UINT64_MAX},
		{AT_ENTRY_LEN, 8, 1 << 20},
		{AT_ENTRY_LEN, 8, UINT64_MAX},
		{AT_ENTRY_LEN, 8, 1},
		{AT_ENTRY_NAME_LEN, 4, 1},
		{AT_ENTRY_NAME_LEN, 4, 1000},
		{AT_ENTRY_NAME_LEN, 4, 26},
		{AT_ENTRY_NAME_LEN, 4, UINT32_MAX},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_ok(write_one(REVISION));
		change(cases[i].at, cases[i].len, cases[i].number);
		ck_assert_msg(check() == -EBADMSG, "case %zu: %d", i, check());
	}
	ck_ok(write_one(REVISION));
	change(AT_REVISION, 8, REVISION); /* the value that it has: the file is valid */
	ck_ok(check());
}
END_TEST

/** Writes a keyframe with @p instance. @return the error of reading it back */
static int pack_and_unpack(const struct instance *instance)
{
	struct instance read;
	struct buf out;

	buf_init(&out, 1 << 20);
	pack_instance(&out, instance);
	struct str rest = {out.data, out.len};
	int r = unpack_instance(&rest, &read);
	buf_fini(&out);
	return r;
}

START_TEST(a_value_beyond_its_limit_is_refused)
{
	struct instance wrong[INSTANCES_WRONG];
	struct instance right = statedir_event(EVENT_REGISTERED, "a", "1").instance;

	right.revision = right.incarnation = 1;
	ck_ok(pack_and_unpack(&right));
	instances_wrong(&right, wrong);
	for (size_t i = 0; i < INSTANCES_WRONG; i++)
		ck_assert_msg(pack_and_unpack(&wrong[i]) == -EBADMSG, "case %zu", i);
	instances_longest(&right);
	ck_ok(pack_and_unpack(&right));
}
END_TEST

/** Two lengths that are each too large, but whose sum wraps round to the size of the file. */
START_TEST(lengths_that_add_up_only_by_wrapping_are_refused)
{
	struct stat stat;

	ck_ok(fstatat(dir_fd, name_of(REVISION), &stat, 0));
	uint64_t rest = (uint64_t)stat.st_size - 56;
	change(AT_ROWS_LEN, 8, rest + 100);
	change(AT_INDEX_LEN, 8, (uint64_t)0 - 100);
	ck_fails(check(), EBADMSG);
	change(AT_INDEX_LEN, 8, rest + 100);
	change(AT_ROWS_LEN, 8, (uint64_t)0 - 100);
	ck_fails(check(), EBADMSG);
}
END_TEST

START_TEST(a_file_under_the_name_of_another_is_refused)
{
	struct keyframe_mark mark;

	ck_ok(renameat(dir_fd, name_of(REVISION), dir_fd, name_of(REVISION + 1)));
	ck_fails(keyframe_mark(dir_fd, REVISION + 1, &mark), EBADMSG);
	ck_fails(keyframe_mark(dir_fd, REVISION, &mark), ENOENT);
	ck_fails(check(), ENOENT);
}
END_TEST

START_TEST(what_is_no_regular_file_is_refused)
{
	struct keyframe_mark mark;

	ck_ok(mkdirat(dir_fd, name_of(5), 0700));
	ck_fails(keyframe_mark(dir_fd, 5, &mark), EBADMSG);
	ck_ok(unlinkat(dir_fd, name_of(5), AT_REMOVEDIR));
	ck_ok(mkfifoat(dir_fd, name_of(5), 0600)); /* opening it must not wait for a writer */
	ck_fails(keyframe_mark(dir_fd, 5, &mark), EBADMSG);
}
END_TEST

/** The checksum of its rows is that of no bytes, and so is right. */
START_TEST(a_service_without_instances_is_refused)
{
	struct keyframe_draft draft;
	const struct keyframe_mark mark = {.revision = REVISION};

	keyframe_init(&draft);
	add(&draft, "db", "1");
	keyframe_end(&draft);
	buf_reset(&draft.rows);
	memset(draft.index.data + 8, 0, 12); /* length and CRC of the service in the index */
	ck_ok(keyframe_write(&draft, dir_fd, &mark));
	keyframe_fini(&draft);
	ck_fails(check(), EBADMSG);
}
END_TEST

START_TEST(only_whole_names_count)
{
	static const char *const others[] = {
		"rollcall.keyframe-000000000000000:",
		"rollcall.keyframe-00000000000000012",
		"rollcall.keyframe-000000000000001",
		"rollcall.keyframf-0000000000000012",
	};
	uint64_t list[KEYFRAMES_MAX];
	size_t count = 0;

	for (size_t i = 1; i < sizeof(others) / sizeof(others[0]); i++) {
		int fd = openat(dir_fd, others[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		ck_assert_int_ge(fd, 0);
		(void)close(fd);
	}
	int fd = openat(dir_fd, "rollcall.keyframe-00000000000000.1",
	                O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* '.' is before '0' */
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	ck_ok(keyframe_list(dir_fd, list, &count));
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(list[0], REVISION);
	ck_fails(keyframe_list(-1, list, &count), EBADF);
}
END_TEST

START_TEST(of_too_many_the_newest_are_listed)
{
	uint64_t list[KEYFRAMES_MAX + 1];
	size_t count = 0;

	list[KEYFRAMES_MAX] = 42; /* must not be overwritten */
	for (uint64_t i = 0; i < KEYFRAMES_MAX + 50; i++) {
		/* in an order that is not that of the revisions */
		uint64_t revision = 10000 + i * 7919 % (KEYFRAMES_MAX + 50);
		int fd = openat(dir_fd, name_of(revision), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		ck_assert_int_ge(fd, 0);
		(void)close(fd);
	}
	ck_ok(keyframe_list(dir_fd, list, &count));
	ck_assert_uint_eq(count, KEYFRAMES_MAX);
	for (uint64_t i = 0; i < KEYFRAMES_MAX; i++)
		ck_assert_uint_eq(list[i], 10050 + i);
	ck_assert_uint_eq(list[KEYFRAMES_MAX], 42);
}
END_TEST

START_TEST(what_cannot_be_written_leaves_nothing_behind)
{
	struct rlimit limit;

	ck_ok(mkdirat(dir_fd, name_of(5), 0700)); /* the rename to this name fails */
	ck_fails(write_one(5), EISDIR);
	ck_assert(!statedir_has("rollcall.keyframe.partial"));
	ck_ok(unlinkat(dir_fd, name_of(5), AT_REMOVEDIR));

	(void)signal(SIGXFSZ, SIG_IGN);
	ck_ok(getrlimit(RLIMIT_FSIZE, &limit));
	static const rlim_t cuts[] = {0, 20, 56, 70, 200};
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct rlimit less = {cuts[i], limit.rlim_max};

		ck_ok(setrlimit(RLIMIT_FSIZE, &less));
		int r = write_one(5);
		ck_ok(setrlimit(RLIMIT_FSIZE, &limit));
		ck_assert_int_eq(r, -ENOSPC);
		ck_assert(!statedir_has("rollcall.keyframe.partial"));
		ck_assert(!statedir_has(name_of(5)));
	}
	ck_ok(write_one(5));
	ck_ok(check());

	(void)close(dir_fd);
	ck_fails(write_one(6), EBADF);
	dir_fd = open(statedir_path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
END_TEST

START_TEST(a_draft_that_ran_out_of_memory_is_not_written)
{
	int n = 0;

	for (;; n++) {
		fault_arm(n);
		int r = write_one(5);
		if (!fault_hit()) {
			ck_ok(r);
			break;
		}
		ck_fails(r, ENOMEM);
		ck_assert(!statedir_has(name_of(5)));
	}
	ck_assert_int_gt(n, 1);
}
END_TEST

START_TEST(reading_without_memory_is_not_damage)
{
	int n = 0;

	for (;; n++) {
		fault_arm(n);
		int r = check();
		if (!fault_hit()) {
			ck_ok(r);
			break;
		}
		ck_fails(r, ENOMEM);
	}
	ck_assert_int_gt(n, 1);
}
END_TEST

START_TEST(one_service_is_read_alone)
{
	struct buf rows;
	struct buf all;

	buf_init(&rows, 1 << 20);
	buf_init(&all, 1 << 20);
	ck_ok(keyframe_read(dir_fd, REVISION, STR("db"), &rows));
	size_t db = rows.len;
	ck_ok(keyframe_read(dir_fd, REVISION, STR("web"), &rows)); /* appended to the rows above */
	ck_ok(keyframe_read(dir_fd, REVISION, STR(""), &all));
	ck_assert_uint_gt(db, 0);
	ck_assert_uint_eq(rows.len, all.len);
	ck_assert_mem_eq(rows.data, all.data, all.len);
	ck_ok(keyframe_read(dir_fd, REVISION, STR("none"), &rows));
	ck_assert_uint_eq(rows.len, all.len);
	/* Damage to other services does not matter. */
	change(AT_ENTRY_AT, 8, 1 << 20);
	ck_fails(keyframe_read(dir_fd, REVISION, STR("db"), &rows), EBADMSG);
	ck_ok(keyframe_read(dir_fd, REVISION, STR("web"), &rows));
	buf_fini(&rows);
	buf_fini(&all);
}
END_TEST

SUITE("keyframe", setup, teardown,
      a_contradictory_keyframe_is_refused_although_its_checksums_are_right,
      a_value_beyond_its_limit_is_refused, lengths_that_add_up_only_by_wrapping_are_refused,
      a_file_under_the_name_of_another_is_refused, what_is_no_regular_file_is_refused,
      a_service_without_instances_is_refused, only_whole_names_count,
      of_too_many_the_newest_are_listed, what_cannot_be_written_leaves_nothing_behind,
      a_draft_that_ran_out_of_memory_is_not_written, reading_without_memory_is_not_damage,
      one_service_is_read_alone)
