/* SPDX-License-Identifier: MIT */
/**
 * A transport for tests with threads: no sockets, real time, and an immediate answer to each
 * request. The registry accepts every record, and every other answer to a heartbeat has the status
 * "draining"; "web" has one instance, whose weight differs in each lookup.
 */
#pragma once

#include "lib/transport/transport.h"

/** For client_open(). */
int instant_transport(const struct transport_options *options, void *arg,
                      struct transport **ret_transport);
