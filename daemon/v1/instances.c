/* SPDX-License-Identifier: MIT */
/*
 * The routes of one instance: register, renew, read, deregister, and an operator's status change.
 * Http thread; status_change_wake() runs on the thread that settles the last watcher.
 *
 * Invariant: a change is answered only after the writer has completed its command. A PUT of an
 * equal record only renews the lease (instance_renew()): as a command it would wait for the writer,
 * like a change, although clients repeat it as their heartbeat.
 */
#include "base/clock.h"
#include "base/random.h"
#include "model/valid.h"
#include "v1/change.h"
#include "v1/instance_json.h"
#include "v1/past_request.h"
#include "v1/text.h"
#include "watch/receipt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RANDOM_DIGITS 8

/* A registration while it is parked. */
struct registration {
	struct change change;
	char memory[]; /* the generated id of a POST, then the strings of the record */
};

#define GENERATED_ID_MAX (INSTANCE_ID_MAX + RANDOM_DIGITS)

/* Puts the instance in the form of member_put_json_live(): the registration was a heartbeat,
 * too. */
static void registration_put(struct buf *out, const struct instance *instance)
{
	instance_put_json_open(out, instance);
	buf_put(out, ",\"last_heartbeat\":");
	buf_put_time(out, clock_real_ms());
	buf_put(out, ",\"heartbeat_age_ms\":0");
	instance_put_json_close(out, instance);
}

/* "/v1/services/web/instances/a%2Fb", owned by the caller; NULL when out of memory. */
static char *registration_location(const struct instance *instance)
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

		registration_put(&call->response->body, &command->instance);
		if (created && call->request->method == API_POST)
			call->response->location = registration_location(&command->instance);
		(void)call_answer(call, created ? 201 : 200, TYPE_JSON);
	}
	parked_free(parked);
	return API_DONE;
}

/* Can the path's id be registered? Yes if the path has none (POST). @return false: refused */
static bool registration_id_is_valid(struct call *call)
{
	if (path_id(call).len == 0 || valid_path_id(path_id(call)))
		return true;
	problem(call->response, PROBLEM_INVALID_ID,
	        "an instance id must not be '.' or '..': clients and proxies that normalise paths "
	        "cannot reach it");
	return false;
}

/* Reads the body as a record of the path's service and id. @return NULL: refused */
static struct registration *registration_read(struct call *call)
{
	struct v1 *v1 = v1_of(call);
	struct str body = call->request->body;
	struct registration *registration;
	struct field_errors errors;

	if (!call_no_query(call) || !call_path_is_valid(call) || !registration_id_is_valid(call) ||
	    !call_body_is_json(call))
		return NULL;
	registration = (struct registration *)change_new(
		call, sizeof(*registration) + GENERATED_ID_MAX + body.len, COMMAND_REGISTER,
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
	int r = instance_from_json(body, registration->memory + GENERATED_ID_MAX, instance,
	                           &errors);
	if (r < 0) {
		call_refuse_body(call, r, &errors);
		change_free(&registration->change);
		registration = NULL;
	}
	field_errors_fini(&errors);
	return registration;
}

/* Renews the lease and renders the answer, if the record is unchanged and the lease has not
 * expired.
 * @return 1; 0: a command is needed; -EAGAIN: the heartbeat must not be acknowledged now */
static int instance_renew(struct call *call, const struct instance *record)
{
	struct v1 *v1 = v1_of(call);
	int r = 0;

	const struct snapshot *now = snapshot_enter(v1->store);
	const struct member *member = path_member(call, now);
	if (member != NULL && !member->value.lease_out &&
	    instance_same_record(&member->value, record)) {
		r = registry_renew(v1->registry, member) < 0 ? -EAGAIN : 1;
		call_set_revision(call, now);
	}
	if (r > 0)
		member_put_json_live(&call->response->body, member, clock_real_ms());
	snapshot_leave(v1->store);
	return r;
}

enum api_result instance_put(struct call *call)
{
	struct registration *registration = registration_read(call);

	if (registration == NULL)
		return API_DONE;
	struct change *change = &registration->change;
	if (!call_conditions(call, &change->command)) {
		change_free(change);
		return API_DONE;
	}
	/* only the writer can check a condition */
	int r = change->command.must_exist ? 0 : instance_renew(call, &change->command.instance);
	if (r == 0)
		return change_submit(call, change);
	change_free(change);
	if (r > 0)
		return call_answer(call, 200, TYPE_JSON);
	call_refuse(call, r);
	return API_DONE;
}

/* Generates an id from host, port and a random number at @p out. */
static struct str registration_generate_id(const struct instance *instance, char *out)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t random = random_u64();
	struct buf text;

	buf_init(&text, HOST_MAX + 16);
	instance_put_address(&text, instance);
	size_t len = text.len;
	/* A host name may be nearly as long as an id: cut it, not the random digits. */
	if (len > INSTANCE_ID_MAX - RANDOM_DIGITS - 1)
		len = INSTANCE_ID_MAX - RANDOM_DIGITS - 1;
	if (len > 0)
		memcpy(out, text.data, len);
	buf_fini(&text);
	out[len++] = ':';
	for (int i = 0; i < RANDOM_DIGITS; i++, random >>= 4)
		out[len++] = digits[random & 15];
	return (struct str){out, len};
}

static bool instance_is_registered(struct call *call, struct str id)
{
	const struct snapshot *now = snapshot_enter(v1_of(call)->store);
	const struct service *service = snapshot_service(now, path_service(call));
	bool taken = service != NULL && service_member(service, id) != NULL;

	snapshot_leave(v1_of(call)->store);
	return taken;
}

enum api_result instances_post(struct call *call)
{
	struct registration *registration = registration_read(call);

	if (registration == NULL)
		return API_DONE;
	struct instance *instance = &registration->change.command.instance;
	do {
		instance->id = registration_generate_id(instance, registration->memory);
	} while (instance_is_registered(call, instance->id));
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

/* A read of a past state of the instance, while it is parked. */
struct past_instance {
	struct past_request base;
	bool text;
};

static enum api_result instance_put_past(struct call *call, struct past_request *past,
                                         const struct snapshot *then)
{
	bool text = container_of(past, struct past_instance, base)->text;
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

static enum api_result instance_get_past(struct call *call, const struct moment *moment, bool text)
{
	struct past_instance *past;

	past = (struct past_instance *)past_request_new_state(call, sizeof(*past), moment,
	                                                      instance_put_past);
	if (past == NULL)
		return API_DONE;
	past->text = text;
	past->base.query.at.id = path_id(call);
	return past_request_submit(call, &past->base);
}

enum api_result instance_get(struct call *call)
{
	struct buf *body = &call->response->body;
	struct moment moment;
	bool text;

	if (!call_query(call, instance_rules, ARRAY_LEN(instance_rules)) ||
	    !call_wants_text(call, query_get(&call->query, INSTANCE_FORMAT), &text) ||
	    !past_request_read_at(call, INSTANCE_AT, &moment))
		return API_DONE;
	if (moment.is_given)
		return instance_get_past(call, &moment, text);
	const struct snapshot *now = snapshot_enter(v1_of(call)->store);
	const struct service *service = snapshot_service(now, path_service(call));
	const struct member *member = service ? service_member(service, path_id(call)) : NULL;
	call_set_revision(call, now);
	if (member != NULL && text)
		instance_put_row(body, member);
	else if (member != NULL)
		member_put_json_live(body, member, clock_real_ms());
	if (member != NULL)
		call_add_held_header(call, service);
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
	    !instance_is_registered(call, path_id(call)))
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

/* An operator's status change while it is parked: until the writer has made it, and then until the
 * watchers have been sent it. */
struct status_change {
	struct change change;
	struct watch_receipt *receipt; /* owned; NULL: do not wait for watchers */
	int64_t wait_ms;
	bool has_waited;
	char memory[]; /* the reason */
};

static struct status_change *status_change_of(struct parked *parked)
{
	return container_of(change_of(parked), struct status_change, change);
}

static void status_change_free(struct parked *parked)
{
	struct status_change *status = status_change_of(parked);

	watch_receipt_free(status->receipt);
	change_free(&status->change);
}

static bool status_change_cancel(struct parked *parked)
{
	return watch_receipt_cancel(status_change_of(parked)->receipt);
}

static void status_change_wake(void *arg)
{
	struct status_change *status = arg;
	struct api_request *request = status->change.parked.request;

	request->wake(request);
}

/* After the command: starts the wait for the watchers of the service, once.
 * @return must the request be parked? */
static bool status_change_await(struct call *call, struct status_change *status)
{
	if (status->receipt == NULL || status->change.command.error < 0 || status->has_waited)
		return false;
	status->has_waited = true;
	call->request->park_until_ms = clock_ms_after(status->wait_ms);
	return watch_receipt_await(status->receipt, status_change_wake, status);
}

/* Adds the counts to the JSON object in @p out. */
static void status_change_put_receipt(struct buf *out, struct watch_receipt *receipt)
{
	unsigned sent;
	unsigned open;

	watch_receipt_count(receipt, &sent, &open);
	buf_reopen_object(out);
	buf_printf(out, ",\"watchers_told\":%u,\"watchers_untold\":%u}", sent, open);
}

/* Answers with the instance after the change, or with 204 if the id is not registered. */
static enum api_result status_change_done(struct call *call, struct parked *parked)
{
	struct status_change *status = status_change_of(parked);
	int error = status->change.command.error;

	if (status_change_await(call, status))
		return call_suspend(call, parked, 0);
	const struct snapshot *now = snapshot_enter(v1_of(call)->store);
	const struct member *member = path_member(call, now);
	call_set_revision(call, now);
	bool is_absent = error == 0 && member == NULL; /* only the intent changed */
	if (error == 0 && !is_absent)
		member_put_json_live(&call->response->body, member, clock_real_ms());
	if (error == 0 && !is_absent && status->receipt != NULL)
		status_change_put_receipt(&call->response->body, status->receipt);
	snapshot_leave(v1_of(call)->store);
	parked_free(parked);

	if (error == 0)
		return is_absent ? call_answer(call, 204, NULL) : call_answer(call, 200, TYPE_JSON);
	call_refuse(call, error);
	return API_DONE;
}

/* Reads the body into the command. @return false: refused */
static bool status_change_read(struct call *call, struct status_change *status)
{
	struct command *command = &status->change.command;
	struct field_errors errors;
	struct intent intent;

	field_errors_init(&errors);
	int r = intent_from_json(call->request->body, status->memory, &intent, &errors);
	if (r < 0)
		call_refuse_body(call, r, &errors);
	field_errors_fini(&errors);
	if (r < 0 || !call_conditions(call, command))
		return false;
	command->reason = intent.reason;
	command->drained = intent.drained;
	command->for_ms = intent.for_ms;
	status->wait_ms = intent.wait_ms;
	if (intent.wait_ms == 0)
		return true;
	status->receipt = command->receipt =
		watch_receipt_new(registry_watch(v1_of(call)->registry));
	if (status->receipt == NULL)
		problem_errno(call->response, -ENOMEM);
	return status->receipt != NULL;
}

enum api_result status_put(struct call *call)
{
	static const struct parked_kind kind = {.free = status_change_free,
	                                        .cancel = status_change_cancel};
	struct status_change *status;

	if (!call_no_query(call) || !call_path_is_valid(call) || !call_body_is_json(call))
		return API_DONE;
	status = (struct status_change *)change_new_kind(
		call, sizeof(*status) + call->request->body.len + 1, COMMAND_STATUS,
		status_change_done, &kind);
	if (status == NULL)
		return API_DONE;
	if (!status_change_read(call, status)) {
		parked_free(&status->change.parked);
		return API_DONE;
	}
	return change_submit(call, &status->change);
}
