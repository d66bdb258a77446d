/* SPDX-License-Identifier: MIT */
/**
 * Checks the depth and size of JSON text before a parser builds a tree, which can be many times
 * larger than the text. Not a validator: the parser checks the syntax.
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"

#define JSON_DEPTH_MAX  16
#define JSON_TOKENS_MAX 4096

/** @return 0; -EMSGSIZE: nested deeper than JSON_DEPTH_MAX, or more than JSON_TOKENS_MAX values,
 * keys, objects and arrays in all */
int json_scan(struct str text) MUST_USE;
