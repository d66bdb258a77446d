/* SPDX-License-Identifier: MIT */
/**
 * A journal with known content for tests of damaged files: MANY instances, of which each third was
 * updated and each fifth removed (fill()). The clock is virtual, so revisions are known, and the
 * files are behind the fault VFS.
 */
#pragma once

#include "base/clock.h"
#include "faultvfs.h"
#include "journal/journal.h"
#include "journal/keyframe.h"
#include "journal/past.h"
#include "statedir.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANY   300
#define NOW_MS 1790000000000
#define PAGE   4096L

static struct journal *journal;
static bool seen[MANY];
static size_t count;
static uint64_t last_incarnation;
static char findings[1 << 16];

static inline int see(void *arg, const struct instance *instance)
{
	char id[16] = "";

	(void)arg;
	memcpy(id, instance->id.data, instance->id.len < 15 ? instance->id.len : 15);
	int n = atoi(id);
	ck_assert_int_lt(n, MANY);
	ck_assert(!seen[n]); /* restored once only */
	ck_assert_uint_gt(instance->incarnation, last_incarnation);
	last_incarnation = instance->incarnation;
	seen[n] = true;
	count++;
	return 0;
}

static size_t instances(void)
{
	memset(seen, 0, sizeof(seen));
	count = 0;
	last_incarnation = 0;
	ck_ok(journal_restore(journal, see, NULL));
	return count;
}

static inline void put(enum event_kind kind, int n)
{
	static char ids[MANY][16];
	static uint64_t incarnations[MANY];
	struct event event;

	(void)snprintf(ids[n], sizeof(ids[n]), "%d", n);
	event = statedir_event(kind, "a", ids[n]);
	if (kind != EVENT_REGISTERED)
		event.instance.incarnation = incarnations[n];
	ck_ok(journal_append(journal, &event, 1));
	incarnations[n] = event.instance.incarnation;
}

/** MANY instances; each third was updated, each fifth removed. */
static inline void fill(void)
{
	for (int n = 0; n < MANY; n++)
		put(EVENT_REGISTERED, n);
	for (int n = 0; n < MANY; n += 3)
		put(EVENT_UPDATED, n);
	for (int n = 0; n < MANY; n += 5)
		put(EVENT_DEREGISTERED, n);
}

#define LEFT (MANY - MANY / 5)

static inline bool is_left(int n)
{
	return n % 5 != 0;
}

static inline void setup(void)
{
	faultvfs_install();
	clock_virtual_set(NOW_MS);
	statedir_make();
	findings[0] = '\0';
	journal = statedir_open();
	fill();
}

/** Writes the keyframe of the registry, which has one service, at @p revision. */
static inline void write_keyframe(uint64_t revision)
{
	struct keyframe_draft draft;
	struct past *past = NULL;
	struct past_state *state = NULL;
	struct past_bounds bounds;
	struct past_query query = {.revision = revision};
	struct instance instance;
	struct entry entry;
	int64_t ms;

	ck_ok(past_open(statedir_path(), &past));
	ck_ok(past_read(past, &query, &state, &bounds));
	keyframe_init(&draft);
	for (size_t i = 0; i < past_count(state); i++) {
		past_get(state, i, &instance);
		keyframe_add(&draft, &instance);
	}
	for (size_t i = 0; i < past_entry_count(state); i++) {
		past_get_entry(state, i, &entry);
		keyframe_add_entry(&draft, &entry);
	}
	keyframe_end(&draft);
	ck_ok(past_put_keyframe(past, &draft, revision, &ms));
	keyframe_fini(&draft);
	past_state_free(state);
	past_close(past);
}

static inline void close_it(void)
{
	journal_close(journal);
	journal = NULL;
}

static inline void teardown(void)
{
	close_it();
	statedir_remove();
	clock_virtual_off();
}

static inline long file_size(void)
{
	struct stat status;

	ck_assert_int_eq(stat(statedir_file("rollcall.db"), &status), 0);
	return status.st_size;
}

/**
 * Makes the tree of @p table lead back to its own pages, in the closed file. Every way through it
 * is another: there are at least 13 to the power of 12.
 */
static inline void tie_tree(const char *table)
{
	unsigned char root[PAGE];
	char sql[96];
	long pages[16];

	(void)snprintf(sql, sizeof(sql), "SELECT rootpage FROM sqlite_schema WHERE name = '%s'",
	               table);
	long at = (long)statedir_number(sql);
	int fd = open(statedir_file("rollcall.db"), O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, root, PAGE, (at - 1) * PAGE), PAGE);
	ck_assert_int_eq(root[0], 5); /* an interior page */
	int cells = root[3] << 8 | root[4];
	ck_assert_int_ge(cells, 13);
	for (int level = 12; level >= 0; level--) {
		long next = 0;

		/* its children are all the page that the level below took */
		for (int cell = 0; cell < cells; cell++) {
			unsigned char *child =
				root + (root[12 + 2 * cell] << 8 | root[13 + 2 * cell]);

			if (level == 12) {
				pages[cell < 16 ? cell : 15] = child[2] << 8 | child[3];
				continue;
			}
			next = pages[level + 1];
			child[2] = (unsigned char)(next >> 8);
			child[3] = (unsigned char)next;
		}
		if (level == 12)
			continue;
		root[10] = (unsigned char)(next >> 8);
		root[11] = (unsigned char)next;
		long to = level == 0 ? at : pages[level];
		ck_assert_int_eq(pwrite(fd, root, PAGE, (to - 1) * PAGE), PAGE);
	}
	ck_assert_int_eq(close(fd), 0);
}

static inline void say(void *arg, const char *line)
{
	size_t len = strlen(findings);

	(void)arg;
	(void)snprintf(findings + len, sizeof(findings) - len, "%s\n", line);
}

static inline int verify(void)
{
	findings[0] = '\0';
	return journal_verify(statedir_path(), say, NULL);
}

/** The journal was salvaged and accepts events, with revisions above any it had assigned before. */
static inline void expect_salvaged(uint64_t before)
{
	char name[64];

	ck_assert_int_eq(journal_found(journal), JOURNAL_FOUND_CORRUPT);
	ck_assert_ptr_nonnull(statedir_find("rollcall.db.corrupt-"));
	(void)snprintf(name, sizeof(name), "%s", statedir_find("rollcall.db.corrupt-"));
	ck_assert_ptr_nonnull(strstr(journal_trouble(journal), "rollcall.db.corrupt-"));
	ck_assert(!statedir_has("rollcall.db.salvaged"));
	ck_assert(!statedir_has("rollcall.db.building"));
	ck_assert(!statedir_has("rollcall.db.suspect"));
	ck_assert_uint_ge(journal_revision(journal), before);
	ck_assert_uint_ge(journal_revision(journal), NOW_MS);

	struct event event = statedir_event(EVENT_REGISTERED, "b", "0");
	before = journal_revision(journal);
	ck_ok(journal_append(journal, &event, 1));
	ck_assert_uint_gt(event.revision, before);
	struct event gone = statedir_event_of(EVENT_DEREGISTERED, &event.instance);
	ck_ok(journal_append(journal, &gone, 1));
}

static inline void expect_all_left(void)
{
	ck_assert_uint_eq(instances(), LEFT);
	for (int n = 0; n < MANY; n++)
		ck_assert_int_eq(seen[n], is_left(n));
}
