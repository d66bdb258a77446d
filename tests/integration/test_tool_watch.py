# SPDX-License-Identifier: MIT
"""rollcall watch: prints each change once, runs commands with the change in their environment, and keeps
watching while the registry is down.
"""

import json
import os
import pty
import signal

import rollcall_test as rt
import tool_test
from tool_test import ERROR, OK, USAGE

FACTS = '''#!/bin/sh
exec >>"$OUT"
printf '%s|' "$ROLLCALL_SERVICE" "$ROLLCALL_COUNT" "$ROLLCALL_IDS" "$ROLLCALL_ADDRESSES" "$ROLLCALL_ADDED" \\
    "$ROLLCALL_CHANGED" "$ROLLCALL_REMOVED"
echo
'''


class TestCase(tool_test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.directory()

    def path(self, name):
        return os.path.join(self.folder, name)

    def change_until_end(self, daemon, watch):
        """Changes the service until the watch ends: only changes after its first answer count, and the test
        cannot see that answer."""
        ids = [f'i{n}' for n in range(1000)]

        def change():
            if watch.process.poll() is None:
                daemon.register('web', ids.pop())
            return watch.process.poll() is not None

        rt.wait_for(change, 30, 'the end of the watch', every=0.1)


class Printing(TestCase):
    def test_the_state_comes_first_then_each_change(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        watch = self.start(daemon, 'watch', 'web', '-o', 'jsonl')
        watch.wait_out('"added"')
        daemon.register('web', 'b')
        watch.wait_out('"id":"b"')
        daemon.register('web', 'b', port=81)
        watch.wait_out('"changed"')
        daemon.heartbeat('web', 'b')
        daemon.register('other', 'x')
        daemon.set_status('web', 'a', 'draining')
        watch.wait_out('"removed"')
        changes = [json.loads(line) for line in watch.out.splitlines()]
        self.assertEqual([(one['change'], one['instance']['id'], one['instance']['port']) for one in changes],
                         [('added', 'a', 80), ('added', 'b', 80), ('changed', 'b', 81), ('removed', 'a', 80)])
        self.assertEqual(watch.stop(signal.SIGTERM), 128 + signal.SIGTERM)
        self.assertEqual(watch.err, '')

    def test_it_parks_at_the_registry_instead_of_polling(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        watch = self.start(daemon, 'watch', 'web', '-o', 'name')
        parked = lambda: daemon.metric('rollcall_http_parked_requests')
        rt.wait_for(lambda: parked() == 1, 20, 'a parked request')
        daemon.register('other', 'x')
        daemon.register('web', 'b')
        watch.wait_out('b\n')
        rt.wait_for(lambda: parked() == 1, 20, 'a parked request')

    def test_changes_are_a_table_whose_columns_stay(self):
        daemon = self.daemon()
        watch = self.start(daemon, 'watch', 'web', '--color', 'always')
        watch.wait_out('METADATA')
        daemon.register('web', 'a', metadata={'k': 'v\x1b[2J\u009b1m'})
        watch.wait_out('added')
        self.assertEqual(watch.out.splitlines(), [
            'CHANGE   ID                        ADDRESS                STATUS     METADATA',
            'added    a                         10.0.0.1:80            \x1b[32mhealthy  \x1b[0m  k=v\\x1b[2J\\u009b1m'])

    def test_filters_hide_the_others(self):
        daemon = self.daemon()
        daemon.register('web', 'a', metadata={'zone': 'a'})
        daemon.register('web', 'b', metadata={'zone': 'b'})
        daemon.set_status('web', 'b', 'draining')
        watch = self.start(daemon, 'watch', 'web', '--meta', 'zone=b', '--status', 'any', '-o', 'name')
        watch.wait_out('b\n')
        self.assertEqual(watch.out, 'b\n')

    def test_once_waits_for_one_change(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        watch = self.start(daemon, 'watch', 'web', '--once', '-o', 'name')
        self.change_until_end(daemon, watch)
        self.assertEqual(watch.wait(), OK)
        self.assertTrue(watch.out.startswith('i'), watch.out)
        self.assertNotIn('a\n', watch.out)

    def test_an_invalid_lookup_is_a_usage_error(self):
        daemon = self.daemon()
        self.assertEqual(self.tool(daemon, 'watch', 'no such name').code, USAGE)
        self.assertEqual(self.tool(daemon, 'watch', 'web', '--status', 'x').code, USAGE)
        self.assertEqual(self.tool(daemon, 'watch').code, USAGE)

    def test_another_server_s_answer_changes_nothing(self):
        port = tool_test.free_port()
        daemon = self.daemon(listen=[f'127.0.0.1:{port}'])
        daemon.register('web', 'a')
        watch = self.start(daemon, 'watch', 'web', '-o', 'jsonl')
        watch.wait_out('"added"')
        daemon.stop()
        with tool_test.Answering(b'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', port) as other:
            rt.wait_for(lambda: len(other.requests) >= 2, 20, 'requests to the other server')
        daemon.start()
        daemon.register('web', 'b')
        watch.wait_out('"id":"b"')
        self.assertEqual(len(watch.out.splitlines()), 2)

    def test_a_registry_that_is_away_changes_nothing(self):
        port = tool_test.free_port()
        daemon = self.daemon(listen=[f'127.0.0.1:{port}'])
        daemon.register('web', 'a')
        watch = self.start(daemon, 'watch', 'web', '-o', 'jsonl')
        watch.wait_out('"added"')
        daemon.stop()
        watch.wait_err('keeping the last known instances')
        daemon.start()
        daemon.register('web', 'b')
        watch.wait_out('"id":"b"')
        self.assertEqual(len(watch.out.splitlines()), 2)
        self.assertEqual(len(watch.err.splitlines()), 1)


class Running(TestCase):
    def facts(self, path):
        return tool_test.read(path).splitlines()

    def test_the_command_gets_the_facts(self):
        daemon = self.daemon()
        daemon.register('web', 'a', host='::1')
        daemon.register('web', 'b')
        out = os.path.join(self.directory(), 'facts')
        watch = self.start(daemon, 'watch', 'web', '--', self.file(FACTS, mode=0o755), env={'OUT': out})
        rt.wait_for(lambda: len(self.facts(out)) == 1, 20, 'the first run')
        daemon.register('web', 'b', port=81)
        rt.wait_for(lambda: len(self.facts(out)) == 2, 20, 'the second run')
        daemon.deregister('web', 'a')
        rt.wait_for(lambda: len(self.facts(out)) == 3, 20, 'the third run')
        daemon.deregister('web', 'b')
        rt.wait_for(lambda: len(self.facts(out)) == 4, 20, 'the fourth run')
        self.assertEqual(self.facts(out), [
            'web|2|a b|[::1]:80 10.0.0.1:80|a b|||',
            'web|2|a b|[::1]:80 10.0.0.1:81||b||',
            'web|1|b|10.0.0.1:81|||a|',
            'web|0|||||b|'])
        self.assertEqual(watch.stop(), 128 + signal.SIGTERM)

    def test_the_command_gets_the_result_as_json_on_standard_input(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        watch = self.start(daemon, 'watch', 'web', '--', 'cat')
        watch.wait_out('}]}')
        facts = json.loads(watch.out)
        self.assertEqual((facts['service'], facts['revision'], facts['instances'][0]['id']), ('web', 1, 'a'))
        self.assertEqual(facts['changes'][0]['change'], 'added')

    def test_changes_while_it_runs_make_one_more_run(self):
        daemon = self.daemon()
        folder = self.directory()
        script = self.file('#!/bin/sh\necho "$ROLLCALL_COUNT" >>"$OUT"\n'
                           'while test "$ROLLCALL_COUNT" = 0 && ! test -e "$OUT.go"; do sleep 0.01; done\n', mode=0o755)
        out = os.path.join(folder, 'out')
        watch = self.start(daemon, 'watch', 'web', '--', script, env={'OUT': out})
        rt.wait_for(lambda: self.facts(out) == ['0'], 20, 'the first run')
        for i in range(5):
            daemon.register('web', f'i{i}')
        # The first run does not end before the file appears; the tool collects the changes meanwhile.
        rt.wait_for(lambda: self.tool(daemon, 'instances', 'web', '-o', 'name').out.count('\n') == 5, 20)
        with open(out + '.go', 'w', encoding='ascii'):
            pass
        rt.wait_for(lambda: self.facts(out)[-1] == '5', 20, 'the last run')
        self.assertLessEqual(len(self.facts(out)), 3)
        self.assertIsNone(watch.process.poll())

    def test_a_failing_command_is_reported_and_run_again(self):
        daemon = self.daemon()
        watch = self.start(daemon, 'watch', 'web', '--', 'sh', '-c', 'exit 7')
        watch.wait_err('ended with 7')
        daemon.register('web', 'a')
        rt.wait_for(lambda: watch.err.count('ended with 7') == 2, 20, 'the second run')
        missing = self.start(daemon, 'watch', 'web', '--', '/nonexistent')
        missing.wait_err("cannot run '/nonexistent': No such file")

    def test_once_gives_the_exit_code_of_the_command(self):
        daemon = self.daemon()
        watch = self.start(daemon, 'watch', 'web', '--once', '--', 'sh', '-c', 'echo "$ROLLCALL_ADDED"; exit 9')
        self.change_until_end(daemon, watch)
        self.assertEqual(watch.wait(), 9)
        self.assertEqual(len(watch.out.splitlines()), 1)

    def test_the_command_is_ended_with_the_watch(self):
        daemon = self.daemon()
        watch = self.start(daemon, 'watch', 'web', '--', 'sh', '-c', 'echo $$; exec sleep 1000')
        watch.wait_out('\n')
        child = int(watch.out)
        watch.stop()
        self.assertFalse(os.path.exists(f'/proc/{child}'))

    # A child of the command that ignores the signal and outlives its parent.
    STUBBORN = ('sh -c \'trap "" TERM INT; echo "child $$"; while :; do sleep 0.1; done\' & '
                'echo "parent $$"; wait')

    def stubborn(self, daemon, *args):
        watch = self.start(daemon, 'watch', 'web', *args, '--', 'sh', '-c', self.STUBBORN)
        watch.wait_out('child')
        watch.wait_out('parent')
        pids = [line.split()[1] for line in watch.out.splitlines()]
        for pid in pids:
            self.addCleanup(tool_test.end_process, int(pid))
        return watch, pids

    def wait_gone(self, pids):
        rt.wait_for(lambda: not any(tool_test.lives(pid) for pid in pids), 10, 'the end of the processes')

    def test_what_the_command_started_is_ended_too(self):
        daemon = self.daemon()
        for number in (signal.SIGTERM, signal.SIGINT):
            watch, pids = self.stubborn(daemon)
            self.assertEqual(watch.stop(number), 128 + number)
            self.wait_gone(pids)

    def test_what_the_command_started_gets_sigterm_first(self):
        watch = self.start(self.daemon(), 'watch', 'web', '--', 'sh', '-c',
                           'sh -c \'trap "echo asked; exit" TERM; echo ready; while :; do sleep 0.05; done\' & '
                           'trap "" TERM; wait; echo parent')
        watch.wait_out('ready')
        watch.stop()
        self.assertIn('asked', watch.out)

    def test_a_second_signal_does_not_wait(self):
        watch, pids = self.stubborn(self.daemon())
        watch.signal(signal.SIGTERM)
        rt.wait_for(lambda: not tool_test.lives(pids[-1]) or not tool_test.lives(pids[0]), 10, 'the end of the parent')
        watch.signal(signal.SIGTERM)
        self.assertEqual(watch.wait(), 128 + signal.SIGTERM)
        self.wait_gone(pids)

    def test_an_error_ends_the_command(self):
        port = tool_test.free_port()
        daemon = self.daemon(listen=[f'127.0.0.1:{port}'])
        watch, pids = self.stubborn(daemon)
        daemon.stop()
        watch.wait_err('keeping the last known instances')
        with tool_test.Answering(b'HTTP/1.1 403 Forbidden\r\nX-Rollcall-Revision: 1\r\nContent-Length: 0\r\n\r\n', port):
            self.assertEqual(watch.wait(), ERROR)
        self.wait_gone(pids)

    def test_a_key_of_the_terminal_reaches_the_command_once(self):
        leader, follower = pty.openpty()
        self.addCleanup(os.close, leader)
        self.addCleanup(os.close, follower)
        watch = self.start(self.daemon(), 'watch', 'web', '--', 'sh', '-c',
                           'trap "echo signal" INT; echo ready; while ! test -e "$GO"; do sleep 0.05; done',
                           env={'GO': self.path('go')}, preexec_fn=lambda: tool_test.own_terminal(follower))
        watch.wait_out('ready')
        os.write(leader, b'\x03')
        watch.wait_out('signal')
        with open(self.path('go'), 'w', encoding='ascii'):
            pass
        self.assertEqual(watch.wait(), 128 + signal.SIGINT)
        self.assertEqual(watch.out, 'ready\nsignal\n')

    def test_the_command_has_no_blocked_or_ignored_signals(self):
        daemon = self.daemon()
        watch = self.start(daemon, 'watch', 'web', '--', 'grep', '-E', 'Sig(Blk|Ign)', '/proc/self/status')
        watch.wait_out('SigIgn')
        with open('/proc/self/status', encoding='ascii') as status:
            mine = dict(line.split(':\t') for line in status if line.startswith(('SigBlk', 'SigIgn')))
        its = dict(line.split(':\t') for line in watch.out.splitlines(keepends=True))
        self.assertEqual(int(its['SigBlk'], 16), int(mine['SigBlk'], 16))
        self.assertEqual(int(its['SigIgn'], 16) & 1 << signal.SIGPIPE - 1, 0)


if __name__ == '__main__':
    rt.main()
