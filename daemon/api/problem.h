/* SPDX-License-Identifier: MIT */
/**
 * Refusals: RFC 9457 problems, the table of all codes, and the one map from errors to HTTP.
 * api_problem() is in api.h.
 */
#pragma once

#include "api/api.h"
#include "base/attr.h"
#include "base/str.h"

#include <stddef.h>

/** Every code there is; /problems/{code} explains it, the OpenAPI lists it. */
struct problem_code {
	const char *code;
	unsigned status;
	const char *title;
	const char *advice; /* what to do about it */
};

extern const struct problem_code problem_codes[];
extern const size_t problem_code_count;

/** @return the entry of @p code, NULL when there is none */
const struct problem_code *problem_find(struct str code);

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

/**
 * A problem with status and title from the table, which must have @p code. Any other answer that
 * was begun in @p response is dropped.
 */
void problem(struct api_response *response, const char *code, const char *format, ...)
	PRINTF_LIKE(3, 4);
/** 422 with "errors". */
void problem_fields(struct api_response *response, struct field_errors *errors);
/** 410 with "oldest_revision" and, unless it is 0, "oldest_time". */
void problem_compacted(struct api_response *response, uint64_t oldest, int64_t oldest_ms,
                       const char *format, ...) PRINTF_LIKE(4, 5);
/** 410 with "latest_revision": @p since, which was asked for, is after it. */
void problem_ahead(struct api_response *response, uint64_t since, uint64_t latest);
/** The problem that stands for a negative errno of the registry: the only such map. */
void problem_errno(struct api_response *response, int error);

/** Sets a header, in place of what it was before; the value is cut at sizeof(value). */
void response_header(struct api_response *response, enum api_header_place place, const char *format,
                     ...) PRINTF_LIKE(3, 4);
void response_drop_headers(struct api_response *response);
