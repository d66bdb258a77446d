/* SPDX-License-Identifier: MIT */
/**
 * What operators intend: entries that belong to a service and an id, whether there is such an
 * instance or not. The instance's own fields (drained and its reason, author and end) are the copy
 * that lookups and picks read; each event that changes one is in a batch with the event that
 * changes the other.
 */
#include "base/check.h"
#include "base/clock.h"
#include "model/intent.h"
#include "model/valid.h"
#include "registry/internal.h"

#include <errno.h>
#include <stdlib.h>

/* --- the entry --------------------------------------------------------------- */

static const struct entry *intent_of(const struct batch *batch, const struct instance *named)
{
	return snapshot_draft_entry(batch->draft, ENTRY_INTENT, named->service, named->id);
}

/** What an entry of @p named with @p document is. @param before  what it replaces or NULL */
static struct entry entry_of(const struct instance *named, const struct entry *before,
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

static int put_entry(struct batch *batch, struct batch_entry *entry, const struct instance *named,
                     const struct drain_intent *intent)
{
	struct buf document;

	buf_init(&document, ENTRY_DOCUMENT_MAX);
	drain_intent_put(&document, intent);
	int r = buf_error(&document);
	if (r == 0) {
		struct entry content = entry_of(named, intent_of(batch, named), &document);

		r = decide_entry_event(batch, entry, EVENT_ENTRY_PUT, &content);
	}
	buf_fini(&document);
	return r;
}

/* --- its copy in the instance ---------------------------------------------------- */

static void copy_to(struct instance *instance, const struct drain_intent *intent,
                    int64_t now_real_ms)
{
	instance->drained = true;
	instance->drained_until_ms = intent->until_ms;
	instance->status = instance_status(instance);
	instance->status_reason = intent->reason.len > 0 ? intent->reason : STR(DRAIN_REASON);
	instance->status_by = intent->by;
	instance->status_since_ms = now_real_ms;
}

/** Of an instance that was drained before there were such entries. */
static void copy_from(const struct instance *instance, struct drain_intent *ret_intent)
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
	const struct entry *entry = intent_of(batch, instance);

	instance->drained = false;
	instance->drained_until_ms = 0;
	if (entry == NULL)
		return false;
	drain_intent_of(entry, memory);
	copy_to(instance, memory, batch->now_real_ms);
	return true;
}

int intent_begin_absence(struct batch *batch, struct batch_entry *entry,
                         const struct instance *gone)
{
	const struct entry *before = intent_of(batch, gone);
	struct drain_intent intent;

	if (before != NULL)
		drain_intent_of(before, &intent);
	else if (gone->drained)
		copy_from(gone, &intent);
	else
		return 0;
	intent.absent_since_ms = batch->now_journal_ms;
	return decide_also(batch, put_entry(batch, entry, gone, &intent));
}

int intent_end(struct batch *batch, struct batch_entry *entry, const struct instance *named)
{
	const struct entry *before = intent_of(batch, named);

	return before != NULL ? decide_entry_event(batch, entry, EVENT_ENTRY_REMOVED, before) : 0;
}

/* --- an operator's word ------------------------------------------------------------ */

static int drain(struct batch *batch, struct batch_entry *entry, const struct member *member)
{
	const struct command *command = entry->command;
	const struct instance *named = &command->instance;
	const struct entry *before = intent_of(batch, named);
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
			return 0; /* said again */
	}
	/* it counts towards bytes_max, but an operator may drain what is registered when that is
	 * reached: it is the registrations that are refused */
	int r = put_entry(batch, entry, named, &intent);
	if (r < 0)
		return r;
	entry->outcome = OUTCOME_CHANGED;
	if (member == NULL)
		return 0;

	struct instance next = member->value;
	copy_to(&next, &intent, batch->now_real_ms);
	return decide_also(batch,
	                   decide_event(batch, entry, EVENT_DRAINED, &next, tenure_of(member)));
}

static int resume(struct batch *batch, struct batch_entry *entry, const struct member *member)
{
	const struct command *command = entry->command;
	const struct instance *named = &command->instance;
	bool is_drained = member != NULL && member->value.drained;

	if (intent_of(batch, named) == NULL && !is_drained)
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
	if (member == NULL && intent_of(batch, &entry->command->instance) == NULL)
		return -ENOENT;
	entry->member = member;
	entry->outcome = OUTCOME_RENEWED;
	return entry->command->drained ? drain(batch, entry, member) : resume(batch, entry, member);
}

/* --- without an operator --------------------------------------------------------------- */

int decide_tend(const struct registry *registry, struct batch *batch, struct batch_entry *entry,
                const struct member *member)
{
	const struct instance *named = &entry->command->instance;
	const struct entry *before = intent_of(batch, named);
	struct drain_intent intent;

	if (before == NULL && member != NULL && member->value.drained) {
		copy_from(&member->value, &intent);
		return put_entry(batch, entry, named, &intent);
	}
	if (before == NULL || member != NULL)
		return 0;
	drain_intent_of(before, &intent);
	if (drain_intent_end(&intent, registry->options.intent_ttl_ms) > batch->now_journal_ms)
		return 0;
	return intent_end(batch, entry, named);
}

/* Intents that one look hands over at most. */
#define TENDERS 64
/* Entries that one pass of the writer looks at. */
#define LOOK_ENTRIES  1024
#define LOOK_EVERY_MS 1000

/** A command of the registry's own. */
struct tender {
	struct command command;
	bool is_busy;
	char names[SERVICE_NAME_MAX + INSTANCE_ID_MAX]; /* of the command */
};

struct orphan {
	struct orphan *next;
	struct str service;
	struct str id;
	char names[]; /* service, then id */
};

/* Writer only, once it is open. */
struct intents {
	struct tender tenders[TENDERS];
	int64_t again_ms;       /* clock_ms() of the next look at the earliest */
	int64_t next_ms;        /* the journal's time before which none ends */
	int64_t found_ms;       /* the same, as far as the look that is under way has come */
	uint64_t pos;           /* where that goes on; 0: none is under way */
	struct orphan *orphans; /* drained before there were entries; taken from the front */
};

static void tended(struct command *command)
{
	container_of(command, struct tender, command)->is_busy = false;
}

/** @return false: not now */
static bool tend(struct registry *registry, struct str service, struct str id, struct str reason)
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
		.done = tended,
	};
	if (registry_submit(registry, &tender->command) < 0)
		tender->is_busy = false;
	return tender->is_busy;
}

static void tend_orphans(struct registry *registry)
{
	struct intents *intents = registry->intents;

	while (intents->orphans != NULL) {
		struct orphan *orphan = intents->orphans;

		if (!tend(registry, orphan->service, orphan->id, STR("")))
			return;
		intents->orphans = orphan->next;
		free(orphan);
	}
}

static bool is_registered(const struct snapshot *now, const struct entry *entry)
{
	const struct service *service = snapshot_service(now, entry->service);

	return service != NULL && service_member(service, entry->name) != NULL;
}

/** @return false: not now */
static bool look_at(struct registry *registry, const struct snapshot *now,
                    const struct entry *entry, int64_t now_ms)
{
	struct intents *intents = registry->intents;
	struct drain_intent intent;

	if (entry->kind != ENTRY_INTENT || !entry_is_valid(entry) || is_registered(now, entry))
		return true;
	drain_intent_of(entry, &intent);
	int64_t end = drain_intent_end(&intent, registry->options.intent_ttl_ms);
	if (end < intents->found_ms)
		intents->found_ms =
			end; /* of one that has ended too: whether it goes is not known */
	return end > now_ms ||
	       tend(registry, entry->service, entry->name,
	            end == intent.until_ms ? STR("the drain's time is over")
	                                   : STR("its instance has been gone for too long"));
}

/** In a visit. Goes on with the look. */
static void look(struct registry *registry, const struct snapshot *now, int64_t now_ms)
{
	struct intents *intents = registry->intents;
	uint64_t pos = intents->pos;

	for (int i = 0; i < LOOK_ENTRIES; i++) {
		const struct entry *entry = snapshot_entries_next(now, &pos);

		if (entry == NULL) {
			intents->pos = 0;
			intents->next_ms = intents->found_ms;
			intents->again_ms = clock_ms() + LOOK_EVERY_MS;
			return;
		}
		if (!look_at(registry, now, entry, now_ms))
			return; /* goes on when the commands have been completed */
		intents->pos = pos;
	}
	registry_wake(registry);
}

void intents_pass(struct registry *registry)
{
	struct intents *intents = registry->intents;

	if (registry_has_failed(registry))
		return;
	tend_orphans(registry);
	if (intents->pos == 0 && clock_ms() < intents->again_ms)
		return;
	int64_t now_ms = journal_now_ms(registry->journal, clock_real_ms());
	if (intents->pos == 0 && now_ms < intents->next_ms)
		return;
	if (intents->pos == 0)
		intents->found_ms = INT64_MAX;
	look(registry, snapshot_enter(registry->store), now_ms);
	snapshot_leave(registry->store);
}

void intents_note(struct registry *registry, const struct event *event)
{
	struct intents *intents = registry->intents;
	struct drain_intent intent;

	if (intents->pos != 0) /* it may have moved others past the look */
		intents->found_ms = 0;
	if (event->kind != EVENT_ENTRY_PUT || event->entry.kind != ENTRY_INTENT)
		return;
	drain_intent_of(&event->entry, &intent);
	int64_t end = drain_intent_end(&intent, registry->options.intent_ttl_ms);
	if (end < intents->next_ms)
		intents->next_ms = end;
}

void intents_look_again(struct registry *registry)
{
	registry->intents->next_ms = 0;
}

/* --- start and end ------------------------------------------------------------------- */

static int add_orphan(struct intents *intents, const struct instance *instance)
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

static int find_orphans(struct intents *intents, const struct snapshot *now)
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
				r = add_orphan(intents, instance);
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
	int r = find_orphans(registry->intents, snapshot_enter(registry->store));
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
