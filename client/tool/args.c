/* SPDX-License-Identifier: MIT */
/*
 * Parses command lines with getopt_long(), from the table of options in args.h and the options that
 * a command takes. One thread. Invariant: an option that the command does not take is refused, and
 * numbers and durations are parsed by the two functions here, without a sign, blanks or overflow,
 * which strtoull() would accept.
 */
#include "tool/args.h"

#include "tool/tool.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

const struct option_info args_options[OPT_COUNT_OF] = {
#define ARGS_INFO(id, name, letter, arg, text) {name, arg, text, letter},
	ARGS_OPTIONS(ARGS_INFO)
#undef ARGS_INFO
};

_Static_assert(OPT_COUNT_OF <= 64, "the options of a command are bits of 64");

#define LONG_ONLY 256

struct spec {
	struct option longs[OPT_COUNT_OF + 1];
	char letters[2 * OPT_COUNT_OF + 3];
	enum args_option by_letter[256];
};

static void make_spec(struct spec *spec, const struct command *command)
{
	size_t n = 0;
	size_t at = 0;

	*spec = (struct spec){0};
	if (command->stops)
		spec->letters[at++] = '+';
	spec->letters[at++] = ':';
	for (int i = 0; i < OPT_COUNT_OF; i++) {
		const struct option_info *info = &args_options[i];

		if (!args_takes(command, (enum args_option)i))
			continue;
		spec->longs[n++] =
			(struct option){info->name, info->arg ? required_argument : no_argument,
		                        NULL, LONG_ONLY + i};
		if (info->letter == 0)
			continue;
		spec->letters[at++] = info->letter;
		if (info->arg != NULL)
			spec->letters[at++] = ':';
		spec->by_letter[(unsigned char)info->letter] = (enum args_option)i;
	}
}

static int args_append(struct args_list *list, enum args_option option, const char *value)
{
	if (list->count == ARGS_REPEATED_MAX) {
		tool_warn("--%s may be given %d times at most", args_options[option].name,
		          ARGS_REPEATED_MAX);
		return -EINVAL;
	}
	list->item[list->count++] = value;
	return 0;
}

static int args_keep(struct args *args, enum args_option option, const char *value)
{
	const char *equals = value != NULL ? strchr(value, '=') : NULL;

	args->value[option] = value != NULL ? value : "";
	if (option == OPT_HEADER)
		return args_append(&args->header, option, value);
	if (option != OPT_META && option != OPT_SET)
		return 0;
	if (equals == NULL || equals == value) {
		tool_warn("--%s takes KEY=VALUE, not '%s'", args_options[option].name, value);
		return -EINVAL;
	}
	return args_append(option == OPT_META ? &args->meta : &args->set, option, value);
}

static int check_operands(const struct args *args, const struct command *command)
{
	if (args->operand_count < command->least) {
		tool_warn("%s requires operands: %s", command->name, command->operands);
		return -EINVAL;
	}
	if (args->operand_count > command->most) {
		tool_warn("%s: unexpected '%s'", command->name, args->operands[command->most]);
		return -EINVAL;
	}
	return 0;
}

int args_parse(struct args *args, const struct command *command, int argc, char **argv)
{
	struct spec spec;
	int c;

	*args = (struct args){0};
	make_spec(&spec, command);
	optind = 0; /* makes glibc start again */
	while ((c = getopt_long(argc, argv, spec.letters, spec.longs, NULL)) != -1) {
		if (c == ':') {
			tool_warn("%s: '%s' requires an argument", command->name, argv[optind - 1]);
			return -EINVAL;
		}
		if (c == '?' && optopt >= LONG_ONLY) {
			tool_warn("%s: '%s' takes no argument", command->name, argv[optind - 1]);
			return -EINVAL;
		}
		if (c == '?' && optopt != 0) {
			tool_warn("%s: unknown option '-%c'", command->name, optopt);
			return -EINVAL;
		}
		if (c == '?') {
			tool_warn("%s: unknown option '%s'", command->name, argv[optind - 1]);
			return -EINVAL;
		}
		enum args_option option =
			c >= LONG_ONLY ? (enum args_option)(c - LONG_ONLY) : spec.by_letter[c];
		if (args_keep(args, option, optarg) < 0)
			return -EINVAL;
	}
	args->operands = argv + optind;
	args->operand_count = argc - optind;
	return args->value[OPT_HELP] != NULL ? 0 : check_operands(args, command);
}

int args_read_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
	uint64_t number = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
			return -EINVAL;
	}
	if (number < least || number > most)
		return -EINVAL;
	*ret = number;
	return 0;
}

const struct args_unit args_units[ARGS_UNITS] = {
	{"ms", 1}, {"s", SECOND_MS}, {"m", 60 * SECOND_MS}, {"h", HOUR_MS}, {"d", DAY_MS},
};

int args_read_duration(const char *text, int64_t *ret_ms)
{
	size_t digits = strspn(text, "0123456789");
	char number[20];
	uint64_t count;

	if (digits >= sizeof(number))
		return -EINVAL;
	memcpy(number, text, digits);
	number[digits] = '\0';
	if (args_read_number(number, 0, INT64_MAX, &count) < 0)
		return -EINVAL;
	const char *unit = text[digits] != '\0' ? text + digits : "s";
	for (size_t i = 0; i < ARGS_UNITS; i++)
		if (strcmp(unit, args_units[i].name) == 0)
			return __builtin_mul_overflow(count, args_units[i].ms, ret_ms) ? -EINVAL
			                                                               : 0;
	return -EINVAL;
}

int args_duration(const struct args *args, enum args_option option, int64_t *ret_ms)
{
	const char *text = args->value[option];

	if (text == NULL || args_read_duration(text, ret_ms) == 0)
		return 0;
	tool_warn("--%s takes a duration such as 500ms, 10s or 5m, not '%s'",
	          args_options[option].name, text);
	return -EINVAL;
}

int args_number(const struct args *args, enum args_option option, uint64_t least, uint64_t most,
                uint64_t *ret)
{
	const char *text = args->value[option];

	if (text == NULL || args_read_number(text, least, most, ret) == 0)
		return 0;
	tool_warn("--%s takes a number from %" PRIu64 " to %" PRIu64 ", not '%s'",
	          args_options[option].name, least, most, text);
	return -EINVAL;
}

int args_token(const struct args *args, enum args_option option, uint64_t *ret_revision)
{
	const char *text = args->value[option];
	char number[20] = "";

	if (text == NULL)
		return 0;
	size_t digits = strspn(text, "0123456789");
	const char *rest = text + digits;
	bool bare = *rest == '\0';
	bool token =
		*rest == '.' && strlen(rest + 1) == 8 && strspn(rest + 1, "0123456789abcdef") == 8;

	if ((bare || token) && digits < sizeof(number)) {
		memcpy(number, text, digits);
		if (args_read_number(number, 0, INT64_MAX, ret_revision) == 0)
			return 0;
	}
	tool_warn("--%s takes a revision such as 17, or a token such as 17.1f3a9c07, not '%s'",
	          args_options[option].name, text);
	return -EINVAL;
}
