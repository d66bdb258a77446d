/* SPDX-License-Identifier: MIT */
/*
 * Starts the modules in order, waits for signals, stops the modules in reverse order. Main thread.
 *
 * Invariant: http stops before the registry, so that no new change arrives, and is freed after it,
 * because the registry wakes the parked requests that http owns. Stopping in strict reverse order
 * would free requests that the writer still has.
 */
#include "main/run.h"

#include "api/api.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "base/version.h"
#include "config/config.h"
#include "http/http.h"
#include "main/exit_code.h"
#include "main/limits.h"
#include "main/notify.h"
#include "main/signals.h"
#include "main/sockets.h"
#include "main/state.h"
#include "registry/registry.h"
#include "v1/v1.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define STOP_GRACE_MS 3000  /* of the 5 s that a stop may take, the rest is for the last commit */
#define PARKED_MS     30000 /* a commit that takes longer counts as hanging */

struct daemon {
	/* set before daemon_serve() */
	struct config *config;
	struct config_sources *sources;
	struct signals signals;
	struct notify notify;
	uint64_t files; /* how many may be open */
	struct registry *registry;
	struct v1 *v1;
	const struct route_table *tables[1];
	struct api *api;
	struct http *http;

	/* until http_start() owns them */
	struct http_listener listeners[HTTP_LISTENERS_MAX];
	size_t listener_count;
	bool listening;
};

/* --- options for the modules ------------------------------------------------------------------ */

static void apply_log(const struct config *config)
{
	static const struct {
		const char *word;
		int level;
	} levels[] = {
		{"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
		{"info", LOG_INFO}, {"debug", LOG_DEBUG},
	};

	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (strcmp(config->log_level, levels[i].word) == 0)
			log_set_level(levels[i].level);
	}
}

static enum log_format log_format_of(const struct config *config)
{
	static const struct {
		const char *word;
		enum log_format format;
	} formats[] = {
		{"auto", LOG_FORMAT_AUTO},
		{"text", LOG_FORMAT_TEXT},
		{"json", LOG_FORMAT_JSON},
		{"journald", LOG_FORMAT_JOURNALD},
	};

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (strcmp(config->log_format, formats[i].word) == 0)
			return formats[i].format;
	}
	return LOG_FORMAT_AUTO;
}

static void on_journal_failed(void *arg)
{
	struct daemon *daemon = arg;

	signals_fail(&daemon->signals);
}

static struct registry_options registry_options_of(struct daemon *daemon)
{
	const struct config *config = daemon->config;

	return (struct registry_options){
		.journal = {.dir = config->state_dir,
	                    .events_max_age_ms = config->events_max_age_ms,
	                    .events_max_count = (uint64_t)config->events_max_count},
		.queue_max = (uint32_t)config->queue_max,
		.batch_max = (uint32_t)config->batch_max,
		.instances_max = (uint64_t)config->max_instances,
		.bytes_max = (uint64_t)config->max_registry_bytes,
		.intent_ttl_ms = config->intent_ttl_ms,
		.hold_expiry = config->hold_percent < 100,
		.hold_min_instances = (uint32_t)config->hold_min_instances,
		.hold_percent = (uint32_t)config->hold_percent,
		.failed = on_journal_failed,
		.failed_arg = daemon,
	};
}

static struct http_options http_options_of(const struct daemon *daemon)
{
	const struct config *config = daemon->config;
	unsigned connections =
		limits_connections(daemon->files, config->http_threads, config->max_connections);
	int64_t per_peer = config->max_connections_per_peer;

	if (connections < config->max_connections)
		log_line(LOG_WARNING,
		         "max_connections is %u instead of %" PRId64 ": only %" PRIu64
		         " files may be open",
		         connections, config->max_connections, daemon->files);
	return (struct http_options){
		.threads = (unsigned)config->http_threads,
		.connections_max = connections,
		.connections_per_peer_max = per_peer > 0 ? (unsigned)per_peer : connections / 4,
		.request_ms = config->request_timeout_ms,
		.idle_ms = config->idle_timeout_ms,
		.parked_ms = PARKED_MS,
	};
}

static struct api_limits api_limits_of(const struct config *config, const struct http_options *http)
{
	return (struct api_limits){
		.watchers = config->max_watchers,
		.unsent_bytes = config->max_unsent_bytes,
		.unsent_bytes_per_peer = config->max_unsent_bytes_per_peer,
		.connections = http->connections_max,
		.connections_per_peer = http->connections_per_peer_max,
	};
}

/* --- start ------------------------------------------------------------------------------------ */

static int open_registry(struct daemon *daemon)
{
	struct registry_options options = registry_options_of(daemon);
	struct journal_error error = {{0}};
	int r = state_prepare(daemon->config->state_dir);

	if (r < 0)
		return r;
	rcu_prepare(); /* while signals are blocked */
	/* Opening may take long (salvage), and every step of it is safe against a crash. */
	signals_end_at_once();
	r = registry_open(&options, &daemon->registry, &error);
	signals_gather();
	if (r < 0) {
		log_line(LOG_ERR, "%s", error.text[0] != '\0' ? error.text : strerror(-r));
		return r;
	}
	if (registry_trouble(daemon->registry)[0] != '\0')
		log_line(LOG_ERR, "%s", registry_trouble(daemon->registry));
	if (registry_note(daemon->registry)[0] != '\0')
		log_line(LOG_NOTICE, "%s", registry_note(daemon->registry));
	r = registry_start(daemon->registry);
	if (r < 0)
		log_line(LOG_ERR, "cannot start the registry's threads: %s", strerror(-r));
	return r;
}

static int open_api(struct daemon *daemon, const struct http_options *http)
{
	int r = v1_open(daemon->registry, daemon->config, &daemon->v1);

	if (r < 0)
		return r;
	daemon->tables[0] = v1_table(daemon->v1);
	return api_open(&(struct api_options){.tables = daemon->tables,
	                                      .table_count = ARRAY_LEN(daemon->tables),
	                                      .history = registry_history_id(daemon->registry),
	                                      .revision = v1_revision,
	                                      .retained_bytes = snapshot_retired_bytes,
	                                      .arg = daemon->v1,
	                                      .limits = api_limits_of(daemon->config, http)},
	                &daemon->api);
}

static int open_http(struct daemon *daemon)
{
	struct http_options options = http_options_of(daemon);
	int r = open_api(daemon, &options);

	if (r == 0)
		r = http_start(&options, daemon->api, daemon->listeners, daemon->listener_count,
		               &daemon->http);
	if (r < 0) {
		log_line(LOG_ERR, "cannot start to serve: %s", strerror(-r));
		return r;
	}
	daemon->listening = false;
	return 0;
}

static bool has_files_enough(const struct daemon *daemon)
{
	uint64_t needed = limits_files_needed(daemon->config->http_threads);

	if (daemon->files >= needed)
		return true;
	log_line(LOG_ERR,
	         "only %" PRIu64 " files may be open, but %" PRIu64
	         " are needed: raise LimitNOFILE= of the unit, or the limit of 'ulimit -n'",
	         daemon->files, needed);
	return false;
}

/* @return an exit code, 0 for success */
static int daemon_start(struct daemon *daemon)
{
	struct http_access access;

	if (!has_files_enough(daemon))
		return EX_CONFIG;
	int r = sockets_access(daemon->config, &access);

	if (r < 0)
		return r == -ENOENT ? EX_CONFIG : EX_OSERR;
	r = signals_init(&daemon->signals);
	if (r < 0) {
		log_line(LOG_ERR, "cannot take signals: %s", strerror(-r));
		return EX_OSERR;
	}
	/* From here on SIGTERM is blocked and cannot interrupt a blocking write, so main() must not
	 * write log lines itself. */
	r = log_start();
	if (r < 0) {
		log_line(LOG_ERR, "cannot start the log thread: %s", strerror(-r));
		return EX_OSERR;
	}
	notify_init(&daemon->notify);
	r = sockets_open(daemon->config, &access, daemon->listeners, &daemon->listener_count);
	if (r < 0)
		return EX_OSERR;
	daemon->listening = true;
	r = open_registry(daemon);
	if (r == 0)
		r = open_http(daemon);
	return r < 0 ? exit_code_of(r) : 0;
}

/* --- serve ------------------------------------------------------------------------------------ */

static void log_reloaded(const char *line)
{
	log_line(LOG_NOTICE, "%s", line);
}

static void log_not_reloaded(const char *line)
{
	log_line(LOG_ERR, "not reloaded, nothing was changed: %s", line);
}

static void daemon_reload(struct daemon *daemon)
{
	struct registry_options registry_options;
	struct http_options http_options;
	struct api_limits api_limits;
	int r;

	notify_reloading(&daemon->notify);
	r = config_reload(daemon->sources, daemon->config, log_reloaded, log_not_reloaded);
	if (r == -ENOMEM) {
		log_not_reloaded("out of memory");
	} else if (r == 0) {
		registry_options = registry_options_of(daemon);
		http_options = http_options_of(daemon);
		apply_log(daemon->config);
		registry_reload(daemon->registry, &registry_options);
		api_limits = api_limits_of(daemon->config, &http_options);
		api_reload(daemon->api, &api_limits);
		v1_reload(daemon->v1, daemon->config);
		http_reload(daemon->http, &http_options);
		log_line(LOG_NOTICE, "reloaded");
	}
	notify_ready(&daemon->notify);
}

/* @return an exit code */
static int daemon_serve(struct daemon *daemon)
{
	const char *name = NULL;

	for (;;) {
		switch (signals_wait(&daemon->signals, notify_timeout_ms(&daemon->notify), &name)) {
		case SIGNALS_RELOAD:
			daemon_reload(daemon);
			break;
		case SIGNALS_STOP:
			log_event(LOG_NOTICE, "stopping", "signal", name, NULL);
			return 0;
		case SIGNALS_FAILED:
			/* No change can be acknowledged any more; a restart reads the disk
			 * again. */
			log_event(LOG_CRIT, "the journal has failed: stopping", "reason",
			          registry_trouble(daemon->registry), NULL);
			return exit_code_of(registry_failure(daemon->registry));
		case SIGNALS_NONE:
			break;
		}
		notify_tick(&daemon->notify);
	}
}

/* Also stops a daemon whose start failed half-way. */
static void daemon_stop(struct daemon *daemon)
{
	if (daemon->api != NULL)
		api_stopping(daemon->api);
	if (daemon->http != NULL)
		http_stop(daemon->http, STOP_GRACE_MS);
	if (daemon->registry != NULL)
		registry_stop(daemon->registry);
	http_free(daemon->http); /* needs the api to abandon parked requests */
	api_close(daemon->api);
	v1_close(daemon->v1);
	if (daemon->registry != NULL)
		registry_close(daemon->registry);
	if (daemon->listening)
		sockets_close(daemon->listeners, daemon->listener_count);
	signals_fini(&daemon->signals);
}

static void log_library_notes(void)
{
	char note[256];

	if (journal_sqlite_note(note, sizeof(note)) != NULL)
		log_line(LOG_INFO, "%s", note);
	if (http_library_note(note, sizeof(note)) != NULL)
		log_line(LOG_INFO, "%s", note);
}

int run_daemon(struct config *config, struct config_sources *sources)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	int code;

	if (daemon == NULL)
		return EX_OSERR;
	*daemon = (struct daemon){.config = config, .sources = sources, .signals = {-1, -1}};

	limits_tune_malloc();
	log_open(log_format_of(config));
	apply_log(config);
	hash_seed();
	daemon->files = limits_raise_files();
	thread_adopt();
	code = daemon_start(daemon);
	if (code == 0) {
		log_event(LOG_NOTICE, "started", "version", rollcall_version, "state_dir",
		          config->state_dir, NULL);
		log_library_notes();
		sockets_announce(daemon->listeners, daemon->listener_count);
		notify_ready(&daemon->notify);
		code = daemon_serve(daemon);
		notify_stopping(&daemon->notify);
		signals_allow_interrupt();
	}
	daemon_stop(daemon);
	if (code == 0)
		log_line(LOG_NOTICE, "stopped");
	log_stop();
	thread_abandon();
	free(daemon);
	return code;
}
