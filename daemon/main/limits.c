/* SPDX-License-Identifier: MIT */
#include "main/limits.h"

#include <malloc.h>
#include <sys/resource.h>

/* The journal and its readers, epolls, wake-ups, listeners; and the next accept() at the limit. */
#define FILES_OF_OUR_OWN 128

#define TOP_PAD_BYTES        (1 << 20)
#define TRIM_THRESHOLD_BYTES (64 << 20)

uint64_t limits_raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return FILES_OF_OUR_OWN + 1;
	if (files.rlim_cur < files.rlim_max) {
		rlim_t before = files.rlim_cur;

		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) < 0)
			files.rlim_cur = before;
	}
	return files.rlim_cur;
}

unsigned limits_connections(uint64_t files, int64_t wanted)
{
	uint64_t room = files > FILES_OF_OUR_OWN ? files - FILES_OF_OUR_OWN : 1;

	return (uint64_t)wanted < room ? (unsigned)wanted : (unsigned)room;
}

void limits_tune_malloc(void)
{
	/* Each batch allocates and frees much the same. By default the heap's top would be given
	 * back and faulted in again every time. Failing only costs speed. */
	(void)mallopt(M_TOP_PAD, TOP_PAD_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES);
}
