/* SPDX-License-Identifier: MIT */
/*
 * The table of peers, which counts connections by address and chooses the silent one that gives way
 * at a limit. A pair of sockets stands for each connection; there is no server.
 */
#include "suite.h"

#include "fault.h"
#include "http/peers.h"
#include "metrics/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct peers peers;

static void set_up(void)
{
	peers_init(&peers);
}

static void tear_down(void)
{
	peers_fini(&peers); /* checks that no peer is left */
}

/* A pair of sockets for each connection: the other end shows whether it was shut down. */
struct conn {
	struct peer peer;
	int ends[2];
};

static int enter_all(struct conn *conn, const char *text, unsigned most, unsigned most_per_peer)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct sockaddr un = {.sa_family = AF_UNIX};
	struct sockaddr *address = &un;

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		address = (struct sockaddr *)&in;
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		address = (struct sockaddr *)&in6;
	else
		ck_assert_str_eq(text, "unix");
	memset(conn, 0, sizeof(*conn));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, conn->ends), 0);
	int r = peers_enter(&peers, address, conn->ends[0], most, most_per_peer, &conn->peer);
	if (r < 0) {
		close(conn->ends[0]);
		close(conn->ends[1]);
	}
	return r;
}

static int enter(struct conn *conn, const char *text, unsigned most_per_peer)
{
	return enter_all(conn, text, UINT32_MAX, most_per_peer);
}

static void leave(struct conn *conn)
{
	peers_leave(&peers, &conn->peer);
	close(conn->ends[0]);
	close(conn->ends[1]);
}

static void leave_each(struct conn *conns, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		leave(&conns[i]);
}

static bool is_shut(const struct conn *conn)
{
	char c;

	return recv(conn->ends[1], &c, 1, MSG_DONTWAIT) == 0;
}

START_TEST(one_address_has_a_limit)
{
	struct conn conn[3];
	struct conn other;

	ck_ok(enter(&conn[0], "10.0.0.1", 2));
	ck_ok(enter(&conn[1], "10.0.0.1", 2));
	ck_fails(enter(&conn[2], "10.0.0.1", 2), EAGAIN);
	ck_ok(enter(&other, "10.0.0.2", 2));
	leave(&conn[0]);
	ck_ok(enter(&conn[2], "10.0.0.1", 2));
	ck_ok(enter(&conn[0], "10.0.0.1", 0)); /* no limit */
	leave_each(conn, 3);
	leave(&other);
	peers_leave(&peers, &other.peer); /* a second time has no effect */
}
END_TEST

START_TEST(all_addresses_together_have_a_limit)
{
	struct conn conn[3];

	ck_ok(enter_all(&conn[0], "10.0.0.1", 2, 0));
	ck_ok(enter_all(&conn[1], "unix", 2, 0));
	ck_fails(enter_all(&conn[2], "10.0.0.2", 2, 0), EAGAIN);
	leave(&conn[1]);
	ck_ok(enter_all(&conn[1], "10.0.0.2", 2, 0));
	ck_fails(enter_all(&conn[2], "unix", 2, 0), EAGAIN);
	leave_each(conn, 2);
}
END_TEST

START_TEST(ipv4_mapped_into_ipv6_is_the_same_address)
{
	struct conn conn[3];

	ck_ok(enter(&conn[0], "10.0.0.1", 1));
	ck_fails(enter(&conn[1], "::ffff:10.0.0.1", 1), EAGAIN);
	ck_ok(enter(&conn[1], "::10.0.0.1", 1));
	leave_each(conn, 2);
}
END_TEST

START_TEST(unix_sockets_have_no_address)
{
	struct conn conn[2];

	ck_ok(enter(&conn[0], "unix", 1));
	ck_ok(enter(&conn[1], "unix", 1));
	leave_each(conn, 2);
}
END_TEST

START_TEST(at_the_limit_of_an_address_one_of_its_connections_gives_way)
{
	struct conn conn[4];
	struct conn other;

	ck_ok(enter(&other, "10.0.0.2", 3));
	peers_silence(&peers, &other.peer, SILENT_NEW);
	for (unsigned i = 0; i < 3; i++)
		ck_ok(enter(&conn[i], "10.0.0.1", 3));
	ck_fails(enter(&conn[3], "10.0.0.1", 3), EAGAIN); /* no connection is silent */
	peers_silence(&peers, &conn[1].peer, SILENT_IDLE);
	ck_ok(enter(&conn[3], "10.0.0.1", 3));
	ck_assert(is_shut(&conn[1]));
	ck_assert(!is_shut(&conn[0]) && !is_shut(&conn[2]) && !is_shut(&other));
	struct conn more;
	ck_fails(enter(&more, "10.0.0.1", 3), EAGAIN);
	ck_assert_uint_eq(metrics_counter(METRIC_CONNECTIONS_SHED), 1);
	leave(&other);
	leave_each(conn, 4);
}
END_TEST

START_TEST(at_the_limit_of_all_any_silent_one_gives_way)
{
	struct conn conn[5];

	ck_ok(enter_all(&conn[0], "10.0.0.1", 3, 2));
	ck_ok(enter_all(&conn[1], "unix", 3, 2));
	ck_ok(enter_all(&conn[2], "10.0.0.2", 3, 2));
	peers_silence(&peers, &conn[0].peer, SILENT_NEW);
	peers_silence(&peers, &conn[1].peer, SILENT_NEW);
	ck_ok(enter_all(&conn[3], "10.0.0.3", 3, 2));
	ck_assert(is_shut(&conn[0]) && !is_shut(&conn[1]));
	ck_ok(enter_all(&conn[4], "10.0.0.1", 3, 2));
	ck_assert(is_shut(&conn[1]) && !is_shut(&conn[2]));
	leave_each(conn, 5);
}
END_TEST

START_TEST(connections_that_sent_nothing_give_way_before_idle_ones_oldest_first)
{
	static const struct {
		unsigned of;
		enum silence silence;
	} steps[] = {{0, SILENT_IDLE}, {1, SILENT_NEW}, {2, SILENT_NEW}, {3, SILENT_IDLE},
	             {4, SILENT_NEW},  {4, NOT_SILENT}, {0, NOT_SILENT}, {0, SILENT_IDLE}};
	static const unsigned order[] = {1, 2, 3, 0};
	enum { COUNT = 5, MORE = 4 };
	struct conn conn[COUNT + MORE];

	for (unsigned limit = 0; limit < 2; limit++) { /* the limit of an address, that of all */
		unsigned most_per_peer = limit == 0 ? COUNT : 0;
		unsigned most = limit == 0 ? UINT32_MAX : COUNT;

		for (unsigned i = 0; i < COUNT; i++)
			ck_ok(enter_all(&conn[i], "10.0.0.1", most, most_per_peer));
		for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
			peers_silence(&peers, &conn[steps[i].of].peer, steps[i].silence);
		for (unsigned i = 0; i < MORE; i++) {
			ck_assert(!is_shut(&conn[order[i]]));
			ck_ok(enter_all(&conn[COUNT + i], "10.0.0.1", most, most_per_peer));
			ck_assert_msg(is_shut(&conn[order[i]]), "%u is not the next", order[i]);
		}
		struct conn none;
		ck_fails(enter_all(&none, "10.0.0.1", most, most_per_peer), EAGAIN);
		leave_each(conn, COUNT + MORE);
	}
}
END_TEST

/* The thread of a connection that gave way may not have noticed that yet. */
START_TEST(a_connection_that_gave_way_is_never_counted_again)
{
	struct conn conn[3];

	ck_ok(enter(&conn[0], "10.0.0.1", 1));
	peers_silence(&peers, &conn[0].peer, SILENT_NEW);
	ck_ok(enter(&conn[1], "10.0.0.1", 1)); /* the first was the only one of its address */
	ck_assert(is_shut(&conn[0]));
	peers_silence(&peers, &conn[0].peer, NOT_SILENT);
	peers_silence(&peers, &conn[0].peer, SILENT_IDLE);
	ck_fails(enter(&conn[2], "10.0.0.1", 1), EAGAIN);
	leave(&conn[0]);
	ck_fails(enter(&conn[2], "10.0.0.1", 1), EAGAIN);
	leave(&conn[1]);
	ck_ok(enter(&conn[2], "10.0.0.1", 1));
	leave(&conn[2]);
}
END_TEST

START_TEST(many_addresses_share_buckets)
{
	enum { COUNT = 5000 };
	static struct peer peer[COUNT];
	struct peer more = {0};

	for (unsigned i = 0; i < 2 * COUNT; i++) {
		struct sockaddr_in in = {.sin_family = AF_INET,
		                         .sin_addr.s_addr = htonl(0x0a010000 + i % COUNT)};
		const struct sockaddr *address = (const struct sockaddr *)&in;

		if (i >= COUNT) {
			ck_fails(peers_enter(&peers, address, -1, UINT32_MAX, 1, &more), EAGAIN);
			peers_leave(&peers, &peer[i % COUNT]);
		}
		ck_ok(peers_enter(&peers, address, -1, UINT32_MAX, 1, &peer[i % COUNT]));
	}
	for (unsigned i = 0; i < COUNT; i++)
		peers_leave(&peers, &peer[i]);
}
END_TEST

START_TEST(without_memory_nothing_is_counted)
{
	struct conn conn;

	struct sockaddr_in in = {.sin_family = AF_INET};

	fault_arm(0);
	int r = peers_enter(&peers, (struct sockaddr *)&in, -1, UINT32_MAX, 1, &conn.peer);
	ck_assert(fault_hit());
	ck_fails(r, ENOMEM);
	ck_ok(enter(&conn, "10.0.0.1", 1));
	leave(&conn);
}
END_TEST

SUITE("http_peers", set_up, tear_down, one_address_has_a_limit, all_addresses_together_have_a_limit,
      ipv4_mapped_into_ipv6_is_the_same_address, unix_sockets_have_no_address,
      at_the_limit_of_an_address_one_of_its_connections_gives_way,
      at_the_limit_of_all_any_silent_one_gives_way,
      connections_that_sent_nothing_give_way_before_idle_ones_oldest_first,
      a_connection_that_gave_way_is_never_counted_again, many_addresses_share_buckets,
      without_memory_nothing_is_counted)
