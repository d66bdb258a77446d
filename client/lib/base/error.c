/* SPDX-License-Identifier: MIT */
#include "lib/base/util.h"
#include "lib/base/version.h"
#include "rollcall.h"

#include <errno.h>
#include <stdlib.h>

const char *rollcall_error_text(int error)
{
	/* clang-format off */
	static const struct { int error; const char *text; } table[] = {
		{0,            "no error"},
		{EINVAL,       "invalid argument"},
		{E2BIG,        "the structure is of a newer version of the library"},
		{ENOMEM,       "out of memory"},
		{ECHILD,       "the client was made before a fork"},
		{ENOENT,       "unknown service"},
		{EHOSTUNREACH, "no healthy instance"},
		{ENOTCONN,     "the registry is unreachable"},
		{EACCES,       "the registry refuses access"},
		{EPERM,        "the registry refuses the record"},
		{EAGAIN,       "not known yet"},
		{ENOSPC,       "too many services or routes"},
		{ECONNREFUSED, "no connection to the instance"},
		{ECONNRESET,   "the instance gave no answer"},
		{ETIMEDOUT,    "timed out"},
		{EBUSY,        "rejected locally, to protect the service"},
		{EMSGSIZE,     "too large"},
		{EALREADY,     "already running"},
		{EDEADLK,      "called from a callback"},
		{ECANCELED,    "cancelled"},
		{EMFILE,       "out of file descriptors"},
		{ENFILE,       "out of file descriptors"},
		{EIO,          "libcurl does not work"},
	};
	/* clang-format on */
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].error == abs(error))
			return table[i].text;
	return "unknown error";
}

const char *rollcall_version(void)
{
	return client_version_text;
}
