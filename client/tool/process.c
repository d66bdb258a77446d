/* SPDX-License-Identifier: MIT */
#include "tool/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/** In the child: becomes the program, or writes the errno to @p report. */
static void become(const struct process *process, int report)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};
	int r = 0;

	(void)sigaction(SIGPIPE, &standard, NULL);
	(void)sigprocmask(SIG_SETMASK, process->mask, NULL);
	if (process->place == PROCESS_OWN_SESSION)
		r = setsid() < 0 ? -1 : 0;
	else if (process->place == PROCESS_OWN_GROUP)
		r = setpgid(0, 0);
	if (r >= 0 && process->input >= 0)
		r = dup2(process->input, STDIN_FILENO);
	for (char *const *one = process->env; one != NULL && *one != NULL && r >= 0; one++)
		r = putenv(*one);
	if (r >= 0)
		(void)execvp(process->argv[0], process->argv);
	r = -errno;
	(void)!write(report, &r, sizeof(r)); /* if this fails too, 127 shows it */
	_exit(127);
}

int process_start(const struct process *process, pid_t *ret_pid)
{
	int report[2];
	int error = 0;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		become(process, report[1]);
	int r = pid < 0 ? -errno : 0;
	(void)close(report[1]);
	if (r == 0) {
		ssize_t got;

		do {
			got = read(report[0], &error, sizeof(error));
		} while (got < 0 && errno == EINTR);
		if (got == (ssize_t)sizeof(error))
			r = error;
	}
	(void)close(report[0]);
	if (r < 0) {
		if (pid > 0)
			(void)waitpid(pid, NULL, 0);
		return r;
	}
	*ret_pid = pid;
	return 0;
}

bool process_has_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return false;
	(void)close(fd);
	return true;
}

bool process_group_lives(pid_t leader)
{
	return kill(-leader, 0) == 0 || errno == EPERM;
}

int process_exit_code(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

int process_input(const char *data, size_t len)
{
	int fd = memfd_create("rollcall", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, data + done, len - done);

		if (n < 0) {
			int r = -errno;

			(void)close(fd);
			return r;
		}
		done += (size_t)n;
	}
	if (lseek(fd, 0, SEEK_SET) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd;
}
