/* SPDX-License-Identifier: MIT */
/**
 * A token is a revision with the history that it belongs to: "17.1f3a9c07", the revision and the
 * first 8 hex digits of the history's id. Revisions of two histories look alike, so what a client
 * keeps and sends back is a token; a bare revision is taken as well, and belongs to any history.
 * Never allocates, but for token_put(). Any thread.
 */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_DIGITS 16 /* of the id of a history, as text */
#define TOKEN_DIGITS   8  /* of them in a token */
#define TOKEN_MAX      (U64_DIGITS + 1 + TOKEN_DIGITS)

struct token {
	uint64_t revision;
	bool has_history; /* false: a bare revision */
	uint32_t history; /* the first half of the history's id */
};

/** @return 0; -EINVAL: neither a token nor a revision, as parse_u64() takes one up to INT64_MAX */
int token_parse(struct str text, struct token *ret_token) MUST_USE;
/** Does @p token belong to the history with this id? A bare revision does. */
bool token_is_of(const struct token *token, uint64_t history);
/** Writes the token of @p revision, without a NUL. @return its length */
size_t token_write(uint64_t revision, uint64_t history, char out[TOKEN_MAX]);
void token_put(struct buf *out, uint64_t revision, uint64_t history);
/** Writes the id of a history in lower-case hex digits, with a NUL. */
void history_write(uint64_t history, char out[HISTORY_DIGITS + 1]);
