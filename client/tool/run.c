/* SPDX-License-Identifier: MIT */
/*
 * run: runs a program and keeps it registered while it runs. One thread, which waits in pump_turn()
 * for checks, signals and the client library.
 *
 * The tool may be process 1 of a container: it reaps every child, and reads signals, which have no
 * default action there, from a descriptor.
 *
 * Without a controlling terminal the program gets a process group of its own, and signals go to the
 * whole group. With one, the program is in the group of the tool, as the shell's job control
 * requires: it may then read the terminal, and the terminal sends Ctrl-C to both.
 *
 * Invariant: a signal that ends the program is passed on only after its instance is deregistered,
 * so that no caller is sent to a program that is going away. Passing it on at once, and
 * deregistering when the program has ended, would be simpler, and every stop would break calls.
 */
#include "tool/check.h"
#include "tool/commands.h"
#include "tool/library.h"
#include "tool/process.h"
#include "tool/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define REGISTRY_MS 2000
#define CHECK_MS    200
#define KILL_MS     5000 /* from SIGTERM to SIGKILL for a program that is not ready in time */
#define REST_MS     2000 /* from the end of the program to SIGKILL for the rest of its group */

struct run {
	const struct args *args;
	struct pump pump;
	struct check check;
	rollcall_client *client;
	rollcall_registration *registration; /* NULL: not registered yet, or no longer */
	struct reminder reminder;
	json_t *record;
	pid_t child;
	int wait_status;
	bool own_group;  /* the program leads a process group; else it is in the tool's */
	bool reaped;     /* the program has ended */
	bool ended;      /* and so has its group, if it was sent a signal to end */
	bool signalled;  /* the program was sent a signal to end */
	int64_t kill_ms; /* when to send SIGKILL; -1: never */
	bool gave_up;    /* it was not ready in time */
	int stop_signal; /* to pass on after draining; 0: none */
	bool has_it;     /* the terminal has sent it to the program already */
	int64_t check_ms;
	int64_t interval_ms;
	int64_t start_within_ms; /* 0: no limit */
	int64_t began_ms;
	int64_t drain_for_ms;
	int64_t drained_ms; /* when draining ends; -1: not draining */
};

/** Sends a signal to the program, or to its whole group if it has one. */
static void send_signal(const struct run *run, int number)
{
	if (!run->own_group && run->reaped)
		return;
	(void)kill(run->own_group ? -run->child : run->child, number);
}

static void run_give_up(struct run *run)
{
	run->gave_up = true;
	run->signalled = true;
	run->kill_ms = tool_now_ms() + KILL_MS;
	send_signal(run, SIGTERM);
}

static void run_checked(struct check *check, bool fine, void *arg)
{
	struct run *run = arg;

	(void)check;
	run->check_ms = tool_now_ms() + run->interval_ms;
	if (!fine || run->stop_signal != 0 || run->reaped)
		return;
	run->registration = library_register(run->client, run->record);
	if (run->registration == NULL)
		run_give_up(run);
}

/** @return what becomes of an instance that cannot be deregistered */
static const char *run_remains(const struct run *run)
{
	return library_has_lease(run->record) ? "the lease will expire"
	                                      : "without a lease it stays registered";
}

static void run_leave(struct run *run)
{
	int r = rollcall_deregister(run->registration, REGISTRY_MS);

	run->registration = NULL;
	if (r < 0)
		tool_warn("cannot deregister: %s; %s", rollcall_error_text(r), run_remains(run));
}

static void run_pass_on(struct run *run)
{
	run->drained_ms = -1;
	run_leave(run);
	run->signalled = true;
	if (!run->has_it)
		send_signal(run, run->stop_signal);
}

/** Begins to stop after SIGTERM or SIGINT: drains first. The second signal does not wait. */
static void begin_stop(struct run *run, int number, bool has_it)
{
	bool first = run->stop_signal == 0;

	check_cancel(&run->check);
	run->stop_signal = number;
	run->has_it = has_it;
	if (!first || run->registration == NULL) {
		run_pass_on(run);
		return;
	}
	rollcall_state state = rollcall_registration_state(run->registration);
	bool drains = state == ROLLCALL_REGISTERED || state == ROLLCALL_UNCONFIRMED;
	int r = drains ? rollcall_drain(run->registration, REGISTRY_MS) : 0;

	if (r < 0)
		tool_warn("cannot drain: the registry does not answer");
	if (r < 0 || state == ROLLCALL_PENDING || state == ROLLCALL_REFUSED)
		run_pass_on(run);
	else
		run->drained_ms = tool_now_ms() + run->drain_for_ms;
}

static void run_reap(struct run *run)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == run->child && !run->reaped) {
			run->reaped = true;
			run->wait_status = status;
			run->kill_ms = tool_now_ms() + REST_MS;
		} else {
			(void)check_reaped(&run->check, pid, status);
		}
	}
}

static void take_signal(struct run *run, int number, const struct signalfd_siginfo *info)
{
	/* The terminal sends the signal of a key to the whole group, so to the program too. */
	bool has_it = info->ssi_code == SI_KERNEL;

	if (number == SIGCHLD)
		run_reap(run);
	else if (number == SIGTERM || number == SIGINT)
		begin_stop(run, number, has_it);
	else if (number != 0 && !has_it)
		send_signal(run, number);
}

static bool is_starting(const struct run *run)
{
	return run->registration == NULL && run->stop_signal == 0 && !run->gave_up && !run->reaped;
}

static bool run_group_lives(const struct run *run)
{
	return run->own_group && process_group_lives(run->child);
}

/** Kills what is out of time. @return milliseconds until more is due; below 0: never */
static int64_t end_rest(struct run *run)
{
	int64_t now = tool_now_ms();

	if (run->reaped && (!run->signalled || !run_group_lives(run))) {
		run->ended = true;
		return 0;
	}
	if (run->kill_ms < 0)
		return -1;
	if (now >= run->kill_ms) {
		send_signal(run, SIGKILL);
		run->kill_ms = -1;
		run->ended = run->reaped;
		return run->ended ? 0 : -1;
	}
	return run->reaped ? PROCESS_GROUP_POLL_MS : run->kill_ms - now;
}

/** Does what is due. @return milliseconds until more is due; below 0: never */
static int64_t run_work(struct run *run)
{
	int64_t now = tool_now_ms();
	int64_t next = pump_sooner(check_work(&run->check), end_rest(run));

	if (run->drained_ms >= 0 && now >= run->drained_ms)
		run_pass_on(run);
	if (run->drained_ms >= 0)
		next = pump_sooner(next, run->drained_ms - now);
	if (!is_starting(run))
		return next;
	if (run->start_within_ms > 0 && now - run->began_ms >= run->start_within_ms) {
		tool_warn("'%s' was not ready in time: %s", run->args->operands[0], run->check.why);
		check_cancel(&run->check);
		run_give_up(run);
		return pump_sooner(next, KILL_MS);
	}
	if (run->start_within_ms > 0)
		next = pump_sooner(next, run->began_ms + run->start_within_ms - now);
	if (!check_is_active(&run->check) && now >= run->check_ms)
		check_start(&run->check, &run->pump);
	if (!check_is_active(&run->check) && is_starting(run))
		next = pump_sooner(next, run->check_ms > now ? run->check_ms - now : 0);
	return next;
}

/** Sets all signals that the tool passes on. Not those that stop or continue, which the terminal or
 * the shell sends to both, and not those of the tool's own faults. */
static void fill_signals(sigset_t *signals)
{
	static const int kept[] = {SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGSEGV,
	                           SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP, SIGABRT, SIGSYS,  SIGPIPE};

	(void)sigfillset(signals);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		(void)sigdelset(signals, kept[i]);
}

/** Ends as the program did, by its signal if need be, so that the parent sees the same status. */
static int end_as(int wait_status)
{
	if (WIFSIGNALED(wait_status) && getpid() != 1) {
		struct sigaction standard = {.sa_handler = SIG_DFL};
		int number = WTERMSIG(wait_status);
		sigset_t one;

		(void)fflush(stdout);
		(void)prctl(PR_SET_DUMPABLE, 0); /* the program has left the core file */
		(void)sigaction(number, &standard, NULL);
		(void)sigemptyset(&one);
		(void)sigaddset(&one, number);
		(void)raise(number);
		(void)sigprocmask(SIG_UNBLOCK, &one, NULL);
	}
	return process_exit_code(wait_status);
}

static int run_read_options(struct run *run, const struct args *args)
{
	const char *check = args->value[OPT_CHECK];
	const char *host = args->value[OPT_HOST];
	uint64_t port = 0;

	if (args->value[OPT_SERVICE] == NULL || args->value[OPT_PORT] == NULL) {
		tool_warn("run requires --service and --port");
		return -EINVAL;
	}
	if (args_number(args, OPT_PORT, 1, UINT16_MAX, &port) < 0 ||
	    args_duration(args, OPT_INTERVAL, &run->interval_ms) < 0 ||
	    args_duration(args, OPT_START_WITHIN, &run->start_within_ms) < 0 ||
	    args_duration(args, OPT_DRAIN_FOR, &run->drain_for_ms) < 0 ||
	    record_from_args(args, &run->record) < 0)
		return -EINVAL;
	if (check_read(&run->check, check != NULL ? check : "tcp",
	               host != NULL ? host : "localhost", (unsigned)port) < 0) {
		tool_warn("--check takes " CHECK_SYNTAX ", not '%s'", check);
		return -EINVAL;
	}
	run->check.done = run_checked;
	run->check.arg = run;
	return 0;
}

/** Runs the program to its end. @return EXIT_OK, or an exit code if it cannot be started */
static int supervise(struct run *run)
{
	struct process process = {run->args->operands, NULL, &run->pump.before, -1,
	                          run->own_group ? PROCESS_OWN_GROUP : PROCESS_OUR_GROUP};
	struct signalfd_siginfo info;

	run->pump.client = run->client;
	int r = process_start(&process, &run->child);
	if (r < 0) {
		tool_warn("cannot run '%s': %s", run->args->operands[0], strerror(-r));
		return r == -ENOENT ? 127 : 126;
	}
	run->began_ms = tool_now_ms();
	while (!run->ended) {
		int64_t next = run_work(run);

		if (!run->ended)
			take_signal(run, pump_turn(&run->pump, next, &info), &info);
		if (run->registration != NULL)
			library_report(&run->reminder, run->registration, run->record, NULL);
	}
	return EXIT_OK;
}

int run_run(struct tool *tool, const struct args *args)
{
	struct run run = {
		.args = args,
		.own_group = !process_has_terminal(),
		.interval_ms = CHECK_MS,
		.drained_ms = -1,
		.kill_ms = -1,
	};
	sigset_t signals;
	int code = EXIT_USAGE;

	if (run_read_options(&run, args) < 0)
		goto out;
	run.client = library_open(tool, NULL);
	if (run.client == NULL)
		goto out;
	fill_signals(&signals);
	pump_init(&run.pump, &signals);
	code = supervise(&run);
	check_cancel(&run.check);
	if (rollcall_close(run.client, REGISTRY_MS) < 0) /* deregisters if still registered */
		tool_warn("cannot deregister; %s", run_remains(&run));
	pump_fini(&run.pump);
	if (code == EXIT_OK)
		code = run.gave_up ? EXIT_ERROR : end_as(run.wait_status);

out:
	json_decref(run.record);
	check_fini(&run.check);
	return code;
}
