/* SPDX-License-Identifier: MIT */
/** The configuration file, read with libconfuse. For config/ only. */
#pragma once

#include "base/attr.h"

struct option;

/** Called for each value and error, in the order of the file. */
struct file_sink {
	void (*value)(void *arg, unsigned line, const struct option *option, const char *text);
	/** @param line  0: unknown */
	void (*wrong)(void *arg, unsigned line, const char *text);
	void *arg;
};

/**
 * Reads @p path. Continues after an unknown option or a wrong value, to report all of them; stops
 * at a syntax error. Not reentrant: libconfuse keeps state in static variables.
 *
 * @return 0, also when sink->wrong() was called; -ENOMEM; or the error of open() or read()
 */
int file_read(const char *path, const struct file_sink *sink) MUST_USE;
