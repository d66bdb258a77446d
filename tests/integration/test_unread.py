# SPDX-License-Identifier: MIT
"""Clients that request large answers and do not read them: others are served, and memory stays bounded."""

import json
import socket

import rollcall_test as rt
import sse

METADATA_BYTES = 4000
INSTANCES = 3000
MIB = 1 << 20


def fill(daemon, service='big', count=INSTANCES, size=METADATA_BYTES):
    """Registers instances whose lookup is a few megabytes long."""
    def register(nth):
        client = daemon.client()
        for i in range(nth, count, 16):
            client.register(service, f'i{i:05}', ttl_ms=600000,
                            metadata={'text': chr(97 + i % 26) * size, 'even': str(i % 2)})
        client.close()
    rt.parallel(16, register)


class Unread(rt.TestCase):

    def ask(self, daemon, path, headers=''):
        """Sends a GET over a connection of its own and does not read the answer."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(rt.seconds(rt.REPLY_S))
        sock.connect(daemon.address)
        sock.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n'.encode())
        self.addCleanup(sock.close)
        return sock

    def assert_grown_little(self, daemon, before):
        """Checks the memory of the daemon, except with a sanitizer, which keeps freed memory and adds its own."""
        if not rt.SANITIZED:
            self.assertLess(daemon.rss_bytes() - before, 150 * MIB)

    def answered(self, daemon):
        return daemon.metric('rollcall_http_requests_total', code='200') or 0

    def test_heartbeats_are_answered_while_many_large_answers_are_not_read(self):
        daemon = self.daemon(options=['--max-unsent-bytes-per-peer=0'])
        fill(daemon)
        daemon.lookup('big')  # renders the answer that all requests share
        before = daemon.rss_bytes()
        for n in range(300):
            self.ask(daemon, '/v1/services/big?limit=10000')
            if n % 50 == 49:
                daemon.heartbeat('big', 'i00000')
        rt.wait_for(lambda: self.answered(daemon) >= 300)
        self.assertGreater(daemon.metric('rollcall_http_unsent_bytes'), 0)
        self.assert_grown_little(daemon, before)

    def test_a_peer_that_does_not_read_is_refused_further_answers(self):
        daemon = self.daemon(options=[f'--max-unsent-bytes-per-peer={40 * MIB}'])
        fill(daemon)
        socks = [self.ask(daemon, '/v1/services/big?status=any') for _ in range(3)]
        rt.wait_for(lambda: self.answered(daemon) >= 3)
        response = daemon.get('/v1/services/big?status=any')
        self.assert_problem(response, 503, 'too-much-unsent')
        self.assertEqual(response.headers['Retry-After'], '1')
        self.assert_problem(daemon.get('/v1/services/big'), 503, 'too-much-unsent')
        self.assertEqual(daemon.get('/v1/services/big?limit=3').status, 200)
        self.assertEqual(daemon.heartbeat('big', 'i00001')['status'], 'healthy')
        self.assertEqual(daemon.metric('rollcall_http_unsent_refused_total'), 2)
        for sock in socks:
            sock.close()
        rt.wait_for(lambda: daemon.get('/v1/services/big?status=any').status == 200)

    def test_watches_that_are_not_read_cost_a_page_each(self):
        daemon = self.daemon(options=['--max-unsent-bytes-per-peer=0'])
        fill(daemon)
        whole = daemon.lookup('big')
        before = daemon.rss_bytes()
        slow = sse.Stream(daemon, '/v1/services/big/watch', receive_buffer=65536)
        self.addCleanup(slow.close)
        for _ in range(100):
            self.ask(daemon, '/v1/services/big/watch')
        rt.wait_for(lambda: daemon.metric('rollcall_streams', stream='watch') == 101)
        daemon.heartbeat('big', 'i00000')
        self.assert_grown_little(daemon, before)

        # A watch sends changes made meanwhile after the state that it began with.
        daemon.register('big', 'i02999', port=81)
        daemon.deregister('big', 'i00001')
        slow.receive_fast()
        first = slow.event()
        self.assertEqual((first.kind, first.data['instances']), ('snapshot', whole['instances']))
        self.assertEqual(first.data['revision'], whole['revision'])
        changes = slow.events(2)
        self.assertEqual([(each.kind, each.data['remaining'], each.data['instance']['id']) for each in changes],
                         [('removed', 1, 'i00001'), ('updated', 0, 'i02999')])

    def test_a_watch_is_refused_or_ended_when_too_much_is_unsent(self):
        daemon = self.daemon(options=[f'--max-unsent-bytes-per-peer={16 * MIB}'])
        fill(daemon)
        self.ask(daemon, '/v1/services/big/watch')
        rt.wait_for(lambda: daemon.metric('rollcall_streams', stream='watch') == 1)
        self.assert_problem(daemon.get('/v1/services/big/watch'), 503, 'too-much-unsent')
        self.assertEqual(daemon.metric('rollcall_streams', stream='watch'), 1)

    def test_a_long_answer_is_the_same_in_each_version_and_method(self):
        daemon = self.daemon()
        fill(daemon, count=200)
        whole = daemon.get('/v1/services/big')
        for query in ('?limit=1000', '?status=any', '?meta.even=0', '?format=text', '?pretty'):
            with self.subTest(query=query):
                path = f'/v1/services/big{query}'
                answer = daemon.get(path)
                self.assertEqual(answer.status, 200)
                if query in ('?limit=1000', '?status=any'):
                    self.assertEqual(answer.body, whole.body)
                if query == '?pretty':
                    self.assertEqual(json.dumps(whole.json(), indent=2, ensure_ascii=False) + '\n', answer.text)
                known = query not in ('?format=text', '?pretty')
                self.assertEqual(answer.headers['Content-Length'], str(len(answer.body)) if known else None)
                self.assertEqual(answer.headers['Transfer-Encoding'], None if known else 'chunked')

                raw = self.raw(daemon)
                raw.send(f'GET {path} HTTP/1.0\r\n\r\n')
                self.assertEqual(raw.rest().partition(b'\r\n\r\n')[2], answer.body)

                raw = self.raw(daemon)
                raw.send(f'HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n')
                head = raw.response('HEAD')
                self.assertEqual((head.status, head.body), (200, b''))
                for name in ('Content-Length', 'Content-Type', 'ETag'):
                    self.assertEqual(head.headers[name], answer.headers[name], name)
                raw.send('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
                if known:  # otherwise the daemon sends the head only and closes the connection
                    self.assertEqual(raw.response().text, 'ok\n')
                self.assertEqual(raw.rest(), b'')

                again = daemon.get(path, If_None_Match=answer.headers['ETag'])
                self.assertEqual((again.status, again.body), (304, b''))
        self.assertEqual(daemon.metric('rollcall_http_unsent_bytes'), 0)


if __name__ == '__main__':
    rt.main()
