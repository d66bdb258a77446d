/* SPDX-License-Identifier: MIT */
/** A text file that the build puts into the program: schema/embed writes arrays of them. */
#pragma once

struct embedded {
	const char *name; /* its last folder and its name: "sql/001_initial.sql" */
	const char *text;
};
