/* SPDX-License-Identifier: MIT */
/**
 * Counts the connections of all listeners and threads, in all and from each IP address, and knows
 * which of them are silent. At a limit a silent connection is shut down in favour of a new one. An
 * IPv4 address mapped into IPv6 counts as the IPv4 address. Any thread.
 */
#pragma once

#include "base/attr.h"
#include "base/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define PEERS_BUCKETS 1024

/** In the order in which silent connections give way; within one kind the oldest goes first. */
enum silence {
	SILENT_NEW,  /* has not sent a byte */
	SILENT_IDLE, /* has sent no request for a while */
	SILENCES,
	NOT_SILENT = SILENCES
};

/** A link of a ring; the head of a list is one of the links. */
struct peer_link {
	struct peer_link *previous;
	struct peer_link *next;
};

/** What is known of one connection. The connection owns it and does not move it; guarded by
 * peers.lock. */
struct peer {
	unsigned char address[16];
	struct peer_count *count; /* of its address; NULL: a Unix socket, which has none */
	bool counted;             /* false before peers_enter(), and once it has given way */
	int fd;
	enum silence silence;
	struct peer_link all; /* if silent: in peers.silent */
	struct peer_link own; /* if silent and `count` is not NULL: in peer_count.silent */
};

struct peers {
	struct lock lock;
	/* guarded by lock */
	unsigned connections;
	struct peer_link silent[SILENCES];
	struct peer_count *bucket[PEERS_BUCKETS];
};

void peers_init(struct peers *peers);
/** Call it after every connection has left. */
void peers_fini(struct peers *peers);
/**
 * Counts one more connection from @p address. At a limit it replaces a silent connection: at
 * @p most_per_peer (0: no limit) one from the same address, at @p most one from any address.
 * @param fd  stays open until peers_leave(), or while @p ret_peer is not silent
 * @return 0; -EAGAIN: no silent connection could give way; -ENOMEM. On failure nothing is counted.
 */
int peers_enter(struct peers *peers, const struct sockaddr *address, int fd, unsigned most,
                unsigned most_per_peer, struct peer *ret_peer) MUST_USE;
/** Moves @p peer to the end of the list of @p silence. */
void peers_silence(struct peers *peers, struct peer *peer, enum silence silence);
/** Also takes a @p peer that is all zero, which has never been counted. */
void peers_leave(struct peers *peers, struct peer *peer);
/** The counter of the answer bytes that the address has not read, valid while @p peer is counted;
 * NULL when its address is not counted. */
_Atomic(uint64_t) *peer_unsent(const struct peer *peer);
