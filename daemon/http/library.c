/* SPDX-License-Identifier: MIT */
#include "http/http.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>

/* See libmicrohttpd's NEWS: request smuggling (CWE-444) by header fields that must be unique, fixed
 * in 1.0.4 and 1.0.5. */
bool http_library_is_lenient(const char *version)
{
	static const unsigned long fixed[] = {1, 0, 5};
	const char *at = version;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		char *end;
		unsigned long number = strtoul(at, &end, 10);

		if (number != fixed[i])
			return number < fixed[i];
		at = *end == '.' ? end + 1 : end;
	}
	return false;
}

const char *http_library_note(char *out, size_t size)
{
	if (!http_library_is_lenient(MHD_get_version()))
		return NULL;
	(void)snprintf(
		out, size,
		"libmicrohttpd %s accepts a repeated Content-Length or Host (fixed in 1.0.5): "
		"worked around, this daemon refuses such requests itself",
		MHD_get_version());
	return out;
}
