/* SPDX-License-Identifier: MIT */
/** The state directory and the permissions of its files. */
#pragma once

#include "base/attr.h"

#include <sys/types.h>

/**
 * Makes the state directory (0700) if it is missing, but not its parents. Makes old and new files
 * in it private to the owner, or to owner and group if the group may read the directory. Sets the
 * umask, so call it in main() before threads start.
 * @return 0 or an error, which has been logged
 */
int state_prepare(const char *dir) MUST_USE;
/**
 * Makes new files private, as state_prepare() does. Main only.
 * @param ret_mask  what they are not to have
 * @return 0 or an error, of a directory that is missing for example
 */
int state_umask(const char *dir, mode_t *ret_mask) MUST_USE;
