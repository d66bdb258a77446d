/* SPDX-License-Identifier: MIT */
#include "api/problem.h"

#include <errno.h>

void problem_errno(struct api_response *response, int error)
{
	switch (-error) {
	case ENOENT:
		problem(response, PROBLEM_NOT_REGISTERED,
		        "the instance is not registered: register it again");
		break;
	case ESTALE:
		problem(response, PROBLEM_PRECONDITION_FAILED,
		        "the instance is not registered, or has changed since that revision");
		break;
	case EEXIST:
		problem(response, PROBLEM_ANOTHER_INCARNATION,
		        "the instance was registered anew since that incarnation");
		break;
	case EAGAIN:
		problem(response, PROBLEM_QUEUE_FULL, "too many changes are waiting for the disk");
		break;
	case ENOSPC:
		problem(response, PROBLEM_DISK_FULL,
		        "the disk is full: only deregistrations are accepted");
		break;
	case EDQUOT:
		problem(response, PROBLEM_TOO_MANY_INSTANCES,
		        "the registry already holds as many instances as max_instances allows");
		break;
	case ENOBUFS:
		problem(response, PROBLEM_TOO_MUCH_UNSENT,
		        "answers that their clients have not read hold as much as "
		        "max_unsent_bytes or max_unsent_bytes_per_peer allows");
		break;
	case EOVERFLOW:
		problem(response, PROBLEM_TOO_MANY_BYTES,
		        "the registry would hold more bytes than max_registry_bytes allows");
		break;
	case EMSGSIZE:
		problem(response, PROBLEM_ANSWER_TOO_LARGE,
		        "the answer would be too large: ask for less with 'limit'");
		break;
	case ENOTRECOVERABLE:
		problem(response, PROBLEM_OUTCOME_UNKNOWN,
		        "the disk failed while this change was written: it may have been made or "
		        "not");
		break;
	case EBUSY:
		problem(response, PROBLEM_STORAGE_LOCKED,
		        "another process has locked the database: nothing was changed, try again");
		break;
	case ESHUTDOWN:
		problem(response, PROBLEM_SHUTTING_DOWN, "the daemon is stopping");
		break;
	case ENOMEM:
		problem(response, PROBLEM_OUT_OF_MEMORY,
		        "the daemon has no memory for this request");
		break;
	default: /* EIO, and whatever else a disk may answer */
		problem(response, PROBLEM_STORAGE_FAILED,
		        "the journal cannot be read or written: the log of the daemon says why");
		break;
	}
}
