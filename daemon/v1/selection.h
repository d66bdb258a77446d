/* SPDX-License-Identifier: MIT */
/**
 * The members that a lookup shows, and the answer that shows them: at once when it is short, in
 * slices when it is long. An answer in slices keeps its members by reference (member_ref()) until
 * each has been rendered, so it shows one version of the service however slowly its client reads.
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
	bool text;
	bool is_cut; /* there is more after the last one */
	uint32_t count;
	uint32_t size;
	const struct member **members; /* owned */
	uint64_t bytes;                /* of the members as JSON; as text without the blanks */
	struct table table;            /* text: how wide its columns are */
	struct buf row;                /* text: scratch */
};

void selection_init(struct selection *selection, bool text);
void selection_fini(struct selection *selection);
/** @return 0 or -ENOMEM */
int selection_add(struct selection *selection, const struct member *member) MUST_USE;
/** Answers with it, inside the visit that it was made in. Ends @p selection. */
enum api_result selection_answer(struct selection *selection, struct call *call, struct str service,
                                 uint64_t revision);
