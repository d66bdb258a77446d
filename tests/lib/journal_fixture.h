/* SPDX-License-Identifier: MIT */
/** One journal in a state directory behind the fault VFS, and copies of what visits returned. */
#pragma once

#include "faultvfs.h"
#include "journal/journal.h"
#include "statedir.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MANY 2500

static struct journal *journal;

/* A copy of one visited instance or event: the strings of a visit are borrowed. */
struct seen {
	char service[128];
	char id[128];
	char metadata[128];
	char text[3][64];
	struct instance instance; /* do not use its strings */
	struct event event;
};
static struct seen seen[MANY];
static size_t seen_count;
static size_t stop_after;

static inline void copy(char *out, size_t size, struct str text)
{
	ck_assert_uint_lt(text.len, size);
	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
}

static inline int see(void *arg, const struct instance *instance)
{
	struct seen *s = &seen[seen_count];

	(void)arg;
	ck_assert_uint_lt(seen_count, MANY);
	seen_count++;
	copy(s->service, sizeof(s->service), instance->service);
	copy(s->id, sizeof(s->id), instance->id);
	copy(s->metadata, sizeof(s->metadata), instance->metadata);
	copy(s->text[0], sizeof(s->text[0]), instance->host);
	copy(s->text[1], sizeof(s->text[1]), instance->status_reason);
	copy(s->text[2], sizeof(s->text[2]), instance->status_by);
	s->instance = *instance;
	return stop_after > 0 && seen_count == stop_after ? -ECANCELED : 0;
}

static inline int see_event(void *arg, const struct event *event)
{
	struct seen *s = &seen[seen_count];
	int r = see(arg, &event->instance);

	copy(s->text[0], sizeof(s->text[0]), event->author);
	copy(s->text[1], sizeof(s->text[1]), event->agent);
	copy(s->text[2], sizeof(s->text[2]), event->reason);
	s->event = *event;
	return r;
}

static inline void restore(void)
{
	seen_count = 0;
	ck_ok(journal_restore(journal, see, NULL));
}

static inline void reopen(void)
{
	journal_close(journal);
	journal = statedir_open();
}

static inline void append(struct event *event)
{
	ck_ok(journal_append(journal, event, 1));
}

/** Registers the instances 0 .. MANY-1 of service a in batches of 100; n has time 1000 + n. */
static inline void append_many(void)
{
	static char ids[MANY][8];
	static struct event events[100];

	for (int n = 0; n < MANY; n++) {
		(void)snprintf(ids[n], sizeof(ids[n]), "%d", n);
		events[n % 100] = statedir_event(EVENT_REGISTERED, "a", ids[n]);
		events[n % 100].time_ms = 1000 + n;
		if (n % 100 == 99)
			ck_ok(journal_append(journal, events, 100));
	}
}

/** Appends @p count registrations in batches of one. */
static inline void append_some(int count)
{
	for (int n = 0; n < count; n++) {
		char id[32];

		(void)snprintf(id, sizeof(id), "some-%llu",
		               (unsigned long long)journal_revision(journal));
		struct event event = statedir_event(EVENT_REGISTERED, "a", id);
		append(&event);
	}
}

static inline void setup(void)
{
	faultvfs_install();
	statedir_make();
	seen_count = 0;
	stop_after = 0;
	journal = statedir_open();
}

static inline void teardown(void)
{
	journal_close(journal);
	journal = NULL;
	statedir_remove();
}

static inline struct journal_reader *open_reader(void)
{
	struct journal_reader *reader = NULL;

	ck_ok(journal_reader_open(statedir_path(), &reader));
	return reader;
}

static inline int read_events(const struct journal_query *query, uint64_t *ret_last,
                              uint64_t *ret_oldest)
{
	struct journal_reader *reader = open_reader();
	int r;

	seen_count = 0;
	r = journal_reader_events(reader, query, see_event, NULL, ret_last, ret_oldest);
	journal_reader_close(reader);
	return r;
}
