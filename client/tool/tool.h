/* SPDX-License-Identifier: MIT */
/**
 * tool/ is the command-line tool `rollcall`. It uses the HTTP API, and for calls and registrations
 * the public header of the library. This header has what every command is given, and its messages.
 */
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
	int64_t timeout_ms; /* limit of one request */
	int64_t until_ms;   /* when the time of --wait ends, by tool_now_ms() */
};

/** Writes "rollcall: ..." and a line feed to standard error; characters that may not reach a
 * terminal are escaped. "Reported" in other headers means a call of this. */
void tool_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** @return milliseconds of CLOCK_MONOTONIC */
int64_t tool_now_ms(void);

/** @return whether --wait leaves time for tool_pause() and another try */
bool tool_may_retry(const struct tool *tool);
/** Blocks for 200 ms, before another try. */
void tool_pause(void);

/** Milliseconds between two requests to a registry without long polls, or that does not answer. */
#define TOOL_POLL_MS 1000
