/* SPDX-License-Identifier: MIT */
#include "main/exit_code.h"

#include <errno.h>
#include <sysexits.h>

int exit_code_of(int error)
{
	switch (-error) {
	case EBUSY:
	case ETXTBSY: /* another process writes the database */
		return EX_TEMPFAIL;
	case EPROTO: /* a journal of a newer version */
	case EACCES:
	case EPERM:
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
	case ELOOP:
	case ENAMETOOLONG:
		return EX_CONFIG;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN:
		return EX_OSERR;
	default: /* EIO, ENOSPC, EROFS, ESTALE and other errors of file systems */
		return EX_IOERR;
	}
}
