/* SPDX-License-Identifier: MIT */
/** What the tests of config/ share: a configuration file, an empty environment, printed lines. */
#pragma once

#include "config/config.h"
#include "config/option.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

static char dir[] = "/tmp/rollcall-config-XXXXXX";
static char path[64];
static char config_option[80];

static char output[8192];
static struct config config;
static enum config_action action;
static struct config_sources *sources;

static void collect(const char *line)
{
	size_t len = strlen(output);

	(void)snprintf(output + len, sizeof(output) - len, "%s\n", line);
}

__attribute__((unused)) static void collect_error(const char *line)
{
	collect("wrong: ");
	output[strlen(output) - 1] = '\0';
	collect(line);
}

static void setup(void)
{
	(void)strcpy(dir, "/tmp/rollcall-config-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/conf", dir);
	(void)snprintf(config_option, sizeof(config_option), "--config=%s", path);
	ck_assert_int_eq(clearenv(), 0);
	output[0] = '\0';
	sources = NULL;
	action = CONFIG_RUN;
	(void)memset(&config, 0, sizeof(config));
}

static void teardown(void)
{
	config_sources_free(sources);
	(void)unlink(path);
	(void)rmdir(dir);
}

static void write_file(const char *text)
{
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

/* Loads with these arguments, which do not include the program's name; NULL ends the list. */
static int load(const char *first, ...)
{
	static char words[32][512];
	static char *argv[33];
	int argc = 0;
	va_list ap;

	(void)snprintf(words[argc++], sizeof(words[0]), "rollcalld");
	va_start(ap, first);
	for (const char *arg = first; arg != NULL; arg = va_arg(ap, const char *))
		(void)snprintf(words[argc++], sizeof(words[0]), "%s", arg);
	va_end(ap);
	for (int i = 0; i < argc; i++)
		argv[i] = words[i];
	argv[argc] = NULL;
	config_sources_free(sources);
	sources = NULL;
	return config_load(argc, argv, collect, &config, &action, &sources);
}

static void unload(void)
{
	config_sources_free(sources);
	sources = NULL;
	output[0] = '\0';
}

static int load_file(const char *text)
{
	write_file(text);
	return load(config_option, NULL);
}

#define ck_output_has(text) \
	ck_assert_msg(strstr(output, (text)) != NULL, "'%s' not in the output:\n%s", (text), output)
#define ck_output_lacks(text) \
	ck_assert_msg(strstr(output, (text)) == NULL, "'%s' in the output:\n%s", (text), output)
