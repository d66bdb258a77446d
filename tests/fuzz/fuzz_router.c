/* SPDX-License-Identifier: MIT */
/** Fuzzes request targets: parameters of routes and queries are decoded once and within bounds. */
#include "api/pretty.h"
#include "api/query.h"
#include "api/router.h"
#include "base/check.h"
#include "v1/internal.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct query_rule rules[] = {{"pretty", 0},
                                          {"limit", 0},
                                          {"exclude", QUERY_REPEATS},
                                          {"meta.", QUERY_PREFIX | QUERY_REPEATS}};

static bool is_within(struct str part, const char *start, size_t len)
{
	return part.len == 0 || ((uintptr_t)part.data >= (uintptr_t)start &&
	                         (uintptr_t)part.data + part.len <= (uintptr_t)start + len);
}

static void check_text(struct str text, struct str target, const struct scratch *scratch)
{
	CHECK(is_within(text, target.data, target.len) ||
	      is_within(text, scratch->data, scratch->used));
	CHECK(text.len == 0 || memchr(text.data, '\0', text.len) == NULL ||
	      memchr(target.data, '\0', target.len) != NULL);
}

static void check_query(struct str raw, struct str target, struct scratch *scratch)
{
	struct query query;
	struct query_error error;
	struct str value;

	(void)pretty_is_wanted(raw);
	int r = query_parse(raw, rules, ARRAY_LEN(rules), scratch, &query, &error);
	if (r < 0) {
		check_text(error.name, target, scratch);
		CHECK(r == -ENOENT || r == -EEXIST || r == -EINVAL || r == -EMSGSIZE);
		return;
	}
	CHECK(query.count <= QUERY_ITEMS_MAX);
	for (size_t i = 0; i < query.count; i++) {
		check_text(query.item[i].suffix, target, scratch);
		if (scratch_decode(scratch, query.item[i].raw, true, &value) == 0)
			check_text(value, target, scratch);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scratch scratch;
	struct route_match match;
	char *copy = malloc(size + (size == 0));

	CHECK(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	struct str target = {copy, size};
	scratch.used = 0;
	static const struct route tails[] = {
		{"/ui/{path...}", 2 | ROUTE_TAIL, {{0}}},
		{"/{node}/kv/{key...}", 3 | ROUTE_TAIL, {{0}}},
	};
	const struct route_table table = {.routes = v1_routes, .count = v1_route_count};
	const struct route_table more = {.routes = tails, .count = ARRAY_LEN(tails)};
	const struct route_table *tables[] = {&table, &more};

	int r = router_find(tables, ARRAY_LEN(tables), target, &scratch, &match);
	CHECK(r == 0 || r == -ENOENT || r == -EINVAL || r == -EMSGSIZE);
	if (r == 0) {
		for (size_t i = 0; i < ROUTE_PARAMS_MAX; i++)
			check_text(match.param[i], target, &scratch);
		check_query(match.query, target, &scratch);
	}
	free(copy);
	return 0;
}
