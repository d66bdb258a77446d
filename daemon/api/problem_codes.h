/* SPDX-License-Identifier: MIT */
/** The list of all refusals: /problems/{slug} explains each, the OpenAPI lists the slugs. */
#pragma once

#include "base/str.h"

#include <stddef.h>

/* code, HTTP status, slug, title, what to do about it */
/* clang-format off */
#define PROBLEMS(X) \
	X(PROBLEM_MALFORMED_TARGET, 400, "malformed-target", "The request target is malformed", \
	  "Send a path that begins with '/', with every special character percent-encoded as UTF-8 and without NUL.") \
	X(PROBLEM_MALFORMED_JSON, 400, "malformed-json", "The body is not the JSON that is expected", \
	  "Send one JSON object in UTF-8, without duplicate keys, nested at most 16 deep.") \
	X(PROBLEM_UNKNOWN_PARAMETER, 400, "unknown-parameter", "A query parameter is not known here", \
	  "Look up the request's parameters in /openapi.json; names are case-sensitive.") \
	X(PROBLEM_INVALID_PARAMETER, 400, "invalid-parameter", "A query parameter's value is wrong", \
	  "The detail says which values are accepted.") \
	X(PROBLEM_INVALID_SERVICE, 400, "invalid-service", "The service name is not valid", \
	  "Use 1-128 of A-Z a-z 0-9 . _ - and start with a letter or digit.") \
	X(PROBLEM_INVALID_ID, 400, "invalid-id", "The instance id is not valid", \
	  "Use 1-256 printable ASCII characters without space, percent-encoded in the path; not '.' or '..'.") \
	X(PROBLEM_UNEXPECTED_BODY, 400, "unexpected-body", "This request takes no body", \
	  "Send it without one.") \
	X(PROBLEM_MALFORMED_HEADER, 400, "malformed-header", "A header is malformed", \
	  "Send header names of token characters, values without control characters, and CR LF after each line.") \
	X(PROBLEM_AMBIGUOUS_HEADER, 400, "ambiguous-header", "A header can be read in two ways", \
	  "Send Content-Type once, and no header whose name only resembles Content-Length or Transfer-Encoding.") \
	X(PROBLEM_FOLDED_HEADER, 400, "folded-header", "A header goes on in a second line", \
	  "Send each header in one line.") \
	X(PROBLEM_MISSING_HOST, 400, "missing-host", "The Host header is missing", \
	  "HTTP/1.1 asks for one.") \
	X(PROBLEM_MALFORMED_HOST, 400, "malformed-host", "The Host header is wrong", \
	  "Send one Host header that holds a host and perhaps a port.") \
	X(PROBLEM_MALFORMED_LENGTH, 400, "malformed-length", "The length of the body is wrong", \
	  "Send a Content-Length that is a decimal number without a blank after it, or short chunk sizes.") \
	X(PROBLEM_AMBIGUOUS_LENGTH, 400, "ambiguous-length", "The length of the body can be read in two ways", \
	  "Send one Content-Length or one Transfer-Encoding, not both.") \
	X(PROBLEM_NOT_FOUND, 404, "not-found", "There is nothing at this path", \
	  "GET / lists what there is. A slash at the end of a path matters.") \
	X(PROBLEM_UNKNOWN_SERVICE, 404, "unknown-service", "The service has no instance", \
	  "Register one, or check the name: it is case-sensitive.") \
	X(PROBLEM_NOT_REGISTERED, 404, "not-registered", "The instance is not registered", \
	  "Register it again (PUT): it was never registered, was deregistered, or was removed after it expired.") \
	X(PROBLEM_METHOD_NOT_ALLOWED, 405, "method-not-allowed", "The path does not know this method", \
	  "The Allow header names those it knows.") \
	X(PROBLEM_COMPACTED, 410, "compacted", "Events that were asked for are no longer kept", \
	  "Read the present state, then go on from the oldest revision that is left.") \
	X(PROBLEM_REVISION_AHEAD, 410, "revision-ahead", "The registry has not come to that revision", \
	  "It was restored from an older state, or is another one: read the present state, then go on from its latest revision.") \
	X(PROBLEM_ANOTHER_HISTORY, 410, "another-history", "The token belongs to another history", \
	  "The registry lost its state directory, was salvaged, or is another one: read the present state, then go on from its latest revision.") \
	X(PROBLEM_UNKNOWN_CURSOR, 410, "unknown-cursor", "The place to go on from no longer exists", \
	  "Start again without 'after'.") \
	X(PROBLEM_BODY_TOO_LARGE, 413, "body-too-large", "The body is too large", \
	  "The limits are in /v1/status; send less in one request.") \
	X(PROBLEM_TARGET_TOO_LONG, 414, "target-too-long", "The request target is too long", \
	  "Send fewer or shorter query parameters.") \
	X(PROBLEM_HEAD_TOO_LARGE, 431, "head-too-large", "The request line and the headers are too large", \
	  "The limit is in /v1/status; send fewer or shorter headers, or a shorter target.") \
	X(PROBLEM_UNSUPPORTED_MEDIA_TYPE, 415, "unsupported-media-type", "The body's type is not JSON", \
	  "Send Content-Type: application/json (with curl: -H 'Content-Type: application/json').") \
	X(PROBLEM_UNSUPPORTED_EXPECTATION, 417, "unsupported-expectation", "The expectation is not known", \
	  "The only one known here is 100-continue.") \
	X(PROBLEM_INVALID_BODY, 422, "invalid-body", "Fields of the body are wrong", \
	  "Each entry of 'errors' points to a field and says what it takes.") \
	X(PROBLEM_ANSWER_TOO_LARGE, 422, "answer-too-large", "The answer would be too large", \
	  "Ask for less at once with 'limit' and 'after'.") \
	X(PROBLEM_PRECONDITION_FAILED, 412, "precondition-failed", "The instance is not at this revision", \
	  "Nothing was changed. Read the instance again and decide anew.") \
	X(PROBLEM_ANOTHER_INCARNATION, 409, "another-incarnation", "The id has another life now", \
	  "Nothing was changed. This heartbeat is of an earlier registration: register again.") \
	X(PROBLEM_INVALID_CONDITION, 400, "invalid-condition", "If-Match cannot be read", \
	  "Send If-Match: \"<revision>\" with one revision or token, or *.") \
	X(PROBLEM_UNSUPPORTED_ENCODING, 501, "unsupported-encoding", "The Transfer-Encoding is not known", \
	  "Send the body with a Content-Length or chunked.") \
	X(PROBLEM_NO_HEALTHY_INSTANCE, 503, "no-healthy-instance", "No healthy instance matches", \
	  "Try again: instances come back with their next heartbeat.") \
	X(PROBLEM_QUEUE_FULL, 503, "queue-full", "Too many changes are waiting", \
	  "Nothing was changed. Try again after a moment.") \
	X(PROBLEM_STORAGE_FAILED, 503, "storage-failed", "The storage has failed", \
	  "No change is accepted until the daemon has restarted; reads and heartbeats go on.") \
	X(PROBLEM_OUTCOME_UNKNOWN, 503, "outcome-unknown", "Whether the change was made is not known", \
	  "The disk failed while the change was written. Once the daemon has restarted, read the instance or send the change again: PUT and DELETE have the same effect twice.") \
	X(PROBLEM_STORAGE_LOCKED, 503, "storage-locked", "Another process has locked the database", \
	  "Nothing was changed. Try again; if it stays so, end the transaction of the process that the daemon's log names.") \
	X(PROBLEM_SHUTTING_DOWN, 503, "shutting-down", "The daemon is stopping", \
	  "Nothing was changed. Try again once it is back.") \
	X(PROBLEM_OUT_OF_MEMORY, 503, "out-of-memory", "The daemon has no memory for this", \
	  "Nothing was changed. Try again, or give the daemon more.") \
	X(PROBLEM_UNSUPPORTED_VERSION, 505, "unsupported-version", "The version of HTTP is not known", \
	  "Speak HTTP/1.1 or HTTP/1.0.") \
	X(PROBLEM_TOO_MANY_WATCHERS, 503, "too-many-watchers", "Too many requests wait for a change", \
	  "Ask again without wait_ms, or later; or raise max_watchers.") \
	X(PROBLEM_TOO_MUCH_UNSENT, 503, "too-much-unsent", "Too much of other answers is not read", \
	  "Read the answers that you have asked for, then ask again; or raise max_unsent_bytes or max_unsent_bytes_per_peer.") \
	X(PROBLEM_DISK_FULL, 507, "disk-full", "The disk is full", \
	  "Only deregistrations are accepted until there is space; reads and heartbeats go on.") \
	X(PROBLEM_TOO_MANY_INSTANCES, 507, "too-many-instances", "The registry holds as many instances as it may", \
	  "Raise max_instances, or deregister what is no longer used.") \
	X(PROBLEM_TOO_MANY_BYTES, 507, "too-many-bytes", "The registry holds as many bytes as it may", \
	  "Raise max_registry_bytes, deregister what is no longer used, or register less metadata; what does not grow is accepted.")
/* clang-format on */

enum problem {
#define PROBLEM_MEMBER(code, status, slug, title, advice) code,
	PROBLEMS(PROBLEM_MEMBER)
#undef PROBLEM_MEMBER
		PROBLEM_COUNT
};

struct problem_code {
	const char *slug;
	unsigned status;
	const char *title;
	const char *advice;
	struct str page; /* the text of /problems/{slug} */
};

/** By enum problem. */
extern const struct problem_code problem_codes[PROBLEM_COUNT];
/** @return the problem with @p slug, NULL when there is none */
const struct problem_code *problem_find(struct str slug);
