/* SPDX-License-Identifier: MIT */
/** Headers of a request that a test makes itself. */
#pragma once

#include "api/api.h"
#include "base/check.h"

struct request_fields {
	struct api_field field[8];
};

/** Adds one, which stays in @p fields; @p request begins without any. Without @p value nothing is
 * added. */
__attribute__((unused)) static void add_field(struct api_request *request,
                                              struct request_fields *fields, struct str name,
                                              struct str value)
{
	if (value.data == NULL)
		return;
	CHECK(request->field_count < ARRAY_LEN(fields->field));
	fields->field[request->field_count++] = (struct api_field){name, value};
	request->fields = fields->field;
}
