/* SPDX-License-Identifier: MIT */
#include "backup/backup.h"
#include "base/thread.h"
#include "base/version.h"
#include "config/config.h"
#include "http/http.h"
#include "journal/journal.h"
#include "main/exit_code.h"
#include "main/run.h"
#include "main/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#define EX_DAMAGED 1 /* --check found damage; --export or --import read something unsound */

/* For errors before the log is open, and for actions that use none. */
static void print_error(const char *line)
{
	(void)fprintf(stderr, "rollcalld: %s\n", line);
}

static void print_finding(void *arg, const char *line)
{
	(void)arg;
	(void)printf("%s\n", line);
}

/* Notes are no findings: they do not change the exit status. */
static void print_notes(void)
{
	char note[256];

	if (journal_sqlite_note(note, sizeof(note)) != NULL)
		(void)printf("note: %s\n", note);
	if (http_library_note(note, sizeof(note)) != NULL)
		(void)printf("note: %s\n", note);
}

static int verify_journal(const struct config *config)
{
	print_notes();
	int r = journal_verify(config->state_dir, print_finding, NULL);

	if (r > 0) {
		(void)printf("%s: nothing has been written to the journal yet\n",
		             config->state_dir);
		return EX_OK;
	}
	switch (-r) {
	case 0:
		(void)printf("%s: the journal is sound\n", config->state_dir);
		return EX_OK;
	case EBADMSG:
		return EX_DAMAGED;
	case EBUSY:
		print_error("the journal is in use, so it was not checked");
		return exit_code_of(r);
	default:
		(void)fprintf(stderr, "rollcalld: cannot verify '%s': %s\n", config->state_dir,
		              strerror(-r));
		return exit_code_of(r);
	}
}

/* Prints the error of --export or --import. @return an exit code */
static int backup_result(int r, const struct journal_error *error)
{
	if (r == 0)
		return EX_OK;
	print_error(error->text[0] != '\0' ? error->text : strerror(-r));
	switch (-r) {
	case EBADMSG: /* the journal */
	case EILSEQ:  /* something in it */
	case EINVAL:  /* the export */
		return EX_DAMAGED;
	case ENODATA:
	case EEXIST:
		return EX_CONFIG;
	default:
		return exit_code_of(r);
	}
}

static int export_to_stdout(const struct config *config)
{
	struct journal_error error = {""};

	return backup_result(backup_export(config->state_dir, stdout, &error), &error);
}

static int import_from_stdin(const struct config *config)
{
	struct journal_error error = {""};
	mode_t mask;

	/* One that is missing will be made as private as main() has seen to. */
	int r = state_umask(config->state_dir, &mask);
	if (r == 0 || r == -ENOENT)
		r = backup_import(config->state_dir, stdin, &error);
	return backup_result(r, &error);
}

/* A full disk or a closed pipe behind standard output is an error. */
static int finish_output(int code)
{
	if (fflush(stdout) != 0 && code == EX_OK) {
		print_error("cannot write to standard output");
		return EX_IOERR;
	}
	return code;
}

static int run_action(enum config_action action, struct config *config,
                      struct config_sources *sources)
{
	switch (action) {
	case CONFIG_HELP:
		config_help(stdout);
		break;
	case CONFIG_VERSION:
		(void)printf("rollcalld %s\n", rollcall_version);
		break;
	case CONFIG_CHECK:
		(void)printf("the configuration is sound\n");
		break;
	case CONFIG_PRINT:
		config_print(stdout, config, sources);
		break;
	case CONFIG_VERIFY:
		return finish_output(verify_journal(config));
	case CONFIG_EXPORT:
		return finish_output(export_to_stdout(config));
	case CONFIG_IMPORT:
		return import_from_stdin(config);
	case CONFIG_RUN:
		return run_daemon(config, sources);
	}
	return finish_output(EX_OK);
}

int main(int argc, char **argv)
{
	struct config config;
	struct config_sources *sources = NULL;
	enum config_action action;
	int code;

	(void)umask(0077); /* state_prepare() may allow the group to read */
	if (thread_set_stacks() < 0) {
		print_error("the stack is too small: 'ulimit -s' must be at least 512");
		return EX_OSERR;
	}

	int r = config_load(argc, argv, print_error, &config, &action, &sources);

	switch (-r) {
	case 0:
		break;
	case EINVAL:
		return EX_USAGE;
	case EBADMSG:
		return EX_CONFIG;
	case ENOMEM:
		print_error("out of memory");
		return EX_OSERR;
	default:
		return exit_code_of(r);
	}
	code = run_action(action, &config, sources);
	config_sources_free(sources);
	return code;
}
