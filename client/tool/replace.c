/* SPDX-License-Identifier: MIT */
/*
 * Reads files, and replaces them by writing a new file beside the old one and renaming it. One
 * thread; blocks on the disk. Invariant: at every moment, also after a crash, the path leads to the
 * old or to the new content, complete and synced, with the owner and the mode of the old file.
 * Writing into the old file would keep its inode and all its attributes, but a reader or a crash
 * could meet half of the content.
 */
#include "tool/replace.h"

#include "tool/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_MAX  (16u << 20)
#define LINKS_MAX 40

static int replace_read_fd(int fd, struct text *text)
{
	size_t begin = text->len;
	char block[16384];
	ssize_t got;
	int r = 0;

	text_put(text, "");
	while ((got = read(fd, block, sizeof(block))) != 0) {
		if (got < 0 || text->len - begin + (size_t)got > READ_MAX) {
			r = got < 0 ? -errno : -EFBIG;
			break;
		}
		text_put_bytes(text, block, (size_t)got);
	}
	if (r < 0) {
		text->len = begin;
		text->data[begin] = '\0';
	}
	return r;
}

int replace_read(const char *path, struct text *text)
{
	/* O_NONBLOCK: opening a FIFO would wait for a writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat file;
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &file) < 0)
		r = -errno;
	else
		r = S_ISREG(file.st_mode) ? replace_read_fd(fd, text) : -ENOTSUP;
	(void)close(fd);
	return r;
}

int replace_read_any(const char *path, struct text *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	int r = replace_read_fd(fd, text);
	(void)close(fd);
	return r;
}

static int replace_refuse(const char *path, mode_t mode)
{
	const char *kind = S_ISDIR(mode)    ? "a directory"
	                   : S_ISCHR(mode)  ? "a character device"
	                   : S_ISBLK(mode)  ? "a block device"
	                   : S_ISFIFO(mode) ? "a FIFO"
	                   : S_ISSOCK(mode) ? "a socket"
	                                    : "of an unknown kind";

	tool_warn("'%s' is %s: only a regular file can be replaced", path, kind);
	return -EINVAL;
}

/** @return the length of the part of @p path that is its folder, with the slash; 0: the current
 * folder */
static size_t folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

/** Replaces the link *@p path by its target. @return 0 or -errno */
static int replace_follow_link(char **path)
{
	char target[PATH_MAX];
	struct text text = {NULL, 0, 0};
	ssize_t len = readlink(*path, target, sizeof(target));

	if (len < 0 || len == (ssize_t)sizeof(target))
		return len < 0 ? -errno : -ENAMETOOLONG;
	if (target[0] != '/')
		text_put_bytes(&text, *path, folder_len(*path));
	text_put_bytes(&text, target, (size_t)len);
	free(*path);
	*path = text.data;
	return 0;
}

int replace_resolve(const char *path, char **ret_path)
{
	char *at = memory_copy(path);
	struct stat file;
	int r = *path != '\0' ? 0 : -ENOENT;

	for (int links = 0; r == 0; links++) {
		if (lstat(at, &file) < 0) {
			r = errno == ENOENT ? 0 : -errno;
			break;
		}
		if (!S_ISLNK(file.st_mode)) {
			r = S_ISREG(file.st_mode) ? 0 : replace_refuse(path, file.st_mode);
			break;
		}
		r = links < LINKS_MAX ? replace_follow_link(&at) : -ELOOP;
	}
	if (r < 0)
		free(at);
	else
		*ret_path = at;
	return r;
}

char *replace_hidden(const char *path, const char *suffix)
{
	struct text text = {NULL, 0, 0};
	size_t len = folder_len(path);

	text_put_bytes(&text, path, len);
	text_printf(&text, ".%s%s", path + len, suffix);
	return text.data;
}

bool replace_holds(const char *path, const struct text *content)
{
	struct text now = {NULL, 0, 0};
	bool same = replace_read(path, &now) == 0 && now.data != NULL && now.len == content->len &&
	            memcmp(now.data, content->data, now.len) == 0;

	text_free(&now);
	return same;
}

/** Gives the new file the owner of the old one. @return 0; -EINVAL (reported); or another -errno */
static int keep_owner(int fd, const char *path, const struct stat *old)
{
	struct stat made;

	if (fstat(fd, &made) < 0)
		return -errno;
	if (made.st_uid == old->st_uid && made.st_gid == old->st_gid)
		return 0;
	if (fchown(fd, old->st_uid, old->st_gid) == 0)
		return 0;
	tool_warn("cannot keep the owner of '%s' (user %u, group %u): %s", path,
	          (unsigned)old->st_uid, (unsigned)old->st_gid, strerror(errno));
	return -EINVAL;
}

/** Writes and syncs @p content. @return 0 or -errno */
static int replace_fill(int fd, const struct text *content)
{
	size_t done = 0;

	while (done < content->len) {
		ssize_t n = write(fd, content->data + done, content->len - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/** Syncs the folder, so that a rename is on disk too. Not every filesystem can, and a rename cannot
 * be undone, so failures are ignored. */
static void sync_folder(const char *path)
{
	size_t len = folder_len(path);
	char *folder = len > 0 ? strndup(path, len) : strdup(".");
	int fd = folder != NULL ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		(void)fsync(fd);
		(void)close(fd);
	}
	free(folder);
}

int replace_prepare(const char *path, const struct text *content, mode_t mode, char **ret_made)
{
	struct text made = {NULL, 0, 0};
	struct stat old;
	int r = 0;

	text_printf(&made, "%s.XXXXXX", path);
	int fd = mkostemp(made.data, O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		text_free(&made);
		return r;
	}
	if (lstat(path, &old) == 0) {
		mode = old.st_mode & 0777;
		r = keep_owner(fd, path, &old);
	}
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0)
		r = replace_fill(fd, content);
	(void)close(fd);
	if (r < 0) {
		(void)unlink(made.data);
		text_free(&made);
		return r;
	}
	*ret_made = made.data;
	return 0;
}

int replace_install(const char *made, const char *path)
{
	if (rename(made, path) < 0) {
		int r = -errno;

		(void)unlink(made);
		return r;
	}
	sync_folder(path);
	return 0;
}

int replace_file(const char *path, const struct text *content, mode_t mode)
{
	char *file = NULL;
	char *made = NULL;

	int r = replace_resolve(path, &file);
	if (r < 0)
		return r;
	if (!replace_holds(file, content)) {
		r = replace_prepare(file, content, mode, &made);
		if (made != NULL)
			r = replace_install(made, file);
		free(made);
	}
	free(file);
	return r;
}
