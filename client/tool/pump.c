/* SPDX-License-Identifier: MIT */
#include "tool/pump.h"

#include "tool/memory.h"
#include "tool/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONGEST_MS 60000

void pump_end_signals(sigset_t *ret_signals)
{
	(void)sigemptyset(ret_signals);
	(void)sigaddset(ret_signals, SIGINT);
	(void)sigaddset(ret_signals, SIGTERM);
}

void pump_init(struct pump *pump, const sigset_t *signals)
{
	sigset_t all = *signals;

	(void)sigaddset(&all, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &all, &pump->before); /* cannot fail */
	pump->client = NULL;
	pump->multi = curl_multi_init();
	pump->signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (pump->multi == NULL)
		memory_lacks();
	if (pump->signal_fd < 0) {
		tool_warn("cannot wait for signals: %s", strerror(errno));
		exit(EXIT_ERROR);
	}
}

void pump_fini(struct pump *pump)
{
	(void)curl_multi_cleanup(pump->multi);
	(void)close(pump->signal_fd);
	(void)sigprocmask(SIG_SETMASK, &pump->before, NULL);
}

void pump_add(struct pump *pump, struct pump_job *job)
{
	if (curl_easy_setopt(job->easy, CURLOPT_PRIVATE, job) != CURLE_OK ||
	    curl_multi_add_handle(pump->multi, job->easy) != CURLM_OK)
		memory_lacks();
	job->active = true;
}

void pump_remove(struct pump *pump, struct pump_job *job)
{
	if (!job->active)
		return;
	(void)curl_multi_remove_handle(pump->multi, job->easy);
	job->active = false;
}

/** @return whether any transfer has ended */
static bool end_jobs(struct pump *pump)
{
	const CURLMsg *message;
	bool any = false;
	int left;

	while ((message = curl_multi_info_read(pump->multi, &left)) != NULL) {
		CURLcode code = message->data.result;
		char *job_pointer = NULL;

		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &job_pointer);
		struct pump_job *job = (void *)job_pointer;
		pump_remove(pump, job);
		job->done(job, code);
		any = true;
	}
	return any;
}

static bool pump_work(struct pump *pump)
{
	int running;

	if (curl_multi_perform(pump->multi, &running) != CURLM_OK)
		memory_lacks();
	if (pump->client != NULL)
		(void)rollcall_process(pump->client); /* the library retries by itself */
	return end_jobs(pump);
}

static int read_signal(struct pump *pump, struct signalfd_siginfo *ret_info)
{
	struct signalfd_siginfo info;

	if (read(pump->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	*ret_info = info;
	return (int)info.ssi_signo;
}

int pump_turn(struct pump *pump, int64_t timeout_ms, struct signalfd_siginfo *ret_info)
{
	struct curl_waitfd fds[2] = {{.fd = pump->signal_fd, .events = CURL_WAIT_POLLIN}};
	unsigned count = 1;

	int number = read_signal(pump, ret_info);
	if (number != 0 || pump_work(pump))
		return number;
	if (timeout_ms < 0 || timeout_ms > LONGEST_MS)
		timeout_ms = LONGEST_MS;
	if (pump->client != NULL) {
		int own = rollcall_get_timeout(pump->client);

		fds[count++] = (struct curl_waitfd){.fd = rollcall_get_fd(pump->client),
		                                    .events = CURL_WAIT_POLLIN};
		if (own >= 0 && own < timeout_ms)
			timeout_ms = own;
	}
	if (curl_multi_poll(pump->multi, fds, count, (int)timeout_ms, NULL) != CURLM_OK)
		memory_lacks();
	(void)pump_work(pump);
	return read_signal(pump, ret_info);
}

int64_t pump_sooner(int64_t a, int64_t b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}
