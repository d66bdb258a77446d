/* SPDX-License-Identifier: MIT */
#include "model/entry.h"

#include "model/fields.h"
#include "model/valid.h"

#include <errno.h>

enum about { OF_SERVICE, OF_INSTANCE };

#define KIND_NAME(name, number, text, ...)    [ENTRY_##name] = (text),
#define KIND_ABOUT(name, number, text, about) [ENTRY_##name] = (about),
static const char *const kind_names[ENTRY_KIND_COUNT] = {ENTRY_KINDS(KIND_NAME)};
static const enum about kind_about[ENTRY_KIND_COUNT] = {ENTRY_KINDS(KIND_ABOUT)};

static bool entry_kind_is_known(enum entry_kind kind)
{
	return kind > 0 && kind < ENTRY_KIND_COUNT;
}

const char *entry_kind_name(enum entry_kind kind)
{
	return entry_kind_is_known(kind) ? kind_names[kind] : "unknown";
}

int entry_kind_parse(struct str text, enum entry_kind *ret_kind)
{
	for (int i = 1; i < ENTRY_KIND_COUNT; i++) {
		if (str_equal(text, str_of(kind_names[i]))) {
			*ret_kind = (enum entry_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

struct str entry_instance_id(const struct entry *entry)
{
	return entry_kind_is_known(entry->kind) && kind_about[entry->kind] == OF_INSTANCE
	               ? entry->name
	               : (struct str){NULL, 0};
}

bool entry_is_valid(const struct entry *entry)
{
	struct str document = entry->document;

	return entry_kind_is_known(entry->kind) && valid_service_name(entry->service) &&
	       valid_instance_id(entry->name) && entry->author.len <= STATUS_BY_MAX &&
	       document.len >= 2 && document.data[0] == '{' &&
	       document.data[document.len - 1] == '}' && valid_text(document, ENTRY_DOCUMENT_MAX);
}

int entry_compare(const struct entry *a, const struct entry *b)
{
	int order = str_compare(a->service, b->service);

	if (order == 0)
		order = (a->kind > b->kind) - (a->kind < b->kind);
	return order != 0 ? order : str_compare(a->name, b->name);
}

#define PUT_FIRST(member, name)                \
	buf_put(out, "{\"" name "\":\"");      \
	buf_put(out, entry_kind_name(member)); \
	buf_put_char(out, '"');
#define PUT_TEXT(member, name)          \
	buf_put(out, ",\"" name "\":"); \
	buf_put_json(out, member);
#define PUT_DOCUMENT(member, name)      \
	buf_put(out, ",\"" name "\":"); \
	buf_put_str(out, member);
#define PUT_NUMBER(member, name)        \
	buf_put(out, ",\"" name "\":"); \
	buf_put_u64(out, member);
#define PUT_TIME(member, name)          \
	buf_put(out, ",\"" name "\":"); \
	buf_put_time(out, member);
#define PUT_FIELD(type, member, place, since, part, json, name) PUT_##json(entry->member, name)

void entry_put_json(struct buf *out, const struct entry *entry)
{
	ENTRY_FIELDS(PUT_FIELD)
	buf_put_char(out, '}');
}
