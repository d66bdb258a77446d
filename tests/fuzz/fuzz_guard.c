/* SPDX-License-Identifier: MIT */
/**
 * A request's head as text: the first line, then headers. What passes must be framed in one way
 * only, whoever reads it.
 */
#include "base/check.h"
#include "http/guard.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str line_of(struct str *rest)
{
	const char *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
	struct str line = {rest->data, end != NULL ? (size_t)(end - rest->data) : rest->len};
	size_t used = line.len + (end != NULL ? 1 : 0);

	*rest = (struct str){rest->data + used, rest->len - used};
	return line;
}

static unsigned count_like(struct str name, const char *wanted)
{
	return name.len == strlen(wanted) && strncasecmp(name.data, wanted, name.len) == 0;
}

/* A path stays inside the target, and is one that can be decoded. */
static void check_target(struct str target)
{
	struct str path;

	if (guard_target(target, &path) != GUARD_PASS)
		return;
	CHECK(path.len > 0 && path.data[0] == '/');
	for (size_t i = 0; i < path.len; i++)
		CHECK(path.data[i] > ' ' && path.data[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size};
	struct str target = line_of(&rest);
	struct str version = line_of(&rest);
	struct guard guard = {0};
	unsigned lengths = 0;
	unsigned encodings = 0;
	unsigned hosts = 0;

	check_target(target);
	while (rest.len > 0) {
		struct str line = line_of(&rest);
		const char *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;

		if (colon == NULL)
			continue;
		struct str name = {line.data, (size_t)(colon - line.data)};
		struct str value = {colon + 1, line.len - name.len - 1};
		bool folded = value.len > 0 && value.data[0] == '~';

		while (value.len > 0 && value.data[0] == ' ')
			value = (struct str){value.data + 1, value.len - 1};
		guard_header(&guard, name, value, folded);
		lengths += count_like(name, "content-length");
		encodings += count_like(name, "transfer-encoding");
		hosts += count_like(name, "host");
	}
	enum guard_verdict verdict = guard_end(&guard, version);
	if (verdict == GUARD_PASS) {
		CHECK(lengths + encodings <= 1);
		CHECK(guard.chunked == (encodings == 1));
		CHECK(hosts == 1 || str_equal(version, STR("HTTP/1.0")));
		CHECK(guard.length < UINT64_C(1) << 62);
	} else {
		CHECK(guard_refusal(verdict)->status >= 400);
	}
	return 0;
}
