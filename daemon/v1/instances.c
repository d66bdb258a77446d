/* SPDX-License-Identifier: MIT */
/** One instance: register or renew it, show it, remove it, and what an operator intends for it. */
#include "base/clock.h"
#include "base/random.h"
#include "model/valid.h"
#include "v1/change.h"
#include "v1/instance_json.h"
#include "v1/text.h"
#include "v1/travel.h"
#include "watch/receipt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RANDOM_DIGITS 8

/** A registration while it is parked. */
struct registration {
	struct change change;
	char memory[]; /* an id that is made here, then the strings of the record */
};

#define MADE_ID_MAX (INSTANCE_ID_MAX + RANDOM_DIGITS)

/** The instance as registered, which was a heartbeat too; as member_put_json_live() has it. */
static void put_registered(struct buf *out, const struct instance *instance)
{
	instance_put_json_open(out, instance);
	buf_put(out, ",\"last_heartbeat\":");
	buf_put_time(out, clock_real_ms());
	buf_put(out, ",\"heartbeat_age_ms\":0");
	instance_put_json_close(out, instance);
}

/** "/v1/services/web/instances/a%2Fb", owned by the caller; NULL when out of memory. */
static char *location_of(const struct instance *instance)
{
	struct buf out;
	size_t len;

	buf_init(&out, 64 + SERVICE_NAME_MAX + (size_t)3 * INSTANCE_ID_MAX);
	buf_put(&out, "/v1/services/");
	buf_put_str(&out, instance->service);
	buf_put(&out, "/instances/");
	for (size_t i = 0; i < instance->id.len; i++) {
		char c = instance->id.data[i];

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    (c != '\0' && strchr("-._~:", c) != NULL))
			buf_put_char(&out, c);
		else
			buf_printf(&out, "%%%02X", (unsigned)(unsigned char)c);
	}
	buf_put_char(&out, '\0');
	char *location = buf_take(&out, &len);
	buf_fini(&out);
	return location;
}

static enum api_result register_done(struct call *call, struct parked *parked)
{
	struct command *command = &change_of(parked)->command;

	if (command->error < 0) {
		call_refuse(call, command->error);
	} else {
		bool created = command->outcome == OUTCOME_CREATED;

		put_registered(&call->response->body, &command->instance);
		if (created && call->request->method == API_POST)
			call->response->location = location_of(&command->instance);
		(void)call_answer(call, created ? 201 : 200, TYPE_JSON);
	}
	parked_free(parked);
	return API_DONE;
}

/** The id that is to be registered, if the path names one. */
static bool id_is_registrable(struct call *call)
{
	if (path_id(call).len == 0 || valid_path_id(path_id(call)))
		return true;
	problem(call->response, PROBLEM_INVALID_ID,
	        "an instance id must not be '.' or '..': clients and proxies that normalise paths "
	        "cannot reach it");
	return false;
}

/** Reads the body as a record of the path's service and id. @return NULL when refused */
static struct registration *read_record(struct call *call)
{
	struct v1 *v1 = v1_of(call);
	struct str body = call->request->body;
	struct registration *registration;
	struct field_errors errors;

	if (!call_no_query(call) || !call_path_is_valid(call) || !id_is_registrable(call) ||
	    !call_body_is_json(call))
		return NULL;
	registration = (struct registration *)change_new(
		call, sizeof(*registration) + MADE_ID_MAX + body.len, COMMAND_REGISTER,
		register_done);
	if (registration == NULL)
		return NULL;

	struct instance *instance = &registration->change.command.instance;
	instance->host = peer_host(call->request->peer);
	instance->weight = WEIGHT_DEFAULT;
	instance->ttl_ms = atomic_load_explicit(&v1->default_ttl_ms, memory_order_relaxed);
	instance->remove_after_ms =
		atomic_load_explicit(&v1->default_remove_after_ms, memory_order_relaxed);
	field_errors_init(&errors);
	int r = instance_from_json(body, registration->memory + MADE_ID_MAX, instance, &errors);
	if (r < 0) {
		call_refuse_body(call, r, &errors);
		change_free(&registration->change);
		registration = NULL;
	}
	field_errors_fini(&errors);
	return registration;
}

/** The same record again, of an instance whose lease has not run out: renewed, and answered.
 * @return 0: it is another record; 1; -EAGAIN: it must not be acknowledged */
static int instance_renew(struct call *call, const struct instance *record)
{
	struct v1 *v1 = v1_of(call);
	int r = 0;

	const struct snapshot *now = snapshot_enter(v1->store);
	const struct member *member = path_member(call, now);
	if (member != NULL && !member->value.lease_out &&
	    instance_same_record(&member->value, record)) {
		r = registry_renew(v1->registry, member) < 0 ? -EAGAIN : 1;
		call_seen(call, now);
	}
	if (r > 0)
		member_put_json_live(&call->response->body, member, clock_real_ms());
	snapshot_leave(v1->store);
	return r;
}

enum api_result instance_put(struct call *call)
{
	struct registration *registration = read_record(call);

	if (registration == NULL)
		return API_DONE;
	struct change *change = &registration->change;
	if (!call_conditions(call, &change->command)) {
		change_free(change);
		return API_DONE;
	}
	/* a condition is the writer's to judge */
	int r = change->command.must_exist ? 0 : instance_renew(call, &change->command.instance);
	if (r == 0)
		return change_submit(call, change);
	change_free(change);
	if (r > 0)
		return call_answer(call, 200, TYPE_JSON);
	call_refuse(call, r);
	return API_DONE;
}

/** Makes an id of host, port and chance at @p out. */
static struct str make_id(const struct instance *instance, char *out)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t chance = random_u64();
	struct buf text;

	buf_init(&text, HOST_MAX + 16);
	instance_put_address(&text, instance);
	size_t len = text.len;
	/* A host name may be nearly as long as an id; the end, which tells them apart, stays. */
	if (len > INSTANCE_ID_MAX - RANDOM_DIGITS - 1)
		len = INSTANCE_ID_MAX - RANDOM_DIGITS - 1;
	if (len > 0)
		memcpy(out, text.data, len);
	buf_fini(&text);
	out[len++] = ':';
	for (int i = 0; i < RANDOM_DIGITS; i++, chance >>= 4)
		out[len++] = digits[chance & 15];
	return (struct str){out, len};
}

static bool is_taken(struct call *call, struct str id)
{
	const struct snapshot *now = snapshot_enter(v1_of(call)->store);
	const struct service *service = snapshot_service(now, path_service(call));
	bool taken = service != NULL && service_member(service, id) != NULL;

	snapshot_leave(v1_of(call)->store);
	return taken;
}

enum api_result instances_post(struct call *call)
{
	struct registration *registration = read_record(call);

	if (registration == NULL)
		return API_DONE;
	struct instance *instance = &registration->change.command.instance;
	do {
		instance->id = make_id(instance, registration->memory);
	} while (is_taken(call, instance->id));
	return change_submit(call, &registration->change);
}

enum { INSTANCE_FORMAT = PARAM_PRETTY + 1, INSTANCE_AT };
static const struct query_rule instance_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,
	[INSTANCE_FORMAT] = {"format", 0},
	[INSTANCE_AT] = {"at", 0},
};

static void instance_put_row(struct buf *body, const struct member *member)
{
	struct buf rows;

	buf_init(&rows, body->most);
	text_put_heading(&rows);
	text_put_member(&rows, member);
	text_finish(body, &rows);
}

/** A read of what the instance was. */
struct instance_travel {
	struct travel travel;
	bool text;
};

static enum api_result instance_put_past(struct call *call, struct travel *travel,
                                         const struct snapshot *then)
{
	bool text = container_of(travel, struct instance_travel, travel)->text;
	const struct member *member = path_member(call, then);
	struct buf *body = &call->response->body;

	if (member == NULL) {
		if (call_path_is_valid(call))
			problem_errno(call->response, -ENOENT);
		return API_DONE;
	}
	if (call_etag(call, snapshot_revision(then), text))
		return API_DONE;
	if (text)
		instance_put_row(body, member);
	else
		member_put_json(body, member);
	return call_answer(call, 200, text ? TYPE_TEXT : TYPE_JSON);
}

static enum api_result get_past(struct call *call, const struct moment *moment, bool text)
{
	struct instance_travel *past;

	past = (struct instance_travel *)travel_to(call, sizeof(*past), moment, instance_put_past);
	if (past == NULL)
		return API_DONE;
	past->text = text;
	past->travel.query.at.id = path_id(call);
	return travel_submit(call, &past->travel);
}

enum api_result instance_get(struct call *call)
{
	struct buf *body = &call->response->body;
	struct moment moment;
	bool text;

	if (!call_query(call, instance_rules, ARRAY_LEN(instance_rules)) ||
	    !call_wants_text(call, query_get(&call->query, INSTANCE_FORMAT), &text) ||
	    !travel_read_at(call, INSTANCE_AT, &moment))
		return API_DONE;
	if (moment.is_given)
		return get_past(call, &moment, text);
	const struct snapshot *now = snapshot_enter(v1_of(call)->store);
	const struct service *service = snapshot_service(now, path_service(call));
	const struct member *member = service ? service_member(service, path_id(call)) : NULL;
	call_seen(call, now);
	if (member != NULL && text)
		instance_put_row(body, member);
	else if (member != NULL)
		member_put_json_live(body, member, clock_real_ms());
	if (member != NULL)
		call_tell_held(call, service);
	snapshot_leave(v1_of(call)->store);

	if (member != NULL)
		return call_answer(call, 200, text ? TYPE_TEXT : TYPE_JSON);
	if (call_path_is_valid(call))
		call_refuse(call, -ENOENT);
	return API_DONE;
}

static enum api_result deregister_done(struct call *call, struct parked *parked)
{
	int error = change_of(parked)->command.error;

	parked_free(parked);
	if (error < 0 && error != -ENOENT)
		call_refuse(call, error);
	else
		(void)call_answer(call, 204, NULL);
	return API_DONE;
}

enum api_result instance_delete(struct call *call)
{
	struct change *change;

	if (!call_no_query(call) || !call_path_is_valid(call))
		return API_DONE;
	if (api_header(call->request, STR("if-match")).data == NULL &&
	    !is_taken(call, path_id(call)))
		return call_answer(call, 204, NULL);
	change = change_new(call, sizeof(*change), COMMAND_DEREGISTER, deregister_done);
	if (change == NULL)
		return API_DONE;
	if (!call_conditions(call, &change->command)) {
		change_free(change);
		return API_DONE;
	}
	return change_submit(call, change);
}

/** What an operator intends, while it is parked: until it is made, then until watchers have been
 * sent it. */
struct intention {
	struct change change;
	struct watch_receipt *receipt; /* owned; NULL: no watcher is waited for */
	int64_t wait_ms;
	bool has_waited;
	char memory[]; /* the reason */
};

static struct intention *intention_of(struct parked *parked)
{
	return container_of(change_of(parked), struct intention, change);
}

static void intention_free(struct parked *parked)
{
	struct intention *intention = intention_of(parked);

	watch_receipt_free(intention->receipt);
	change_free(&intention->change);
}

static bool intention_cancel(struct parked *parked)
{
	return watch_receipt_cancel(intention_of(parked)->receipt);
}

static void intention_wake(void *arg)
{
	struct intention *intention = arg;
	struct api_request *request = intention->change.parked.request;

	request->wake(request);
}

/** The change is made: must it wait until those who watch the service have been sent it? */
static bool wait_for_watchers(struct call *call, struct intention *intention)
{
	if (intention->receipt == NULL || intention->change.command.error < 0 ||
	    intention->has_waited)
		return false;
	intention->has_waited = true;
	call->request->park_until_ms = clock_ms_after(intention->wait_ms);
	return watch_receipt_await(intention->receipt, intention_wake, intention);
}

/** Into the object that the answer is. */
static void put_receipt(struct buf *out, struct watch_receipt *receipt)
{
	unsigned sent;
	unsigned open;

	watch_receipt_count(receipt, &sent, &open);
	buf_reopen_object(out);
	buf_printf(out, ",\"watchers_told\":%u,\"watchers_untold\":%u}", sent, open);
}

/** After an operator's change: the instance as it stands now, if it is registered. */
static enum api_result intention_done(struct call *call, struct parked *parked)
{
	struct intention *intention = intention_of(parked);
	int error = intention->change.command.error;

	if (wait_for_watchers(call, intention))
		return call_suspend(call, parked, 0);
	const struct snapshot *now = snapshot_enter(v1_of(call)->store);
	const struct member *member = path_member(call, now);
	call_seen(call, now);
	bool is_absent = error == 0 && member == NULL; /* only the intent changed */
	if (error == 0 && !is_absent)
		member_put_json_live(&call->response->body, member, clock_real_ms());
	if (error == 0 && !is_absent && intention->receipt != NULL)
		put_receipt(&call->response->body, intention->receipt);
	snapshot_leave(v1_of(call)->store);
	parked_free(parked);

	if (error == 0)
		return is_absent ? call_answer(call, 204, NULL) : call_answer(call, 200, TYPE_JSON);
	call_refuse(call, error);
	return API_DONE;
}

/** Reads the body into the command. @return false when refused */
static bool read_intention(struct call *call, struct intention *intention)
{
	struct command *command = &intention->change.command;
	struct field_errors errors;
	struct intent intent;

	field_errors_init(&errors);
	int r = intent_from_json(call->request->body, intention->memory, &intent, &errors);
	if (r < 0)
		call_refuse_body(call, r, &errors);
	field_errors_fini(&errors);
	if (r < 0 || !call_conditions(call, command))
		return false;
	command->reason = intent.reason;
	command->drained = intent.drained;
	command->for_ms = intent.for_ms;
	intention->wait_ms = intent.wait_ms;
	if (intent.wait_ms == 0)
		return true;
	intention->receipt = command->receipt =
		watch_receipt_new(registry_watch(v1_of(call)->registry));
	if (intention->receipt == NULL)
		problem_errno(call->response, -ENOMEM);
	return intention->receipt != NULL;
}

enum api_result status_put(struct call *call)
{
	static const struct parked_kind kind = {.free = intention_free, .cancel = intention_cancel};
	struct intention *intention;

	if (!call_no_query(call) || !call_path_is_valid(call) || !call_body_is_json(call))
		return API_DONE;
	intention = (struct intention *)change_new_kind(
		call, sizeof(*intention) + call->request->body.len + 1, COMMAND_STATUS,
		intention_done, &kind);
	if (intention == NULL)
		return API_DONE;
	if (!read_intention(call, intention)) {
		parked_free(&intention->change.parked);
		return API_DONE;
	}
	return change_submit(call, &intention->change);
}
