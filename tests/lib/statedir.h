/* SPDX-License-Identifier: MIT */
/** A state directory of one test, and events to fill it with. */
#pragma once

#include "journal/journal.h"
#include "model/event.h"

#include <stdbool.h>

/** Makes an empty directory; statedir_remove() removes it with all in it. */
void statedir_make(void);
void statedir_remove(void);
const char *statedir_path(void);
/** Path of @p name in it, valid until eight more calls. */
const char *statedir_file(const char *name);
bool statedir_has(const char *name);
/** First entry whose name begins with @p prefix; NULL when there is none. */
const char *statedir_find(const char *prefix);
/** Copies @p name of it, if it is there, to the directory @p to. */
void statedir_copy(const char *name, const char *to);
/** Overwrites @p len bytes of @p name from @p offset with noise. */
void statedir_damage(const char *name, long offset, long len);
/** Runs @p sql on the database file of the directory; stops the test when it cannot. */
void statedir_sql(const char *sql);
/** The one integer that @p sql gives. */
long long statedir_number(const char *sql);

/** Opens with no retention; stops the test when it cannot. */
struct journal *statedir_open(void);

/** An event with something in each field. Strings are borrowed. */
struct event statedir_event(enum event_kind kind, const char *service, const char *id);
/** The same for an instance that is registered already. */
struct event statedir_event_of(enum event_kind kind, const struct instance *instance);
