/* SPDX-License-Identifier: MIT */
/** One service of a draft: a growable copy of what is published. Writer only. */
#pragma once

#include "snapshot/internal.h"

/** A service that the draft touches, while it can still change. */
struct draft_service {
	const struct service *old; /* NULL: it is new */
	struct service *next;      /* after finish; NULL: it is gone */
	struct service_build build;
	uint32_t size;       /* of build.members and build.id_hashes */
	uint32_t live;       /* build.count without holes */
	uint32_t *slots;     /* as in struct service; slots of holes stay */
	uint32_t slot_count; /* power of two */
	uint32_t status_count[STATUS_COUNT];
};

/** A copy of @p old, or an empty service when that is NULL. @return NULL when out of memory */
struct draft_service *draft_service_open(const struct service *old, uint64_t hash,
                                         struct str name) MUST_USE;
/** Frees what is the draft's own: not members, not the life, not what was frozen. Takes NULL. */
void draft_service_free(struct draft_service *service);
/** @return 1 + the index of the member, 0 when there is none */
uint32_t draft_service_find(const struct draft_service *service, uint32_t id_hash, struct str id);
/** Makes room for one more member. @return 0 or -ENOMEM */
int draft_service_reserve(struct draft_service *service) MUST_USE;
/** Enters members[index] into the slots. */
void draft_service_enter(struct draft_service *service, uint32_t index);
