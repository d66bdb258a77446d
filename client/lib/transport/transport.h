/* SPDX-License-Identifier: MIT */
/**
 * transport/ moves requests and runs what waits for them: one HTTP exchange over libcurl or a
 * test's simulation (here), timers and messages (loop.h), the thread that runs the client
 * (engine.h), the addresses of the registry (registry.h) and the loops of blocking calls (loops.h).
 */
#pragma once

#include "lib/base/bytes.h"
#include "rollcall.h"

#include <stdbool.h>
#include <stdint.h>

/** One request and its answer. Embedded in its owner; stays in place until done() or cancel(). */
struct exchange {
	/* set by the owner before start(), and kept until the end */
	const char *method;
	const char *url;
	const rollcall_pair *headers;
	size_t header_count;
	const void *body; /* NULL: none */
	size_t body_len;
	uint32_t connect_ms;
	uint32_t timeout_ms; /* 0: no limit; the owner cancels */
	bool once;           /* the transport must not repeat it on another connection */
	void (*done)(struct exchange *exchange);

	/* the result */
	int error;  /* 0: there is an answer; else a negative errno */
	bool sent;  /* parts of the request may have reached the server */
	int status; /* HTTP status; 0 on error */
	struct bytes answer;
	struct bytes head; /* header lines, each with its CRLF */
	char local_ip[46];

	void *carrier; /* private to the transport */
};

/** Prepares the buffers. @param most  largest answer in bytes: a larger one is -EMSGSIZE */
void exchange_init(struct exchange *exchange, size_t most);
void exchange_fini(struct exchange *exchange);
/** Clears the last result, and keeps the memory. */
void exchange_reset(struct exchange *exchange);
/** Finds the first header called @p name, whatever its case, in header lines; @p head may be NULL.
 * @return its value, without blanks around it and not NUL-terminated; NULL: there is none */
const char *head_find(const char *head, const char *name, size_t *ret_len);
/** @return the value of a header that is one decimal number of at most 18 digits; -1: there is
 * none, or it is something else */
int64_t head_number(const char *head, const char *name);
/** @return the value of a header that is 16 hex digits; 0: there is none, or it is something else */
uint64_t head_hex64(const char *head, const char *name);

struct transport {
	/** Begins an exchange. When it has ended, step() calls exchange->done(). @return 0, or a
	 * negative errno: done() is not called */
	int (*start)(struct transport *transport, struct exchange *exchange);
	/** Ends an exchange without a call of done(); sets exchange->sent. */
	void (*cancel)(struct transport *transport, struct exchange *exchange);
	/** Blocks until there is traffic or a wake(), or until @p until_us (-1: no limit). Called
	 * without a lock. */
	void (*wait)(struct transport *transport, int64_t until_us);
	/** Handles what wait() found. Never blocks. */
	void (*step)(struct transport *transport);
	/** Ends a wait(), the present one or the next. Any thread. */
	void (*wake)(struct transport *transport);
	/** @return a descriptor that is readable when wait() would not block, or at the time of
	 * set_alarm(); or a negative errno */
	int (*fd)(struct transport *transport);
	void (*set_alarm)(struct transport *transport, int64_t due_us);
	/** @return when the transport itself needs step(), without traffic; -1: not */
	int64_t (*due_us)(struct transport *transport);
	/** @param forked  in a child of fork(): touch nothing that the parent shares */
	void (*free)(struct transport *transport, bool forked);
};

struct env;

struct transport_options {
	const struct env *env;
	const char *ca_file; /* borrowed */
	const char *user_agent;
};

/** Makes one transport. @return 0 or negative errno */
typedef int (*transport_fn)(const struct transport_options *options, void *arg,
                            struct transport **ret_transport);

/** Makes the transports of one client: one for its own loop, one for each loop of its pool. */
struct transport_source {
	transport_fn make;
	void *arg; /* for make() */
	struct transport_options options;
};

static inline int transport_new(const struct transport_source *source,
                                struct transport **ret_transport)
{
	return source->make(&source->options, source->arg, ret_transport);
}

/** A transport_fn over libcurl; @p arg is not used. @return 0, -ENOMEM, -EMFILE, -ENFILE, -EIO */
int transport_curl_new(const struct transport_options *options, void *arg,
                       struct transport **ret_transport);
