/* SPDX-License-Identifier: MIT */
/**
 * The scripts of schema/sql/, embedded by the Makefile in order of their names. A file's
 * user_version is how many of them have been applied to it. Never change one that was released:
 * add the next.
 */
#pragma once

#include "base/embedded.h"

#include <stddef.h>

extern const struct embedded schema_migrations[];
extern const size_t schema_migrations_count;
