/* SPDX-License-Identifier: MIT */
/*
 * States of the past from keyframes and events, compared with a model at each revision (agree());
 * and damaged, missing or foreign keyframes, disk errors and lack of memory. The journal is real,
 * behind the fault VFS.
 */
#include "journal/past.h"

#include "fault.h"
#include "faultvfs.h"
#include "journal/journal.h"
#include "journal/keyframe.h"
#include "statedir.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#define EVENTS 40

static struct journal *journal;
static struct past *past;
static int dir_fd;
static struct instance now[4]; /* the model: the instances after the latest event */
static bool is_there[4];
static uint64_t then[EVENTS + 1][4]; /* the revision of each after each event; 0: not registered */
static const char *const ids[] = {"a", "b", "c", "d"};

/** Makes events that register, update and remove the instances in turn. */
static void make_events(unsigned from, unsigned through)
{
	for (unsigned i = from; i <= through; i++) {
		unsigned n = (i * 7 + i / 5) % 4;
		struct event event =
			is_there[n]
				? statedir_event_of(i % 3 == 0 ? EVENT_DEREGISTERED : EVENT_UPDATED,
		                                    &now[n])
				: statedir_event(EVENT_REGISTERED, n < 2 ? "web" : "db", ids[n]);

		event.time_ms = 1000 * (int64_t)i;
		ck_ok(journal_append(journal, &event, 1));
		ck_assert_uint_eq(event.revision, i);
		now[n] = event.instance;
		is_there[n] = !event_removes(event.kind);
		for (unsigned k = 0; k < 4; k++)
			then[i][k] = is_there[k] ? now[k].revision : 0;
	}
}

static void write_keyframe(uint64_t revision)
{
	struct keyframe_draft draft;
	int64_t ms = 0;

	keyframe_init(&draft);
	for (unsigned k = 4; k-- > 0;) /* in the order of a state: db is before web */
		if (is_there[k])
			keyframe_add(&draft, &now[k]);
	ck_ok(past_put_keyframe(past, &draft, revision, &ms));
	ck_assert_int_eq(ms, 1000 * (int64_t)revision);
	keyframe_fini(&draft);
}

static int read_at(uint64_t revision, const char *service, struct past_bounds *bounds,
                   struct past_state **state)
{
	struct past_query query = {.revision = revision};

	if (service != NULL)
		query.service = str_of(service);
	return past_read(past, &query, state, bounds);
}

/** Checks that the state of each of these revisions is that of the model. */
static void agree(uint64_t from, uint64_t through)
{
	for (uint64_t r = from; r <= through; r++) {
		struct past_bounds bounds;
		struct past_state *state;
		struct instance instance;
		size_t count = 0;

		ck_assert_msg(read_at(r, NULL, &bounds, &state) == 0, "revision %u", (unsigned)r);
		for (size_t i = 0; i < past_count(state); i++) {
			past_get(state, i, &instance);
			ck_assert_uint_eq(instance.revision, then[r][instance.id.data[0] - 'a']);
		}
		for (size_t k = 0; k < 4; k++)
			count += then[r][k] != 0;
		ck_assert_uint_eq(past_count(state), count);
		ck_assert_uint_eq(bounds.revision, r);
		past_state_free(state);
	}
}

static const char *name_of(uint64_t revision)
{
	static char name[64];

	(void)snprintf(name, sizeof(name), KEYFRAME_PREFIX "%016u", (unsigned)revision);
	return name;
}

static void setup(void)
{
	faultvfs_install();
	statedir_make();
	journal = statedir_open();
	ck_ok(past_open(statedir_path(), &past));
	dir_fd = open(statedir_path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
	(void)close(dir_fd);
	past_close(past);
	journal_close(journal);
	statedir_remove();
}

/** Removes all events up to @p through. */
static void retain_after(uint64_t through)
{
	journal_set_retention(journal, 0, EVENTS - through);
	while (journal_tidy(journal, 1) > 0)
		;
	ck_assert_int_eq(statedir_number("SELECT min(revision) FROM events"),
	                 (long long)through + 1);
}

START_TEST(each_state_is_that_of_the_model_with_and_without_keyframes)
{
	make_events(1, 15);
	agree(0, 15);
	write_keyframe(15);
	make_events(16, 30);
	write_keyframe(30);
	make_events(31, EVENTS);
	agree(0, EVENTS);
}
END_TEST

START_TEST(a_state_begins_with_a_keyframe)
{
	make_events(1, 20);
	write_keyframe(20);
	make_events(21, EVENTS);
	/* Without the events before it, only the keyframe has these instances. */
	retain_after(19);
	agree(20, EVENTS);
}
END_TEST

START_TEST(what_is_older_than_the_first_keyframe_left_is_refused)
{
	struct past_bounds bounds;
	struct past_state *state;
	bool is_cut = false;

	make_events(1, 15);
	write_keyframe(15);
	make_events(16, 30);
	write_keyframe(30);
	make_events(31, EVENTS);
	retain_after(20);
	ck_fails(read_at(25, NULL, &bounds, &state), ESTALE);
	ck_assert_uint_eq(bounds.oldest, 30);
	ck_assert_int_eq(bounds.oldest_ms, 30000);
	agree(30, EVENTS);
	ck_ok(past_is_cut(past, 20, &is_cut));
	ck_assert(is_cut);
	ck_ok(past_is_cut(past, 30, &is_cut));
	ck_assert(!is_cut);
	write_keyframe(EVENTS);
	ck_assert(!statedir_has(name_of(15))); /* no state needs it any more */
	ck_assert(statedir_has(name_of(30)));
}
END_TEST

START_TEST(without_any_keyframe_only_the_latest_state_is_left)
{
	struct past_bounds bounds;
	struct past_state *state;

	make_events(1, EVENTS);
	retain_after(20);
	ck_fails(read_at(EVENTS - 1, NULL, &bounds, &state), ESTALE);
	ck_assert_uint_eq(bounds.oldest, EVENTS);
	ck_assert_int_eq(bounds.oldest_ms, 1000 * EVENTS);
	agree(EVENTS, EVENTS);
}
END_TEST

START_TEST(one_service_is_read_alone)
{
	struct past_bounds bounds;
	struct past_state *state;
	struct instance instance;

	make_events(1, 20);
	write_keyframe(20);
	make_events(21, EVENTS);
	for (uint64_t r = 0; r <= EVENTS; r++) {
		ck_ok(read_at(r, "db", &bounds, &state));
		ck_assert_uint_eq(past_count(state), (then[r][2] != 0) + (then[r][3] != 0));
		for (size_t i = 0; i < past_count(state); i++) {
			past_get(state, i, &instance);
			ck_assert(str_equal(instance.service, STR("db")));
		}
		past_state_free(state);
	}
	for (uint64_t r = 0; r <= EVENTS; r++) {
		struct past_query query = {.revision = r, .service = STR("web"), .id = STR("b")};

		ck_ok(past_read(past, &query, &state, &bounds));
		ck_assert_uint_eq(past_count(state), then[r][1] != 0);
		if (then[r][1] != 0) {
			past_get(state, 0, &instance);
			ck_assert_uint_eq(instance.revision, then[r][1]);
		}
		past_state_free(state);
	}
	ck_ok(read_at(30, "none", &bounds, &state));
	ck_assert_uint_eq(past_count(state), 0);
	past_state_free(state);
}
END_TEST

START_TEST(damage_to_any_byte_of_a_keyframe_is_noticed)
{
	struct keyframe_mark mark;
	char byte;

	make_events(1, EVENTS);
	write_keyframe(EVENTS);
	ck_ok(keyframe_check(dir_fd, EVENTS, &mark));
	int fd = openat(dir_fd, name_of(EVENTS), O_RDWR | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	ck_assert_int_gt(size, 300);
	for (off_t at = 0; at < size; at++) {
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		byte ^= 0x20;
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
		ck_assert_msg(keyframe_check(dir_fd, EVENTS, &mark) == -EBADMSG, "byte %ld",
		              (long)at);
		byte ^= 0x20;
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	}
	ck_ok(keyframe_check(dir_fd, EVENTS, &mark));
	for (off_t cut = size - 1; cut >= 0; cut -= 13) {
		ck_ok(ftruncate(fd, cut));
		ck_fails(keyframe_check(dir_fd, EVENTS, &mark), EBADMSG);
	}
	(void)close(fd);
}
END_TEST

static unsigned damage_findings;

static void count_finding(void *arg, const char *line)
{
	(void)arg;
	damage_findings += strncmp(line, "keyframe 20: damaged", 20) == 0;
}

START_TEST(verifying_names_a_damaged_keyframe_and_finds_the_database_sound)
{
	make_events(1, 20);
	write_keyframe(20);
	journal_close(journal);
	journal = NULL;
	damage_findings = 0;
	ck_ok(journal_verify(statedir_path(), count_finding, NULL));
	ck_assert_uint_eq(damage_findings, 0);
	statedir_damage(name_of(20), 60, 40);
	ck_ok(journal_verify(statedir_path(), count_finding, NULL));
	ck_assert_uint_eq(damage_findings, 1);
}
END_TEST

START_TEST(a_damaged_keyframe_makes_an_older_one_be_used)
{
	make_events(1, 10);
	write_keyframe(10);
	make_events(11, 20);
	write_keyframe(20);
	make_events(21, EVENTS);
	retain_after(9);
	statedir_damage(name_of(20), 60, 40);
	agree(10, EVENTS);
}
END_TEST

START_TEST(the_reported_oldest_revision_can_be_read)
{
	struct past_bounds bounds;
	struct past_state *state;

	make_events(1, 10);
	write_keyframe(10);
	make_events(11, 20);
	write_keyframe(20);
	make_events(21, 30);
	write_keyframe(30);
	make_events(31, EVENTS);
	retain_after(15);
	ck_fails(read_at(16, NULL, &bounds, &state), ESTALE);
	ck_assert_uint_eq(bounds.oldest, 20);
	statedir_damage(name_of(20), 200, 40); /* not in the header, which is sound */
	ck_fails(read_at(16, NULL, &bounds, &state), ESTALE);
	ck_assert_uint_eq(bounds.revision, 16);
	ck_assert_uint_eq(bounds.oldest, 30);
	ck_assert_int_eq(bounds.oldest_ms, 30000);
	agree(30, EVENTS);
}
END_TEST

START_TEST(what_was_called_incomplete_by_hand_is_not_rebuilt)
{
	struct past_bounds bounds;
	struct past_state *state;
	struct past_query query = {.by_time = true, .time_ms = 25000};

	make_events(1, 20);
	write_keyframe(20);
	make_events(21, EVENTS);
	statedir_sql("UPDATE counters SET value = 25 WHERE name = 'removed_through'");
	ck_fails(read_at(28, NULL, &bounds, &state), ESTALE);
	ck_assert_uint_eq(bounds.oldest, EVENTS);
	/* As after a salvage: the log is empty, the instances are there. */
	statedir_sql("UPDATE counters SET value = 1000");
	ck_fails(past_read(past, &query, &state, &bounds), ESTALE);
	ck_assert_uint_eq(bounds.oldest, 1000);
	ck_assert_int_eq(bounds.oldest_ms, 0);
	ck_ok(read_at(1000, NULL, &bounds, &state));
	ck_assert_uint_eq(past_count(state), (then[EVENTS][0] != 0) + (then[EVENTS][1] != 0) +
	                                             (then[EVENTS][2] != 0) +
	                                             (then[EVENTS][3] != 0));
	past_state_free(state);
}
END_TEST

START_TEST(without_memory_a_past_state_is_an_error)
{
	struct past_bounds bounds;
	struct past_state *state;
	int failed = 0;

	make_events(1, 20);
	write_keyframe(20);
	make_events(21, EVENTS);
	for (int n = 0;; n++) {
		fault_arm(n);
		int r = read_at(30, NULL, &bounds, &state);
		if (!fault_hit()) {
			ck_ok(r);
			past_state_free(state);
			break;
		}
		ck_fails(r, ENOMEM);
		failed++;
	}
	ck_assert_int_gt(failed, 3);
	for (int n = 0;; n++) {
		struct past *other = NULL;

		fault_arm(n);
		int r = past_open(statedir_path(), &other);
		if (!fault_hit()) {
			ck_ok(r);
			past_close(other);
			break;
		}
		ck_fails(r, ENOMEM);
		ck_assert_ptr_null(other);
	}
	agree(0, EVENTS);
}
END_TEST

START_TEST(a_disk_error_is_returned_and_not_remembered)
{
	struct past_bounds bounds;
	struct past_state *state;
	unsigned failed = 0;

	make_events(1, EVENTS);
	for (int n = 0;; n++) {
		struct past *other = NULL;

		ck_ok(past_open(statedir_path(), &other));
		struct past_query query = {.revision = 30};
		faultvfs_fail(FAULTVFS_READ, FAULTVFS_ANY, n, SQLITE_IOERR_READ);
		int r = past_read(other, &query, &state, &bounds);
		bool hit = faultvfs_hit();
		faultvfs_reset();
		if (r == 0)
			past_state_free(state);
		else
			ck_assert_msg(r == -EIO, "read %d: %d", n, r);
		if (hit) {
			failed++;
			ck_ok(past_read(other, &query, &state, &bounds));
			past_state_free(state);
		}
		past_close(other);
		if (!hit)
			break;
	}
	ck_assert_uint_gt(failed, 0);
}
END_TEST

START_TEST(there_is_no_past_without_a_journal)
{
	struct past *other = NULL;

	ck_fails(past_open("/nonexistent/rollcall", &other), ENOENT);
	ck_assert_ptr_null(other);
	past_close(NULL);
	past_state_free(NULL);
}
END_TEST

/** Reading one service fails on any damaged row, because that may be one of the service. */
START_TEST(damage_to_any_event_or_instance_is_met_by_a_state_of_one_service)
{
	static const char *const damages[] = {
		"UPDATE events SET service = 'other' WHERE revision = 5",
		"UPDATE events SET id = 'other' WHERE revision = 5",
		"UPDATE events SET incarnation = 3 WHERE revision = 5",
		"DELETE FROM events WHERE revision = 5",
		"DELETE FROM events WHERE revision = 1",
		"DELETE FROM events WHERE revision = 20",
	};
	struct past_query query = {.revision = 20, .service = STR("web"), .id = STR("a")};
	struct past_bounds bounds;
	struct past_state *state = NULL;

	make_events(1, 21);
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		statedir_sql("CREATE TABLE sound AS SELECT * FROM events");
		statedir_sql(damages[i]);
		ck_assert_msg(past_read(past, &query, &state, &bounds) == -EIO, "%s", damages[i]);
		ck_assert(statedir_has("rollcall.db.suspect"));
		ck_ok(unlink(statedir_file("rollcall.db.suspect")));
		statedir_sql("DELETE FROM events");
		statedir_sql("INSERT INTO events SELECT * FROM sound");
		statedir_sql("DROP TABLE sound");
	}
	ck_ok(past_read(past, &query, &state, &bounds));
	past_state_free(state);

	/* The present state, because no keyframe reaches back to before the cut. */
	statedir_sql("UPDATE counters SET value = 21");
	query.revision = 21;
	ck_ok(past_read(past, &query, &state, &bounds));
	past_state_free(state);
	statedir_sql("UPDATE instances SET service = 'other'");
	ck_fails(past_read(past, &query, &state, &bounds), EIO);
}
END_TEST

/** Only a floor that was raised by hand may leave a gap in the revisions. */
START_TEST(a_raised_floor_is_no_missing_event)
{
	struct past_query query = {.service = STR("web")};
	struct past_bounds bounds;
	struct past_state *state = NULL;
	struct event event = statedir_event(EVENT_REGISTERED, "db", "z");

	make_events(1, 10);
	past_close(past);
	journal_close(journal);
	statedir_sql("UPDATE counters SET value = 100 WHERE name = 'revision_floor'");
	journal = statedir_open();
	ck_ok(past_open(statedir_path(), &past));
	ck_ok(journal_append(journal, &event, 1));
	ck_assert_uint_eq(event.revision, 101);
	static const uint64_t sound[] = {3, 10, 50, 100, 101};
	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		query.revision = sound[i];
		ck_ok(past_read(past, &query, &state, &bounds));
		past_state_free(state);
	}
	statedir_sql("DELETE FROM events WHERE revision = 5");
	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		query.revision = sound[i];
		int r = past_read(past, &query, &state, &bounds);
		ck_assert_int_eq(r, sound[i] < 5 ? 0 : -EIO);
		if (r == 0)
			past_state_free(state);
	}
}
END_TEST

/** Bisection compares the times of events, so each row that it reads must be sound. */
START_TEST(a_damaged_time_does_not_lead_to_another_state)
{
	struct past_query query = {.by_time = true, .time_ms = 5500};
	struct past_bounds bounds;
	struct past_state *state = NULL;

	make_events(1, EVENTS);
	statedir_sql("UPDATE events SET time_ms = 1000000 WHERE revision = 20");
	ck_fails(past_read(past, &query, &state, &bounds), EIO);
}
END_TEST

START_TEST(a_keyframe_of_another_history_is_not_used)
{
	uint64_t newest = 0;
	int64_t ms = 0;

	make_events(1, 10);
	write_keyframe(10);
	make_events(11, 20);
	write_keyframe(20);
	ck_ok(past_newest_keyframe(past, &newest, &ms));
	ck_assert_uint_eq(newest, 20);
	/* The event of that revision is not the one that the keyframe follows. */
	const struct keyframe_mark other = {.revision = 20, .time_ms = 20000, .checksum = 1};
	struct keyframe_draft draft;
	keyframe_init(&draft);
	ck_ok(keyframe_write(&draft, dir_fd, &other));
	keyframe_fini(&draft);
	ck_ok(past_newest_keyframe(past, &newest, &ms));
	ck_assert_uint_eq(newest, 10);
	ck_assert_int_eq(ms, 10000);
	agree(0, 19);
	make_events(21, EVENTS);
	write_keyframe(EVENTS);
	ck_assert(!statedir_has(name_of(20)));
}
END_TEST

START_TEST(a_time_stands_for_the_last_event_up_to_it)
{
	struct past_bounds bounds;
	struct past_state *state;
	struct past_query query = {.by_time = true};

	make_events(1, EVENTS);
	for (int64_t ms = 0; ms <= 1000 * (EVENTS + 1); ms += 500) {
		uint64_t expected = (uint64_t)(ms / 1000);

		query.time_ms = ms;
		ck_ok(past_read(past, &query, &state, &bounds));
		ck_assert_uint_eq(bounds.revision, expected < EVENTS ? expected : EVENTS);
		past_state_free(state);
	}
	retain_after(20);
	query.time_ms = 20999;
	ck_fails(past_read(past, &query, &state, &bounds), ESTALE);
	query.time_ms = INT64_MAX;
	ck_fails(past_read(past, &query, &state, &bounds), ERANGE);
	bounds.latest = 0;
	ck_fails(read_at(EVENTS + 1, NULL, &bounds, &state), ERANGE);
	ck_assert_uint_eq(bounds.latest, EVENTS);
}
END_TEST

START_TEST(a_keyframe_needs_its_event)
{
	struct keyframe_draft draft;
	int64_t ms = 0;

	make_events(1, 5);
	keyframe_init(&draft);
	ck_fails(past_put_keyframe(past, &draft, 6, &ms), ENOENT);
	keyframe_fini(&draft);
	ck_assert_ptr_null(statedir_find(KEYFRAME_PREFIX));
}
END_TEST

START_TEST(what_a_crash_left_unfinished_is_removed_and_other_names_are_left_alone)
{
	uint64_t list[KEYFRAMES_MAX];
	size_t count = 9;
	static const char *const names[] = {"rollcall.keyframe.partial", "rollcall.keyframe-12",
	                                    "rollcall.keyframe-000000000000000x"};

	for (size_t i = 0; i < 3; i++) {
		int fd = openat(dir_fd, names[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		ck_assert_int_ge(fd, 0);
		(void)close(fd);
	}
	past_close(past);
	ck_ok(past_open(statedir_path(), &past));
	ck_assert(!statedir_has(names[0]));
	ck_assert(statedir_has(names[1]));
	ck_assert(statedir_has(names[2]));
	ck_ok(keyframe_list(dir_fd, list, &count));
	ck_assert_uint_eq(count, 0);
}
END_TEST

SUITE("past", setup, teardown, each_state_is_that_of_the_model_with_and_without_keyframes,
      a_state_begins_with_a_keyframe, what_is_older_than_the_first_keyframe_left_is_refused,
      without_any_keyframe_only_the_latest_state_is_left, one_service_is_read_alone,
      damage_to_any_byte_of_a_keyframe_is_noticed,
      verifying_names_a_damaged_keyframe_and_finds_the_database_sound,
      a_damaged_keyframe_makes_an_older_one_be_used, the_reported_oldest_revision_can_be_read,
      what_was_called_incomplete_by_hand_is_not_rebuilt, without_memory_a_past_state_is_an_error,
      a_disk_error_is_returned_and_not_remembered, there_is_no_past_without_a_journal,
      damage_to_any_event_or_instance_is_met_by_a_state_of_one_service,
      a_raised_floor_is_no_missing_event, a_damaged_time_does_not_lead_to_another_state,
      a_keyframe_of_another_history_is_not_used, a_time_stands_for_the_last_event_up_to_it,
      a_keyframe_needs_its_event,
      what_a_crash_left_unfinished_is_removed_and_other_names_are_left_alone)
