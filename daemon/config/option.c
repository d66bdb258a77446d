/* SPDX-License-Identifier: MIT */
/*
 * The options as rows of a table, and generic functions over a row: find, set, compare, copy,
 * print. No state; main thread only.
 *
 * Invariant: a row's offset and kind describe a member of struct config, since both are made from
 * the same X-macro. Texts are padded with zeros, so memcmp() compares whole members.
 */
#include "config/option.h"

#include "base/check.h"
#include "base/parse.h"
#include "base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/un.h>

const struct option option_table[OPTION_COUNT] = {
#define OPTION_LIST_ROW(name_, def, effect_, doc_) \
	{.name = #name_,                           \
	 .doc = (doc_),                            \
	 .fallback = (def),                        \
	 .words = "",                              \
	 .kind = OPTION_LIST,                      \
	 .effect = (effect_),                      \
	 .offset = offsetof(struct config, name_), \
	 .count_offset = offsetof(struct config, name_##_count)},
#define OPTION_TEXT_ROW(name_, def, words_, effect_, doc_) \
	{.name = #name_,                                   \
	 .doc = (doc_),                                    \
	 .fallback = (def),                                \
	 .words = (words_),                                \
	 .kind = OPTION_TEXT,                              \
	 .effect = (effect_),                              \
	 .offset = offsetof(struct config, name_)},
#define OPTION_NUMBER_ROW(name_, def, min, max, unit_, effect_, doc_) \
	{.name = #name_,                                              \
	 .doc = (doc_),                                               \
	 .unit = (unit_),                                             \
	 .number = (def),                                             \
	 .least = (min),                                              \
	 .most = (max),                                               \
	 .kind = OPTION_NUMBER,                                       \
	 .effect = (effect_),                                         \
	 .offset = offsetof(struct config, name_)},
	OPTIONS_LIST(OPTION_LIST_ROW) OPTIONS_TEXT(OPTION_TEXT_ROW)
		OPTIONS_NUMBER(OPTION_NUMBER_ROW)
#undef OPTION_LIST_ROW
#undef OPTION_TEXT_ROW
#undef OPTION_NUMBER_ROW
};

/* --- names ------------------------------------------------------------------------------------ */

static char other_spelling(char c)
{
	if (c == '-')
		return '_';
	if (c == '_')
		return '-';
	return c;
}

const struct option *option_find(const char *name, size_t len, bool hyphens)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		size_t n = 0;

		while (n < len && option_table[i].name[n] != '\0' &&
		       option_table[i].name[n] == (hyphens ? other_spelling(name[n]) : name[n]))
			n++;
		if (n == len && option_table[i].name[n] == '\0')
			return &option_table[i];
	}
	return NULL;
}

#define GUESS_NAME_MAX 40

/* The Levenshtein distance, in which '-' and '_' are equal. */
static unsigned edit_distance(const char *name, size_t len, const char *option)
{
	unsigned row[GUESS_NAME_MAX + 1];

	CHECK(len <= GUESS_NAME_MAX);
	for (unsigned i = 0; i <= len; i++)
		row[i] = i;
	for (unsigned j = 0; option[j] != '\0'; j++) {
		unsigned diagonal = row[0];

		row[0] = j + 1;
		for (size_t i = 0; i < len; i++) {
			bool same = name[i] == option[j] || (name[i] == '-' && option[j] == '_');
			unsigned best = diagonal + (same ? 0 : 1);

			diagonal = row[i + 1];
			if (best > row[i] + 1)
				best = row[i] + 1;
			if (best > diagonal + 1)
				best = diagonal + 1;
			row[i + 1] = best;
		}
	}
	return row[len];
}

const struct option *option_guess(const char *name, size_t len)
{
	const struct option *nearest = NULL;
	unsigned least = 4; /* at most three typing errors */

	if (len < 3 || len > GUESS_NAME_MAX)
		return NULL;
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		unsigned n = edit_distance(name, len, option_table[i].name);

		if (n < least) {
			least = n;
			nearest = &option_table[i];
		}
	}
	return nearest;
}

void option_spell(const struct option *option, char *out, size_t size)
{
	size_t n = 0;

	for (; option->name[n] != '\0' && n + 1 < size; n++)
		out[n] = other_spelling(option->name[n]);
	out[n] = '\0';
}

/* --- values ----------------------------------------------------------------------------------- */

static int64_t *number_of(const struct option *option, struct config *config)
{
	return (int64_t *)(void *)((char *)config + option->offset);
}

static size_t *count_of(const struct option *option, struct config *config)
{
	return (size_t *)(void *)((char *)config + option->count_offset);
}

static char *text_of(const struct option *option, struct config *config, size_t nth)
{
	return (char *)config + option->offset + nth * CONFIG_TEXT_MAX;
}

static const void *value_of(const struct option *option, const struct config *config)
{
	return (const char *)config + option->offset;
}

static size_t size_of(const struct option *option)
{
	switch (option->kind) {
	case OPTION_NUMBER:
		return sizeof(int64_t);
	case OPTION_TEXT:
		return CONFIG_TEXT_MAX;
	case OPTION_LIST:
		break;
	}
	return (size_t)CONFIG_LIST_MAX * CONFIG_TEXT_MAX;
}

static size_t list_count(const struct option *option, const struct config *config)
{
	return *(const size_t *)(const void *)((const char *)config + option->count_offset);
}

void option_default(const struct option *option, struct config *config)
{
	(void)memset((char *)config + option->offset, 0, size_of(option));
	switch (option->kind) {
	case OPTION_NUMBER:
		*number_of(option, config) = option->number;
		break;
	case OPTION_TEXT:
		(void)memcpy(text_of(option, config, 0), option->fallback,
		             strlen(option->fallback));
		break;
	case OPTION_LIST:
		(void)memcpy(text_of(option, config, 0), option->fallback,
		             strlen(option->fallback));
		*count_of(option, config) = 1;
		break;
	}
}

void option_clear(const struct option *option, struct config *config)
{
	if (option->kind != OPTION_LIST)
		return;
	(void)memset((char *)config + option->offset, 0, size_of(option));
	*count_of(option, config) = 0;
}

/* "auto|text|json" as "auto, text, json". */
static void list_words(const char *words, char *out, size_t size)
{
	size_t n = 0;

	for (; *words != '\0' && n + 3 < size; words++) {
		if (*words == '|') {
			out[n++] = ',';
			out[n++] = ' ';
		} else {
			out[n++] = *words;
		}
	}
	out[n] = '\0';
}

void option_allowed(const struct option *option, char *out, size_t size)
{
	char words[128];

	if (option->kind == OPTION_NUMBER) {
		(void)snprintf(out, size, "%" PRId64 " to %" PRId64 " %s", option->least,
		               option->most, option->unit);
	} else if (option->kind == OPTION_LIST) {
		(void)snprintf(out, size, "ADDRESS:PORT, [IPV6]:PORT or unix:PATH");
	} else if (option == &option_table[OPTION_socket_mode]) {
		(void)snprintf(out, size, "three octal digits, such as 0660");
	} else if (option->words[0] != '\0') {
		list_words(option->words, words, sizeof(words));
		(void)snprintf(out, size, "one of %s", words);
	} else {
		(void)snprintf(out, size, "%d to %d bytes of text", option->fallback[0] != '\0',
		               CONFIG_TEXT_MAX - 1);
	}
}

static bool is_word(const char *words, struct str text)
{
	while (*words != '\0') {
		size_t len = strcspn(words, "|");

		if (str_equal((struct str){words, len}, text))
			return true;
		words += len;
		words += *words == '|';
	}
	return false;
}

static bool is_port(struct str text)
{
	uint64_t port;

	return parse_u64(text, 0, 65535, &port) == 0;
}

/* Checks the form only; bind() finds out whether the machine has the address. */
static bool is_address(struct str text)
{
	const char *colon = memrchr(text.data, ':', text.len);
	struct str host;
	struct str port;

	if (text.len > 5 && memcmp(text.data, "unix:", 5) == 0)
		return text.len - 5 < sizeof((struct sockaddr_un){0}.sun_path);
	if (colon == NULL)
		return false;

	host = (struct str){text.data, (size_t)(colon - text.data)};
	port = (struct str){colon + 1, text.len - host.len - 1};
	if (!is_port(port))
		return false;
	if (host.len < 2 || host.data[0] != '[')
		return parse_is_ip(host) && memchr(host.data, ':', host.len) == NULL;
	if (host.data[host.len - 1] != ']')
		return false;
	host = (struct str){host.data + 1, host.len - 2};
	return parse_is_ip(host) && memchr(host.data, ':', host.len) != NULL;
}

static bool is_printable(struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == '\x7f')
			return false;
	}
	return true;
}

/* "660" or "0660" */
static bool is_mode(struct str text)
{
	if (text.len == 4 && text.data[0] == '0')
		text = (struct str){text.data + 1, text.len - 1};
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '7')
			return false;
	}
	return text.len == 3;
}

static int option_wrong(const struct option *option, const char *text, const char *what, char *why)
{
	char allowed[160];

	option_allowed(option, allowed, sizeof(allowed));
	(void)snprintf(why, OPTION_WHY_SIZE, "'%.200s' %s; allowed: %s", text, what, allowed);
	return -EINVAL;
}

static int set_number(const struct option *option, struct config *config, const char *text,
                      char *why)
{
	uint64_t number;
	int r = parse_u64(str_of(text), (uint64_t)option->least, (uint64_t)option->most, &number);

	if (r == -ERANGE)
		return option_wrong(option, text, "is out of range", why);
	if (r < 0)
		return option_wrong(option, text, "is not a number", why);
	*number_of(option, config) = (int64_t)number;
	return 0;
}

static int set_text(const struct option *option, char *out, const char *text, char *why)
{
	struct str value = str_of(text);

	bool may_be_empty = option->kind == OPTION_TEXT && option->fallback[0] == '\0';

	if (value.len == 0 && !may_be_empty)
		return option_wrong(option, text, "is empty", why);
	if (value.len >= CONFIG_TEXT_MAX)
		return option_wrong(option, text, "is too long", why);
	if (!is_printable(value))
		return option_wrong(option, "(text)", "holds a control character", why);
	if (option->words[0] != '\0' && !is_word(option->words, value))
		return option_wrong(option, text, "is not known", why);
	if (option == &option_table[OPTION_socket_mode] && !is_mode(value))
		return option_wrong(option, text, "is not a mode", why);
	if (option->kind == OPTION_LIST && !is_address(value))
		return option_wrong(option, text, "is not an address", why);
	(void)memset(out, 0, CONFIG_TEXT_MAX);
	(void)memcpy(out, value.data, value.len);
	return 0;
}

static int append_text(const struct option *option, struct config *config, const char *text,
                       char *why)
{
	size_t *count = count_of(option, config);
	int r;

	if (*count == CONFIG_LIST_MAX) {
		(void)snprintf(why, OPTION_WHY_SIZE, "'%.200s' is one too many; allowed: %d", text,
		               CONFIG_LIST_MAX);
		return -EINVAL;
	}
	r = set_text(option, text_of(option, config, *count), text, why);
	if (r < 0)
		return r;
	(*count)++;
	return 0;
}

int option_set(const struct option *option, struct config *config, const char *text, char *why)
{
	switch (option->kind) {
	case OPTION_NUMBER:
		return set_number(option, config, text, why);
	case OPTION_TEXT:
		return set_text(option, text_of(option, config, 0), text, why);
	case OPTION_LIST:
		break;
	}
	return append_text(option, config, text, why);
}

bool option_equal(const struct option *option, const struct config *a, const struct config *b)
{
	return memcmp(value_of(option, a), value_of(option, b), size_of(option)) == 0;
}

void option_copy(const struct option *option, struct config *to, const struct config *from)
{
	(void)memcpy((char *)to + option->offset, value_of(option, from), size_of(option));
	if (option->kind == OPTION_LIST)
		*count_of(option, to) = list_count(option, from);
}

/* --- printing --------------------------------------------------------------------------------- */

static void print_quoted(FILE *out, const char *text)
{
	(void)fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\' || *text == '$')
			(void)fputc('\\', out);
		(void)fputc(*text, out);
	}
	(void)fputc('"', out);
}

void option_print(FILE *out, const struct option *option, const struct config *config)
{
	const char *text = value_of(option, config);

	switch (option->kind) {
	case OPTION_NUMBER:
		(void)fprintf(out, "%" PRId64, *(const int64_t *)(const void *)text);
		break;
	case OPTION_TEXT:
		print_quoted(out, text);
		break;
	case OPTION_LIST:
		(void)fputc('{', out);
		for (size_t i = 0; i < list_count(option, config); i++) {
			if (i > 0)
				(void)fputs(", ", out);
			print_quoted(out, text + i * CONFIG_TEXT_MAX);
		}
		(void)fputc('}', out);
		break;
	}
}
