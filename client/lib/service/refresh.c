/* SPDX-License-Identifier: MIT */
/*
 * Keeps the cache of one service current, with the engine's lock held, in the thread that runs the
 * client's loop. First it sends a plain lookup; then one long poll after another, as long as the
 * registry delays its answers; else a lookup each TTL. While the registry fails, the last good set
 * stays and is marked stale.
 *
 * Invariant: at most one request is pending for a service; a timer that is due before its answer
 * replaces it. Long polls alone would not do:
 * a registry or a proxy may not support them, and max_watches bounds how many connections they
 * hold.
 *
 * A long poll sends the revision of the set with the history that it belongs to. A registry of
 * another history refuses that with 410, and a plain lookup follows at once.
 */
#include "lib/service/refresh.h"

#include "lib/service/watch.h"

#include <errno.h>
#include <stdlib.h>

#define POLL_GAP_US     (50 * US_PER_MS) /* between long polls that each bring a change */
#define UNKNOWN_POLL_US (1 * US_PER_S)   /* between lookups of a service with a 404 */
/* Between lookups because of another history. Registries of two histories behind one address would
 * otherwise be read without a pause. */
#define ANEW_GAP_US (1 * US_PER_S)

static void refresh_ask(struct service *service);

static struct refresh *refresh_of(struct service *service)
{
	return &service->refresh;
}

static int64_t ttl_us(const struct service *service)
{
	return us_of_ms(service->client->options.cache_ttl_ms);
}

static void refresh_schedule(struct service *service, int64_t due_us)
{
	loop_set_timer(&service->client->engine.loop, &refresh_of(service)->timer, due_us);
	engine_kick(&service->client->engine);
}

static void refresh_on_timer(struct timer *timer)
{
	struct refresh *refresh = container_of(timer, struct refresh, timer);

	if (refresh->request.busy) /* sent before the history changed, perhaps to another address */
		registry_request_fini(&refresh->request);
	refresh_ask(container_of(refresh, struct service, refresh));
}

static void refresh_schedule_lookup(struct service *service)
{
	double jitter = 0.9 + 0.2 * env_uniform(&service->client->env);

	refresh_schedule(service, env_now(&service->client->env) +
	                                  (int64_t)((double)ttl_us(service) * jitter));
}

/* --- asking --------------------------------------------------------------------------------- */

static bool may_poll(struct service *service)
{
	struct refresh *refresh = refresh_of(service);
	rollcall_client *client = service->client;

	if (service->answer != 0 || refresh->failures > 0 || refresh->keeps_set ||
	    env_now(&client->env) < refresh->no_poll_until_us)
		return false;
	if (!refresh->holds_poll && client->long_polls < client->options.max_watches) {
		refresh->holds_poll = true;
		client->long_polls++;
	}
	return refresh->holds_poll;
}

static char *refresh_make_path(const struct service *service, bool poll)
{
	struct bytes path;
	size_t len;

	bytes_init(&path, 1024);
	registry_put_service(&path, service->name);
	if (poll) {
		bytes_printf(&path, "?revision=%llu", (unsigned long long)service->set->revision);
		if (service->refresh.history != 0)
			bytes_printf(&path, ".%08x", (unsigned)(service->refresh.history >> 32));
		bytes_printf(&path, "&wait_ms=%u", service->client->options.cache_ttl_ms);
	}
	char *text = bytes_take(&path, &len);
	bytes_fini(&path);
	return text;
}

/* service->set and service->answer are written only with the engine's lock held, as it is here, so
 * refresh.c may read them without the service's lock. */
static void refresh_ask(struct service *service)
{
	struct refresh *refresh = refresh_of(service);

	refresh->polling = !refresh->anew && may_poll(service);
	refresh->asked_us = env_now(&service->client->env);
	if (refresh->anew)
		refresh->anew_us = refresh->asked_us;
	registry_send(&refresh->request, "GET", refresh_make_path(service, refresh->polling), NULL,
	              refresh->polling ? service->client->options.cache_ttl_ms : 0);
}

/* --- answers -------------------------------------------------------------------------------- */

/* The latest waiter is the first of the list: reversed, the calls begin in the order they came. */
static void wake_waiters(struct service *service)
{
	struct answer_waiter *first = NULL;
	struct answer_waiter *next;

	for (struct answer_waiter *one = refresh_of(service)->waiting; one != NULL; one = next) {
		next = one->next;
		one->next = first;
		first = one;
	}
	refresh_of(service)->waiting = first;
	for (struct answer_waiter *one = first; one != NULL; one = one->next)
		one->answered(one);
}

static void refresh_set_answer(struct service *service, int answer, bool fresh)
{
	service_lock(service);
	service->answer = answer;
	service->stale = !fresh;
	if (fresh)
		service->confirmed_us = env_now(&service->client->env);
	service_unlock(service);
	if (answer != -EAGAIN && answer != -ENOTCONN)
		wake_waiters(service);
}

static void refresh_on_failure(struct service *service)
{
	struct refresh *refresh = refresh_of(service);
	const rollcall_client *client = service->client;
	struct backoff rule = client_backoff(client);

	refresh_set_answer(service, service->answer == -EAGAIN ? -ENOTCONN : service->answer,
	                   false);
	refresh->pause_us = backoff_us(&rule, refresh->failures++, refresh->pause_us, &client->env);
	refresh_schedule(service,
	                 env_now(&client->env) +
	                         max_i64(refresh->pause_us, registry_pause_us(&refresh->request)));
}

/*
 * An answer of another history, or with a lower revision than an earlier one, is from a registry
 * that has lost its state. Its empty lists prove nothing: the instances need one TTL to register
 * again. So an empty answer is not taken for one TTL; after that the new history counts.
 */
static bool registry_lost_state(struct service *service, size_t count)
{
	struct refresh *refresh = refresh_of(service);
	rollcall_client *client = service->client;
	int64_t revision = head_number(refresh->request.exchange.head.data, "X-Rollcall-Revision");
	int64_t now = env_now(&client->env);
	bool lower = revision >= 0 && (uint64_t)revision < client->seen_revision;
	int64_t history_us = client->registry.history_us;
	bool young = history_us != 0 && now < history_us + ttl_us(service);

	refresh->keeps_set = false;
	if (lower && client->went_back_us == 0)
		client->went_back_us = now;
	if (revision >= 0 && (!lower || now >= client->went_back_us + ttl_us(service))) {
		client->seen_revision = (uint64_t)revision;
		client->went_back_us = 0;
		lower = false;
	}
	if ((!lower && !young) || count > 0 || service->set == NULL || service->set->count == 0)
		return false;
	refresh->keeps_set = true;
	return true;
}

static void refresh_install(struct service *service, rollcall_instances *set)
{
	struct refresh *refresh = refresh_of(service);

	if (service->set != NULL && set_same(service->set, set) &&
	    service->set->strategy == service->strategy) {
		atomic_store(&service->set->revision, atomic_load(&set->revision));
		refresh->history = registry_answer_history(&refresh->request);
		set_unref(set);
		return;
	}
	if (set_balance(set, service->strategy, &service->client->env) < 0) {
		set_unref(set); /* the old set stays until the next answer */
		return;
	}
	refresh->history = registry_answer_history(&refresh->request);
	service_install(service, set);
	watches_notify(service->client, service);
}

static void refresh_plan_next(struct service *service, bool changed)
{
	struct refresh *refresh = refresh_of(service);
	int64_t now = env_now(&service->client->env);
	int64_t took = now - refresh->asked_us;

	refresh->failures = 0;
	refresh->pause_us = 0;
	if (refresh->polling && !changed && took < ttl_us(service) / 2)
		refresh->no_poll_until_us = now + 10 * ttl_us(service);
	if (may_poll(service))
		refresh_schedule(service, refresh->polling ? now + POLL_GAP_US : now);
	else
		refresh_schedule_lookup(service);
}

static void refresh_keep_set(struct service *service)
{
	refresh_set_answer(service, service->answer, false);
	refresh_schedule(service, env_now(&service->client->env) + UNKNOWN_POLL_US);
}

static void refresh_on_list(struct service *service)
{
	const struct exchange *exchange = &refresh_of(service)->request.exchange;
	uint64_t before = service->set != NULL ? service->set->revision : 0;
	rollcall_instances *set;

	int r = set_parse(exchange->answer.data, exchange->answer.len, service->set, &set);
	if (r < 0) {
		refresh_on_failure(service);
		return;
	}
	if (registry_lost_state(service, set->count)) {
		set_unref(set);
		refresh_keep_set(service);
		return;
	}
	bool changed = service->set == NULL || set->revision != before;
	refresh_install(service, set);
	if (service->set == NULL) { /* no memory for the first set */
		refresh_on_failure(service);
		return;
	}
	refresh_set_answer(service, 0, true);
	refresh_plan_next(service, changed);
}

static void refresh_on_unknown(struct service *service)
{
	if (registry_lost_state(service, 0)) {
		refresh_keep_set(service);
		return;
	}
	rollcall_instances *set = set_new_empty(0);
	if (set == NULL) {
		refresh_on_failure(service);
		return;
	}
	refresh_install(service, set);
	refresh_set_answer(service, -ENOENT, true);
	refresh_of(service)->failures = 0;
	refresh_schedule(service, env_now(&service->client->env) +
	                                  min_i64(UNKNOWN_POLL_US, ttl_us(service)));
}

static void refresh_on_refused(struct service *service, int status)
{
	struct refresh *refresh = refresh_of(service);

	if (refresh->polling && status != 401 && status != 403) {
		/* The registry does not support long polls: look up without. */
		refresh->no_poll_until_us = env_now(&service->client->env) + 10 * ttl_us(service);
		refresh_schedule(service, env_now(&service->client->env));
		return;
	}
	refresh_set_answer(service, service->set != NULL ? service->answer : -EACCES, false);
	refresh_schedule_lookup(service);
}

/* The set stays in use and nothing is counted as a failure. */
static void refresh_read_again(struct service *service)
{
	struct refresh *refresh = refresh_of(service);
	int64_t now = env_now(&service->client->env);

	refresh->anew = true;
	refresh_schedule(service, refresh->anew_us == 0
	                                  ? now
	                                  : max_i64(now, refresh->anew_us + ANEW_GAP_US));
}

static void refresh_on_done(struct registry_request *request)
{
	struct refresh *refresh = container_of(request, struct refresh, request);
	struct service *service = container_of(refresh, struct service, refresh);
	int status = request->exchange.status;
	bool failed = registry_failed(request) || status == 408 || status == 429;

	refresh->anew = false;
	if (failed) {
		refresh_on_failure(service);
	} else if (status == 410 && refresh->polling) {
		refresh_read_again(service);
	} else if (status == 200) {
		refresh_on_list(service);
	} else if (status == 304 && service->set != NULL) {
		refresh_set_answer(service, service->answer, true);
		refresh_plan_next(service, false);
	} else if (status == 404) {
		refresh_on_unknown(service);
	} else {
		refresh_on_refused(service, status);
	}
	if (refresh->holds_poll && !may_poll(service)) {
		refresh->holds_poll = false; /* another service may use the place */
		service->client->long_polls--;
	}
	if (!request->busy)
		registry_request_trim(request);
}

/* --- life ----------------------------------------------------------------------------------- */

void refresh_start(struct service *service)
{
	struct refresh *refresh = refresh_of(service);

	if (refresh->started)
		return;
	refresh->started = true;
	registry_request_init(&refresh->request, &service->client->registry, refresh_on_done);
	refresh->timer.fire = refresh_on_timer;
	refresh_ask(service);
}

void refresh_wait(struct service *service, struct answer_waiter *waiter)
{
	waiter->waiting = true;
	waiter->next = refresh_of(service)->waiting;
	refresh_of(service)->waiting = waiter;
}

void refresh_stop_waiting(struct service *service, struct answer_waiter *waiter)
{
	struct answer_waiter **at = &refresh_of(service)->waiting;

	if (!waiter->waiting)
		return;
	while (*at != waiter)
		at = &(*at)->next;
	*at = waiter->next;
	waiter->waiting = false;
}

static void refresh_forget(struct service *service)
{
	struct refresh *refresh = refresh_of(service);

	if (!refresh->started)
		return;
	refresh->no_poll_until_us = 0;
	refresh_read_again(service);
}

void refreshes_read_again(rollcall_client *client)
{
	services_visit(client, refresh_forget);
}

static void refresh_fini(struct service *service)
{
	struct refresh *refresh = refresh_of(service);

	if (!refresh->started)
		return;
	if (client_forked(service->client)) {
		registry_request_trim(&refresh->request);
		return;
	}
	loop_clear_timer(&service->client->engine.loop, &refresh->timer);
	registry_request_fini(&refresh->request);
}

void refreshes_fini(rollcall_client *client)
{
	services_visit(client, refresh_fini);
}
