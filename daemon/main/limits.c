/* SPDX-License-Identifier: MIT */
#include "main/limits.h"

#include <malloc.h>
#include <sys/resource.h>

/*
 * 20 are open at rest: the journal and its readers, signals, standard streams. More are open for a
 * moment: keyframes, /proc for the metrics, connections that have given way to new ones; and there
 * are up to 16 listeners.
 */
#define FILES_OF_OUR_OWN 80
#define FILES_PER_THREAD 4  /* three epolls, a wake-up */
#define CONNECTIONS_MIN  16 /* the least max_connections: test_limits compares */

#define TOP_PAD_BYTES        (1 << 20)
#define TRIM_THRESHOLD_BYTES (64 << 20)

uint64_t limits_raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 0;
	if (files.rlim_cur < files.rlim_max) {
		rlim_t before = files.rlim_cur;

		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) < 0)
			files.rlim_cur = before;
	}
	return files.rlim_cur;
}

static uint64_t files_of_our_own(int64_t threads)
{
	return FILES_OF_OUR_OWN + FILES_PER_THREAD * (uint64_t)threads;
}

uint64_t limits_files_needed(int64_t threads)
{
	return files_of_our_own(threads) + CONNECTIONS_MIN;
}

unsigned limits_connections(uint64_t files, int64_t threads, int64_t wanted)
{
	uint64_t room = files - files_of_our_own(threads);

	return (uint64_t)wanted < room ? (unsigned)wanted : (unsigned)room;
}

void limits_tune_malloc(void)
{
	/* Each batch allocates and frees similar amounts. By default malloc() would return the
	 * heap's top each time and fault it in again. A failure here only costs speed. */
	(void)mallopt(M_TOP_PAD, TOP_PAD_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES);
}
