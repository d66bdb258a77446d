/* SPDX-License-Identifier: MIT */
/**
 * What carries one HTTP exchange: libcurl, or in tests a simulation in virtual time.
 */
#pragma once

#include "lib/base/bytes.h"
#include "rollcall.h"

#include <stdbool.h>
#include <stdint.h>

/** One request and its answer. Embedded in whoever asks; stays in place until done or cancelled. */
struct exchange {
	/* set by its owner before transport_start(), and kept until the end */
	const char *method;
	const char *url;
	const rollcall_pair *headers;
	size_t header_count;
	const void *body; /* NULL: none */
	size_t body_len;
	uint32_t connect_ms;
	uint32_t timeout_ms; /* 0: the owner cancels */
	bool once;           /* must not be sent again by the transport's own initiative */
	void (*done)(struct exchange *exchange);

	/* the result */
	int error;  /* 0: an answer came; else a negative errno */
	bool sent;  /* something may have reached the other side */
	int status; /* 0 when error */
	struct bytes answer;
	struct bytes head; /* header lines, each with its CRLF */
	char local_ip[46];

	void *carrier; /* the transport's */
};

/** Prepares the buffers. @param most  bytes of answer accepted: more is -EMSGSIZE */
void exchange_init(struct exchange *exchange, size_t most);
void exchange_fini(struct exchange *exchange);
/** Forgets the last result, keeps the memory. */
void exchange_reset(struct exchange *exchange);
/** The value of the first answer header of that name, without blanks around it; NULL: none. */
const char *head_find(const char *head, const char *name, size_t *ret_len);
/** A header that is one decimal number; -1 when it is not there or is something else. */
int64_t head_number(const char *head, const char *name);

struct transport {
	/** Begins. The end is told by exchange->done(), from step() only. @return 0 or -errno */
	int (*start)(struct transport *transport, struct exchange *exchange);
	/** Ends without done(); fills sent. */
	void (*cancel)(struct transport *transport, struct exchange *exchange);
	/** Blocks until something can be done, or @p until_us (-1: no limit). No lock is held. */
	void (*wait)(struct transport *transport, int64_t until_us);
	/** Does what wait() found, never blocks. */
	void (*step)(struct transport *transport);
	void (*wake)(struct transport *transport);
	/** A descriptor that is readable when wait() would not block, given the time set below. */
	int (*fd)(struct transport *transport);
	void (*set_alarm)(struct transport *transport, int64_t due_us);
	/** Its own next time; -1: none. */
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
