/* SPDX-License-Identifier: MIT */
#include "suite.h"

#include "fault.h"
#include "http/peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static struct peers peers;

static void set_up(void)
{
	peers_init(&peers);
}

static void tear_down(void)
{
	peers_fini(&peers); /* checks that nobody is left */
}

static int enter(const char *text, unsigned most, struct peer *ret_peer)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return peers_enter(&peers, (struct sockaddr *)&in, most, ret_peer);
	ck_assert_int_eq(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return peers_enter(&peers, (struct sockaddr *)&in6, most, ret_peer);
}

START_TEST(one_address_may_have_so_many)
{
	struct peer peer[3];
	struct peer other;

	ck_ok(enter("10.0.0.1", 2, &peer[0]));
	ck_ok(enter("10.0.0.1", 2, &peer[1]));
	ck_fails(enter("10.0.0.1", 2, &peer[2]), EAGAIN);
	ck_ok(enter("10.0.0.2", 2, &other));
	peers_leave(&peers, &peer[0]);
	ck_ok(enter("10.0.0.1", 2, &peer[2]));
	ck_ok(enter("10.0.0.1", 0, &peer[0])); /* no limit */
	for (unsigned i = 0; i < 3; i++)
		peers_leave(&peers, &peer[i]);
	peers_leave(&peers, &other);
	peers_leave(&peers, &other); /* counted once only */
}
END_TEST

START_TEST(ipv4_mapped_into_ipv6_is_the_same_address)
{
	struct peer a;
	struct peer b;

	ck_ok(enter("10.0.0.1", 1, &a));
	ck_fails(enter("::ffff:10.0.0.1", 1, &b), EAGAIN);
	ck_ok(enter("::10.0.0.1", 1, &b));
	peers_leave(&peers, &a);
	peers_leave(&peers, &b);
}
END_TEST

START_TEST(unix_sockets_are_not_counted)
{
	struct sockaddr un = {.sa_family = AF_UNIX};
	struct peer a;
	struct peer b;

	ck_ok(peers_enter(&peers, &un, 1, &a));
	ck_ok(peers_enter(&peers, &un, 1, &b));
	peers_leave(&peers, &a);
	peers_leave(&peers, &b);
}
END_TEST

START_TEST(many_addresses_share_buckets)
{
	enum { COUNT = 5000 };
	static struct peer peer[COUNT];
	struct peer more;
	char text[32];

	for (unsigned i = 0; i < COUNT; i++) {
		snprintf(text, sizeof(text), "10.1.%u.%u", i / 256, i % 256);
		ck_ok(enter(text, 1, &peer[i]));
	}
	for (unsigned i = 0; i < COUNT; i++) {
		snprintf(text, sizeof(text), "10.1.%u.%u", i / 256, i % 256);
		ck_fails(enter(text, 1, &more), EAGAIN);
		peers_leave(&peers, &peer[i]);
		ck_ok(enter(text, 1, &peer[i]));
	}
	for (unsigned i = 0; i < COUNT; i++)
		peers_leave(&peers, &peer[i]);
}
END_TEST

START_TEST(without_memory_nothing_is_counted)
{
	struct peer peer;

	fault_arm(0);
	ck_fails(enter("10.0.0.1", 1, &peer), ENOMEM);
	ck_assert(fault_hit());
	ck_ok(enter("10.0.0.1", 1, &peer));
	peers_leave(&peers, &peer);
}
END_TEST

SUITE("http_peers", set_up, tear_down, one_address_may_have_so_many,
      ipv4_mapped_into_ipv6_is_the_same_address, unix_sockets_are_not_counted,
      many_addresses_share_buckets, without_memory_nothing_is_counted)
