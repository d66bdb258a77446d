/* SPDX-License-Identifier: MIT */
/** Headers of a request that a test makes without http/. */
#pragma once

#include "api/api.h"
#include "base/check.h"

struct request_fields {
	struct api_field field[8];
};

/** Adds a header to @p request, and nothing when @p value has no data. @p fields holds the headers;
 * field_count of a new request is 0. */
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
