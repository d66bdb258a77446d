# SPDX-License-Identifier: MIT
"""The client library and the tool when the registry loses its state directory, or is another one at the same address."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading

import rollcall_test as rt
import tool_test
from test_client import Program
from tool_test import ERROR, USAGE

LISTENER = 'import socket, sys\nserver = socket.create_server(("127.0.0.1", int(sys.argv[1])))\nwhile True: server.accept()'
FIRST, SECOND = '1f3a9c07d2b4e658', '5a2b9c07d2b4e658'


class TestCase(tool_test.TestCase):
    def setUp(self):
        super().setUp()
        self.registry = self.daemon(listen=[f'127.0.0.1:{tool_test.free_port()}'])
        self.history = self.registry.status()['history']

    def lose_the_directory(self):
        self.registry.stop()
        shutil.rmtree(self.registry.state_dir)
        os.mkdir(self.registry.state_dir)
        self.registry.start()
        self.assertNotEqual(self.registry.status()['history'], self.history)

    def export(self):
        """The state of the registry, which goes on."""
        self.registry.stop()
        exported = subprocess.run([rt.ROLLCALLD, '--export', f'--state-dir={self.registry.state_dir}'],
                                  stdout=subprocess.PIPE, check=True).stdout
        self.registry.start()
        return exported

    def move(self, exported):
        """Another registry, with this state, takes over the address."""
        moved = self.directory()
        subprocess.run([rt.ROLLCALLD, '--import', f'--state-dir={moved}'], input=exported, check=True)
        self.registry.stop()
        self.registry = self.daemon(listen=self.registry.listen, state_dir=moved)
        self.assertNotEqual(self.registry.status()['history'], self.history)

    def run_program(self, *args):
        port = str(tool_test.free_port())
        run = self.start(self.registry, 'run', '--service', 'web', '--id', 'a', '--port', port, '--ttl', '1s', *args,
                         '--', sys.executable, '-c', LISTENER, port)
        rt.wait_for(lambda: 'a' in self.registry.ids('web'), 20, 'registered')
        return run

    def run_agent(self):
        path = self.file(json.dumps({'services': [
            {'service': 'web', 'id': 'a', 'port': 9, 'check': 'none', 'ttl_ms': 1000}]}))
        agent = self.start(self.registry, 'agent', path)
        rt.wait_for(lambda: 'a' in self.registry.ids('web'), 20, 'registered')
        return agent

    def watch_library(self):
        watch = Program(self.registry, 'events', 'web', 1000)
        self.addCleanup(watch.cleanup)
        watch.wait_line(' a=')
        return watch

    def watch_tool(self):
        watch = self.start(self.registry, 'watch', 'web', '-o', 'jsonl')
        watch.wait_out('"added"')
        return watch

    def changes(self, watch):
        return [(one['change'], one['instance']['id']) for one in map(json.loads, watch.out.splitlines())]

    def within_a_second(self, ids):
        rt.wait_for(lambda: self.registry.ids('web') == ids, 1, 'registered again')


class Losing(TestCase):
    def test_a_program_is_registered_again_within_a_second(self):
        self.run_program()
        self.lose_the_directory()
        self.within_a_second(['a'])

    def test_so_is_one_of_an_agent(self):
        self.run_agent()
        self.lose_the_directory()
        self.within_a_second(['a'])

    def test_watchers_drop_the_dead(self):
        self.registry.register('web', 'dead', ttl_ms=86400000)
        self.run_program()
        library, tool = self.watch_library(), self.watch_tool()
        library.wait_line(' dead=')
        self.lose_the_directory()
        self.within_a_second(['a'])
        rt.wait_for(lambda: 'dead' not in library.lines[-1], 5, 'the list without the dead')
        self.assertIn(' a=', library.lines[-1])
        rt.wait_for(lambda: ('removed', 'dead') in self.changes(tool), 5, 'the removal')
        self.assertIsNone(library.process.poll())

    def test_an_equal_revision_hides_nothing(self):
        self.run_program()
        library, tool = self.watch_library(), self.watch_tool()
        self.registry.register('web', 'b')
        library.wait_line(' b=')
        tool.wait_out('"id":"b"')
        revision = self.registry.status()['revision']
        self.lose_the_directory()
        self.within_a_second(['a'])
        self.registry.register('web', 'c')
        self.assertEqual(self.registry.status()['revision'], revision)
        library.wait_line(' c=')
        self.assertNotIn(' b=', library.lines[-1])
        tool.wait_out('"id":"c"')
        self.assertIn(('removed', 'b'), self.changes(tool))


class Moving(TestCase):
    def test_an_older_record_is_replaced_though_its_heartbeats_are_accepted(self):
        self.registry.register('web', 'a', ttl_ms=86400000, weight=5)
        exported = self.export()
        self.run_program('--weight', '9')
        rt.wait_for(lambda: self.registry.instance('web', 'a')['weight'] == 9, 5, 'the record of the program')
        self.move(exported)
        rt.wait_for(lambda: self.registry.instance('web', 'a')['weight'] == 9, 1, 'the record of the program')
        self.assertEqual([event['kind'] for event in self.registry.events(id='a')], ['updated'])

    def test_watchers_follow_the_state_that_was_moved(self):
        self.registry.register('web', 'dead', ttl_ms=86400000)
        self.run_program()
        library, tool = self.watch_library(), self.watch_tool()
        exported = self.export()
        self.registry.deregister('web', 'dead')
        self.registry.register('web', 'late', ttl_ms=86400000)
        library.wait_line(' late=')
        tool.wait_out('"id":"late"')
        self.move(exported)
        self.within_a_second(['dead', 'a'])
        rt.wait_for(lambda: ' late=' not in library.lines[-1] and ' dead=' in library.lines[-1], 5, 'the moved state')
        rt.wait_for(lambda: self.changes(tool)[-2:] == [('removed', 'late'), ('added', 'dead')], 5, 'the moved state')


class Reading(TestCase):
    """The tool's event log."""

    def test_following_reports_the_other_history_and_goes_on(self):
        self.registry.register('web', 'a')
        following = self.start(self.registry, 'events', '-f', '-o', 'jsonl')
        following.wait_out('"revision":1,')
        self.registry.stop()
        shutil.rmtree(self.registry.state_dir)
        os.mkdir(self.registry.state_dir)
        self.registry.start()
        self.registry.register('web', 'b')  # the same revision
        following.wait_err('events are missing after this: ')
        self.assertIn(self.registry.status()['history'], following.err)
        self.registry.register('web', 'c')
        following.wait_out('"id":"c"')
        self.assertEqual(following.err.count('events are missing'), 1)

    def test_a_token_is_taken_and_one_of_another_history_is_refused(self):
        self.registry.register('web', 'a')
        self.registry.register('web', 'b')
        token = '1.' + self.history[:8]
        self.assertEqual(len(self.ok(self.registry, 'events', '--since', token, '-o', 'jsonl').lines), 1)
        self.lose_the_directory()
        self.registry.register('web', 'a')
        result = self.tool(self.registry, 'events', '--since', token)
        self.assertEqual((result.code, result.out), (ERROR, ''))
        self.assertIn(f'the history that begins with {self.history[:8]}', result.err)

    def test_what_is_no_token_is_a_usage_error(self):
        for text in ('', 'x', '-1', '1.', '1.1f3a9c0', '1.1f3a9c077', '1.1F3A9C07', '1.1f3a9c0g', '.1f3a9c07', '1 ',
                     '9223372036854775808', '00000000000000000001.1f3a9c07'):
            result = self.tool(self.registry, 'events', f'--since={text}')
            self.assertEqual(result.code, USAGE, (text, result))
            self.assertIn(f"--since takes a revision such as 17, or a token such as 17.1f3a9c07, not '{text}'", result.err)

    def test_the_place_to_go_on_from_is_that_of_the_last_page(self):
        for i in range(1005):
            self.registry.register('web', 'a', port=i + 1)
        log = json.loads(self.ok(self.registry, 'events', '-o', 'json').out)
        self.assertEqual((len(log['events']), log['revision'], log['token']), (1005, 1005, '1005.' + self.history[:8]))


class Scripted:
    """A registry that gives one answer after another, each when it was asked for."""

    def __init__(self, *answers):
        self.requests = []
        self.server = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.server.getsockname()[1]}'
        self.answers = list(answers)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        for answer in self.answers:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                self.requests.append(connection.recv(65536).decode().split(' ')[1])
                connection.sendall(answer)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        try:
            self.server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join()
        self.server.close()


def answer(status, history, revision, body, content='application/json'):
    text = json.dumps(body).encode()
    named = f'X-Rollcall-History: {history}\r\n' if history else ''
    return (f'HTTP/1.1 {status} X\r\nContent-Type: {content}\r\nConnection: close\r\nContent-Length: {len(text)}\r\n'
            f'X-Rollcall-Revision: {revision}\r\n{named}\r\n').encode() + text


def listed(history, revision, *ids):
    return answer(200, history, revision, {'service': 'web', 'revision': revision, 'instances': [
        {'service': 'web', 'id': one, 'host': 'h', 'port': 1, 'address': 'h:1', 'status': 'healthy', 'metadata': {}}
        for one in ids]})


def another(history, revision):
    return answer(410, history, revision, {'code': 'another-history', 'detail': 'another', 'history': history,
                                           'latest_revision': revision}, 'application/problem+json')


class Polling(tool_test.TestCase):
    """A token is refused when nothing but it shows that the registry is another one."""

    POLL = '/v1/services/web?revision={}&wait_ms=55000'

    def watch(self, registry):
        return self.start(registry.url, 'watch', 'web', '-o', 'jsonl', '--timeout', '60s')

    def test_the_watch_reads_again_and_prints_the_differences(self):
        with Scripted(listed(FIRST, 7, 'a', 'b'), another(SECOND, 7), listed(SECOND, 7, 'b', 'c'),
                      listed(SECOND, 8, 'c')) as registry:
            watch = self.watch(registry)
            rt.wait_for(lambda: len(registry.requests) == 4, 20, 'four requests')
            self.assertEqual(registry.requests, ['/v1/services/web', self.POLL.format('7.1f3a9c07'),
                                                 '/v1/services/web', self.POLL.format('7.5a2b9c07')])
            rt.wait_for(lambda: len(watch.out.splitlines()) == 5, 20, 'five changes')
            changes = [(one['change'], one['instance']['id']) for one in map(json.loads, watch.out.splitlines())]
            self.assertEqual(changes, [('added', 'a'), ('added', 'b'), ('removed', 'a'), ('added', 'c'),
                                       ('removed', 'b')])
            self.assertNotIn('another', watch.err)

    def test_a_registry_without_histories_is_sent_bare_revisions(self):
        for history in (None, '1f3a', 'x'):
            with Scripted(listed(history, 7, 'a'), listed(history, 8, 'b')) as registry:
                self.watch(registry)
                rt.wait_for(lambda: len(registry.requests) == 2, 20, 'two requests')
                self.assertEqual(registry.requests[1], self.POLL.format('7'))

    def test_a_file_is_rendered_again(self):
        template = self.file('{{#services}}{{#instances}}{{id}} {{/instances}}{{/services}}\n', 'template')
        out = os.path.join(self.directory(), 'out')
        with Scripted(listed(FIRST, 7, 'a'), another(SECOND, 7), listed(SECOND, 7, 'b')) as registry:
            self.start(registry.url, 'render', 'web', '-t', template, '-o', out, '--debounce', '0', '--timeout', '60s')
            rt.wait_for(lambda: 'b' in tool_test.read(out), 20, 'the new file')


if __name__ == '__main__':
    rt.main()
