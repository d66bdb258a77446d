/* SPDX-License-Identifier: MIT */
/*
 * Follows a service from an event loop of its own: events SERVICE CHANGES
 *
 * Prints the healthy instances after each change, and ends after CHANGES changes. The registry is
 * $ROLLCALL_ADDR.
 */
#include <rollcall.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static long changes;

static void on_change(rollcall_client *client, const char *service, void *arg)
{
	rollcall_instances *list;

	(void)arg;
	changes++;
	int r = rollcall_get_instances(client, service, &list);
	if (r < 0) {
		(void)printf("%s: %s\n", service, rollcall_error_text(r));
	} else {
		(void)printf("%s:", service);
		for (size_t i = 0; i < rollcall_instances_count(list); i++) {
			const rollcall_instance *one = rollcall_instances_at(list, i);

			(void)printf(" %s=%s:%u", one->id, one->host, one->port);
		}
		(void)printf("\n");
		rollcall_instances_free(list);
	}
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	rollcall_options options;
	rollcall_client *client = NULL;
	rollcall_watch *watch = NULL;
	struct epoll_event event = {.events = EPOLLIN};

	if (argc < 3) {
		(void)fprintf(stderr, "usage: events SERVICE CHANGES\n");
		return 2;
	}
	rollcall_options_init(&options);
	options.registry = getenv("ROLLCALL_ADDR");
	options.cache_ttl_ms = 1000;
	int r = rollcall_open(&options, &client);
	if (r == 0)
		r = rollcall_watch_start(client, argv[1], on_change, NULL, &watch);
	int loop = epoll_create1(EPOLL_CLOEXEC);
	if (r < 0 || loop < 0 ||
	    epoll_ctl(loop, EPOLL_CTL_ADD, rollcall_get_fd(client), &event) < 0) {
		(void)fprintf(stderr, "events: %s\n", rollcall_error_text(r));
		return 1;
	}
	while (changes < strtol(argv[2], NULL, 10)) {
		/* No timeout is needed: the descriptor turns readable for timers too. */
		(void)epoll_wait(loop, &event, 1, -1);
		(void)rollcall_process(client);
	}
	rollcall_watch_stop(watch);
	(void)rollcall_close(client, 0);
	(void)close(loop);
	return 0;
}
