/* SPDX-License-Identifier: MIT */
/*
 * The router: compares the segments of a path with each pattern in turn. No state; any thread.
 *
 * Invariant: segments are split before they are decoded, so an encoded slash never separates. A
 * loop over twenty patterns needs no tree; those that are asked for most stand first.
 */
#include "api/router.h"

#include "base/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 8 /* no route has more segments, not counting its tail */

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

/** The rest of @p pattern behind @p segment; braces match any but an empty one; NULL: they differ. */
static const char *skip_segment(const char *pattern, struct str segment)
{
	/* match_route() has compared the depths, so the segment is set. */
	if (*pattern == '{') /* NOLINTNEXTLINE(clang-analyzer-*) */
		return segment.len > 0 ? strchr(pattern, '}') + 1 : NULL;
	/* A segment may hold NUL bytes, at which strncmp() would end. */
	/* NOLINTNEXTLINE(clang-analyzer-*) */
	if (strnlen(pattern, segment.len) < segment.len ||
	    memcmp(pattern, segment.data, segment.len) != 0)
		return NULL;
	pattern += segment.len;
	return *pattern == '/' || *pattern == '\0' ? pattern : NULL;
}

struct path {
	struct str whole; /* from the first '/' on, without the query */
	unsigned depth;   /* segments; DEPTH_MAX + 1: more than that, the rest is not split */
	struct segment {
		struct str text;  /* decoded */
		const char *from; /* its beginning in the undecoded path */
		size_t used;      /* scratch.used before it was decoded */
	} segment[DEPTH_MAX];
};

/** Splits at '/', then decodes each segment. */
static int target_split(struct str path, struct scratch *scratch, struct path *ret)
{
	bool plain = memchr(path.data, '%', path.len) == NULL;
	unsigned depth = 0;

	ret->whole = path;
	while (path.len > 0 && depth < DEPTH_MAX) {
		struct segment *segment = &ret->segment[depth];

		segment->from = path.data + 1;
		segment->used = scratch->used;
		segment->text = next_segment(&path);
		int r = plain ? 0 : scratch_decode(scratch, segment->text, false, &segment->text);
		if (r < 0)
			return r;
		depth++;
	}
	ret->depth = path.len > 0 ? DEPTH_MAX + 1 : depth;
	return 0;
}

/** The path from segment @p first on, decoded as one string; gives their scratch back. */
static int take_tail(const struct path *path, unsigned first, struct scratch *scratch,
                     struct str *ret)
{
	const struct segment *segment = &path->segment[first];
	size_t before = (size_t)(segment->from - path->whole.data);

	scratch->used = segment->used;
	return scratch_decode(scratch, (struct str){segment->from, path->whole.len - before}, false,
	                      ret);
}

/**
 * Compares segments with a pattern; fills the parameters, which are the segments in braces.
 * @return 0; -ENOENT: no match; the error of scratch_decode()
 */
static int match_route(const struct route *route, const struct path *path, struct scratch *scratch,
                       struct route_match *match)
{
	bool has_tail = (route->depth & ROUTE_TAIL) != 0;
	unsigned depth = route->depth & ~ROUTE_TAIL;
	unsigned whole = has_tail ? depth - 1 : depth;
	const char *pattern = route->pattern;
	unsigned params = 0;

	if (has_tail ? path->depth < depth : path->depth != depth)
		return -ENOENT;
	for (unsigned i = 0; i < whole; i++) {
		pattern++; /* the '/' */
		if (*pattern == '{')
			match->param[params++] = path->segment[i].text;
		pattern = skip_segment(pattern, path->segment[i].text);
		if (pattern == NULL)
			return -ENOENT;
	}
	match->route = route;
	return has_tail ? take_tail(path, whole, scratch, &match->param[params]) : 0;
}

static int find_in(const struct route_table *table, const struct path *path,
                   struct scratch *scratch, struct route_match *match)
{
	int r = -ENOENT;

	for (size_t i = 0; i < table->count && r == -ENOENT; i++)
		r = match_route(&table->routes[i], path, scratch, match);
	match->table = table;
	return r;
}

int router_find(const struct route_table *const *tables, size_t count, struct str target,
                struct scratch *scratch, struct route_match *ret_match)
{
	struct route_match match = {0};
	struct path path; /* target_split() sets all segments up to its depth */

	if (target.len == 0 || target.data[0] != '/')
		return -EINVAL;
	const char *mark = memchr(target.data, '?', target.len);
	if (mark != NULL) {
		size_t len = (size_t)(mark - target.data);
		match.query = (struct str){mark + 1, target.len - len - 1};
		target.len = len;
	}
	int r = target_split(target, scratch, &path);
	if (r < 0)
		return r;
	r = -ENOENT;
	for (size_t i = 0; i < count && r == -ENOENT; i++)
		r = find_in(tables[i], &path, scratch, &match);
	if (r == 0)
		*ret_match = match;
	return r;
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
