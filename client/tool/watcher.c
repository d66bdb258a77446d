/* SPDX-License-Identifier: MIT */
/*
 * Follows a lookup for watch and render. One thread; transfers run in the pump. Invariant: at most
 * one request is under way, and changed() is called only when the instances differ from those of
 * the last call. A long poll sends a token: a registry whose history is another one refuses it, and
 * the lookup begins anew. The client library follows services too, but only their healthy instances, without
 * the fields and filters that commands have.
 */
#include "tool/watcher.h"

#include "tool/tool.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_MS      55000
#define WAIT_MS_TEXT "55000"
#define QUICK_MS     100

void watcher_init(struct watcher *watcher, struct tool *tool, const char *service, const char *path)
{
	*watcher = (struct watcher){
		.tool = tool,
		.service = memory_copy(service),
		.path = memory_copy(path),
		.may_wait = true,
		.due_ms = tool_now_ms(),
	};
}

void watcher_fini(struct watcher *watcher, struct pump *pump)
{
	pump_remove(pump, &watcher->job);
	http_transfer_free(&watcher->transfer);
	json_decref(watcher->instances);
	free(watcher->service);
	free(watcher->path);
}

/** Makes @p instances the present ones; owns the reference. */
static void watcher_take(struct watcher *watcher, json_t *instances, uint64_t revision,
                         const struct http_answer *answer)
{
	bool same = watcher->instances != NULL && json_equal(watcher->instances, instances);

	watcher->away = false;
	watcher->revision = revision;
	api_token(answer, revision, watcher->token);
	if (same) {
		json_decref(instances);
		return;
	}
	json_decref(watcher->instances);
	watcher->instances = instances;
	watcher->changed(watcher, watcher->arg);
}

static void watcher_report_away(struct watcher *watcher, const char *why)
{
	if (watcher->once && watcher->instances == NULL) {
		if (tool_now_ms() + TOOL_POLL_MS > watcher->tool->until_ms) {
			tool_warn("%s", why);
			watcher->error = EXIT_UNREACHABLE;
		}
		return;
	}
	if (!watcher->away)
		tool_warn("%s; keeping the last known instances of '%s' until it answers", why,
		          watcher->service);
	watcher->away = true;
}

static void watcher_read_answer(struct watcher *watcher, const struct http_answer *answer)
{
	json_t *instances = json_object_get(answer->json, "instances");
	const json_t *revision = json_object_get(answer->json, "revision");
	/* A proxy may answer in place of a registry that has answered before. */
	bool foreign = !answer->ours && watcher->instances != NULL;

	if (answer->status == 200 && json_is_array(instances)) {
		watcher_take(watcher, json_incref(instances),
		             (uint64_t)json_integer_value(revision), answer);
	} else if (api_is_absent(answer)) {
		watcher_take(watcher, memory_json(json_array()), answer->revision, answer);
	} else if (watcher->waits && api_is_another_history(answer)) {
		watcher->anew = true;
	} else if (api_is_passing(answer) || foreign) {
		watcher_report_away(watcher, "the registry cannot answer now");
	} else if (answer->status == 200) {
		watcher->error = api_object(answer, "instances", &instances);
	} else {
		watcher->error = api_judge(answer);
	}
}

/** @return when the next request is due; not at once after a long poll that was answered at once */
static int64_t watcher_next_due(const struct watcher *watcher, bool failed)
{
	int64_t now = tool_now_ms();

	if (failed || watcher->away || !watcher->may_wait)
		return now + TOOL_POLL_MS;
	if (watcher->waits && now - watcher->asked_ms < QUICK_MS)
		return now + QUICK_MS;
	return now;
}

static void watcher_done(struct pump_job *job, CURLcode code)
{
	struct watcher *watcher = (void *)((char *)job - offsetof(struct watcher, job));
	struct http *http = watcher->tool->http;
	struct http_answer answer;

	int r = http_finish(http, &watcher->transfer, code, &answer);
	http_transfer_free(&watcher->transfer);
	if (r < 0) {
		watcher_report_away(watcher, http_error(http));
		watcher->due_ms = watcher_next_due(watcher, true);
		return;
	}
	bool refused = watcher->waits && answer.ours && answer.status == 400;
	if (refused)
		watcher->may_wait = false;
	else
		watcher_read_answer(watcher, &answer);
	watcher->due_ms = watcher_next_due(watcher, answer.status == 404);
	http_answer_free(&answer);
}

void watcher_work(struct watcher *watcher, struct pump *pump)
{
	struct text path = {NULL, 0, 0};

	if (watcher->job.active || watcher->error != EXIT_OK || tool_now_ms() < watcher->due_ms)
		return;
	watcher->waits =
		watcher->may_wait && watcher->instances != NULL && !watcher->away && !watcher->anew;
	watcher->anew = false;
	text_put(&path, watcher->path);
	if (watcher->waits) {
		api_query(&path, "revision", watcher->token);
		api_query(&path, "wait_ms", WAIT_MS_TEXT);
	}
	struct http_request request = {
		.path = path.data,
		.timeout_ms = watcher->tool->timeout_ms + (watcher->waits ? WAIT_MS : 0),
	};
	http_prepare(watcher->tool->http, &watcher->transfer, &request);
	text_free(&path);
	watcher->asked_ms = tool_now_ms();
	watcher->job.easy = watcher->transfer.easy;
	watcher->job.done = watcher_done;
	pump_add(pump, &watcher->job);
}

int64_t watcher_timeout(const struct watcher *watcher)
{
	int64_t left = watcher->due_ms - tool_now_ms();

	if (watcher->job.active || watcher->error != EXIT_OK)
		return -1;
	return left > 0 ? left : 0;
}
