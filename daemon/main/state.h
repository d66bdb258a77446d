/* SPDX-License-Identifier: MIT */
/** The state directory and who may read what is in it. */
#pragma once

#include "base/attr.h"

/**
 * Makes the state directory (0700) where it is missing, but not its parents, and makes its files,
 * old and new, private: to the owner, or to owner and group where the group may read the directory.
 * Main only, before threads start: sets the umask.
 * @return 0 or an error, which has been logged
 */
int state_prepare(const char *dir) MUST_USE;
