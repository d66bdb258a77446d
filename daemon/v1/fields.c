/* SPDX-License-Identifier: MIT */
/*
 * Reads the fields of a JSON object from a tree of jansson. No state outside of struct fields, any
 * thread.
 *
 * Invariant: a body is scanned for its number of values and its depth (json_scan()) before jansson
 * parses it, so a small body cannot make jansson allocate much or recurse deeply. jansson's own
 * limits do not cover the number of values.
 */
#include "v1/fields.h"

#include "api/scan.h"
#include "base/check.h"
#include "v1/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fields_open(struct str body, struct field_errors *errors, struct fields *ret_fields)
{
	json_error_t error;
	json_t *root;

	if (json_scan(body) < 0) {
		(void)snprintf(errors->text, sizeof(errors->text),
		               "more than %d values, or nested deeper than %d", JSON_TOKENS_MAX,
		               JSON_DEPTH_MAX);
		return -EBADMSG;
	}
	if (body.len == 0) {
		(void)snprintf(errors->text, sizeof(errors->text), "it is empty");
		return -EBADMSG;
	}
	int r = json_parse(body, JSON_REJECT_DUPLICATES, &root, &error);
	if (r == -EBADMSG)
		(void)snprintf(errors->text, sizeof(errors->text), "line %d column %d: %s",
		               error.line, error.column, error.text);
	if (r < 0)
		return r;
	if (!json_is_object(root)) {
		(void)snprintf(errors->text, sizeof(errors->text), "not an object");
		json_decref(root);
		return -EBADMSG;
	}
	*ret_fields = (struct fields){.root = root, .errors = errors};
	return 0;
}

static bool fields_is_known(const struct fields *fields, const char *name)
{
	for (size_t i = 0; i < fields->known; i++)
		if (strcmp(fields->name[i], name) == 0)
			return true;
	return false;
}

int fields_close(struct fields *fields)
{
	const char *name;
	json_t *value;

	if (json_object_size(fields->root) > fields->known) {
		json_object_foreach(fields->root, name, value) if (!fields_is_known(fields, name))
			field_error(fields->errors, str_of(name), "unknown field '%s'", name);
	}
	json_decref(fields->root);
	fields->root = NULL;
	return fields->errors->count > 0 ? -EINVAL : 0;
}

static json_t *fields_get(struct fields *fields, const char *name, enum field_need need)
{
	json_t *value = json_object_get(fields->root, name);

	if (value != NULL) {
		CHECK(fields->known < ARRAY_LEN(fields->name));
		fields->name[fields->known++] = name;
	} else if (need == FIELD_REQUIRED) {
		field_error(fields->errors, str_of(name), "%s is required", name);
	}
	return value;
}

bool fields_has(const struct fields *fields, const char *name)
{
	return json_object_get(fields->root, name) != NULL;
}

const char *field_text(const json_t *value, char out[FIELD_TEXT_SIZE])
{
	size_t len = json_dumpb(value, out, FIELD_TEXT_SIZE - 1, JSON_ENCODE_ANY | JSON_COMPACT);

	if (len > 0 && len < FIELD_TEXT_SIZE)
		out[len] = '\0';
	else /* too long (cutting it could split a character), or out of memory */
		(void)snprintf(out, FIELD_TEXT_SIZE, len > 0 ? "a longer value" : "this value");
	return out;
}

/* Converts a number without a fraction: in JSON, 80.0 and 8e1 are 80. */
static bool fields_to_integer(const json_t *value, int64_t *ret)
{
	const double most = 9007199254740992; /* 2^53: up to here a double holds every integer */

	if (json_is_integer(value)) {
		*ret = json_integer_value(value);
		return true;
	}
	if (!json_is_real(value))
		return false;
	double real = json_real_value(value);
	if (real < -most || real > most || (double)(int64_t)real != real)
		return false;
	*ret = (int64_t)real;
	return true;
}

void fields_int(struct fields *fields, const char *name, int64_t least, int64_t most, int64_t *ret,
                enum field_need need)
{
	json_t *value = fields_get(fields, name, need);
	char text[FIELD_TEXT_SIZE];
	int64_t number = 0;

	if (value == NULL)
		return;
	if (!fields_to_integer(value, &number) || number < least || number > most)
		field_error(fields->errors, str_of(name),
		            "%s must be an integer from %" PRId64 " to %" PRId64 ", not %s", name,
		            least, most, field_text(value, text));
	else
		*ret = number;
}

void fields_int_or_0(struct fields *fields, const char *name, int64_t least, int64_t most,
                     int64_t *ret)
{
	json_t *value = fields_get(fields, name, FIELD_OPTIONAL);
	char text[FIELD_TEXT_SIZE];
	int64_t number = 0;

	if (value == NULL)
		return;
	if (!fields_to_integer(value, &number) ||
	    (number != 0 && (number < least || number > most)))
		field_error(fields->errors, str_of(name),
		            "%s must be 0 or an integer from %" PRId64 " to %" PRId64 ", not %s",
		            name, least, most, field_text(value, text));
	else
		*ret = number;
}

bool fields_string(struct fields *fields, const char *name, struct str *ret, enum field_need need)
{
	json_t *value = fields_get(fields, name, need);
	char text[FIELD_TEXT_SIZE];

	if (value == NULL)
		return false;
	if (!json_is_string(value)) {
		field_error(fields->errors, str_of(name), "%s must be a string, not %s", name,
		            field_text(value, text));
		return false;
	}
	*ret = (struct str){json_string_value(value), json_string_length(value)};
	return true;
}

bool fields_number(struct fields *fields, const char *name, double least, double most, double *ret)
{
	json_t *value = fields_get(fields, name, FIELD_OPTIONAL);
	char text[FIELD_TEXT_SIZE];

	if (value == NULL)
		return false;
	if (!json_is_number(value) || json_number_value(value) < least ||
	    json_number_value(value) > most) {
		field_error(fields->errors, str_of(name),
		            "%s must be a number from %g to %g, not %s", name, least, most,
		            field_text(value, text));
		return false;
	}
	*ret = json_number_value(value);
	return true;
}

json_t *fields_object(struct fields *fields, const char *name)
{
	json_t *value = fields_get(fields, name, FIELD_OPTIONAL);
	char text[FIELD_TEXT_SIZE];

	if (value == NULL || json_is_object(value))
		return value;
	field_error(fields->errors, str_of(name), "%s must be an object, not %s", name,
	            field_text(value, text));
	return NULL;
}
