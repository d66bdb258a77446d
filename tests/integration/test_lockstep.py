# SPDX-License-Identifier: MIT
"""Many connections that send requests at the same instant, again and again.

An event loop that takes a full batch of events to mean that more are ready, and then waits, stalls for ever when
exactly as many connections as its batch holds wait for their answers: 128 in libmicrohttpd's own loops. Only
lockstep shows this: each round sends all requests and then reads all answers.
"""

import rollcall_test as rt

ROUNDS = 20 if rt.SANITIZED else 100
LOOKUP = b'GET /v1/services/web HTTP/1.1\r\nHost: x\r\n\r\n'
HEARTBEAT = b'POST /v1/services/web/instances/a/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n'
BODY = b'{"host":"10.0.0.1","port":80,"weight":%d}'
REGISTER = (b'PUT /v1/services/web/instances/%d HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
            b'Content-Length: %d\r\n\r\n%s')


def register(i, round_number):
    body = BODY % (round_number % 100)
    return REGISTER % (i, len(body), body)


class Lockstep(rt.TestCase):
    """The tests differ by the number of connections and the kind of request; a stall is a socket timeout."""

    def in_lockstep(self, count, rounds, request):
        """request(connection number, round) gives what to send; all answers must come and be 2xx."""
        daemon = self.daemon()
        daemon.register('web', 'a', metadata={'filler': 'x' * 1000})
        connections = [self.raw(daemon, timeout=10) for _ in range(count)]
        for round_number in range(rounds):
            for i, connection in enumerate(connections):
                connection.send(request(i, round_number))
            for i, connection in enumerate(connections):
                try:
                    response = connection.response()
                except TimeoutError:
                    self.fail(f'connection {i} of {count} got no answer in round {round_number}')
                self.assertIn(response.status, (200, 201), response)
        self.assertEqual(daemon.get('/healthz').status, 200)

    def test_127_lookups(self):
        self.in_lockstep(127, ROUNDS, lambda i, n: LOOKUP)

    def test_128_lookups(self):
        self.in_lockstep(128, ROUNDS, lambda i, n: LOOKUP)

    def test_129_lookups(self):
        self.in_lockstep(129, ROUNDS, lambda i, n: LOOKUP)

    def test_256_lookups(self):
        self.in_lockstep(256, ROUNDS, lambda i, n: LOOKUP)

    def test_512_lookups(self):
        self.in_lockstep(512, ROUNDS // 4, lambda i, n: LOOKUP)

    def test_128_heartbeats(self):
        self.in_lockstep(128, ROUNDS, lambda i, n: HEARTBEAT)

    def test_128_registrations_that_park(self):
        self.in_lockstep(128, ROUNDS, register)

    def test_256_registrations_that_park(self):
        self.in_lockstep(256, ROUNDS // 2, register)

    def test_512_registrations_that_park(self):
        self.in_lockstep(512, ROUNDS // 4, register)

    def test_128_of_all_kinds(self):
        self.in_lockstep(128, ROUNDS, lambda i, n: (
            LOOKUP, HEARTBEAT, register(i, n), register(i, n))[(i + n) % 4])


if __name__ == '__main__':
    rt.main()
