/* SPDX-License-Identifier: MIT */
/** The configuration file, read with libconfuse. For config/ only. */
#pragma once

#include "base/attr.h"

struct option;

/** Is told what the file holds, in the file's order. */
struct file_sink {
	void (*value)(void *arg, unsigned line, const struct option *option, const char *text);
	/** @param line  0: not known */
	void (*wrong)(void *arg, unsigned line, const char *text);
	void *arg;
};

/**
 * Reads @p path. After an unknown option or a wrong value it goes on, so that all of them are told;
 * what is not even the file's syntax ends it. Not reentrant: libconfuse keeps its state in the
 * process.
 *
 * @return 0, also when sink->wrong() was called; -ENOMEM; or the error of open() or read()
 */
int file_read(const char *path, const struct file_sink *sink) MUST_USE;
