/* SPDX-License-Identifier: MIT */
/** The embedded ledger: the journal gives the order, and a proposal is committed once it has been
 * appended. So there are no items. */
#include "ledger/engine.h"

#include <errno.h>
#include <stdlib.h>

struct local {
	struct ledger ledger;
	struct journal *journal;
};

static struct local *local_of(struct ledger *ledger)
{
	return (struct local *)ledger;
}

static int local_open(const struct ledger_options *options, struct journal *journal,
                      struct ledger **ret_ledger, struct journal_error *ret_error)
{
	struct local *local = calloc(1, sizeof(*local));

	(void)options;
	(void)ret_error; /* -ENOMEM describes itself */
	if (local == NULL)
		return -ENOMEM;
	ledger_init(&local->ledger, &ledger_local);
	local->journal = journal;
	*ret_ledger = &local->ledger;
	return 0;
}

static int local_start(struct ledger *ledger, void (*wake)(void *arg), void *arg)
{
	(void)ledger;
	(void)wake;
	(void)arg;
	return 0;
}

static int local_propose(struct ledger *ledger, struct event *events, size_t count)
{
	return journal_append(local_of(ledger)->journal, events, count);
}

static struct ledger_item *local_next(struct ledger *ledger)
{
	(void)ledger;
	return NULL;
}

static void local_done(struct ledger *ledger, struct ledger_item *item)
{
	(void)ledger;
	(void)item;
}

static void local_stop(struct ledger *ledger)
{
	(void)ledger;
}

static void local_close(struct ledger *ledger)
{
	free(local_of(ledger));
}

const struct ledger_engine ledger_local = {
	.open = local_open,
	.start = local_start,
	.propose = local_propose,
	.next = local_next,
	.done = local_done,
	.stop = local_stop,
	.close = local_close,
};
