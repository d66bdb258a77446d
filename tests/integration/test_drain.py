# SPDX-License-Identifier: MIT
"""Draining with wait_ms: the answer comes when every live watcher has been sent the change.

Class Told has watchers that read, class Stuck watchers that do not read: their answers are larger than the buffers
of the sockets, so the daemon cannot send them the change. "told" and "untold" are the counts of the answer.
"""

import socket
import threading
import time

import rollcall_test as rt
from sse import SSE, Stream

PARKED = 'rollcall_http_parked_requests'
STREAMS = 'rollcall_streams'
LINES = 'Accept: application/jsonl\r\n'
EVENTS = '/v1/events'
WATCH = '/v1/services/web/watch'
BIG = {'filler': 'x' * 16000}
MANY = 400  # big instances are more than the buffers of two sockets hold


class Drain(threading.Thread):
    """A request PUT .../status on a connection of its own, whose answer comes later."""

    def __init__(self, daemon, name='a', **body):
        super().__init__()
        self.client = daemon.client(timeout=90)
        self.path = rt.instance_path('web', name) + '/status'
        self.body = {'status': 'draining', **body}
        self.start()

    def run(self):
        begun = time.monotonic()
        self.response = self.client.put(self.path, self.body)
        self.took = time.monotonic() - begun
        self.client.close()

    def counts(self):
        """Waits for the answer; returns (watchers_told, watchers_untold)."""
        self.join(rt.seconds(60))
        assert not self.is_alive(), 'not answered'
        answer = self.response.json()
        assert self.response.status == 200, answer
        return answer['watchers_told'], answer['watchers_untold']


class TestCase(rt.TestCase):

    def setUp(self):
        self.registry = self.daemon()
        self.registry.register('web', 'a')
        self.registry.register('web', 'b')

    def stream(self, path, headers=SSE, **parameters):
        stream = Stream(self.registry, path, headers, **parameters)
        self.addCleanup(stream.close)
        return stream

    def send(self, path, headers='', receive_buffer=None):
        """Sends a request and does not read its answer."""
        raw = self.raw(self.registry, timeout=60)
        if receive_buffer:
            raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.send(f'GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n')
        return raw

    def wait_parked(self, count):
        rt.wait_for(lambda: self.registry.metric(PARKED) == count, 20, f'{count} wait')

    def wait_draining(self, name='a'):
        rt.wait_for(lambda: self.registry.instance('web', name)['status'] == 'draining', 20)

    def drain(self, name='a', **body):
        return Drain(self.registry, name, **body)


class Told(TestCase):

    def test_every_kind_of_watcher_is_counted(self):
        polls = [self.send('/v1/services/web?revision=2&wait_ms=600000'),
                 self.send('/v1/services?revision=2&wait_ms=600000'),
                 self.send(EVENTS + '?since=2&service=web&wait_ms=600000'),
                 self.send(EVENTS + '?since=2&wait_ms=600000')]
        streams = [self.stream(WATCH), self.stream(EVENTS, service='web', since=2),
                   self.stream(EVENTS, LINES, service='web', since=2, wait_ms=600000),
                   self.stream(EVENTS, since=2)]
        self.wait_parked(8)
        self.assertEqual(self.drain(wait_ms=60000).counts(), (8, 0))
        self.assertEqual(self.registry.metric(PARKED), 4)
        for poll in polls:
            self.assertEqual(poll.response().status, 200)
        self.assertEqual(streams[0].event().kind, 'snapshot')
        self.assertEqual(streams[0].event().kind, 'removed')
        for i in (1, 3):
            self.assertEqual([e.kind for e in streams[i].events(2)], ['entry-put', 'drained'])
        self.assertIn(b'entry-put', streams[2].answer.readline())
        self.assertIn(b'drained', streams[2].answer.readline())

    def test_the_same_streams_are_counted_each_time(self):
        watch, log = self.stream(WATCH), self.stream(EVENTS, service='web', since=2)
        for name in ('a', 'b'):
            self.wait_parked(2)
            self.assertEqual(self.drain(name, wait_ms=60000).counts(), (2, 0))
        self.assertEqual([e.id for e in watch.events(3)], [2, 4, 6])
        self.assertEqual([e.id for e in log.events(4)], [3, 4, 5, 6])

    def test_who_does_not_look_at_it_is_neither_counted_nor_waited_for(self):
        self.registry.register('api', 'x')
        for path in (WATCH + '?status=unhealthy', WATCH + '?meta.zone=a',
                     '/v1/services/api/watch', EVENTS + '?service=api',
                     EVENTS + '?service=web&kind=expired', EVENTS + '?kind=expired',
                     EVENTS + '?service=web&id=b&since=3'):
            self.stream(path)
        self.send('/v1/services/web?revision=3&wait_ms=600000&meta.zone=a')
        self.send('/v1/services?revision=3&wait_ms=600000&prefix=x')
        self.wait_parked(9)
        self.assertEqual(self.drain(wait_ms=60000).counts(), (0, 0))

    def test_who_waits_for_a_listing_is_told_although_it_shows_the_same(self):
        for name in ('one', 'two'):
            self.registry.register('api', name, status='draining')
        seen = self.registry.get('/v1/services').json()['revision']
        self.send(f'/v1/services?revision={seen}&wait_ms=600000&prefix=a')
        self.send(f'/v1/services?revision={seen}&wait_ms=600000')
        self.wait_parked(2)
        path = rt.instance_path('api', 'one') + '/status'
        for _ in range(2):  # the second time nothing changes
            answer = self.registry.put(path, {'status': 'draining', 'wait_ms': 60000}).json()
            self.assertEqual((answer['watchers_told'], answer['watchers_untold']), (0, 0))
            self.wait_parked(2)

    def test_as_many_watchers_as_there_may_be_are_told(self):
        self.registry.stop()
        self.registry.options.append('--max-watchers=2')
        self.registry.start()
        self.stream(WATCH)
        self.send('/v1/services/web?revision=2&wait_ms=600000')
        self.wait_parked(2)
        self.assertEqual(self.registry.get(WATCH).code, 'too-many-watchers')
        self.assertEqual(self.drain(wait_ms=60000).counts(), (2, 0))

    def test_wait_ms_has_limits_and_0_waits_for_nobody(self):
        self.stream(WATCH)
        self.wait_parked(1)
        path = rt.instance_path('web', 'a') + '/status'
        for wait_ms in (600001, -1, 1.5, '5', True):
            answer = self.registry.put(path, {'status': 'draining', 'wait_ms': wait_ms})
            self.assert_problem(answer, 422, 'invalid-body')
        self.assertEqual(self.registry.instance('web', 'a')['status'], 'healthy')
        answer = self.registry.put(path, {'status': 'draining', 'wait_ms': 0}).json()
        self.assertEqual(answer['status'], 'draining')
        self.assertNotIn('watchers_told', answer)
        answer = self.registry.put(path, {'status': 'healthy', 'wait_ms': 600000}).json()
        self.assertEqual((answer['watchers_told'], answer['watchers_untold']), (1, 0))

    def test_what_could_not_be_done_is_not_waited_for(self):
        self.stream(WATCH)
        self.wait_parked(1)
        drain = self.drain('nobody', wait_ms=600000)
        drain.join(rt.seconds(20))
        self.assertEqual(drain.response.code, 'not-registered')

    def test_draining_again_is_no_event_and_waits_for_nobody_who_has_it(self):
        self.stream(WATCH)
        self.wait_parked(1)
        self.assertEqual(self.drain(wait_ms=60000).counts(), (1, 0))
        self.wait_parked(1)
        self.assertEqual(self.drain(wait_ms=60000).counts(), (0, 0))
        self.assertEqual(len(self.registry.events()), 4)


class Stuck(TestCase):
    """Watchers that do not read, so that the buffers of their sockets are full."""

    def setUp(self):
        super().setUp()
        for i in range(MANY):
            self.registry.register('web', f'i{i}', metadata=BIG)

    def stick(self, path, headers=SSE, receive_buffer=4096):
        """Starts a watcher that does not read: the daemon is busy sending and never parks it."""
        before = self.registry.metric(STREAMS, stream='watch') + self.registry.metric(
            STREAMS, stream='events')
        raw = self.send(path, headers, receive_buffer=receive_buffer)
        rt.wait_for(lambda: self.registry.metric(STREAMS, stream='watch') + self.registry.metric(
            STREAMS, stream='events') > before, 20, 'it has begun')
        return raw

    def drain_for(self, ms, **more):
        drain = self.drain(wait_ms=ms, **more)
        counts = drain.counts()
        self.assertGreaterEqual(drain.took, ms / 1000)
        return counts

    def test_a_stuck_watch_is_told_of_as_untold(self):
        self.stick(WATCH)
        reading = [self.stream(WATCH, status='draining'), self.stream(EVENTS, since=MANY + 2)]
        self.wait_parked(2)
        self.assertEqual(self.drain_for(500), (2, 1))
        self.assertEqual([e.kind for e in reading[1].events(2)], ['entry-put', 'drained'])

    def test_a_stuck_event_stream_is_told_of_as_untold(self):
        self.stick(EVENTS + '?service=web')
        self.stick(EVENTS + '?service=web', LINES)
        self.stick(EVENTS)
        self.assertEqual(self.drain_for(500), (0, 3))

    def test_one_that_was_woken_by_the_change_and_then_sticks_is_untold(self):
        self.send(f'/v1/services/web?status=any&revision={MANY + 2}&wait_ms=600000',
                  receive_buffer=4096)
        self.wait_parked(1)
        self.assertEqual(self.drain_for(500), (0, 1))

    def test_one_that_was_woken_and_leaves_before_all_was_sent_was_not_told(self):
        raw = self.send(f'/v1/services/web?status=any&revision={MANY + 2}&wait_ms=600000',
                        receive_buffer=4096)
        self.wait_parked(1)
        drain = self.drain(wait_ms=600000)
        self.wait_draining()
        raw.close()
        self.assertEqual(drain.counts(), (0, 0))

    def test_a_poll_whose_answer_is_on_its_way_waits_no_more(self):
        self.registry.stop()
        self.registry.options.append('--max-watchers=1')
        self.registry.start()
        self.send(f'/v1/services/web?status=any&revision={MANY + 2}&wait_ms=600000',
                  receive_buffer=4096)
        self.wait_parked(1)
        poll = f'/v1/services/nobody?revision={MANY + 2}&wait_ms=1'
        self.assert_problem(self.registry.get(poll), 503, 'too-many-watchers')
        self.assertEqual(self.drain_for(300), (0, 1))
        self.assert_problem(self.registry.get(poll), 404, 'unknown-service')

    def test_draining_again_goes_on_waiting_for_it(self):
        self.stick(WATCH)
        for more in ({}, {}, {'reason': 'another'}):
            self.assertEqual(self.drain_for(300, **more), (0, 1))

    def test_it_is_told_once_it_reads(self):
        # A receive window that the daemon can fill: with 4 KiB a rest stays open, and TCP sends the rest of
        # the data only on its persist timer.
        raw = self.stick(WATCH, receive_buffer=65536)
        drains = [self.drain(name, wait_ms=600000) for name in ('a', 'b')]
        self.wait_draining('a')
        self.wait_draining('b')
        raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        reader = threading.Thread(target=raw.rest)
        reader.start()
        self.assertEqual([drain.counts() for drain in drains], [(1, 0), (1, 0)])
        raw.sock.shutdown(socket.SHUT_RDWR)
        reader.join()

    def test_it_is_not_waited_for_once_it_has_left(self):
        raws = [self.stick(WATCH), self.stick(EVENTS)]
        drain = self.drain(wait_ms=600000)
        self.wait_draining()
        raws[0].close()
        self.assertTrue(drain.is_alive())
        raws[1].close()
        self.assertEqual(drain.counts(), (0, 0))

    def test_who_comes_after_the_change_is_not_counted(self):
        self.stick(WATCH)
        drain = self.drain(wait_ms=1000)
        # The writer counts the watchers after it publishes the change, and logs the event after that.
        self.registry.wait_log('drained')
        for path in (WATCH + '?status=draining', EVENTS + '?service=web&since=2'):
            self.assertIsNotNone(self.stream(path).event())
        self.assertEqual(drain.counts(), (0, 1))

    def test_a_client_that_does_not_wait_for_the_answer_leaves_nothing_behind(self):
        self.stick(WATCH)
        raw = self.raw(self.registry)
        body = b'{"status":"draining","wait_ms":600000}'
        raw.send(b'PUT /v1/services/web/instances/a/status HTTP/1.1\r\nHost: x\r\nContent-Type: '
                 b'application/json\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body))
        self.wait_parked(1)
        raw.close()
        self.wait_parked(0)
        self.assertEqual(self.drain_for(300), (0, 1))

    def test_stopping_answers_the_drain_as_things_are(self):
        raw = self.stick(WATCH)
        drain = self.drain(wait_ms=600000)
        self.wait_draining()
        stopping = threading.Thread(target=self.registry.stop)
        stopping.start()
        self.assertEqual(drain.counts(), (0, 1))
        raw.close()
        stopping.join()


if __name__ == '__main__':
    rt.main()
