/* SPDX-License-Identifier: MIT */
#include "balance/internal.h"

static bool is_excluded(const struct pick *pick, struct str id)
{
	for (size_t i = 0; i < pick->exclude_count; i++) {
		if (str_equal(pick->exclude[i], id))
			return true;
	}
	return false;
}

/* Why the instance was left out; NULL: it was a candidate. */
static const char *why_left_out(const struct pick *pick, const struct instance *instance,
                                bool others_have_weight)
{
	if (instance->status != STATUS_HEALTHY)
		return status_name(instance->status);
	if (!meta_filter_matches(&pick->filter, instance))
		return "filter";
	if (is_excluded(pick, instance->id))
		return "excluded";
	if (pick->strategy == STRATEGY_WEIGHTED_ROUND_ROBIN && instance->weight == 0 &&
	    others_have_weight)
		return "weight 0";
	return NULL;
}

static bool any_has_weight(const struct service *service, const struct pick *pick)
{
	for (uint32_t i = 0; i < service->count; i++) {
		const struct instance *instance = &service->members[i]->value;

		if (instance->weight > 0 && why_left_out(pick, instance, false) == NULL)
			return true;
	}
	return false;
}

static void put_trace(struct buf *out, const struct pick_trace *trace)
{
	if (trace->has_cursor) {
		buf_put(out, ",\"cursor\":");
		buf_put_u64(out, trace->cursor);
	}
	if (trace->has_place)
		buf_printf(out, ",\"hash\":\"%016llx%016llx\"",
		           (unsigned long long)trace->place_high,
		           (unsigned long long)trace->place_low);
}

void balance_explain(struct buf *out, const struct service *service, const struct pick *pick,
                     const struct pick_trace *trace)
{
	bool others_have_weight = any_has_weight(service, pick);
	const char *comma = "";

	buf_printf(out, "{\"strategy\":\"%s\",\"revision\":", strategy_name(pick->strategy));
	buf_put_u64(out, service->revision);
	put_trace(out, trace);
	buf_put(out, ",\"candidates\":[");
	for (uint32_t i = 0; i < service->count; i++) {
		const struct instance *instance = &service->members[i]->value;

		if (why_left_out(pick, instance, others_have_weight) != NULL)
			continue;
		buf_put(out, comma);
		buf_put_json(out, instance->id);
		comma = ",";
	}
	buf_put(out, "],\"left_out\":[");
	comma = "";
	for (uint32_t i = 0; i < service->count; i++) {
		const struct instance *instance = &service->members[i]->value;
		const char *why = why_left_out(pick, instance, others_have_weight);

		if (why == NULL)
			continue;
		buf_put(out, comma);
		buf_put(out, "{\"id\":");
		buf_put_json(out, instance->id);
		buf_printf(out, ",\"why\":\"%s\"}", why);
		comma = ",";
	}
	buf_put(out, "]}");
}
