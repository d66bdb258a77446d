/* SPDX-License-Identifier: MIT */
/*
 * Parses and renders a template in one pass. One thread; does no I/O. Invariant: render->out is
 * NULL exactly while a section is skipped, and the depth of sections is bounded, so the recursion
 * is too. A parsed tree would make arrays cheaper, which are parsed once per element, but templates
 * are short and rendered rarely.
 */
#include "tool/template.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 100

enum tag_kind { TAG_NONE, TAG_VALUE, TAG_RAW, TAG_OPEN, TAG_INVERTED, TAG_CLOSE, TAG_COMMENT };

struct tag {
	enum tag_kind kind;
	const char *begin; /* of the tag, or of its line if the line has nothing else */
	const char *end;   /* of the tag, or of that line */
	char name[NAME_MAX_BYTES];
};

struct render {
	const char *source;
	struct text *out; /* NULL: the section is only skipped */
	struct template_error *error;
	const json_t *scope[TEMPLATE_DEPTH_MAX + 1];
	size_t depth;
};

__attribute__((format(printf, 3, 4))) static int template_fail(struct render *render,
                                                               const char *at, const char *format,
                                                               ...)
{
	va_list args;

	render->error->line = 1;
	for (const char *c = render->source; c < at; c++)
		render->error->line += *c == '\n';
	va_start(args, format);
	(void)vsnprintf(render->error->text, sizeof(render->error->text), format, args);
	va_end(args);
	return -EINVAL;
}

/** Extends a tag that is alone on its line to the whole line. */
static void take_line(const struct render *render, struct tag *tag)
{
	const char *begin = tag->begin;
	const char *end = tag->end;

	if (tag->kind == TAG_VALUE || tag->kind == TAG_RAW)
		return;
	while (begin > render->source && (begin[-1] == ' ' || begin[-1] == '\t'))
		begin--;
	while (*end == ' ' || *end == '\t' || *end == '\r')
		end++;
	if ((begin > render->source && begin[-1] != '\n') || (*end != '\n' && *end != '\0'))
		return;
	tag->begin = begin;
	tag->end = *end == '\n' ? end + 1 : end;
}

static int template_read_name(struct render *render, struct tag *tag, const char *from,
                              const char *to)
{
	while (from < to && isspace((unsigned char)*from))
		from++;
	while (to > from && isspace((unsigned char)to[-1]))
		to--;
	size_t len = (size_t)(to - from);
	if (len == 0 || len >= sizeof(tag->name))
		return template_fail(render, from, "a tag requires a name of 1-%d characters",
		                     NAME_MAX_BYTES - 1);
	memcpy(tag->name, from, len);
	tag->name[len] = '\0';
	return 0;
}

/** Finds the next tag at or after @p at; TAG_NONE: there is none. @return 0; -EINVAL */
static int next_tag(struct render *render, const char *at, struct tag *tag)
{
	static const char marks[] = "#^/!";
	static const enum tag_kind kinds[] = {TAG_OPEN, TAG_INVERTED, TAG_CLOSE, TAG_COMMENT};
	const char *open = strstr(at, "{{");

	*tag = (struct tag){.kind = TAG_NONE};
	if (open == NULL)
		return 0;
	bool raw = open[2] == '{';
	const char *from = open + (raw ? 3 : 2);
	const char *close = strstr(from, raw ? "}}}" : "}}");
	if (close == NULL)
		return template_fail(render, open, "'%s' is never closed", raw ? "{{{" : "{{");
	const char *mark = *from != '\0' && !raw ? strchr(marks, *from) : NULL;
	tag->kind = raw ? TAG_RAW : mark != NULL ? kinds[mark - marks] : TAG_VALUE;
	tag->begin = open;
	tag->end = close + (raw ? 3 : 2);
	take_line(render, tag);
	return tag->kind == TAG_COMMENT
	               ? 0
	               : template_read_name(render, tag, from + (mark != NULL), close);
}

static const json_t *template_find(const struct render *render, const char *name)
{
	char copy[NAME_MAX_BYTES];
	const json_t *value = NULL;
	char *rest = copy;
	char *part;

	(void)snprintf(copy, sizeof(copy), "%s", name);
	if (strcmp(name, ".") == 0)
		return render->scope[render->depth];
	part = strsep(&rest, ".");
	for (size_t i = render->depth + 1; i-- > 0 && value == NULL;)
		value = json_object_get(render->scope[i], part);
	/* The rest may be one key: names of metadata may have dots. */
	while (rest != NULL && value != NULL) {
		const json_t *whole = json_object_get(value, rest);

		if (whole != NULL)
			return whole;
		value = json_object_get(value, strsep(&rest, "."));
	}
	return value;
}

static bool is_true(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return true;
	case JSON_ARRAY:
		return json_array_size(value) > 0;
	case JSON_STRING:
		return json_string_length(value) > 0;
	case JSON_INTEGER:
	case JSON_REAL:
		return json_number_value(value) != 0;
	case JSON_TRUE:
		return true;
	case JSON_FALSE:
	case JSON_NULL:
		break;
	}
	return false;
}

static void template_put_safe(struct text *out, const char *text)
{
	for (; *text != '\0'; text++) {
		bool safe = isalnum((unsigned char)*text) || strchr("._:-[]", *text) != NULL;

		text_put_bytes(out, safe ? text : "_", 1);
	}
}

static void template_put_value(struct render *render, const struct tag *tag)
{
	const json_t *value = template_find(render, tag->name);

	if (value == NULL || json_is_null(value))
		return;
	if (json_is_string(value)) {
		if (tag->kind == TAG_RAW)
			text_put(render->out, json_string_value(value));
		else
			template_put_safe(render->out, json_string_value(value));
		return;
	}
	char *dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	if (dump == NULL)
		memory_lacks();
	if (tag->kind == TAG_RAW)
		text_put(render->out, dump);
	else
		template_put_safe(render->out, dump);
	free(dump);
}

static int render_part(struct render *render, const char *at, const struct tag *section,
                       const char **ret_end);

/** Renders the inside of a section once, with @p scope. */
static int render_once(struct render *render, const struct tag *tag, const json_t *scope,
                       struct text *out, const char **ret_end)
{
	struct text *before = render->out;

	if (render->depth == TEMPLATE_DEPTH_MAX)
		return template_fail(render, tag->begin, "sections are nested more than %d deep",
		                     TEMPLATE_DEPTH_MAX);
	render->scope[++render->depth] = scope;
	render->out = out;
	int r = render_part(render, tag->end, tag, ret_end);
	render->out = before;
	render->depth--;
	return r;
}

static int render_section(struct render *render, const struct tag *tag, const char **ret_end)
{
	const json_t *value = template_find(render, tag->name);
	bool holds = value != NULL && is_true(value);
	bool shown = holds == (tag->kind == TAG_OPEN);
	size_t count = 1;

	/* A section that is not printed is parsed too, to find its end. */
	if (!shown || render->out == NULL)
		return render_once(render, tag, NULL, NULL, ret_end);
	if (tag->kind == TAG_OPEN && json_is_array(value))
		count = json_array_size(value);
	for (size_t i = 0; i < count; i++) {
		const json_t *scope = NULL;

		if (holds)
			scope = json_is_array(value) ? json_array_get(value, i) : value;
		int r = render_once(render, tag, scope, render->out, ret_end);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_close(struct render *render, const struct tag *tag, const struct tag *section)
{
	if (section == NULL || strcmp(section->name, tag->name) != 0)
		return template_fail(render, tag->begin,
		                     "'{{/%s}}' does not close the open section", tag->name);
	return 0;
}

/** Renders up to the end of @p section; NULL: of the source. */
static int render_part(struct render *render, const char *at, const struct tag *section,
                       const char **ret_end)
{
	struct tag tag;
	int r;

	while (true) {
		r = next_tag(render, at, &tag);
		if (r < 0)
			return r;
		if (tag.kind == TAG_NONE)
			break;
		if (render->out != NULL)
			text_put_bytes(render->out, at, (size_t)(tag.begin - at));
		at = tag.end;
		if (tag.kind == TAG_CLOSE) {
			*ret_end = at;
			return check_close(render, &tag, section);
		}
		if (tag.kind == TAG_OPEN || tag.kind == TAG_INVERTED)
			r = render_section(render, &tag, &at);
		else if (tag.kind != TAG_COMMENT && render->out != NULL)
			template_put_value(render, &tag);
		if (r < 0)
			return r;
	}
	if (section != NULL)
		return template_fail(render, section->begin, "'{{#%s}}' is never closed",
		                     section->name);
	if (render->out != NULL)
		text_put(render->out, at);
	return 0;
}

int template_render(const char *source, const json_t *data, struct text *out,
                    struct template_error *error)
{
	struct render render = {.source = source, .out = out, .error = error, .scope = {data}};
	const char *end;

	return render_part(&render, source, NULL, &end);
}
