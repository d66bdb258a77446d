/* SPDX-License-Identifier: MIT */
/**
 * Answers that are written to the socket without libmicrohttpd, each the last one of its
 * connection.
 *
 * libmicrohttpd 0.9.75 answers an error that it finds in a complete head (a malformed
 * Content-Length) with two heads in one answer. When a head nearly fills the connection's memory,
 * none is left for the head of an answer, and libmicrohttpd closes without one. Loop's thread only.
 */
#pragma once

struct exchange;

/** Sends exchange->response and shuts our side down: what libmicrohttpd sends later is dropped. */
void direct_send(struct exchange *exchange);
