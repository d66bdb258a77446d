# SPDX-License-Identifier: MIT
"""A client of streams: Server-Sent Events and JSON lines."""

import http.client
import json

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

    def __init__(self, daemon, path, headers=SSE, timeout=60, version='1.1', **parameters):
        self.raw = daemon.raw(timeout=timeout)
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

    def events(self, count):
        return [self.event() for _ in range(count)]

    def rest(self):
        return list(iter(self.event, None))

    def lines(self):
        return [json.loads(line) for line in self.answer.read().splitlines()]

    def close(self):
        self.answer.close()
        self.raw.close()
