/* SPDX-License-Identifier: MIT */
/**
 * Fuzzes the guard with the head of a request: the request line, fields, an empty line. As in
 * libmicrohttpd, lines end in LF with or without CR, and lines without a colon are skipped. Every
 * parser must find the same end of a request that passes the guard.
 */
#include "base/check.h"
#include "http/guard.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Cuts the next line off @p rest. @param ret_strict  does the line end in CR LF? */
static struct str line_of(struct str *rest, bool *ret_strict)
{
	const char *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
	struct str line = {rest->data, end != NULL ? (size_t)(end - rest->data) : rest->len};
	size_t used = line.len + (end != NULL ? 1 : 0);

	*rest = (struct str){rest->data + used, rest->len - used};
	*ret_strict = end != NULL && line.len > 0 && line.data[line.len - 1] == '\r';
	if (*ret_strict)
		line.len--;
	return line;
}

/* Cuts the word before the next blank off @p line. */
static struct str word_of(struct str *line)
{
	const char *blank = line->len > 0 ? memchr(line->data, ' ', line->len) : NULL;
	struct str word = {line->data, blank != NULL ? (size_t)(blank - line->data) : line->len};
	size_t used = word.len + (blank != NULL ? 1 : 0);

	*line = (struct str){line->data + used, line->len - used};
	return word;
}

static unsigned count_like(struct str name, const char *wanted)
{
	return name.len == strlen(wanted) && strncasecmp(name.data, wanted, name.len) == 0;
}

/* The path of an accepted target is not empty, begins with '/' and has visible ASCII only. */
static void check_target(struct str target)
{
	struct str path;

	if (guard_target(target, &path) != GUARD_PASS)
		return;
	CHECK(path.len > 0 && path.data[0] == '/');
	for (size_t i = 0; i < path.len; i++)
		CHECK(path.data[i] > ' ' && path.data[i] < 0x7f);
}

/* What the guard must have counted. */
struct seen {
	unsigned lengths;
	unsigned encodings;
	unsigned hosts;
	bool strict; /* each line ends in CR LF, and none was skipped */
};

/* @return false: there is no empty line, so libmicrohttpd would wait for more */
static bool take_fields(struct str *rest, struct guard *guard, struct seen *seen)
{
	while (rest->len > 0) {
		bool strict;
		struct str line = line_of(rest, &strict);
		const char *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;

		seen->strict = seen->strict && strict && (line.len == 0 || colon != NULL);
		if (line.len == 0)
			return true;
		if (colon == NULL)
			continue;
		struct str name = {line.data, (size_t)(colon - line.data)};
		struct str value = {colon + 1, line.len - name.len - 1};
		while (value.len > 0 && (value.data[0] == ' ' || value.data[0] == '\t'))
			value = (struct str){value.data + 1, value.len - 1};
		guard_header(guard, name, value);
		seen->lengths += count_like(name, "content-length");
		seen->encodings += count_like(name, "transfer-encoding");
		seen->hosts += count_like(name, "host");
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size};
	struct guard guard = {0};
	struct seen seen = {0};

	if (size == 0)
		return 0;
	struct str line = line_of(&rest, &seen.strict);
	struct str method = word_of(&line);
	struct str target = word_of(&line);
	struct str version = line;
	if (version.len == 0)
		return 0; /* libmicrohttpd refuses this before it calls the guard */
	check_target(target);
	guard_line(&guard, method, target, version);
	if (!take_fields(&rest, &guard, &seen))
		return 0;
	enum guard_verdict verdict = guard_end(&guard, rest.data);
	if (verdict == GUARD_PASS) {
		CHECK(seen.strict);
		CHECK(seen.lengths + seen.encodings <= 1);
		CHECK(guard.chunked == (seen.encodings == 1));
		CHECK(seen.hosts == 1 || str_equal(version, STR("HTTP/1.0")));
		CHECK(guard.length < UINT64_C(1) << 62);
	} else {
		CHECK(guard_refusal(verdict)->problem < PROBLEM_COUNT);
	}
	return 0;
}
