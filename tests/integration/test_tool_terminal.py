# SPDX-License-Identifier: MIT
"""The tool escapes what it prints of other parties' values: no control character reaches a terminal, and each row
of a table stays one line.

The characters come from tests/cases/terminal.txt; tool_test.Answering plays a registry that sends them.
"""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import unicodedata

import rollcall_test as rt
import tool_test
from tool_test import OK, USAGE

CASES = os.path.join(rt.ROOT, 'tests', 'cases', 'terminal.txt')


def cases(kind):
    """The characters of the lines 'hide' or 'show', or the bytes of the lines 'broken'."""
    text = tool_test.read(CASES)
    if kind == 'broken':
        return [bytes.fromhex(found) for found in re.findall(r'(?m)^broken ([0-9A-F ]+):', text)]
    ranges = re.findall(rf'(?m)^{kind} ([0-9A-F]+)-([0-9A-F]+) ', text)
    return [chr(code) for first, last in ranges for code in range(int(first, 16), int(last, 16) + 1)]


def escaped(char):
    code = ord(char)
    return f'\\x{code:02x}' if code < 0x80 else f'\\u{code:04x}' if code < 0x10000 else f'\\U{code:08x}'


def answer(document, status='200 OK'):
    body = json.dumps(document).encode()
    return (f'HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Rollcall-Revision: 1\r\n'
            f'Connection: close\r\nContent-Length: {len(body)}\r\n\r\n').encode() + body


class TestCase(tool_test.TestCase):
    def assert_lines(self, lines, wanted):
        """Like assertEqual, which takes minutes to print the difference of two long lists."""
        for line, one in zip(lines, wanted):
            self.assertEqual(line, one)
        self.assertEqual(len(lines), len(wanted))

    def ask(self, document, *args, status='200 OK', **kwargs):
        with tool_test.Answering(answer(document, status)) as registry:
            return self.tool(registry.url, *args, **kwargs)


class Characters(TestCase):
    HIDDEN = [char for char in cases('hide') if char != '\0']  # which the tool's JSON does not take
    SHOWN = cases('show')

    def test_the_cases_are_there(self):
        self.assertGreater(len(self.HIDDEN), 4000)
        self.assertGreater(len(self.SHOWN), 200)
        self.assertGreaterEqual(len(cases('broken')), 10)

    def services(self, names):
        return {'revision': 1, 'services': [{'service': name} for name in names]}

    def test_what_may_not_reach_a_terminal_is_escaped_in_a_table(self):
        result = self.ask(self.services(f'<{char}>' for char in self.HIDDEN), 'services', '--no-headers')
        self.assert_lines([line.split()[0] for line in result.out.split('\n')[:-1]],
                          [f'<{escaped(char)}>' for char in self.HIDDEN])

    def test_the_rest_is_shown_as_it_is(self):
        for locale in ('C.UTF-8', 'C', 'de_DE'):
            result = self.ask(self.services(f'<{char}>' for char in self.SHOWN), 'services', '--no-headers',
                              env={'LC_ALL': locale})
            self.assert_lines([line[:line.index('>', 2) + 1] for line in result.out.split('\n')[:-1]],
                              [f'<{char}>' for char in self.SHOWN])

    def test_names_and_json_are_held_to_it_too(self):
        document = self.services([f'<{char}>' for char in self.HIDDEN])
        out = self.ask(document, 'services', '-o', 'name').out
        self.assert_lines(out.split('\n')[:-1], [f'<{escaped(char)}>' for char in self.HIDDEN])
        for form in ('json', 'jsonl'):
            out = self.ask(document, 'services', '-o', form).out
            self.assertFalse(set(out) & set(self.HIDDEN) - {'\n'})
            # A JSON parser must get the value that the registry sent.
            parsed = json.loads(out) if form == 'json' else {'revision': 1, 'services': [
                json.loads(line) for line in out.split('\n')[:-1]]}
            self.assertTrue(parsed == document, form)

    def test_shown_characters_stay_in_json(self):
        out = self.ask(self.services(['日本 Zoë 😀']), 'services', '-o', 'jsonl').out
        self.assertEqual(out, '{"service":"日本 Zoë 😀"}\n')

    def test_bytes_that_are_not_utf_8_are_escaped(self):
        for raw in cases('broken'):
            done = subprocess.run([tool_test.TOOL.encode(), b'<' + raw + b'>'], capture_output=True, check=False,
                                  env=tool_test.environment(None))
            self.assertEqual(done.returncode, USAGE)
            wanted = ''.join(f'\\x{byte:02x}' if byte >= 0x80 or byte < 0x20 else chr(byte) for byte in raw)
            self.assertIn(f"'<{wanted}>'", done.stderr.decode('ascii'))


class Places(TestCase):
    """Each place where the tool prints a value from the registry."""

    BAD = 'a\x1b]0;x\x07\u009b2J\u202eb\u2028c'
    GOOD = 'a\\x1b]0;x\\x07\\u009b2J\\u202eb\\u2028c'

    def check(self, text):
        self.assertIn(self.GOOD, text)
        self.assertFalse(set(text) & set(Characters.HIDDEN) - {'\n'}, text)

    def instance(self):
        return {'id': self.BAD, 'address': self.BAD, 'status': self.BAD, 'status_reason': self.BAD,
                'metadata': {self.BAD: self.BAD}, 'service': self.BAD}

    def test_lists(self):
        document = {'revision': 1, 'instances': [self.instance()]}
        result = self.ask(document, 'instances', 'web')
        self.check(result.out)
        self.assertEqual(result.out.count(self.GOOD), 6)
        for form in ('name', 'address', 'wide'):
            self.check(self.ask(document, 'instances', 'web', '-o', form).out)
        self.check(self.ask(self.instance(), 'pick', 'web', '-o', 'name').out)
        self.check(self.ask(self.instance(), 'heartbeat', 'web', 'a').out)
        self.check(self.ask(self.instance(), 'drain', 'web', 'a').out)
        self.check(self.ask({'a': {self.BAD: self.BAD}}, 'status').out)

    def test_events(self):
        event = {'revision': 1, 'kind': self.BAD, 'service': self.BAD, 'id': self.BAD, 'reason': self.BAD}
        document = {'revision': 1, 'events': [event]}
        self.check(self.ask(document, 'events').out)
        entry = {'kind': self.BAD, 'document': {'status': self.BAD}}
        self.assertIn(f'{self.GOOD}: {self.GOOD}', self.ask({'revision': 1, 'events': [{'entry': entry}]}, 'events').out)
        self.check(self.ask(document, 'history', 'web').out)
        with tool_test.Answering(answer(document)) as registry:
            following = self.start(registry.url, 'events', '-f')
            following.wait_out('c')
            self.check(following.out)
            following.end()

    def test_watch(self):
        with tool_test.Answering(answer({'revision': 1, 'instances': [self.instance()]})) as registry:
            watch = self.start(registry.url, 'watch', 'web')
            watch.wait_out('added')
            self.check(watch.out)
            watch.stop()

    def test_errors(self):
        problem = {'code': 'x', 'detail': self.BAD, 'errors': [{'pointer': self.BAD, 'detail': self.BAD}]}
        result = self.ask(problem, 'services', status='403 Forbidden')
        self.check(result.err)
        self.assertEqual(result.err.count(self.GOOD), 3)
        with tool_test.Answering(answer(problem, '403 Forbidden')) as registry:
            run = self.start(registry.url, 'run', '--service', 'web', '-p', '1', '--host', 'h', '--check', 'none', '--',
                             'sleep', '1000')
            run.wait_err('refuses to register')
            self.check(run.err)
            run.stop()

    def test_completion(self):
        document = {'revision': 1, 'services': [{'service': self.BAD}]}
        with tool_test.Answering(answer(document)) as registry:
            result = self.tool(registry.url, '__complete', 'rollcall', 'instances', '')
        self.assertEqual(result.out, f'{self.GOOD}\t\n')

    def test_the_body_of_a_call_is_raw(self):
        with tool_test.Answering(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n' + self.BAD.encode()) as service:
            daemon = self.daemon()
            daemon.register('web', 'a', host='127.0.0.1', port=int(service.url.rsplit(':', 1)[1]))
            self.assertEqual(self.ok(daemon, 'call', 'web', '/').out, self.BAD)


def width(text):
    """Columns on a terminal."""
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in 'WF' else 1
               for char in text)


class Rows(TestCase):
    def on_terminal(self, columns, document, *args):
        """The lines that the tool prints on a terminal of this width, without colours."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
        with tool_test.Answering(answer(document)) as registry:
            done = subprocess.run([tool_test.TOOL, *args, '--color', 'never'], stdin=follower, stdout=follower, check=False,
                                  stderr=subprocess.DEVNULL, env=tool_test.environment(registry.url),
                                  timeout=rt.seconds(20))
        os.close(follower)
        self.assertEqual(done.returncode, OK)
        out = b''
        try:
            while True:
                out += os.read(leader, 65536)
        except OSError:
            os.close(leader)
        return out.decode().split('\r\n')[:-1]

    INSTANCES = {'revision': 1, 'instances': [
        {'id': 'plain', 'address': '10.0.0.1:80', 'status': 'healthy', 'metadata': {'k': 'v'}},
        {'id': '日本のサーバー', 'address': 'h:1', 'status': 'draining', 'status_reason': 'Zoë says so', 'metadata': {}},
        {'id': 'e\u0301' * 8, 'address': '[::1]:81', 'status': 'unhealthy', 'metadata': {'name': '日本' * 20}}]}

    def test_columns_are_aligned_by_what_is_seen(self):
        for args in (['instances', 'web'], ['instances', 'web', '-o', 'wide']):
            lines = self.ask(self.INSTANCES, *args).out.split('\n')[:-1]
            place = width(lines[0][:lines[0].index('STATUS')])
            for line, instance in zip(lines[1:], self.INSTANCES['instances']):
                self.assertTrue(line.startswith(instance['id'] + ' '), line)
                self.assertEqual(width(line[:line.index(instance['status'])]), place, lines)

    def test_rows_of_a_table_that_goes_on_are_aligned_too(self):
        with tool_test.Answering(answer(self.INSTANCES)) as registry:
            watch = self.start(registry.url, 'watch', 'web')
            watch.wait_out('unhealthy')
            lines = watch.out.split('\n')[:-1]
            watch.stop()
        place = width(lines[0][:lines[0].index('STATUS')])
        for line, status in zip(lines[1:], ('healthy', 'draining', 'unhealthy')):
            self.assertEqual(width(line[:line.index(status)]), place, lines)

    SERVICES = {'revision': 1, 'services': [{'service': 'web', 'healthy': 7, 'unhealthy': 123456789012, 'draining': 1},
                                            {'service': '日本', 'healthy': 1, 'unhealthy': 2, 'draining': 123456789012}]}

    EVENTS = {'revision': 2, 'events': [
        {'revision': 1, 'time': '2026-11-23T18:41:28.123Z', 'kind': 'entry-removed', 'service': 'web', 'id': '日本',
         'author': 'operator:2001:db8:1111:2222:3333:4444:5555:6666', 'reason': 'Zoë', 'peer': '192.0.2.1',
         'entry': {'kind': 'intent', 'document': {'status': 'draining'}}},
        {'revision': 2, 'time': '2026-11-23T18:41:28.123Z', 'kind': 'failed', 'service': 'web', 'id': 'a',
         'author': 'instance', 'instance': {'status': 'unhealthy'}}]}

    def test_each_row_is_one_line_of_any_terminal(self):
        self.check_rows(self.INSTANCES, 'instances', 'web')
        self.check_rows(self.EVENTS, 'events')
        self.check_rows(self.EVENTS, 'history', 'web', '-o', 'wide')
        self.check_rows(self.SERVICES, 'services')  # whose last column is aligned to the right

    def check_rows(self, document, *args):
        whole = self.ask(document, *args).out.split('\n')[:-1]
        widest = max(width(line) for line in whole)
        for columns in [*range(1, 60), widest - 1, widest, widest + 1]:
            lines = self.on_terminal(columns, document, *args)
            self.assertEqual(len(lines), len(whole), columns)
            for line, uncut in zip(lines, whole):
                self.assertLessEqual(width(line), columns)
                if width(uncut) <= columns:
                    self.assertEqual(line, uncut)
                else:
                    self.assertTrue(line.endswith('…') and uncut.startswith(line[:-1].rstrip()), (columns, line))

    def test_facts_are_cut_too(self):
        lines = self.on_terminal(20, {'key': 'x' * 100, 'b': 1}, 'status')
        self.assertEqual(lines, ['FACT  VALUE', 'key   ' + 'x' * 13 + '…', 'b     1'])


if __name__ == '__main__':
    rt.main()
