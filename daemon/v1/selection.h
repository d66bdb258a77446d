/* SPDX-License-Identifier: MIT */
/**
 * The members that a lookup returns, and their rendering: a short answer at once, a long answer in
 * slices. An answer in slices holds a reference to each member (member_ref()) until the member has
 * been rendered, so it shows one version of the service however slowly the client reads.
 *
 *	selection_init(&selection, text);
 *	... selection_add(&selection, member) ...          // inside a visit
 *	return selection_answer(&selection, call, service->name, revision);
 */
#pragma once

#include "api/pretty.h"
#include "snapshot/snapshot.h"
#include "v1/internal.h"

struct selection {
	bool text;   /* a table instead of JSON */
	bool is_cut; /* more members match after the last one */
	uint32_t count;
	uint32_t size;
	const struct member **members; /* owned */
	uint64_t bytes;                /* of the members as JSON; text: of their metadata only */
	struct table table;            /* text: the widths of the columns */
	struct buf row;                /* text: scratch */
};

void selection_init(struct selection *selection, bool text);
void selection_fini(struct selection *selection);
/** @return 0 or -ENOMEM */
int selection_add(struct selection *selection, const struct member *member) MUST_USE;
/** Answers @p call with the members. Inside the visit in which they were added. Frees what
 * @p selection owns. */
enum api_result selection_answer(struct selection *selection, struct call *call, struct str service,
                                 uint64_t revision);
