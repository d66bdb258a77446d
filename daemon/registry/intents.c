/* SPDX-License-Identifier: MIT */
/*
 * Operators' intents: one entry (ENTRY_INTENT) for each service and id that an operator drains,
 * whether the id is registered or not. Writer thread only.
 *
 * Invariant: a registered instance is `drained` exactly while its intent exists. Lookups and picks
 * read the instance's fields and need no entry, so each batch that changes one of the two changes
 * the other as well.
 *
 * Intents of absent ids have no lease, so no timer of the sweeper ends them. Their ends are
 * compared with the journal's time, which a wrong system clock does not move. The writer stores
 * only the earliest end and scans all entries then: a timer for each intent would have to be
 * maintained across restarts and foreign batches.
 */
#include "base/check.h"
#include "base/clock.h"
#include "model/intent.h"
#include "model/valid.h"
#include "registry/internal.h"

#include <errno.h>
#include <stdlib.h>

/* --- the entry --------------------------------------------------------------- */

static const struct entry *intent_find(const struct batch *batch, const struct instance *named)
{
	return snapshot_draft_entry(batch->draft, ENTRY_INTENT, named->service, named->id);
}

/* The content of an EVENT_ENTRY_PUT. @param before  the entry that it replaces, or NULL */
static struct entry intent_entry(const struct instance *named, const struct entry *before,
                                 const struct buf *document)
{
	return (struct entry){
		.kind = ENTRY_INTENT,
		.service = named->service,
		.name = named->id,
		.document = {document->data, document->len},
		.incarnation = before != NULL ? before->incarnation : 0,
	};
}

static int intent_put(struct batch *batch, struct batch_entry *entry, const struct instance *named,
                      const struct drain_intent *intent)
{
	struct buf document;

	buf_init(&document, ENTRY_DOCUMENT_MAX);
	drain_intent_put(&document, intent);
	int r = buf_error(&document);
	if (r == 0) {
		struct entry content = intent_entry(named, intent_find(batch, named), &document);

		r = decide_entry_event(batch, entry, EVENT_ENTRY_PUT, &content);
	}
	buf_fini(&document);
	return r;
}

/* --- the copy in the instance ---------------------------------------------------- */

static void intent_copy_to(struct instance *instance, const struct drain_intent *intent,
                           int64_t now_real_ms)
{
	instance->drained = true;
	instance->drained_until_ms = intent->until_ms;
	instance->status = instance_status(instance);
	instance->status_reason = intent->reason.len > 0 ? intent->reason : STR(DRAIN_REASON);
	instance->status_by = intent->by;
	instance->status_since_ms = now_real_ms;
}

/* Derives an intent from an instance that was drained without one, by a version without entries or
 * by a foreign batch. */
static void intent_copy_from(const struct instance *instance, struct drain_intent *ret_intent)
{
	bool is_operators = str_begins(instance->status_by, STR("operator:")) &&
	                    valid_text(instance->status_by, STATUS_BY_MAX);

	*ret_intent = (struct drain_intent){
		.by = is_operators ? instance->status_by : STR("operator"),
		.since_ms = instance->status_since_ms,
		.until_ms = instance->drained_until_ms,
	};
	if (is_operators && valid_text(instance->status_reason, REASON_MAX) &&
	    !str_equal(instance->status_reason, STR(DRAIN_REASON)))
		ret_intent->reason = instance->status_reason;
}

bool intent_apply(const struct batch *batch, struct instance *instance, struct drain_intent *memory)
{
	const struct entry *entry = intent_find(batch, instance);

	instance->drained = false;
	instance->drained_until_ms = 0;
	if (entry == NULL)
		return false;
	drain_intent_of(entry, memory);
	intent_copy_to(instance, memory, batch->now_real_ms);
	return true;
}

int intent_begin_absence(struct batch *batch, struct batch_entry *entry,
                         const struct instance *gone)
{
	const struct entry *before = intent_find(batch, gone);
	struct drain_intent intent;

	if (before != NULL)
		drain_intent_of(before, &intent);
	else if (gone->drained)
		intent_copy_from(gone, &intent);
	else
		return 0;
	intent.absent_since_ms = batch->now_journal_ms;
	return decide_also(batch, intent_put(batch, entry, gone, &intent));
}

int intent_end(struct batch *batch, struct batch_entry *entry, const struct instance *named)
{
	const struct entry *before = intent_find(batch, named);

	return before != NULL ? decide_entry_event(batch, entry, EVENT_ENTRY_REMOVED, before) : 0;
}

/* --- an operator's command ----------------------------------------------------------- */

static int intent_drain(struct batch *batch, struct batch_entry *entry, const struct member *member)
{
	const struct command *command = entry->command;
	const struct instance *named = &command->instance;
	const struct entry *before = intent_find(batch, named);
	struct drain_intent old;
	struct drain_intent intent = {
		.reason = command->reason,
		.by = command->author,
		.since_ms = batch->now_real_ms,
		.until_ms = command->for_ms > 0 ? batch->now_real_ms + command->for_ms : 0,
	};

	if (before != NULL) {
		drain_intent_of(before, &old);
		if (member == NULL)
			intent.absent_since_ms = old.absent_since_ms;
		if (intent.until_ms == 0 && old.until_ms == 0 &&
		    (member == NULL || member->value.drained) &&
		    str_equal(intent.reason, old.reason))
			return 0; /* a repetition */
	}
	/* Intents count towards bytes_max, but a drain is accepted beyond it: an operator must be
	 * able to take an instance out of a full registry. Registrations are refused instead. */
	int r = intent_put(batch, entry, named, &intent);
	if (r < 0)
		return r;
	entry->outcome = OUTCOME_CHANGED;
	if (member == NULL)
		return 0;

	struct instance next = member->value;
	intent_copy_to(&next, &intent, batch->now_real_ms);
	return decide_also(batch,
	                   decide_event(batch, entry, EVENT_DRAINED, &next, tenure_of(member)));
}

static int intent_resume(struct batch *batch, struct batch_entry *entry,
                         const struct member *member)
{
	const struct command *command = entry->command;
	const struct instance *named = &command->instance;
	bool is_drained = member != NULL && member->value.drained;

	if (intent_find(batch, named) == NULL && !is_drained)
		return 0;
	int r = intent_end(batch, entry, named);
	if (r < 0)
		return r;
	entry->outcome = OUTCOME_CHANGED;
	if (!is_drained)
		return 0;

	struct instance next = member->value;
	next.drained = false;
	next.drained_until_ms = 0;
	set_status(&next, command->reason.len > 0 ? command->reason : STR("resumed by an operator"),
	           command->author, batch->now_real_ms);
	return decide_also(batch,
	                   decide_event(batch, entry, EVENT_RESUMED, &next, tenure_of(member)));
}

int decide_status(struct batch *batch, struct batch_entry *entry, const struct member *member)
{
	if (member == NULL && intent_find(batch, &entry->command->instance) == NULL)
		return -ENOENT;
	entry->member = member;
	entry->outcome = OUTCOME_RENEWED;
	return entry->command->drained ? intent_drain(batch, entry, member)
	                               : intent_resume(batch, entry, member);
}

/* --- the registry's own commands -------------------------------------------------------- */

int decide_tend(const struct registry *registry, struct batch *batch, struct batch_entry *entry,
                const struct member *member)
{
	const struct instance *named = &entry->command->instance;
	const struct entry *before = intent_find(batch, named);
	struct drain_intent intent;

	if (before == NULL && member != NULL && member->value.drained) {
		intent_copy_from(&member->value, &intent);
		return intent_put(batch, entry, named, &intent);
	}
	if (before == NULL || member != NULL)
		return 0;
	drain_intent_of(before, &intent);
	if (drain_intent_end(&intent, registry->options.intent_ttl_ms) > batch->now_journal_ms)
		return 0;
	return intent_end(batch, entry, named);
}

#define TENDERS       64   /* COMMAND_TENDs that are submitted at the same time */
#define SCAN_ENTRIES  1024 /* entries that one pass of the writer examines */
#define SCAN_PAUSE_MS 1000 /* between two scans */

struct tender {
	struct command command;
	bool is_busy;                                   /* until the command is done */
	char names[SERVICE_NAME_MAX + INSTANCE_ID_MAX]; /* the command's service, then its id */
};

/* An instance that is drained without an intent. */
struct orphan {
	struct orphan *next;
	struct str service;
	struct str id;
	char names[]; /* service, then id */
};

/* intents_open() fills it; after that writer thread only. */
struct intents {
	struct tender tenders[TENDERS];
	int64_t pause_until_ms; /* clock_ms() before which no scan starts */
	int64_t next_end_ms;    /* journal's time before which no intent of an absent id ends */
	int64_t scan_end_ms;    /* earliest end that the current scan has found so far */
	uint64_t scan_pos;      /* position of the current scan; 0: no scan is running */
	struct orphan *orphans; /* owned; each still needs a COMMAND_TEND */
};

static void tender_done(struct command *command)
{
	container_of(command, struct tender, command)->is_busy = false;
}

/* Submits a COMMAND_TEND. @return false: no tender is free, or the queue is full */
static bool tender_submit(struct registry *registry, struct str service, struct str id,
                          struct str reason)
{
	struct tender *tender = registry->intents->tenders;

	for (size_t i = 1; i < TENDERS && tender->is_busy; i++)
		tender++;
	if (tender->is_busy)
		return false;
	memcpy(tender->names, service.data, service.len);
	memcpy(tender->names + service.len, id.data, id.len);
	tender->is_busy = true;
	tender->command = (struct command){
		.kind = COMMAND_TEND,
		.instance = {.service = {tender->names, service.len},
	                     .id = {tender->names + service.len, id.len}},
		.author = STR("sweeper"),
		.reason = reason,
		.done = tender_done,
	};
	if (registry_submit(registry, &tender->command) < 0)
		tender->is_busy = false;
	return tender->is_busy;
}

static void orphans_submit(struct registry *registry)
{
	struct intents *intents = registry->intents;

	while (intents->orphans != NULL) {
		struct orphan *orphan = intents->orphans;

		if (!tender_submit(registry, orphan->service, orphan->id, STR("")))
			return;
		intents->orphans = orphan->next;
		free(orphan);
	}
}

static bool intents_is_registered(const struct snapshot *now, const struct entry *entry)
{
	const struct service *service = snapshot_service(now, entry->service);

	return service != NULL && service_member(service, entry->name) != NULL;
}

/* Submits a COMMAND_TEND if the intent has ended. @return false: it could not be submitted now */
static bool intents_scan_entry(struct registry *registry, const struct snapshot *now,
                               const struct entry *entry, int64_t now_ms)
{
	struct intents *intents = registry->intents;
	struct drain_intent intent;

	if (entry->kind != ENTRY_INTENT || !entry_is_valid(entry) ||
	    intents_is_registered(now, entry))
		return true;
	drain_intent_of(entry, &intent);
	int64_t end = drain_intent_end(&intent, registry->options.intent_ttl_ms);
	/* Count the ends of ended intents too: if a removal fails, the next scan finds it. */
	if (end < intents->scan_end_ms)
		intents->scan_end_ms = end;
	return end > now_ms ||
	       tender_submit(registry, entry->service, entry->name,
	                     end == intent.until_ms
	                             ? STR("the drain's time is over")
	                             : STR("its instance has been gone for too long"));
}

/* Examines the next SCAN_ENTRIES entries. Inside a visit of @p now. */
static void intents_scan_step(struct registry *registry, const struct snapshot *now, int64_t now_ms)
{
	struct intents *intents = registry->intents;
	uint64_t pos = intents->scan_pos;

	for (int i = 0; i < SCAN_ENTRIES; i++) {
		const struct entry *entry = snapshot_entries_next(now, &pos);

		if (entry == NULL) {
			intents->scan_pos = 0;
			intents->next_end_ms = intents->scan_end_ms;
			intents->pause_until_ms = clock_ms() + SCAN_PAUSE_MS;
			return;
		}
		if (!intents_scan_entry(registry, now, entry, now_ms))
			return; /* the pass that completes the commands continues the scan */
		intents->scan_pos = pos;
	}
	registry_wake(registry);
}

void intents_pass(struct registry *registry)
{
	struct intents *intents = registry->intents;

	if (registry_has_failed(registry))
		return;
	orphans_submit(registry);
	if (intents->scan_pos == 0 && clock_ms() < intents->pause_until_ms)
		return;
	int64_t now_ms = journal_now_ms(registry->journal, clock_real_ms());
	if (intents->scan_pos == 0 && now_ms < intents->next_end_ms)
		return;
	if (intents->scan_pos == 0)
		intents->scan_end_ms = INT64_MAX;
	intents_scan_step(registry, snapshot_enter(registry->store), now_ms);
	snapshot_leave(registry->store);
}

void intents_note(struct registry *registry, const struct event *event)
{
	struct intents *intents = registry->intents;
	struct drain_intent intent;

	/* The change may have moved entries behind the scan's position: scan again soon. */
	if (intents->scan_pos != 0)
		intents->scan_end_ms = 0;
	if (event->kind != EVENT_ENTRY_PUT || event->entry.kind != ENTRY_INTENT)
		return;
	drain_intent_of(&event->entry, &intent);
	int64_t end = drain_intent_end(&intent, registry->options.intent_ttl_ms);
	if (end < intents->next_end_ms)
		intents->next_end_ms = end;
}

void intents_rescan(struct registry *registry)
{
	registry->intents->next_end_ms = 0;
}

/* --- start and end ------------------------------------------------------------------- */

static int orphans_add(struct intents *intents, const struct instance *instance)
{
	size_t len = instance->service.len + instance->id.len;
	struct orphan *orphan = malloc(sizeof(*orphan) + len);

	if (orphan == NULL)
		return -ENOMEM;
	memcpy(orphan->names, instance->service.data, instance->service.len);
	memcpy(orphan->names + instance->service.len, instance->id.data, instance->id.len);
	orphan->service = (struct str){orphan->names, instance->service.len};
	orphan->id = (struct str){orphan->names + instance->service.len, instance->id.len};
	orphan->next = intents->orphans;
	intents->orphans = orphan;
	return 0;
}

static int orphans_find(struct intents *intents, const struct snapshot *now)
{
	const struct directory *directory = snapshot_directory(now);
	int r = directory != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < directory->count; i++) {
		const struct service *service = snapshot_service(now, directory->names[i]);

		for (uint32_t m = 0; r == 0 && m < service->count; m++) {
			const struct instance *instance = &service->members[m]->value;

			if (instance->drained && valid_service_name(instance->service) &&
			    valid_instance_id(instance->id) &&
			    snapshot_entry(now, ENTRY_INTENT, instance->service, instance->id) ==
			            NULL)
				r = orphans_add(intents, instance);
		}
	}
	return r;
}

int intents_open(struct registry *registry, bool any_drained)
{
	registry->intents = calloc(1, sizeof(*registry->intents));
	if (registry->intents == NULL)
		return -ENOMEM;
	if (!any_drained)
		return 0;
	int r = orphans_find(registry->intents, snapshot_enter(registry->store));
	snapshot_leave(registry->store);
	return r;
}

void intents_close(struct registry *registry)
{
	struct intents *intents = registry->intents;

	while (intents != NULL && intents->orphans != NULL) {
		struct orphan *orphan = intents->orphans;

		intents->orphans = orphan->next;
		free(orphan);
	}
	free(intents);
}
