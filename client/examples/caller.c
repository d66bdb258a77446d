/* SPDX-License-Identifier: MIT */
/*
 * Calls a service again and again: caller SERVICE PATH COUNT [PAUSE_MS]
 *
 * Meanwhile the library's thread keeps the cache current. Prints a line for each call that fails,
 * and a summary; exits with 0 if no call has failed. The registry is $ROLLCALL_ADDR.
 */
#include <rollcall.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void print_sum(rollcall_client *client, const char *service, long failed)
{
	rollcall_stats_view view;

	rollcall_stats_view_init(&view);
	if (rollcall_stats(client, service, &view) < 0)
		return;
	(void)printf("ok %llu, failed %ld, retries %llu, instances %u, age %lld ms%s\n",
	             (unsigned long long)view.calls[ROLLCALL_OK], failed,
	             (unsigned long long)view.retries, view.instances, (long long)view.age_ms,
	             view.stale != 0 ? ", stale" : "");
}

int main(int argc, char **argv)
{
	rollcall_options options;
	rollcall_client *client;
	rollcall_request request;
	rollcall_response response;
	long failed = 0;

	if (argc < 4) {
		(void)fprintf(stderr, "usage: caller SERVICE PATH COUNT [PAUSE_MS]\n");
		return 2;
	}
	long count = strtol(argv[3], NULL, 10);
	long pause_ms = argc > 4 ? strtol(argv[4], NULL, 10) : 0;
	struct timespec pause = {pause_ms / 1000, pause_ms % 1000 * 1000000};

	rollcall_options_init(&options);
	options.registry = getenv("ROLLCALL_ADDR");
	options.cache_ttl_ms = 1000;
	options.thread = 1;
	int r = rollcall_open(&options, &client);
	if (r < 0) {
		(void)fprintf(stderr, "caller: %s\n", rollcall_error_text(r));
		return 1;
	}

	rollcall_request_init(&request);
	rollcall_response_init(&response);
	request.path = argv[2];
	for (long i = 0; i < count; i++) {
		r = rollcall_call(client, argv[1], &request, &response);
		if (r < 0 || response.status != 200) {
			failed++;
			(void)printf("call %ld: %s, status %d\n", i, rollcall_error_text(r),
			             response.status);
		} else if (i == 0) {
			(void)printf("first answer: %s", response.body);
			(void)fflush(stdout);
		}
		if (pause_ms > 0)
			(void)nanosleep(&pause, NULL);
	}
	print_sum(client, argv[1], failed);
	rollcall_response_clear(&response);
	(void)rollcall_close(client, 1000);
	return failed == 0 ? 0 : 1;
}
