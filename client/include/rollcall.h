/* SPDX-License-Identifier: MIT */
/**
 * librollcall: register with a rollcall registry, discover other services, and call them safely.
 *
 *	rollcall_client *client;
 *	rollcall_options options;
 *
 *	rollcall_options_init(&options);
 *	options.registry = "http://127.0.0.1:7655";
 *	options.thread = 1;
 *	int r = rollcall_open(&options, &client);
 *
 *	rollcall_request request;
 *	rollcall_response response;
 *
 *	rollcall_request_init(&request);
 *	rollcall_response_init(&response);
 *	request.path = "/orders/17";
 *	r = rollcall_call(client, "order-service", &request, &response);
 *	...
 *	rollcall_response_clear(&response);
 *	rollcall_close(client, 2000);
 *
 * Errors. Functions that can fail return 0 or a negative errno value, and write results through
 * pointers only on success unless their description says otherwise; rollcall_error_text() explains
 * a value. Any function may return -ENOMEM, -EINVAL (an argument is NULL, too long or out of range;
 * nothing happened) and -ECHILD (the client was opened before a fork(): a child must open its own).
 *
 * Threads. Any number of threads may use one client at once; a function with a narrower rule states
 * it. A function blocks only if its description says "Blocks". The library installs no signal
 * handler, writes to no standard stream, and keeps no global state except libcurl's one-time
 * initialisation. A program that uses https must ignore SIGPIPE.
 *
 * Running the client. Heartbeats, refreshes and asynchronous calls happen only while the client is
 * run, by one of: the library's own thread (options.thread or rollcall_thread_start()); the
 * caller's event loop (rollcall_get_fd(), rollcall_get_timeout(), rollcall_process()); or
 * rollcall_wait(). Every function that blocks also runs the client while it waits.
 *
 * Callbacks. The function that runs the client calls on_state, on_change, done and the fallback of
 * an asynchronous call, one at a time and with no lock held. They may call any function of the
 * library; only rollcall_close() and rollcall_thread_stop() return -EDEADLK there and do nothing.
 * The functions of a strategy and of rollcall_env, and a policy's classify, may run with locks
 * held: they must be short and must not call the library.
 *
 * The end of a callback. When rollcall_deregister(), rollcall_watch_stop(), rollcall_call_cancel()
 * or rollcall_close() returns, the callbacks that it ends have returned and are not called again:
 * their arguments may be freed. If another thread is running such a callback, these functions wait
 * until it returns, without a limit, so the caller must not hold a lock that the callback takes.
 * Called from inside that callback they do not wait; the callback is not called again after it
 * returns.
 *
 * Lifetimes. A registration lives until rollcall_deregister(), a watch until rollcall_watch_stop(),
 * both at most until rollcall_close(); when one ends, no other thread may be in a function on it.
 * Lists of instances must be freed before rollcall_close(). Options and policies are copied, but
 * their functions and arguments are used until rollcall_close() has returned, or, for a policy that
 * was replaced, until the calls that began under it have ended.
 *
 * Structures that a caller fills begin with their size; the _init function sets the size and all
 * defaults, so that a program built against an older header keeps working. Durations are in
 * milliseconds (_ms) or microseconds (_us). Strings end in NUL; those passed in are borrowed until
 * the function returns.
 */
#ifndef ROLLCALL_H
#define ROLLCALL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ROLLCALL_API __attribute__((visibility("default")))

#define ROLLCALL_ID_MAX   256 /* bytes of an instance id, without NUL */
#define ROLLCALL_HOST_MAX 253
#define ROLLCALL_NONE     SIZE_MAX /* a strategy's "no instance" */

typedef struct rollcall_client rollcall_client;
typedef struct rollcall_registration rollcall_registration;
typedef struct rollcall_instances rollcall_instances;
typedef struct rollcall_watch rollcall_watch;

/** An HTTP header, or a metadata entry. */
typedef struct rollcall_pair {
	const char *name;
	const char *value;
} rollcall_pair;

/**
 * Describes a return value, such as "no healthy instance" for -EHOSTUNREACH. Any thread.
 * @param error  an errno value, positive or negative; 0 gives "no error"
 * @return a static string, never NULL; "unknown error" for a value that the library does not return
 */
ROLLCALL_API const char *rollcall_error_text(int error);
/** @return the version of the library, such as "0.1.0"; a static string. Any thread. */
ROLLCALL_API const char *rollcall_version(void);

/* --- strategies: which instance of several ----------------------------------------------- */

/** One instance as the registry described it. Owned by the list that holds it. */
typedef struct rollcall_instance {
	const char *id;
	const char *host; /* without brackets */
	const rollcall_pair *metadata;
	size_t metadata_count;
	uint32_t weight;
	uint16_t port;
	const void *reserved;
} rollcall_instance;

/** What a strategy may read for one pick. Valid only until pick() returns. */
typedef struct rollcall_choice {
	size_t size;
	const rollcall_instance *instances; /* in the order of registration */
	size_t count;
	const unsigned char *skip; /* NULL, or count bytes; not 0: do not pick that instance */
	const char *key;           /* the caller's sticky key, or NULL */
	/** @return the expected wait of a call at the instance, in microseconds: its peak EWMA
	 * latency times the calls under way + 1 */
	double (*load)(const struct rollcall_choice *choice, size_t index);
	/** @return a number chosen uniformly from 0 to @p bound - 1; bound must be 1 or more */
	uint64_t (*random_below)(const struct rollcall_choice *choice, uint64_t bound);
	const void *reserved;
} rollcall_choice;

/**
 * A way to choose among instances. The library's own strategies are of this type, and a program may
 * add others. The functions run with locks held: they must be short and must not call the library.
 * Calls on one state never overlap.
 */
typedef struct rollcall_strategy {
	size_t size; /* sizeof(rollcall_strategy) */
	const char *name;
	/** Makes the state for a new set of instances. @p instances stays valid, and at the same
	 * address, until destroy(). @param random  64 random bits
	 * @return NULL when out of memory: the previous set then stays in use */
	void *(*create)(const rollcall_instance *instances, size_t count, uint64_t random,
	                void *arg);
	/** Copies into a new state what it keeps of the previous set's. May be NULL. */
	void (*inherit)(void *state, const void *previous);
	/** @return an index that choice->skip does not mark, or ROLLCALL_NONE */
	size_t (*pick)(void *state, const rollcall_choice *choice);
	void (*destroy)(void *state);
	void *arg;
} rollcall_strategy;

/**
 * Finds one of the library's own strategies: "p2c" (the less loaded of two chosen at random; the
 * default), "round_robin" (from a random start), "weighted_round_robin" (smooth), "consistent_hash"
 * (100 MD5 points per instance on a ring, as in the registry) and "random". Any thread.
 * @return a static object; NULL for another name
 */
ROLLCALL_API const rollcall_strategy *rollcall_strategy_named(const char *name);

/* --- the client --------------------------------------------------------------------------- */

/** The clock and the random numbers of a client, replaceable in tests. Any thread may call both,
 * also with locks held: they must not call the library. */
typedef struct rollcall_env {
	/** Microseconds of a clock that never goes back. NULL: CLOCK_MONOTONIC. */
	int64_t (*now_us)(void *arg);
	/** 64 random bits. NULL: a generator in each thread, seeded by the system. */
	uint64_t (*random_u64)(void *arg);
	void *arg;
} rollcall_env;

/** Values after a colon are the defaults. */
typedef struct rollcall_options {
	size_t size;
	/** Addresses of the registry, separated by commas and tried in turn, at most 16:
	 * "http://a:7655,http://b:7655", or "host:port" for http. NULL: http://127.0.0.1:7655. */
	const char *registry;
	const char *token;                 /* bearer token for the registry; NULL: none */
	const char *ca_file;               /* certificates for https; NULL: the system's */
	const char *user_agent;            /* NULL: "librollcall/VERSION" */
	const rollcall_strategy *strategy; /* borrowed until rollcall_close(); NULL: p2c */
	uint32_t cache_ttl_ms;             /* age at which an answer is refreshed: 30000 */
	uint32_t discover_timeout_ms;      /* limit for the first lookup of a service: 3000 */
	uint32_t registry_timeout_ms;      /* limit for one request to the registry: 2000 */
	uint32_t registry_connect_ms;      /* limit for one connection to it: 1000 */
	uint32_t retry_base_ms;            /* first pause after the registry failed: 500 */
	uint32_t retry_max_ms;             /* longest such pause: 15000 */
	uint32_t max_services;             /* different services discovered or called: 4096 */
	uint32_t max_watches;              /* long polls at once; other services poll: 32 */
	int thread;                        /* not 0: rollcall_open() also starts the thread */
	rollcall_env env;
} rollcall_options;

/** rollcall_options_init() with the size that the caller was compiled with. So do all _sized
 * functions. */
ROLLCALL_API void rollcall_options_init_sized(rollcall_options *options, size_t size);
static inline void rollcall_options_init(rollcall_options *options)
{
	rollcall_options_init_sized(options, sizeof(*options));
}

/**
 * Opens a client. Does not connect: a registry that is down is not an error.
 * @param options  copied; NULL: all defaults
 * @param ret_client  owned by the caller; rollcall_close() frees it
 * @return 0; -EINVAL (a number is out of range, or an address cannot be parsed); -E2BIG (options
 * of a newer header that set a field this library does not know); -EMFILE, -ENFILE (no file
 * descriptors); -EAGAIN (the thread cannot be started); -EIO (libcurl cannot start)
 */
ROLLCALL_API int rollcall_open(const rollcall_options *options, rollcall_client **ret_client);
/**
 * Closes a client: waits for a callback that is running, deregisters all registrations, stops the
 * thread and frees @p client. Takes NULL. Blocks. No other thread may use the client any more. No
 * callback begins from then on: asynchronous calls that have not ended are cancelled without a call
 * of done. In the child of a fork() it only closes what the child inherited.
 * @param timeout_ms  limit for all deregistrations together
 * @return 0; -ETIMEDOUT (the client is freed, but not all deregistrations were answered: their
 * leases run out, and instances without a lease stay registered); -EDEADLK (called from a callback; nothing happened)
 */
ROLLCALL_API int rollcall_close(rollcall_client *client, uint32_t timeout_ms);

/** Starts the thread that runs the client; all signals are blocked in it. @return 0; -EALREADY (it
 * runs); -EAGAIN (no more threads) */
ROLLCALL_API int rollcall_thread_start(rollcall_client *client);
/** Stops that thread and waits until it has ended. Blocks briefly, or until a callback that the
 * thread runs has returned. Does nothing when there is no thread. @return 0; -EDEADLK (called from
 * a callback; nothing happened) */
ROLLCALL_API int rollcall_thread_stop(rollcall_client *client);

/** For an event loop: a descriptor to poll for input. When it is readable, or after
 * rollcall_get_timeout(), call rollcall_process(). Owned by the client, and the same until
 * rollcall_close(). @return the descriptor; -EMFILE, -ENFILE (no descriptor for the timer) */
ROLLCALL_API int rollcall_get_fd(rollcall_client *client);
/** @return milliseconds until rollcall_process() has work even without input; -1: no such time is
 * known; -ECHILD. The descriptor becomes readable at that time too, so a loop without timeouts may
 * ignore this. */
ROLLCALL_API int rollcall_get_timeout(rollcall_client *client);
/** Runs the client once: handles what is due, and calls callbacks. Never blocks, except in them.
 * @return 0 */
ROLLCALL_API int rollcall_process(rollcall_client *client);
/** Runs the client for @p timeout_ms; while the thread runs it, only waits for that time. Blocks.
 * @return 0 */
ROLLCALL_API int rollcall_wait(rollcall_client *client, uint32_t timeout_ms);

/* --- registering this program ------------------------------------------------------------- */

/** State of a registration, as the registry last confirmed it. Later versions may add states. */
typedef enum rollcall_state {
	ROLLCALL_PENDING,    /* not registered yet, or no longer; the library keeps trying */
	ROLLCALL_REGISTERED, /* registered, and the lease is renewed */
	ROLLCALL_DRAINING,   /* registered and renewed, but no new calls are sent here */
	ROLLCALL_REFUSED,    /* the registry refuses the record; retried after long pauses */
	/** Was registered or draining, but the registry has not confirmed the lease for longer than
	 * its TTL, so the lease may have expired: the registry does not answer, or answers only
	 * with errors. The library keeps trying. Never without a lease. */
	ROLLCALL_UNCONFIRMED
} rollcall_state;

/** Values after a colon are the defaults. */
typedef struct rollcall_registration_options {
	size_t size;
	const char *service; /* required: 1-128 of A-Z a-z 0-9 . _ - */
	const char *id;      /* NULL: "host:port:" and 8 random hex digits */
	const char *host;    /* NULL: the local address of the connection to the registry */
	uint32_t port;       /* required: 1-65535 */
	uint32_t weight;     /* 0-65535: 100 */
	const rollcall_pair *metadata;
	size_t metadata_count; /* at most 64 */
	/** Of the lease, 1000-86400000: 30000. 0: no lease. The instance then stays registered and
	 * healthy, even when this program has ended, until it is deregistered; heartbeats only find
	 * out whether the registry still has it. */
	uint32_t ttl_ms;
	/** Between heartbeats, plus or minus 10 %; less than ttl_ms, without a lease at most a day.
	 * 0: a third of ttl_ms, without a lease 10 s. */
	uint32_t interval_ms;
	int64_t remove_after_ms; /* from unhealthy to removed; -1: the registry's default */
	/** Called after each change of state; of changes in quick succession perhaps only for the
	 * last. NULL: none. */
	void (*on_state)(rollcall_registration *registration, rollcall_state state, void *arg);
	void *arg;
} rollcall_registration_options;

ROLLCALL_API void rollcall_registration_options_init_sized(rollcall_registration_options *options,
                                                           size_t size);
static inline void rollcall_registration_options_init(rollcall_registration_options *options)
{
	rollcall_registration_options_init_sized(options, sizeof(*options));
}

/**
 * Begins to register an instance and returns. From then on the client keeps it registered: it sends
 * heartbeats, registers again when the registry has lost the registration, has lost or restored its
 * state, or is another one, retries without a limit but with pauses, and uses the next address when
 * one fails.
 * @param options  copied
 * @param ret_registration  set before on_state is first called; rollcall_deregister() frees it
 * @return 0; -EINVAL; -E2BIG (options of a newer header that set a field this library does not
 * know)
 */
ROLLCALL_API int rollcall_register(rollcall_client *client,
                                   const rollcall_registration_options *options,
                                   rollcall_registration **ret_registration);
/** Waits until the state is ROLLCALL_REGISTERED or ROLLCALL_DRAINING. Blocks. @return 0;
 * -ETIMEDOUT (the library keeps trying); -EACCES (the registry refuses access); -EPERM (it refuses
 * the record) */
ROLLCALL_API int rollcall_registration_wait(rollcall_registration *registration,
                                            uint32_t timeout_ms);
/** @return the state now; ROLLCALL_PENDING in the child of a fork() */
ROLLCALL_API rollcall_state rollcall_registration_state(rollcall_registration *registration);
/** Copies the instance id, which without options.id is known once the host is. @return 0; -EAGAIN
 * (not known yet); -EMSGSIZE (@p size is too small) */
ROLLCALL_API int rollcall_registration_id(rollcall_registration *registration, char *out,
                                          size_t size);
/** Copies why the last request for the registration failed, cut to @p size bytes with NUL: the
 * registry's own message, or the error of the connection. @return 0; -ENOENT (the last request
 * succeeded) */
ROLLCALL_API int rollcall_registration_failure(rollcall_registration *registration, char *out,
                                               size_t size);
/** Sets the load that heartbeats report from now on. @param load  0 to 1. @return 0; -EINVAL */
ROLLCALL_API int rollcall_registration_set_load(rollcall_registration *registration, double load);
/** Drains the instance: the registry lists it as draining, so that no new calls are sent here,
 * until rollcall_resume(), also across restarts of the registry. Waits until the registry has
 * confirmed it. Blocks. @return 0; -ETIMEDOUT (not confirmed; the library keeps trying) */
ROLLCALL_API int rollcall_drain(rollcall_registration *registration, uint32_t timeout_ms);
/** Undoes rollcall_drain(), but not an operator's drain: while that lasts, the state stays
 * ROLLCALL_DRAINING. Blocks. @return 0; -ETIMEDOUT (not confirmed; the library retries) */
ROLLCALL_API int rollcall_resume(rollcall_registration *registration, uint32_t timeout_ms);
/**
 * Deregisters the instance and frees @p registration, which it does on failure too. Takes NULL.
 * Blocks: first until a running on_state has returned (unless this is called from it), then for at
 * most @p timeout_ms. on_state is not called again.
 * @return 0; -ETIMEDOUT (the registry did not answer; the lease runs out, or without a lease the
 * instance stays registered); -EACCES (the registry
 * refuses to remove the instance)
 */
ROLLCALL_API int rollcall_deregister(rollcall_registration *registration, uint32_t timeout_ms);

/* --- discovering others ------------------------------------------------------------------- */

/** A copy of one instance. */
typedef struct rollcall_endpoint {
	size_t size;
	int64_t age_ms; /* since the registry last confirmed the list that it is from */
	uint32_t weight;
	uint16_t port;
	unsigned char stale; /* not 0: the last request to the registry got no good answer */
	char host[ROLLCALL_HOST_MAX + 1];
	char id[ROLLCALL_ID_MAX + 1];
} rollcall_endpoint;

static inline void rollcall_endpoint_init(rollcall_endpoint *endpoint)
{
	endpoint->size = sizeof(*endpoint);
}

/**
 * Picks an instance of @p service from the cache, by the service's strategy. Until the registry has
 * first answered for a service it blocks, for at most options.discover_timeout_ms; afterwards it
 * never blocks.
 * @param key  sticky key for consistent_hash; NULL: none
 * @param ret_endpoint  of rollcall_endpoint_init()
 * @return 0; -ENOENT (the registry has no such service); -EHOSTUNREACH (no instance is healthy);
 * -ENOTCONN (the registry has not answered yet); -EACCES (the registry refuses access); -ENOSPC
 * (more than options.max_services)
 */
ROLLCALL_API int rollcall_discover(rollcall_client *client, const char *service, const char *key,
                                   rollcall_endpoint *ret_endpoint);
/** rollcall_discover() that never blocks. @return as there, and -EAGAIN (the registry has been
 * asked and has not answered yet) */
ROLLCALL_API int rollcall_discover_now(rollcall_client *client, const char *service,
                                       const char *key, rollcall_endpoint *ret_endpoint);

/** Gives all healthy instances of @p service as a list that never changes. Blocks as
 * rollcall_discover() does. @param ret_list  may be empty; owned by the caller, who frees it with
 * rollcall_instances_free() before rollcall_close(). @return as rollcall_discover(), but 0 for an
 * empty list */
ROLLCALL_API int rollcall_get_instances(rollcall_client *client, const char *service,
                                        rollcall_instances **ret_list);
ROLLCALL_API size_t rollcall_instances_count(const rollcall_instances *list);
/** @return one instance, valid as long as the list; NULL past the end of the list */
ROLLCALL_API const rollcall_instance *rollcall_instances_at(const rollcall_instances *list,
                                                            size_t index);
/** @return the registry's revision that the list is of. A later list has a lower or an equal one
 * when the registry has lost or restored its state, or is another one. */
ROLLCALL_API uint64_t rollcall_instances_revision(const rollcall_instances *list);
/** Frees a list. Takes NULL. Any thread. */
ROLLCALL_API void rollcall_instances_free(rollcall_instances *list);

/** Calls @p on_change after each change of the healthy instances of @p service, and once when they
 * are first known; changes in quick succession perhaps only once. @param ret_watch  set before
 * on_change is first called; rollcall_watch_stop() frees it. @return 0; -EINVAL; -ENOSPC (more than
 * options.max_services) */
ROLLCALL_API int rollcall_watch_start(rollcall_client *client, const char *service,
                                      void (*on_change)(rollcall_client *client,
                                                        const char *service, void *arg),
                                      void *arg, rollcall_watch **ret_watch);
/** Ends and frees a watch. Takes NULL. Blocks until a running on_change has returned (unless this
 * is called from it). on_change is not called again. */
ROLLCALL_API void rollcall_watch_stop(rollcall_watch *watch);

/** Sets the strategy for @p service from now on. @param strategy  borrowed until rollcall_close()
 * @return 0; -EINVAL; -ENOSPC (more than options.max_services) */
ROLLCALL_API int rollcall_set_strategy(rollcall_client *client, const char *service,
                                       const rollcall_strategy *strategy);

/* --- calling them ------------------------------------------------------------------------- */

/** How a call, or one attempt of it, ended. */
typedef enum rollcall_class {
	ROLLCALL_OK,         /* an answer below 400 */
	ROLLCALL_CLIENT_ERR, /* 4xx */
	ROLLCALL_SERVER_ERR, /* 5xx */
	ROLLCALL_NOT_SENT,   /* certainly not sent: no connection was made */
	ROLLCALL_UNKNOWN,    /* sent, but no answer: timeout, reset */
	/* Local: nothing was sent, and nothing counts as a failure of the service. */
	ROLLCALL_REJECT_OPEN,     /* the breaker is open */
	ROLLCALL_REJECT_BULKHEAD, /* too many attempts at once: queue full, or max_wait_ms over */
	ROLLCALL_REJECT_RATE,     /* over the policy's rate */
	ROLLCALL_REJECT_THROTTLE, /* refused by the adaptive throttle */
	ROLLCALL_REJECT_DEADLINE, /* less time left than min_start_ms */
	ROLLCALL_NO_INSTANCE,     /* none is healthy, or none is known */
	ROLLCALL_CANCELLED        /* by the caller, or because a hedge was faster */
} rollcall_class;
#define ROLLCALL_CLASS_COUNT 12

typedef enum rollcall_idempotent {
	ROLLCALL_IDEMPOTENT_AUTO, /* yes for GET, HEAD, PUT, DELETE, OPTIONS and TRACE */
	ROLLCALL_IDEMPOTENT_YES,
	ROLLCALL_IDEMPOTENT_NO
} rollcall_idempotent;

/** One HTTP request. All strings are borrowed until rollcall_call() returns; rollcall_call_start()
 * copies them. */
typedef struct rollcall_request {
	size_t size;
	const char *method; /* NULL: GET */
	const char *path;   /* with query, percent-encoded, beginning with '/'; NULL: "/" */
	/** Headers to send. The library's own replace those of the same name: Request-Timeout-Ms,
	 * traceparent, tracestate, X-Retry-Attempt, Idempotency-Key. */
	const rollcall_pair *headers;
	size_t header_count; /* at most 64 */
	const void *body;    /* NULL: none */
	size_t body_len;
	rollcall_idempotent idempotent;
	/** Sent as Idempotency-Key, NULL: none. The service promises to act once for each key, so
	 * the library may send the request again. */
	const char *key;
	const char *sticky; /* key for consistent_hash; NULL: none */
	/** The caller's span (W3C Trace Context); NULL: the traceparent in headers. A new trace
	 * begins when there is none, more than one, or an invalid one. */
	const char *traceparent;
	uint32_t timeout_ms;    /* of the whole call; 0, or more than the policy's: the policy's */
	uint32_t retry_attempt; /* not 0: a caller further out retries, so this call does not */
	size_t max_response;    /* largest body of an answer in bytes: 16 MiB */
	/** Sent unchanged, but only with a valid traceparent; NULL: the tracestate headers, joined
	 * by ','. Dropped when longer than 4096 bytes or of more than 32 entries. */
	const char *tracestate;
} rollcall_request;

/** The outcome of a call. Its memory is freed by rollcall_response_clear(). */
typedef struct rollcall_response {
	size_t size;
	char *body; /* with a NUL behind it; NULL: none */
	size_t body_len;
	char *headers; /* as received, "Name: value\r\n" each; NULL: none */
	int status;    /* HTTP status; 0: no answer */
	int error;     /* 0, or the negative errno that the call returned */
	rollcall_class outcome;
	uint32_t attempts; /* sent to the transport, hedges included */
	int64_t elapsed_us;
	int from_fallback;
	char instance[ROLLCALL_ID_MAX + 1]; /* id of the instance that answered or failed, or "" */
	/** ROLLCALL_OK, or why the last attempt was not sent, such as ROLLCALL_REJECT_OPEN. The
	 * other fields then describe the attempt before it, if there was one. */
	rollcall_class refused;
} rollcall_response;

ROLLCALL_API void rollcall_request_init_sized(rollcall_request *request, size_t size);
static inline void rollcall_request_init(rollcall_request *request)
{
	rollcall_request_init_sized(request, sizeof(*request));
}
ROLLCALL_API void rollcall_response_init_sized(rollcall_response *response, size_t size);
static inline void rollcall_response_init(rollcall_response *response)
{
	rollcall_response_init_sized(response, sizeof(*response));
}
/** Frees what @p response holds, and sets it to its state after rollcall_response_init(). */
ROLLCALL_API void rollcall_response_clear(rollcall_response *response);
/** For a fallback: copies @p body into the response and drops its headers. @return 0; -EINVAL
 * (@p body is NULL and @p body_len is not 0); -ENOMEM */
ROLLCALL_API int rollcall_response_set(rollcall_response *response, int status, const void *body,
                                       size_t body_len);
/** Copies the value of the first header called @p name, whatever its case. @return 0; -ENOENT (no
 * such header); -EMSGSIZE (@p size is too small) */
ROLLCALL_API int rollcall_response_header(const rollcall_response *response, const char *name,
                                          char *out, size_t size);

/**
 * For a service that calls others while it answers a request: copies from that request into
 * @p request the deadline (Request-Timeout-Ms; the earlier of both), the trace (traceparent,
 * tracestate) and the number of the retry (X-Retry-Attempt). Numbers that cannot be parsed are
 * ignored.
 * @param header  returns the value of a header of the request being answered, joined by ',' if it
 *                was sent more than once, or NULL; @p request borrows traceparent and tracestate
 * @return 0; -ETIMEDOUT (the caller's deadline has passed)
 */
ROLLCALL_API int rollcall_request_inherit(rollcall_request *request,
                                          const char *(*header)(const char *name, void *arg),
                                          void *arg);

/**
 * Calls @p service under its policy: fallback, deadline, retries, rate, throttle, breaker,
 * bulkhead, ejection, hedging. Blocks until the call has ended.
 * @param response  of rollcall_response_init(); cleared first, and filled on failure too
 * @return 0 (there is an answer, whatever its status, or the fallback gave one); -ECONNREFUSED (not
 * sent); -ETIMEDOUT, -ECONNRESET (sent, but no answer); -EBUSY (rejected by the policy before
 * anything was sent: see outcome); -EHOSTUNREACH, -ENOENT, -ENOTCONN, -EACCES, -ENOSPC (no
 * instance: as rollcall_discover()); -EMSGSIZE (the answer is larger than max_response); -EMFILE
 * (no file descriptors); -E2BIG (a request of a newer header that sets a field this library does
 * not know)
 */
ROLLCALL_API int rollcall_call(rollcall_client *client, const char *service,
                               const rollcall_request *request, rollcall_response *response);

/** Receives the outcome of an asynchronous call. @param error  as rollcall_call() returns.
 * @param response  freed when this returns, except a body or headers that this sets to NULL */
typedef void (*rollcall_done_fn)(rollcall_client *client, int error, rollcall_response *response,
                                 void *arg);
/** Begins a call and returns. @p done is called once, by the function that runs the client, unless
 * the call is cancelled or the client closed first. @param request  copied. @param ret_id  for
 * rollcall_call_cancel(); set before @p done is called; may be NULL. @return 0; -EINVAL; -E2BIG;
 * -ENOSPC (more than options.max_services) */
ROLLCALL_API int rollcall_call_start(rollcall_client *client, const char *service,
                                     const rollcall_request *request, rollcall_done_fn done,
                                     void *arg, uint64_t *ret_id);
/** Ends a call without calling done. Blocks until a running done of that call has returned (unless
 * this is called from it). @return 0 (done is not called); -ENOENT (done has been called, or there
 * is no such call) */
ROLLCALL_API int rollcall_call_cancel(rollcall_client *client, uint64_t id);

/** For programs that use rollcall_discover() with a transport of their own: reports the outcome of
 * a call of the instance @p id, for the strategy and for ejection. @param latency_us  0 or more.
 * @return 0; -ENOENT (the instance is not in the list now) */
ROLLCALL_API int rollcall_report(rollcall_client *client, const char *service, const char *id,
                                 rollcall_class outcome, int64_t latency_us);

/* --- policies ----------------------------------------------------------------------------- */

/** How the pause before retry n is made from v = min(max, base * 2^n); n is 0 for the first. U is a
 * uniform random number. */
typedef enum rollcall_jitter {
	ROLLCALL_J_CLASSIC, /* v * U(0.5, 1.5) */
	ROLLCALL_J_FULL,    /* U(0, v) */
	ROLLCALL_J_EQUAL,   /* v/2 + U(0, v/2) */
	ROLLCALL_J_DECORR,  /* min(max, U(base, 3 * previous pause)) */
	ROLLCALL_J_NONE     /* v */
} rollcall_jitter;

typedef enum rollcall_breaker_mode {
	ROLLCALL_B_OFF,
	ROLLCALL_B_CONSEC, /* opens after failure_threshold consecutive failures */
	ROLLCALL_B_RATIO   /* opens at a share of failures, or of slow answers, in a window */
} rollcall_breaker_mode;

typedef enum rollcall_limit {
	ROLLCALL_L_FIXED,    /* max_inflight */
	ROLLCALL_L_AIMD,     /* +1 while in use, times 0.9 on a timeout, 429 or 503 */
	ROLLCALL_L_GRADIENT2 /* falls as short-term latency rises above long-term latency */
} rollcall_limit;

/** Sizes of the three pools, 100 in all, of the published bulkhead pattern. The classic policy uses
 * the first. */
enum { ROLLCALL_CLASSIC_POOL_1 = 30, ROLLCALL_CLASSIC_POOL_2 = 40, ROLLCALL_CLASSIC_POOL_3 = 30 };

/** How calls are made. Values after a colon are the defaults; "classic" precedes those of
 * rollcall_policy_classic() that differ. */
typedef struct rollcall_policy {
	size_t size;
	struct {
		uint32_t total_ms;     /* limit of a whole call: 10000; classic 0, no limit */
		uint32_t attempt_ms;   /* limit of one attempt: 3000; classic 30000 */
		uint32_t connect_ms;   /* limit of its connection: 1000 */
		uint32_t min_start_ms; /* with less time left no attempt starts: 5 */
	} time;
	struct {
		uint32_t max_retries; /* after the first attempt: 2; classic 3 */
		uint32_t base_ms;     /* first pause, see rollcall_jitter: 50; classic 1000 */
		/** Longest pause: 2000; classic 60000. Without total_ms, a Retry-After of more ends
		 * the call. */
		uint32_t max_ms;
		rollcall_jitter jitter; /* ROLLCALL_J_FULL; classic ROLLCALL_J_CLASSIC */
		unsigned recap;         /* apply max_ms after jitter too: 1; classic 0 */
		double budget_ratio; /* retries per request over 10 s: 0.2; classic -1, no budget */
		uint32_t budget_min_per_s; /* retries per second beyond that ratio: 3 */
		unsigned retry_unknown;    /* retry unanswered requests, if safe: 1 */
		unsigned retry_5xx;        /* retry 5xx, if safe (idempotent or with a key): 1 */
		unsigned avoid_tried;      /* prefer instances not tried yet: 1; classic 0 */
	} retry;
	struct {
		rollcall_breaker_mode mode; /* ROLLCALL_B_CONSEC */
		uint32_t failure_threshold; /* CONSEC: consecutive failures that open it: 5 */
		uint32_t recovery_ms;       /* from open to the first probe: 30000 */
		uint32_t probes;            /* consecutive successes that close it: 1 */
		uint32_t window_ms;         /* RATIO: length of the window: 10000 */
		uint32_t min_calls; /* RATIO: with fewer in the window it stays closed: 20 */
		double ratio;       /* RATIO: share of failures that opens it: 0.5 */
		double slow_ratio;  /* RATIO: share slower than slow_ms that opens it: 0, off */
		uint32_t slow_ms;   /* RATIO: 0, off */
		/** Each reopening doubles recovery_ms, up to this: 0, no doubling. */
		uint32_t open_max_ms;
		double open_jitter; /* adds up to this share to recovery_ms: 0.1; classic 0 */
	} breaker;
	struct {
		uint32_t max_inflight; /* attempts at once: 100; classic 30; 0, no bulkhead */
		uint32_t max_queue;    /* attempts that wait for a place: 100; classic 0 */
		uint32_t max_wait_ms;  /* longest wait for a place: 100; classic 0 */
		rollcall_limit limit;  /* ROLLCALL_L_FIXED */
		uint32_t lim_min;      /* bounds of a limit that is not fixed: 1 */
		uint32_t lim_max;      /* 1000 */
	} bulkhead;
	/** Ejection of single instances. Read from the policy of the service, not of a route. */
	struct {
		uint32_t consec_5xx;    /* consecutive 5xx that eject: 5; classic 0, off */
		uint32_t consec_local;  /* the same for resets, timeouts, refused connections */
		uint32_t interval_ms;   /* between comparisons of success rates: 10000 */
		uint32_t base_ms;       /* the nth ejection lasts n times this: 30000 */
		uint32_t max_ms;        /* longest ejection: 300000 */
		uint32_t max_percent;   /* of instances ejected at once, but at least one: 10 */
		uint32_t panic_percent; /* with fewer usable, ejections are ignored: 50 */
		/** Ejects instances whose success rate is this many standard deviations below the
		 * mean: 1.9; classic 0, off. */
		double stdev_factor;
		uint32_t min_hosts;  /* instances needed for that comparison: 5 */
		uint32_t min_volume; /* calls per interval that each of them needs: 100 */
		double jitter;       /* adds up to this share to an ejection: 0.1 */
	} outlier;
	struct {
		double rate;  /* attempts per second: 0, no limit */
		double burst; /* attempts at once after a pause; less than 1 is 1 */
	} rate;
	/** Refuses attempts with probability max(0, (requests - k * accepts) / (requests + 1)). */
	struct {
		double k;           /* 0, off */
		uint32_t window_ms; /* over which both are counted: 120000 */
	} throttle;
	/** Sends a second copy of a safe request when the first is slow; the first answer wins. */
	struct {
		unsigned on;           /* 0 */
		double percentile;     /* of recent latencies, after which it is sent: 0.95 */
		double max_extra;      /* most copies per call: 0.05 */
		uint32_t min_delay_ms; /* never sent before this: 10 */
	} hedge;
	/** Fault injection, next to the transport, so that all layers above are exercised. */
	struct {
		unsigned armed;           /* 0 */
		double abort_p;           /* probability of an abort, 0-1 */
		int abort_status;         /* status of the answer then; 0: connection reset */
		double delay_p;           /* probability of a delay, 0-1 */
		uint32_t delay_ms;        /* its length, */
		uint32_t delay_spread_ms; /* plus or minus up to this */
		uint64_t seed;            /* the same seed gives the same faults */
	} fault;
	/** Decides the class of an answer instead of its status. NULL: by status. Any thread, also
	 * with locks held: must be short and must not call the library. */
	rollcall_class (*classify)(const rollcall_response *response, void *user);
	/** Called when a call ends neither OK nor CLIENT_ERR nor CANCELLED; may fill @p response,
	 * which then is the answer. Runs without a lock, in the thread of the blocking call or in
	 * the one that runs the client. @return 0, or a negative errno for the call to return */
	int (*fallback)(rollcall_class why, const rollcall_request *request,
	                rollcall_response *response, void *user);
	void *user;
} rollcall_policy;

ROLLCALL_API void rollcall_policy_classic_sized(rollcall_policy *policy, size_t size);
ROLLCALL_API void rollcall_policy_default_sized(rollcall_policy *policy, size_t size);
/** Sets the published pattern: a breaker that opens after 5 failures for 30 s, retries after 1 s,
 * 2 s, ... up to 60 s with jitter 0.5-1.5, a pool, and nothing else. Requests that are not safe to
 * send again are not retried. */
static inline void rollcall_policy_classic(rollcall_policy *policy)
{
	rollcall_policy_classic_sized(policy, sizeof(*policy));
}
/** Sets the defaults: the classic breaker, and safe retries, a retry budget, deadlines and
 * ejection. */
static inline void rollcall_policy_default(rollcall_policy *policy)
{
	rollcall_policy_default_sized(policy, sizeof(*policy));
}

/**
 * Sets the policy for calls to @p service whose path begins with @p route_prefix; the longest
 * prefix wins. Each route has its own breaker, bulkhead, rate and budget; they keep their state
 * when the policy of the route is replaced.
 * @param service  NULL: the default for services that are not used yet; route_prefix must be NULL
 * @param route_prefix  NULL or "": the service's own policy, for all other paths
 * @param policy  copied
 * @return 0; -EINVAL (a number is out of range); -E2BIG (a policy of a newer header that sets a
 * field this library does not know); -ENOSPC (more than 64 routes, or options.max_services)
 */
ROLLCALL_API int rollcall_set_policy(rollcall_client *client, const char *service,
                                     const char *route_prefix, const rollcall_policy *policy);

typedef enum rollcall_breaker_state {
	ROLLCALL_BREAKER_CLOSED,
	ROLLCALL_BREAKER_OPEN,
	ROLLCALL_BREAKER_HALF_OPEN
} rollcall_breaker_state;

typedef enum rollcall_force {
	ROLLCALL_FORCE_AUTO,
	ROLLCALL_FORCE_OPEN,
	ROLLCALL_FORCE_CLOSED
} rollcall_force;

/** Holds the breakers of all routes of @p service open or closed until ROLLCALL_FORCE_AUTO, with
 * which they start closed. @return 0; -EINVAL; -ENOSPC (more than options.max_services) */
ROLLCALL_API int rollcall_breaker_force(rollcall_client *client, const char *service,
                                        rollcall_force force);

/** Buckets of attempt latencies: bucket i counts those below 100 us * 2^i, the last all others. */
#define ROLLCALL_LATENCY_BUCKETS 20

/** Statistics of one service. Counters start at 0 with the client and never fall. */
typedef struct rollcall_stats_view {
	size_t size;
	uint64_t calls[ROLLCALL_CLASS_COUNT];    /* that have ended, by class */
	uint64_t attempts[ROLLCALL_CLASS_COUNT]; /* that have ended, by class */
	uint64_t retries;
	uint64_t retry_denied_budget;
	uint64_t retry_denied_deadline;
	uint64_t hedges;
	uint64_t hedges_won;
	uint64_t fallbacks;
	uint64_t ejections;
	uint64_t breaker_opened;
	uint64_t latency[ROLLCALL_LATENCY_BUCKETS];
	uint64_t revision; /* of the list in the cache */
	int64_t age_ms;    /* since the registry last confirmed that list; -1: there is none */
	uint32_t instances;
	uint32_t ejected;               /* now */
	uint32_t inflight;              /* attempts under way */
	uint32_t queued;                /* attempts that wait for a place in a bulkhead */
	rollcall_breaker_state breaker; /* of the service's own policy */
	unsigned stale; /* not 0: the last request to the registry got no good answer */
} rollcall_stats_view;

static inline void rollcall_stats_view_init(rollcall_stats_view *view)
{
	view->size = sizeof(*view);
}

/** Reads the statistics of @p service over all its routes. @return 0; -ENOENT (the client has not
 * used this service) */
ROLLCALL_API int rollcall_stats(rollcall_client *client, const char *service,
                                rollcall_stats_view *ret_view);

/** Statistics of the client itself. */
typedef struct rollcall_client_stats {
	size_t size;
	uint64_t registry_requests;  /* sent, each address that was tried counted */
	uint64_t registry_failures;  /* requests that no address answered, or only with 5xx */
	uint64_t registry_failovers; /* changes to another address */
	uint64_t heartbeats;         /* accepted */
	uint64_t reregistrations;    /* accepted after the first of each registration */
	uint32_t registrations;
	uint32_t services;
	char registry[272]; /* the address in use, as a URL */
} rollcall_client_stats;

static inline void rollcall_client_stats_init(rollcall_client_stats *stats)
{
	stats->size = sizeof(*stats);
}
/** Reads the statistics of the client. @return 0 */
ROLLCALL_API int rollcall_client_stats_get(rollcall_client *client,
                                           rollcall_client_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
