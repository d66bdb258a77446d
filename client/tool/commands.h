/* SPDX-License-Identifier: MIT */
/** The table of commands, and their functions, which return exit codes. */
#pragma once

#include "tool/args.h"
#include "tool/tool.h"

#include <stddef.h>

extern const struct command commands[];
extern const size_t command_count;

/** The kinds of events, for help and completion; ends with NULL. */
extern const char *const event_kinds[];

/** @return the command; NULL: there is none of that name */
const struct command *command_find(const char *name);

/** Print `rollcall --help` and `rollcall COMMAND --help`. */
void help_all(void);
void help_command(const struct command *command);

/* ask.c */
int services_run(struct tool *tool, const struct args *args);
int instances_run(struct tool *tool, const struct args *args);
int intents_run(struct tool *tool, const struct args *args);
int pick_run(struct tool *tool, const struct args *args);
int status_run(struct tool *tool, const struct args *args);

/* change.c */
int register_run(struct tool *tool, const struct args *args);
int deregister_run(struct tool *tool, const struct args *args);
int heartbeat_run(struct tool *tool, const struct args *args);
int drain_run(struct tool *tool, const struct args *args);
int resume_run(struct tool *tool, const struct args *args);

/* events.c */
int events_run(struct tool *tool, const struct args *args);
int history_run(struct tool *tool, const struct args *args);

/* watch.c */
int watch_run(struct tool *tool, const struct args *args);

/* render.c */
int render_run(struct tool *tool, const struct args *args);

/* run.c */
int run_run(struct tool *tool, const struct args *args);

/* agent.c */
int agent_run(struct tool *tool, const struct args *args);

/* call.c */
int call_run(struct tool *tool, const struct args *args);

/* completion.c */
int completion_run(struct tool *tool, const struct args *args);
