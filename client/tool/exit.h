/* SPDX-License-Identifier: MIT */
#pragma once

/** Exit codes; rollcall(1) documents them. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_ERROR = 1,
	EXIT_USAGE = 2,       /* also: a value that the registry refuses */
	EXIT_NOT_FOUND = 3,   /* no such service or instance, or none that is healthy */
	EXIT_UNREACHABLE = 4, /* no registry answered in time */
};
