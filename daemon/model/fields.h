/* SPDX-License-Identifier: MIT */
/**
 * The one list of the stored fields of an instance and of an event. From it follow the columns and
 * checksums of rows (journal/row.c), the packed bytes of keyframes (journal/pack.c), JSON and
 * comparison (model/instance.c, model/event.c) and what a verification compares. A new field is one
 * line here, the member of the struct, and the column in a migration.
 *
 *	X(type, member, place, part, json, name)
 *
 *	type    NUMBER, FLAG (a bool), TEXT (a struct str) or BYTES (one that may hold NUL)
 *	member  of the struct; the column has the same name
 *	place   in checksums and packed bytes: among the numbers, the bits of the flags, or the
 *	        strings. It is stored: never change or reuse one, the next is one more than the
 *greatest part    RECORD: what the owner registers; STATE: what the registry adds json    how
 *model/ writes it, in the order of this list (PUT_... there); NONE: it does not; CLOSE:
 *instance_put_json_close() does name    in JSON
 */
#pragma once

/* clang-format off */
/* All flags are one number, at this place. */
#define INSTANCE_FLAGS_PLACE 6
#define INSTANCE_FIELDS(X)                                                        \
	X(TEXT,   service,           0, RECORD, FIRST,    "service")              \
	X(TEXT,   id,                1, RECORD, TEXT,     "id")                   \
	X(TEXT,   host,              2, RECORD, TEXT,     "host")                 \
	X(NUMBER, port,              2, RECORD, PORT,     "port")                 \
	X(NUMBER, weight,            3, RECORD, NUMBER,   "weight")               \
	X(BYTES,  metadata,          5, RECORD, METADATA, "metadata")             \
	X(NUMBER, metadata_count,   10, RECORD, NONE,     "")                     \
	X(NUMBER, ttl_ms,            4, RECORD, NUMBER,   "ttl_ms")               \
	X(NUMBER, remove_after_ms,   5, RECORD, NUMBER,   "remove_after_ms")      \
	X(FLAG,   wants_drain,       0, RECORD, NONE,     "")                     \
	X(FLAG,   lease_out,         1, STATE,  NONE,     "")                     \
	X(FLAG,   drained,           2, STATE,  STATUS,   "status")               \
	X(TEXT,   status_reason,     3, STATE,  TEXT,     "status_reason")        \
	X(TEXT,   status_by,         4, STATE,  TEXT,     "status_by")            \
	X(NUMBER, status_since_ms,   8, STATE,  TIME,     "status_since")         \
	X(NUMBER, drained_until_ms,  7, STATE,  UNTIL,    "draining_until")       \
	X(NUMBER, registered_ms,     9, STATE,  TIME,     "registered_at")        \
	X(NUMBER, incarnation,       1, STATE,  CLOSE,    "incarnation")          \
	X(NUMBER, revision,          0, STATE,  CLOSE,    "revision")

/* Of an event besides its instance and its revision, which is the instance's. */
#define EVENT_FIELDS(X)                                                           \
	X(NUMBER, time_ms,           0, STATE,  TIME,     "time")                 \
	X(NUMBER, kind,              1, STATE,  KIND,     "kind")                 \
	X(TEXT,   author,            0, STATE,  TEXT,     "author")               \
	X(TEXT,   agent,             1, STATE,  OPTIONAL, "agent")                \
	X(TEXT,   reason,            2, STATE,  OPTIONAL, "reason")
/* clang-format on */
