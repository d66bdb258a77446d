# SPDX-License-Identifier: MIT
"""Streams of the event log and of the instances of a service: no gap and no repeat.

Model applies events of the log, View the events of a watch; both must agree with lookups at every revision. Class
Retention has a log that keeps few events, class Ahead a registry that was restored from an older state. A slow
reader is a socket with a small receive buffer that nothing reads.
"""

import json
import random
import shutil
import threading

import rollcall_test as rt
from sse import SSE, Stream

PARKED = 'rollcall_http_parked_requests'
STREAMS = 'rollcall_streams'
LINES = 'Accept: application/jsonl\r\n'
EVENTS = '/v1/events'
WATCH = '/v1/services/web/watch'


class Model:
    """The registry as the events of the log describe it: instances by (service, id)."""

    def __init__(self):
        self.instances = {}
        self.revision = 0

    def apply(self, event):
        """Applies one event of the log."""
        assert event['revision'] > self.revision, 'not in order'
        self.revision = event['revision']
        key = event['service'], event['id']
        if 'entry' in event:
            return
        if event['kind'] in ('deregistered', 'removed'):
            del self.instances[key]
        else:
            self.instances[key] = event['instance']

    def service(self, name):
        """The instances of a service in order of registration."""
        found = [each for (service, _), each in self.instances.items() if service == name]
        return sorted(found, key=lambda each: each['incarnation'])


class View:
    """A service as the events of its watch describe it, by incarnation."""

    def __init__(self):
        self.instances = {}
        self.revision = 0

    def apply(self, event):
        """Applies one event. @return whether the view is complete for its revision (no event remains of it)"""
        if event.kind == 'snapshot':
            self.instances = {each['incarnation']: each for each in event.data['instances']}
            self.revision = event.id
            return True
        instance = event.data['instance']
        known = instance['incarnation'] in self.instances
        assert known == (event.kind != 'added'), (event.kind, event.data)
        assert event.id == event.data['revision'] >= self.revision
        self.revision = event.id
        if event.kind == 'removed':
            del self.instances[instance['incarnation']]
        else:
            self.instances[instance['incarnation']] = instance
        return event.data['remaining'] == 0

    @property
    def listed(self):
        return [self.instances[key] for key in sorted(self.instances)]


class TestCase(rt.TestCase):

    def setUp(self):
        self.registry = self.daemon()

    def stream(self, path=EVENTS, *args, daemon=None, **kwargs):
        stream = Stream(daemon or self.registry, path, *args, **kwargs)
        self.addCleanup(stream.close)
        return stream

    def wait_parked(self, count):
        rt.wait_for(lambda: self.registry.metric(PARKED) == count, 20, f'{count} wait')

    def work(self, steps, seed, services=('web', 'api')):
        """Makes random requests; some change nothing."""
        chance = random.Random(seed)
        for _ in range(steps):
            service, name = chance.choice(services), chance.choice('abcdef')
            step = chance.randrange(6)
            if step < 3:
                self.registry.register(service, name, weight=chance.randrange(1, 4))
            elif step == 3:
                self.registry.delete(rt.instance_path(service, name))
            else:
                self.registry.put(rt.instance_path(service, name) + '/status',
                                  {'status': chance.choice(('draining', 'healthy'))})


class Events(TestCase):

    def test_what_happened_comes_first_and_then_what_happens(self):
        self.registry.register('web', 'a')
        stream = self.stream()
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.answer.headers['Content-Type'], 'text/event-stream')
        self.assertEqual(stream.answer.headers['Cache-Control'], 'no-store')
        first = stream.event()
        self.assertEqual((first.kind, first.id), ('registered', 1))
        self.assertEqual([first.data], self.registry.events())
        for i in range(3):
            self.registry.register('web', f'b{i}')
            self.assertEqual(stream.event().data['id'], f'b{i}')
        self.registry.deregister('web', 'a')
        last = stream.event()
        self.assertEqual((last.kind, last.id), ('deregistered', 5))

    def test_filters_hide_what_was_not_asked_for(self):
        service = self.stream(service='web')
        kind = self.stream(kind='drained,deregistered')
        one = self.stream(service='web', id='b', since=0)
        self.registry.register('web', 'a')
        self.registry.register('api', 'a')
        self.registry.register('web', 'b')
        self.registry.set_status('api', 'a', 'draining')
        self.registry.deregister('web', 'b')
        self.assertEqual([e.id for e in service.events(3)], [1, 3, 6])
        self.assertEqual([e.id for e in kind.events(2)], [5, 6])
        self.assertEqual([e.id for e in one.events(2)], [3, 6])

    def test_the_last_event_id_resumes_it_and_goes_before_since(self):
        for i in range(5):
            self.registry.register('web', f'i{i}')
        stream = self.stream(headers=SSE + 'Last-Event-ID: 3\r\n', since=0)
        self.assertEqual([e.id for e in stream.events(2)], [4, 5])
        refused = self.stream(headers=SSE + 'Last-Event-ID: x\r\n')
        self.assertEqual(refused.status, 400)

    def test_a_restart_amid_a_stream_leaves_no_gap_and_no_repeat(self):
        seen = []
        for life in range(4):
            stream = self.stream(headers=SSE + (f'Last-Event-ID: {seen[-1].token}\r\n' if seen else ''))
            for i in range(20):
                self.registry.register('web', f'{life}-{i}')
            seen += stream.events(10)
            if life % 2:
                self.registry.kill()
                self.registry.start()
            else:
                self.registry.restart()
                seen += stream.rest()  # the events sent before the stop, then the end of the stream
        stream = self.stream(since=seen[-1].token)
        seen += stream.events(80 - len(seen))
        self.assertEqual([e.id for e in seen], list(range(1, 81)))
        self.assertEqual([e.data['id'] for e in seen],
                         [f'{life}-{i}' for life in range(4) for i in range(20)])

    def crowd(self, seed):
        """Like work(), by many clients at once, so that one commit has many events."""
        def one(number):
            chance = random.Random(seed * 100 + number)
            client = self.client(self.registry)
            for step in range(25):
                service = chance.choice(('web', 'api', 'db'))
                client.register(service, f'i{number}', weight=1 + step)
                if chance.randrange(4) == 0:
                    client.deregister(service, f'i{number}')
        rt.parallel(8, one)

    def test_every_retained_revision_can_be_resumed_from_after_a_crash(self):
        chance = random.Random(5)
        live = self.stream()
        seen = []
        for life in range(3):
            self.crowd(life)
            latest = self.registry.get('/v1/services').revision
            self.assertLess(self.registry.metric('rollcall_commits_total'), latest - len(seen))
            seen += [e.data for e in live.events(latest - len(seen))]
            self.registry.kill()
            self.registry.start()
            self.assertEqual([e['revision'] for e in seen], list(range(1, latest + 1)))
            for at in [0, latest - 1] + [chance.randrange(latest) for _ in range(8)]:
                sse = self.stream(headers=SSE + f'Last-Event-ID: {at}\r\n')
                self.assertEqual([e.data for e in sse.events(latest - at)], seen[at:])
                self.assertEqual(self.stream(headers=LINES, since=at).lines(), seen[at:])
                sse.close()
            live = self.stream(headers=SSE + f'Last-Event-ID: {latest}\r\n')

    def test_filters_and_limits_cut_the_same_log(self):
        self.crowd(7)
        everything = self.stream(headers=LINES).lines()
        for service, kinds in (('web', ''), ('', 'deregistered'), ('api', 'registered,updated')):
            wanted = [e for e in everything if service in ('', e['service'])
                      and (not kinds or e['kind'] in kinds.split(','))]
            self.assertGreater(len(wanted), 10)
            filters = {'service': service} if service else {}
            filters |= {'kind': kinds} if kinds else {}
            paged, since = [], 0
            while page := self.registry.get(
                    EVENTS + rt.query(since=since, limit=3, **filters)).json():
                paged += page['events']
                since = page['revision']
                if 'next' not in page:
                    break
                self.assertEqual(page['next'], since)
            self.assertEqual(paged, wanted)
            self.assertEqual(since, everything[-1]['revision'])
            half = wanted[len(wanted) // 2]['revision']
            sse = self.stream(since=half, limit=5, **filters)
            self.assertEqual([e.data for e in sse.rest()],
                             [e for e in wanted if e['revision'] > half][:5])

    def test_limit_ends_it(self):
        for i in range(5):
            self.registry.register('web', f'i{i}')
        self.assertEqual([e.id for e in self.stream(limit=3).rest()], [1, 2, 3])
        stream = self.stream(limit=7)
        self.registry.register('web', 'x')
        self.registry.register('web', 'y')
        self.registry.register('web', 'z')
        self.assertEqual([e.id for e in stream.rest()], list(range(1, 8)))

    def test_json_lines_end_at_the_newest(self):
        for i in range(1500):
            self.registry.register('web', f'i{i % 7}', weight=1 + i % 5)
        stream = self.stream(headers=LINES)
        self.assertEqual(stream.answer.headers['Content-Type'], 'application/jsonl')
        self.assertEqual([each['revision'] for each in stream.lines()], list(range(1, 1501)))

    def test_json_lines_go_on_for_as_long_as_wait_ms_allows(self):
        stream = self.stream(headers=LINES, wait_ms=1000)
        self.wait_parked(1)
        self.registry.register('web', 'a')
        self.assertEqual(json.loads(stream.answer.readline())['revision'], 1)
        self.assertEqual(stream.answer.read(), b'')

    def test_http_1_0_gets_it_without_chunks(self):
        self.registry.register('web', 'a')
        stream = self.stream(headers=LINES, version='1.0')
        self.assertNotIn('Transfer-Encoding', stream.answer.headers)
        self.assertEqual([each['id'] for each in stream.lines()], ['a'])

    def test_head_asks_for_no_stream(self):
        raw = self.raw(self.registry)
        for path in (EVENTS, WATCH):
            raw.send(f'HEAD {path} HTTP/1.1\r\nHost: x\r\n{SSE}\r\n')
            self.assertEqual(raw.response('HEAD').status, 200)
        raw.send('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
        self.assertEqual(raw.response().text, 'ok\n')
        self.assertEqual(self.registry.metric(STREAMS, stream='events'), 0)
        self.assertEqual(self.registry.metric(STREAMS, stream='watch'), 0)

    def test_a_client_that_leaves_is_noticed(self):
        for path in (EVENTS, WATCH):
            stream = Stream(self.registry, path)
            self.wait_parked(1)
            stream.close()
            self.wait_parked(0)
        rt.wait_for(lambda: self.registry.metric(STREAMS, stream='events') == 0, 10, 'closed')
        rt.wait_for(lambda: self.registry.metric(STREAMS, stream='watch') == 0, 10, 'closed')
        self.assertEqual(self.registry.metric('rollcall_watch_wakeups_total', cause='hangup'), 2)

    def test_stopping_ends_it_well(self):
        streams = [self.stream(path) for path in (EVENTS, WATCH) for _ in range(3)]
        self.wait_parked(6)
        self.registry.stop()
        for stream in streams:
            stream.rest()  # raises IncompleteRead if the stream was cut

    def test_streams_count_as_watchers(self):
        registry = self.daemon(options=['--max-watchers=2'])
        streams = [self.stream(daemon=registry), self.stream(WATCH, daemon=registry)]
        for path, headers in ((EVENTS, {'Accept': 'text/event-stream'}), (WATCH, {}),
                              (EVENTS + '?wait_ms=10', {})):
            refused = registry.request('GET', path, None, headers)
            self.assert_problem(refused, 503, 'too-many-watchers')
        streams[0].close()
        rt.wait_for(lambda: registry.get(EVENTS + '?wait_ms=10').status == 200, 10, 'one left')

    def test_the_model_agrees_at_every_revision(self):
        """A model fed by a stream has the state that lookups returned between the random operations."""
        stream = self.stream()
        said = {}
        for round_ in range(20):
            self.work(20, round_)
            for service in ('web', 'api'):
                found = self.registry.get(f'/v1/services/{service}?status=any')
                said.setdefault(found.revision, {})[service] = (
                    found.json()['instances'] if found.status == 200 else [])
        model = Model()
        checked = 0
        while checked < len(said):
            model.apply(stream.event().data)
            for service, instances in said.get(model.revision, {}).items():
                self.assertEqual(model.service(service), instances)
            checked += model.revision in said
        self.assertGreater(checked, 10)

    def test_the_stream_makes_the_state_at_every_revision(self):
        """A model fed by a stream has the state of ?at= at each revision."""
        stream = self.stream()
        self.work(250, 11)
        latest = self.registry.get('/v1/services').revision
        model = Model()
        while model.revision < latest:
            model.apply(stream.event().data)
            for service in ('web', 'api'):
                then = self.registry.get(
                    f'/v1/services/{service}?status=any&at={model.revision}')
                instances = then.json()['instances'] if then.status == 200 else []
                self.assertEqual(model.service(service), instances, model.revision)
        self.assertGreater(latest, 100)

    def test_a_thousand_streams_all_get_everything(self):
        streams = [self.stream() for _ in range(1000)]
        self.wait_parked(1000)
        for i in range(20):
            self.registry.register('web', f'i{i}')
        for stream in streams:
            self.assertEqual([e.id for e in stream.events(20)], list(range(1, 21)))
        self.assertEqual(self.registry.metric(STREAMS, stream='events'), 1000)
        rt.wait_for(lambda: self.registry.metric('rollcall_stream_lag_revisions') == 0, 10)


class Retention(TestCase):
    """A log that keeps few events."""

    def setUp(self):
        self.registry = self.daemon(options=['--events-max-count=100'])

    def fill(self, count, size=10):
        text = 'x' * size
        for i in range(count):
            self.registry.register('web', 'a', metadata={'text': f'{text}{i}'})

    def test_what_retention_has_removed_is_gone(self):
        self.fill(2000)
        for headers in (SSE, LINES):
            stream = self.stream(headers=headers, since=1)
            self.assertEqual(stream.status, 410)
            problem = json.loads(stream.answer.read())
            self.assertEqual(problem['code'], 'compacted')
            oldest = problem['oldest_revision']
            self.assertEqual(self.stream(headers=headers, since=oldest - 2).status, 410)
            stream = self.stream(headers=headers, since=oldest - 1)
            self.assertEqual(stream.event().id if headers == SSE else stream.lines()[0]['revision'],
                             oldest)
        stream = self.stream()
        self.assertGreater(stream.event().id, 1000)

    def test_a_reader_slower_than_retention_is_told_so(self):
        stream = self.stream()
        self.fill(1)
        first = stream.event()
        self.assertEqual(first.id, 1)
        self.fill(3000, 15000)  # more than sockets and a page hold, while nobody reads
        self.assertGreater(self.registry.metric('rollcall_stream_lag_revisions'), 100)
        events = stream.rest()
        self.assertEqual([e.id for e in events[:-1]], list(range(2, len(events) + 1)))
        reset = events[-1]
        self.assertEqual((reset.kind, reset.data['since']), ('reset', events[-2].id))
        self.assertGreater(reset.data['oldest'], reset.data['since'] + 1)
        self.assertEqual(self.registry.metric('rollcall_stream_resets_total'), 1)
        again = self.stream(since=reset.data['oldest'] - 1)
        self.assertEqual(again.event().id, reset.data['oldest'])


    def test_who_is_too_slow_gets_all_up_to_an_explicit_reset_and_never_a_gap(self):
        slow = {'receive_buffer': 65536}
        events = self.stream(**slow)
        lines = self.stream(headers=LINES, wait_ms=600000, **slow)
        watch = self.stream(WATCH, **slow)
        self.wait_parked(3)
        self.fill(1500, 15000)  # more than sockets and a page hold, while nobody reads
        latest = self.registry.lookup('web')['revision']
        for stream in (events, lines, watch):
            stream.receive_fast()
        told = [self.sse_until_reset(events), self.lines_until_reset(lines)]
        self.registry.close()  # the daemon may have closed this connection, which was idle for long
        for got, reset in told:
            self.assertGreater(len(got), 10)
            self.assertEqual(got, list(range(1, len(got) + 1)))
            self.assertEqual(reset['since'], got[-1])
            self.assertGreater(reset['oldest'], got[-1] + 1)
            page = self.registry.get(f'{EVENTS}?since={reset["oldest"] - 1}&limit=1')
            self.assertEqual(page.json()['events'][0]['revision'], reset['oldest'])
            self.assert_problem(self.registry.get(f'{EVENTS}?since={reset["since"]}'), 410,
                                'compacted')
        self.assertEqual(self.registry.metric('rollcall_stream_resets_total'), 2)
        view = View()
        while view.revision < latest:  # a watch reads the current state, not the log
            self.assertTrue(view.apply(watch.event()))
        self.assertEqual(view.listed, self.registry.lookup('web')['instances'])

    def sse_until_reset(self, stream):
        *events, reset = stream.rest()
        self.assertEqual(reset.kind, 'reset')
        self.assertEqual(stream.last_id, events[-1].id)  # a browser resumes from this
        return [e.id for e in events], reset.data

    def lines_until_reset(self, stream):
        *events, reset = stream.lines()
        self.assertEqual(reset['kind'], 'reset')
        return [e['revision'] for e in events], reset


class Ahead(TestCase):
    """A registry that was restored from an older state: its clients are ahead of it."""

    def restore_older(self):
        """Restores an older state. @return the latest revision that clients had seen before"""
        self.registry.register('web', 'a')
        self.registry.register('web', 'b')
        self.registry.stop()
        kept = self.registry.state_dir + '.kept'
        shutil.copytree(self.registry.state_dir, kept)
        self.addCleanup(shutil.rmtree, kept, ignore_errors=True)
        self.registry.start()
        for i in range(5):
            self.registry.register('web', f'lost{i}')
        seen = self.stream(since=0).events(7)[-1].id
        self.registry.stop()
        shutil.rmtree(self.registry.state_dir)
        shutil.move(kept, self.registry.state_dir)
        self.registry.start()
        return seen

    def test_every_form_is_told_at_once_and_can_go_on_from_what_it_is_told(self):
        seen = self.restore_older()
        self.assertEqual(seen, 7)
        forms = [('', {'since': seen, 'wait_ms': 600000}), ('', {'since': seen}),
                 (SSE, {'since': seen}), (SSE + f'Last-Event-ID: {seen}\r\n', {'since': 1}),
                 (LINES, {'since': seen, 'wait_ms': 600000}),
                 (SSE, {'since': 3, 'service': 'nobody'}), (SSE, {'since': 2**63 - 1})]
        for headers, parameters in forms:
            stream = self.stream(headers=headers, **parameters)
            self.assertEqual(stream.status, 410, (headers, parameters))
            problem = json.loads(stream.answer.read())
            self.assertEqual(problem['code'], 'revision-ahead')
            self.assertEqual(problem['latest_revision'], 2)
            self.assertEqual(stream.answer.headers['X-Rollcall-Revision'], '2')
        self.assertEqual(self.registry.metric(PARKED), 0)
        following = [self.stream(since=2), self.stream(headers=LINES, since=2, wait_ms=60000)]
        self.registry.register('web', 'new')
        self.assertEqual(following[0].event().id, 3)
        self.assertEqual(json.loads(following[1].answer.readline())['id'], 'new')

    def test_the_life_of_an_instance_says_so_too(self):
        seen = self.restore_older()
        self.assert_problem(self.registry.get(
            rt.instance_path('web', 'a') + f'/history?since={seen}'), 410, 'revision-ahead')

    def test_the_latest_revision_is_not_ahead(self):
        self.registry.register('web', 'a')
        for headers in ('', LINES):
            self.assertEqual(self.stream(headers=headers, since=1).status, 200)

    def test_state_comes_at_once_with_the_revision_to_go_on_with(self):
        seen = self.restore_older()
        for path in ('/v1/services/web', '/v1/services', '/v1/services/web?status=draining',
                     '/v1/services/web?meta.x=y'):
            more = '&' if '?' in path else '?'
            answer = self.registry.get(f'{path}{more}revision={seen}&wait_ms=600000')
            self.assertEqual((answer.status, answer.revision), (200, 2), path)
            self.assertLessEqual(answer.json()['revision'], 2)
        missing = self.registry.get(f'/v1/services/nobody?revision={seen}&wait_ms=600000')
        self.assertEqual((missing.code, missing.revision), ('unknown-service', 2))
        watch = self.stream(WATCH, headers=SSE + f'Last-Event-ID: {seen}\r\n')
        self.assertEqual((watch.event().kind, watch.last_id), ('snapshot', 2))
        self.registry.register('web', 'new')
        self.assertEqual((watch.event().kind, watch.last_id), ('added', 3))


class LongPolls(TestCase):

    def poll(self, **parameters):
        poll = threading.Thread(target=self._run, args=(parameters,))
        poll.start()
        return poll

    def _run(self, parameters):
        client = self.registry.client(timeout=60)
        self.answer = client.get(EVENTS + rt.query(**parameters))
        client.close()

    def test_it_answers_with_the_first_event_that_matches(self):
        self.registry.register('web', 'a')
        poll = self.poll(since=1, wait_ms=60000, kind='deregistered', service='web')
        self.wait_parked(1)
        self.registry.register('api', 'a')
        self.registry.register('web', 'b')
        self.wait_parked(1)
        self.assertTrue(poll.is_alive())
        self.registry.deregister('web', 'b')
        poll.join()
        answer = self.answer.json()
        self.assertEqual([e['revision'] for e in answer['events']], [4])
        self.assertEqual(answer['revision'], 4)

    def test_time_ends_it_with_nothing(self):
        self.registry.register('web', 'a')
        self.poll(since=1, wait_ms=200).join()
        self.assertEqual(self.answer.json(), {'events': [], 'revision': 1, 'token': self.answer.token(1)})
        self.assertEqual(self.registry.metric(PARKED), 0)

    def test_what_has_happened_already_is_answered_at_once(self):
        self.registry.register('web', 'a')
        self.poll(wait_ms=60000).join(rt.seconds(20))
        self.assertEqual(len(self.answer.json()['events']), 1)

    def test_polls_one_after_the_other_miss_nothing(self):
        client = self.client(self.registry)

        def change():
            for i in range(200):
                client.register('web', f'i{i}')

        worker = threading.Thread(target=change)
        worker.start()
        seen, since = [], 0
        while len(seen) < 200:
            page = self.registry.get(f'{EVENTS}?since={since}&wait_ms=60000&limit=7').json()
            seen += [e['revision'] for e in page['events']]
            since = page['revision']
        worker.join()
        self.assertEqual(seen, list(range(1, 201)))


class Watches(TestCase):

    def listed(self, **parameters):
        answer = self.registry.get('/v1/services/web' + rt.query(**parameters))
        return answer.json()['instances'] if answer.status == 200 else []

    def test_the_whole_result_comes_first_and_then_what_changes(self):
        self.registry.register('web', 'a')
        self.registry.register('web', 'b')
        stream = self.stream(WATCH)
        first = stream.event()
        self.assertEqual((first.kind, first.id), ('snapshot', 2))
        self.assertEqual(first.data, self.registry.lookup('web'))
        self.registry.register('web', 'c')
        added = stream.event()
        self.assertEqual((added.kind, added.id, added.data['remaining']), ('added', 3, 0))
        self.assertEqual(added.data['instance'], self.listed()[2])
        self.registry.register('web', 'a', weight=9)
        updated = stream.event()
        self.assertEqual((updated.kind, updated.id), ('updated', 4))
        self.assertEqual(updated.data['instance'], self.listed()[0])
        self.registry.set_status('web', 'b', 'draining')
        left = stream.event()
        self.assertEqual((left.kind, left.id), ('removed', 6))
        self.assertEqual(left.data['instance']['status'], 'draining')
        self.registry.deregister('web', 'a')
        removed = stream.event()
        self.assertEqual((removed.kind, removed.id), ('removed', 7))
        self.assertEqual(removed.data['instance'], {'service': 'web', 'id': 'a', 'incarnation': 1})

    def test_nothing_else_wakes_it(self):
        self.registry.register('web', 'a')
        self.registry.register('web', 'z', status='draining')
        stream = self.stream(WATCH)
        first = stream.event()
        self.assertEqual((first.id, first.data), (1, self.registry.lookup('web')))
        self.wait_parked(1)
        self.registry.heartbeat('web', 'a')
        self.registry.register('web', 'z', status='draining', weight=3)
        self.registry.register('web', 'a')
        self.registry.register('api', 'x')
        self.assertEqual(self.registry.metric('rollcall_watch_wakeups_total', cause='service'), 0)
        self.registry.register('web', 'b')
        self.assertEqual(stream.event().data['instance']['id'], 'b')
        self.assertEqual(self.registry.metric('rollcall_watch_wakeups_total', cause='service'), 1)

    def test_filters_are_those_of_lookups(self):
        stream = self.stream(WATCH, status='draining', **{'meta.zone': 'a'})
        self.assertEqual(stream.event().data['instances'], [])
        self.registry.register('web', 'a', metadata={'zone': 'a'})
        self.registry.register('web', 'b', metadata={'zone': 'b'})
        self.registry.set_status('web', 'b', 'draining')
        self.registry.set_status('web', 'a', 'draining')
        event = stream.event()
        self.assertEqual((event.kind, event.id, event.data['instance']['id']), ('added', 6, 'a'))
        for target in ('?status=x', '?x=1', '?meta.=1&meta.=2'):
            self.assertEqual(self.registry.get(WATCH + target).status, 400, target)
        self.assert_problem(self.registry.get('/v1/services/-x/watch'), 400, 'invalid-service')

    def test_a_service_may_come_and_go(self):
        stream = self.stream(WATCH)
        self.assertEqual(stream.event().data, {'service': 'web', 'revision': 0, 'instances': []})
        for life in range(3):
            self.registry.register('web', 'a')
            self.assertEqual((stream.event().kind, stream.last_id), ('added', 2 * life + 1))
            self.registry.deregister('web', 'a')
            self.assertEqual((stream.event().kind, stream.last_id), ('removed', 2 * life + 2))

    def test_a_slow_reader_gets_the_same_in_fewer_steps(self):
        self.registry.register('web', 'a')
        stream = self.stream(WATCH)
        view = View()
        view.apply(stream.event())
        large = {f'key{i}': 'x' * 1000 for i in range(16)}
        for i in range(2000):  # more than the buffers of the sockets hold
            self.registry.register('web', f'i{i % 40}', weight=1 + i % 7, metadata=large)
        self.registry.register('web', 'last')
        events = 0
        while 'last' not in [each['id'] for each in view.listed]:
            view.apply(stream.event())
            events += 1
        self.assertEqual(view.listed, self.listed())
        self.assertLess(events, 2000)

    def test_the_model_agrees_at_every_revision(self):
        """A watch has the same instances at each revision as a model fed by the log."""
        log = self.stream()
        views = {status: (View(), self.stream(WATCH, status=status))
                 for status in ('healthy', 'draining', 'any')}
        self.work(300, 1, services=('web', 'api'))
        self.registry.register('web', 'last', status='draining')
        self.registry.register('web', 'last', status='healthy')
        end = self.registry.get('/v1/services/web').revision
        history = {}
        model = Model()
        while model.revision < end:
            model.apply(log.event().data)
            history[model.revision] = model.service('web')
        history[0] = []
        for status, (view, stream) in views.items():
            steps = 0
            while view.revision < (end if status != 'draining' else end - 1):
                if view.apply(stream.event()):
                    wanted = [each for each in history[view.revision]
                              if status in ('any', each['status'])]
                    self.assertEqual(view.listed, wanted, (status, view.revision))
                    steps += 1
            self.assertGreater(steps, 10)


if __name__ == '__main__':
    rt.main()
