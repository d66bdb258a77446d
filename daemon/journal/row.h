/* SPDX-License-Identifier: MIT */
/**
 * Events, instances and entries as rows. Each carries a version, which says what fields it has, and
 * a checksum (CRC-32) over all of them, made when it is written and compared when it is read.
 */
#pragma once

#include "base/attr.h"
#include "model/event.h"

#include <sqlite3.h>

/* Columns in the order in which row_bind_x() and row_x() use them: the checksum, the version, the
 * fields of an instance in the order of their list, and of an event its own fields behind them. */
#define ROW_NAME(type, member, ...) ", " #member
#define ROW_PLACEHOLDER(...)        ",?"
#define ROW_INSTANCE                "checksum, version" INSTANCE_FIELDS(ROW_NAME)
#define ROW_EVENT                   ROW_INSTANCE EVENT_FIELDS(ROW_NAME) ", entry, document"
#define ROW_ENTRY                   "checksum, version" ENTRY_FIELDS(ROW_NAME)
#define ROW_INSTANCE_BIND           "?,?" INSTANCE_FIELDS(ROW_PLACEHOLDER)
#define ROW_EVENT_BIND              ROW_INSTANCE_BIND EVENT_FIELDS(ROW_PLACEHOLDER) ",?,?"
#define ROW_ENTRY_BIND              "?,?" ENTRY_FIELDS(ROW_PLACEHOLDER)

/* Where each column stands: ROW_revision, ... */
#define ROW_COLUMN(type, member, ...)       ROW_##member,
#define ROW_ENTRY_COLUMN(type, member, ...) ROW_ENTRY_##member,
enum row_entry_column { ROW_ENTRY_FIRST = 1, ENTRY_FIELDS(ROW_ENTRY_COLUMN) };
enum row_column { ROW_CHECKSUM, ROW_VERSION, INSTANCE_FIELDS(ROW_COLUMN) EVENT_FIELDS(ROW_COLUMN) };

/* The same of a file that has not been migrated from the first schema. */
#define ROW_NAME_001(type, member, place, since, ...) ROW_SINCE_##since(member)
#define ROW_SINCE_1(member)                           ", " #member
#define ROW_SINCE_2(member)                           ", NULL"
#define ROW_INSTANCE_001                              "checksum, 1" INSTANCE_FIELDS(ROW_NAME_001)
#define ROW_EVENT_001                                 ROW_INSTANCE_001 EVENT_FIELDS(ROW_NAME_001) ", 0, ''"

/** Whatever carries a revision has at most this one: exact in JSON readers that use doubles. */
#define ROW_REVISION_MAX ((int64_t)1 << 53)

/** Binds what must stay as it is until the statement has run. @return 0 or -ENOMEM */
int row_bind_instance(sqlite3_stmt *stmt, const struct instance *instance) MUST_USE;
int row_bind_entry(sqlite3_stmt *stmt, const struct entry *entry) MUST_USE;
int row_bind_event(sqlite3_stmt *stmt, const struct event *event) MUST_USE;
/**
 * Reads the current row; its strings are borrowed until the next step.
 * @return 0; -EBADMSG: the checksum does not match, or a value is none that we write; -ENOMEM
 */
int row_instance(sqlite3_stmt *stmt, struct instance *ret_instance) MUST_USE;
int row_entry(sqlite3_stmt *stmt, struct entry *ret_entry) MUST_USE;
int row_event(sqlite3_stmt *stmt, struct event *ret_event) MUST_USE;
