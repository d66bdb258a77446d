/* SPDX-License-Identifier: MIT */
#include "tool/builtin.h"

#include <string.h>

const char *builtin_find(enum builtin_kind kind, const char *name)
{
	for (size_t i = 0; i < builtin_count; i++)
		if (builtins[i].kind == kind && strcmp(builtins[i].name, name) == 0)
			return builtins[i].text;
	return NULL;
}
