/* SPDX-License-Identifier: MIT */
/** jansson's parser, which says when it is memory that was short. Any thread. */
#pragma once

#include "base/attr.h"
#include "base/str.h"

#include <jansson.h>

/**
 * @param flags  JSON_REJECT_DUPLICATES, ...
 * @return 0; -EBADMSG: it is no JSON, @p ret_error says why; -ENOMEM
 */
int json_parse(struct str text, size_t flags, json_t **ret_root, json_error_t *ret_error) MUST_USE;
