/* SPDX-License-Identifier: MIT */
/** Many heartbeats in one request. */
#include "v1/batch_json.h"
#include "v1/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VISIT_ENTRIES 512 /* so many in one visit, then others get the processor */

/** An instance whose lease had run out: a command of the batch. */
struct batch_command {
	struct command command;
	struct batch_work *work;
	struct batch_command *next;
	char names[]; /* service, then id */
};

/** One request's work. */
struct batch_work {
	struct magic magic;
	struct parked parked;
	struct api_request *request;
	struct batch_command *commands; /* owned */
	_Atomic unsigned left;          /* commands that are not done, and 1 for the handler */
	unsigned renewed;
	unsigned missing;
	struct buf list; /* of those that are missing */
};
MAGIC(batch_work, 0xba7c4);

static void work_free(struct batch_work *work)
{
	CHECK_MAGIC(work, batch_work);
	while (work->commands != NULL) {
		struct batch_command *done = work->commands;

		work->commands = done->next;
		free(done);
	}
	buf_fini(&work->list);
	free(work);
}

static void add_missing(struct batch_work *work, struct str service, struct str id)
{
	buf_put(&work->list, work->missing++ > 0 ? ",{\"service\":" : "{\"service\":");
	buf_put_json(&work->list, service);
	buf_put(&work->list, ",\"id\":");
	buf_put_json(&work->list, id);
	buf_put_char(&work->list, '}');
}

static void one_done(struct command *command)
{
	struct batch_command *done = container_of(command, struct batch_command, command);
	struct batch_work *work = done->work;

	CHECK_MAGIC(work, batch_work);
	if (atomic_fetch_sub(&work->left, 1) == 1)
		work->request->wake(work->request);
}

static int add_command(struct batch_work *work, const struct batch_entry *entry)
{
	size_t len = entry->service.len;
	struct batch_command *added = malloc(sizeof(*added) + len + entry->id.len);

	if (added == NULL)
		return -ENOMEM;
	memset(added, 0, sizeof(*added));
	memcpy(added->names, entry->service.data, len);
	memcpy(added->names + len, entry->id.data, entry->id.len);
	added->work = work;
	added->command.kind = COMMAND_HEARTBEAT;
	added->command.instance.service = (struct str){added->names, len};
	added->command.instance.id = (struct str){added->names + len, entry->id.len};
	added->command.author = STR("instance");
	added->command.peer = peer_address(work->request->peer);
	added->command.done = one_done;
	added->next = work->commands;
	work->commands = added;
	return 0;
}

/** Renews up to VISIT_ENTRIES. @return 1: more may follow; 0: that was all; -ENOMEM; -EAGAIN: none
 * may be acknowledged */
static int renew_some(struct call *call, struct batch_work *work, struct batch *batch)
{
	struct v1 *v1 = v1_of(call);
	const struct service *service = NULL;
	struct batch_entry entry;
	int r = 1;

	const struct snapshot *now = snapshot_enter(v1->store);
	call_seen(call, now);
	for (int i = 0; i < VISIT_ENTRIES && r > 0; i++) {
		r = batch_next(batch, &entry);
		if (r <= 0)
			break;
		if (service == NULL || !str_equal(service->name, entry.service))
			service = snapshot_service(now, entry.service);
		const struct member *member = service ? service_member(service, entry.id) : NULL;
		if (member == NULL) {
			add_missing(work, entry.service, entry.id);
			continue;
		}
		if (registry_renew(v1->registry, member) < 0) {
			r = -EAGAIN;
			break;
		}
		if (member->value.lease_out)
			r = add_command(work, &entry) < 0 ? -ENOMEM : 1;
		else
			work->renewed++;
	}
	snapshot_leave(v1->store);
	return r;
}

/** Nothing is renewed before all of the body is known to be right. */
static bool is_sound(struct call *call)
{
	struct batch_entry entry;
	struct batch batch;
	int r;

	if (!call_no_query(call) || !call_body_is_json(call))
		return false;
	batch_init(&batch, call->request->body);
	do
		r = batch_next(&batch, &entry);
	while (r > 0);
	if (r == -EBADMSG) {
		problem(call->response, PROBLEM_MALFORMED_JSON, "at byte %zu: %s", batch.pos,
		        batch.what);
	} else if (r == -EINVAL) {
		struct field_errors errors;

		field_errors_init(&errors);
		if (batch.inside)
			field_error(&errors, STR("instances"), "entry %u: %s", batch.count,
			            batch.what);
		else
			field_error(&errors, STR("instances"), "%s", batch.what);
		problem_fields(call->response, &errors);
		field_errors_fini(&errors);
	}
	return r == 0;
}

/** Counts what the commands have come to. @return the first error that is not one of an entry */
static int batch_settle(struct batch_work *work)
{
	int error = 0;

	for (struct batch_command *done = work->commands; done != NULL; done = done->next) {
		const struct command *command = &done->command;

		if (command->error == 0)
			work->renewed++;
		else if (command->error == -ENOENT)
			add_missing(work, command->instance.service, command->instance.id);
		else if (error == 0)
			error = command->error;
	}
	return error;
}

static void batch_answer(struct call *call, struct batch_work *work)
{
	struct buf *out = &call->response->body;

	int r = batch_settle(work);
	if (r == 0)
		r = buf_error(&work->list);
	if (r < 0) {
		problem_errno(call->response, r);
		return;
	}
	buf_put(out, "{\"renewed\":");
	buf_put_u64(out, work->renewed);
	buf_put(out, ",\"not_registered\":[");
	buf_put_str(out, (struct str){work->list.data, work->list.len});
	buf_put(out, "]}");
	(void)call_answer(call, 200, TYPE_JSON);
}

static struct batch_work *work_of(struct parked *parked)
{
	return container_of(parked, struct batch_work, parked);
}

static void batch_free(struct parked *parked)
{
	work_free(work_of(parked));
}

static enum api_result batch_done(struct call *call, struct parked *parked)
{
	batch_answer(call, work_of(parked));
	parked_free(parked);
	return API_DONE;
}

/** Sends the commands and parks, unless they are all done by then. */
static enum api_result submit_all(struct call *call, struct batch_work *work)
{
	static const struct parked_kind kind = {.free = batch_free};

	if (!parked_init(&work->parked, call, &kind, batch_done)) {
		work_free(work);
		return API_DONE;
	}
	for (struct batch_command *each = work->commands; each != NULL; each = each->next) {
		atomic_fetch_add(&work->left, 1);
		int r = registry_submit(v1_of(call)->registry, &each->command);
		if (r < 0) {
			each->command.error = r;
			atomic_fetch_sub(&work->left, 1);
		}
	}
	call->response->revision = 0; /* a newer one will be told */
	if (atomic_fetch_sub(&work->left, 1) > 1)
		return call_suspend(call, &work->parked, 0);
	return batch_done(call, &work->parked);
}

enum api_result heartbeats_post(struct call *call)
{
	struct batch batch;
	int r;

	if (!is_sound(call))
		return API_DONE;
	struct batch_work *work = calloc(1, sizeof(*work));
	if (work == NULL) {
		problem_errno(call->response, -ENOMEM);
		return API_DONE;
	}
	work->magic = MAGIC_INIT(batch_work);
	work->request = call->request;
	atomic_init(&work->left, 1);
	buf_init(&work->list, (size_t)2 * V1_BATCH_BODY_MAX);

	batch_init(&batch, call->request->body);
	do
		r = renew_some(call, work, &batch);
	while (r > 0);
	if (r == 0 && work->commands != NULL)
		return submit_all(call, work);
	if (r < 0)
		problem_errno(call->response, r);
	else
		batch_answer(call, work);
	work_free(work);
	return API_DONE;
}
