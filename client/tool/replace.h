/* SPDX-License-Identifier: MIT */
/** Replaces files as a whole or not at all: readers find the old or the new file, also after a
 * crash. */
#pragma once

#include "tool/memory.h"

#include <stdbool.h>
#include <sys/types.h>

/**
 * Follows the links of @p path, also to a file that does not exist yet.
 * @param ret_path  freed by the caller
 * @return 0; -EINVAL (a device, a FIFO, a socket or a directory; reported); or another negative
 * errno
 */
int replace_resolve(const char *path, char **ret_path);

/** @return the path of a hidden file in the same folder, "FOLDER/.NAME" and @p suffix; freed by the
 * caller */
char *replace_hidden(const char *path, const char *suffix);

/** @return whether @p path is a regular file with exactly this content */
bool replace_holds(const char *path, const struct text *content);

/**
 * Writes and syncs a new file beside @p path, with the owner and the mode of the file there.
 * @param path      of replace_resolve()
 * @param mode      of the new file if there is no file at @p path
 * @param ret_made  path of the new file, for replace_install(); freed by the caller
 * @return 0; -EINVAL (the owner cannot be kept; reported); or another negative errno
 */
int replace_prepare(const char *path, const struct text *content, mode_t mode, char **ret_made);
/** Renames @p made to @p path. @return 0, or a negative errno: @p made is removed */
int replace_install(const char *made, const char *path);

/** Resolves, prepares and installs; does nothing when the file has @p content already. @return as
 * those */
int replace_file(const char *path, const struct text *content, mode_t mode);

/** Appends the content of a regular file to @p text. @return 0; -EFBIG (more than 16 MiB); -ENOTSUP
 * (not a regular file); or another negative errno */
int replace_read(const char *path, struct text *text);
/** The same for a file of any kind, such as a pipe; may block. */
int replace_read_any(const char *path, struct text *text);
