/* SPDX-License-Identifier: MIT */
#include "model/event.h"

#include <errno.h>

#define KIND_NAME(name, number, text, ...) [EVENT_##name] = (text),
static const char *const kind_names[EVENT_KIND_COUNT] = {EVENT_KINDS(KIND_NAME)};

const char *event_kind_name(enum event_kind kind)
{
	return kind >= EVENT_REGISTERED && kind < EVENT_KIND_COUNT ? kind_names[kind] : "unknown";
}

int event_kind_parse(struct str text, enum event_kind *ret_kind)
{
	for (int i = EVENT_REGISTERED; i < EVENT_KIND_COUNT; i++) {
		if (str_equal(text, str_of(kind_names[i]))) {
			*ret_kind = (enum event_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

#define STAYS                                            false
#define GONE                                             true
#define KIND_REMOVES(name, number, text, after, ...)     [EVENT_##name] = (after),
#define KIND_SUBJECT(name, number, text, after, subject) [EVENT_##name] = SUBJECT_##subject,
static const bool kind_removes[EVENT_KIND_COUNT] = {EVENT_KINDS(KIND_REMOVES)};
static const enum event_subject kind_subjects[EVENT_KIND_COUNT] = {EVENT_KINDS(KIND_SUBJECT)};

bool event_removes(enum event_kind kind)
{
	return kind_removes[kind];
}

enum event_subject event_subject(enum event_kind kind)
{
	return kind_subjects[kind];
}

struct str event_service(const struct event *event)
{
	return event_subject(event->kind) == SUBJECT_ENTRY ? event->entry.service
	                                                   : event->instance.service;
}

struct str event_instance_id(const struct event *event)
{
	return event_subject(event->kind) == SUBJECT_ENTRY ? entry_instance_id(&event->entry)
	                                                   : event->instance.id;
}

uint64_t event_incarnation(const struct event *event)
{
	return event_subject(event->kind) == SUBJECT_ENTRY ? event->entry.incarnation
	                                                   : event->instance.incarnation;
}

#define PUT_NONE(member, name)
#define PUT_TEXT(member, name)                  \
	do {                                    \
		buf_put(out, ",\"" name "\":"); \
		buf_put_json(out, member);      \
	} while (0);
#define PUT_OPTIONAL(member, name) \
	if ((member).len > 0)      \
	PUT_TEXT(member, name)
#define PUT_TIME(member, name)                  \
	do {                                    \
		buf_put(out, ",\"" name "\":"); \
		buf_put_time(out, member);      \
	} while (0);
/* The kind, then the subject's service and id. */
#define PUT_KIND(member, name)                         \
	do {                                           \
		buf_put(out, ",\"" name "\":\"");      \
		buf_put(out, event_kind_name(member)); \
		event_put_subject(out, event);         \
	} while (0);
#define PUT_FIELD(type, member, place, since, part, json, name) PUT_##json(event->member, name)

static void event_put_subject(struct buf *out, const struct event *event)
{
	struct str id = event_instance_id(event);

	buf_put(out, "\",\"service\":");
	buf_put_json(out, event_service(event));
	if (id.len == 0 && event_subject(event->kind) == SUBJECT_ENTRY)
		return;
	buf_put(out, ",\"id\":");
	buf_put_json(out, id);
}

void event_put_json(struct buf *out, const struct event *event)
{
	buf_put(out, "{\"revision\":");
	buf_put_u64(out, event->revision);
	EVENT_FIELDS(PUT_FIELD)
	if (event_subject(event->kind) == SUBJECT_ENTRY) {
		buf_put(out, ",\"entry\":");
		entry_put_json(out, &event->entry);
	} else {
		buf_put(out, ",\"instance\":");
		instance_put_json_open(out, &event->instance);
		instance_put_json_close(out, &event->instance);
	}
	buf_put_char(out, '}');
}
