# SPDX-License-Identifier: MIT
"""The table of exit codes in rollcall(1), walked over all commands; and --wait, which means the same in each."""

import os
import re
import subprocess

import rollcall_test as rt
import tool_test

MANUAL = os.path.join(rt.ROOT, 'docs', 'man', 'rollcall.1')
# Without a registry, and without one of its own.
ALL = ['services', 'instances', 'pick', 'register', 'deregister', 'heartbeat', 'drain', 'resume', 'call', 'run', 'agent',
       'watch', 'render', 'events', 'history', 'completion', 'status']
# These ask a registry and end.
ASKING = ['services', 'instances', 'pick', 'register', 'deregister', 'heartbeat', 'drain', 'resume', 'call', 'watch',
          'render', 'events', 'history', 'status']


def table():
    """{situation: code}, as the manual has it."""
    rows = re.search(r'\.Bl -column .*?\n(.*?)\.El', tool_test.read(MANUAL).split('.Sh EXIT STATUS')[1], re.S).group(1)
    return {row[1]: int(row[0]) for row in re.findall(r'\.It (\d) Ta (.*)', rows)}


class TestCase(tool_test.TestCase):
    def setUp(self):
        super().setUp()
        self.template = self.file('x\n')
        self.instances = self.file('{"services": []}', 'services.json')

    def line(self, command, service='web', one='a', more=()):
        """A right command line that ends by itself when there is a registry with instance a of web."""
        operands = {
            'instances': [service], 'pick': [service], 'register': [service, '--id', 'new', '-p', '1', '--host', '127.0.0.1'],
            'deregister': [service, one], 'heartbeat': [service, one], 'drain': [service, one], 'resume': [service, one],
            'call': [service, '/healthz'], 'run': ['--service', service, '-p', '1', '--check', 'none', '--', 'true'],
            'agent': ['--check-config', self.instances], 'watch': [service, '--once'],
            'render': ['-t', self.template, '--once', service], 'history': [service, one], 'completion': ['bash']}
        options = [] if command == 'completion' else list(more)
        return [command, *options, *operands.get(command, [])]

    def registry(self, **kwargs):
        daemon = self.daemon(**kwargs)
        daemon.register('web', 'a', host='127.0.0.1', port=daemon.port)
        return daemon

    def code(self, address, line, **kwargs):
        result = self.tool(address, *line, timeout=60, **kwargs)
        self.last = result
        return result.code


class Table(TestCase):
    def expect(self, situation, commands, run):
        """run(command) gives the code that the manual promises for the situation."""
        wanted = table()[situation]
        self.walked.add(situation)
        for command in commands:
            with self.subTest(f'{situation}: {command}'):
                code = run(command)
                self.assertEqual(code, wanted, self.last)
                if wanted != 0:
                    self.assertTrue(self.last.err.startswith('rollcall: '), self.last)

    def test_every_row_holds_for_every_command(self):
        self.walked = set()
        daemon = self.registry()
        daemon.register('out', 'a')
        daemon.set_status('out', 'a', 'draining')
        dead = f'127.0.0.1:{tool_test.free_port()}'

        # watch --once waits for a change; after deregister there is nothing left.
        self.expect('done', [command for command in ALL if command not in ('deregister', 'watch')] + ['deregister'],
                    lambda command: self.code(daemon, self.line(command)))
        daemon.register('web', 'a', host='127.0.0.1', port=daemon.port)
        self.expect('a wrong option, operand, value or file', ALL,
                    lambda command: self.code(daemon, self.line(command)[:1] + ['--no-such-option']))
        self.expect('a wrong address', [command for command in ALL if command != 'completion'],
                    lambda command: self.code('http://host:99999', self.line(command)))
        self.expect('a name or value that the registry refuses',
                    [command for command in ASKING if command not in ('services', 'events', 'status')],
                    lambda command: self.code(daemon, self.line(command, service='no such name')))
        self.expect('a name or value that the registry refuses', ['events'],
                    lambda command: self.code(daemon, [command, '--kind', 'x']))
        self.expect('no such service or instance',
                    ['instances', 'pick', 'deregister', 'heartbeat', 'drain', 'resume', 'call', 'history'],
                    lambda command: self.code(daemon, self.line(command, service='nobody')))
        self.expect('no such service or instance', ['deregister', 'heartbeat', 'drain', 'resume', 'history'],
                    lambda command: self.code(daemon, self.line(command, one='nobody')))
        self.expect('no healthy instance, or none that matches', ['instances', 'pick', 'call'],
                    lambda command: self.code(daemon, self.line(command, service='out')))
        self.expect('no registry answers in time', ASKING, lambda command: self.code(dead, self.line(command)))
        self.expect("another server's answer", ASKING, self.foreign)
        self.expect('output that cannot be written', ['services', 'instances', 'pick', 'register', 'heartbeat', 'drain',
                                                      'resume', 'call', 'events', 'history', 'completion', 'status', 'render'],
                    lambda command: self.full(daemon, command))
        self.assertEqual(self.walked, set(table()))

    def foreign(self, command):
        """Each answer of a server that is no registry."""
        answers = (b'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
                   b'HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{"code":"unknown-service"}',
                   b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>')
        codes = set()
        for answer in answers:
            if command == 'call' and b' 200 ' in answer:
                continue  # the client library reads it, and goes on as if there were no answer
            with tool_test.Answering(answer) as other:
                codes.add(self.code(other.url, self.line(command)))
        self.assertEqual(len(codes), 1, self.last)
        return codes.pop()

    def full(self, daemon, command):
        with open('/dev/full', 'w', encoding='ascii') as full:
            done = subprocess.run([tool_test.TOOL, *self.line(command)], stdout=full, stderr=subprocess.PIPE, check=False,
                                  env=tool_test.environment(daemon))
        self.last = tool_test.Result(done.returncode, '', done.stderr.decode())
        return done.returncode


class Waits(TestCase):
    """--wait outlasts a registry that is not there yet, and what is not there yet, in every command alike."""

    def test_wait_outlasts_a_registry_that_is_not_up_yet(self):
        port = tool_test.free_port()
        # The others do not wait for the instance, or, as watch, for more than that.
        waiting = {command: self.start(f'127.0.0.1:{port}', *self.line(command, more=['--wait', '60s']))
                   for command in ('services', 'instances', 'pick', 'register', 'call', 'render', 'events', 'status')}
        for command, one in waiting.items():
            self.assertIsNone(one.process.poll(), command)
        self.registry(listen=[f'127.0.0.1:{port}'])
        for command, one in waiting.items():
            with self.subTest(command):
                self.assertEqual((one.wait(), one.err), (0, ''), command)

    def test_wait_is_for_the_whole_command(self):
        dead = f'127.0.0.1:{tool_test.free_port()}'
        for command in ASKING:
            with self.subTest(command):
                before = tool_test.now_ms()
                self.assertEqual(self.code(dead, self.line(command, more=['--wait', '1s'])), 4)
                took = tool_test.now_ms() - before
                self.assertLess(took, rt.seconds(5) * 1000)

    def test_wait_is_for_an_instance_in_each_command_that_needs_one(self):
        daemon = self.daemon()
        daemon.register('out', 'a')
        daemon.set_status('out', 'a', 'draining')
        waiting = [self.start(daemon, *self.line(command, service=service, more=['--wait', '60s']))
                   for command in ('instances', 'pick', 'call') for service in ('web', 'out')]
        rt.wait_for(lambda: (daemon.metric('rollcall_http_requests_total', code='404') or 0) >= 3 and
                    (daemon.metric('rollcall_http_requests_total', code='503') or 0) >= 1, 20, 'the tools ask')
        for service in ('web', 'out'):
            daemon.register(service, 'b', host='127.0.0.1', port=daemon.port)
        for one in waiting:
            self.assertEqual((one.wait(), one.err), (0, ''), one)

    def test_without_an_instance_in_time_the_code_is_the_same(self):
        daemon = self.registry()
        daemon.register('out', 'a')
        daemon.set_status('out', 'a', 'draining')
        for command in ('instances', 'pick', 'call'):
            for service in ('nobody', 'out'):
                with self.subTest([command, service]):
                    self.assertEqual(self.code(daemon, self.line(command, service=service, more=['--wait', '300ms'])), 3)


if __name__ == '__main__':
    rt.main()
