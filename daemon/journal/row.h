/* SPDX-License-Identifier: MIT */
/**
 * Events, instances and entries as rows of the database. Each row carries a version, by which its
 * reader knows its fields, and a CRC-32 over all of them, which is computed when the row is written
 * and compared when it is read.
 *
 * Thread: the one that uses the statement's connection.
 */
#pragma once

#include "base/attr.h"
#include "model/event.h"

#include <sqlite3.h>

/* Columns in the order in which row_bind_x() and row_x() use them: the checksum, the version, the
 * fields of the instance or entry in the order of their list, and then an event's own fields. */
#define ROW_NAME(type, member, ...) ", " #member
#define ROW_PLACEHOLDER(...)        ",?"
#define ROW_INSTANCE                "checksum, version" INSTANCE_FIELDS(ROW_NAME)
#define ROW_EVENT                   ROW_INSTANCE EVENT_FIELDS(ROW_NAME) ", entry, document"
#define ROW_ENTRY                   "checksum, version" ENTRY_FIELDS(ROW_NAME)
#define ROW_INSTANCE_BIND           "?,?" INSTANCE_FIELDS(ROW_PLACEHOLDER)
#define ROW_EVENT_BIND              ROW_INSTANCE_BIND EVENT_FIELDS(ROW_PLACEHOLDER) ",?,?"
#define ROW_ENTRY_BIND              "?,?" ENTRY_FIELDS(ROW_PLACEHOLDER)

/* The index of each column: ROW_revision, ROW_ENTRY_name, ... */
#define ROW_COLUMN(type, member, ...)       ROW_##member,
#define ROW_ENTRY_COLUMN(type, member, ...) ROW_ENTRY_##member,
enum row_entry_column { ROW_ENTRY_FIRST = 1, ENTRY_FIELDS(ROW_ENTRY_COLUMN) };
enum row_column { ROW_CHECKSUM, ROW_VERSION, INSTANCE_FIELDS(ROW_COLUMN) EVENT_FIELDS(ROW_COLUMN) };

/* The same columns, selected from a database of the first schema. */
#define ROW_NAME_001(type, member, place, since, ...) ROW_SINCE_##since(member)
#define ROW_SINCE_1(member)                           ", " #member
#define ROW_SINCE_2(member)                           ", NULL"
#define ROW_INSTANCE_001                              "checksum, 1" INSTANCE_FIELDS(ROW_NAME_001)
#define ROW_EVENT_001                                 ROW_INSTANCE_001 EVENT_FIELDS(ROW_NAME_001) ", 0, ''"

/** The greatest revision: readers of JSON that use doubles represent it exactly. */
#define ROW_REVISION_MAX ((int64_t)1 << 53)

/** Binds all fields, the version and the checksum. The strings are borrowed until the statement has
 * run. @return 0 or -ENOMEM */
int row_bind_instance(sqlite3_stmt *stmt, const struct instance *instance) MUST_USE;
int row_bind_entry(sqlite3_stmt *stmt, const struct entry *entry) MUST_USE;
int row_bind_event(sqlite3_stmt *stmt, const struct event *event) MUST_USE;
/**
 * Reads and verifies the current row. The strings are borrowed until the statement's next step.
 * @return 0; -EBADMSG: the checksum does not match, or a value is one that rollcall does not write;
 * -ENOMEM
 */
int row_instance(sqlite3_stmt *stmt, struct instance *ret_instance) MUST_USE;
int row_entry(sqlite3_stmt *stmt, struct entry *ret_entry) MUST_USE;
int row_event(sqlite3_stmt *stmt, struct event *ret_event) MUST_USE;
