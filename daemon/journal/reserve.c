/* SPDX-License-Identifier: MIT */
#include "journal/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room in the WAL for about a thousand batches of deregistrations. */
#define RESERVE_BYTES (8 << 20)

void journal_release_reserve(struct journal *journal)
{
	(void)unlinkat(journal->dir_fd, JOURNAL_FILE_RESERVE, 0); /* failing, there is none */
}

int journal_take_reserve(struct journal *journal)
{
	struct stat have;
	int fd = openat(journal->dir_fd, JOURNAL_FILE_RESERVE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int r = 0;

	if (fd < 0)
		return errno == EDQUOT ? -ENOSPC : -errno;
	/* A file with this size but holes reserves nothing. */
	if (fstat(fd, &have) < 0 || (int64_t)have.st_blocks * 512 < RESERVE_BYTES)
		r = -posix_fallocate(fd, 0, RESERVE_BYTES);
	(void)close(fd); /* nothing was written */
	if (r == 0)
		return 0;

	/* An incomplete reserve takes space that commits need. */
	journal_release_reserve(journal);
	return r == -EDQUOT || r == -EFBIG ? -ENOSPC : r;
}
