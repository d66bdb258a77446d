/* SPDX-License-Identifier: MIT */
/**
 * Templates in the language of Mustache, filled in with JSON:
 *
 *	{{name}}  {{a.b}}     the value, with '_' for each unsafe character
 *	{{{name}}}            the value, unchanged
 *	{{#name}}...{{/name}} once per element of an array; else once if true, not empty, not 0
 *	{{^name}}...{{/name}} once if the section above is not printed
 *	{{! ... }}            nothing
 *
 * Letters and digits of ASCII and ". _ : - [ ]" are safe. A name is looked up in the innermost
 * section first. A line that has only the tag of a section or a comment is left out.
 */
#pragma once

#include "tool/memory.h"

#include <jansson.h>

#define TEMPLATE_DEPTH_MAX 32

struct template_error {
	unsigned line;
	char text[120];
};

/**
 * Appends @p source, filled in with @p data, to @p out.
 * @return 0; -EINVAL (the template is wrong: see @p error; @p out is incomplete)
 */
int template_render(const char *source, const json_t *data, struct text *out,
                    struct template_error *error);
