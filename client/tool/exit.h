/* SPDX-License-Identifier: MIT */
/** The exit codes of every command; rollcall(1) documents them. */
#pragma once

enum exit_code {
	EXIT_OK = 0,
	EXIT_ERROR = 1,
	EXIT_USAGE = 2,       /* usage error, or a value that the registry refuses */
	EXIT_NOT_FOUND = 3,   /* no such service or instance, or no healthy one */
	EXIT_UNREACHABLE = 4, /* no registry answered in time */
};
