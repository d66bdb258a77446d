/* SPDX-License-Identifier: MIT */
/**
 * A transport for tests with threads: no sockets, real time, and an answer to each request at once.
 * The registry accepts every record, and reports it as draining in the answer to every other
 * heartbeat; "web" has one instance, whose weight differs in each lookup.
 */
#pragma once

#include "lib/transport/transport.h"

/** For client_open(). */
int instant_transport(const struct transport_options *options, void *arg,
                      struct transport **ret_transport);
