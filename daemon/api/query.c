/* SPDX-License-Identifier: MIT */
#include "api/query.h"

#include <errno.h>
#include <string.h>

/** As str_cut(), but what is left is empty text at the end, never NULL: an absent value is "". */
static struct str query_cut(struct str *rest, char separator)
{
	struct str head = str_cut(rest, separator);

	if (rest->data == NULL)
		rest->data = head.data + head.len;
	return head;
}

static bool rule_matches(const struct query_rule *rule, struct str name)
{
	size_t len = 0;

	while (len < name.len && rule->name[len] == name.data[len] && rule->name[len] != '\0')
		len++;
	if (rule->name[len] != '\0')
		return false;
	return (rule->flags & QUERY_PREFIX) != 0 ? name.len > len : name.len == len;
}

static int query_fail(struct query_error *error, int r, const char *what, struct str name)
{
	*error = (struct query_error){what, name};
	return r;
}

static int query_add(struct query *query, const struct query_rule *rules, size_t rule_count,
                     const struct query_item *item, struct str name)
{
	unsigned rule = 0;

	while (rule < rule_count && !rule_matches(&rules[rule], name))
		rule++;
	if (rule == rule_count)
		return -ENOENT;
	if ((rules[rule].flags & QUERY_REPEATS) == 0 && query_get(query, rule) != NULL)
		return -EEXIST;
	if (query->count == QUERY_ITEMS_MAX)
		return -EMSGSIZE;

	struct query_item *added = &query->item[query->count++];
	*added = *item;
	added->rule = rule;
	if ((rules[rule].flags & QUERY_PREFIX) != 0) {
		size_t len = strlen(rules[rule].name);
		added->suffix = (struct str){name.data + len, name.len - len};
	}
	return 0;
}

static const char *explain(int r)
{
	switch (r) {
	case -ENOENT:
		return "is not a parameter of this request";
	case -EEXIST:
		return "is given more than once";
	case -EMSGSIZE:
		return "makes the query too long";
	default:
		return "is badly percent-encoded";
	}
}

int query_parse(struct str raw, const struct query_rule *rules, size_t rule_count,
                struct scratch *scratch, struct query *ret_query, struct query_error *ret_error)
{
	ret_query->count = 0;
	while (raw.len > 0) {
		struct str value = query_cut(&raw, '&');
		struct str name = query_cut(&value, '=');
		struct query_item item = {.raw = value};

		if (name.len == 0 && value.len == 0)
			continue; /* as in "?a=1&&b=2" and "?a=1&" */
		struct str decoded = {NULL, 0};
		int r = scratch_decode(scratch, name, true, &decoded);
		if (r < 0)
			return query_fail(ret_error, r, explain(r), name);
		r = query_add(ret_query, rules, rule_count, &item, decoded);
		if (r < 0)
			return query_fail(ret_error, r, explain(r), decoded);
	}
	return 0;
}
