/* SPDX-License-Identifier: MIT */
/**
 * Follows what a lookup answers: by long polls where the registry can, else by asking each second.
 * A registry that is away changes nothing: the last answer stays until there is a new one.
 *
 *	watcher_init(&watcher, tool, "web", "/v1/services/web", changed, arg);
 *	while (...) {
 *		watcher_work(&watcher, &pump);
 *		pump_turn(&pump, watcher_timeout(&watcher), ...);
 *	}
 *
 * One thread.
 */
#pragma once

#include "tool/http.h"
#include "tool/pump.h"

struct tool;

struct watcher {
	struct tool *tool;
	char *service;
	char *path; /* the lookup, with its query */
	/** Called from pump_turn() when watcher->instances has changed, and for the first answer.
	 */
	void (*changed)(struct watcher *watcher, void *arg);
	void *arg;
	json_t *instances; /* an array; NULL: no answer yet */
	uint64_t revision;
	struct pump_job job;
	struct http_transfer transfer;
	int64_t due_ms; /* when to ask again */
	int64_t asked_ms;
	bool waits;    /* the request under way is a long poll */
	bool may_wait; /* the registry has not refused one */
	bool away;     /* reported that it does not answer */
	bool once; /* set by the caller: without a first answer by tool->until_ms it is an error */
	int error; /* exit code of a refusal that will stay; EXIT_OK: none */
};

/** @p path is copied. */
void watcher_init(struct watcher *watcher, struct tool *tool, const char *service,
                  const char *path);
void watcher_fini(struct watcher *watcher, struct pump *pump);

/** Asks when it is time. */
void watcher_work(struct watcher *watcher, struct pump *pump);
/** Milliseconds until watcher_work() has something to do; below 0: not before an answer. */
int64_t watcher_timeout(const struct watcher *watcher);
