/* SPDX-License-Identifier: MIT */
/** Completion: the shells' scripts ask the tool, so it knows all that the tool knows. */
#pragma once

/**
 * Prints what may stand at the end of a command line, for completion scripts: one candidate a line,
 * with a tab and an explanation. words[0] is the tool's name; the last word is the one to be
 * completed.
 * @return exit code
 */
int complete(int count, char **words);
