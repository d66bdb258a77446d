/* SPDX-License-Identifier: MIT */
#include "metrics/process.h"

#include "base/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(clockid_t id)
{
	struct timespec now;

	CHECK_OK(clock_gettime(id, &now));
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Reads a short file as text. @return false when it cannot be read */
static bool proc_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	ssize_t len = read(fd, text, size - 1);
	(void)close(fd); /* only read */
	if (len <= 0)
		return false;
	text[len] = '\0';
	return true;
}

/* The start of the process; 0: unknown. The kernel records it by CLOCK_BOOTTIME, which counts the
 * time in which the machine sleeps. */
static int64_t started_real_ms(void)
{
	char text[1024];
	uint64_t ticks = 0;

	if (!proc_read("/proc/self/stat", text, sizeof(text)))
		return 0;
	/* The name in parentheses may contain anything; the start is 20 fields behind it
	 * (proc(5)). */
	const char *at = strrchr(text, ')');
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at == NULL || sscanf(at, " %" SCNu64, &ticks) != 1)
		return 0;
	int64_t age_us = now_us(CLOCK_BOOTTIME) - (int64_t)ticks * 1000000 / sysconf(_SC_CLK_TCK);
	return (now_us(CLOCK_REALTIME) - age_us) / 1000;
}

static int64_t resident_bytes(void)
{
	char text[128];
	int64_t pages = 0;

	if (!proc_read("/proc/self/statm", text, sizeof(text)) ||
	    sscanf(text, "%*d %" SCNd64, &pages) != 1)
		return -1;
	return pages * sysconf(_SC_PAGESIZE);
}

static int64_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int64_t count = -1; /* not counting the directory, which is open now */

	if (dir == NULL)
		return -1;
	for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		count += entry->d_name[0] != '.';
	(void)closedir(dir);
	return count;
}

static int64_t max_fds(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return -1;
	return (int64_t)limit.rlim_cur;
}

void process_facts(struct process_facts *ret_facts)
{
	/* Computed once, so that a changed clock does not change it. */
	static _Atomic(int64_t) started_ms;
	int64_t started = atomic_load_explicit(&started_ms, memory_order_relaxed);

	if (started == 0) {
		int64_t unknown = 0;
		started = started_real_ms();
		if (!atomic_compare_exchange_strong(&started_ms, &unknown, started))
			started = unknown;
	}
	*ret_facts = (struct process_facts){
		.started_real_ms = started,
		.cpu_us = (uint64_t)now_us(CLOCK_PROCESS_CPUTIME_ID),
		.resident_bytes = resident_bytes(),
		.open_fds = open_fds(),
		.max_fds = max_fds(),
	};
}
