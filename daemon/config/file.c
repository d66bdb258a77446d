/* SPDX-License-Identifier: MIT */
/*
 * Reads the configuration file: whole into memory with a limit and a time, comments blanked out,
 * then parsed by libconfuse. Main thread only: `current` is static.
 *
 * Invariant: all errors of a file are reported in one run. libconfuse stops at the first unknown
 * name, so the text is parsed until no new one is found (struct parse). Letting libconfuse open the
 * file would block on a FIFO.
 */
#include "config/file.h"

#include "base/check.h"
#include "config/option.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX 262144
#define READ_MS        1000 /* for each read of a pipe, socket or device */
#define UNKNOWN_MAX    32
#define UNKNOWN_SIZE   64

struct unknown {
	char name[UNKNOWN_SIZE];
	unsigned line;
};

/*
 * libconfuse stops at the first unknown name. To find the errors behind it as well, the text is
 * parsed again with that name added, until no new unknown name is found; only the last parse calls
 * the sink.
 */
struct parse {
	const struct file_sink *sink; /* NULL: this parse only looks for unknown names */
	bool found;                   /* this parse has found a new unknown name */
	unsigned lines[OPTION_COUNT]; /* the line where each option is given first */
	struct unknown unknown[UNKNOWN_MAX];
	size_t unknown_count;
	cfg_opt_t table[OPTION_COUNT + UNKNOWN_MAX + 1];
};

/* libconfuse passes no argument to its callbacks. Set only while file_read() runs. */
static struct parse *current;

PRINTF_LIKE(2, 3) static void report_wrong(unsigned line, const char *format, ...)
{
	char text[OPTION_WHY_SIZE];
	va_list ap;

	if (current->sink == NULL)
		return;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	current->sink->wrong(current->sink->arg, line, text);
}

static void report_name(unsigned line, const char *name)
{
	const struct option *meant = option_guess(name, strlen(name));

	if (meant != NULL)
		report_wrong(line, "unknown option '%s'; did you mean %s?", name, meant->name);
	else
		report_wrong(line, "unknown option '%s'", name);
}

/* Reads the name out of libconfuse's message. @return false: it is another message */
static bool is_unknown_name(const char *message, unsigned line)
{
	static const char start[] = "no such option '";
	const char *name = message + sizeof(start) - 1;
	const char *end = strrchr(message, '\'');
	struct unknown *unknown;
	size_t len = 0;

	if (strncmp(message, start, sizeof(start) - 1) != 0 || end == NULL || end < name)
		return false;
	len = (size_t)(end - name);
	if (len >= UNKNOWN_SIZE || current->unknown_count == UNKNOWN_MAX)
		return false;
	unknown = &current->unknown[current->unknown_count++];
	(void)memcpy(unknown->name, name, len);
	unknown->name[len] = '\0';
	unknown->line = line;
	current->found = true;
	return true;
}

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *format,
                                                           va_list ap)
{
	char message[256];

	(void)vsnprintf(message, sizeof(message), format, ap);
	if (!is_unknown_name(message, (unsigned)cfg->line))
		report_wrong((unsigned)cfg->line, "%s", message);
}

/* Called for each value, alone or in braces; libconfuse has already counted it. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const struct option *option = option_find(opt->name, strlen(opt->name), false);
	unsigned line = (unsigned)cfg->line;
	unsigned *first;

	*(const char **)result = value;
	if (option == NULL) {
		if (opt->nvalues == 1)
			report_name(line, opt->name);
		return 0;
	}
	first = &current->lines[option - option_table];
	if (opt->nvalues == 1 && *first != 0)
		report_wrong(line, "%s: given twice, first in line %u", option->name, *first);
	else if (opt->nvalues > 1 && option->kind != OPTION_LIST)
		report_wrong(line, "%s: takes one value, not a list", option->name);
	else if (current->sink != NULL)
		current->sink->value(current->sink->arg, line, option, value);
	if (*first == 0)
		*first = line;
	return 0;
}

static void fill_table(struct parse *parse)
{
	size_t n = 0;

	(void)memset(parse->table, 0, sizeof(parse->table));
	for (size_t i = 0; i < OPTION_COUNT; i++)
		parse->table[n++].name = option_table[i].name;
	for (size_t i = 0; i < parse->unknown_count; i++)
		parse->table[n++].name = parse->unknown[i].name;
	for (size_t i = 0; i < n; i++) {
		parse->table[i].type = CFGT_STR;
		parse->table[i].flags = CFGF_LIST;
		parse->table[i].parsecb = on_value;
	}
}

/* libconfuse does not call on_value() for "x = {}". */
static void report_empty(const struct parse *parse, const cfg_t *cfg)
{
	for (size_t i = 0; cfg->opts[i].name != NULL; i++) {
		if ((cfg->opts[i].flags & CFGF_MODIFIED) == 0 || cfg->opts[i].nvalues > 0)
			continue;
		if (i < OPTION_COUNT)
			report_wrong(0, "%s: has no value", cfg->opts[i].name);
		else
			report_name(parse->unknown[i - OPTION_COUNT].line, cfg->opts[i].name);
	}
}

static int parse_once(struct parse *parse, const char *text, const struct file_sink *sink)
{
	cfg_t *cfg;

	parse->sink = sink;
	parse->found = false;
	(void)memset(parse->lines, 0, sizeof(parse->lines));
	fill_table(parse);
	cfg = cfg_init(parse->table, CFGF_NONE);
	if (cfg == NULL)
		return -ENOMEM;
	(void)cfg_set_error_function(cfg, on_error);
	if (cfg_parse_buf(cfg, text) == CFG_SUCCESS) /* otherwise on_error() has reported it */
		report_empty(parse, cfg);
	(void)cfg_free(cfg);
	return 0;
}

/* Reading a FIFO waits for its writer, and a reload runs in main(), which must not wait long. */
static int wait_readable(int fd)
{
	struct pollfd file = {.fd = fd, .events = POLLIN};
	int r;

	do {
		r = poll(&file, 1, READ_MS);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

static ssize_t read_some(int fd, char *out, size_t size)
{
	ssize_t n;

	do {
		int r = wait_readable(fd);

		if (r < 0)
			return r;
		n = read(fd, out, size);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	return n < 0 ? -errno : n;
}

/* An empty pipe means that its writer has gone or has never come: no configuration. */
static bool is_pipe(int fd)
{
	struct stat about;

	return fstat(fd, &about) == 0 && (S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode));
}

/* Reads the whole file into @p text. @return its length or an error */
static ssize_t file_slurp(const char *path, char text[FILE_BYTES_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = read_some(fd, text + len, FILE_BYTES_MAX - len);
		if (n > 0)
			len += (size_t)n;
	} while (n > 0);
	if (n == 0 && len == 0 && is_pipe(fd))
		n = -EPIPE;
	(void)close(fd);
	if (n < 0)
		return n;
	return len == FILE_BYTES_MAX ? -EFBIG : (ssize_t)len;
}

static int parse_all(const char *text, const struct file_sink *sink)
{
	struct parse *parse = calloc(1, sizeof(*parse));
	int r;

	if (parse == NULL)
		return -ENOMEM;
	CHECK(current == NULL);
	current = parse;
	do {
		r = parse_once(parse, text, NULL);
	} while (r == 0 && parse->found);
	if (r == 0)
		r = parse_once(parse, text, sink);
	current = NULL;
	free(parse);
	return r;
}

/* --- comments --------------------------------------------------------------------------------- */

/* @return the place behind the string whose opening quote is at @p at */
static char *file_skip_string(char *at)
{
	char quote = *at++;

	while (*at != '\0' && *at != quote) {
		char *brace = quote == '"' && at[0] == '$' && at[1] == '{' ? strchr(at, '}') : NULL;

		if (brace != NULL)
			at = brace; /* a variable, which may contain quotes */
		else if (at[0] == '\\' && at[1] != '\0')
			at++;
		at++;
	}
	return *at == quote ? at + 1 : at;
}

/* @return the place behind the word at @p at: "a//b" is one, without a comment */
static char *file_skip_word(char *at)
{
	char *brace = at[0] == '$' && at[1] == '{' ? strchr(at, '}') : NULL;
	size_t len = strcspn(at, " \t\r\n#\"'={}()+,*");

	if (brace != NULL)
		return brace + 1;
	return at + (len > 0 ? len : 1);
}

static char *file_blank_out(char *at, const char *end)
{
	for (; at < end; at++) {
		if (*at != '\n')
			*at = ' ';
	}
	return at;
}

static unsigned line_of(const char *text, const char *at)
{
	unsigned line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

/*
 * Replaces comments by blanks, because libconfuse counts their lines two or three times, does not
 * accept them everywhere, and ignores the rest of the file after one that does not end.
 * @return 0, or the line of a comment that does not end
 */
static unsigned blank_comments(char *text)
{
	char *at = text;

	while (*at != '\0') {
		if (*at == '"' || *at == '\'') {
			at = file_skip_string(at);
		} else if (*at == '#' || (at[0] == '/' && at[1] == '/')) {
			at = file_blank_out(at, at + strcspn(at, "\n"));
		} else if (at[0] == '/' && at[1] == '*') {
			const char *end = strstr(at + 2, "*/");

			if (end == NULL)
				return line_of(text, at);
			at = file_blank_out(at, end + 2);
		} else {
			at = file_skip_word(at);
		}
	}
	return 0;
}

static int file_read_text(char *text, const struct file_sink *sink)
{
	unsigned line = blank_comments(text);

	if (line > 0) {
		sink->wrong(sink->arg, line, "this comment does not end");
		return 0;
	}
	return parse_all(text, sink);
}

int file_read(const char *path, const struct file_sink *sink)
{
	char *text = malloc(FILE_BYTES_MAX + 1);
	ssize_t len;
	int r = 0;

	if (text == NULL)
		return -ENOMEM;
	len = file_slurp(path, text);
	if (len < 0) {
		r = (int)len;
	} else if (memchr(text, '\0', (size_t)len) != NULL) {
		sink->wrong(sink->arg, 0, "is not text: holds a NUL byte");
	} else {
		text[len] = '\0';
		r = file_read_text(text, sink);
	}
	free(text);
	return r;
}
