/* SPDX-License-Identifier: MIT */
/**
 * How many connections each IP address has open, whichever listener and thread took them. IPv4
 * addresses that arrive mapped into IPv6 count as IPv4. Any thread.
 */
#pragma once

#include "base/attr.h"
#include "base/lock.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

#define PEERS_BUCKETS 1024

/** Owned by the connection; zero when nothing is counted (Unix sockets have no address). */
struct peer {
	unsigned char address[16];
	struct peer_count *count;
};

struct peers {
	struct lock lock;
	struct peer_count *bucket[PEERS_BUCKETS]; /* guarded by lock */
};

void peers_init(struct peers *peers);
/** All connections are gone by then. */
void peers_fini(struct peers *peers);
/**
 * Counts one more connection from @p address.
 * @param most  0: no limit
 * @return 0; -EAGAIN: it has @p most already; -ENOMEM. Then nothing was counted.
 */
int peers_enter(struct peers *peers, const struct sockaddr *address, unsigned most,
                struct peer *ret_peer) MUST_USE;
void peers_leave(struct peers *peers, struct peer *peer);
/** Where the bytes are counted that the address has not read of its answers, as long as it is
 * counted itself; NULL when it is not. */
_Atomic(uint64_t) *peer_unsent(const struct peer *peer);
