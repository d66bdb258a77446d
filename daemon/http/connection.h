/* SPDX-License-Identifier: MIT */
/**
 * One client connection, from accept to close, and its deadline.
 *
 * A connection stands in the lane of what it waits for. All connections of a lane have the same
 * time, so a lane is a queue: the first one is due first, and entering, leaving and finding an
 * overdue connection take constant time.
 *
 *	SETTLE -> (IDLE ->) REQUEST -> (PARKED or WATCH ->) REPLY -> SETTLE -> ...
 *
 * libmicrohttpd does not report the first byte of a request, only its whole first line. So the loop
 * looks at a connection that had no request for SETTLE_MS. If TCP has received more bytes than the
 * requests so far were long, the next request has begun: REQUEST. Otherwise the loop's own epoll
 * watches the socket (one shot), and the first byte moves the connection to REQUEST. A request's
 * time thus runs from its first byte, or from at most SETTLE_MS later.
 *
 * libmicrohttpd does not notice either that the peer has closed if the end arrives together with
 * data: it stops reading after the data. So the loop's epoll also watches each connection for its
 * end (one shot again: requests in quick succession cost no system call for it).
 *
 * Loop's thread only.
 */
#pragma once

#include "base/attr.h"
#include "base/check.h"
#include "http/peers.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct exchange;
struct side;

enum lane {
	LANE_REQUEST, /* a request has begun to arrive */
	LANE_PARKED,  /* its request waits for the writer */
	LANE_WATCH,   /* its request waits for a change, until its own deadline */
	LANE_REPLY,   /* an answer is on its way out */
	LANE_SETTLE,  /* accepted or answered a moment ago */
	LANE_IDLE,    /* silent; epoll watches for the next request's first byte */
	LANE_CLOSING, /* shut down by us; libmicrohttpd closes it next */
	LANE_LINGER,  /* closed by libmicrohttpd; bytes that still arrive are thrown away */
	LANE_COUNT
};

#define SETTLE_MS           1000
#define CONNECTION_PEER_MAX 64

struct connection {
	struct magic magic;
	struct loop *loop;
	struct side *side; /* its libmicrohttpd; NULL: no byte has arrived yet */
	int fd;            /* libmicrohttpd closes it; in LANE_LINGER we do */
	enum lane lane;
	bool watched;              /* the fd is in the loop's epoll */
	uint32_t awaited;          /* the events that epoll waits for there; 0: none */
	int unread;                /* unread bytes when see_end() last looked */
	struct exchange *exchange; /* the current request; NULL: none has begun */
	struct exchange *watching; /* in LANE_WATCH: the request that waits */
	bool refused;      /* the last request was refused: the peer may still be sending it */
	uint64_t consumed; /* bytes of all requests so far; a chunked request is the last one */
	int64_t since_ms;  /* when it entered the lane */
	struct connection *previous; /* in the lane */
	struct connection *next;
	struct peer peer;
	enum silence silence;                /* as peers_silence() last got it */
	char peer_text[CONNECTION_PEER_MAX]; /* "127.0.0.1:51234", "[::1]:80", "unix:uid=0" */
};
MAGIC(connection, 0xc0ec7a11);

struct lanes {
	struct {
		struct connection *first;
		struct connection *last;
	} lane[LANE_COUNT];
};

/** Has TCP received more bytes than `consumed`? False for Unix sockets, which do not count. */
bool connection_has_begun(const struct connection *connection);
/** Sets whether the connection may give way to a new one: see peers.h. */
void connection_silence(struct connection *connection, enum silence silence);
/**
 * Makes the loop's epoll report the next of @p events once; libmicrohttpd may wait for the same
 * socket in its own epoll.
 * @return 0; the error of epoll_ctl()
 */
int connection_see_once(struct connection *connection, uint32_t events) MUST_USE;
/** Makes the loop's epoll report once that the peer has hung up. */
void connection_watch_hangup(struct connection *connection);
/** Frees @p connection, whose fd libmicrohttpd has closed or never had. */
void connection_end(struct connection *connection);
/** Sets peer_text. */
void connection_describe(struct connection *connection, const struct sockaddr_storage *address);

/**
 * Puts @p connection, which is in no lane, at the end of @p lane.
 * @param since_ms  when its time begins; not before that of the last one in the lane
 */
void lanes_enter(struct lanes *lanes, struct connection *connection, enum lane lane,
                 int64_t since_ms);
void lanes_leave(struct lanes *lanes, struct connection *connection);
void lanes_move(struct lanes *lanes, struct connection *connection, enum lane lane,
                int64_t since_ms);
/** @return the first connection of @p lane if it has been there for @p most_ms; else NULL */
struct connection *lanes_overdue(const struct lanes *lanes, enum lane lane, int64_t most_ms,
                                 int64_t now_ms);
