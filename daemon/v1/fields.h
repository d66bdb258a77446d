/* SPDX-License-Identifier: MIT */
/**
 * Reads the fields of a small JSON object strictly: each field of a wrong type or value, and each
 * unknown field, is added to the errors. Any thread.
 *
 *	r = fields_open(body, &errors, &fields);
 *	fields_int(&fields, "port", 1, 65535, &port, FIELD_REQUIRED);
 *	...
 *	r = fields_close(&fields);    // after copying the strings
 */
#pragma once

#include "api/problem.h"
#include "base/attr.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct fields {
	json_t *root;                /* owned */
	struct field_errors *errors; /* borrowed */
	size_t known;                /* fields that the caller has read */
	const char *name[12];        /* the names of these fields */
};

enum field_need { FIELD_OPTIONAL, FIELD_REQUIRED };

/** Parses @p body. @return 0; -EBADMSG: not one JSON object, errors->text has the reason;
 * -ENOMEM */
int fields_open(struct str body, struct field_errors *errors, struct fields *ret_fields) MUST_USE;
/**
 * Adds an error for each field that the caller has not read, and frees the tree.
 * @return 0; -EINVAL: errors->count fields are wrong
 */
int fields_close(struct fields *fields) MUST_USE;

/** Is the field present, of any type? */
bool fields_has(const struct fields *fields, const char *name);
/* Each of these leaves *ret unchanged when the field is absent or wrong. */
/** An integer, which may be written 80, 80.0 or 8e1, as in JSON Schema. */
void fields_int(struct fields *fields, const char *name, int64_t least, int64_t most, int64_t *ret,
                enum field_need need);
/** The same, optional; 0 is valid as well. */
void fields_int_or_0(struct fields *fields, const char *name, int64_t least, int64_t most,
                     int64_t *ret);
/** A string, borrowed until fields_close(). @return is the field present, and a string? */
bool fields_string(struct fields *fields, const char *name, struct str *ret, enum field_need need);
/** An integer or real number. @return is the field present, and within the bounds? */
bool fields_number(struct fields *fields, const char *name, double least, double most, double *ret);
/** An object, borrowed until fields_close(); NULL: absent, or no object. */
json_t *fields_object(struct fields *fields, const char *name);

/** The text of a wrong value for an error, written to @p out. @return @p out */
#define FIELD_TEXT_SIZE 64
const char *field_text(const json_t *value, char out[FIELD_TEXT_SIZE]);
