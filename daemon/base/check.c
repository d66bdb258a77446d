/* SPDX-License-Identifier: MIT */
#include "base/check.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *what, const char *file, int line, const char *function)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "check failed: %s in %s() at %s:%d", what, function,
	               file, line);
	log_fatal(text);
	abort();
}
