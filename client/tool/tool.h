/* SPDX-License-Identifier: MIT */
/** What every command of `rollcall` is given, and how it ends. */
#pragma once

#include "tool/exit.h"

#include <stdbool.h>
#include <stdint.h>

enum format { FORMAT_TABLE, FORMAT_WIDE, FORMAT_JSON, FORMAT_JSONL, FORMAT_NAME, FORMAT_ADDRESS };

struct args;
struct http;

struct tool {
	const struct args *args;
	struct http *http;
	const char *addresses; /* as given */
	const char *token;     /* NULL: none */
	enum format format;
	bool headers;
	bool color;
	int64_t timeout_ms; /* for one request */
	int64_t until_ms;   /* --wait is over then */
};

/** Writes "rollcall: ..." and a line feed to standard error; what may not reach a terminal is
 * escaped. */
void tool_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Milliseconds of CLOCK_MONOTONIC. */
int64_t tool_now_ms(void);

/** Does --wait leave time for a pause and another try? */
bool tool_may_retry(const struct tool *tool);
/** The pause before it: 200 ms. Blocks. */
void tool_pause(void);

/** Milliseconds between two questions to a registry that cannot answer late, or not at all. */
#define TOOL_POLL_MS 1000
