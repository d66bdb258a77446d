/* SPDX-License-Identifier: MIT */
/*
 * Completes command lines, for the scripts in completion/. One thread. It reads the words before
 * the last one as the command would, as far as completion needs it, and then offers commands,
 * options, values or names from the registry. It must accept lines that are not complete yet, so it
 * cannot use args_parse(), which refuses them.
 */
#include "tool/complete.h"

#include "tool/api.h"
#include "tool/commands.h"
#include "tool/setup.h"
#include "tool/terminal.h"

#include <stdio.h>
#include <string.h>

#define ASK_MS 500

static void offer(const char *candidate, const char *text, const char *prefix)
{
	if (strncmp(candidate, prefix, strlen(prefix)) == 0)
		(void)printf("%s\t%s\n", candidate, text);
}

static void offer_words(const char *const *words, const char *prefix)
{
	for (; *words != NULL; words++)
		offer(*words, "", prefix);
}

static void offer_commands(const char *prefix)
{
	for (size_t i = 0; i < command_count; i++)
		offer(commands[i].name, commands[i].summary, prefix);
	offer("help", "explain a command", prefix);
	offer("--help", "list the commands", prefix);
	offer("--version", "print the version", prefix);
}

static void offer_options(const struct command *command, const char *prefix)
{
	for (int i = 0; i < OPT_COUNT_OF; i++) {
		struct text name = {NULL, 0, 0};

		if (!args_takes(command, (enum args_option)i))
			continue;
		text_printf(&name, "--%s", args_options[i].name);
		offer(name.data, args_options[i].text, prefix);
		text_free(&name);
	}
}

static void offer_one(const char *candidate, const char *about)
{
	struct text line = {NULL, 0, 0};

	terminal_put(&line, candidate);
	text_put(&line, "\t");
	terminal_put(&line, about);
	(void)puts(line.data);
	text_free(&line);
}

/** Offers the names in a listing of the registry. A registry that does not answer is not reported:
 * the message would stand in the command line. */
static void offer_listed(const struct args *args, const char *path, const char *list,
                         const char *name, const char *about)
{
	struct http_request request = {.path = path, .timeout_ms = ASK_MS};
	struct http_answer answer;
	struct tool tool;
	const json_t *one;
	size_t i;

	if (tool_set_up(&tool, args) < 0)
		return;
	if (http_send(tool.http, &request, &answer) == 0) {
		json_array_foreach(json_object_get(answer.json, list), i, one)
		{
			offer_one(api_text(one, name), about != NULL ? api_text(one, about) : "");
		}
		http_answer_free(&answer);
	}
	http_close(tool.http);
}

static void offer_services(const struct args *args, const char *prefix)
{
	struct text path = {NULL, 0, 0};

	text_put(&path, "/v1/services");
	if (*prefix != '\0')
		api_query(&path, "prefix", prefix);
	offer_listed(args, path.data, "services", "service", NULL);
	text_free(&path);
}

/** Offers all ids; the shell selects those that begin with the typed text. */
static void offer_instances(const struct args *args, const char *service)
{
	struct text path = api_path(service, NULL, "?status=any");

	offer_listed(args, path.data, "instances", "id", "address");
	text_free(&path);
}

/** The same for the ids that operators drain. */
static void offer_intents(const struct args *args, const char *service)
{
	struct text path = api_path(service, NULL, "/intents");

	offer_listed(args, path.data, "intents", "id", "reason");
	text_free(&path);
}

static void offer_values(enum args_option option, const char *prefix)
{
	static const char *const whens[] = {"auto", "always", "never", NULL};
	static const char *const statuses[] = {"any", "healthy", "unhealthy", "draining", NULL};
	static const char *const strategies[] = {"round_robin",     "weighted_round_robin",
	                                         "consistent_hash", "random",
	                                         "least_loaded",    NULL};
	static const char *const templates[] = {"nginx", "haproxy", NULL};

	if (option == OPT_OUTPUT)
		offer_words(tool_formats, prefix);
	else if (option == OPT_COLOR)
		offer_words(whens, prefix);
	else if (option == OPT_STATUS)
		offer_words(statuses, prefix);
	else if (option == OPT_REPORT)
		offer_words(statuses + 1, prefix); /* a report cannot be "any" */
	else if (option == OPT_STRATEGY)
		offer_words(strategies, prefix);
	else if (option == OPT_KIND)
		offer_words(event_kinds, prefix);
	else if (option == OPT_TEMPLATE)
		offer_words(templates, prefix);
}

/** @return the option that @p word is, if its value is the next word; else OPT_COUNT_OF */
static enum args_option waiting(const struct command *command, const char *word)
{
	size_t len = strlen(word);

	for (int i = 0; i < OPT_COUNT_OF; i++) {
		const struct option_info *info = &args_options[i];
		bool is_letter = word[0] == '-' && len == 2 && word[1] == info->letter;
		bool is_name = strncmp(word, "--", 2) == 0 && strcmp(word + 2, info->name) == 0;

		if (args_takes(command, (enum args_option)i) && info->arg != NULL &&
		    (is_letter || is_name))
			return (enum args_option)i;
	}
	return OPT_COUNT_OF;
}

struct line {
	struct args args; /* the options for requests to the registry */
	const char *service;
	int operands;             /* before the word to complete */
	enum args_option waiting; /* the option whose value the word to complete is */
};

static void read_line(const struct command *command, int count, char **words, struct line *line)
{
	*line = (struct line){.waiting = OPT_COUNT_OF};
	for (int i = 2; i < count - 1; i++) {
		enum args_option option = waiting(command, words[i]);

		if (option != OPT_COUNT_OF && i + 1 == count - 1) {
			line->waiting = option;
		} else if (option != OPT_COUNT_OF) {
			line->args.value[option] = words[++i];
		} else if (words[i][0] != '-') {
			line->service = line->operands++ == 0 ? words[i] : line->service;
		}
	}
}

static void offer_operand(const struct command *command, const struct line *line,
                          const char *prefix)
{
	static const char *const shells[] = {"bash", "zsh", "fish", NULL};

	if (command->run == completion_run)
		offer_words(shells, prefix);
	else if (strncmp(command->operands, "SERVICE", 7) != 0)
		return;
	else if (line->operands == 0 || strcmp(command->operands, "SERVICE...") == 0)
		offer_services(&line->args, prefix);
	else if (command->run == resume_run)
		offer_intents(&line->args, line->service);
	else if (strstr(command->operands, "ID") != NULL)
		offer_instances(&line->args, line->service);
}

int complete(int count, char **words)
{
	const char *prefix = count > 0 ? words[count - 1] : "";
	const struct command *command = count > 2 ? command_find(words[1]) : NULL;
	struct line line;

	if (count == 2 || (count == 3 && strcmp(words[1], "help") == 0)) {
		offer_commands(prefix);
		return EXIT_OK;
	}
	if (command == NULL)
		return EXIT_OK;
	read_line(command, count, words, &line);
	if (line.waiting == OPT_SERVICE)
		offer_services(&line.args, prefix);
	else if (line.waiting != OPT_COUNT_OF)
		offer_values(line.waiting, prefix);
	else if (*prefix == '-')
		offer_options(command, prefix);
	else
		offer_operand(command, &line, prefix);
	return EXIT_OK;
}
