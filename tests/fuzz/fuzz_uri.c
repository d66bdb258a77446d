/* SPDX-License-Identifier: MIT */
/** Fuzzes the parsers of what peers put into a path or a field: escapes, UTF-8, addresses, numbers.
 */
#include "base/buf.h"
#include "base/check.h"
#include "base/parse.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Percent-encodes the decoded bytes and decodes them again: they must be the same. */
static void round_trip(struct str decoded)
{
	static const char hex[] = "0123456789ABCDEF";
	char *encoded = malloc(decoded.len * 3 + 1);
	size_t len = 0;

	CHECK(encoded != NULL);
	for (size_t i = 0; i < decoded.len; i++) {
		unsigned char c = (unsigned char)decoded.data[i];

		encoded[len++] = '%';
		encoded[len++] = hex[c >> 4];
		encoded[len++] = hex[c & 15];
	}
	CHECK(parse_percent((struct str){encoded, len}, encoded, len) == (long)decoded.len);
	CHECK(decoded.len == 0 || memcmp(encoded, decoded.data, decoded.len) == 0);
	free(encoded);
}

static void percent(struct str text)
{
	/* The decoded text is never longer than the encoded one. */
	char *out = malloc(text.len > 0 ? text.len : 1);

	CHECK(out != NULL);
	long len = parse_percent(text, out, text.len);
	CHECK(len == -EINVAL || (len >= 0 && (size_t)len <= text.len));
	if (len >= 0) {
		CHECK(len == 0 || memchr(out, '\0', (size_t)len) == NULL);
		round_trip((struct str){out, (size_t)len});
		if (len > 0)
			CHECK(parse_percent(text, out, (size_t)len - 1) == -EMSGSIZE);
	}
	free(out);
}

static void utf8(struct str text)
{
	struct str rest = text;
	size_t len = 0;

	while ((len = parse_utf8_char(rest)) > 0) {
		CHECK(len <= 4 && len <= rest.len);
		rest.data += len;
		rest.len -= len;
	}
	CHECK(parse_is_utf8(text) == (rest.len == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	uint64_t number = 0;
	struct buf buf;

	percent(text);
	utf8(text);
	if (parse_is_ip(text))
		CHECK(size < 46 && !parse_is_dns_name(text));
	if (parse_is_dns_name(text))
		CHECK(size <= 254 && parse_is_utf8(text));
	if (parse_u64(text, 0, UINT64_MAX, &number) == 0) {
		buf_init(&buf, 32);
		buf_put_u64(&buf, number);
		CHECK(str_equal((struct str){buf.data, buf.len}, text));
		buf_fini(&buf);
	}

	buf_init(&buf, 6 * size + 2);
	buf_put_json(&buf, text);
	CHECK(buf_error(&buf) == 0 && buf.len >= size + 2);
	for (size_t i = 0; i < buf.len; i++)
		CHECK((unsigned char)buf.data[i] >= 0x20);
	buf_fini(&buf);
	return 0;
}
