# SPDX-License-Identifier: MIT
"""Long polls: a watcher wakes when the result of its request has changed, and for nothing else.

Each poll runs in a thread over a connection of its own; the metric of parked requests shows that it waits.
"""

import threading
import time

import rollcall_test as rt

PARKED = 'rollcall_http_parked_requests'


class Poll:
    """One long poll that waits, on a connection of its own."""

    def __init__(self, daemon, path, **parameters):
        self.client = daemon.client(timeout=60)
        self.answer = None
        self.took = None
        self.thread = threading.Thread(target=self._run, args=(path + rt.query(**parameters),))
        self.thread.start()

    def _run(self, target):
        begun = time.monotonic()
        self.answer = self.client.get(target)
        self.took = time.monotonic() - begun
        self.client.close()

    @property
    def waits(self):
        return self.thread.is_alive()

    def result(self):
        self.thread.join(rt.seconds(30))
        assert not self.thread.is_alive(), 'the long poll was not answered'
        return self.answer


class Watch(rt.TestCase):

    def setUp(self):
        self.registry = self.daemon()

    def poll(self, path='/v1/services/web', wait_ms=20000, **parameters):
        before = self.registry.metric(PARKED)
        poll = Poll(self.registry, path, wait_ms=wait_ms, **parameters)
        rt.wait_for(lambda: not poll.waits or self.registry.metric(PARKED) > before, 10, 'parked')
        return poll

    def revision(self, **parameters):
        return self.registry.lookup('web', **parameters)['revision']

    def test_a_change_of_the_result_wakes_it(self):
        self.registry.register('web', 'a')
        poll = self.poll(revision=self.revision())
        self.assertTrue(poll.waits)
        self.registry.register('web', 'b')
        answer = poll.result()
        self.assertEqual(answer.status, 200)
        self.assertEqual([i['id'] for i in answer.json()['instances']], ['a', 'b'])
        self.assertEqual(answer.json()['revision'], self.revision())

    def test_nothing_else_wakes_it(self):
        self.registry.register('web', 'a')
        self.registry.register('web', 'b')
        self.registry.set_status('web', 'b', 'draining')
        poll = self.poll(revision=self.revision())
        self.registry.heartbeat('web', 'a')
        self.registry.heartbeat('web', 'b')
        self.registry.register('web', 'a')            # the same record
        self.registry.register('api', 'x')            # another service
        self.registry.register('web', 'b', weight=7)  # another status
        self.registry.deregister('web', 'b')
        self.assertTrue(poll.waits)
        self.assertEqual(self.registry.metric(PARKED), 1)
        self.assertEqual(self.registry.metric('rollcall_watch_wakeups_total', cause='service'), 0)
        self.registry.deregister('web', 'a')
        self.assertEqual(poll.result().status, 404)

    def test_other_statuses_wake_who_asked_for_them(self):
        self.registry.register('web', 'a')
        poll = self.poll(status='draining', revision=self.revision(status='draining'))
        self.registry.register('web', 'b')
        self.assertTrue(poll.waits)
        self.registry.set_status('web', 'a', 'draining')
        self.assertEqual([i['id'] for i in poll.result().json()['instances']], ['a'])

    def test_a_filter_hides_changes_of_what_it_leaves_out(self):
        self.registry.register('web', 'a', metadata={'zone': 'a'})
        self.registry.register('web', 'b', metadata={'zone': 'b'})
        poll = self.poll(revision=self.revision(), **{'meta.zone': 'a'})
        self.registry.register('web', 'b', metadata={'zone': 'b'}, weight=3)
        self.registry.register('web', 'c', metadata={'zone': 'b'})
        rt.wait_for(lambda: self.registry.metric(PARKED) == 1, 10, 'parked again')
        self.assertTrue(poll.waits)
        self.registry.register('web', 'd', metadata={'zone': 'a'})
        self.assertEqual([i['id'] for i in poll.result().json()['instances']], ['a', 'd'])

    def test_time_ends_it_with_the_result_as_it_is(self):
        self.registry.register('web', 'a')
        poll = self.poll(revision=self.revision(), wait_ms=300)
        self.assertEqual(poll.result().status, 200)
        self.assertGreaterEqual(poll.took, 0.3)
        self.assertLess(poll.took, rt.seconds(3))
        self.assertEqual(self.registry.metric(PARKED), 0)

    def test_it_waits_no_less_than_it_was_asked_to(self):
        self.registry.register('web', 'a')
        revision = self.revision()
        for path, accept in (('/v1/services/web?revision={}&wait_ms=5', '*/*'),
                             ('/v1/services?revision={}&wait_ms=5', '*/*'),
                             ('/v1/events?since={}&wait_ms=5', '*/*'),
                             ('/v1/events?since={}&wait_ms=5', 'application/jsonl')):
            for _ in range(200):
                begun = time.monotonic()
                self.registry.get(path.format(revision), Accept=accept)
                self.assertGreaterEqual(time.monotonic() - begun, 0.005, (path, accept))

    def test_a_revision_that_is_behind_or_from_the_future_is_answered_at_once(self):
        self.registry.register('web', 'a')
        for revision in (0, 10**6):
            poll = Poll(self.registry, '/v1/services/web', revision=revision, wait_ms=60000)
            self.assertEqual(poll.result().status, 200)
            self.assertLess(poll.took, rt.seconds(10))

    def test_a_service_that_is_not_there_can_be_waited_for(self):
        self.registry.register('api', 'x')
        missing = self.registry.get('/v1/services/web')
        self.assert_problem(missing, 404, 'unknown-service')
        poll = self.poll(revision=missing.revision)
        self.registry.register('api', 'y')
        self.assertTrue(poll.waits)
        self.registry.register('web', 'a')
        self.assertEqual(poll.result().json()['instances'][0]['id'], 'a')

    def test_a_service_that_was_removed_while_nobody_looked_is_told(self):
        self.registry.register('web', 'a')
        seen = self.revision()
        self.registry.deregister('web', 'a')
        answer = Poll(self.registry, '/v1/services/web', revision=seen, wait_ms=60000).result()
        self.assert_problem(answer, 404, 'unknown-service')
        self.assertGreater(answer.revision, seen)

    def test_a_restart_does_not_lose_a_change(self):
        self.registry.register('web', 'a')
        seen = self.revision()
        self.registry.register('web', 'b')
        self.registry.restart()
        answer = Poll(self.registry, '/v1/services/web', revision=seen, wait_ms=60000).result()
        self.assertEqual([i['id'] for i in answer.json()['instances']], ['a', 'b'])

    def test_the_listing_wakes_when_a_count_changes(self):
        self.registry.register('web', 'a')
        seen = self.registry.get('/v1/services').json()['revision']
        poll = self.poll('/v1/services', revision=seen, prefix='w')
        self.registry.register('api', 'x')
        self.registry.register('web', 'a', weight=3)
        rt.wait_for(lambda: self.registry.metric(PARKED) == 1, 10, 'parked again')
        self.assertTrue(poll.waits)
        self.registry.register('web', 'b')
        self.assertEqual(poll.result().json()['services'],
                         [{'service': 'web', 'healthy': 2, 'unhealthy': 0, 'draining': 0}])

    def test_the_listing_is_left_alone_by_what_it_does_not_show(self):
        self.registry.register('web', 'a')
        seen = self.registry.get('/v1/services').json()['revision']
        self.registry.register('web', 'a', weight=200)  # no count changes
        polls = [self.poll('/v1/services', revision=seen, prefix='w') for _ in range(3)]
        rt.wait_for(lambda: self.registry.metric(PARKED) == 3, 10, 'parked')
        for i in range(20):
            self.registry.register('api', f'x{i}')
            self.registry.register('web', 'a', weight=i + 1)
        self.assertEqual(self.registry.metric('rollcall_watch_wakeups_total', cause='any'), 0)
        self.assertEqual(self.registry.metric(PARKED), 3)
        self.registry.set_status('web', 'a', 'draining')
        for poll in polls:
            self.assertEqual(poll.result().json()['services'],
                             [{'service': 'web', 'healthy': 0, 'unhealthy': 0, 'draining': 1}])
        self.assertEqual(self.registry.metric('rollcall_watch_wakeups_total', cause='any'), 3)

    def test_the_listing_is_answered_at_once_when_it_has_changed(self):
        self.registry.register('web', 'a')
        self.registry.register('api', 'x')
        seen = self.registry.get('/v1/services').json()['revision']
        self.registry.deregister('web', 'a')
        self.registry.register('db', 'y')
        for prefix in ('', 'w', 'd'):
            answer = self.registry.get(f'/v1/services?wait_ms=60000&revision={seen}&prefix={prefix}')
            self.assertGreater(answer.json()['revision'], seen)

    def test_wait_ms_needs_a_revision_and_has_a_limit(self):
        self.registry.register('web', 'a')
        for target in ('?wait_ms=5', '?revision=1&wait_ms=600001', '?revision=-1&wait_ms=5'):
            self.assert_problem(self.registry.get('/v1/services/web' + target), 400,
                                'invalid-parameter')

    def test_a_client_that_leaves_is_noticed(self):
        self.registry.register('web', 'a')
        raw = self.raw(self.registry)
        raw.send(b'GET /v1/services/web?revision=1&wait_ms=600000 HTTP/1.1\r\nHost: x\r\n\r\n')
        rt.wait_for(lambda: self.registry.metric(PARKED) == 1, 10, 'parked')
        raw.close()
        rt.wait_for(lambda: self.registry.metric(PARKED) == 0, 10, 'noticed')

    def test_one_watcher_too_many_is_refused(self):
        registry = self.daemon(options=['--max-watchers=2'])
        registry.register('web', 'a')
        polls = [Poll(registry, '/v1/services/web', revision=1, wait_ms=60000) for _ in range(2)]
        rt.wait_for(lambda: registry.metric(PARKED) == 2, 10, 'both wait')
        refused = registry.get('/v1/services/web?revision=1&wait_ms=60000')
        self.assert_problem(refused, 503, 'too-many-watchers')
        registry.register('web', 'b')
        for poll in polls:
            self.assertEqual(poll.result().status, 200)

    def test_stopping_answers_who_waits(self):
        self.registry.register('web', 'a')
        polls = [self.poll(revision=1, wait_ms=600000) for _ in range(3)]
        self.registry.stop()
        for poll in polls:
            self.assertEqual(poll.result().status, 200)

    def test_a_thousand_watchers_are_all_told(self):
        self.registry.register('web', 'a')
        self.registry.register('api', 'a')
        request = (b'GET /v1/services/web?revision=1&wait_ms=600000 HTTP/1.1\r\n'
                   b'Host: x\r\n\r\n')
        watchers = [self.raw(self.registry, timeout=60) for _ in range(1000)]
        for watcher in watchers:
            watcher.send(request)
        rt.wait_for(lambda: self.registry.metric(PARKED) == 1000, 30, 'all wait')
        self.registry.register('api', 'b')
        self.assertEqual(self.registry.metric(PARKED), 1000)
        self.registry.register('web', 'b')
        revisions = {watcher.response().revision for watcher in watchers}
        self.assertEqual(revisions, {4})


class DrainHandshake(rt.TestCase):

    def setUp(self):
        self.registry = self.daemon()
        self.registry.register('web', 'a')
        self.registry.register('web', 'b')

    def watchers(self, count, service='web'):
        before = self.registry.metric(PARKED)
        polls = [Poll(self.registry, f'/v1/services/{service}', revision=2, wait_ms=600000)
                 for _ in range(count)]
        rt.wait_for(lambda: self.registry.metric(PARKED) == before + count, 10, 'all wait')
        return polls

    def drain(self, **more):
        return self.registry.set_status('web', 'a', 'draining', **more)

    def test_draining_returns_when_every_watcher_has_been_told(self):
        polls = self.watchers(5)
        answer = self.drain(wait_ms=60000)
        self.assertEqual(answer['status'], 'draining')
        self.assertEqual((answer['watchers_told'], answer['watchers_untold']), (5, 0))
        for poll in polls:
            self.assertEqual([i['id'] for i in poll.result().json()['instances']], ['b'])

    def test_who_watches_another_service_is_not_counted(self):
        self.registry.register('api', 'x')
        other = Poll(self.registry, '/v1/services/api', revision=3, wait_ms=1000)
        rt.wait_for(lambda: self.registry.metric(PARKED) == 1, 10, 'it waits')
        answer = self.drain(wait_ms=60000)
        self.assertEqual((answer['watchers_told'], answer['watchers_untold']), (0, 0))
        other.result()

    def test_without_watchers_or_without_a_change_nothing_is_waited_for(self):
        begun = time.monotonic()
        self.assertEqual(self.drain(wait_ms=600000)['watchers_told'], 0)
        self.assertEqual(self.drain(wait_ms=600000)['watchers_told'], 0)
        self.assertLess(time.monotonic() - begun, rt.seconds(10))

    def test_a_watcher_that_does_not_read_is_waited_for_only_so_long(self):
        for i in range(300):  # makes an answer that is larger than the buffers of the sockets
            self.registry.register('web', f'big-{i}', metadata={'filler': 'x' * 16000})
        slow = self.raw(self.registry, timeout=60)
        revision = self.registry.lookup('web')['revision']
        slow.send(f'GET /v1/services/web?revision={revision}&wait_ms=600000 HTTP/1.1\r\n'
                  'Host: x\r\n\r\n'.encode())
        rt.wait_for(lambda: self.registry.metric(PARKED) == 1, 10, 'it waits')
        begun = time.monotonic()
        answer = self.drain(wait_ms=500)
        self.assertGreaterEqual(time.monotonic() - begun, 0.5)
        self.assertEqual((answer['watchers_told'], answer['watchers_untold']), (0, 1))

    def test_a_watcher_that_leaves_is_not_waited_for(self):
        raw = self.raw(self.registry)
        raw.send(b'GET /v1/services/web?revision=2&wait_ms=600000 HTTP/1.1\r\nHost: x\r\n\r\n')
        rt.wait_for(lambda: self.registry.metric(PARKED) == 1, 10, 'it waits')
        raw.close()
        answer = self.drain(wait_ms=60000)
        self.assertEqual(answer['watchers_untold'], 0)


if __name__ == '__main__':
    rt.main()
