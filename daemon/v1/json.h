/* SPDX-License-Identifier: MIT */
/** jansson's parser, with out of memory as an error of its own. Any thread. */
#pragma once

#include "base/attr.h"
#include "base/str.h"

#include <jansson.h>

/**
 * @param flags  JSON_REJECT_DUPLICATES, ...
 * @return 0, and @p ret_root is owned by the caller; -EBADMSG: it is not valid JSON, @p ret_error
 * has the reason; -ENOMEM
 */
int json_parse(struct str text, size_t flags, json_t **ret_root, json_error_t *ret_error) MUST_USE;
