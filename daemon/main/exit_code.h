/* SPDX-License-Identifier: MIT */
/** How the daemon ends, in the numbers of sysexits.h: systemd/ and rollcalld(8) rely on them. */
#pragma once

/**
 * The exit code for a start that failed with @p error, a negative errno. EX_CONFIG, after which
 * systemd does not start the daemon again, only for what stays wrong until somebody changes the
 * configuration or a permission; a disk or a system that refuses may do better the next time.
 */
int exit_code_of(int error);
