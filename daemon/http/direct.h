/* SPDX-License-Identifier: MIT */
/**
 * Answers that go past libmicrohttpd, onto the socket, as the last ones of their connections.
 *
 * An error that libmicrohttpd 0.9.75 finds once a head is complete (a malformed Content-Length) is
 * sent by it with two heads in one answer. A head that all but fills its memory leaves it none for
 * the head of an answer, and it closes without one. Loop's thread only.
 */
#pragma once

struct exchange;

/** Sends exchange->response and ends the sending side: what libmicrohttpd sends later is lost. */
void direct_send(struct exchange *exchange);
