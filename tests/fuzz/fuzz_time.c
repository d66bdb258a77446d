/* SPDX-License-Identifier: MIT */
/** Fuzzes times: an accepted time, printed and read back, is the same millisecond. */
#include "base/check.h"
#include "base/clock.h"
#include "base/parse.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show_and_read(int64_t real_ms)
{
	char text[CLOCK_RFC3339_SIZE];
	int64_t back_ms = 0;
	unsigned len = clock_rfc3339(real_ms, text);

	CHECK(len == 24 && strlen(text) == len);
	CHECK_OK(parse_rfc3339((struct str){text, len}, &back_ms));
	if (real_ms >= -62167219200000 && real_ms <= 253402300799999)
		CHECK(back_ms == real_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t real_ms = 0;

	if (parse_rfc3339((struct str){(const char *)data, size}, &real_ms) == 0)
		show_and_read(real_ms);

	if (size >= sizeof(real_ms)) {
		memcpy(&real_ms, data, sizeof(real_ms));
		show_and_read(real_ms);
	}
	return 0;
}
