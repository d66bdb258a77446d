/* SPDX-License-Identifier: MIT */
#include "api/request.h"

#include <strings.h>

struct str api_header(const struct api_request *request, struct str name)
{
	for (size_t i = 0; i < request->field_count; i++) {
		const struct api_field *field = &request->fields[i];

		if (field->name.len == name.len &&
		    strncasecmp(field->name.data, name.data, name.len) == 0)
			return field->value;
	}
	return (struct str){NULL, 0};
}
