# SPDX-License-Identifier: MIT
"""What an operator intends for an id: over lives of instances, crashes and restarts."""

import os
import sqlite3
import struct
import time
import zlib
from datetime import datetime, timezone

import rollcall_test as rt
import sse

INTENTS = '/v1/services/web/intents'


class TestCase(rt.TestCase):

    def setUp(self):
        super().setUp()
        self.registry = self.daemon()

    def restart_with(self, *options):
        self.registry.stop()
        self.registry.options += options
        self.registry.start()

    def drain(self, name='a', **more):
        return self.registry.put(rt.instance_path('web', name) + '/status', {'status': 'draining', **more})

    def end(self, name='a', **more):
        return self.registry.put(rt.instance_path('web', name) + '/status', {'status': 'healthy', **more})

    def intents(self, **parameters):
        return self.registry.ok(self.registry.get(INTENTS + rt.query(**parameters))).json()['intents']

    def check_drained(self, shown, reason='new kernel'):
        self.assertEqual((shown['status'], shown['status_reason'], shown['status_by']),
                         ('draining', reason, 'operator:127.0.0.1'))

    def kinds(self, **query):
        return [(event['kind'], event['author']) for event in self.registry.events(service='web', **query)]


class Lives(TestCase):

    def test_it_holds_for_the_next_instance_with_the_id(self):
        self.registry.register('web', 'a')
        self.check_drained(self.drain(reason='new kernel').json())
        self.registry.deregister('web', 'a')
        self.check_drained(self.registry.register('web', 'a'))
        self.assertEqual(self.registry.ids('web'), [])
        # whatever it says, and however often
        self.check_drained(self.registry.register('web', 'a', port=99))
        self.registry.heartbeat('web', 'a', {'status': 'draining'})
        self.registry.heartbeat('web', 'a', {'status': 'healthy'})
        self.registry.heartbeat('web', 'a', {'status': 'unhealthy'})
        self.check_drained(self.registry.instance('web', 'a'))
        self.check_drained(self.registry.register('web', 'a', port=99))
        registered = self.registry.events(service='web', kind='registered')
        self.check_drained(registered[1]['instance'])
        self.assertEqual((registered[1]['author'], registered[1]['peer']), ('instance', '127.0.0.1'))
        self.assertEqual(self.end().json()['status'], 'healthy')
        self.assertEqual(self.intents(), [])

    def test_it_survives_kill_at_each_step(self):
        self.registry.register('web', 'a')
        self.drain(reason='new kernel')
        for _ in range(2):
            self.registry.kill()
            self.registry.start()
            self.check_drained(self.registry.instance('web', 'a'))
            self.registry.deregister('web', 'a')
            self.registry.kill()
            self.registry.start()
            self.assertFalse(self.intents()[0]['registered'])
            self.check_drained(self.registry.register('web', 'a'))
        self.assertEqual(self.registry.metric('rollcall_journal_salvages_total'), 0)

    def test_an_owner_keeps_its_own_word_meanwhile(self):
        self.registry.register('web', 'a', status='draining')
        self.drain(reason='new kernel')
        self.check_drained(self.registry.instance('web', 'a'))
        shown = self.end().json()
        self.assertEqual((shown['status'], shown['status_reason'], shown['status_by']),
                         ('draining', 'draining by itself', 'instance'))
        self.assertEqual(self.registry.heartbeat('web', 'a', {'status': 'healthy'})['status'], 'healthy')

    def test_removal_by_the_sweeper_keeps_it(self):
        self.registry.register('web', 'a', ttl_ms=1000, remove_after_ms=100)
        self.drain(reason='new kernel')
        rt.wait_for(lambda: self.registry.instance('web', 'a') is None, 20, 'removed')
        self.assertEqual(self.kinds()[-3:], [('expired', 'sweeper'), ('removed', 'sweeper'),
                                             ('entry-put', 'sweeper')])
        self.check_drained(self.registry.register('web', 'a'))


class Absent(TestCase):

    def setUp(self):
        super().setUp()
        self.registry.register('web', 'a')

    def leave(self, **more):
        self.assertEqual(self.drain(**more).status, 200)
        self.registry.deregister('web', 'a')

    def test_it_is_changed_and_ended(self):
        self.assert_problem(self.drain('nobody'), 404, 'not-registered')
        self.assert_problem(self.end('nobody'), 404, 'not-registered')
        self.leave(reason='one')
        for _ in range(2):
            answer = self.drain(reason='two', wait_ms=600000)
            self.assertEqual((answer.status, answer.body), (204, b''))
        self.assertEqual([each['reason'] for each in self.intents()], ['two'])
        self.check_drained(self.registry.register('web', 'a'), 'two')
        self.registry.deregister('web', 'a')
        self.assertEqual(self.end(reason='done').status, 204)
        self.assertEqual(self.intents(), [])
        self.assert_problem(self.end(), 404, 'not-registered')
        self.assertEqual(self.registry.register('web', 'a')['status'], 'healthy')

    def test_a_time_that_was_set_ends_it(self):
        self.leave(for_ms=1500)
        until = datetime.fromisoformat(self.intents()[0]['until'])
        rt.wait_for(lambda: self.intents() == [], 20, 'its time is over')
        self.assertGreaterEqual(datetime.now(timezone.utc), until)
        last = self.registry.events(service='web')[-1]
        self.assertEqual((last['kind'], last['author'], last['reason']),
                         ('entry-removed', 'sweeper', "the drain's time is over"))
        self.assertEqual(self.registry.register('web', 'a')['status'], 'healthy')

    def test_a_time_that_was_set_ends_it_in_a_later_life(self):
        self.leave(for_ms=1500)
        self.assertIn('draining_until', self.registry.register('web', 'a'))
        rt.wait_for(lambda: self.registry.ids('web') == ['a'], 20, 'its time is over')
        self.assertEqual(self.kinds()[-2:], [('entry-removed', 'sweeper'), ('resumed', 'sweeper')])
        self.assertEqual(self.intents(), [])

    def test_it_is_forgotten_in_time(self):
        self.restart_with('--intent-ttl-ms=2000')
        self.assertEqual(self.registry.status()['limits']['intent_ttl_ms'], 2000)
        self.registry.register('web', 'b')
        self.drain('b')
        begun = time.monotonic()
        self.leave(reason='new kernel')
        self.registry.kill()
        self.registry.start()
        rt.wait_for(lambda: [each['id'] for each in self.intents()] == ['b'], 20, 'forgotten')
        self.assertGreater(time.monotonic() - begun, 1.5)
        self.assertEqual(self.registry.register('web', 'a')['status'], 'healthy')
        self.assertEqual(self.registry.instance('web', 'b')['status'], 'draining')  # it is there

    def test_an_event_stream_of_the_service_tells_of_it(self):
        self.leave()
        since = self.registry.status()['revision']
        stream = sse.Stream(self.registry, '/v1/events', service='web', since=since)
        self.addCleanup(stream.close)
        rt.wait_for(lambda: self.registry.metric('rollcall_http_parked_requests') == 1, 20, 'it waits')
        poll = self.registry.client()
        self.addCleanup(poll.close)
        self.drain(reason='other')
        self.assertEqual(stream.event().kind, 'entry-put')
        self.registry.register('api', 'x')
        self.end()
        self.assertEqual(stream.event().kind, 'entry-removed')


class Listing(TestCase):

    def test_it_tells_who_what_why_and_since_when(self):
        self.registry.register('web', 'a')
        self.registry.register('web', 'b')
        self.registry.register('api', 'a')
        self.drain('b', reason='new kernel', for_ms=3600000)
        drained = self.registry.instance('web', 'b')
        self.drain('a')
        self.registry.deregister('web', 'a')
        a, b = self.intents()
        self.assertEqual({key: a[key] for key in a if key not in ('since', 'absent_since')},
                         {'service': 'web', 'id': 'a', 'status': 'draining', 'reason': 'drained by an operator',
                          'by': 'operator:127.0.0.1', 'registered': False})
        self.assertLessEqual(a['since'], a['absent_since'])
        self.assertEqual(b, {'service': 'web', 'id': 'b', 'status': 'draining', 'reason': 'new kernel',
                             'by': 'operator:127.0.0.1', 'since': drained['status_since'],
                             'until': drained['draining_until'], 'registered': True})
        text = self.registry.get(INTENTS + '?format=text').text.splitlines()
        self.assertRegex(text[0], r'^ID +STATUS +SINCE +BY +UNTIL +REGISTERED +ABSENT SINCE +REASON$')
        self.assertRegex(text[1], r'^a +draining +\S+Z +operator:127.0.0.1 +- +no +\S+Z +drained by an operator$')
        self.assertRegex(text[2], r'^b +draining +\S+Z +operator:127.0.0.1 +\S+Z +yes +- +new kernel$')
        self.assertEqual(self.registry.get('/v1/services/api/intents').json()['intents'], [])
        self.assertEqual(self.registry.get('/v1/services/nobody/intents').json()['intents'], [])
        self.assert_problem(self.registry.get('/v1/services/-x/intents'), 400, 'invalid-service')
        self.assert_problem(self.registry.get(INTENTS + '?limit=0'), 400, 'invalid-parameter')
        self.assert_problem(self.registry.get(INTENTS + '?x=1'), 400, 'unknown-parameter')

    def test_it_is_of_then_and_has_a_tag(self):
        self.registry.register('web', 'a')
        self.drain(reason='new kernel')
        self.registry.deregister('web', 'a')
        self.end()
        self.assertEqual([len(self.intents(at=at)) for at in range(1, 7)], [0, 1, 1, 1, 1, 0])
        self.assertEqual([self.intents(at=at)[0]['registered'] for at in range(2, 6)], [True, True, False, False])
        answer = self.registry.get(INTENTS)
        self.assertEqual(self.registry.get(INTENTS, If_None_Match=answer.headers['ETag']).status, 304)
        self.registry.register('web', 'a')
        self.assertEqual(self.registry.get(INTENTS, If_None_Match=answer.headers['ETag']).status, 200)
        diff = self.registry.get('/v1/diff?from=1&to=2').json()
        self.assertEqual((diff['added'], diff['changed'], diff['removed']), ([], [], []))
        self.assertEqual([each['document']['reason'] for each in diff['entries']['added']], ['new kernel'])
        diff = self.registry.get('/v1/diff?from=2&to=5').json()
        self.assertEqual([(each['before']['author'], each['after']['author']) for each in diff['entries']['changed']],
                         [('operator:127.0.0.1', 'instance')])
        history = self.registry.get(rt.instance_path('web', 'a') + '/history').json()['events']
        self.assertEqual([event['kind'] for event in history],
                         ['registered', 'entry-put', 'drained', 'deregistered', 'entry-put', 'entry-removed',
                          'registered'])

    def test_reasons_are_kept_as_they_are_or_refused(self):
        self.registry.register('web', 'a')
        for reason in ('"' * 256, '\\' * 256, 'ä' * 128, '\U0001f6a7' * 64, '{"status":"draining"}', '\u202e', ' '):
            self.assertEqual(self.drain(reason=reason).status, 200, reason)
            self.assertEqual(self.intents()[0]['reason'], reason)
            self.registry.deregister('web', 'a')
            self.check_drained(self.registry.register('web', 'a'), reason)
        self.registry.restart()
        self.check_drained(self.registry.instance('web', 'a'), ' ')
        for reason in ('x' * 257, 'a\nb', 'a\u0000b', '\u0085', '\u007f'):
            self.assertIn(self.drain(reason=reason).status, (400, 422), reason)
        self.assertEqual(self.intents()[0]['reason'], ' ')

    def test_ten_thousand(self):
        count = 10000
        names = [f'i{n:05}' for n in range(count)]

        def live(worker):
            client = rt.Client(self.registry.address)
            for name in names[worker::8]:
                client.register('web', name)
                client.set_status('web', name, 'draining', reason='r' * 256)
                client.deregister('web', name)
            client.close()

        rt.parallel(8, live)
        self.registry.kill()
        self.registry.start()
        found, after = [], {}
        while True:
            page = self.registry.get(INTENTS + rt.query(limit=3000, **after)).json()
            self.assertLessEqual(len(page['intents']), 3000)
            found += [each['id'] for each in page['intents']]
            if 'next' not in page:
                break
            after = {'after': page['next']}
        self.assertEqual(found, names)
        self.assertEqual(self.registry.status()['services'], 0)
        self.assertGreater(self.registry.status()['registry_bytes'], count * 300)
        self.check_drained(self.registry.register('web', names[-1]), 'r' * 256)
        # all at once
        self.restart_with('--intent-ttl-ms=1')
        rt.wait_for(lambda: [each['id'] for each in self.intents()] == [names[-1]], 60, 'forgotten')
        self.registry.heartbeat('web', names[-1])


def checksum(numbers, texts, crc=0):
    """Of a row of the first version."""
    texts = [text.encode() for text in texts]
    head = struct.pack(f'<{len(numbers) + len(texts)}Q', *numbers, *map(len, texts))
    return zlib.crc32(b''.join([head, *texts]), crc)


class Before(rt.TestCase):
    """State of a daemon that kept no intents."""

    def test_what_was_drained_then_gets_an_intent(self):
        registry = self.daemon()
        registry.stop()
        for name in os.listdir(registry.state_dir):
            os.unlink(os.path.join(registry.state_dir, name))
        database = sqlite3.connect(os.path.join(registry.state_dir, 'rollcall.db'))
        with open(os.path.join(rt.ROOT, 'schema/sql/001_init.sql'), encoding='utf-8') as file:
            database.executescript(file.read())
        ago = (time.time_ns() // 1000000) - 60000
        for revision, drained, by, reason, kind in ((1, 0, 'instance', 'registered', 1),
                                                    (2, 1, 'operator:192.0.2.7', 'new kernel', 6)):
            texts = ['web', 'a', '10.0.0.1', reason, by, '']
            crc = checksum([revision, 1, 80, 100, 30000, 600000, 4 * drained, 0, ago, ago, 0], texts)
            row = ('web', 'a', 1, '10.0.0.1', 80, 100, 30000, 600000, 0, 0, drained, 0, reason, by, ago, ago, 0, b'')
            columns = ('service, id, incarnation, host, port, weight, ttl_ms, remove_after_ms, wants_drain, lease_out, '
                       'drained, drained_until_ms, status_reason, status_by, status_since_ms, registered_ms, '
                       'metadata_count, metadata, revision, checksum')
            database.execute(f'INSERT INTO events ({columns}, time_ms, kind, author, agent, reason) '
                             f'VALUES ({",".join("?" * 25)})',
                             (*row, revision, checksum([ago, kind], ['192.0.2.7', '', ''], crc),
                              ago, kind, '192.0.2.7', '', ''))
        database.execute(f'INSERT INTO instances ({columns}) VALUES ({",".join("?" * 20)})', (*row, 2, crc))
        database.commit()
        database.executescript('PRAGMA application_id=1919904876; PRAGMA user_version=1')
        database.close()
        registry.start()

        def intents():
            return registry.get('/v1/services/web/intents').json()['intents']

        self.assertEqual(registry.metric('rollcall_journal_salvages_total'), 0)
        shown = registry.instance('web', 'a')
        self.assertEqual((shown['status'], shown['status_by'], shown['status_reason']),
                         ('draining', 'operator:192.0.2.7', 'new kernel'))
        rt.wait_for(lambda: len(intents()) == 1, 20, 'an intent')
        self.assertEqual((intents()[0]['by'], intents()[0]['reason'], intents()[0]['since']),
                         ('operator:192.0.2.7', 'new kernel', shown['status_since']))
        last = registry.events()[-1]
        self.assertEqual((last['kind'], last['author']), ('entry-put', 'sweeper'))
        registry.restart()
        self.assertEqual(registry.status()['revision'], 3)
        registry.deregister('web', 'a')
        again = registry.register('web', 'a')
        self.assertEqual((again['status'], again['status_by'], again['status_reason']),
                         ('draining', 'operator:192.0.2.7', 'new kernel'))
        self.assertEqual(registry.set_status('web', 'a', 'healthy')['status'], 'healthy')

    def test_what_was_drained_then_stays_drained(self):
        registry = self.daemon()
        registry.stop()
        for name in os.listdir(registry.state_dir):
            os.unlink(os.path.join(registry.state_dir, name))
        database = sqlite3.connect(os.path.join(registry.state_dir, 'rollcall.db'))
        for script in ('schema/sql/001_init.sql', 'tests/cases/format_001.sql'):
            with open(os.path.join(rt.ROOT, script), encoding='utf-8') as file:
                database.executescript(file.read())
        database.executescript('PRAGMA application_id=1919904876; PRAGMA user_version=1')
        database.close()
        registry.start()

        def intents():
            return registry.get('/v1/services/db/intents').json()['intents']

        # its end of 2026-09-21 is over; until the first look it is drained
        rt.wait_for(lambda: registry.instance('db', '~')['status'] != 'draining', 20, 'its time is over')
        self.assertEqual(intents(), [])
        kinds = [event['kind'] for event in registry.events(service='db')]
        self.assertEqual(kinds[-1], 'resumed')


if __name__ == '__main__':
    rt.main()
