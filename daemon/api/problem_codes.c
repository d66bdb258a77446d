/* SPDX-License-Identifier: MIT */
#include "api/problem_codes.h"

#include "base/attr.h"

#define PAGE(status, slug, title, advice) slug " (" #status ")\n" title ".\n" advice "\n"
#define ENTRY(code, status, slug, title, advice)      \
	[code] = {slug,                               \
	          status,                             \
	          title,                              \
	          advice,                             \
	          {PAGE(status, slug, title, advice), \
	           sizeof(PAGE(status, slug, title, advice)) - 1}},

const struct problem_code problem_codes[PROBLEM_COUNT] = {PROBLEMS(ENTRY)};

const struct problem_code *problem_find(struct str slug)
{
	for (size_t i = 0; i < PROBLEM_COUNT; i++)
		if (str_equal(str_of(problem_codes[i].slug), slug))
			return &problem_codes[i];
	return NULL;
}
