/* SPDX-License-Identifier: MIT */
/**
 * The log: one line for each event that an operator needs. The text is lower case without a full
 * stop; facts follow as key=value pairs:
 *
 *	log_event(LOG_INFO, "expired", "service", name, "id", id, NULL);
 *	log_line(LOG_WARNING, "cannot open '%s': %s", path, strerror(errno));
 *
 * log_open() sets the format: journald's native protocol with fields (KEY in upper case, prefixed
 * ROLLCALL_) when standard error is journald's stream, aligned text on a terminal, JSON lines
 * otherwise. Any thread; a line is written whole.
 *
 * Between log_start() and log_stop() logging never blocks: a thread of its own writes, and lines
 * that it cannot write in time are dropped, counted and reported. Before and after that, logging
 * writes at once and blocks as long as standard error does.
 */
#pragma once

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h> /* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG */

enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNALD };

/** Call it before threads start, and again to change the format. Never fails: falls back to
 * text. */
void log_open(enum log_format format);
/** Lines less important than @p level are dropped. Any thread. */
void log_set_level(int level);
bool log_enabled(int level);

/** Starts the log thread. Main only. @return 0 or an error of thread_start() */
int log_start(void) MUST_USE;
/**
 * Writes queued lines for up to a second and ends the log thread. If standard error stays blocked
 * for that second, the thread is left behind and all later lines are dropped. Without log_start()
 * it does nothing. Main only, when no other thread logs.
 */
void log_stop(void);
/** How many lines have been dropped since the process started. Any thread. */
uint64_t log_dropped(void);

/** @p ... : at most 16 pairs of const char *key, const char *value, ended by NULL. A NULL value
 * drops its pair. Text and values are cut at 1 KiB each; characters that are unsafe for a terminal
 * are escaped. */
void log_event(int level, const char *text, ...) __attribute__((sentinel));
void log_line(int level, const char *format, ...) PRINTF_LIKE(2, 3);
/** Writes a line that scripts wait for, at any level: @p text alone; in the JSON format a notice
 * with this message. */
void log_plain(const char *text);
/** Writes the last line before abort(): waits a moment for queued lines, then writes if that does
 * not block. Takes no lock. */
void log_fatal(const char *text);
