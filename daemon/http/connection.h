/* SPDX-License-Identifier: MIT */
/**
 * One client connection, from accept to close, and the deadline it is under.
 *
 * What a connection is waited for is its lane. All that stand in one lane may stand there equally
 * long, so a lane is a queue: who entered first is due first, and entering, leaving and finding who
 * is overdue take constant time.
 *
 *	SETTLE -> (IDLE ->) REQUEST -> (PARKED or WATCH ->) REPLY -> SETTLE -> ...
 *
 * libmicrohttpd does not tell when the first byte of a request arrives, only when its first line
 * has. So a connection without a request for SETTLE_MS is looked at. If TCP has received more bytes
 * than its requests were long, the next one has begun: REQUEST. Otherwise its socket is watched
 * (one shot) in the loop's own epoll, and the first byte moves it there. A request's time thus runs
 * from its first byte, or SETTLE_MS later.
 *
 * Nor does libmicrohttpd see that the peer has closed when that came along with data: it stops
 * reading after the data. So the loop's epoll watches each connection for the end too (one shot
 * again: requests that follow each other quickly cost no system call for it).
 *
 * Owner's thread only.
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
	LANE_IDLE,    /* silent; the next request's first byte is watched for */
	LANE_CLOSING, /* shut down by us; libmicrohttpd will notice */
	LANE_LINGER,  /* closed by libmicrohttpd; what the peer still sends is thrown away */
	LANE_COUNT
};

#define SETTLE_MS           1000
#define CONNECTION_PEER_MAX 64

struct connection {
	struct magic magic;
	struct loop *loop;
	struct side *side; /* whose libmicrohttpd has it; NULL: none yet, its first bytes have
 not come */
	int fd;            /* libmicrohttpd's to close; ours in LANE_LINGER */
	enum lane lane;
	bool watched;     /* the fd is in the loop's epoll */
	uint32_t awaited; /* the events that are awaited there; 0: none any more */
	int unread;       /* since the peer sends no more: what was unread when last seen */
	struct exchange *exchange; /* the request that it is at; NULL: none has begun */
	struct exchange *watching; /* in LANE_WATCH: the request that waits */
	bool refused;      /* its last request was: the peer may not have finished sending it */
	uint64_t consumed; /* bytes of all its requests; no other comes after one with chunks */
	int64_t since_ms;
	struct connection *previous; /* in the lane */
	struct connection *next;
	struct peer peer;
	enum silence silence;                /* as last passed on to the peers */
	char peer_text[CONNECTION_PEER_MAX]; /* "127.0.0.1:51234", "[::1]:80", "unix:uid=0" */
};
MAGIC(connection, 0xc0ec7a11);

struct lanes {
	struct {
		struct connection *first;
		struct connection *last;
	} lane[LANE_COUNT];
};

/** Has TCP received more than that? False for Unix sockets, where it cannot be known. */
bool connection_has_begun(const struct connection *connection);
/** From now on it may be closed in favour of a new one, or no longer: see peers.h. */
void connection_silence(struct connection *connection, enum silence silence);
/**
 * Sees the next of these events, and no more, of a socket that libmicrohttpd may wait for too.
 * @return 0; the error of epoll_ctl()
 */
int connection_see_once(struct connection *connection, uint32_t events) MUST_USE;
/** Sees, once, when the peer hangs up. */
void connection_watch_hangup(struct connection *connection);
/** Frees @p connection, which libmicrohttpd has closed or never had. */
void connection_end(struct connection *connection);
/** Writes who the peer is into peer_text. */
void connection_describe(struct connection *connection, const struct sockaddr_storage *address);

/**
 * Puts @p connection, in no lane yet, at the end of @p lane.
 * @param since_ms  from when it counts; not before the last one's there
 */
void lanes_enter(struct lanes *lanes, struct connection *connection, enum lane lane,
                 int64_t since_ms);
void lanes_leave(struct lanes *lanes, struct connection *connection);
void lanes_move(struct lanes *lanes, struct connection *connection, enum lane lane,
                int64_t since_ms);
/** @return the one that stands longest in @p lane if it has stood there for @p most_ms; NULL */
struct connection *lanes_overdue(const struct lanes *lanes, enum lane lane, int64_t most_ms,
                                 int64_t now_ms);
