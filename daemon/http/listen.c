/* SPDX-License-Identifier: MIT */
/*
 * Opens and adopts listening sockets. Called by main() before any thread runs.
 *
 * Invariant: a Unix socket has its mode and group before listen(), so no client can connect
 * earlier. Setting the umask for bind() instead would affect files that other threads create.
 */
#include "http/http.h"

#include "base/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel lowers it to net.core.somaxconn */

struct place {
	struct sockaddr_storage address;
	socklen_t len;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* of a Unix socket */
};

static int listen_explain(char *text, const char *address, int error)
{
	(void)snprintf(text, HTTP_TEXT_SIZE, "cannot listen on '%.150s': %s", address,
	               strerror(-error));
	return error;
}

static int parse_unix(const char *path, struct place *place)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(un.sun_path))
		return -EINVAL;
	memcpy(un.sun_path, path, len + 1);
	memcpy(place->path, path, len + 1);
	memcpy(&place->address, &un, sizeof(un));
	place->len = sizeof(un);
	return 0;
}

/* "127.0.0.1:7655" or "[::1]:7655" */
static int parse_inet(const char *text, struct place *place)
{
	char host[INET6_ADDRSTRLEN];
	const char *colon = strrchr(text, ':');
	bool brackets = text[0] == '[';
	uint64_t port;

	if (colon == NULL || parse_u64(str_of(colon + 1), 0, 65535, &port) < 0)
		return -EINVAL;
	size_t len = (size_t)(colon - text);
	if (brackets) {
		if (len < 2 || text[len - 1] != ']')
			return -EINVAL;
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';

	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	if (brackets) {
		if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1)
			return -EINVAL;
		memcpy(&place->address, &in6, sizeof(in6));
		place->len = sizeof(in6);
		return 0;
	}
	if (inet_pton(AF_INET, host, &in.sin_addr) != 1)
		return -EINVAL;
	memcpy(&place->address, &in, sizeof(in));
	place->len = sizeof(in);
	return 0;
}

/* Writes where the socket listens, as a URL, into listener->url. */
static int listener_describe(struct http_listener *listener)
{
	char host[INET6_ADDRSTRLEN];
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	size_t size = sizeof(listener->url);

	if (getsockname(listener->fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	if (address.ss_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, &address, sizeof(in));
		(void)inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
		(void)snprintf(listener->url, size, "http://%s:%u", host, ntohs(in.sin_port));
	} else if (address.ss_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, &address, sizeof(in6));
		(void)inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
		(void)snprintf(listener->url, size, "http://[%s]:%u", host, ntohs(in6.sin6_port));
	} else if (address.ss_family == AF_UNIX) {
		struct sockaddr_un un;

		memcpy(&un, &address, sizeof(un));
		/* An abstract name begins with NUL, which systemd and ss write as '@'. */
		bool abstract = un.sun_path[0] == '\0';
		(void)snprintf(listener->url, size, "unix:%s%.*s", abstract ? "@" : "",
		               (int)sizeof(un.sun_path) - 1, un.sun_path + (abstract ? 1 : 0));
	} else {
		return -EINVAL;
	}
	return 0;
}

/* Removes a socket file that no process listens on. Any other file is left alone: -EADDRINUSE. */
static int clear_stale(const struct place *place)
{
	struct stat status;

	if (lstat(place->path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EADDRINUSE;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int r = connect(fd, (const struct sockaddr *)&place->address, place->len);
	bool stale = r < 0 && errno == ECONNREFUSED;
	(void)close(fd);
	if (!stale)
		return -EADDRINUSE;
	return unlink(place->path) < 0 ? -errno : 0;
}

static int set_options(int fd, int family)
{
	int one = 1;

	if (family != AF_UNIX && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	/* "[::]" takes IPv6 only, so that "0.0.0.0" can be listened on beside it. */
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
		return -errno;
	return 0;
}

static int set_access(const char *path, const struct http_access *access)
{
	if (access->group != (gid_t)-1 && chown(path, (uid_t)-1, access->group) < 0)
		return -errno;
	return chmod(path, access->mode) < 0 ? -errno : 0;
}

static int open_at(const struct place *place, const struct http_access *access,
                   struct http_listener *listener)
{
	int family = place->address.ss_family;
	int r = family == AF_UNIX ? clear_stale(place) : 0;

	if (r < 0)
		return r;
	listener->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return -errno;
	r = set_options(listener->fd, family);
	if (r < 0)
		return r;
	if (bind(listener->fd, (const struct sockaddr *)&place->address, place->len) < 0)
		return -errno;
	listener->made_path = family == AF_UNIX;
	/* Before listen(): no client can connect earlier, whatever the umask is. */
	r = listener->made_path ? set_access(place->path, access) : 0;
	if (r < 0)
		return r;
	if (listen(listener->fd, BACKLOG) < 0)
		return -errno;
	return listener_describe(listener);
}

int http_listen(const char *address, struct http_listener *ret_listener, char *ret_text)
{
	static const struct http_access usual = {.mode = 0660, .group = (gid_t)-1};

	return http_listen_as(address, &usual, ret_listener, ret_text);
}

int http_listen_as(const char *address, const struct http_access *access,
                   struct http_listener *ret_listener, char *ret_text)
{
	struct http_listener listener = {.fd = -1};
	struct place place = {0};
	bool is_unix = strncmp(address, "unix:", 5) == 0;
	int r = is_unix ? parse_unix(address + 5, &place) : parse_inet(address, &place);

	if (r < 0) {
		(void)snprintf(ret_text, HTTP_TEXT_SIZE,
		               "'%.150s' is not ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH",
		               address);
		return r;
	}
	r = open_at(&place, access, &listener);
	if (r < 0) {
		if (listener.made_path)
			(void)unlink(place.path);
		if (listener.fd >= 0)
			(void)close(listener.fd);
		return listen_explain(ret_text, address, r);
	}
	*ret_listener = listener;
	return 0;
}

static int option_of(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -1 : value;
}

int http_adopt(int fd, struct http_listener *ret_listener)
{
	struct http_listener listener = {.fd = fd};

	if (option_of(fd, SO_TYPE) != SOCK_STREAM || option_of(fd, SO_ACCEPTCONN) != 1)
		return -EINVAL;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -EINVAL;
	int r = listener_describe(&listener);
	if (r < 0)
		return -EINVAL;
	*ret_listener = listener;
	return 0;
}
