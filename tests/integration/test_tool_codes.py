# SPDX-License-Identifier: MIT
"""The table of exit codes in rollcall(1), tested with all commands; and --wait, which means the same in each.

Each row of the manual's table must have a test (row()), which runs every command for which the row applies.
"""

import concurrent.futures
import os
import re
import subprocess

import rollcall_test as rt
import tool_test

MANUAL = os.path.join(rt.ROOT, 'docs', 'man', 'rollcall.1')
# Commands that need no registry.
ALL = ['services', 'instances', 'intents', 'pick', 'register', 'deregister', 'heartbeat', 'drain', 'resume', 'call', 'run',
       'agent', 'watch', 'render', 'events', 'history', 'completion', 'status']
# Commands that send requests to a registry and end.
ASKING = ['services', 'instances', 'intents', 'pick', 'register', 'deregister', 'heartbeat', 'drain', 'resume', 'call',
          'watch', 'render', 'events', 'history', 'status']
LIMIT_S = 10  # of a command that ends by itself


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
            'instances': [service], 'intents': [service], 'pick': [service],
            'register': [service, '--id', 'new', '-p', '1', '--host', '127.0.0.1'],
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

    def result(self, address, line):
        """Runs a command; the code of the result is None when it does not end."""
        try:
            return self.tool(address, *line, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            return tool_test.Result(None, '', f'still running after {LIMIT_S} s: {line}')


def row(situation):
    """Marks a test with the row of the table that it checks."""
    def mark(test):
        test.situation = situation
        return test
    return mark


class Table(TestCase):
    @classmethod
    def rows(cls):
        return {name: test.situation for name, test in vars(cls).items() if hasattr(test, 'situation')}

    def setUp(self):
        super().setUp()
        self.wanted = table().get(self.rows().get(self._testMethodName))

    def expect(self, commands, run, at_once=4):
        """Checks that run(command) has the exit code of the row for each command."""
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            results = list(pool.map(run, commands))
        for command, result in zip(commands, results):
            with self.subTest(command):
                self.assertEqual(result.code, self.wanted, result)
                if self.wanted != 0:
                    self.assertTrue(result.err.startswith('rollcall: '), result)

    def test_each_row_of_the_manual_has_a_test(self):
        self.assertEqual(set(self.rows().values()), set(table()))

    @row('success')
    def test_done(self):
        daemon = self.registry()
        # Without watch, which waits for a change; deregister comes last, as it removes the instance.
        self.expect([command for command in ALL if command not in ('deregister', 'watch')] + ['deregister'],
                    lambda command: self.result(daemon, self.line(command)), at_once=1)

    @row('a wrong option, operand, value or file')
    def test_a_wrong_option(self):
        daemon = self.registry()
        self.expect(ALL, lambda command: self.result(daemon, self.line(command)[:1] + ['--no-such-option']))

    @row('a wrong address')
    def test_a_wrong_address(self):
        self.expect([command for command in ALL if command != 'completion'],
                    lambda command: self.result('http://host:99999', self.line(command)))

    @row('a name or value that the registry refuses')
    def test_what_the_registry_refuses(self):
        daemon = self.registry()
        self.expect([command for command in ASKING if command not in ('services', 'events', 'status')],
                    lambda command: self.result(daemon, self.line(command, service='no such name')))
        self.expect(['events'], lambda command: self.result(daemon, [command, '--kind', 'x']))

    @row('no such service or instance')
    def test_no_such_service_or_instance(self):
        daemon = self.registry()
        self.expect(['instances', 'pick', 'deregister', 'heartbeat', 'drain', 'resume', 'call', 'history'],
                    lambda command: self.result(daemon, self.line(command, service='nobody')))
        self.expect(['deregister', 'heartbeat', 'drain', 'resume', 'history'],
                    lambda command: self.result(daemon, self.line(command, one='nobody')))

    @row('no healthy instance, or none that matches')
    def test_no_healthy_instance(self):
        daemon = self.registry()
        daemon.register('out', 'a')
        daemon.set_status('out', 'a', 'draining')
        self.expect(['instances', 'pick', 'call'], lambda command: self.result(daemon, self.line(command, service='out')))

    @row('no registry answers in time')
    def test_no_registry(self):
        dead = f'127.0.0.1:{tool_test.free_port()}'
        self.expect(ASKING, lambda command: self.result(dead, self.line(command)))

    @row("another server's answer")
    def test_another_server(self):
        for answer in (b'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
                       b'HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n'
                       b'{"code":"unknown-service"}',
                       b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>'):
            with tool_test.Answering(answer) as other:
                # call uses the client library, which takes a malformed answer with status 200 for none.
                self.expect([command for command in ASKING if command != 'call' or b' 200 ' not in answer],
                            lambda command, other=other: self.result(other.url, self.line(command)))

    @row('output that cannot be written')
    def test_output_that_cannot_be_written(self):
        daemon = self.registry()

        def full(command):
            with open('/dev/full', 'w', encoding='ascii') as out:
                try:
                    done = subprocess.run([tool_test.TOOL, *self.line(command)], stdout=out, stderr=subprocess.PIPE,
                                          check=False, env=tool_test.environment(daemon), timeout=rt.seconds(LIMIT_S))
                except subprocess.TimeoutExpired:
                    return tool_test.Result(None, '', f'{command} is still running')
            return tool_test.Result(done.returncode, '', done.stderr.decode())

        # In this order each has something to print.
        self.expect(['services', 'instances', 'pick', 'register', 'heartbeat', 'drain', 'intents', 'resume', 'call',
                     'events', 'history', 'completion', 'status', 'render'], full, at_once=1)


class Waits(TestCase):
    """--wait waits for a registry that does not answer yet and for an instance, in every command alike."""

    def test_wait_outlasts_a_registry_that_is_not_up_yet(self):
        port = tool_test.free_port()
        # Other commands do not wait for the instance, or, as watch, wait for more than that.
        waiting = {command: self.start(f'127.0.0.1:{port}', *self.line(command, more=['--wait', '60s']))
                   for command in ('services', 'instances', 'intents', 'pick', 'register', 'call', 'render', 'events',
                                   'status')}
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
                result = self.result(dead, self.line(command, more=['--wait', '1s']))
                self.assertEqual(result.code, 4, result)
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
                    result = self.result(daemon, self.line(command, service=service, more=['--wait', '300ms']))
                    self.assertEqual(result.code, 3, result)


if __name__ == '__main__':
    rt.main()
