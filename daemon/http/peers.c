/* SPDX-License-Identifier: MIT */
/*
 * A hash table of IP addresses with their connections, and lists of the silent ones, under one lock
 * that every http thread takes. Entering, leaving and finding who gives way take constant time.
 *
 * Invariant: a struct peer that is counted and silent is in the list of all and in that of its
 * address. A connection that gives way is only shut down here: its own thread sees the end of the
 * socket and closes it, because no other thread may touch its state.
 */
#include "http/peers.h"

#include "base/check.h"
#include "base/hash.h"
#include "metrics/metrics.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct peer_count {
	struct peer_count *next;
	unsigned char address[16];
	unsigned connections;
	_Atomic(uint64_t) unsent; /* see peer_unsent() */
	struct peer_link silent[SILENCES];
};

static void lists_init(struct peer_link lists[SILENCES])
{
	for (unsigned i = 0; i < SILENCES; i++)
		lists[i] = (struct peer_link){&lists[i], &lists[i]};
}

void peers_init(struct peers *peers)
{
	*peers = (struct peers){0};
	lists_init(peers->silent);
	lock_init(&peers->lock, LOCK_HTTP_PEERS);
}

void peers_fini(struct peers *peers)
{
	CHECK(peers->connections == 0);
	for (size_t i = 0; i < PEERS_BUCKETS; i++)
		CHECK(peers->bucket[i] == NULL);
	lock_fini(&peers->lock);
}

/* Writes the address as IPv6. @return false: it is no IP address */
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

/* --- lists of silent connections -------------------------------------------------------------- */

static void link_append(struct peer_link *list, struct peer_link *link)
{
	*link = (struct peer_link){.previous = list->previous, .next = list};
	list->previous->next = link;
	list->previous = link;
}

static void link_take_out(struct peer_link *link)
{
	link->previous->next = link->next;
	link->next->previous = link->previous;
}

static void peers_silence_locked(struct peers *peers, struct peer *peer, enum silence silence)
{
	if (peer->silence != NOT_SILENT) {
		link_take_out(&peer->all);
		if (peer->count != NULL)
			link_take_out(&peer->own);
	}
	peer->silence = silence;
	if (silence != NOT_SILENT) {
		link_append(&peers->silent[silence], &peer->all);
		if (peer->count != NULL)
			link_append(&peer->count->silent[silence], &peer->own);
	}
}

void peers_silence(struct peers *peers, struct peer *peer, enum silence silence)
{
	lock_take(&peers->lock);
	if (peer->counted)
		peers_silence_locked(peers, peer, silence);
	lock_release(&peers->lock);
}

/* --- counting --------------------------------------------------------------------------------- */

static void peers_leave_locked(struct peers *peers, struct peer *peer)
{
	struct peer_count *count = peer->count;

	peers_silence_locked(peers, peer, NOT_SILENT);
	peer->counted = false;
	CHECK(peers->connections > 0);
	peers->connections--;
	if (count == NULL)
		return;
	peer->count = NULL;
	CHECK(count->connections > 0);
	if (--count->connections == 0) {
		struct peer_count **at = find_locked(peers, peer->address);

		CHECK(*at == count);
		*at = count->next;
		free(count);
	}
}

/* The peer to give way: from the address of @p count, or from any when that is NULL. */
static struct peer *find_silent(struct peers *peers, struct peer_count *count)
{
	struct peer_link *lists = count != NULL ? count->silent : peers->silent;

	for (unsigned i = 0; i < SILENCES; i++) {
		struct peer_link *first = lists[i].next;

		if (first != &lists[i])
			return count != NULL ? container_of(first, struct peer, own)
			                     : container_of(first, struct peer, all);
	}
	return NULL;
}

/* @return 0; -EAGAIN: none is silent */
static int peers_shed_locked(struct peers *peers, struct peer_count *count)
{
	struct peer *peer = find_silent(peers, count);

	if (peer == NULL)
		return -EAGAIN;
	/* Its thread sees the end of the socket and closes it. */
	(void)shutdown(peer->fd, SHUT_RDWR);
	metrics_count(METRIC_CONNECTIONS_SHED, 1);
	peers_leave_locked(peers, peer);
	return 0;
}

static int make_room_locked(struct peers *peers, const unsigned char *key, unsigned most,
                            unsigned most_per_peer)
{
	struct peer_count *count = key != NULL ? *find_locked(peers, key) : NULL;
	int r = 0;

	if (count != NULL && most_per_peer > 0 && count->connections >= most_per_peer)
		r = peers_shed_locked(peers, count);
	if (r == 0 && peers->connections >= most)
		r = peers_shed_locked(peers, NULL);
	return r;
}

int peers_enter(struct peers *peers, const struct sockaddr *address, int fd, unsigned most,
                unsigned most_per_peer, struct peer *ret_peer)
{
	struct peer peer = {.counted = true, .fd = fd, .silence = NOT_SILENT};
	struct peer_count *fresh = NULL;
	bool has_address = to_key(address, peer.address);

	if (has_address) {
		fresh = calloc(1, sizeof(*fresh)); /* not under the lock */
		if (fresh == NULL)
			return -ENOMEM;
		memcpy(fresh->address, peer.address, sizeof(fresh->address));
		lists_init(fresh->silent);
	}

	lock_take(&peers->lock);
	int r = make_room_locked(peers, has_address ? peer.address : NULL, most, most_per_peer);
	if (r == 0 && has_address) {
		struct peer_count **at = find_locked(peers, peer.address);

		if (*at == NULL) {
			*at = fresh;
			fresh = NULL;
		}
		(*at)->connections++;
		peer.count = *at;
	}
	if (r == 0)
		peers->connections++;
	lock_release(&peers->lock);

	free(fresh);
	if (r == 0)
		*ret_peer = peer;
	return r;
}

void peers_leave(struct peers *peers, struct peer *peer)
{
	lock_take(&peers->lock);
	if (peer->counted)
		peers_leave_locked(peers, peer);
	lock_release(&peers->lock);
}

_Atomic(uint64_t) *peer_unsent(const struct peer *peer)
{
	return peer->count != NULL ? &peer->count->unsent : NULL;
}
