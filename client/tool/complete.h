/* SPDX-License-Identifier: MIT */
/** Completion of command lines. The shells' scripts run the tool for it, so that it follows the
 * table of commands and the registry. */
#pragma once

/**
 * Prints the candidates for the last word of a command line: one per line, with a tab and an
 * explanation. Blocks for 500 ms at most, if the registry is asked.
 * @param words  words[0] is the name of the tool; the last word is the one to complete
 * @return exit code
 */
int complete(int count, char **words);
