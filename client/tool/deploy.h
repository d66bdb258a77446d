/* SPDX-License-Identifier: MIT */
/**
 * Brings a content into use: check, replace the file, reload the program that reads it.
 *
 * A reload that is owed is remembered in a file beside the target, which exists from before the
 * file is replaced until a reload has succeeded: a crash in between does not lose it. The same file
 * keeps the content that was in use before, which is put back when the reload fails.
 *
 *	struct deploy deploy = {.target = "upstreams.conf", .check = ..., .mask = &pump.before};
 *	deploy_start(&deploy, &content);
 *	while (!deploy_take(&deploy, &good)) {
 *		pump_turn(&pump, deploy_work(&deploy), &info);
 *	}
 *
 * One thread; SIGCHLD must wake the caller.
 */
#pragma once

#include "tool/hook.h"
#include "tool/memory.h"

enum deploy_step { DEPLOY_IDLE, DEPLOY_CHECK, DEPLOY_RELOAD, DEPLOY_PUT_BACK, DEPLOY_ENDED };

struct deploy {
	/* set by the caller */
	const char *target;
	const char *check; /* shell commands; NULL: none */
	const char *reload;
	const sigset_t *mask; /* signals blocked in the commands */
	int64_t command_ms;   /* the time a command may take */

	/* of the content on its way */
	enum deploy_step step;
	bool good;
	bool owed;  /* there is a mark */
	char *path; /* the target behind all links */
	char *mark; /* name of the file that says that a reload is owed */
	char *made; /* the new file, not yet in place */
	struct hook hook;
};

/** Begins; nothing may be under way. What fails is reported. */
void deploy_start(struct deploy *deploy, const struct text *content);
bool deploy_is_active(const struct deploy *deploy);
/** Goes on when a command has ended or is out of time. @return milliseconds until the next call;
 * below 0: no limit */
int64_t deploy_work(struct deploy *deploy);
/** Has it ended? @param ret_good  the content is in use */
bool deploy_take(struct deploy *deploy, bool *ret_good);
/** Ends the command that runs. Blocks, for three seconds at most. */
void deploy_cancel(struct deploy *deploy);
