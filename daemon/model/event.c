/* SPDX-License-Identifier: MIT */
#include "model/event.h"

#include <errno.h>

static const char *const kind_names[EVENT_KIND_COUNT] = {
	[EVENT_REGISTERED] = "registered",     [EVENT_UPDATED] = "updated",
	[EVENT_DEREGISTERED] = "deregistered", [EVENT_EXPIRED] = "expired",
	[EVENT_RECOVERED] = "recovered",       [EVENT_DRAINED] = "drained",
	[EVENT_RESUMED] = "resumed",           [EVENT_REMOVED] = "removed",
};

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

bool event_removes(enum event_kind kind)
{
	return kind == EVENT_DEREGISTERED || kind == EVENT_REMOVED;
}

void event_put_json(struct buf *out, const struct event *event)
{
	buf_put(out, "{\"revision\":");
	buf_put_u64(out, event->revision);
	buf_put(out, ",\"time\":");
	buf_put_time(out, event->time_ms);
	buf_put(out, ",\"kind\":\"");
	buf_put(out, event_kind_name(event->kind));
	buf_put(out, "\",\"service\":");
	buf_put_json(out, event->instance.service);
	buf_put(out, ",\"id\":");
	buf_put_json(out, event->instance.id);
	buf_put(out, ",\"author\":");
	buf_put_json(out, event->author);
	if (event->agent.len > 0) {
		buf_put(out, ",\"agent\":");
		buf_put_json(out, event->agent);
	}
	if (event->reason.len > 0) {
		buf_put(out, ",\"reason\":");
		buf_put_json(out, event->reason);
	}
	buf_put(out, ",\"instance\":");
	instance_put_json_open(out, &event->instance);
	instance_put_json_close(out, &event->instance);
	buf_put_char(out, '}');
}
