/* SPDX-License-Identifier: MIT */
#include "tool/tool.h"

#include "tool/memory.h"
#include "tool/terminal.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define RETRY_MS 200

void tool_warn(const char *format, ...)
{
	struct text made = {NULL, 0, 0};
	struct text shown = {NULL, 0, 0};
	va_list args;

	va_start(args, format);
	text_vprintf(&made, format, args);
	va_end(args);
	terminal_put(&shown, made.data);
	(void)fflush(stdout);
	(void)fprintf(stderr, "rollcall: %s\n", shown.data);
	text_free(&made);
	text_free(&shown);
}

int64_t tool_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool tool_may_retry(const struct tool *tool)
{
	return tool_now_ms() + RETRY_MS <= tool->until_ms;
}

void tool_pause(void)
{
	(void)poll(NULL, 0, RETRY_MS);
}
