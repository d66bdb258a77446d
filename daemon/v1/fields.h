/* SPDX-License-Identifier: MIT */
/**
 * The fields of a small JSON object: strictly typed, each wrong one reported, none unknown.
 *
 *	r = fields_open(body, &errors, &fields);
 *	fields_int(&fields, "port", 1, 65535, &port, FIELD_REQUIRED);
 *	...
 *	r = fields_close(&fields);    // after the strings have been copied out
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
	size_t known;                /* fields that were asked for and are there */
	const char *name[12];        /* and their names */
};

enum field_need { FIELD_OPTIONAL, FIELD_REQUIRED };

/** @return 0; -EBADMSG: not one sound JSON object, errors->text says why; -ENOMEM */
int fields_open(struct str body, struct field_errors *errors, struct fields *ret_fields) MUST_USE;
/**
 * Reports the fields that nobody asked for and frees the tree.
 * @return 0; -EINVAL: errors->count fields are wrong
 */
int fields_close(struct fields *fields) MUST_USE;

/** Is it there, of whatever type? */
bool fields_has(const struct fields *fields, const char *name);
/** Each leaves *ret alone when the field is absent or wrong. An integer may be written 80, 80.0 or
 * 8e1, as in JSON Schema. */
void fields_int(struct fields *fields, const char *name, int64_t least, int64_t most, int64_t *ret,
                enum field_need need);
void fields_int_or_0(struct fields *fields, const char *name, int64_t least, int64_t most,
                     int64_t *ret);
/** Borrowed until fields_close(). @return is it there, and a string? */
bool fields_string(struct fields *fields, const char *name, struct str *ret, enum field_need need);
/** A real or integer number. @return is it there and within bounds? */
bool fields_number(struct fields *fields, const char *name, double least, double most, double *ret);
/** Borrowed until fields_close(). NULL when absent or no object. */
json_t *fields_object(struct fields *fields, const char *name);

/** What to show of a wrong value; @p out is what is returned. */
#define FIELD_TEXT_SIZE 64
const char *field_text(const json_t *value, char out[FIELD_TEXT_SIZE]);
