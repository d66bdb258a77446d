/* SPDX-License-Identifier: MIT */
/**
 * Refusals: their text, how they are rendered, and the one map from errno to them. api_problem() is
 * in api.h.
 */
#pragma once

#include "api/problem_codes.h"
#include "api/request.h"
#include "api/response.h"
#include "base/attr.h"
#include "base/str.h"

#include <stddef.h>

/** A refusal before it is rendered. */
struct refusal {
	const struct problem_code *code;
	struct str detail;  /* UTF-8 */
	struct str members; /* more members for RFC 9457, each behind a comma */
};

/** Renders application/problem+json, for route tables whose refuse() is NULL. */
void problem_render(struct api_response *response, const struct refusal *refusal);

/** Errors in the fields of a body, as elements of the array "errors". */
#define FIELD_ERRORS_MAX 16
struct field_errors {
	unsigned count;
	struct buf list; /* owned; see field_errors_init() */
	char text[200];  /* why the body is not a JSON object */
};

void field_errors_init(struct field_errors *errors);
void field_errors_fini(struct field_errors *errors);
/** Adds an error for "/field"; only counts it beyond FIELD_ERRORS_MAX or when the list is full. */
void field_error(struct field_errors *errors, struct str field, const char *format, ...)
	PRINTF_LIKE(3, 4);

/** Makes @p response a refusal; drops any answer that was begun in it. */
void problem(struct api_response *response, enum problem code, const char *format, ...)
	PRINTF_LIKE(3, 4);
/** The same with more members: see struct refusal. */
void problem_with(struct api_response *response, enum problem code, const struct buf *members,
                  const char *format, ...) PRINTF_LIKE(4, 5);
/** 422 with "errors". */
void problem_fields(struct api_response *response, struct field_errors *errors);
/** Refuses with the problem for a negative errno of the registry; the only such map. */
void problem_errno(struct api_response *response, int error);
