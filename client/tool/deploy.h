/* SPDX-License-Identifier: MIT */
/**
 * Deploys new content of a file: checks it, replaces the file, and reloads the program that reads
 * the file.
 *
 * A file beside the target, the mark, exists from before the target is replaced until a reload has
 * succeeded, so that a crash in between does not lose the reload. The mark also keeps the content
 * that was in use before, which is put back when the reload fails.
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
	int64_t command_ms;   /* limit of one command */

	/* of the deployment under way */
	enum deploy_step step;
	bool good;
	bool owed;  /* the mark exists: a reload is still due */
	char *path; /* the target, with links followed */
	char *mark; /* path of the mark */
	char *made; /* path of the new file, before it replaces the target */
	struct hook hook;
};

/** Starts a deployment; none may be under way. Failures are reported. */
void deploy_start(struct deploy *deploy, const struct text *content);
bool deploy_is_active(const struct deploy *deploy);
/** Continues after a command has ended, or stops one that is out of time. @return milliseconds
 * until the next call; below 0: no limit */
int64_t deploy_work(struct deploy *deploy);
/** @return whether the deployment has ended. @param ret_good  whether the new content is in use */
bool deploy_take(struct deploy *deploy, bool *ret_good);
/** Ends the deployment, and the command that runs. Blocks for three seconds at most. */
void deploy_cancel(struct deploy *deploy);
