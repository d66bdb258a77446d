# SPDX-License-Identifier: MIT
"""A client of event streams: Server-Sent Events and JSON lines."""

import http.client
import json
import re
import socket

import rollcall_test as rt

SSE = 'Accept: text/event-stream\r\n'


class Event:
    """One Server-Sent Event: id is the revision of its token, data is parsed JSON without history."""

    def __init__(self, kind, token, data):
        self.kind = kind
        self.token = token
        self.id = revision_of(token) if token is not None else None
        self.history = data.pop('history', None)
        self.data = data


def revision_of(token):
    return int(re.fullmatch(r'(\d+)\.[0-9a-f]{8}', token)[1])


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
        self.history = self.answer.headers['X-Rollcall-History']
        self.last_token = None
        self.has_begun = False

    @property
    def last_id(self):
        return revision_of(self.last_token)

    def take_first(self, history):
        """The first event of a stream names its history, and no other."""
        assert history == (None if self.has_begun else self.history), (history, self.history)
        self.has_begun = True

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
                self.last_token = value.strip()
                assert self.last_token.endswith('.' + self.history[:8]), self.last_token
            elif name == 'data':
                data = json.loads(value)
            elif not line.strip() and data is not None:
                event = Event(kind, self.last_token, data)
                self.take_first(event.history)
                return event
        return None

    def receive_fast(self):
        """Enlarges the receive buffer, so that the server can send what it has waiting."""
        self.raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def events(self, count):
        return [self.event() for _ in range(count)]

    def rest(self):
        return list(iter(self.event, None))

    def lines(self):
        found = [json.loads(line) for line in self.answer.read().splitlines()]
        for line in found:
            self.take_first(line.pop('history', None))
        return found

    def close(self):
        self.answer.close()
        self.raw.close()
