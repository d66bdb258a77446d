/* SPDX-License-Identifier: MIT */
/** Facts about this process, from the system. Any thread; reads /proc. */
#pragma once

#include <stdint.h>

struct process_facts {
	int64_t started_real_ms;
	uint64_t cpu_us;
	int64_t resident_bytes; /* this and the following: -1 when unknown */
	int64_t open_fds;
	int64_t max_fds; /* the soft limit; -1 also when there is none */
};

/** @param ret_facts  always written */
void process_facts(struct process_facts *ret_facts);
