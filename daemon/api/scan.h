/* SPDX-License-Identifier: MIT */
/**
 * A cheap look at JSON text before a parser builds a tree of it: the tree can be many times larger
 * than the text. Not a validator: what passes is for the parser to judge.
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"

#define JSON_DEPTH_MAX  16
#define JSON_TOKENS_MAX 4096

/** @return 0; -EMSGSIZE: nested deeper than JSON_DEPTH_MAX, or more than JSON_TOKENS_MAX values,
 * keys, objects and arrays in all */
int json_scan(struct str text) MUST_USE;
