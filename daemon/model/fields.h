/* SPDX-License-Identifier: MIT */
/**
 * The stored fields of an instance, an entry and an event, as X-macro lists. The code generates
 * from these lists: the columns and checksums of rows (journal/row.c), the packed bytes of
 * keyframes (journal/pack.c), JSON and comparison (model/instance.c, ...), the lines of an export
 * (backup/record.c), and what a verification compares. To add a field, add one line here, the
 * member of the struct, and the column in a migration.
 *
 *	X(type, member, place, since, part, json, name)
 *
 *	type    NUMBER, FLAG (a bool), TEXT (a struct str) or BYTES (a struct str that may hold NUL)
 *	member  member of the struct; the column has the same name
 *	place   index in checksums and packed bytes: among the numbers, the bits of the flags, or
 *	        the strings. It is stored: never change or reuse one. A new field gets the greatest
 *	        place plus one
 *	since   the first FIELDS_VERSION that has the field
 *	part    RECORD: the owner registers it; STATE: the registry adds it
 *	json    how model/ writes it, in the order of this list: the name of a PUT_... macro there.
 *	        NONE: not written; CLOSE: written by instance_put_json_close()
 *	name    its key in JSON
 */
#pragma once

/* The version that the journal writes. */
#define FIELDS_VERSION 2

/* clang-format off */
/* All flags together are one number, at this place. */
#define INSTANCE_FLAGS_PLACE 6
#define INSTANCE_FIELDS(X)                                                        \
	X(TEXT,   service,           0, 1, RECORD, FIRST,    "service")           \
	X(TEXT,   id,                1, 1, RECORD, TEXT,     "id")                \
	X(TEXT,   host,              2, 1, RECORD, TEXT,     "host")              \
	X(NUMBER, port,              2, 1, RECORD, PORT,     "port")              \
	X(NUMBER, weight,            3, 1, RECORD, NUMBER,   "weight")            \
	X(BYTES,  metadata,          5, 1, RECORD, METADATA, "metadata")          \
	X(NUMBER, metadata_count,   10, 1, RECORD, NONE,     "")                  \
	X(NUMBER, ttl_ms,            4, 1, RECORD, NUMBER,   "ttl_ms")            \
	X(NUMBER, remove_after_ms,   5, 1, RECORD, NUMBER,   "remove_after_ms")   \
	X(FLAG,   wants_drain,       0, 1, RECORD, NONE,     "")                  \
	X(FLAG,   reports_unhealthy, 3, 2, RECORD, NONE,     "")                  \
	X(FLAG,   lease_out,         1, 1, STATE,  NONE,     "")                  \
	X(FLAG,   drained,           2, 1, STATE,  STATUS,   "status")            \
	X(TEXT,   status_reason,     3, 1, STATE,  TEXT,     "status_reason")     \
	X(TEXT,   status_by,         4, 1, STATE,  TEXT,     "status_by")         \
	X(NUMBER, status_since_ms,   8, 1, STATE,  TIME,     "status_since")      \
	X(NUMBER, drained_until_ms,  7, 1, STATE,  UNTIL,    "draining_until")    \
	X(NUMBER, registered_ms,     9, 1, STATE,  TIME,     "registered_at")     \
	X(TEXT,   owner,             6, 2, STATE,  NONE,     "")                  \
	X(NUMBER, incarnation,       1, 1, STATE,  CLOSE,    "incarnation")       \
	X(NUMBER, revision,          0, 1, STATE,  CLOSE,    "revision")

/* The lists of an event and of an entry have no flags. */
#define ENTRY_FIELDS(X)                                                           \
	X(NUMBER, kind,              2, 2, STATE,  FIRST,    "kind")              \
	X(TEXT,   service,           0, 2, STATE,  TEXT,     "service")           \
	X(TEXT,   name,              1, 2, STATE,  TEXT,     "name")              \
	X(TEXT,   document,          2, 2, STATE,  DOCUMENT, "document")          \
	X(TEXT,   author,            3, 2, STATE,  TEXT,     "author")            \
	X(NUMBER, time_ms,           3, 2, STATE,  TIME,     "time")              \
	X(NUMBER, incarnation,       1, 2, STATE,  NUMBER,   "incarnation")       \
	X(NUMBER, revision,          0, 2, STATE,  NUMBER,   "revision")

/*
 * The fields of an event besides its subject; the event's revision is the subject's. The row of an
 * event about an entry uses the columns of an instance for the entry's service, name, incarnation
 * and revision (the other instance columns are empty), the columns below for its author and time,
 * and two more columns for its kind and document.
 */
#define EVENT_ENTRY_PLACE    2 /* among the numbers: the entry's kind; 0: not about an entry */
#define EVENT_DOCUMENT_PLACE 6 /* among the strings: the entry's document */
#define EVENT_ENTRY_SINCE    2
#define EVENT_FIELDS(X)                                                           \
	X(NUMBER, time_ms,           0, 1, STATE,  TIME,     "time")              \
	X(NUMBER, kind,              1, 1, STATE,  KIND,     "kind")              \
	X(TEXT,   author,            0, 1, STATE,  TEXT,     "author")            \
	X(TEXT,   agent,             1, 1, STATE,  OPTIONAL, "agent")             \
	X(TEXT,   reason,            2, 1, STATE,  OPTIONAL, "reason")            \
	X(TEXT,   peer,              3, 2, STATE,  OPTIONAL, "peer")              \
	X(TEXT,   via,               4, 2, STATE,  NONE,     "")                  \
	X(TEXT,   trace,             5, 2, STATE,  NONE,     "")
/* clang-format on */
