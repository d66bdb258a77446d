/* SPDX-License-Identifier: MIT */
/** Files that are replaced as a whole or not at all. */
#pragma once

#include "tool/memory.h"

#include <stdbool.h>

/**
 * Puts @p content in the place of @p path: in a new file beside it that is synced, checked, and
 * renamed. Whoever reads it meets the old or the new, also after a crash. Nothing is done when it
 * holds @p content already. The mode stays, and is 0644 for a new file.
 * @param check         called with the new file's name; a negative result leaves all as it was and
 *                      is returned. NULL: none
 * @param ret_replaced  may be NULL
 * @return 0, or negative errno
 */
int replace_file(const char *path, const struct text *content,
                 int (*check)(const char *path, void *arg), void *arg, bool *ret_replaced);

/** Appends all of a file, 16 MiB at most, to @p text. @return 0, -EFBIG, or negative errno */
int replace_read(const char *path, struct text *text);
