/* SPDX-License-Identifier: MIT */
#include "tool/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_MAX (16u << 20)

int replace_read(const char *path, struct text *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t begin = text->len;
	char block[16384];
	ssize_t got;
	int r = 0;

	if (fd < 0)
		return -errno;
	text_put(text, "");
	while ((got = read(fd, block, sizeof(block))) != 0) {
		if (got < 0 || text->len - begin + (size_t)got > READ_MAX) {
			r = got < 0 ? -errno : -EFBIG;
			break;
		}
		text_put_bytes(text, block, (size_t)got);
	}
	(void)close(fd);
	if (r < 0) {
		text->len = begin;
		text->data[begin] = '\0';
	}
	return r;
}

static bool holds(const char *path, const struct text *content)
{
	struct text now = {NULL, 0, 0};
	bool same = replace_read(path, &now) == 0 && now.data != NULL && now.len == content->len &&
	            memcmp(now.data, content->data, now.len) == 0;

	text_free(&now);
	return same;
}

/** Writes and syncs. @return 0 or -errno */
static int fill(int fd, const struct text *content, mode_t mode)
{
	size_t done = 0;

	while (done < content->len) {
		ssize_t n = write(fd, content->data + done, content->len - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return fchmod(fd, mode) < 0 || fsync(fd) < 0 ? -errno : 0;
}

/** So that the rename too is on disk. Not every filesystem can, and there is no way back. */
static void sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd = folder != NULL ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		(void)fsync(fd);
		(void)close(fd);
	}
	free(folder);
}

int replace_file(const char *path, const struct text *content,
                 int (*check)(const char *path, void *arg), void *arg, bool *ret_replaced)
{
	struct text made = {NULL, 0, 0};
	struct stat old;
	mode_t mode = 0644;
	int r;

	if (ret_replaced != NULL)
		*ret_replaced = false;
	if (holds(path, content))
		return 0;
	if (stat(path, &old) == 0)
		mode = old.st_mode & 0777;
	text_printf(&made, "%s.XXXXXX", path);
	int fd = mkostemp(made.data, O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		text_free(&made);
		return r;
	}
	r = fill(fd, content, mode);
	(void)close(fd);
	if (r == 0 && check != NULL)
		r = check(made.data, arg);
	if (r == 0 && rename(made.data, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(made.data);
	else
		sync_folder(path);
	if (r == 0 && ret_replaced != NULL)
		*ret_replaced = true;
	text_free(&made);
	return r;
}
