/* SPDX-License-Identifier: MIT */
/**
 * An instance: one registered endpoint of a service, with what its owner registered and what the
 * registry adds (status, times, revision). struct instance is a plain value; its strings are
 * borrowed from the code that filled it. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Limits, published by /v1/status and in the API's description. Lengths are in bytes. */
#define SERVICE_NAME_MAX     128
#define INSTANCE_ID_MAX      256
#define HOST_MAX             253
#define WEIGHT_MAX           65535
#define WEIGHT_DEFAULT       100
#define METADATA_ENTRIES_MAX 64
#define METADATA_BYTES_MAX   16384 /* keys and values together */
#define TTL_MS_NONE          0     /* no lease */
#define TTL_MS_MIN           1000
#define TTL_MS_MAX           86400000
#define TTL_MS_DEFAULT       30000
#define REMOVE_AFTER_MS_MAX  31536000000
#define REMOVE_AFTER_DEFAULT 600000 /* ms; 0 = keep for ever */
#define REASON_MAX           256
#define AUTHOR_MAX           128
#define STATUS_BY_MAX        (AUTHOR_MAX + 16) /* an author with a prefix such as "operator:" */
#define DRAIN_FOR_MS_MAX     2592000000        /* 30 days */

enum status { STATUS_HEALTHY, STATUS_UNHEALTHY, STATUS_DRAINING, STATUS_COUNT };

struct instance {
	/* the record: what the owner registers */
	struct str service;
	struct str id;
	struct str host;
	struct str metadata;     /* packed: key NUL value NUL ..., sorted by key, no key twice */
	int64_t ttl_ms;          /* of the lease; TTL_MS_NONE: there is no lease */
	int64_t remove_after_ms; /* from the lease's expiry to the removal; 0: never */
	uint16_t port;
	uint16_t weight;
	uint16_t metadata_count;
	bool wants_drain;       /* the owner itself registered or reported "draining" */
	bool reports_unhealthy; /* the owner reported "unhealthy" */

	/* what the registry adds; status is derived from these by instance_status() */
	bool lease_out;           /* the lease expired: no heartbeat for ttl_ms */
	bool drained;             /* by an operator: a copy of the ENTRY_INTENT */
	int64_t drained_until_ms; /* real time at which the operator's drain times out; 0: never */
	enum status status;
	struct str status_reason; /* "registered", "lease expired", an operator's reason, ... */
	struct str status_by;     /* "instance", "sweeper", "operator:NAME" */
	int64_t status_since_ms;  /* real time */
	struct str owner;         /* the principal that registered this incarnation; may be empty */
	int64_t registered_ms;    /* real time */
	uint64_t incarnation;     /* revision of the event that registered it */
	uint64_t revision;        /* of its latest event */
};

/** What determines the status: the first of these causes that applies. */
enum status_cause {
	CAUSE_OPERATOR, /* an operator's drain */
	CAUSE_LEASE,    /* the lease expired */
	CAUSE_REPORT,   /* the owner reported "unhealthy" */
	CAUSE_OWNER,    /* the owner's own drain */
	CAUSE_NONE,     /* healthy */
	CAUSE_COUNT
};
enum status_cause instance_status_cause(const struct instance *instance);
enum status instance_status(const struct instance *instance);

/** Does the instance have a lease that has not expired yet? */
bool instance_can_expire(const struct instance *instance);

/** Are the records equal? The record is all that a PUT can set. */
bool instance_same_record(const struct instance *a, const struct instance *b);

/** Copies the record: all that a PUT can set. Its strings are borrowed from @p record. */
void instance_set_record(struct instance *instance, const struct instance *record);

/** "healthy", "unhealthy", "draining". */
const char *status_name(enum status status);
/** @return 0, or -EINVAL: @p text is the name of no status */
int status_parse(struct str text, enum status *ret_status) MUST_USE;

/** The next key and value of packed metadata, borrowed from it; start with *pos = 0.
 * @return false at the end, and when the packed bytes are malformed */
bool metadata_next(struct str metadata, size_t *pos, struct str *ret_key, struct str *ret_value);
/** The value of @p key, borrowed from @p metadata. @return false when there is no such key */
bool metadata_get(struct str metadata, struct str key, struct str *ret_value);
/** Are these @p count entries, packed as struct instance documents, and within the limits? For
 * bytes that were read from a disk. */
bool metadata_is_valid(struct str metadata, uint16_t count);

/**
 * Are the numbers and the lengths of the strings within the limits for requests? For rows that
 * another program may have written with a correct checksum. The characters of the strings are not
 * checked: older journals may hold names and hosts that are refused today.
 */
bool instance_is_within_limits(const struct instance *instance);

/**
 * Appends the instance as a JSON object, in two halves, so that the first half can be rendered
 * before the commit assigns the numbers in the second:
 *
 *	open   {"service":..., ..., "registered_at":"..."
 *	close  ,"incarnation":N,"revision":N}
 *
 * Neither has the two fields that each heartbeat changes (last_heartbeat, heartbeat_age_ms).
 */
void instance_put_json_open(struct buf *out, const struct instance *instance);
void instance_put_json_close(struct buf *out, const struct instance *instance);
/** The length of the second half in bytes. */
size_t instance_json_close_len(const struct instance *instance);
/** Appends the address: "10.0.0.1:8080", "[::1]:8080". */
void instance_put_address(struct buf *out, const struct instance *instance);
