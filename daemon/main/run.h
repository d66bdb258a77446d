/* SPDX-License-Identifier: MIT */
/** Runs the daemon: start, serve, reload, stop. */
#pragma once

struct config;
struct config_sources;

/** @return the exit code (sysexits.h) */
int run_daemon(struct config *config, struct config_sources *sources);
