/* SPDX-License-Identifier: MIT */
/*
 * POST /v1/heartbeats: many heartbeats in one request. Http thread, but for
 * batch_work_command_done(), which runs on the writer thread.
 *
 * Invariant: no lease is renewed before the whole body has been found valid, so a refused request
 * has changed nothing. Leases are renewed here; only instances whose lease has expired need a
 * command. A command for each entry would put up to 10,000 commands into the writer's queue.
 */
#include "v1/batch_json.h"
#include "v1/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VISIT_ENTRIES 512 /* most entries in one visit: a long visit keeps old snapshots alive */

/* The command for an instance whose lease has expired. */
struct batch_command {
	struct command command;
	struct batch_work *work;
	struct batch_command *next;
	char names[]; /* service, then id */
};

/* The state of one request. */
struct batch_work {
	struct magic magic;
	struct parked parked;
	struct api_request *request;
	struct batch_command *commands; /* owned */
	_Atomic unsigned left;          /* commands that are not done, and 1 for the handler */
	unsigned renewed;
	unsigned missing; /* entries that are not registered */
	struct buf list;  /* the missing entries as JSON */
};
MAGIC(batch_work, 0xba7c4);

static void batch_work_free(struct batch_work *work)
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

static void batch_work_add_missing(struct batch_work *work, struct str service, struct str id)
{
	buf_put(&work->list, work->missing++ > 0 ? ",{\"service\":" : "{\"service\":");
	buf_put_json(&work->list, service);
	buf_put(&work->list, ",\"id\":");
	buf_put_json(&work->list, id);
	buf_put_char(&work->list, '}');
}

static void batch_work_command_done(struct command *command)
{
	struct batch_command *done = container_of(command, struct batch_command, command);
	struct batch_work *work = done->work;

	CHECK_MAGIC(work, batch_work);
	if (atomic_fetch_sub(&work->left, 1) == 1)
		work->request->wake(work->request);
}

static int batch_work_add_command(struct batch_work *work, const struct batch_entry *entry)
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
	added->command.done = batch_work_command_done;
	added->next = work->commands;
	work->commands = added;
	return 0;
}

/* Renews up to VISIT_ENTRIES leases. @return 1: more entries may follow; 0: that was all; -ENOMEM;
 * -EAGAIN: no heartbeat may be acknowledged now */
static int batch_work_renew(struct call *call, struct batch_work *work, struct batch *batch)
{
	struct v1 *v1 = v1_of(call);
	const struct service *service = NULL;
	struct batch_entry entry;
	int r = 1;

	const struct snapshot *now = snapshot_enter(v1->store);
	call_set_revision(call, now);
	for (int i = 0; i < VISIT_ENTRIES && r > 0; i++) {
		r = batch_next(batch, &entry);
		if (r <= 0)
			break;
		if (service == NULL || !str_equal(service->name, entry.service))
			service = snapshot_service(now, entry.service);
		const struct member *member = service ? service_member(service, entry.id) : NULL;
		if (member == NULL) {
			batch_work_add_missing(work, entry.service, entry.id);
			continue;
		}
		if (registry_renew(v1->registry, member) < 0) {
			r = -EAGAIN;
			break;
		}
		if (member->value.lease_out)
			r = batch_work_add_command(work, &entry) < 0 ? -ENOMEM : 1;
		else
			work->renewed++;
	}
	snapshot_leave(v1->store);
	return r;
}

/* Validates the whole body. @return false: refused */
static bool batch_body_is_valid(struct call *call)
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

/* Adds up the results of the commands. @return the first error other than -ENOENT; or 0 */
static int batch_work_settle(struct batch_work *work)
{
	int error = 0;

	for (struct batch_command *done = work->commands; done != NULL; done = done->next) {
		const struct command *command = &done->command;

		if (command->error == 0)
			work->renewed++;
		else if (command->error == -ENOENT)
			batch_work_add_missing(work, command->instance.service,
			                       command->instance.id);
		else if (error == 0)
			error = command->error;
	}
	return error;
}

static void batch_work_answer(struct call *call, struct batch_work *work)
{
	struct buf *out = &call->response->body;

	int r = batch_work_settle(work);
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

static struct batch_work *batch_work_of(struct parked *parked)
{
	return container_of(parked, struct batch_work, parked);
}

static void batch_work_free_parked(struct parked *parked)
{
	batch_work_free(batch_work_of(parked));
}

static enum api_result batch_work_done(struct call *call, struct parked *parked)
{
	batch_work_answer(call, batch_work_of(parked));
	parked_free(parked);
	return API_DONE;
}

/* Submits the commands and parks the request, unless all commands are done by then. */
static enum api_result batch_work_submit(struct call *call, struct batch_work *work)
{
	static const struct parked_kind kind = {.free = batch_work_free_parked};

	if (!parked_init(&work->parked, call, &kind, batch_work_done)) {
		batch_work_free(work);
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
	call->response->revision = 0; /* unset: api/ sets the latest one */
	if (atomic_fetch_sub(&work->left, 1) > 1)
		return call_suspend(call, &work->parked, 0);
	return batch_work_done(call, &work->parked);
}

enum api_result heartbeats_post(struct call *call)
{
	struct batch batch;
	int r;

	if (!batch_body_is_valid(call))
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
		r = batch_work_renew(call, work, &batch);
	while (r > 0);
	if (r == 0 && work->commands != NULL)
		return batch_work_submit(call, work);
	if (r < 0)
		problem_errno(call->response, r);
	else
		batch_work_answer(call, work);
	batch_work_free(work);
	return API_DONE;
}
