/* SPDX-License-Identifier: MIT */
/**
 * All connections, whichever listener and thread took them: how many there are, in all and from
 * each IP address, and which are silent. At a limit a silent connection is shut down in favour of a
 * new one. IPv4 addresses that arrive mapped into IPv6 count as IPv4. Any thread.
 */
#pragma once

#include "base/attr.h"
#include "base/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define PEERS_BUCKETS 1024

/** In the order in which silent connections give way; of the same silence the oldest is first. */
enum silence {
	SILENT_NEW,  /* nothing has come yet */
	SILENT_IDLE, /* no request for a while */
	SILENCES,
	NOT_SILENT = SILENCES
};

/** In a ring; the head of a list is one of its links. */
struct peer_link {
	struct peer_link *previous;
	struct peer_link *next;
};

/** One connection, which owns it and leaves it in one place; guarded by the lock of its peers. */
struct peer {
	unsigned char address[16];
	struct peer_count *count; /* NULL: Unix sockets have no address */
	bool counted;             /* false again once it has been shut down in favour of another */
	int fd;
	enum silence silence;
	struct peer_link all; /* when silent: among all of the same silence */
	struct peer_link own; /* when silent and with an address: among those from there */
};

struct peers {
	struct lock lock;
	/* guarded by lock */
	unsigned connections;
	struct peer_link silent[SILENCES];
	struct peer_count *bucket[PEERS_BUCKETS];
};

void peers_init(struct peers *peers);
/** All connections are gone by then. */
void peers_fini(struct peers *peers);
/**
 * Counts one more connection from @p address, in place of a silent one where there are as many as
 * may be: at @p most_per_peer (0: no limit) one from the same address, at @p most any.
 * @param fd  stays open until peers_leave(), or while @p ret_peer is not silent
 * @return 0; -EAGAIN: no silent one could give way; -ENOMEM. Then nothing was counted.
 */
int peers_enter(struct peers *peers, const struct sockaddr *address, int fd, unsigned most,
                unsigned most_per_peer, struct peer *ret_peer) MUST_USE;
/** Makes @p peer the latest with @p silence. */
void peers_silence(struct peers *peers, struct peer *peer, enum silence silence);
/** Takes one that was never counted, too, if it is all zero. */
void peers_leave(struct peers *peers, struct peer *peer);
/** Where the bytes are counted that the address has not read of its answers, as long as it is
 * counted itself; NULL when it is not. */
_Atomic(uint64_t) *peer_unsent(const struct peer *peer);
