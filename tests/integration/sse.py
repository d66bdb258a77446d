# SPDX-License-Identifier: MIT
"""A client of streams: Server-Sent Events and JSON lines."""

import http.client
import json
import socket

import rollcall_test as rt

SSE = 'Accept: text/event-stream\r\n'


class Event:
    """One Server-Sent Event as its client gets it."""

    def __init__(self, kind, revision, data):
        self.kind = kind
        self.id = revision
        self.data = data


class Stream:
    """Reads a stream on a connection of its own."""

    def __init__(self, daemon, path, headers=SSE, timeout=60, version='1.1', receive_buffer=None,
                 **parameters):
        self.raw = daemon.raw(timeout=timeout)
        if receive_buffer:
            self.raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.raw.send(f'GET {path}{rt.query(**parameters)} HTTP/{version}\r\nHost: x\r\n{headers}\r\n')
        self.answer = http.client.HTTPResponse(self.raw.stream)
        self.answer.begin()
        self.last_id = None

    @property
    def status(self):
        return self.answer.status

    def event(self):
        """The next event; None at the end of the stream."""
        kind, data = None, None
        while line := self.answer.readline().decode():
            name, _, value = line.rstrip('\n').partition(':')
            if name == 'event':
                kind = value.strip()
            elif name == 'id':
                self.last_id = int(value)
            elif name == 'data':
                data = json.loads(value)
            elif not line.strip() and data is not None:
                return Event(kind, self.last_id, data)
        return None

    def receive_fast(self):
        """What a small receive buffer held up may come."""
        self.raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def events(self, count):
        return [self.event() for _ in range(count)]

    def rest(self):
        return list(iter(self.event, None))

    def lines(self):
        return [json.loads(line) for line in self.answer.read().splitlines()]

    def close(self):
        self.answer.close()
        self.raw.close()
