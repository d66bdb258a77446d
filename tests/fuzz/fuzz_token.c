/* SPDX-License-Identifier: MIT */
/** Tokens in any bytes: what is taken for one is written as the same bytes. */
#include "api/token.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct token token;
	char back[TOKEN_MAX];

	if (token_parse(text, &token) < 0)
		return 0;
	uint64_t history = (uint64_t)token.history << 32;
	size_t len = token.has_history ? token_write(token.revision, history, back)
	                               : u64_write(token.revision, back);
	CHECK(str_equal(text, (struct str){back, len}));
	CHECK(token_is_of(&token, history));
	return 0;
}
