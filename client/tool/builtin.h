/* SPDX-License-Identifier: MIT */
/** Files that the tool carries in itself; the build makes them from templates/ and completion/. */
#pragma once

#include <stddef.h>

enum builtin_kind { BUILTIN_TEMPLATE, BUILTIN_COMPLETION };

struct builtin {
	enum builtin_kind kind;
	const char *name; /* without the ending */
	const char *text;
};

extern const struct builtin builtins[];
extern const size_t builtin_count;

/** @return NULL: there is none of that name */
const char *builtin_find(enum builtin_kind kind, const char *name);
