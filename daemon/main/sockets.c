/* SPDX-License-Identifier: MIT */
#include "main/sockets.h"

#include "base/log.h"
#include "base/parse.h"
#include "config/config.h"
#include "http/http.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#if CONFIG_LIST_MAX > HTTP_LISTENERS_MAX
#error "listeners has no room for every --listen"
#endif

static int socket_adopt(int fd, struct http_listener *listener)
{
	int r = http_adopt(fd, listener);

	if (r < 0)
		log_line(LOG_ERR, "descriptor %d from systemd is not a listening stream socket",
		         fd);
	return r;
}

static int sockets_adopt(unsigned given, struct http_listener *listeners, size_t *ret_count)
{
	size_t count = 0;
	int r = 0;

	if (given > HTTP_LISTENERS_MAX) {
		log_line(LOG_ERR, "systemd has given %u sockets; allowed: %d", given,
		         HTTP_LISTENERS_MAX);
		return -E2BIG;
	}
	for (; r == 0 && count < given; count++)
		r = socket_adopt(SD_LISTEN_FDS_START + (int)count, &listeners[count]);
	if (r < 0)
		return r; /* systemd's sockets stay open: they belong to the socket unit */
	*ret_count = count;
	return 0;
}

static int find_group(const char *name, gid_t *ret_group)
{
	char text[65536]; /* the names of all members */
	struct group group;
	struct group *found = NULL;
	uint64_t number;

	if (parse_u64(str_of(name), 0, UINT32_MAX - 1, &number) == 0) {
		*ret_group = (gid_t)number;
		return 0;
	}
	int r = getgrnam_r(name, &group, text, sizeof(text), &found);
	if (found == NULL)
		return r == 0 ? -ENOENT : -r;
	*ret_group = found->gr_gid;
	return 0;
}

int sockets_access(const struct config *config, struct http_access *ret_access)
{
	struct http_access access = {.mode = 0, .group = (gid_t)-1};
	int r = 0;

	for (const char *digit = config->socket_mode; *digit != '\0'; digit++)
		access.mode = access.mode * 8 + (mode_t)(*digit - '0');
	if (config->socket_group[0] != '\0')
		r = find_group(config->socket_group, &access.group);
	if (r < 0) {
		log_line(LOG_ERR, "socket_group: cannot find the group '%s': %s",
		         config->socket_group, r == -ENOENT ? "there is none" : strerror(-r));
		return r;
	}
	*ret_access = access;
	return 0;
}

int sockets_open(const struct config *config, const struct http_access *access,
                 struct http_listener *listeners, size_t *ret_count)
{
	int given = sd_listen_fds(1);
	char text[HTTP_TEXT_SIZE];
	size_t count;

	if (given < 0) {
		log_line(LOG_ERR, "cannot take the sockets from systemd: %s", strerror(-given));
		return given;
	}
	if (given > 0)
		return sockets_adopt((unsigned)given, listeners, ret_count);

	for (count = 0; count < config->listen_count; count++) {
		int r = http_listen_as(config->listen[count], access, &listeners[count], text);

		if (r < 0) {
			log_line(LOG_ERR, "%s", text);
			sockets_close(listeners, count);
			return r;
		}
	}
	*ret_count = count;
	return 0;
}

void sockets_close(const struct http_listener *listeners, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (listeners[i].made_path)
			(void)unlink(listeners[i].url + strlen("unix:"));
		(void)close(listeners[i].fd);
	}
}

static void socket_announce(const struct http_listener *listener)
{
	char line[sizeof(listener->url) + sizeof("ready on ")];

	(void)snprintf(line, sizeof(line), "ready on %s", listener->url);
	log_plain(line);
}

void sockets_announce(const struct http_listener *listeners, size_t count)
{
	for (size_t i = 0; i < count; i++)
		socket_announce(&listeners[i]);
}
