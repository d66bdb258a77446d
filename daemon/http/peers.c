/* SPDX-License-Identifier: MIT */
#include "http/peers.h"

#include "base/check.h"
#include "base/hash.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct peer_count {
	struct peer_count *next;
	unsigned char address[16];
	unsigned connections;
	_Atomic(uint64_t) unsent; /* see peer_unsent() */
};

void peers_init(struct peers *peers)
{
	*peers = (struct peers){0};
	lock_init(&peers->lock, LOCK_HTTP_PEERS);
}

void peers_fini(struct peers *peers)
{
	for (size_t i = 0; i < PEERS_BUCKETS; i++)
		CHECK(peers->bucket[i] == NULL);
	lock_fini(&peers->lock);
}

/* Every IP address as IPv6. */
static bool to_key(const struct sockaddr *address, unsigned char key[16])
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, address, sizeof(in));
		memcpy(key, mapped, sizeof(mapped));
		memcpy(key + sizeof(mapped), &in.sin_addr, 4);
		return true;
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, address, sizeof(in6));
		memcpy(key, &in6.sin6_addr, 16);
		return true;
	}
	return false;
}

static struct peer_count **find_locked(struct peers *peers, const unsigned char key[16])
{
	struct peer_count **at = &peers->bucket[hash_bytes(key, 16) % PEERS_BUCKETS];

	CHECK(lock_held(&peers->lock));
	while (*at != NULL && memcmp((*at)->address, key, 16) != 0)
		at = &(*at)->next;
	return at;
}

int peers_enter(struct peers *peers, const struct sockaddr *address, unsigned most,
                struct peer *ret_peer)
{
	struct peer peer = {0};

	if (!to_key(address, peer.address)) {
		*ret_peer = peer;
		return 0;
	}
	struct peer_count *fresh = calloc(1, sizeof(*fresh)); /* not under the lock */
	if (fresh == NULL)
		return -ENOMEM;

	lock_take(&peers->lock);
	struct peer_count **at = find_locked(peers, peer.address);
	bool full = *at != NULL && most > 0 && (*at)->connections >= most;
	if (*at == NULL) {
		memcpy(fresh->address, peer.address, sizeof(fresh->address));
		*at = fresh;
		fresh = NULL;
	}
	if (!full) {
		(*at)->connections++;
		peer.count = *at;
	}
	lock_release(&peers->lock);

	free(fresh);
	if (full)
		return -EAGAIN;
	*ret_peer = peer;
	return 0;
}

void peers_leave(struct peers *peers, struct peer *peer)
{
	struct peer_count *gone = NULL;

	if (peer->count == NULL)
		return;
	lock_take(&peers->lock);
	CHECK(peer->count->connections > 0);
	if (--peer->count->connections == 0) {
		struct peer_count **at = find_locked(peers, peer->address);

		gone = *at;
		CHECK(gone == peer->count);
		*at = gone->next;
	}
	lock_release(&peers->lock);
	free(gone);
	peer->count = NULL;
}

_Atomic(uint64_t) *peer_unsent(const struct peer *peer)
{
	return peer->count != NULL ? &peer->count->unsent : NULL;
}
