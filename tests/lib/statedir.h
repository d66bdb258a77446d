/* SPDX-License-Identifier: MIT */
/** The state directory of one test, and events with a value in each field. */
#pragma once

#include "journal/journal.h"
#include "model/event.h"

#include <stdbool.h>

/** Makes an empty directory; statedir_remove() removes it and its files. */
void statedir_make(void);
void statedir_remove(void);
const char *statedir_path(void);
/** Path of @p name in the directory, valid until the eighth call after this one. */
const char *statedir_file(const char *name);
bool statedir_has(const char *name);
/** First entry whose name begins with @p prefix; NULL when there is none. */
const char *statedir_find(const char *prefix);
/** Copies the file @p name, if it exists, to the directory @p to. */
void statedir_copy(const char *name, const char *to);
/** Overwrites @p len bytes of the file @p name from @p offset on. */
void statedir_damage(const char *name, long offset, long len);
/** Runs @p sql on the database file of the directory; the test fails when it cannot. */
void statedir_sql(const char *sql);
/** The integer that the query @p sql returns. */
long long statedir_number(const char *sql);

/** Opens the journal without retention; the test fails when it cannot. */
struct journal *statedir_open(void);

/** An event with a value in each field. Strings are borrowed. */
struct event statedir_event(enum event_kind kind, const char *service, const char *id);
/** The same for an instance that is registered already. */
struct event statedir_event_of(enum event_kind kind, const struct instance *instance);
