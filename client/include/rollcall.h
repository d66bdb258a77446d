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
 * Errors. Functions that can fail return 0 or a negative errno value, and write what they return
 * through pointers only on success unless stated otherwise; rollcall_error_text() explains a value.
 * Any function may return -ENOMEM, -EINVAL (an argument is NULL, too long or out of range; nothing
 * happened) and -ECHILD (the client was made before a fork(): a child must open its own).
 *
 * Threads. A client may be used by any number of threads at once. What is single-threaded says so.
 * Nothing here blocks unless stated. The library installs no signal handler, writes to no standard
 * stream, and keeps no global state but libcurl's one-time initialisation. Only when https is used,
 * ignore SIGPIPE in the program.
 *
 * Running it. Heartbeats, refreshes and asynchronous calls need someone to run the client, one of:
 * the library's own thread (options.thread or rollcall_thread_start()); the caller's event loop
 * (rollcall_get_fd(), rollcall_get_timeout(), rollcall_process()); or rollcall_wait(), which
 * blocks. Blocking functions run it themselves for as long as they wait, so all of them work in
 * all three.
 *
 * Callbacks. on_state, on_change and done are called from inside the function that runs the client,
 * one at a time, with no lock held, and so is the fallback of an asynchronous call: they may call
 * any function but rollcall_close() and rollcall_thread_stop(), which return -EDEADLK there and do
 * nothing. The functions of a strategy and of rollcall_env, and a policy's classify, may run with
 * locks held: they must be short and must not call the library.
 *
 * The end of a callback. When rollcall_deregister(), rollcall_watch_stop(), rollcall_call_cancel()
 * or rollcall_close() returns, the callbacks that it ends have returned and are not called again:
 * their arguments may be freed. These functions wait for such a callback when another thread runs
 * it, for as long as it takes, so the caller must not hold a lock that the callback takes. Called
 * from inside that very callback they do not wait: it is not called again after it returns.
 *
 * Lifetimes. A registration lives until rollcall_deregister(), a watch until rollcall_watch_stop(),
 * both at most until rollcall_close(); no thread may be in a function on one when it ends. Lists of
 * instances must be freed before rollcall_close(). Options and policies are copied, but the
 * functions and the arguments that they name are used until rollcall_close() has returned. (A
 * policy that was replaced: until the calls that began under it have ended.)
 *
 * Structures that a caller fills begin with their size; the _init function sets it with all
 * defaults, so that a program built against an older header keeps working. Times are milliseconds
 * (_ms) or microseconds (_us). Strings end in NUL; those passed in are borrowed for the call only.
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

/** A header, or a metadata entry. */
typedef struct rollcall_pair {
	const char *name;
	const char *value;
} rollcall_pair;

/** What a return value means, such as "no healthy instance" for -EHOSTUNREACH. Never NULL; valid
 * for ever. Takes positive and negative values. Any thread. */
ROLLCALL_API const char *rollcall_error_text(int error);
/** The version of the library, such as "0.1.0". */
ROLLCALL_API const char *rollcall_version(void);

/* --- strategies: which instance of several ----------------------------------------------- */

/** One instance as the registry described it. */
typedef struct rollcall_instance {
	const char *id;
	const char *host; /* without brackets */
	const rollcall_pair *metadata;
	size_t metadata_count;
	uint32_t weight;
	uint16_t port;
	const void *reserved;
} rollcall_instance;

/** What one pick may look at. Valid during the pick only. */
typedef struct rollcall_choice {
	size_t size;
	const rollcall_instance *instances; /* in the order of registration */
	size_t count;
	const unsigned char *skip; /* NULL, or count bytes: not 0 means ejected or tried already */
	const char *key;           /* the caller's sticky key, or NULL */
	/** Microseconds a call would wait there: peak EWMA latency times calls under way + 1. */
	double (*load)(const struct rollcall_choice *choice, size_t index);
	/** Uniform in 0 .. bound-1. */
	uint64_t (*random_below)(const struct rollcall_choice *choice, uint64_t bound);
	const void *reserved;
} rollcall_choice;

/**
 * How to choose. The library's own strategies are of this type, and a caller may write more. The
 * functions run with locks held: they must be short, and must not call the library.
 */
typedef struct rollcall_strategy {
	size_t size; /* sizeof(rollcall_strategy) */
	const char *name;
	/** State for a new set of instances, which stays valid and in place until destroy().
	 * @return NULL when out of memory: the previous set then stays in use */
	void *(*create)(const rollcall_instance *instances, size_t count, uint64_t random,
	                void *arg);
	/** Carries over from the state of the previous set. May be NULL. */
	void (*inherit)(void *state, const void *previous);
	/** @return an index that is not skipped, or ROLLCALL_NONE */
	size_t (*pick)(void *state, const rollcall_choice *choice);
	void (*destroy)(void *state);
	void *arg;
} rollcall_strategy;

/**
 * The library's own: "round_robin" (random start), "weighted_round_robin" (smooth),
 * "consistent_hash" (the ring of 100 MD5 points an instance that the registry itself uses),
 * "random", "p2c" (the less loaded of two at random; the default). @return NULL for another name
 */
ROLLCALL_API const rollcall_strategy *rollcall_strategy_named(const char *name);

/* --- the client --------------------------------------------------------------------------- */

/** Time and chance, replaceable in tests. Both are called from any thread, often, also with locks
 * held: they must not call the library. */
typedef struct rollcall_env {
	int64_t (*now_us)(void *arg); /* must never go back; NULL: CLOCK_MONOTONIC */
	uint64_t (*random_u64)(
		void *arg); /* NULL: a generator of each thread, seeded by the system */
	void *arg;
} rollcall_env;

typedef struct rollcall_options {
	size_t size;
	/** Addresses of the registry, tried in turn: "http://a:7655,http://b:7655" (or just
	 * "host:port"). NULL: http://127.0.0.1:7655. At most 16. */
	const char *registry;
	const char *token;                 /* sent to the registry as a bearer token; NULL: none */
	const char *ca_file;               /* for https; NULL: the system's */
	const char *user_agent;            /* NULL: "librollcall/VERSION" */
	const rollcall_strategy *strategy; /* borrowed until rollcall_close(); NULL: p2c */
	uint32_t cache_ttl_ms;             /* an answer is refreshed when this old: 30000 */
	uint32_t discover_timeout_ms;      /* most that a first lookup of a service waits: 3000 */
	uint32_t registry_timeout_ms;      /* for one request to the registry: 2000 */
	uint32_t registry_connect_ms;      /* for one connection to it: 1000 */
	uint32_t retry_base_ms;            /* first pause after the registry failed: 500 */
	uint32_t retry_max_ms;             /* longest: 15000 */
	uint32_t max_services;             /* distinct services discovered or called: 4096 */
	uint32_t max_watches;              /* long polls open at once; others poll at the TTL: 32 */
	int thread;                        /* not 0: rollcall_open() also starts the thread */
	rollcall_env env;
} rollcall_options;

ROLLCALL_API void rollcall_options_init_sized(rollcall_options *options, size_t size);
static inline void rollcall_options_init(rollcall_options *options)
{
	rollcall_options_init_sized(options, sizeof(*options));
}

/**
 * Makes a client. Does not connect: a registry that is down is no error.
 * @param options  copied; NULL: all defaults
 * @return 0; -EINVAL (an address does not parse); -EMFILE, -ENFILE (no file descriptors); -EAGAIN
 * (no thread); -EIO (libcurl cannot start)
 */
ROLLCALL_API int rollcall_open(const rollcall_options *options, rollcall_client **ret_client);
/**
 * Deregisters what is registered, for at most @p timeout_ms in all, stops the thread, frees. Takes
 * NULL. Blocks. No other thread may use the client any more, except a callback that is running:
 * first of all this waits for its end. No callback begins from then on; asynchronous calls that
 * have not ended are cancelled, and their done is not called. In the child of a fork() it only
 * closes what the child inherited. @return 0; -ETIMEDOUT (freed too; leases will run out);
 * -EDEADLK (called from a callback; nothing happened)
 */
ROLLCALL_API int rollcall_close(rollcall_client *client, uint32_t timeout_ms);

/** Starts the thread that runs the client; all signals are blocked in it. @return 0, -EALREADY,
 * -EAGAIN (no more threads) */
ROLLCALL_API int rollcall_thread_start(rollcall_client *client);
/** Stops it and waits for its end. Blocks briefly, or until a callback that it is in has returned.
 * Nothing when there is none. @return 0; -EDEADLK (called from a callback; nothing happened) */
ROLLCALL_API int rollcall_thread_stop(rollcall_client *client);

/** A descriptor to poll for input: when readable, or after rollcall_get_timeout(), call
 * rollcall_process(). Stays the same until rollcall_close(). */
ROLLCALL_API int rollcall_get_fd(rollcall_client *client);
/** @return milliseconds until rollcall_process() has work even without input; -1: none. The
 * descriptor also turns readable then, so a loop without timeouts may ignore this. */
ROLLCALL_API int rollcall_get_timeout(rollcall_client *client);
/** Does what is due, and calls callbacks. Never blocks. @return 0, or -EIO */
ROLLCALL_API int rollcall_process(rollcall_client *client);
/** Runs the client for @p timeout_ms, or sits out that time while the thread runs it. Blocks.
 * @return 0 */
ROLLCALL_API int rollcall_wait(rollcall_client *client, uint32_t timeout_ms);

/* --- registering this program ------------------------------------------------------------- */

/** Later versions may add states. */
typedef enum rollcall_state {
	ROLLCALL_PENDING,    /* not known to the registry, trying */
	ROLLCALL_REGISTERED, /* its lease is renewed */
	ROLLCALL_DRAINING,   /* the same, and no one is sent here any more */
	ROLLCALL_REFUSED,    /* the registry refuses the record; tried again at the longest pause */
	/** It was registered or draining, but the registry has not confirmed the lease for longer
	 * than its TTL, so that it may have run out: the registry does not answer, or only with
	 * errors. The library keeps trying. */
	ROLLCALL_UNCONFIRMED
} rollcall_state;

typedef struct rollcall_registration_options {
	size_t size;
	const char *service; /* required: 1-128 of A-Z a-z 0-9 . _ - */
	const char *id;      /* NULL: "host:port:" and 8 random hex digits */
	const char *host;    /* NULL: the local address of the connection to the registry */
	uint32_t port;       /* required: 1-65535 */
	uint32_t weight;     /* 0-65535: 100 */
	const rollcall_pair *metadata;
	size_t metadata_count; /* at most 64 */
	uint32_t ttl_ms;       /* lease: 30000 */
	uint32_t interval_ms;  /* between heartbeats, give or take a tenth; 0: a third of ttl_ms */
	int64_t remove_after_ms; /* -1: the registry's default */
	/** Called after each change of state; of changes in quick succession only the last may be
	 * reported. NULL: none. */
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
 * Begins to register, and keeps the registration alive: heartbeats, registers again when the
 * registry has forgotten it, retries for ever with pauses, turns to the next address when one
 * fails. @param options  copied. @return 0; -EINVAL
 */
ROLLCALL_API int rollcall_register(rollcall_client *client,
                                   const rollcall_registration_options *options,
                                   rollcall_registration **ret_registration);
/** Waits until it is registered or draining. Blocks. @return 0, -ETIMEDOUT (goes on trying), or
 * -EACCES, -EPERM (the registry refuses the record) */
ROLLCALL_API int rollcall_registration_wait(rollcall_registration *registration,
                                            uint32_t timeout_ms);
ROLLCALL_API rollcall_state rollcall_registration_state(rollcall_registration *registration);
/** Copies the id, which is known from the first time it was registered. @return 0, -EAGAIN (not
 * known yet), -EMSGSIZE */
ROLLCALL_API int rollcall_registration_id(rollcall_registration *registration, char *out,
                                          size_t size);
/** Copies why the last request for it failed, cut to @p size: the registry's words, or what kept it
 * from answering. The next success ends that. @return 0; -ENOENT: it did not fail */
ROLLCALL_API int rollcall_registration_failure(rollcall_registration *registration, char *out,
                                               size_t size);
/** The load, 0-1, that heartbeats report from now on. */
ROLLCALL_API int rollcall_registration_set_load(rollcall_registration *registration, double load);
/** Tells the registry to send no one here any more, and waits for its word. The registration
 * stays, draining, through restarts of the registry too. Blocks. @return 0, -ETIMEDOUT (will be
 * told with the next heartbeat that arrives) */
ROLLCALL_API int rollcall_drain(rollcall_registration *registration, uint32_t timeout_ms);
/** The reverse. */
ROLLCALL_API int rollcall_resume(rollcall_registration *registration, uint32_t timeout_ms);
/**
 * Deregisters and frees, also when that fails. Takes NULL. Blocks: first until a running on_state
 * has returned (unless this is called from it), then for at most @p timeout_ms. on_state is not
 * called again. @return 0; -ETIMEDOUT (the registry did not answer; the lease will run out);
 * -EACCES
 */
ROLLCALL_API int rollcall_deregister(rollcall_registration *registration, uint32_t timeout_ms);

/* --- discovering others ------------------------------------------------------------------- */

/** One instance, copied out. */
typedef struct rollcall_endpoint {
	size_t size;
	int64_t age_ms; /* since the registry last confirmed the answer it is from */
	uint32_t weight;
	uint16_t port;
	unsigned char stale; /* not 0: the registry did not answer when last asked */
	char host[ROLLCALL_HOST_MAX + 1];
	char id[ROLLCALL_ID_MAX + 1];
} rollcall_endpoint;

static inline void rollcall_endpoint_init(rollcall_endpoint *endpoint)
{
	endpoint->size = sizeof(*endpoint);
}

/**
 * Picks an instance of @p service by its strategy, from the cache. The first time for a service it
 * asks the registry and blocks, for at most discover_timeout_ms; after that never.
 * @param key  sticky key for consistent_hash; NULL: none
 * @return 0; -ENOENT (the registry knows no such service); -EHOSTUNREACH (it does, but no instance
 * is healthy); -ENOTCONN (never answered: the registry is unreachable); -EACCES (it refuses us);
 * -ENOSPC (more than max_services)
 */
ROLLCALL_API int rollcall_discover(rollcall_client *client, const char *service, const char *key,
                                   rollcall_endpoint *ret_endpoint);
/** The same, but never blocks: -EAGAIN when the first answer is still awaited. */
ROLLCALL_API int rollcall_discover_now(rollcall_client *client, const char *service,
                                       const char *key, rollcall_endpoint *ret_endpoint);

/** All healthy instances, as one frozen list. Blocks and fails as rollcall_discover(); an empty
 * list is no error. @param ret_list  freed by rollcall_instances_free(), before rollcall_close() */
ROLLCALL_API int rollcall_get_instances(rollcall_client *client, const char *service,
                                        rollcall_instances **ret_list);
ROLLCALL_API size_t rollcall_instances_count(const rollcall_instances *list);
/** @return one of them, valid as long as the list; NULL past its end */
ROLLCALL_API const rollcall_instance *rollcall_instances_at(const rollcall_instances *list,
                                                            size_t index);
/** The registry's revision of this list. */
ROLLCALL_API uint64_t rollcall_instances_revision(const rollcall_instances *list);
/** Takes NULL. Any thread. */
ROLLCALL_API void rollcall_instances_free(rollcall_instances *list);

/** Calls @p on_change after each change of the healthy instances of @p service, and once when they
 * are first known; changes that come close together may be told once. */
ROLLCALL_API int rollcall_watch_start(rollcall_client *client, const char *service,
                                      void (*on_change)(rollcall_client *client,
                                                        const char *service, void *arg),
                                      void *arg, rollcall_watch **ret_watch);
/** Ends it and frees. Takes NULL. Blocks until a running on_change has returned (unless this is
 * called from it). on_change is not called again. */
ROLLCALL_API void rollcall_watch_stop(rollcall_watch *watch);

/** Sets how to choose among the instances of @p service from now on. @param strategy  borrowed
 * until rollcall_close() */
ROLLCALL_API int rollcall_set_strategy(rollcall_client *client, const char *service,
                                       const rollcall_strategy *strategy);

/* --- calling them ------------------------------------------------------------------------- */

/** How a call, or one attempt of it, ended. */
typedef enum rollcall_class {
	ROLLCALL_OK,         /* an answer below 400 */
	ROLLCALL_CLIENT_ERR, /* 4xx */
	ROLLCALL_SERVER_ERR, /* 5xx */
	ROLLCALL_NOT_SENT,   /* certainly not sent: no connection */
	ROLLCALL_UNKNOWN,    /* sent, no answer: timeout, reset */
	/* Local: no attempt was made, and nothing counts as a failure of the service. */
	ROLLCALL_REJECT_OPEN,     /* the breaker is open */
	ROLLCALL_REJECT_BULKHEAD, /* too many under way, and the queue is full or was too slow */
	ROLLCALL_REJECT_RATE,
	ROLLCALL_REJECT_THROTTLE,
	ROLLCALL_REJECT_DEADLINE, /* not enough time left */
	ROLLCALL_NO_INSTANCE,
	ROLLCALL_CANCELLED
} rollcall_class;
#define ROLLCALL_CLASS_COUNT 12

typedef enum rollcall_idempotent {
	ROLLCALL_IDEMPOTENT_AUTO, /* GET, HEAD, PUT, DELETE, OPTIONS and TRACE are */
	ROLLCALL_IDEMPOTENT_YES,
	ROLLCALL_IDEMPOTENT_NO
} rollcall_idempotent;

typedef struct rollcall_request {
	size_t size;
	const char *method; /* NULL: GET */
	const char *path;   /* with query, percent-encoded, beginning with '/'; NULL: "/" */
	/** Those that the library sends itself replace one of the same name here:
	 * Request-Timeout-Ms, traceparent, tracestate, X-Retry-Attempt, Idempotency-Key. */
	const rollcall_pair *headers;
	size_t header_count; /* at most 64 */
	const void *body;    /* borrowed until the call has ended; asynchronous calls copy it */
	size_t body_len;
	rollcall_idempotent idempotent;
	/** Sent as Idempotency-Key: the service promises to act once for each key, so that the
	 * request may be sent again. */
	const char *key;
	const char *sticky; /* key for consistent_hash */
	/** Of the caller's span (W3C Trace Context); NULL: the one in headers. When there is none,
	 * more than one, or it is not valid, a new trace begins. */
	const char *traceparent;
	uint32_t timeout_ms;    /* for all of it; 0, or more than the policy's: the policy's */
	uint32_t retry_attempt; /* not 0: itself part of a retry further out, so not retried here */
	size_t max_response;    /* bytes of body: 16 MiB */
	/** Sent on as it is, with a valid traceparent only; NULL: those in headers, joined by ','.
	 * Dropped when longer than 4096 bytes or of more than 32 entries. */
	const char *tracestate;
} rollcall_request;

typedef struct rollcall_response {
	size_t size;
	char *body; /* NUL-terminated; NULL when there is none */
	size_t body_len;
	char *headers; /* as received, "Name: value\r\n" each; NULL when there is none */
	int status;    /* of HTTP; 0: no answer */
	int error;     /* 0, or the negative errno that the call returned */
	rollcall_class outcome;
	uint32_t attempts; /* sent to the transport, hedges included */
	int64_t elapsed_us;
	int from_fallback;
	char instance[ROLLCALL_ID_MAX + 1]; /* that the outcome is from; empty: none */
	/** ROLLCALL_OK, or why a further attempt was not sent (such as ROLLCALL_REJECT_OPEN). All
	 * else is then of the attempt before, if there was one. */
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
/** Frees what it holds; it may be used again. */
ROLLCALL_API void rollcall_response_clear(rollcall_response *response);
/** For a fallback: copies @p body into the response. @return 0, -ENOMEM */
ROLLCALL_API int rollcall_response_set(rollcall_response *response, int status, const void *body,
                                       size_t body_len);
/** Copies the first header of that name (case ignored). @return 0, -ENOENT, -EMSGSIZE */
ROLLCALL_API int rollcall_response_header(const rollcall_response *response, const char *name,
                                          char *out, size_t size);

/**
 * For a service that, while it answers a request, calls others: takes over the deadline
 * (Request-Timeout-Ms), the trace (traceparent, tracestate) and whether it is a retry
 * (X-Retry-Attempt). @p request must be new: of two deadlines it keeps the earlier. A header that
 * is not a number where it should be is ignored.
 * @param header  gives the value of a header of the request being answered, joined by ',' if it was
 *                given more than once, or NULL; @p request borrows a traceparent and a tracestate
 * @return 0, or -ETIMEDOUT: the caller has given up already
 */
ROLLCALL_API int rollcall_request_inherit(rollcall_request *request,
                                          const char *(*header)(const char *name, void *arg),
                                          void *arg);

/**
 * Calls @p service, with all that its policy says: fallback, deadline, retries, rate, throttle,
 * breaker, bulkhead, ejection, hedging. Blocks until it has ended. Cleans @p response first; fills
 * it on failure too.
 * @return 0: there is an answer, whatever its status, or the fallback gave one; -ECONNREFUSED (not
 * sent); -ETIMEDOUT, -ECONNRESET (sent, no answer); -EBUSY (rejected here, and no attempt was sent
 * before: see outcome);
 * -EHOSTUNREACH, -ENOENT, -ENOTCONN, -EACCES, -ENOSPC (no instance: as rollcall_discover());
 * -EMSGSIZE (the answer is larger than max_response)
 */
ROLLCALL_API int rollcall_call(rollcall_client *client, const char *service,
                               const rollcall_request *request, rollcall_response *response);

/** @param response  its body and headers may be taken over by setting them to NULL */
typedef void (*rollcall_done_fn)(rollcall_client *client, int error, rollcall_response *response,
                                 void *arg);
/** Begins a call and returns; @p done is called once, inside the function that runs the client,
 * unless the call is cancelled or the client closed. @param ret_id  for rollcall_call_cancel(), set
 * before @p done is called; may be NULL */
ROLLCALL_API int rollcall_call_start(rollcall_client *client, const char *service,
                                     const rollcall_request *request, rollcall_done_fn done,
                                     void *arg, uint64_t *ret_id);
/** Ends a call without calling done. Blocks until a running done of that call has returned (unless
 * this is called from it). @return 0: done is not called; -ENOENT: it has been called, or there is
 * no such call */
ROLLCALL_API int rollcall_call_cancel(rollcall_client *client, uint64_t id);

/** For users of rollcall_discover() with a transport of their own: tells how a call of @p id went,
 * so that strategy and ejection learn from it. @return 0, -ENOENT (no such instance now) */
ROLLCALL_API int rollcall_report(rollcall_client *client, const char *service, const char *id,
                                 rollcall_class outcome, int64_t latency_us);

/* --- policies ----------------------------------------------------------------------------- */

/** v = min(max, base * 2^n), n = 0 for the first retry, then: */
typedef enum rollcall_jitter {
	ROLLCALL_J_CLASSIC, /* v * U(0.5, 1.5) */
	ROLLCALL_J_FULL,    /* U(0, v) */
	ROLLCALL_J_EQUAL,   /* v/2 + U(0, v/2) */
	ROLLCALL_J_DECORR,  /* min(max, U(base, 3 * the previous pause)) */
	ROLLCALL_J_NONE     /* v */
} rollcall_jitter;

typedef enum rollcall_breaker_mode {
	ROLLCALL_B_OFF,
	ROLLCALL_B_CONSEC, /* so many failures in a row */
	ROLLCALL_B_RATIO   /* such a share of failures, or of slow answers, in a window */
} rollcall_breaker_mode;

typedef enum rollcall_limit {
	ROLLCALL_L_FIXED,
	ROLLCALL_L_AIMD,     /* +1 while used, times 0.9 on a drop */
	ROLLCALL_L_GRADIENT2 /* follows short-term over long-term latency */
} rollcall_limit;

/** The three pools of 100 of the published bulkhead pattern; the classic policy has the first. */
enum { ROLLCALL_CLASSIC_POOL_1 = 30, ROLLCALL_CLASSIC_POOL_2 = 40, ROLLCALL_CLASSIC_POOL_3 = 30 };

typedef struct rollcall_policy {
	size_t size;
	struct {
		uint32_t total_ms;     /* for a whole call: 10000; classic 0: no limit */
		uint32_t attempt_ms;   /* for one attempt: 3000; classic 30000 */
		uint32_t connect_ms;   /* for its connection: 1000 */
		uint32_t min_start_ms; /* no attempt with less time left: 5 */
	} time;
	struct {
		uint32_t max_retries; /* after the first attempt: 2; classic 3 */
		uint32_t base_ms;     /* 50; classic 1000 */
		/** 2000; classic 60000. Without total_ms, a Retry-After of more ends the call. */
		uint32_t max_ms;
		rollcall_jitter jitter;
		unsigned recap;      /* apply max_ms after jitter too: 1; classic 0 */
		double budget_ratio; /* retries of requests over 10 s: 0.2; below 0: no budget */
		uint32_t budget_min_per_s; /* and so many more: 3 */
		unsigned retry_unknown; /* retry when sent but unanswered, if idempotent or keyed: 1
		                         */
		unsigned retry_5xx;     /* retry 5xx, if idempotent or keyed: 1 */
		unsigned avoid_tried;   /* prefer instances not tried yet: 1; classic 0 */
	} retry;
	struct {
		rollcall_breaker_mode mode; /* ROLLCALL_B_CONSEC */
		uint32_t failure_threshold; /* 5 */
		uint32_t recovery_ms;       /* from open to the first probe: 30000 */
		uint32_t probes;            /* successes, one at a time, that close it: 1 */
		uint32_t window_ms;         /* RATIO: 10000 */
		uint32_t min_calls;         /* RATIO: 20 */
		double ratio;               /* RATIO: 0.5 */
		double slow_ratio; /* RATIO: share slower than slow_ms that opens it; 0: off */
		uint32_t slow_ms;
		uint32_t open_max_ms; /* each reopening doubles recovery_ms up to this; 0: it stays
		                       */
		double open_jitter;   /* longer by up to this share: 0.1; classic 0 */
	} breaker;
	struct {
		uint32_t max_inflight; /* 100; classic 30; 0: no bulkhead */
		uint32_t max_queue;    /* 100; classic 0 */
		uint32_t max_wait_ms;  /* in the queue: 100 */
		rollcall_limit limit;  /* ROLLCALL_L_FIXED */
		uint32_t lim_min;      /* of the others: 1 */
		uint32_t lim_max;      /* 1000 */
	} bulkhead;
	/** Ejection of single instances. Taken from the service's own policy, not a route's. */
	struct {
		uint32_t consec_5xx;    /* 5; 0: off; classic 0 */
		uint32_t consec_local;  /* resets, timeouts, refused connections: 5; 0: off; classic
		                           0 */
		uint32_t interval_ms;   /* of the comparison by success rate: 10000 */
		uint32_t base_ms;       /* the nth ejection lasts n times this: 30000 */
		uint32_t max_ms;        /* at most: 300000 */
		uint32_t max_percent;   /* of instances ejected at once, but at least one: 10 */
		uint32_t panic_percent; /* fewer usable than this: ejections are ignored: 50 */
		double stdev_factor;    /* below the mean by so many deviations: 1.9; 0: off */
		uint32_t min_hosts;     /* for that comparison: 5 */
		uint32_t min_volume;    /* calls of each: 100 */
		double jitter;          /* longer by up to this share: 0.1 */
	} outlier;
	struct {
		double rate; /* attempts a second; 0: no limit */
		double burst;
	} rate;
	struct {
		double k; /* refuse max(0, (requests - k * accepts) / (requests + 1)); 0: off */
		uint32_t window_ms; /* 120000 */
	} throttle;
	struct {
		unsigned on;           /* 0 */
		double percentile;     /* a second copy is sent after this latency: 0.95 */
		double max_extra;      /* of calls: 0.05 */
		uint32_t min_delay_ms; /* 10 */
	} hedge;
	/** Faults on purpose, innermost, so that all above is exercised. */
	struct {
		unsigned armed; /* 0 */
		double abort_p;
		int abort_status; /* the answer then; 0: connection reset */
		double delay_p;
		uint32_t delay_ms;
		uint32_t delay_spread_ms; /* give or take */
		uint64_t seed;            /* the same faults again for the same seed */
	} fault;
	/** Overrules the class of an answer. NULL: by status. Any thread, also with locks held:
	 * must be short and must not call the library. */
	rollcall_class (*classify)(const rollcall_response *response, void *user);
	/** Called when a call ends neither OK nor CLIENT_ERR nor CANCELLED; may fill @p response.
	 * @return 0: that is the answer; negative: that is the error. The thread of the blocking
	 * call, or the one that runs the client; no lock is held. */
	int (*fallback)(rollcall_class why, const rollcall_request *request,
	                rollcall_response *response, void *user);
	void *user;
} rollcall_policy;

ROLLCALL_API void rollcall_policy_classic_sized(rollcall_policy *policy, size_t size);
ROLLCALL_API void rollcall_policy_default_sized(rollcall_policy *policy, size_t size);
/** Exactly the published pattern: breaker 5 and 30 s, retries 1 s times 2 up to 60 s with jitter
 * 0.5-1.5, pools; nothing else on. Still, only what may be sent again is. */
static inline void rollcall_policy_classic(rollcall_policy *policy)
{
	rollcall_policy_classic_sized(policy, sizeof(*policy));
}
/** The classic breaker with safe retries, a retry budget, deadlines and ejection. */
static inline void rollcall_policy_default(rollcall_policy *policy)
{
	rollcall_policy_default_sized(policy, sizeof(*policy));
}

/**
 * Sets the policy of calls to @p service whose path begins with @p route_prefix; the longest
 * prefix wins. Each route has its own breaker, bulkhead, rate and budget, which keep their state.
 * @param service  NULL: the default of services not used yet (route_prefix is then NULL)
 * @param route_prefix  NULL or "": the service's own
 * @return 0; -EINVAL (a number is out of range); -ENOSPC (more than 64 routes)
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

/** Holds the breakers of all routes of @p service open or closed until ROLLCALL_FORCE_AUTO. */
ROLLCALL_API int rollcall_breaker_force(rollcall_client *client, const char *service,
                                        rollcall_force force);

/** Latencies of attempts: bucket i counts those below 100 us * 2^i, the last all others. */
#define ROLLCALL_LATENCY_BUCKETS 20

typedef struct rollcall_stats_view {
	size_t size;
	uint64_t calls[ROLLCALL_CLASS_COUNT]; /* ended, by class */
	uint64_t attempts[ROLLCALL_CLASS_COUNT];
	uint64_t retries;
	uint64_t retry_denied_budget;
	uint64_t retry_denied_deadline;
	uint64_t hedges;
	uint64_t hedges_won;
	uint64_t fallbacks;
	uint64_t ejections;
	uint64_t breaker_opened;
	uint64_t latency[ROLLCALL_LATENCY_BUCKETS];
	uint64_t revision; /* of the answer in the cache */
	int64_t age_ms;    /* of it; -1: none */
	uint32_t instances;
	uint32_t ejected; /* now */
	uint32_t inflight;
	uint32_t queued;
	rollcall_breaker_state breaker; /* of the service's own route */
	unsigned stale;
} rollcall_stats_view;

static inline void rollcall_stats_view_init(rollcall_stats_view *view)
{
	view->size = sizeof(*view);
}

/** Statistics of @p service over all its routes. @return 0, -ENOENT (not used yet) */
ROLLCALL_API int rollcall_stats(rollcall_client *client, const char *service,
                                rollcall_stats_view *ret_view);

/** Statistics of the client itself. */
typedef struct rollcall_client_stats {
	size_t size;
	uint64_t registry_requests;
	uint64_t registry_failures; /* requests that no address answered */
	uint64_t registry_failovers;
	uint64_t heartbeats; /* accepted */
	uint64_t reregistrations;
	uint32_t registrations;
	uint32_t services;
	char registry[272]; /* the address in use */
} rollcall_client_stats;

static inline void rollcall_client_stats_init(rollcall_client_stats *stats)
{
	stats->size = sizeof(*stats);
}
ROLLCALL_API int rollcall_client_stats_get(rollcall_client *client,
                                           rollcall_client_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
