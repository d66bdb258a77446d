/* SPDX-License-Identifier: MIT */
/**
 * Refusals: what they say, how they are rendered, and the one map from errors to them.
 * api_problem() is in api.h.
 */
#pragma once

#include "api/problem_codes.h"
#include "api/request.h"
#include "api/response.h"
#include "base/attr.h"
#include "base/str.h"

#include <stddef.h>

/** What is refused, before it is rendered. */
struct refusal {
	const struct problem_code *code;
	struct str detail; /* UTF-8 */
	struct str
		members; /* of the problem's object, each with its comma before it; RFC 9457 only */
};

/** As application/problem+json: what a table of routes without a way of its own does. */
void problem_render(struct api_response *response, const struct refusal *refusal);

/** What is wrong with the fields of a body, as elements of the array "errors". */
#define FIELD_ERRORS_MAX 16
struct field_errors {
	unsigned count;
	struct buf list; /* owned; see field_errors_init() */
	char text[200];  /* why it is no JSON object at all */
};

void field_errors_init(struct field_errors *errors);
void field_errors_fini(struct field_errors *errors);
/** Adds one, for "/pointer"; beyond FIELD_ERRORS_MAX, or when the list is full, they are only
 * counted. */
void field_error(struct field_errors *errors, struct str field, const char *format, ...)
	PRINTF_LIKE(3, 4);

/** Refuses, in place of any answer that was begun in @p response. */
void problem(struct api_response *response, enum problem code, const char *format, ...)
	PRINTF_LIKE(3, 4);
/** The same with more members: see struct refusal. */
void problem_with(struct api_response *response, enum problem code, const struct buf *members,
                  const char *format, ...) PRINTF_LIKE(4, 5);
/** 422 with "errors". */
void problem_fields(struct api_response *response, struct field_errors *errors);
/** The problem that stands for a negative errno of the registry: the only such map. */
void problem_errno(struct api_response *response, int error);
