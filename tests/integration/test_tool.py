# SPDX-License-Identifier: MIT
"""The tool's commands for operators and scripts: their output, their effects, their exit codes.

The tool and the daemon are real; tool_test.Answering plays a registry that is broken or slow.
"""

import json
import os
import pty
import re
import signal
import socket
import subprocess

import rollcall_test as rt
import tool_test
from tool_test import ERROR, NOT_FOUND, OK, UNREACHABLE, USAGE

TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z')
COMMANDS = ['services', 'instances', 'intents', 'pick', 'register', 'deregister', 'heartbeat', 'drain', 'resume', 'call',
            'run', 'agent', 'watch', 'render', 'events', 'history', 'completion', 'status']


def timeless(lines):
    """The lines with TIME in place of each time."""
    return [TIME.sub('TIME', line) for line in lines]


class Reading(tool_test.TestCase):
    def test_services_are_a_table_with_counts(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        daemon.register('web', 'b')
        daemon.register('db', 'c')
        daemon.set_status('web', 'b', 'draining')
        self.assertEqual(self.ok(daemon, 'services').lines, [
            'SERVICE  HEALTHY  UNHEALTHY  DRAINING',
            'db             1          0         0',
            'web            1          0         1'])
        self.assertEqual(self.ok(daemon, 'services', '--prefix', 'w', '--no-headers').lines,
                         ['web            1          0         1'])

    def test_services_come_in_all_formats(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        one = {'service': 'web', 'healthy': 1, 'unhealthy': 0, 'draining': 0}
        self.assertEqual(self.ok(daemon, 'services', '-o', 'name').out, 'web\n')
        self.assertEqual(json.loads(self.ok(daemon, 'services', '-o', 'json').out),
                         {'revision': 1, 'services': [one]})
        self.assertEqual(self.ok(daemon, 'services', '-o', 'jsonl').out,
                         json.dumps(one, separators=(',', ':')) + '\n')
        self.assertEqual(self.tool(daemon, 'services', '-o', 'address').code, USAGE)

    def test_an_empty_registry_lists_nothing(self):
        daemon = self.daemon()
        self.assertEqual(self.ok(daemon, 'services').out, '')

    def test_every_page_of_a_long_list_is_read(self):
        daemon = self.daemon()
        names = [f's{i:04}' for i in range(1001)]
        for name in names:
            daemon.register(name, 'a')
        self.assertEqual(self.ok(daemon, 'services', '-o', 'name').out.split(), names)
        whole = json.loads(self.ok(daemon, 'services', '-o', 'json').out)
        self.assertEqual(len(whole['services']), 1001)
        self.assertNotIn('next', whole)

    def test_instances_are_a_table(self):
        daemon = self.daemon()
        daemon.register('web', 'a', host='10.0.0.1', port=8080, metadata={'zone': 'a', 'v': '2'})
        daemon.register('web', 'b/c:d', host='::1', port=81)
        self.assertEqual(timeless(self.ok(daemon, 'instances', 'web').lines), [
            'ID     ADDRESS        STATUS   REASON      SINCE                     METADATA',
            'a      10.0.0.1:8080  healthy  registered  TIME  v=2,zone=a',
            'b/c:d  [::1]:81       healthy  registered  TIME'])
        self.assertEqual(self.ok(daemon, 'instances', 'web', '-o', 'name').out, 'a\nb/c:d\n')
        self.assertEqual(self.ok(daemon, 'instances', 'web', '-o', 'address').out,
                         '10.0.0.1:8080\n[::1]:81\n')

    def test_wide_instances_show_more(self):
        daemon = self.daemon()
        daemon.register('web', 'a', weight=7, ttl_ms=90000, remove_after_ms=1500)
        self.assertEqual(timeless(self.ok(daemon, 'instances', 'web', '-o', 'wide').lines), [
            'ID  ADDRESS      STATUS   REASON      SINCE                     BY        WEIGHT  TTL  '
            'REMOVE AFTER  REGISTERED                REVISION  METADATA',
            'a   10.0.0.1:80  healthy  registered  TIME  instance       7  90s  '
            '      1500ms  TIME         1'])

    def test_instances_are_filtered(self):
        daemon = self.daemon()
        daemon.register('web', 'a', metadata={'zone': 'a', 'k&y': 'x=y'})
        daemon.register('web', 'b', metadata={'zone': 'b'})
        daemon.set_status('web', 'b', 'draining')
        find = lambda *args: self.ok(daemon, 'instances', 'web', '-o', 'name', *args).out.split()
        self.assertEqual(find(), ['a'])
        self.assertEqual(find('--status', 'draining'), ['b'])
        self.assertEqual(find('-s', 'any'), ['a', 'b'])
        self.assertEqual(find('-s', 'any', '-m', 'zone=b'), ['b'])
        none = self.tool(daemon, 'instances', 'web', '-m', 'zone=b', '-o', 'json')
        self.assertEqual((none.code, json.loads(none.out)['instances']), (NOT_FOUND, []))
        self.assertEqual(find('-m', 'k&y=x=y', '-m', 'zone=a'), ['a'])

    def test_a_status_is_coloured_when_asked_for(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        red = lambda *args, **env: '\x1b[' in self.ok(daemon, 'instances', 'web', *args, env=env).out
        self.assertFalse(red())
        self.assertTrue(red('--color', 'always'))
        self.assertTrue(red('--color', 'always', NO_COLOR='1'))
        self.assertFalse(red('--color', 'never'))

    def on_terminal(self, daemon, *args, **env):
        leader, follower = pty.openpty()
        try:
            subprocess.run([tool_test.TOOL, *args], stdin=follower, stdout=follower, check=True,
                           stderr=subprocess.DEVNULL, env=tool_test.environment(daemon, **env))
            return os.read(leader, 65536).decode()
        finally:
            os.close(leader)
            os.close(follower)

    def test_a_terminal_gets_colours_unless_it_does_not_want_them(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        show = lambda **env: self.on_terminal(daemon, 'instances', 'web', **env)
        self.assertIn('\x1b[32mhealthy', show(TERM='xterm'))
        self.assertNotIn('\x1b', show(TERM='xterm', NO_COLOR='1'))
        self.assertNotIn('\x1b', show(TERM='dumb'))
        self.assertIn('\x1b[32m', show(TERM='xterm', NO_COLOR=''))

    def test_status_is_a_list_of_facts(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        lines = self.ok(daemon, 'status').lines
        self.assertRegex(lines[0], r'^FACT +VALUE$')
        self.assertIn('instances.healthy', [line.split()[0] for line in lines])
        self.assertFalse([line for line in lines if line.startswith('limits.')])
        wide = self.ok(daemon, 'status', '-o', 'wide').lines
        self.assertTrue([line for line in wide if line.startswith('limits.')])
        self.assertEqual(json.loads(self.ok(daemon, 'status', '-o', 'json').out)['revision'], 1)
        self.assertEqual(self.tool(daemon, 'status', '-o', 'name').code, USAGE)


class Picking(tool_test.TestCase):
    def test_a_pick_prints_an_address_for_scripts(self):
        daemon = self.daemon()
        daemon.register('web', 'a', host='10.0.0.1', port=1)
        daemon.register('web', 'b', host='10.0.0.2', port=2)
        picks = [self.ok(daemon, 'pick', 'web', '-o', 'address').out for _ in range(4)]
        self.assertEqual(picks, ['10.0.0.1:1\n', '10.0.0.2:2\n'] * 2)

    def test_a_pick_passes_everything_on(self):
        daemon = self.daemon()
        for name in 'abcd':
            daemon.register('web', name, metadata={'even': str(name in 'bd')})
        name = lambda *args: self.ok(daemon, 'pick', 'web', '-o', 'name', *args).out.split()
        self.assertEqual(sorted(name('-n', '4')), ['a', 'b', 'c', 'd'])
        self.assertEqual(name('--exclude', 'a,b,c'), ['d'])
        self.assertEqual(name('-m', 'even=True', '--exclude', 'b'), ['d'])
        sticky = name('--strategy', 'consistent_hash', '-k', 'user 1&2')
        self.assertEqual(sticky, [daemon.pick('web', strategy='consistent_hash', key='user 1&2')])
        self.assertEqual(self.tool(daemon, 'pick', 'web', '--strategy', 'x').code, USAGE)

    def test_no_healthy_instance_is_not_found(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        daemon.set_status('web', 'a', 'draining')
        self.assertEqual(self.tool(daemon, 'pick', 'web').code, NOT_FOUND)
        self.assertEqual(self.tool(daemon, 'pick', 'other').code, NOT_FOUND)

    def test_a_waiting_pick_gets_the_first_instance(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        daemon.set_status('web', 'a', 'draining')
        waiting = self.start(daemon, 'pick', 'web', '--wait', '60s', '-o', 'name')
        rt.wait_for(lambda: daemon.metric('rollcall_http_requests_total', code='503'),
                    20, 'the tool asks')
        daemon.register('web', 'b')
        self.assertEqual((waiting.wait(), waiting.out), (OK, 'b\n'))


class Waiting(tool_test.TestCase):
    def test_instances_wait_for_the_first(self):
        daemon = self.daemon()
        waiting = self.start(daemon, 'instances', 'web', '-o', 'name', '--wait', '60s')
        daemon.register('other', 'a')
        self.assertIsNone(waiting.process.poll())
        daemon.register('web', 'a')
        self.assertEqual((waiting.wait(), waiting.out, waiting.err), (OK, 'a\n', ''))

    def test_waiting_for_an_instance_times_out(self):
        daemon = self.daemon()
        self.assertEqual(self.tool(daemon, 'instances', 'web', '--wait', '300ms').code, NOT_FOUND)

    def test_an_unreachable_registry_has_its_own_code(self):
        port = tool_test.free_port()
        result = self.tool(f'http://127.0.0.1:{port}', 'services')
        self.assertEqual(result.code, UNREACHABLE)
        self.assertIn(f'http://127.0.0.1:{port}: ', result.err)

    def test_waiting_outlasts_a_registry_that_is_not_up_yet(self):
        port = tool_test.free_port()
        waiting = self.start(f'127.0.0.1:{port}', 'services', '--wait', '60s')
        daemon = self.daemon(listen=[f'127.0.0.1:{port}'])
        self.assertEqual((waiting.wait(), waiting.err), (OK, ''))
        daemon.stop()

    def test_a_silent_registry_is_given_up_in_time(self):
        with socket.create_server(('127.0.0.1', 0)) as silent:
            address = f'127.0.0.1:{silent.getsockname()[1]}'
            self.assertEqual(self.tool(address, 'services', '--timeout', '200ms').code, UNREACHABLE)

    def test_the_next_address_is_asked(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        addresses = f'127.0.0.1:{tool_test.free_port()},{daemon.url}'
        self.assertEqual(self.ok(None, 'services', '-o', 'name', '--addr', addresses).out, 'web\n')

    def test_a_unix_socket_is_an_address(self):
        path = os.path.join(self.directory(), 'socket')
        daemon = self.daemon(listen=[f'unix:{path}'])
        daemon.register('web', 'a')
        self.assertEqual(self.ok(f'unix:{path}', 'services', '-o', 'name').out, 'web\n')
        result = self.tool(f'unix:{path}', 'register', 'web', '-p', '80')
        self.assertEqual(result.code, USAGE)
        self.assertIn('--host', result.err)

    def test_wrong_addresses_are_refused(self):
        for address in ('ftp://x', 'unix:relative', 'a b', 'http://a,,http://b', 'http://a/?x', 'h:65536', 'h:0', 'h:x', 'h:',
                        'http://', 'http://h:99999', '[::1', ':7655'):
            with self.subTest(address):
                self.assertEqual(self.tool(address, 'services', timeout=10).code, USAGE)
        self.assertEqual(self.tool(None, 'services', '--addr', '').code, USAGE)

    def test_a_host_without_a_port_has_the_registry_s(self):
        for address, port in (('127.0.0.9', 7655), ('::1', 7655), ('[::1]', 7655), ('127.0.0.9:81', 81), ('[::1]:81', 81),
                              ('http://127.0.0.9', 80)):
            with self.subTest(address):
                result = self.tool(address, 'services')
                self.assertEqual(result.code, UNREACHABLE)
                self.assertIn(f' port {port} ', result.err)
        # The client library gets the same address.
        run = self.start('127.0.0.9', 'run', '--service', 'web', '-p', '1', '--check', 'none', '--', 'sleep', '1000')
        run.wait_err('http://127.0.0.9:7655: no connection')
        run.stop()


class Changing(tool_test.TestCase):
    def test_register_sends_the_whole_record(self):
        daemon = self.daemon()
        result = self.ok(daemon, 'register', 'web', '--id', 'a/b', '--host', 'h.example', '-p', '81', '-w', '5',
                         '--ttl', '90s', '--remove-after', '2h', '-m', 'k=v', '-m', 'e=', '--draining', '-o', 'name')
        self.assertEqual(result.out, 'a/b\n')
        made = daemon.instance('web', 'a/b')
        wanted = {'host': 'h.example', 'port': 81, 'weight': 5, 'ttl_ms': 90000, 'remove_after_ms': 7200000,
                  'metadata': {'k': 'v', 'e': ''}, 'status': 'draining'}
        self.assertEqual({key: made[key] for key in wanted}, wanted)

    def test_register_without_a_lease(self):
        daemon = self.daemon()
        self.ok(daemon, 'register', 'web', '--id', 'a', '--host', 'h', '-p', '81', '--ttl', '0')
        self.assertEqual(daemon.instance('web', 'a')['ttl_ms'], 0)

    def test_register_finds_its_own_host_and_an_id(self):
        daemon = self.daemon()
        made = json.loads(self.ok(daemon, 'register', 'web', '--port', '81', '-o', 'json').out)
        self.assertEqual(made['address'], '127.0.0.1:81')
        self.assertEqual(daemon.ids('web'), [made['id']])

    def test_a_refused_record_is_reported_field_by_field(self):
        daemon = self.daemon()
        result = self.tool(daemon, 'register', 'web', '--host', 'a b', '-p', '1', '--ttl', '1ms')
        self.assertEqual(result.code, USAGE)
        self.assertIn('/host: ', result.err)
        self.assertIn('/ttl_ms: ', result.err)
        self.assertEqual(daemon.ids('web'), [])

    def test_wrong_values_never_reach_the_registry(self):
        for args in (['-p', '0'], ['-p', '65536'], ['-p', '8o'], ['-p', ''], [], ['-p', '1', '-w', '-1'],
                     ['-p', '1', '-m', 'x'], ['-p', '1', '-m', '=x'], ['-p', '1', '--ttl', '5 s'],
                     ['-p', '1', '--ttl', '99999999999999999999'], ['-p', '1', '--ttl', '5y'],
                     ['-p', '1', '--ttl', '9999999999999999d'], ['-p', '1', '-m', 'k=\udcff']):
            with self.subTest(args):
                self.assertEqual(self.tool('127.0.0.1:1', 'register', 'web', '--host', 'h', *args).code, USAGE)

    def test_deregister_removes_and_reports_a_missing_instance(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        daemon.register('web', 'b')
        result = self.tool(daemon, 'deregister', 'web', 'a', 'x', 'b')
        self.assertEqual((result.code, result.out), (NOT_FOUND, ''))
        self.assertIn("'web' has no instance 'x'", result.err)
        self.assertEqual(daemon.ids('web'), [])
        result = self.ok(daemon, 'deregister', 'web', 'a', '--if-exists')
        self.assertEqual(result.err, '')

    def test_a_heartbeat_renews_and_reports_load(self):
        daemon = self.daemon()
        daemon.register('web', 'a', ttl_ms=60000)
        self.assertEqual(self.ok(daemon, 'heartbeat', 'web', 'a', '-l', '0.25').lines,
                         ['STATUS   TTL  REVISION', 'healthy   1m         1'])
        self.assertEqual(daemon.instance('web', 'a')['status_reason'], 'registered')
        self.assertEqual(self.tool(daemon, 'heartbeat', 'web', 'x').code, NOT_FOUND)
        for load in ('2', '-1', 'x', '', 'nan'):
            self.assertEqual(self.tool(daemon, 'heartbeat', 'web', 'a', f'--load={load}').code, USAGE, load)

    def test_drain_and_resume_send_the_reason(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        daemon.register('web', 'b')
        result = self.ok(daemon, 'drain', 'web', 'a', 'b', '--reason', 'new kernel', '-o', 'jsonl')
        drained = [json.loads(line) for line in result.out.splitlines()]
        self.assertEqual([(one['id'], one['status'], one['status_reason']) for one in drained],
                         [('a', 'draining', 'new kernel'), ('b', 'draining', 'new kernel')])
        self.ok(daemon, 'resume', 'web', 'b')
        self.assertEqual(daemon.ids('web'), ['b'])
        result = self.tool(daemon, 'drain', 'web', 'x')
        self.assertEqual((result.code, result.out), (NOT_FOUND, ''))

    def test_a_drain_for_a_time_ends_by_itself(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        self.ok(daemon, 'drain', 'web', 'a', '--for', '300ms')
        rt.wait_for(lambda: daemon.ids('web') == ['a'], 10, 'the drain ends')

    @staticmethod
    def counting(untold):
        body = json.dumps({'id': 'a', 'status': 'draining', 'watchers_told': 1, 'watchers_untold': untold})
        return ('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Rollcall-Revision: 1\r\nConnection: close\r\n\r\n'
                + body).encode()

    def test_a_drain_that_a_watcher_has_not_been_sent_in_time_is_an_error(self):
        with tool_test.Answering(self.counting(2)) as registry:
            result = self.tool(registry.url, 'drain', 'web', 'a', '--wait', '300ms', '-o', 'name')
        self.assertEqual((result.code, result.out), (ERROR, 'a\n'))
        self.assertIn("2 watchers of 'web' have not been sent the change of 'a'", result.err)
        # The tool repeats the request for the rest of the time.
        waits = [json.loads(request.split('\r\n\r\n')[1])['wait_ms'] for request in registry.requests]
        self.assertGreaterEqual(len(waits), 2)
        self.assertTrue(all(0 < wait <= 300 for wait in waits), waits)
        self.assertEqual(waits, sorted(waits, reverse=True))

    def test_a_long_wait_for_the_watchers_is_split(self):
        with tool_test.Answering(self.counting(0)) as registry:
            self.ok(registry.url, 'drain', 'web', 'a', '--wait', '11m')
        self.assertIn('"wait_ms":600000', registry.requests[0])

    def test_a_drain_can_wait_for_the_watchers(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        self.assertEqual(self.ok(daemon, 'drain', 'web', 'a', '--wait', '2s').err, '')
        self.assertEqual(daemon.instance('web', 'a')['status'], 'draining')


class Events(tool_test.TestCase):
    def life(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        daemon.register('db', 'b')
        daemon.set_status('web', 'a', 'draining', reason='why not')
        daemon.deregister('web', 'a')
        return daemon

    def test_events_are_a_table(self):
        daemon = self.life()
        lines = timeless(self.ok(daemon, 'events').lines)
        self.assertEqual([line.replace('intent: draining', 'intent:draining').split() for line in lines], [
            ['REVISION', 'TIME', 'KIND', 'SERVICE', 'ID', 'STATUS', 'BY', 'REASON'],
            ['1', 'TIME', 'registered', 'web', 'a', 'healthy', 'instance'],
            ['2', 'TIME', 'registered', 'db', 'b', 'healthy', 'instance'],
            ['3', 'TIME', 'entry-put', 'web', 'a', 'intent:draining', 'operator:127.0.0.1', 'why', 'not'],
            ['4', 'TIME', 'drained', 'web', 'a', 'draining', 'operator:127.0.0.1', 'why', 'not'],
            ['5', 'TIME', 'deregistered', 'web', 'a', 'draining', 'instance'],
            ['6', 'TIME', 'entry-put', 'web', 'a', 'intent:draining', 'instance']])

    def revisions(self, *args):
        return [json.loads(line)['revision'] for line in self.ok(*args, '-o', 'jsonl').out.splitlines()]

    def test_events_are_filtered(self):
        daemon = self.life()
        self.assertEqual(self.revisions(daemon, 'events', '--service', 'web'), [1, 3, 4, 5, 6])
        self.assertEqual(self.revisions(daemon, 'events', '--since', '2'), [3, 4, 5, 6])
        self.assertEqual(self.revisions(daemon, 'events', '--kind', 'drained,deregistered'), [4, 5])
        self.assertEqual(self.revisions(daemon, 'events', '-n', '2'), [1, 2])
        self.assertEqual(self.revisions(daemon, 'history', 'web'), [1, 3, 4, 5, 6])
        self.assertEqual(self.revisions(daemon, 'history', 'db', 'b'), [2])
        self.assertEqual(self.tool(daemon, 'events', '--kind', 'x').code, USAGE)

    def test_every_page_of_events_is_read(self):
        daemon = self.daemon()
        for i in range(1205):
            daemon.register('web', 'a', port=i + 1)
        self.assertEqual(self.revisions(daemon, 'events'), list(range(1, 1206)))
        self.assertEqual(self.revisions(daemon, 'events', '-n', '1100'), list(range(1, 1101)))

    def test_history_of_an_unknown_instance_is_not_found(self):
        daemon = self.life()
        for args in (['web', 'x'], ['x'], ['x', 'a'], ['x', '--kind', 'expired']):
            result = self.tool(daemon, 'history', *args)
            self.assertEqual((result.code, result.out), (NOT_FOUND, ''), args)
            self.assertIn('the registry has no events of', result.err)
        # The instance is known, but no event matches.
        for args in (['web', 'a', '--kind', 'expired'], ['db', '--kind', 'expired'], ['web', '--kind', 'expired']):
            self.assertEqual(self.ok(daemon, 'history', *args).err, '', args)

    def test_following_outlasts_the_registry_and_goes_on_from_the_last_event(self):
        port = tool_test.free_port()
        daemon = self.daemon(listen=[f'127.0.0.1:{port}'], start=False)
        following = self.start(f'127.0.0.1:{port}', 'events', '-f', '-o', 'jsonl')
        following.wait_err('waiting until it answers')
        daemon.start()
        daemon.register('web', 'a')
        following.wait_out('"revision":1,')
        history = daemon.status()['history']
        daemon.stop()
        rt.wait_for(lambda: following.err.count('waiting until it answers') == 2, 20, 'the report')
        with tool_test.Answering(b'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', port) as other:
            rt.wait_for(lambda: len(other.requests) >= 2, 20, 'requests to another server')
            token = '1.' + history[:8]
            self.assertTrue(all(f'since={token}&' in request for request in other.requests), other.requests)
        daemon.start()
        daemon.register('web', 'b')
        following.wait_out('"revision":2,')
        self.assertEqual([json.loads(line)['revision'] for line in following.out.splitlines()], [1, 2])

    def test_following_goes_on_after_a_gap(self):
        # Replace the registry by one whose revision is lower.
        port = tool_test.free_port()
        first = self.daemon(listen=[f'127.0.0.1:{port}'])
        for i in range(3):
            first.register('web', f'a{i}')
        following = self.start(f'127.0.0.1:{port}', 'events', '-f', '-o', 'jsonl')
        following.wait_out('"revision":3,')
        first.stop()
        second = self.daemon(listen=[f'127.0.0.1:{port}'])
        following.wait_err('events are missing after this: ')
        second.register('web', 'b')
        following.wait_out('"id":"b"')
        self.assertEqual([json.loads(line)['revision'] for line in following.out.splitlines()], [1, 2, 3, 1])

    def test_following_ends_on_an_invalid_filter(self):
        self.assertEqual(self.tool(self.daemon(), 'events', '-f', '--kind', 'x').code, USAGE)

    def test_following_goes_on_as_events_come(self):
        daemon = self.daemon(listen=[f'127.0.0.1:{tool_test.free_port()}'])
        daemon.register('web', 'a')
        following = self.start(daemon, 'events', '-f', '--service', 'web', '-o', 'json', '--wait', '60s')
        following.wait_out('"revision":1,')
        daemon.register('db', 'b')
        daemon.deregister('web', 'a')
        following.wait_out('"deregistered"')
        daemon.restart()
        daemon.heartbeat('db', 'b')
        daemon.register('web', 'c')
        following.wait_out('"revision":4,')
        revisions = [json.loads(line)['revision'] for line in following.out.splitlines()]
        self.assertEqual(revisions, [1, 3, 4])


class Invoking(tool_test.TestCase):
    """Usage, help, tokens, broken registries."""

    def test_each_command_explains_itself(self):
        overview = self.ok(None, '--help').out
        for command in COMMANDS:
            with self.subTest(command):
                self.assertRegex(overview, rf'(?m)^  {command} ')
                text = self.ok(None, command, '--help').out
                self.assertTrue(text.startswith(f'usage: rollcall {command} '), text)
                self.assertEqual('--addr' in text, command != 'completion')
                self.assertEqual(self.ok(None, 'help', command).out, text)
        self.assertEqual(self.ok(None, 'help').out, overview)
        self.assertRegex(self.ok(None, '--version').out, r'^rollcall \S+\n$')

    def test_every_command_that_is_listed_is_tested_here(self):
        listed = re.findall(r'(?m)^  ([a-z]+) ', self.ok(None, '--help').out.split('Options')[0])
        self.assertEqual(listed, COMMANDS)

    def test_the_manual_has_every_command_and_option(self):
        manual = tool_test.read(os.path.join(rt.ROOT, 'docs', 'man', 'rollcall.1'))
        for command in COMMANDS:
            options = re.findall(r'(?m)^  (?:-(.), |    )--([a-z-]+)', self.ok(None, command, '--help').out)
            self.assertTrue(options, command)
            if command != 'completion':
                self.assertRegex(manual, rf'\n\.It Cm {command}\b', command)
            for letter, option in options:
                named = re.search(rf'[ ,]-{option}\b', manual) or letter and re.search(rf'Fl {letter}\b', manual)
                self.assertTrue(named, f'rollcall.1 has no --{option} of {command}')

    def test_usage_errors_go_to_standard_error(self):
        for args in ([], ['nope'], ['-x'], ['services', 'extra'], ['services', '--nope'], ['services', '-z'],
                     ['services', '-o'], ['services', '-o', 'xml'], ['services', '--no-headers=1'],
                     ['services', '--color', 'blue'], ['instances'], ['deregister', 'web'], ['help', 'nope'],
                     ['services', '--timeout', '0'], ['services', '--timeout', '-1'], ['services', '--wait', '2d'],
                     ['instances', 'web'] + ['-m', 'a=b'] * 65):
            with self.subTest(args):
                result = self.tool('127.0.0.1:1', *args)
                self.assertEqual((result.code, result.out), (USAGE, ''), result)
                self.assertTrue(result.err.startswith('rollcall: '), result)

    def test_options_win_over_the_environment(self):
        daemon = self.daemon()
        self.ok('127.0.0.1:1', 'services', '--addr', daemon.url)

    def test_an_output_that_cannot_be_written_is_an_error(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        with open('/dev/full', 'w', encoding='ascii') as full:
            done = subprocess.run([tool_test.TOOL, 'services'], stdout=full, stderr=subprocess.PIPE, check=False,
                                  env=tool_test.environment(daemon))
        self.assertEqual(done.returncode, ERROR)
        self.assertIn(b'No space left', done.stderr)

    def answering(self, answer):
        server = tool_test.Answering(answer)
        self.addCleanup(server.close)
        return server.url, server.requests

    EMPTY = (b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 29\r\n'
             b'Connection: close\r\n\r\n{"revision":1,"services":[]} ')

    def test_a_token_is_sent_from_its_file(self):
        address, requests = self.answering(self.EMPTY)
        token = self.file('s3cr.t-~+/=\nsecond line\n')
        self.ok(address, 'services', '--token-file', token)
        self.ok(address, 'services', env={'ROLLCALL_TOKEN_FILE': token})
        self.ok(address, 'services')
        self.assertEqual(['\r\nAuthorization: Bearer s3cr.t-~+/=\r\n' in request for request in requests],
                         [True, True, False])
        self.assertRegex(requests[0], r'\r\nUser-Agent: rollcall/\S+\r\n')

    def test_a_file_without_a_token_is_refused(self):
        for text in ('', '\n', 'two words\n', 'x' * 4097):
            self.assertEqual(self.tool(None, 'services', '--token-file', self.file(text)).code, USAGE)
        self.assertEqual(self.tool(None, 'services', '--token-file', '/nonexistent').code, USAGE)

    def test_an_error_of_a_gateway_is_no_answer_of_the_registry(self):
        for status, code in (('502 Bad Gateway', UNREACHABLE), ('503 Unavailable', UNREACHABLE),
                             ('504 Timeout', UNREACHABLE), ('403 Forbidden', ERROR), ('500 Oops', ERROR)):
            with self.subTest(status):
                address, _ = self.answering(f'HTTP/1.1 {status}\r\nConnection: close\r\n\r\n'.encode())
                result = self.tool(address, 'services')
                self.assertEqual(result.code, code)
                self.assertIn(f"{address}: the answer is not from a registry (status {status[:3]})", result.err)
        # A problem code counts only with the content type of problem responses.
        address, _ = self.answering(b'HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n'
                                    b'{"code":"invalid-parameter"}')
        self.assertEqual(self.tool(address, 'services').code, ERROR)

    def test_malformed_answers_are_errors(self):
        head = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n'
        for answer, code in ((head + b'{', ERROR), (head + b'[]', ERROR), (head + b'{"services":7}', ERROR),
                             (head + b'{"a":1,"a":2}', ERROR), (head, ERROR), (b'nonsense\r\n', UNREACHABLE),
                             (b'', UNREACHABLE),
                             (b'HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\n', ERROR)):
            with self.subTest(answer):
                address, _ = self.answering(answer)
                self.assertEqual(self.tool(address, 'services').code, code)


if __name__ == '__main__':
    rt.main()
