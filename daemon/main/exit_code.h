/* SPDX-License-Identifier: MIT */
/** Exit codes of the daemon, from sysexits.h; systemd/ and rollcalld(8) rely on them. */
#pragma once

/**
 * The exit code for a start that failed with @p error, a negative errno. It is EX_CONFIG, after
 * which systemd does not restart the daemon, only for errors that stay until an operator changes
 * the configuration or a permission; errors of a disk or a system may be gone the next time.
 */
int exit_code_of(int error);
