/* SPDX-License-Identifier: MIT */
#include "api/router.h"

#include "base/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 8 /* one more than any route has */

static const char *const method_names[API_METHOD_COUNT] = {
	[API_GET] = "GET",   [API_HEAD] = "HEAD",     [API_PUT] = "PUT",
	[API_POST] = "POST", [API_DELETE] = "DELETE",
};

int scratch_decode(struct scratch *scratch, struct str text, bool plus_is_space,
                   struct str *ret_text)
{
	bool plus = plus_is_space && text.len > 0 && memchr(text.data, '+', text.len) != NULL;

	if (text.len == 0 || (!plus && memchr(text.data, '%', text.len) == NULL)) {
		*ret_text = text;
		return 0;
	}
	if (text.len > sizeof(scratch->data) - scratch->used)
		return -EMSGSIZE;

	char *out = scratch->data + scratch->used;
	memcpy(out, text.data, text.len);
	for (size_t i = 0; plus && i < text.len; i++)
		if (out[i] == '+')
			out[i] = ' ';
	long len = parse_percent((struct str){out, text.len}, out, text.len);
	if (len < 0)
		return (int)len;

	scratch->used += (size_t)len;
	*ret_text = (struct str){out, (size_t)len};
	return 0;
}

/** Cuts the next segment off a path that begins with its '/'. */
static struct str next_segment(struct str *path)
{
	const char *start = path->data + 1;
	const char *slash = memchr(start, '/', path->len - 1);
	size_t len = slash != NULL ? (size_t)(slash - start) : path->len - 1;

	path->data = start + len;
	path->len -= len + 1;
	return (struct str){start, len};
}

/** What follows @p segment in @p pattern, which braces match whatever it is; NULL: it differs. */
static const char *skip_segment(const char *pattern, struct str segment)
{
	size_t i = 0;

	if (*pattern == '{')
		return strchr(pattern, '}') + 1;
	while (i < segment.len && pattern[i] == segment.data[i] && pattern[i] != '\0')
		i++;
	return i == segment.len && (pattern[i] == '/' || pattern[i] == '\0') ? pattern + i : NULL;
}

/** Compares segments with a pattern; fills the parameters, which are what stands for braces. */
static bool matches(const struct route *route, const struct str *segment, unsigned depth,
                    struct route_match *match)
{
	const char *pattern = route->pattern;
	unsigned params = 0;

	for (unsigned i = 0; i < depth; i++) {
		pattern++; /* the '/' */
		if (*pattern == '{')
			match->param[params++] = segment[i];
		pattern = skip_segment(pattern, segment[i]);
		if (pattern == NULL)
			return false;
	}
	match->route = route;
	return true;
}

static bool find_in(const struct route_table *table, const struct str *segment, unsigned depth,
                    struct route_match *match)
{
	for (size_t i = 0; i < table->count; i++) {
		if (table->routes[i].depth == depth &&
		    matches(&table->routes[i], segment, depth, match)) {
			match->table = table;
			return true;
		}
	}
	return false;
}

int router_find(const struct route_table *const *tables, size_t count, struct str target,
                struct scratch *scratch, struct route_match *ret_match)
{
	struct route_match match = {0};
	struct str segment[DEPTH_MAX];
	unsigned depth = 0;

	struct str path = target;
	if (path.len == 0 || path.data[0] != '/')
		return -EINVAL;
	const char *mark = memchr(path.data, '?', path.len);
	if (mark != NULL) {
		size_t len = (size_t)(mark - path.data);
		match.query = (struct str){mark + 1, path.len - len - 1};
		path.len = len;
	}

	bool plain = memchr(path.data, '%', path.len) == NULL;
	while (path.len > 0) {
		if (depth == DEPTH_MAX)
			return -ENOENT;
		segment[depth] = next_segment(&path);
		int r = plain ? 0 : scratch_decode(scratch, segment[depth], false, &segment[depth]);
		if (r < 0)
			return r;
		depth++;
	}
	for (unsigned i = 0; i < depth && depth > 1; i++)
		if (segment[i].len == 0)
			return -ENOENT;
	for (size_t i = 0; i < count; i++) {
		if (find_in(tables[i], segment, depth, &match)) {
			*ret_match = match;
			return 0;
		}
	}
	return -ENOENT;
}

bool route_allows(const struct route *route, enum api_method method)
{
	return route->on[method == API_HEAD ? API_GET : method].handle != NULL;
}

void route_allow(const struct route *route, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (enum api_method method = API_GET; method < API_OTHER; method++) {
		if (!route_allows(route, method) || len >= size)
			continue;
		len += (size_t)snprintf(out + len, size - len, "%s%s", len > 0 ? ", " : "",
		                        method_names[method]);
	}
}
