# SPDX-License-Identifier: MIT
"""rollcall run: registered while the program lives, drained before it gets SIGTERM, deregistered when it dies.

The tool, the daemon and the programs are real processes; SERVER is a small Python program that prints the
signals it gets. ProcessOne runs the tool as process 1 of a pid namespace, as in a container.
"""

import os
import pty
import signal
import subprocess
import sys

import rollcall_test as rt
import tool_test
from tool_test import ERROR, USAGE

# Waits for the file "go" if it gets one, listens on its port, and prints the signals it gets.
SERVER = r'''
import os, signal, socket, sys, time
def report(number, frame):
    print('signal', number, flush=True)
    if number == signal.SIGTERM:
        sys.exit(int(os.environ.get('CODE', '0')))
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT, signal.SIGINT):
    signal.signal(number, report)
while os.environ.get('GO') and not os.path.exists(os.environ['GO']):
    time.sleep(0.01)
server = socket.create_server(('127.0.0.1', int(sys.argv[1])))
print('pid', os.getpid(), flush=True)
while True:
    server.accept()[0].close()
'''


class TestCase(tool_test.TestCase):
    def run_server(self, daemon, *args, env=None, **kwargs):
        self.port = tool_test.free_port()
        return self.start(daemon, 'run', '--service', 'web', '--id', 'a', '--port', str(self.port), *args, '--',
                          sys.executable, '-c', SERVER, str(self.port), env=env, **kwargs)

    def wait_registered(self, daemon):
        rt.wait_for(lambda: daemon.ids('web') == ['a'], 30, 'registered')

    def kinds(self, daemon):
        return [event['kind'] for event in daemon.events(service='web')]

    def child(self, run):
        return int(run.out.split('pid ')[1].split()[0])


class Registering(TestCase):
    def test_it_is_registered_when_its_port_accepts(self):
        daemon = self.daemon()
        go = os.path.join(self.directory(), 'go')
        run = self.run_server(daemon, '-w', '7', '-m', 'k=v', '--ttl', '20s', '--remove-after', '1h', env={'GO': go})
        connections = rt.wait_for(lambda: os.path.exists(f'/proc/{run.pid}'), 20)
        self.assertTrue(connections)
        self.assertEqual(daemon.ids('web'), [])
        with open(go, 'w', encoding='ascii'):
            pass
        self.wait_registered(daemon)
        self.assertIn('pid', run.out)
        made = daemon.instance('web', 'a')
        self.assertEqual({key: made[key] for key in ('address', 'weight', 'metadata', 'ttl_ms', 'remove_after_ms')},
                         {'address': f'127.0.0.1:{self.port}', 'weight': 7, 'metadata': {'k': 'v'}, 'ttl_ms': 20000,
                          'remove_after_ms': 3600000})
        self.assertEqual(run.stop(), 0)
        self.assertEqual(daemon.ids('web', status='any'), [])
        self.assertEqual(run.out.count('signal 15'), 1)
        self.assertEqual(self.kinds(daemon), ['registered', 'drained', 'deregistered'])

    def test_it_is_kept_alive(self):
        daemon = self.daemon()
        self.run_server(daemon, '--ttl', '1s')
        self.wait_registered(daemon)
        beats = lambda: daemon.metric('rollcall_heartbeats_total') or 0
        rt.wait_for(lambda: beats() >= 5, 20, 'five heartbeats')
        self.assertEqual(self.kinds(daemon), ['registered'])

    def test_without_a_lease_it_is_checked_too(self):
        daemon = self.daemon(listen=[f'127.0.0.1:{tool_test.free_port()}'])
        run = self.run_server(daemon, '--ttl', '0')
        self.wait_registered(daemon)
        self.assertEqual(daemon.instance('web', 'a')['ttl_ms'], 0)
        daemon.deregister('web', 'a')
        self.wait_registered(daemon)  # at the next heartbeat, within 11 s
        daemon.stop()
        run.wait_err("cannot confirm the registration of 'web'; retrying: ")
        run.process.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(), 0)
        self.assertIn('without a lease it stays registered', run.err)
        daemon.start()
        self.assertEqual(daemon.ids('web'), ['a'])

    def test_it_is_registered_again_when_the_registry_has_lost_it(self):
        daemon = self.daemon()
        self.run_server(daemon, '--ttl', '1s')
        self.wait_registered(daemon)
        daemon.deregister('web', 'a')
        self.wait_registered(daemon)

    def test_the_program_starts_while_the_registry_is_down(self):
        port = tool_test.free_port()
        run = self.run_server(f'127.0.0.1:{port}')
        run.wait_out('pid')
        run.wait_err(f"cannot register 'web'; retrying: http://127.0.0.1:{port}: no connection\n")
        daemon = self.daemon(listen=[f'127.0.0.1:{port}'])
        self.wait_registered(daemon)
        run.wait_err("'web' is registered: the registry answers again\n")
        daemon.stop()
        self.assertEqual(run.stop(), 0)

    def test_a_failing_lease_is_reported_with_its_recovery(self):
        port = tool_test.free_port()
        daemon = self.daemon(listen=[f'127.0.0.1:{port}'])
        run = self.run_server(daemon, '--ttl', '9s')
        self.wait_registered(daemon)
        self.assertNotIn('rollcall:', run.err)
        daemon.stop()
        run.wait_err("cannot renew the lease of 'web'; retrying: " + f'http://127.0.0.1:{port}: ')
        daemon.start()
        run.wait_err("'web' is registered: the registry answers again\n")
        self.assertEqual(run.err.count('retrying'), 1)

    def test_a_refusal_is_reported_with_the_detail_of_the_registry(self):
        body = b'{"detail":"not on my watch"}'
        head = b'HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\r\n'
        with tool_test.Answering(head + body) as registry:
            run = self.run_server(registry.url, '--host', '127.0.0.1')
            run.wait_err("the registry refuses to register 'web'; retrying: "
                         f'{registry.url}: not on my watch (status 403)\n')
            run.stop()

    def test_checks_decide_when_it_is_ready(self):
        daemon = self.daemon()
        other = self.daemon()
        go = os.path.join(self.directory(), 'go')
        for check, env in (('none', {'GO': go}), (f'tcp://127.0.0.1:{other.port}', {'GO': go}),
                           (f'{other.url}/healthz', {'GO': go}), (f'exec:test -d {rt.ROOT}', {'GO': go})):
            with self.subTest(check):
                run = self.run_server(daemon, '--check', check, env=env)
                self.wait_registered(daemon)
                run.stop()
                daemon.deregister('web', 'a')

    def test_a_failing_check_prevents_the_registration(self):
        daemon = self.daemon()
        other = self.daemon()
        for check in (f'{other.url}/nothing', f'tcp://127.0.0.1:{tool_test.free_port()}', 'exec:false', 'pid:/nonexistent'):
            with self.subTest(check):
                run = self.run_server(daemon, '--check', check, '--start-within', '500ms', '--interval', '50ms')
                self.assertEqual(run.wait(), ERROR)
                self.assertIn('was not ready in time: ', run.err)
                self.assertEqual(daemon.events(), [])

    def test_a_check_that_hangs_is_ended(self):
        daemon = self.daemon()
        run = self.run_server(daemon, '--check', 'exec:sleep 1000', '--start-within', '300ms')
        self.assertEqual(run.wait(), ERROR)

    def test_a_refused_record_is_reported(self):
        daemon = self.daemon()
        run = self.run_server(daemon, '--host', 'no host', '--check', 'none')
        run.wait_err("the registry refuses to register 'web'; retrying: " + daemon.url + ': ')
        self.assertRegex(run.err, r"\(status 422\); /host: .")
        run.wait_out('pid')
        self.assertEqual((run.stop(), run.out.count('signal 15')), (0, 1))


class Ending(TestCase):
    def test_a_crash_is_deregistered_at_once(self):
        daemon = self.daemon()
        run = self.run_server(daemon, '--ttl', '1h')
        self.wait_registered(daemon)
        os.kill(self.child(run), signal.SIGKILL)
        self.assertEqual(run.wait(), -signal.SIGKILL)
        self.assertEqual(daemon.ids('web', status='any'), [])

    def test_the_exit_code_is_the_programs(self):
        daemon = self.daemon()
        for code in (0, 1, 3, 255):
            self.assertEqual(self.tool(daemon, 'run', '--service', 'web', '-p', '1', '--', 'sh', '-c', f'exit {code}').code,
                             code)

    def test_a_signal_that_ends_the_program_ends_the_tool(self):
        daemon = self.daemon()
        for number in (signal.SIGTERM, signal.SIGSEGV, signal.SIGKILL):
            result = self.tool(daemon, 'run', '--service', 'web', '-p', '1', '--', 'sh', '-c', f'kill -{int(number)} $$')
            self.assertEqual(result.code, -number)

    def test_what_cannot_be_started_has_the_shells_codes(self):
        daemon = self.daemon()
        plain = self.file('x')
        run = lambda program: self.tool(daemon, 'run', '--service', 'web', '-p', '1', program).code
        self.assertEqual(run('/nonexistent'), 127)
        self.assertEqual(run('no-such-program-anywhere'), 127)
        self.assertEqual(run(plain), 126)

    def test_wrong_use(self):
        for args in (['--service', 'web', '-p', '1'], ['-p', '1', 'true'], ['--service', 'web', 'true'],
                     ['--service', 'web', '-p', '0', 'true'], ['--service', 'web', '-p', '1', '--check', 'x', 'true'],
                     ['--service', 'web', '-p', '1', '--check', 'tcp://x', 'true'],
                     ['--service', 'web', '-p', '1', '--wait', '1s', 'true'],
                     ['--service', 'web', '-p', '1', '--drain-for', 'x', 'true']):
            self.assertEqual(self.tool('127.0.0.1:1', 'run', *args).code, USAGE, args)
        self.assertEqual(self.tool('unix:/x', 'run', '--service', 'web', '-p', '1', 'true').code, USAGE)

    def test_options_of_the_program_are_its_own(self):
        daemon = self.daemon()
        result = self.tool(daemon, 'run', '--service', 'web', '-p', '1', 'printf', '%s-', '--service', '-h')
        self.assertEqual((result.code, result.out), (0, '--service--h-'))


class Signals(TestCase):
    def test_it_drains_before_it_signals_the_program(self):
        daemon = self.daemon()
        run = self.run_server(daemon, '--drain-for', '1h')
        self.wait_registered(daemon)
        run.signal(signal.SIGTERM)
        rt.wait_for(lambda: daemon.ids('web', status='draining') == ['a'], 20, 'draining')
        self.assertNotIn('signal', run.out)
        self.assertEqual(daemon.ids('web'), [])
        # A second signal ends the drain.
        run.signal(signal.SIGTERM)
        self.assertEqual(run.wait(), 0)
        self.assertEqual(self.kinds(daemon), ['registered', 'drained', 'deregistered'])

    def test_draining_ends_by_itself(self):
        daemon = self.daemon()
        run = self.run_server(daemon, '--drain-for', '1s', env={'CODE': '5'})
        self.wait_registered(daemon)
        before = tool_test.now_ms()
        run.signal(signal.SIGINT)
        run.wait_out('signal 2')
        self.assertGreaterEqual(tool_test.now_ms() - before, 1000)
        self.assertEqual(daemon.ids('web', status='any'), [])
        self.assertIsNone(run.process.poll())  # the program does not end on SIGINT
        run.signal(signal.SIGTERM)
        self.assertEqual(run.wait(), 5)

    def test_a_program_that_crashes_while_draining_is_deregistered(self):
        daemon = self.daemon()
        run = self.run_server(daemon, '--drain-for', '1h')
        self.wait_registered(daemon)
        run.signal(signal.SIGTERM)
        rt.wait_for(lambda: daemon.ids('web', status='draining') == ['a'], 20, 'draining')
        os.kill(self.child(run), signal.SIGKILL)
        self.assertEqual(run.wait(), -signal.SIGKILL)
        self.assertEqual(daemon.ids('web', status='any'), [])

    def test_other_signals_are_passed_on(self):
        daemon = self.daemon()
        run = self.run_server(daemon)
        self.wait_registered(daemon)
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT):
            run.signal(number)
            run.wait_out(f'signal {int(number)}\n')
        self.assertEqual(daemon.ids('web'), ['a'])

    # The program's child ignores SIGTERM and outlives its parent.
    STUBBORN = ('sh -c \'trap "" TERM; echo "child $$"; while :; do sleep 0.1; done\' & '
                'trap "exit 3" TERM; echo "parent $$"; wait')

    def stubborn(self, daemon, *args):
        run = self.start(daemon, 'run', '--service', 'web', '--id', 'a', '-p', '1', '--check', 'none', *args, '--', 'sh',
                         '-c', self.STUBBORN)
        run.wait_out('child')
        run.wait_out('parent')
        pids = {line.split()[0]: int(line.split()[1]) for line in run.out.splitlines()}
        for pid in pids.values():
            self.addCleanup(tool_test.end_process, pid)
        return run, pids

    def test_what_the_program_started_ends_with_it_after_a_signal(self):
        daemon = self.daemon()
        run, pids = self.stubborn(daemon)
        self.wait_registered(daemon)
        self.assertEqual(run.stop(), 3)
        self.assertFalse(tool_test.lives(pids['child']))
        self.assertEqual(daemon.ids('web', status='any'), [])

    def test_other_signals_reach_what_the_program_started(self):
        daemon = self.daemon()
        run = self.start(daemon, 'run', '--service', 'web', '--id', 'a', '-p', '1', '--check', 'none', '--', 'sh', '-c',
                         'sh -c \'trap "echo inner" USR1; echo ready; while :; do sleep 0.05; done\' & '
                         'trap : USR1; while :; do wait; done')
        run.wait_out('ready')
        run.signal(signal.SIGUSR1)
        run.wait_out('inner')

    def test_what_the_program_leaves_behind_by_itself_stays(self):
        daemon = self.daemon()
        run = self.start(daemon, 'run', '--service', 'web', '-p', '1', '--', 'sh', '-c', 'sleep 1000 & echo $!')
        self.assertEqual(run.wait(), 0)
        self.assertTrue(tool_test.lives(run.out.strip()))
        tool_test.end_process(int(run.out))

    def test_a_program_that_is_late_and_ignores_sigterm_is_killed(self):
        daemon = self.daemon()
        run = self.start(daemon, 'run', '--service', 'web', '-p', '1', '--check', 'exec:false', '--start-within', '500ms',
                         '--', 'sh', '-c', 'trap "" TERM; echo $$; while :; do sleep 0.1; done')
        run.wait_out('\n')
        self.addCleanup(tool_test.end_process, int(run.out))
        self.assertEqual(run.wait(), ERROR)
        self.assertFalse(tool_test.lives(run.out.strip()))

    def test_a_check_that_hangs_ends_with_its_children(self):
        daemon = self.daemon()
        note = os.path.join(self.directory(), 'pid')
        run = self.start(daemon, 'run', '--service', 'web', '-p', '1', '--check',
                         f'exec:sh -c \'trap "" TERM; echo $$ >>{note}; while :; do sleep 0.1; done\'; true',
                         '--', 'sleep', '1000')
        pid = rt.wait_for(lambda: tool_test.read(note).split(), 20, 'the check')[0]
        self.addCleanup(tool_test.end_process, int(pid))
        rt.wait_for(lambda: not tool_test.lives(pid), 20, 'the end of the check')
        run.stop()
        rt.wait_for(lambda: not any(tool_test.lives(pid) for pid in tool_test.read(note).split()), 20, 'the end of all')

    def test_with_a_terminal_the_program_is_in_its_foreground_group(self):
        leader, follower = pty.openpty()
        self.addCleanup(os.close, leader)
        self.addCleanup(os.close, follower)
        run = self.start(self.daemon(), 'run', '--service', 'web', '-p', '1', '--', 'sh', '-c',
                         'read line </dev/tty; echo "got $line"', preexec_fn=lambda: tool_test.own_terminal(follower))
        os.write(leader, b'a word\n')
        self.assertEqual((run.wait(), run.out), (0, 'got a word\n'))

    def test_a_stop_before_it_is_ready_registers_nothing(self):
        daemon = self.daemon()
        run = self.run_server(daemon, env={'GO': '/nonexistent'}, )
        rt.wait_for(lambda: os.listdir(f'/proc/{run.pid}/task') and
                    tool_test.read(f'/proc/{run.pid}/task/{run.pid}/children').strip(), 20, 'the program')
        child = int(tool_test.read(f'/proc/{run.pid}/task/{run.pid}/children'))
        rt.wait_for(lambda: self.catches(child, signal.SIGTERM), 20, 'it catches signals')
        self.assertEqual(run.stop(), 0)
        self.assertEqual(daemon.events(), [])

    @staticmethod
    def catches(pid, number):
        for line in tool_test.read(f'/proc/{pid}/status').splitlines():
            if line.startswith('SigCgt'):
                return int(line.split()[1], 16) & 1 << number - 1
        return False

    def test_the_program_has_no_blocked_or_ignored_signals(self):
        daemon = self.daemon()
        result = self.tool(daemon, 'run', '--service', 'web', '-p', '1', '--', 'grep', '-E', 'SigBlk|SigIgn',
                           '/proc/self/status')
        lines = dict(line.split() for line in result.out.splitlines())
        self.assertEqual(int(lines['SigBlk:'], 16), 0)
        self.assertEqual(int(lines['SigIgn:'], 16) & 1 << signal.SIGPIPE - 1, 0)

    def test_a_key_of_the_terminal_reaches_the_program_once(self):
        daemon = self.daemon()
        leader, follower = pty.openpty()
        port = tool_test.free_port()
        env = tool_test.environment(daemon)
        command = [tool_test.TOOL, 'run', '--service', 'web', '--id', 'a', '-p', str(port), '--', sys.executable, '-c',
                   SERVER, str(port)]
        out = os.path.join(self.directory(), 'out')

        with open(out, 'wb') as file, subprocess.Popen(command, stdin=follower, stdout=file, env=env,
                                                       preexec_fn=lambda: tool_test.own_terminal(follower)) as process:
            self.wait_registered(daemon)
            os.write(leader, b'\x03')
            rt.wait_for(lambda: 'signal 2' in tool_test.read(out), 20, 'the signal')
            rt.wait_for(lambda: daemon.ids('web', status='any') == [], 20, 'deregistered')
            process.send_signal(signal.SIGTERM)
            process.wait(rt.seconds(20))
        os.close(leader)
        os.close(follower)
        self.assertEqual(tool_test.read(out).count('signal 2'), 1)


class ProcessOne(TestCase):
    """The tool as process 1 of a pid namespace, as in a container."""

    def unshare(self, *options):
        command = ['unshare', *options, '--pid', '--fork', '--mount-proc', '--kill-child']
        if subprocess.run([*command, 'true'], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            self.skipTest('pid namespaces are not permitted here')
        return command

    def contained(self, daemon, script, *args):
        command = [*self.unshare(), tool_test.TOOL, 'run', '--service', 'web', '--id', 'a', '-p', '1', '--check', 'none',
                   *args, '--', 'sh', '-c', script]
        running = tool_test.Running(self.directory(), command, tool_test.environment(daemon))
        self.addCleanup(running.end)
        return running

    def test_orphans_are_reaped(self):
        daemon = self.daemon()
        # The middle shell ends, so process 1 becomes the parent of its child. /proc has a dead process
        # until its parent reaps it.
        run = self.contained(daemon, 'orphan=$(sh -c "sleep 0.2 >/dev/null & echo \\$!"); test -d /proc/$orphan && echo alive; '
                             'while test -d /proc/$orphan; do sleep 0.05; done; echo clean; exec sleep 1000')
        run.wait_out('clean')
        self.assertEqual(run.out, 'alive\nclean\n')

    def test_a_program_killed_by_a_signal_gives_128_and_its_number(self):
        daemon = self.daemon()
        run = self.contained(daemon, 'while test -z "$(ls /nonexistent 2>/dev/null)"; do sleep 0.05; kill -9 $$; done')
        self.assertEqual(run.wait(), 128 + signal.SIGKILL)
        rt.wait_for(lambda: daemon.ids('web', status='any') == [], 20, 'deregistered')

    def test_it_stops_on_sigterm(self):
        daemon = self.daemon()
        run = self.contained(daemon, 'trap "echo got TERM; exit 7" TERM; echo ready; while :; do sleep 0.05; done')
        self.wait_registered(daemon)
        run.wait_out('ready')
        inner = int(tool_test.read(f'/proc/{run.pid}/task/{run.pid}/children'))
        os.kill(inner, signal.SIGTERM)
        self.assertEqual((run.wait(), run.out), (7, 'ready\ngot TERM\n'))
        self.assertEqual(self.kinds(daemon), ['registered', 'drained', 'deregistered'])


if __name__ == '__main__':
    rt.main()
