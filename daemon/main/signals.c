/* SPDX-License-Identifier: MIT */
#include "main/signals.h"

#include "base/check.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void signal_ignore(int number)
{
	struct sigaction action = {.sa_handler = SIG_IGN};

	CHECK_OK(sigaction(number, &action, NULL));
}

static void set_stopping(sigset_t *ret)
{
	CHECK_OK(sigemptyset(ret));
	CHECK_OK(sigaddset(ret, SIGTERM));
	CHECK_OK(sigaddset(ret, SIGINT));
}

static void signal_block(sigset_t *ours)
{
	set_stopping(ours);
	CHECK_OK(sigaddset(ours, SIGHUP));
	CHECK_OK(pthread_sigmask(SIG_BLOCK, ours, NULL));
}

int signals_init(struct signals *signals)
{
	sigset_t ours;
	int r;

	*signals = (struct signals){-1, -1};
	signal_ignore(SIGPIPE);
	signal_ignore(SIGXFSZ); /* at RLIMIT_FSIZE write() fails with EFBIG instead */
	signal_block(&ours);

	signals->signal_fd = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	r = signals->signal_fd < 0 ? -errno : 0;
	if (r == 0) {
		signals->failed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = signals->failed_fd < 0 ? -errno : 0;
	}
	if (r < 0)
		signals_fini(signals);
	return r;
}

void signals_fini(struct signals *signals)
{
	if (signals->signal_fd >= 0)
		(void)close(signals->signal_fd);
	if (signals->failed_fd >= 0)
		(void)close(signals->failed_fd);
	*signals = (struct signals){-1, -1};
}

enum signals_event signals_wait(struct signals *signals, int timeout_ms, const char **ret_name)
{
	struct pollfd fds[] = {{.fd = signals->failed_fd, .events = POLLIN},
	                       {.fd = signals->signal_fd, .events = POLLIN}};
	struct signalfd_siginfo info;

	if (poll(fds, ARRAY_LEN(fds), timeout_ms) <= 0)
		return SIGNALS_NONE;
	if (fds[0].revents != 0)
		return SIGNALS_FAILED;
	if (read(signals->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return SIGNALS_NONE;
	if (info.ssi_signo == SIGHUP)
		return SIGNALS_RELOAD;
	*ret_name = info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM";
	return SIGNALS_STOP;
}

void signals_fail(struct signals *signals)
{
	uint64_t one = 1;

	/* Fails only when the counter is full, and then the event is already there. */
	if (write(signals->failed_fd, &one, sizeof(one)) < 0)
		return;
}

static void end_at_once(int number)
{
	(void)number;
	_exit(0);
}

void signals_end_at_once(void)
{
	struct sigaction action = {.sa_handler = end_at_once};
	sigset_t stopping;

	set_stopping(&stopping);
	CHECK_OK(sigaction(SIGTERM, &action, NULL));
	CHECK_OK(sigaction(SIGINT, &action, NULL));
	CHECK_OK(pthread_sigmask(SIG_UNBLOCK, &stopping, NULL));
}

void signals_gather(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t stopping;

	set_stopping(&stopping);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &stopping, NULL));
	CHECK_OK(sigaction(SIGTERM, &action, NULL));
	CHECK_OK(sigaction(SIGINT, &action, NULL));
}

void signals_allow_interrupt(void)
{
	sigset_t interrupt;

	CHECK_OK(sigemptyset(&interrupt));
	CHECK_OK(sigaddset(&interrupt, SIGINT));
	CHECK_OK(pthread_sigmask(SIG_UNBLOCK, &interrupt, NULL));
}
