# SPDX-License-Identifier: MIT
"""The tool and what operators intend for ids: drains of ids that are not registered, their list, their events."""

import json
import os
import re

import rollcall_test as rt
import tool_test
from tool_test import ERROR, NOT_FOUND, USAGE

with open(os.path.join(rt.ROOT, 'schema', 'openapi.json'), encoding='utf-8') as _file:
    SCHEMAS = json.load(_file)['components']['schemas']


class TestCase(tool_test.TestCase):
    def setUp(self):
        super().setUp()
        self.registry = self.daemon()
        self.registry.register('web', 'a')

    def leave(self, name='a', **more):
        """Drains an id whose instance then leaves."""
        self.registry.set_status('web', name, 'draining', **more)
        self.registry.deregister('web', name)

    def intents(self):
        return self.registry.get('/v1/services/web/intents').json()['intents']


class Absent(TestCase):
    """Drains of ids that are not registered."""

    def test_resume_ends_the_drain_and_reports_it(self):
        self.leave()
        result = self.ok(self.registry, 'resume', 'web', 'a')
        self.assertEqual((result.out, result.err),
                         ('', "rollcall: service 'web' has no instance 'a'; the drain of the id has ended\n"))
        self.assertEqual(self.intents(), [])
        result = self.tool(self.registry, 'resume', 'web', 'a')
        self.assertEqual((result.code, result.out, result.err),
                         (NOT_FOUND, '', "rollcall: service 'web' has no instance 'a'\n"))

    def test_drain_changes_the_drain_and_reports_it(self):
        self.leave(reason='one')
        for more in ([], ['--wait', '10s'], ['-o', 'json']):
            result = self.ok(self.registry, 'drain', 'web', 'a', '--reason', 'two', *more)
            self.assertEqual((result.out, result.err),
                             ('', "rollcall: service 'web' has no instance 'a'; the drain of the id stays\n"))
        self.assertEqual([each['reason'] for each in self.intents()], ['two'])

    def test_one_of_several_ids_is_not_registered(self):
        self.leave()
        self.registry.register('web', 'b')
        result = self.ok(self.registry, 'drain', 'web', 'a', 'b', '-o', 'name')
        self.assertEqual(result.out, 'b\n')
        self.assertIn("no instance 'a'", result.err)
        result = self.tool(self.registry, 'resume', 'web', 'nobody', 'a', 'b', '-o', 'name')
        self.assertEqual((result.code, result.out), (NOT_FOUND, 'b\n'))
        self.assertEqual(self.intents(), [])

    def test_an_empty_answer_of_another_server_is_none_of_a_registry(self):
        with tool_test.Answering(b'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n') as other:
            for command in ('drain', 'resume', 'heartbeat', 'deregister'):
                result = self.tool(other.url, command, 'web', 'a')
                self.assertEqual((result.code, result.out), (ERROR, ''), result)
                self.assertIn('the answer is not from a registry', result.err)

    def test_a_heartbeat_is_not_answered_with_nothing(self):
        with tool_test.Answering(b'HTTP/1.1 204 No Content\r\nX-Rollcall-Revision: 1\r\nConnection: close\r\n\r\n') as odd:
            result = self.tool(odd.url, 'heartbeat', 'web', 'a')
        self.assertEqual((result.code, result.out), (ERROR, ''), result)
        self.assertIn('no answer to the heartbeat', result.err)

    def test_help_and_manual_say_how_long_a_drain_lasts(self):
        text = self.ok(None, 'drain', '--help').out
        for word in ('deregistration', 'rollcall resume', '--for', 'intent_ttl_ms'):
            self.assertIn(word, text)
        manual = tool_test.read(os.path.join(rt.ROOT, 'docs', 'man', 'rollcall.1'))
        entry = re.search(r'\n\.It Cm drain .*?\n\.It Cm ', manual, re.S).group()
        for word in ('deregistration', 'Cm resume', 'Fl -for', 'intent_ttl_ms'):
            self.assertIn(word, entry)


class Listing(TestCase):
    def test_intents_are_a_table(self):
        self.registry.register('web', 'b')
        self.registry.register('db', 'c')
        self.registry.set_status('db', 'c', 'draining')
        self.leave(reason='new kernel')
        self.registry.set_status('web', 'b', 'draining', for_ms=3600000)
        a, b = self.intents()
        rows = [re.split(' {2,}', line) for line in self.ok(self.registry, 'intents', 'web').lines]
        self.assertEqual(rows, [
            ['ID', 'STATUS', 'SINCE', 'BY', 'UNTIL', 'REGISTERED', 'REASON'],
            ['a', 'draining', a['since'], 'operator:127.0.0.1', 'false', 'new kernel'],
            ['b', 'draining', b['since'], 'operator:127.0.0.1', b['until'], 'true', 'drained by an operator']])
        wide = self.ok(self.registry, 'intents', 'web', '-o', 'wide').lines
        self.assertIn('ABSENT SINCE', wide[0])
        self.assertIn(a['absent_since'], wide[1])

    def test_intents_come_in_all_formats(self):
        self.leave()
        whole = self.registry.get('/v1/services/web/intents').json()
        self.assertEqual(json.loads(self.ok(self.registry, 'intents', 'web', '-o', 'json').out), whole)
        self.assertEqual(json.loads(self.ok(self.registry, 'intents', 'web', '-o', 'jsonl').out), whole['intents'][0])
        self.assertEqual(self.ok(self.registry, 'intents', 'web', '-o', 'name').out, 'a\n')
        self.assertEqual(self.ok(self.registry, 'intents', 'web', '--no-headers').lines[0].split()[0], 'a')
        self.assertEqual(self.tool(self.registry, 'intents', 'web', '-o', 'address').code, USAGE)
        self.assertEqual(self.tool(self.registry, 'intents').code, USAGE)
        self.assertEqual(self.tool(self.registry, 'intents', 'no such name').code, USAGE)

    def test_no_intents_are_an_empty_list(self):
        for service in ('web', 'nobody'):
            result = self.ok(self.registry, 'intents', service)
            self.assertEqual((result.out, result.err), ('', ''))

    def test_every_page_of_intents_is_read(self):
        names = [f'i{n:04}' for n in range(1001)]
        for name in names:
            self.registry.register('web', name)
            self.leave(name)
        self.assertEqual(self.ok(self.registry, 'intents', 'web', '-o', 'name').out.split(), names)
        self.assertNotIn('next', json.loads(self.ok(self.registry, 'intents', 'web', '-o', 'json').out))

    def test_resume_completes_what_is_drained(self):
        self.leave(reason='new kernel')
        self.registry.register('web', 'b')
        complete = lambda *words: self.ok(self.registry, '__complete', 'rollcall', *words).out
        self.assertEqual(complete('resume', 'web', ''), 'a\tnew kernel\n')
        self.assertEqual(complete('drain', 'web', ''), 'b\t10.0.0.1:80\n')
        self.assertEqual(complete('intents', 'w'), 'web\t\n')


class Events(TestCase):
    def statuses(self, *args):
        """[(kind, status)] of the rows of a table."""
        head, *rows = self.ok(self.registry, *args).out.splitlines()
        cut = lambda row, first, last: row[head.index(first):head.index(last)].strip()
        return [(cut(row, 'KIND', 'SERVICE'), cut(row, 'STATUS', 'BY')) for row in rows]

    def test_an_event_of_an_entry_shows_what_it_is_about(self):
        self.leave()
        self.registry.put(rt.instance_path('web', 'a') + '/status', {'status': 'healthy'})
        self.registry.register('web', 'a')
        self.registry.heartbeat('web', 'a', {'status': 'unhealthy'})
        wanted = [('registered', 'healthy'), ('entry-put', 'intent: draining'), ('drained', 'draining'),
                  ('deregistered', 'draining'), ('entry-put', 'intent: draining'), ('entry-removed', 'intent: draining'),
                  ('registered', 'healthy'), ('failed', 'unhealthy')]
        for args in (['events'], ['history', 'web', 'a'], ['events', '-o', 'wide']):
            self.assertEqual(self.statuses(*args), wanted)

    def test_rows_that_follow_are_aligned(self):
        self.leave()
        self.registry.put(rt.instance_path('web', 'a') + '/status', {'status': 'healthy', 'reason': 'done'})
        following = self.start(self.registry, 'events', '-f', '-o', 'wide')
        following.wait_out('done')
        head, *rows = following.out.splitlines()
        for row in rows:
            for title in ('SERVICE', 'ID', 'STATUS', 'BY', 'PEER', 'REASON'):
                self.assertEqual(row[head.index(title) - 1], ' ', row)
        self.assertEqual({row[head.index('BY'):head.index('PEER')].strip() for row in rows},
                         {'instance', 'operator:127.0.0.1'})
        self.assertEqual({row[head.index('PEER'):head.index('ADDRESS')].strip() for row in rows}, {'127.0.0.1'})

    def test_each_author_with_an_ipv4_address_fits(self):
        event = {'revision': 1, 'time': '2026-11-23T18:41:28.123Z', 'kind': 'entry-removed', 'service': 's' * 16,
                 'id': 'i' * 24, 'author': 'operator:255.255.255.255', 'reason': 'why',
                 'entry': {'kind': 'intent', 'document': {'status': 'draining'}}}
        body = json.dumps({'revision': 1, 'events': [event]})
        answer = (f'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Rollcall-Revision: 1\r\n'
                  f'Connection: close\r\n\r\n{body}').encode()
        with tool_test.Answering(answer) as registry:
            following = self.start(registry.url, 'events', '-f')
            following.wait_out('why')
            head, row = following.out.splitlines()[:2]
            following.end()
        self.assertEqual(row.index('why'), head.index('REASON'))
        self.assertEqual(row.index('intent'), head.index('STATUS'))

    def test_entries_of_all_forms_are_printed(self):
        for entry, wanted in (({'kind': 'rule', 'document': {}}, 'rule'), ({'kind': 'rule'}, 'rule'),
                              ({'kind': 'rule', 'document': {'status': 7}}, 'rule'),
                              ({'document': {'status': 'x'}}, ': x'), ({}, ''), ([], ''), (7, '')):
            body = json.dumps({'revision': 1, 'events': [{'revision': 1, 'kind': 'k', 'entry': entry, 'author': 'BY'}]})
            answer = (f'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Rollcall-Revision: 1\r\n'
                      f'Connection: close\r\n\r\n{body}').encode()
            with tool_test.Answering(answer) as registry:
                self.assertEqual(self.ok(registry.url, 'events', '--no-headers').out.split(),
                                 ['1', 'k', *wanted.split(), 'BY'])

    def test_only_the_status_of_instances_is_coloured(self):
        self.leave()
        out = self.ok(self.registry, 'events', '--color', 'always').out
        self.assertIn('\x1b[33mdraining', out)
        self.assertRegex(out, r'(?m) intent: draining  operator')

    def test_help_completion_and_manual_have_all_kinds(self):
        kinds = SCHEMAS['EventKind']['enum']
        for command in ('events', 'history'):
            offered = self.ok(None, '__complete', 'rollcall', command, *(['web'] if command == 'history' else []),
                              '--kind', '').out.split()
            self.assertEqual(sorted(offered), sorted(kinds))
            text = re.search(r'(?m)^Kinds: (.*)\.$', self.ok(None, command, '--help').out)
            self.assertEqual(text.group(1).split(', '), offered)
        manual = tool_test.read(os.path.join(rt.ROOT, 'docs', 'man', 'rollcall.1'))
        entry = re.search(r'\n\.It Cm events.*?\n\.It Cm ', manual, re.S).group()
        named = ' '.join(re.findall(r'(?m)^\.Cm (.*)$', entry.split('Kinds are')[1].split('With\n')[0]))
        self.assertEqual(sorted(re.findall(r'[a-z-]+', named)), sorted(kinds))


class Owner(TestCase):
    """What an owner reports with heartbeats."""

    def test_a_heartbeat_reports_the_status(self):
        for status in ('unhealthy', 'draining', 'healthy'):
            result = self.ok(self.registry, 'heartbeat', 'web', 'a', '--status', status, '--load', '0.5', '-o', 'json')
            self.assertEqual(json.loads(result.out)['status'], status)
            shown = self.registry.instance('web', 'a')
            self.assertEqual((shown['status'], shown['status_by']), (status, 'instance'))
        # Without it, the status stays.
        self.ok(self.registry, 'heartbeat', 'web', 'a', '-s', 'unhealthy')
        self.ok(self.registry, 'heartbeat', 'web', 'a', '--load', '0.5')
        self.ok(self.registry, 'heartbeat', 'web', 'a')
        self.assertEqual(self.registry.instance('web', 'a')['status'], 'unhealthy')

    def test_other_statuses_are_refused(self):
        for status in ('', 'any', 'Healthy', 'healthy,draining', '\udcff'):
            result = self.tool('127.0.0.1:1', 'heartbeat', 'web', 'a', '--status', status)
            self.assertEqual((result.code, result.out), (USAGE, ''), result)
            self.assertIn('--status takes healthy, draining or unhealthy', result.err)

    def test_the_statuses_are_those_of_the_api(self):
        statuses = sorted(SCHEMAS['Heartbeat']['properties']['status']['enum'])
        words = lambda *line: sorted(self.ok(None, '__complete', 'rollcall', *line).out.split())
        self.assertEqual(words('heartbeat', 'web', 'a', '--status', ''), statuses)
        self.assertEqual(words('heartbeat', 'web', 'a', '-s', 'd'), ['draining'])
        self.assertEqual(words('instances', 'web', '--status', ''), sorted([*statuses, 'any']))


if __name__ == '__main__':
    rt.main()
