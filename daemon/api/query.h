/* SPDX-License-Identifier: MIT */
/**
 * Parses the query of a request strictly: a parameter that the route does not know is an error that
 * names it, and so is a repeated one that is no list. In a query '+' is a space. Never allocates.
 * Any thread.
 */
#pragma once

#include "api/router.h"
#include "base/attr.h"
#include "base/str.h"

#include <stddef.h>

#define QUERY_ITEMS_MAX 96

enum query_flags {
	QUERY_REPEATS = 1, /* may be given more than once */
	QUERY_PREFIX = 2   /* the name is a prefix of the parameter's: "meta." */
};

struct query_rule {
	const char *name;
	unsigned flags; /* of enum query_flags */
};

struct query_item {
	unsigned rule;     /* index into the rules */
	struct str suffix; /* QUERY_PREFIX: what follows the prefix, decoded */
	struct str raw;    /* the value, not decoded, for scratch_decode() */
};

struct query {
	size_t count;
	struct query_item item[QUERY_ITEMS_MAX];
};

/** Which parameter is wrong, and why, as words of a sentence. */
struct query_error {
	const char *what; /* static */
	struct str name;
};

/**
 * @return 0; -ENOENT: a parameter that no rule knows; -EEXIST: repeated; -EINVAL: badly encoded;
 * -EMSGSIZE: too many or too long. All but 0 fill @p ret_error.
 */
int query_parse(struct str raw, const struct query_rule *rules, size_t rule_count,
                struct scratch *scratch, struct query *ret_query,
                struct query_error *ret_error) MUST_USE;
/** The first item of @p rule, or NULL. */
static inline const struct query_item *query_get(const struct query *query, unsigned rule)
{
	for (size_t i = 0; i < query->count; i++)
		if (query->item[i].rule == rule)
			return &query->item[i];
	return NULL;
}
