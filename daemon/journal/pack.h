/* SPDX-License-Identifier: MIT */
/** Instances as bytes, one after the other: what keyframes and past states are made of. */
#pragma once

#include "base/attr.h"
#include "model/instance.h"

/** Appends the whole instance but its status, which follows from the rest. */
void pack_instance(struct buf *out, const struct instance *instance);
/**
 * Reads the instance that @p rest begins with and moves on behind it.
 * @param ret_instance  its strings are borrowed from @p rest
 * @return 0; -EBADMSG: it is none
 */
int unpack_instance(struct str *rest, struct instance *ret_instance) MUST_USE;
