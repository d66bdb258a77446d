/* SPDX-License-Identifier: MIT */
/*
 * The five kinds of checks. One thread; a check never blocks, except that cancelling a command
 * waits for its end. Invariant: at most one transfer or command of a check is under way, and each
 * check_start() that is not cancelled calls done() once. TCP checks use libcurl too, with
 * CURLOPT_CONNECT_ONLY, so that names are resolved and timed out like those of HTTP checks.
 */
#include "tool/check.h"

#include "tool/args.h"
#include "tool/replace.h"
#include "tool/tool.h"
#include "tool/version.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 2000

static bool starts(const char *text, const char *with, const char **ret_rest)
{
	size_t len = strlen(with);

	if (strncmp(text, with, len) != 0)
		return false;
	*ret_rest = text + len;
	return true;
}

static bool check_is_url(const char *text)
{
	for (; *text != '\0'; text++)
		if (!isgraph((unsigned char)*text))
			return false;
	return true;
}

/** @return whether @p text is HOST:PORT, where HOST may be in brackets */
static bool is_place(const char *text)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	return colon != NULL && colon > text && check_is_url(text) &&
	       strpbrk(text, "/?#@") == NULL &&
	       args_read_number(colon + 1, 1, UINT16_MAX, &port) == 0;
}

static void set_url(struct check *check, const char *host, unsigned port, const char *path)
{
	struct text url = {NULL, 0, 0};
	bool bare = strchr(host, ':') != NULL;

	text_printf(&url, "http://%s%s%s:%u%s", bare ? "[" : "", host, bare ? "]" : "", port, path);
	check->target = url.data;
}

int check_read(struct check *check, const char *text, const char *host, unsigned port)
{
	const char *rest = "";

	*check = (struct check){.kind = CHECK_NONE, .timeout_ms = TIMEOUT_MS};
	if (strcmp(text, "none") == 0)
		return 0;
	if (host != NULL && (strcmp(text, "tcp") == 0 || (*text == '/' && check_is_url(text)))) {
		check->kind = *text == '/' ? CHECK_HTTP : CHECK_TCP;
		set_url(check, host, port, *text == '/' ? text : "/");
	} else if (starts(text, "tcp://", &rest) && is_place(rest)) {
		struct text url = {NULL, 0, 0};

		check->kind = CHECK_TCP;
		text_printf(&url, "http://%s/", rest);
		check->target = url.data;
	} else if ((starts(text, "http://", &rest) || starts(text, "https://", &rest)) &&
	           *rest != '\0' && check_is_url(rest)) {
		check->kind = CHECK_HTTP;
		check->target = memory_copy(text);
	} else if (starts(text, "exec:", &rest) && *rest != '\0') {
		check->kind = CHECK_COMMAND;
		check->target = memory_copy(rest);
	} else if (starts(text, "pid:", &rest) && *rest != '\0') {
		check->kind = CHECK_PID_FILE;
		check->target = memory_copy(rest);
	} else {
		return -EINVAL;
	}
	return 0;
}

static void check_end(struct check *check, const char *why)
{
	(void)snprintf(check->why, sizeof(check->why), "%s", why);
	check->done(check, *why == '\0', check->arg);
}

static size_t check_drop_body(char *data, size_t size, size_t count, void *arg)
{
	(void)data;
	(void)arg;
	return size * count;
}

static void check_transfer_done(struct pump_job *job, CURLcode code)
{
	struct check *check = (void *)((char *)job - offsetof(struct check, job));
	char why[CHECK_WHY_SIZE] = "";
	long status = 0;

	if (code != CURLE_OK)
		(void)snprintf(why, sizeof(why), "%s", curl_easy_strerror(code));
	else if (check->kind == CHECK_HTTP &&
	         (curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK ||
	          status < 200 || status >= 400))
		(void)snprintf(why, sizeof(why), "status %ld", status);
	curl_easy_cleanup(job->easy);
	job->easy = NULL;
	check_end(check, why);
}

static void check_start_transfer(struct check *check)
{
	CURL *easy = curl_easy_init();

	if (easy == NULL || curl_easy_setopt(easy, CURLOPT_URL, check->target) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_USERAGENT, tool_user_agent()) != CURLE_OK)
		memory_lacks();
	/* These cannot fail. */
	(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)check->timeout_ms);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, check_drop_body);
	(void)curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, check->kind == CHECK_TCP ? 1L : 0L);
	check->job.easy = easy;
	check->job.done = check_transfer_done;
	pump_add(check->pump, &check->job);
}

static void check_start_command(struct check *check)
{
	struct process process = {.mask = &check->pump->before, .input = -1};
	int r = hook_start_shell(&check->hook, &process, check->target, check->timeout_ms);

	if (r < 0)
		check_end(check, strerror(-r));
}

static void check_end_command(struct check *check)
{
	char why[CHECK_WHY_SIZE] = "";
	int status;

	if (!hook_take(&check->hook, &status))
		return;
	if (status == -ETIMEDOUT)
		(void)snprintf(why, sizeof(why), "the command took longer than %lld ms",
		               (long long)check->timeout_ms);
	else if (status != 0)
		(void)snprintf(why, sizeof(why), "the command ended with %d",
		               process_exit_code(status));
	check_end(check, why);
}

static void look_at_pid_file(struct check *check)
{
	struct text text = {NULL, 0, 0};
	uint64_t pid = 0;
	int r = replace_read(check->target, &text);

	if (r == 0) {
		text.data[strspn(text.data, "0123456789")] = '\0';
		r = args_read_number(text.data, 1, INT_MAX, &pid);
	}
	text_free(&text);
	if (r < 0)
		check_end(check, r == -EINVAL    ? "the file has no process id"
		                 : r == -ENOTSUP ? "it is not a regular file"
		                                 : strerror(-r));
	else if (kill((pid_t)pid, 0) < 0 && errno != EPERM)
		check_end(check, "the process does not exist");
	else
		check_end(check, "");
}

void check_start(struct check *check, struct pump *pump)
{
	check->pump = pump;
	switch (check->kind) {
	case CHECK_NONE:
		check_end(check, "");
		break;
	case CHECK_TCP:
	case CHECK_HTTP:
		check_start_transfer(check);
		break;
	case CHECK_COMMAND:
		check_start_command(check);
		break;
	case CHECK_PID_FILE:
		look_at_pid_file(check);
		break;
	}
}

bool check_is_active(const struct check *check)
{
	return check->job.active || hook_is_active(&check->hook);
}

void check_cancel(struct check *check)
{
	if (check->job.active) {
		pump_remove(check->pump, &check->job);
		curl_easy_cleanup(check->job.easy);
		check->job.easy = NULL;
	}
	hook_end(&check->hook, 0);
}

bool check_reaped(struct check *check, pid_t pid, int wait_status)
{
	if (!hook_reaped(&check->hook, pid, wait_status))
		return false;
	check_end_command(check);
	return true;
}

int64_t check_work(struct check *check)
{
	int64_t next = hook_work(&check->hook);

	check_end_command(check);
	return hook_is_active(&check->hook) ? next : -1;
}

void check_fini(struct check *check)
{
	check_cancel(check);
	free(check->target);
	check->target = NULL;
}
