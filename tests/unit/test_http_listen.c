/* SPDX-License-Identifier: MIT */
/*
 * Listen addresses: TCP, IPv6, Unix sockets, inherited sockets, and several at once. Real sockets
 * with the fake API (http_fixture.h).
 */
#include "http_fixture.h"
#include "suite.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

static char folder[] = "/tmp/rollcall-listen-XXXXXX";
static char path[100];    /* of the socket in the folder */
static char address[300]; /* "unix:" and path */

static void set_up(void)
{
	http_setup();
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	snprintf(address, sizeof(address), "unix:%s", path);
}

static void tear_down(void)
{
	http_teardown();
	unlink(path);
	rmdir(folder);
}

static int dial_unix(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
		close(fd);
		return -errno;
	}
	set_timeout(fd);
	return fd;
}

START_TEST(an_invalid_address_is_refused_with_the_reason)
{
	static const char *const wrong[] = {
		"",
		"7655",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:x",
		"a.b:1",
		"127.0.0.1:65536",
		"127.0.0.1:-1",
		"127.0.0.1: 1",
		"::1:80",
		"[::1]",
		"[::1:80",
		"[127.0.0.1]:80",
		"[]:80",
		"256.0.0.1:1",
		"unix:",
		"[::1%lo]:80",
		"127.0.0.1:080",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct http_listener none = {.fd = -7};
		char text[256] = "";

		ck_assert_msg(http_listen(wrong[i], &none, text) == -EINVAL, "%s", wrong[i]);
		ck_assert_ptr_nonnull(strstr(text, wrong[i]));
		ck_assert_int_eq(none.fd, -7);
	}
}
END_TEST

START_TEST(a_unix_path_that_is_too_long_is_refused)
{
	char text[256];
	char longer[400] = "unix:/";

	memset(longer + 6, 'x', 300);
	ck_assert_int_eq(http_listen(longer, &listener, text), -EINVAL);
}
END_TEST

START_TEST(port_0_is_chosen_by_the_kernel_and_reported)
{
	char text[256];
	struct http_listener first;
	struct http_listener second;
	char taken[300];

	ck_assert_int_eq(http_listen("127.0.0.1:0", &first, text), 0);
	ck_assert_int_eq(strncmp(first.url, "http://127.0.0.1:", 17), 0);
	ck_assert_int_gt(atoi(first.url + 17), 0);
	snprintf(taken, sizeof(taken), "%s", first.url + 7);
	ck_assert_int_eq(http_listen(taken, &second, text), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(text, "cannot listen on '127.0.0.1:"));
	close(first.fd);
}
END_TEST

START_TEST(ipv6_is_served_and_named_with_brackets)
{
	char text[256];

	if (http_listen("[::1]:0", &listener, text) < 0)
		ck_skip("this machine has no IPv6 loopback");
	ck_assert_int_eq(strncmp(listener.url, "http://[::1]:", 13), 0);
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
	                           .sin6_port = htons((uint16_t)atoi(listener.url + 13)),
	                           .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	options.connections_per_peer_max = 1;
	ck_assert_int_eq(http_start(&options, &fake, &listener, 1, &server), 0);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&in6, sizeof(in6)), 0);
	set_timeout(fd);
	get(fd, "/echo");
	ck_assert_ptr_nonnull(strstr(read_answer(fd)->body, " peer=[::1]:"));
	close(fd);
}
END_TEST

START_TEST(a_unix_socket_is_served_and_removed_in_the_end)
{
	char want[64];
	struct stat status;

	options.connections_per_peer_max = 1; /* applies to IP addresses only */
	serve_at(address);
	ck_assert_str_eq(listener.url, address);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0660);
	int a = dial_unix();
	int b = dial_unix();
	snprintf(want, sizeof(want), " peer=unix:uid=%u ", getuid());
	get(a, "/echo");
	ck_assert_ptr_nonnull(strstr(read_answer(a)->body, want));
	get(b, "/echo");
	ck_assert_int_eq(read_answer(b)->status, 200);
	close(a);
	close(b);
	http_stop(server, 1000);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

/* The end of the stream arrives together with data; libmicrohttpd alone would not notice it. */
START_TEST(a_client_of_a_unix_socket_that_leaves_is_noticed)
{
	options.request_ms = options.idle_ms = 600000;
	serve_at(address);
	int fd = dial_unix();
	int other = dial_unix();
	get(fd, "/x");
	ck_assert_int_eq(read_answer(fd)->status, 200);

	pthread_mutex_lock(&fake.lock);
	get(other, "/park"); /* keeps the loop busy until both have arrived */
	while (atomic_load(&fake.handled) < 2)
		(void)sched_yield();
	send_text(fd, "GET /");
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	pthread_mutex_unlock(&fake.lock);
	wait_closed(fd);
	fake_wake(&fake, 1);
	ck_assert_int_eq(read_answer(other)->status, 200);
	close(fd);
	close(other);
}
END_TEST

START_TEST(a_stale_unix_socket_is_replaced_a_live_one_and_a_file_are_not)
{
	char text[256];
	struct http_listener second;

	ck_assert_int_eq(http_listen(address, &listener, text), 0);
	ck_assert_int_eq(http_listen(address, &second, text), -EADDRINUSE);
	close(listener.fd); /* as after a crash: the path stays */
	ck_assert_int_eq(http_listen(address, &second, text), 0);
	close(second.fd);
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(http_listen(address, &second, text), -EADDRINUSE);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(an_inherited_socket_is_served_and_its_path_left_alone)
{
	char text[256];
	struct http_listener made;

	ck_assert_int_eq(http_listen(address, &made, text), 0);
	ck_assert_int_eq(http_adopt(made.fd, &listener), 0);
	ck_assert_str_eq(listener.url, address);
	ck_assert_int_eq(http_start(&options, &fake, &listener, 1, &server), 0);
	int fd = dial_unix();
	get(fd, "/echo");
	ck_assert_int_eq(read_answer(fd)->status, 200);
	close(fd);
	http_stop(server, 1000);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(what_does_not_listen_is_not_adopted)
{
	int pair[2];
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(http_adopt(-1, &listener), -EINVAL);
	ck_assert_int_eq(http_adopt(0, &listener), -EINVAL);
	ck_assert_int_eq(http_adopt(udp, &listener), -EINVAL);
	ck_assert_int_eq(http_adopt(tcp, &listener), -EINVAL);
	ck_assert_int_eq(http_adopt(pair[0], &listener), -EINVAL);
	close(pair[0]);
	close(pair[1]);
	close(udp);
	close(tcp);
}
END_TEST

START_TEST(several_listeners_are_served_by_each_thread)
{
	struct http_listener both[2];
	char text[256];

	ck_assert_int_eq(http_listen("127.0.0.1:0", &both[0], text), 0);
	ck_assert_int_eq(http_listen(address, &both[1], text), 0);
	port = atoi(strrchr(both[0].url, ':') + 1);
	options.threads = 2;
	ck_assert_int_eq(http_start(&options, &fake, both, 2, &server), 0);
	for (unsigned i = 0; i < 8; i++) {
		int fd = i % 2 == 0 ? dial() : dial_unix();

		get(fd, "/echo");
		ck_assert_int_eq(read_answer(fd)->status, 200);
		close(fd);
	}
}
END_TEST

SUITE("http_listen", set_up, tear_down, an_invalid_address_is_refused_with_the_reason,
      a_unix_path_that_is_too_long_is_refused, port_0_is_chosen_by_the_kernel_and_reported,
      ipv6_is_served_and_named_with_brackets, a_unix_socket_is_served_and_removed_in_the_end,
      a_client_of_a_unix_socket_that_leaves_is_noticed,
      a_stale_unix_socket_is_replaced_a_live_one_and_a_file_are_not,
      an_inherited_socket_is_served_and_its_path_left_alone, what_does_not_listen_is_not_adopted,
      several_listeners_are_served_by_each_thread)
