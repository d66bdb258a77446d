# SPDX-License-Identifier: MIT
"""Tokens of another history: the registry has lost its past, and clients send back what they got before."""

import os
import re
import shutil
import sqlite3
import threading

import rollcall_test as rt
from sse import SSE, Stream, revision_of

LINES = 'Accept: application/jsonl\r\n'
INSTANCE = rt.instance_path('web', 'a')
WAITS = 'rollcall_http_parked_requests'
# Every answer that has an ETag.
TAGGED = ('/v1/services/web', '/v1/services/web?format=text', '/v1/services/web?status=any',
          '/v1/services/web?meta.zone=a', '/v1/services/web?limit=1', '/v1/services/web?pretty',
          '/v1/services', '/v1/services?format=text', '/v1/services?prefix=w',
          '/v1/services/web?at=3', '/v1/services?at=3', INSTANCE + '?at=3', INSTANCE + '?at=3&format=text')
ANSWERS = (('GET', '/healthz', 200), ('GET', '/readyz', 200), ('GET', '/metrics', 200), ('GET', '/', 200),
           ('GET', '/openapi.json', 200), ('GET', '/problems/compacted', 200), ('GET', '/v1/status', 200),
           ('GET', '/v1/services/web', 200), ('HEAD', '/v1/services/web', 200), ('GET', '/v1/services', 200),
           ('GET', INSTANCE, 200), ('GET', '/v1/services/web/pick', 200), ('GET', '/v1/events', 200),
           ('GET', '/v1/services/web?at=1', 200), ('GET', '/v1/diff?from=1', 200),
           ('GET', INSTANCE + '/history', 200), ('POST', INSTANCE + '/heartbeat', 200),
           ('GET', '/v1/services/web?revision=0&wait_ms=1000', 200),
           ('GET', '/v1/services?revision=99&wait_ms=1000', 200),
           ('GET', '/v1/events?since=4&wait_ms=1', 200),
           ('GET', '/none', 404), ('GET', '/v1/services/none', 404), ('GET', '/v1/services?x=1', 400),
           ('DELETE', '/v1/services', 405), ('GET', '/v1/events?since=99', 410),
           ('PUT', INSTANCE, 415), ('GET', '/v1/services/none/pick', 404),
           ('GET', '/v1/services/web/instances/' + 'a' * 300, 400),
           ('DELETE', rt.instance_path('web', 'none'), 204))


def documented_sql():
    """What the manual runs on a backup before it is put back."""
    with open(os.path.join(rt.ROOT, 'docs', 'operations.md'), encoding='utf-8') as file:
        return re.search(r'^sqlite3 \S+ "(UPDATE counters [^"]+)"$', file.read(), re.M)[1]


class TestCase(rt.TestCase):

    def setUp(self):
        self.registry = self.daemon()
        self.fill()

    def fill(self):
        """So that revisions and instances look the same in each history."""
        for name in 'abcd':
            self.registry.register('web', name, metadata={'zone': 'a'})

    def stream(self, path='/v1/events', headers=SSE, **parameters):
        stream = Stream(self.registry, path, headers, **parameters)
        self.addCleanup(stream.close)
        return stream

    def lose_the_directory(self):
        port = self.registry.port
        self.registry.stop()
        shutil.rmtree(self.registry.state_dir)
        os.mkdir(self.registry.state_dir)
        self.registry.listen = [f'127.0.0.1:{port}']
        self.registry.start()
        self.fill()

    def damage(self):
        """The registry salvages what it has: all of it, but in another history."""
        self.registry.stop()
        database = sqlite3.connect(self.registry.database)
        with database:
            database.execute('UPDATE instances SET weight = 99')
        database.close()
        self.registry.start()
        self.registry.wait_log('error.*was damaged')
        self.assertEqual(self.registry.metric('rollcall_journal_salvages_total'), 1)

    def events_as_before(self, page):
        """What `since` of a page's token and of its bare revision give is the same."""
        asked = [self.registry.get(f'/v1/events?since={since}') for since in (page['token'], page['revision'])]
        self.assertEqual([each.status for each in asked], [200, 200])
        self.assertEqual(asked[0].json(), asked[1].json())


class Kept(TestCase):
    """One history."""

    def test_every_answer_names_the_history(self):
        history = self.registry.status()['history']
        self.assertRegex(history, '^[0-9a-f]{16}$')
        for method, target, status in ANSWERS:
            answer = self.registry.request(method, target)
            self.assertEqual((answer.status, answer.history), (status, history), target)
        for target in TAGGED:
            tag = self.registry.get(target).headers['ETag']
            answer = self.registry.get(target, If_None_Match=tag)
            self.assertEqual((answer.status, answer.history), (304, history), target)

    def test_what_http_itself_refuses_names_it_too(self):
        status = self.registry.status()
        history, head_bytes = status['history'], status['limits']['head_bytes']
        for request, status in (('GET / HTTP/1.1\r\n\r\n', 400), ('GET / HTTP/1.7\r\nHost: x\r\n\r\n', 505),
                                ('GET / HTTP/1.1\r\nHost: x\r\nX: ' + 'y' * head_bytes + '\r\n\r\n', 431),
                                ('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n', 400),
                                ('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n', 413)):
            raw = self.registry.raw()
            raw.send(request)
            answer = raw.response()
            raw.close()
            self.assertEqual((answer.status, answer.history), (status, history), request[:60])

    def test_streams_name_it_in_their_headers_and_their_first_event(self):
        history = self.registry.status()['history']
        for path, headers in (('/v1/events', SSE), ('/v1/services/web/watch', SSE)):
            stream = self.stream(path, headers)
            self.assertEqual(stream.history, history)
            first = stream.event()
            self.assertEqual(first.history, history)
            self.registry.register('web', 'new')
            while stream.event().data.get('revision') != self.registry.status()['revision']:
                pass
            self.registry.deregister('web', 'new')
        lines = self.stream(headers=LINES)
        self.assertEqual(lines.history, history)
        self.assertEqual(len(lines.lines()), 8)

    def test_a_stream_that_begins_with_silence_names_it_in_its_first_event(self):
        latest = self.registry.get('/v1/events').json()['revision']
        sse = self.stream(since=latest)
        lines = self.stream(headers=LINES, since=latest, wait_ms=500)
        rt.wait_for(lambda: self.registry.metric(WAITS) == 2, 20, 'both wait')
        self.registry.register('web', 'new')
        self.assertEqual(sse.event().history, self.registry.status()['history'])
        self.registry.register('web', 'newer')
        self.assertIsNone(sse.event().history)
        self.assertEqual([each['id'] for each in lines.lines()], ['new', 'newer'])

    def test_tokens_and_bare_revisions_ask_for_the_same(self):
        self.events_as_before(self.registry.get('/v1/events?limit=2').json())
        life = self.registry.get(INSTANCE + '/history').json()
        answer = self.registry.get('/v1/services')
        token, revision = answer.token(2), 2
        self.assertEqual(self.registry.get(INSTANCE + f'/history?since={life["token"]}').json()['events'], [])
        for target in ('/v1/services/web?at={}', '/v1/services?at={}', INSTANCE + '?at={}',
                       '/v1/services/web/pick?key=x&at={}', '/v1/diff?from={}', '/v1/diff?from=0&to={}',
                       '/v1/services/web?revision={}&wait_ms=1', '/v1/services?revision={}&wait_ms=1',
                       '/v1/services/web?revision={}', INSTANCE + '/history?since={}', '/v1/events?since={}'):
            asked = [self.registry.get(target.format(each)) for each in (token, revision)]
            self.assertEqual([each.status for each in asked], [200, 200], target)
            self.assertEqual(asked[0].json(), asked[1].json())
        for headers in (SSE, LINES):
            asked = [self.stream(headers=headers, since=each, limit=2) for each in (token, revision)]
            self.assertEqual(*[each.answer.read() for each in asked])
        resumed = self.stream(headers=SSE + f'Last-Event-ID: {token}\r\n', since='9.ffffffff')
        self.assertEqual([event.id for event in resumed.events(2)], [3, 4])

    def test_conditions_take_tokens(self):
        record = {'host': '10.0.0.1', 'port': 80, 'metadata': {'zone': 'a'}}
        answer = self.registry.put(INSTANCE, {**record, 'weight': 2})

        def condition(revision):
            return {'If-Match': f'"{answer.token(revision)}"'}

        self.assert_problem(self.registry.put(INSTANCE, record, condition(1)), 412, 'precondition-failed')
        seen = answer.json()['revision']
        self.assertEqual(self.registry.put(INSTANCE, {**record, 'weight': 3}, condition(seen)).status, 200)
        seen = self.registry.instance('web', 'a')['revision']
        self.assertEqual(
            self.registry.put(INSTANCE + '/status', {'status': 'draining'}, condition(seen)).status, 200)
        seen = self.registry.instance('web', 'a')['revision']
        self.assertEqual(self.registry.delete(INSTANCE, condition(seen)).status, 204)

    def test_what_is_no_token_is_refused_by_name(self):
        history = self.registry.status()['history']
        for wrong in (f'1.{history[:7]}', f'1.{history[:9]}', f'1.{history}', '1.', f'.{history[:8]}',
                      f'01.{history[:8]}', '1.ABCDEF01', f'1 .{history[:8]}', '-1', 'x', '9223372036854775808'):
            for target, name in (('/v1/events?since=', 'since'), (INSTANCE + '/history?since=', 'since'),
                                 ('/v1/services/web?wait_ms=1&revision=', 'revision'),
                                 ('/v1/services?at=', 'at'), ('/v1/diff?from=', 'from'),
                                 ('/v1/diff?from=0&to=', 'to')):
                problem = self.assert_problem(self.registry.get(target + rt.quote(wrong)), 400,
                                              'invalid-parameter')
                self.assertTrue(problem['detail'].startswith(name + ' must be'), problem)
                self.assertIn(f"'{wrong}'", problem['detail'])
            refused = self.stream(headers=SSE + f'Last-Event-ID: {wrong}\r\n')
            self.assertEqual(refused.status, 400, wrong)
            self.assert_problem(self.registry.delete(INSTANCE, {'If-Match': f'"{wrong}"'}), 400,
                                'invalid-condition')
        for cursor in (f'1-2.{history[:8]}-0', f'1-2-0.{history[:8]}', f'1.{history}-2-0', '1.-2-0', '1.-', '-2-0'):
            self.assert_problem(self.registry.get(f'/v1/diff?after={cursor}'), 400, 'invalid-parameter')
        for since in ('x', '1.'):
            stream = self.stream(headers=SSE + 'Last-Event-ID: 1\r\n', since=since)
            self.assertEqual(stream.status, 400)
        self.assertIsNotNone(self.registry.instance('web', 'a'))

    def test_etags_and_tokens_outlive_a_restart_of_the_same_directory(self):
        before = self.registry.get('/v1/services?at=3')
        etag, seen = before.headers['ETag'], self.registry.get('/v1/events').json()
        watching = self.registry.get('/v1/services').headers['ETag']
        self.registry.restart()
        self.assertEqual(self.registry.status()['history'], before.history)
        self.assertEqual(self.registry.get('/v1/services?at=3', If_None_Match=etag).status, 304)
        self.assertEqual(self.registry.get('/v1/services', If_None_Match=watching).status, 304)
        self.events_as_before(seen)


class Lost(TestCase):
    """Two histories whose revisions look alike."""

    def gather(self):
        """What clients get to send back, by what it is."""
        registry = self.registry
        events = registry.get('/v1/events?limit=2').json()
        life = registry.get(INSTANCE + '/history?limit=1').json()
        event, snapshot = self.stream().event(), self.stream('/v1/services/web/watch').event()
        lookup = registry.get('/v1/services/web').headers['ETag'].strip('"')
        tokens = {'events': events['token'], 'history': life['token'], 'sse': event.token,
                  'watch': snapshot.token, 'lookup': lookup,
                  'listing': registry.get('/v1/services').headers['ETag'].strip('"')}
        self.old = registry.status()['history']
        for name, token in tokens.items():
            self.assertTrue(token.endswith('.' + self.old[:8]), (name, token))
        self.cursor = registry.get('/v1/diff?from=0&limit=1').json()['next']
        self.assertIn(self.old[:8], self.cursor)
        self.tags = {target: registry.get(target).headers['ETag'] for target in TAGGED}
        for target, tag in self.tags.items():
            self.assertEqual(registry.get(target, If_None_Match=tag).status, 304, target)
        return tokens

    def assert_another(self, answer, name, old):
        latest = self.registry.status()
        self.assertNotEqual(latest['history'], self.old)
        problem = self.assert_problem(answer, 410, 'another-history')
        self.assertEqual((problem['history'], problem['latest_revision']),
                         (latest['history'], latest['revision']))
        self.assertEqual(problem['detail'],
                         f'{name} is revision {revision_of(old)} of the history that begins with '
                         f'{self.old[:8]}, but this registry has the history {latest["history"]}')
        self.assertEqual(answer.history, latest['history'])
        self.assertEqual(answer.headers['Cache-Control'], 'no-store')

    def assert_none_is_accepted(self, tokens, compacted=False):
        registry = self.registry
        for token in tokens.values():
            for target, name in (
                    ('/v1/services/web?revision={}&wait_ms=600000', 'revision'),
                    ('/v1/services/web?revision={}&wait_ms=600000&meta.zone=a', 'revision'),
                    ('/v1/services/none?revision={}&wait_ms=600000', 'revision'),
                    ('/v1/services?revision={}&wait_ms=600000', 'revision'),
                    ('/v1/services?prefix=x&revision={}&wait_ms=600000', 'revision'),
                    ('/v1/services/web?revision={}', 'revision'),
                    ('/v1/services/web?at={}', 'at'), ('/v1/services?at={}', 'at'),
                    (INSTANCE + '?at={}', 'at'), ('/v1/services/web/pick?key=x&at={}', 'at'),
                    ('/v1/diff?from={}', 'from'), ('/v1/diff?from=0&to={}', 'to'),
                    ('/v1/events?since={}', 'since'), ('/v1/events?since={}&wait_ms=600000', 'since'),
                    ('/v1/events?since={}&format=text', 'since'), (INSTANCE + '/history?since={}', 'since')):
                self.assert_another(registry.get(target.format(token)), name, token)
            self.assert_conditions_fail(token)
            self.assert_streams_end(token)
        self.assert_another(registry.get(f'/v1/diff?after={self.cursor}'), 'after', self.cursor.split('-')[0])
        self.assertEqual(registry.metric(WAITS), 0)
        for target, tag in self.tags.items():
            for known in (tag, 'W/' + tag, f'"x", {tag}', tag.split('.')[0] + '"'):
                answer = registry.get(target, If_None_Match=known)
                if compacted and 'at=3' in target:
                    self.assert_problem(answer, 410, 'compacted')
                    continue
                self.assertEqual(answer.status, 200, (target, known))
                self.assertTrue(answer.body)
                self.assertNotEqual(answer.headers['ETag'], tag)

    def assert_conditions_fail(self, token):
        condition = {'If-Match': f'"{token}"'}
        before = self.registry.instance('web', 'a')['revision'], self.registry.status()['revision']
        record = {'host': '10.0.0.1', 'port': 9}
        for answer in (self.registry.put(INSTANCE, record, condition),
                       self.registry.put(INSTANCE + '/status', {'status': 'draining'}, condition),
                       self.registry.delete(INSTANCE, condition),
                       self.registry.delete(rt.instance_path('none', 'none'), condition)):
            self.assert_another(answer, 'If-Match', token)
        self.assertEqual((self.registry.instance('web', 'a')['revision'], self.registry.status()['revision']),
                         before)

    def assert_streams_end(self, token):
        for headers, parameters, name in (
                (SSE, {'since': token}, 'since'), (LINES, {'since': token}, 'since'),
                (LINES, {'since': token, 'wait_ms': 600000}, 'since'),
                (SSE + f'Last-Event-ID: {token}\r\n', {}, 'Last-Event-ID'),
                (SSE + f'Last-Event-ID: {token}\r\n', {'since': 1, 'service': 'web'}, 'Last-Event-ID')):
            stream = self.stream(headers=headers, **parameters)
            self.assert_another(rt.Response(stream.answer), name, token)
            stream.close()
        watch = self.stream('/v1/services/web/watch', SSE + f'Last-Event-ID: {token}\r\n')
        first = watch.event()
        self.assertEqual((first.kind, len(first.data['instances'])), ('snapshot', 4))
        self.assertEqual(first.history, self.registry.status()['history'])
        watch.close()

    def test_nothing_that_a_lost_directory_gave_is_accepted(self):
        tokens = self.gather()
        self.lose_the_directory()
        self.assertEqual(self.registry.status()['revision'], 4)
        self.assert_none_is_accepted(tokens)

    def test_nothing_of_a_longer_or_shorter_past_is_accepted(self):
        tokens = self.gather()
        self.registry.register('web', 'e')
        self.registry.deregister('web', 'e')
        tokens |= {'ahead': self.registry.get('/v1/services').headers['ETag'].strip('"')}
        self.lose_the_directory()
        self.assertGreater(revision_of(tokens['ahead']), self.registry.status()['revision'])
        self.assert_none_is_accepted(tokens)

    def test_nothing_from_before_a_salvage_is_accepted(self):
        tokens = self.gather()
        self.damage()
        self.assertEqual(len(self.registry.ids('web')), 4)
        self.assert_none_is_accepted(tokens, compacted=True)

    def test_nothing_from_before_a_backup_was_put_back_is_accepted(self):
        registry = self.registry
        registry.stop()
        backup = os.path.join(self.directory(), 'rollcall.db')
        shutil.copy(registry.database, backup)
        registry.start()
        registry.register('web', 'a', metadata={'zone': 'a'}, weight=7)
        tokens = self.gather()
        registry.stop()
        for name in os.listdir(registry.state_dir):
            os.unlink(os.path.join(registry.state_dir, name))
        shutil.copy(backup, registry.database)
        database = sqlite3.connect(registry.database)
        with database:
            database.execute(documented_sql())
        database.close()
        registry.start()
        self.assertEqual(registry.metric('rollcall_journal_salvages_total'), 0)
        self.assertEqual(len(registry.ids('web')), 4)
        self.assert_none_is_accepted(tokens, compacted=True)

    def test_continuing_from_the_refusal_misses_nothing(self):
        self.gather()
        self.lose_the_directory()
        problem = self.registry.get('/v1/events?since=3.' + self.old[:8]).json()
        token = f'{problem["latest_revision"]}.{problem["history"][:8]}'
        stream = self.stream(since=token)
        answers = []

        def poll(target):
            answers.append(self.client(self.registry).get(target.format(token)))

        polls = [threading.Thread(target=poll, args=(target,)) for target in (
            '/v1/services/web?revision={}&wait_ms=60000', '/v1/services?revision={}&wait_ms=60000',
            '/v1/events?since={}&wait_ms=60000')]
        for each in polls:
            each.start()
        rt.wait_for(lambda: self.registry.metric(WAITS) == 4, 20, 'all wait')
        self.registry.register('web', 'new')
        for each in polls:
            each.join()
        self.assertEqual([(each.status, each.json()['revision']) for each in answers], [(200, 5)] * 3)
        self.assertEqual(stream.event().data['id'], 'new')


if __name__ == '__main__':
    rt.main()
