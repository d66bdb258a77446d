/* SPDX-License-Identifier: MIT */
/* POST .../heartbeat: one heartbeat. A heartbeat that changes no status is a store into the lease,
 * without a command and without the disk. */
#include "v1/change.h"
#include "v1/instance_json.h"

#include <errno.h>
#include <inttypes.h>

static enum api_result heartbeat_answer(struct call *call, const struct instance *value)
{
	struct buf *out = &call->response->body;

	buf_put(out, "{\"status\":\"");
	buf_put(out, status_name(value->status));
	buf_put(out, "\",\"ttl_ms\":");
	buf_put_i64(out, value->ttl_ms);
	buf_put(out, ",\"revision\":");
	buf_put_u64(out, value->revision);
	buf_put_char(out, '}');
	return call_answer(call, 200, TYPE_JSON);
}

/* Answers with the instance after the command. */
static enum api_result heartbeat_done(struct call *call, struct parked *parked)
{
	int error = change_of(parked)->command.error;

	parked_free(parked);
	const struct snapshot *now = snapshot_enter(v1_of(call)->store);
	const struct member *member = path_member(call, now);
	call_set_revision(call, now);
	if (error == 0 && member != NULL)
		(void)heartbeat_answer(call, &member->value);
	snapshot_leave(v1_of(call)->store);

	if (error < 0 || member == NULL) /* NULL: deregistered after the command */
		call_refuse(call, error < 0 ? error : -ENOENT);
	return API_DONE;
}

/* Submits a command for the change of the status; the lease is renewed already. */
static enum api_result heartbeat_command(struct call *call, const struct heartbeat *heartbeat,
                                         uint64_t incarnation)
{
	struct change *change =
		change_new(call, sizeof(*change), COMMAND_HEARTBEAT, heartbeat_done);

	if (change == NULL)
		return API_DONE;
	change->command.instance.wants_drain = heartbeat->wants_drain;
	change->command.instance.reports_unhealthy = heartbeat->reports_unhealthy;
	change->command.set_status = heartbeat->set_status;
	change->command.incarnation_is = incarnation;
	return change_submit(call, change);
}

/* Does the heartbeat change nothing but the lease? */
static bool heartbeat_only_renews(const struct instance *value, const struct heartbeat *heartbeat)
{
	return !value->lease_out && (!heartbeat->set_status ||
	                             (heartbeat->wants_drain == value->wants_drain &&
	                              heartbeat->reports_unhealthy == value->reports_unhealthy));
}

static bool heartbeat_read_body(struct call *call, struct heartbeat *heartbeat)
{
	struct field_errors errors;

	if (!call_body_is_json(call))
		return false;
	field_errors_init(&errors);
	int r = heartbeat_from_json(call->request->body, heartbeat, &errors);
	if (r < 0)
		call_refuse_body(call, r, &errors);
	field_errors_fini(&errors);
	return r == 0;
}

enum { HEARTBEAT_INCARNATION = PARAM_PRETTY + 1 };
static const struct query_rule heartbeat_rules[] = {
	[PARAM_PRETTY] = QUERY_PRETTY,
	[HEARTBEAT_INCARNATION] = {"incarnation", 0},
};

enum api_result heartbeat_post(struct call *call)
{
	struct v1 *v1 = v1_of(call);
	struct heartbeat heartbeat = {0};
	uint64_t incarnation = 0; /* any */
	struct instance value;
	bool only_renews = false;
	int r = 0;

	if (!call_query(call, heartbeat_rules, ARRAY_LEN(heartbeat_rules)) ||
	    !call_number(call, heartbeat_rules, HEARTBEAT_INCARNATION, 1, INT64_MAX, &incarnation))
		return API_DONE;
	if (call->request->body.len > 0 && !heartbeat_read_body(call, &heartbeat))
		return API_DONE;

	const struct snapshot *now = snapshot_enter(v1->store);
	const struct member *member = path_member(call, now);
	call_set_revision(call, now);
	if (member != NULL && incarnation != 0 && member->value.incarnation != incarnation) {
		problem(call->response, PROBLEM_ANOTHER_INCARNATION,
		        "the instance is in its incarnation %" PRIu64 " now, not %" PRIu64,
		        member->value.incarnation, incarnation);
		snapshot_leave(v1->store);
		return API_DONE;
	}
	if (member != NULL) {
		if (heartbeat.set_load)
			atomic_store_explicit(&member->lease->load_ppm, heartbeat.load_ppm,
			                      memory_order_relaxed);
		r = registry_renew(v1->registry, member);
		value = member->value;
		only_renews = heartbeat_only_renews(&value, &heartbeat);
	}
	snapshot_leave(v1->store);

	if (r < 0) {
		call_refuse(call, r);
		return API_DONE;
	}
	if (only_renews)
		return heartbeat_answer(call, &value);
	if (member != NULL)
		return heartbeat_command(call, &heartbeat, incarnation);
	if (call_path_is_valid(call))
		call_refuse(call, -ENOENT);
	return API_DONE;
}
