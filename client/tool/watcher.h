/* SPDX-License-Identifier: MIT */
/**
 * Follows the answer to a lookup: by long polls if the registry supports them, else by a request
 * per second. While the registry does not answer, the last answer stays.
 *
 *	watcher_init(&watcher, tool, "web", "/v1/services/web");
 *	watcher.changed = changed;
 *	while (...) {
 *		watcher_work(&watcher, &pump);
 *		pump_turn(&pump, watcher_timeout(&watcher), ...);
 *	}
 *
 * One thread.
 */
#pragma once

#include "tool/api.h"
#include "tool/http.h"
#include "tool/pump.h"

struct tool;

struct watcher {
	struct tool *tool;
	char *service;
	char *path; /* the lookup, with its query */
	/** Called from pump_turn() for the first answer and when instances has changed. */
	void (*changed)(struct watcher *watcher, void *arg);
	void *arg;
	json_t *instances; /* an array; NULL: no answer yet */
	uint64_t revision;
	char token[API_TOKEN_SIZE]; /* of the revision */
	struct pump_job job;
	struct http_transfer transfer;
	int64_t due_ms;   /* when the next request is due */
	int64_t asked_ms; /* when the last one was sent */
	bool waits;       /* the request under way is a long poll */
	bool may_wait;    /* the registry has not refused a long poll */
	bool anew;        /* the registry's history is another one: the next is no long poll */
	bool away;        /* it was reported that the registry does not answer */
	bool once;        /* set by the caller: no first answer by tool->until_ms is an error */
	int error;        /* exit code of a lasting refusal; EXIT_OK: none */
};

/** @param service  for messages; copied. @param path  of the lookup; copied */
void watcher_init(struct watcher *watcher, struct tool *tool, const char *service,
                  const char *path);
void watcher_fini(struct watcher *watcher, struct pump *pump);

/** Sends the next request, if it is due. */
void watcher_work(struct watcher *watcher, struct pump *pump);
/** @return milliseconds until watcher_work() is due; below 0: not before an answer */
int64_t watcher_timeout(const struct watcher *watcher);
