/* SPDX-License-Identifier: MIT */
/**
 * Events and instances as rows. Each carries a checksum (CRC-32) over all its content, made when it
 * is written and compared when it is read.
 */
#pragma once

#include "base/attr.h"
#include "model/event.h"

#include <sqlite3.h>

/* Columns in the order in which row_bind_x() and row_x() use them: 20 of an instance, and of an
 * event the same and five more. */
#define ROW_INSTANCE                                                         \
	"revision, checksum, service, id, incarnation, host, port, weight, " \
	"ttl_ms, remove_after_ms, wants_drain, lease_out, drained, "         \
	"drained_until_ms, status_reason, status_by, status_since_ms, "      \
	"registered_ms, metadata_count, metadata"
#define ROW_EVENT         ROW_INSTANCE ", time_ms, kind, author, agent, reason"
#define ROW_INSTANCE_BIND "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?"
#define ROW_EVENT_BIND    ROW_INSTANCE_BIND ",?,?,?,?,?"

/** Whatever carries a revision has at most this one: exact in JSON readers that use doubles. */
#define ROW_REVISION_MAX ((int64_t)1 << 53)

/** Binds what must stay as it is until the statement has run. @return 0 or -ENOMEM */
int row_bind_instance(sqlite3_stmt *stmt, const struct instance *instance) MUST_USE;
int row_bind_event(sqlite3_stmt *stmt, const struct event *event) MUST_USE;
/**
 * Reads the current row; its strings are borrowed until the next step.
 * @return 0; -EBADMSG: the checksum does not match, or a value is none that we write; -ENOMEM
 */
int row_instance(sqlite3_stmt *stmt, struct instance *ret_instance) MUST_USE;
int row_event(sqlite3_stmt *stmt, struct event *ret_event) MUST_USE;
