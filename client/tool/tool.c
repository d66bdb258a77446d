/* SPDX-License-Identifier: MIT */
#include "tool/tool.h"

#include "tool/memory.h"
#include "tool/terminal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void tool_warn(const char *format, ...)
{
	struct text text = {NULL, 0, 0};
	va_list args;
	char *made = NULL;

	va_start(args, format);
	int len = vasprintf(&made, format, args);
	va_end(args);
	if (len < 0)
		memory_lacks();
	terminal_put(&text, made);
	free(made);
	(void)fflush(stdout);
	(void)fprintf(stderr, "rollcall: %s\n", text.data);
	text_free(&text);
}

int64_t tool_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
