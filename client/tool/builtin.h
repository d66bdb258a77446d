/* SPDX-License-Identifier: MIT */
/** The text files in the tool; schema/embed makes the array from templates/ and completion/. */
#pragma once

#include <stddef.h>

enum builtin_kind { BUILTIN_TEMPLATE, BUILTIN_COMPLETION };

struct embedded {
	const char *name; /* its last folder and its name: "templates/nginx.mustache" */
	const char *text;
};

extern const struct embedded builtins[];
extern const size_t builtins_count;

/** @param name  without folder and ending. @return its text; NULL: there is no such file */
const char *builtin_find(enum builtin_kind kind, const char *name);
