/* SPDX-License-Identifier: MIT */
/** Files that are replaced as a whole or not at all: readers find the old or the new, also after a
 * crash. */
#pragma once

#include "tool/memory.h"

#include <stdbool.h>
#include <sys/types.h>

/**
 * The file that @p path leads to: links are followed, also to a file that does not exist yet.
 * @param ret_path  freed by the caller
 * @return 0; -EINVAL: it is a device, a FIFO, a socket or a directory (reported); or negative errno
 */
int replace_resolve(const char *path, char **ret_path);

/** The name of a hidden file in the same folder: "FOLDER/.NAME" and @p suffix. Freed by the caller.
 */
char *replace_hidden(const char *path, const char *suffix);

/** Is @p path a regular file with just this content? */
bool replace_holds(const char *path, const struct text *content);

/**
 * Writes and syncs a new file beside @p path, with the owner and the mode of the file there.
 * @param path      of replace_resolve()
 * @param mode      when there is no such file
 * @param ret_made  its name, for replace_install(); freed by the caller
 * @return 0; -EINVAL: the owner cannot be kept (reported); or negative errno
 */
int replace_prepare(const char *path, const struct text *content, mode_t mode, char **ret_made);
/** Renames it to @p path. @return 0, or negative errno: @p made is removed */
int replace_install(const char *made, const char *path);

/** All of it at once; does nothing when the file holds @p content already. @return as these */
int replace_file(const char *path, const struct text *content, mode_t mode);

/** Appends a regular file, 16 MiB at most, to @p text. @return 0, -EFBIG, -ENOTSUP (it is not a
 * regular file), or negative errno */
int replace_read(const char *path, struct text *text);
/** The same for a file of any kind, such as a pipe; may block. */
int replace_read_any(const char *path, struct text *text);
