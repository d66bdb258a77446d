/* SPDX-License-Identifier: MIT */
/** Makes the struct tool of a command from its options and the environment. */
#pragma once

#include "tool/tool.h"

/** The names of enum format, then NULL. */
extern const char *const tool_formats[];

/** @return 0, or -EINVAL (reported); http_close(tool->http) undoes it */
int tool_set_up(struct tool *tool, const struct args *args);
