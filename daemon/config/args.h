/* SPDX-License-Identifier: MIT */
/** Parses the command line; option_set() checks the values later. For config/ only. */
#pragma once

#include "base/attr.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

struct option;

struct args_value {
	const struct option *option;
	const char *text; /* borrowed from argv */
};

struct args {
	enum config_action action;
	const char *file; /* --config, or NULL; borrowed from argv */
	struct args_value *values;
	size_t count;
};

/** @return 0; -EINVAL: each error has been reported; -ENOMEM. Call args_fini() in all cases. */
int args_parse(struct args *args, int argc, char **argv, config_report_fn report) MUST_USE;
void args_fini(struct args *args);
