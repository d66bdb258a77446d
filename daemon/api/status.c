/* SPDX-License-Identifier: MIT */
#include "api/problem.h"

#include "base/attr.h"

#include <errno.h>

/* clang-format off */
const struct problem_code problem_codes[] = {
	{"malformed-target", 400, "The request target is malformed",
	 "Send a path that begins with '/', with every special character percent-encoded as UTF-8 and without NUL."},
	{"malformed-json", 400, "The body is not the JSON that is expected",
	 "Send one JSON object in UTF-8, without duplicate keys, nested at most 16 deep."},
	{"unknown-parameter", 400, "A query parameter is not known here",
	 "Look up the request's parameters in /openapi.json; names are case-sensitive."},
	{"invalid-parameter", 400, "A query parameter's value is wrong",
	 "The detail says which values are accepted."},
	{"invalid-service", 400, "The service name is not valid",
	 "Use 1-128 of A-Z a-z 0-9 . _ - and start with a letter or digit."},
	{"invalid-id", 400, "The instance id is not valid",
	 "Use 1-256 printable ASCII characters without space, percent-encoded in the path; not '.' or '..'."},
	{"unexpected-body", 400, "This request takes no body",
	 "Send it without one."},
	{"malformed-header", 400, "A header is malformed",
	 "Send header names of token characters, values without control characters, and CR LF after each line."},
	{"ambiguous-header", 400, "A header can be read in two ways",
	 "Send Content-Type once, and no header whose name only resembles Content-Length or Transfer-Encoding."},
	{"folded-header", 400, "A header goes on in a second line",
	 "Send each header in one line."},
	{"missing-host", 400, "The Host header is missing",
	 "HTTP/1.1 asks for one."},
	{"malformed-host", 400, "The Host header is wrong",
	 "Send one Host header that holds a host and perhaps a port."},
	{"malformed-length", 400, "The length of the body is wrong",
	 "Send a Content-Length that is a decimal number without a blank after it, or short chunk sizes."},
	{"ambiguous-length", 400, "The length of the body can be read in two ways",
	 "Send one Content-Length or one Transfer-Encoding, not both."},
	{"not-found", 404, "There is nothing at this path",
	 "GET / lists what there is. A slash at the end of a path matters."},
	{"unknown-service", 404, "The service has no instance",
	 "Register one, or check the name: it is case-sensitive."},
	{"not-registered", 404, "The instance is not registered",
	 "Register it again (PUT): it was never registered, was deregistered, or was removed after it expired."},
	{"method-not-allowed", 405, "The path does not know this method",
	 "The Allow header names those it knows."},
	{"compacted", 410, "Events that were asked for are no longer kept",
	 "Read the present state, then go on from the oldest revision that is left."},
	{"revision-ahead", 410, "The registry has not come to that revision",
	 "It was restored from an older state, or is another one: read the present state, then go on from its latest revision."},
	{"unknown-cursor", 410, "The place to go on from no longer exists",
	 "Start again without 'after'."},
	{"body-too-large", 413, "The body is too large",
	 "The limits are in /v1/status; send less in one request."},
	{"target-too-long", 414, "The request target is too long",
	 "Send fewer or shorter query parameters."},
	{"head-too-large", 431, "The request line and the headers are too large",
	 "The limit is in /v1/status; send fewer or shorter headers, or a shorter target."},
	{"unsupported-media-type", 415, "The body's type is not JSON",
	 "Send Content-Type: application/json (with curl: -H 'Content-Type: application/json')."},
	{"unsupported-expectation", 417, "The expectation is not known",
	 "The only one known here is 100-continue."},
	{"invalid-body", 422, "Fields of the body are wrong",
	 "Each entry of 'errors' points to a field and says what it takes."},
	{"answer-too-large", 422, "The answer would be too large",
	 "Ask for less at once with 'limit' and 'after'."},
	{"precondition-failed", 412, "The instance is not at this revision",
	 "Nothing was changed. Read the instance again and decide anew."},
	{"another-incarnation", 409, "The id has another life now",
	 "Nothing was changed. This heartbeat is of an earlier registration: register again."},
	{"invalid-condition", 400, "If-Match cannot be read",
	 "Send If-Match: \"<revision>\" with one revision, or *."},
	{"unsupported-encoding", 501, "The Transfer-Encoding is not known",
	 "Send the body with a Content-Length or chunked."},
	{"no-healthy-instance", 503, "No healthy instance matches",
	 "Try again: instances come back with their next heartbeat."},
	{"queue-full", 503, "Too many changes are waiting",
	 "Nothing was changed. Try again after a moment."},
	{"storage-failed", 503, "The storage has failed",
	 "No change is accepted until the daemon has restarted; reads and heartbeats go on."},
	{"outcome-unknown", 503, "Whether the change was made is not known",
	 "The disk failed while the change was written. Once the daemon has restarted, read the instance or send the change again: PUT and DELETE have the same effect twice."},
	{"storage-locked", 503, "Another process has locked the database",
	 "Nothing was changed. Try again; if it stays so, end the transaction of the process that the daemon's log names."},
	{"shutting-down", 503, "The daemon is stopping",
	 "Nothing was changed. Try again once it is back."},
	{"out-of-memory", 503, "The daemon has no memory for this",
	 "Nothing was changed. Try again, or give the daemon more."},
	{"unsupported-version", 505, "The version of HTTP is not known",
	 "Speak HTTP/1.1 or HTTP/1.0."},
	{"too-many-watchers", 503, "Too many requests wait for a change",
	 "Ask again without wait_ms, or later; or raise max_watchers."},
	{"too-much-unsent", 503, "Too much of other answers is not read",
	 "Read the answers that you have asked for, then ask again; or raise max_unsent_bytes or max_unsent_bytes_per_peer."},
	{"disk-full", 507, "The disk is full",
	 "Only deregistrations are accepted until there is space; reads and heartbeats go on."},
	{"too-many-instances", 507, "The registry holds as many instances as it may",
	 "Raise max_instances, or deregister what is no longer used."},
	{"too-many-bytes", 507, "The registry holds as many bytes as it may",
	 "Raise max_registry_bytes, deregister what is no longer used, or register less metadata; what does not grow is accepted."},
};
/* clang-format on */
const size_t problem_code_count = ARRAY_LEN(problem_codes);

const struct problem_code *problem_find(struct str code)
{
	for (size_t i = 0; i < problem_code_count; i++)
		if (str_equal(str_of(problem_codes[i].code), code))
			return &problem_codes[i];
	return NULL;
}

void problem_errno(struct api_response *response, int error)
{
	switch (-error) {
	case ENOENT:
		problem(response, "not-registered",
		        "the instance is not registered: register it again");
		break;
	case ESTALE:
		problem(response, "precondition-failed",
		        "the instance is not registered, or has changed since that revision");
		break;
	case EEXIST:
		problem(response, "another-incarnation",
		        "the instance was registered anew since that incarnation");
		break;
	case EAGAIN:
		problem(response, "queue-full", "too many changes are waiting for the disk");
		break;
	case ENOSPC:
		problem(response, "disk-full",
		        "the disk is full: only deregistrations are accepted");
		break;
	case EDQUOT:
		problem(response, "too-many-instances",
		        "the registry already holds as many instances as max_instances allows");
		break;
	case ENOBUFS:
		problem(response, "too-much-unsent",
		        "answers that their clients have not read hold as much as "
		        "max_unsent_bytes or max_unsent_bytes_per_peer allows");
		break;
	case EOVERFLOW:
		problem(response, "too-many-bytes",
		        "the registry would hold more bytes than max_registry_bytes allows");
		break;
	case EMSGSIZE:
		problem(response, "answer-too-large",
		        "the answer would be too large: ask for less with 'limit'");
		break;
	case ENOTRECOVERABLE:
		problem(response, "outcome-unknown",
		        "the disk failed while this change was written: it may have been made or "
		        "not");
		break;
	case EBUSY:
		problem(response, "storage-locked",
		        "another process has locked the database: nothing was changed, try again");
		break;
	case ESHUTDOWN:
		problem(response, "shutting-down", "the daemon is stopping");
		break;
	case ENOMEM:
		problem(response, "out-of-memory", "the daemon has no memory for this request");
		break;
	default: /* EIO, and whatever else a disk may answer */
		problem(response, "storage-failed",
		        "the journal cannot be read or written: the log of the daemon says why");
		break;
	}
}
