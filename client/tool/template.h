/* SPDX-License-Identifier: MIT */
/**
 * Templates in the language of Mustache, over JSON:
 *
 *	{{name}}  {{a.b}}     the value; what is no letter, digit, '.', '_', ':', '-', '[' or ']'
 *becomes '_'
 *	{{{name}}}            the value as it is
 *	{{#name}}...{{/name}} once for each of an array; once if the value is true, not empty and
 *not 0
 *	{{^name}}...{{/name}} once if it is not
 *	{{! ... }}            nothing
 *
 * A name is looked for in the innermost section first. A line that holds only a section's tag or a
 * comment leaves no line.
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
 * @return 0, or -EINVAL: the template is wrong (told in @p error, @p out is not complete)
 */
int template_render(const char *source, const json_t *data, struct text *out,
                    struct template_error *error);
