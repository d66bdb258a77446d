/* SPDX-License-Identifier: MIT */
/** Documents of intents: a document that is parsed is written again byte for byte; every other one
 * counts as a drain whose document is valid. */
#include "base/check.h"
#include "model/intent.h"
#include "model/valid.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str written(struct buf *out, const struct drain_intent *intent)
{
	drain_intent_put(out, intent);
	CHECK(buf_error(out) == 0);
	return (struct str){out->data, out->len};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str document = {(const char *)data, size};
	struct entry entry = {.kind = ENTRY_INTENT,
	                      .service = STR("s"),
	                      .name = STR("i"),
	                      .document = document,
	                      .time_ms = size % 3 == 0 ? INT64_MAX : -1};
	struct drain_intent intent;
	struct drain_intent again;
	struct buf out;

	buf_init(&out, ENTRY_DOCUMENT_MAX);
	bool is_read = drain_intent_parse(document, &intent) == 0;
	drain_intent_of(&entry, &intent);
	CHECK(valid_text(intent.reason, REASON_MAX) && valid_text(intent.by, STATUS_BY_MAX));
	CHECK(intent.by.len > 0 && drain_intent_end(&intent, 31536000000) > 0);
	entry.document = written(&out, &intent);
	CHECK(entry_is_valid(&entry));
	CHECK(!is_read || str_equal(entry.document, document));
	CHECK_OK(drain_intent_parse(entry.document, &again));
	buf_fini(&out);
	return 0;
}
