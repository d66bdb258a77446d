/* SPDX-License-Identifier: MIT */
/** Fuzzes the reader of write-ahead logs with the 96 bytes of a -shm file and a log after them: the
 * members of the report agree with each other. */
#include "base/check.h"
#include "journal/wal.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define SHM_SIZE 96

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	CHECK(fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size));
	return fd;
}

static void examine(int wal_fd, int shm_fd)
{
	struct wal_report report;
	int out_fd = memfd_create("fuzz", MFD_CLOEXEC);

	CHECK(out_fd >= 0);
	CHECK_OK(wal_examine(wal_fd, shm_fd, &report));
	CHECK(!report.is_damaged || !report.is_torn);
	CHECK(report.valid <= report.frames && report.valid <= report.apply);
	CHECK(report.apply <= report.frames);
	CHECK(report.is_damaged || report.apply == report.valid);
	int r = wal_apply(wal_fd, &report, out_fd);
	CHECK(r == 0 || r == -EFBIG || r == -EINVAL);
	wal_report_fini(&report);
	(void)close(out_fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t shm_size = size < SHM_SIZE ? size : SHM_SIZE;
	int shm_fd = file_of(data, shm_size);
	int wal_fd = file_of(data + shm_size, size - shm_size);

	examine(wal_fd, -1);
	examine(wal_fd, shm_fd);
	(void)close(shm_fd);
	(void)close(wal_fd);
	return 0;
}
