/* SPDX-License-Identifier: MIT */
/** A service while a draft changes it: a growable copy of the published version. Writer only. */
#pragma once

#include "snapshot/internal.h"

struct draft_service {
	const struct service *old; /* the published version; NULL: the service is new */
	struct service *next;      /* set by finish; NULL: the service has no instances left */
	struct service_build build;
	uint32_t size;       /* allocated for build.members and build.id_hashes */
	uint32_t live;       /* build.count without holes */
	uint32_t *slots;     /* as in struct service; slots of holes are not freed */
	uint32_t slot_count; /* power of two */
	uint32_t status_count[STATUS_COUNT];
	uint32_t can_expire; /* as in struct service */
};

/** Copies @p old; NULL: makes an empty service with a new life. @return owned by the caller; NULL:
 * out of memory */
struct draft_service *draft_service_open(const struct service *old, uint64_t hash,
                                         struct str name) MUST_USE;
/** Frees the arrays and the struct, but neither members, the life, nor next. Takes NULL. */
void draft_service_free(struct draft_service *service);
/** @return 1 + the index of the member in build.members; 0: there is none */
uint32_t draft_service_find(const struct draft_service *service, uint32_t id_hash, struct str id);
/** Makes room for one more member. @return 0 or -ENOMEM */
int draft_service_reserve(struct draft_service *service) MUST_USE;
/** Enters build.members[index] into the slots. */
void draft_service_enter(struct draft_service *service, uint32_t index);
