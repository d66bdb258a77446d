/* SPDX-License-Identifier: MIT */
/** completion: prints a shell's completion script. */
#include "tool/builtin.h"
#include "tool/commands.h"

#include <stdio.h>

int completion_run(struct tool *tool, const struct args *args)
{
	const char *script = builtin_find(BUILTIN_COMPLETION, args->operands[0]);

	(void)tool; /* sends no request */
	if (script == NULL) {
		tool_warn("completion takes bash, zsh or fish, not '%s'", args->operands[0]);
		return EXIT_USAGE;
	}
	(void)fputs(script, stdout);
	return EXIT_OK;
}
