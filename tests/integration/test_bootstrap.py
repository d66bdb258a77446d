# SPDX-License-Identifier: MIT
"""./bootstrap in a folder of its own, with this flavour's daemon.

Scripts in a folder of PATH replace dpkg-query, apt-cache, sudo and make, so that nothing is installed or built.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess

import rollcall_test as rt

# Plays a machine on which all but the named packages are installed; sudo records its command line.
DPKG_QUERY = '''#!/bin/sh
for last; do :; done
grep -qx "$last" "$PLAYED/installed" && echo installed
'''
APT_CACHE = '''#!/bin/sh
for last; do :; done
if grep -qx "$last" "$PLAYED/unknown"; then echo "Candidate: (none)"; else echo "Candidate: 1"; fi
'''
SUDO = '''#!/bin/sh
echo "$*" >>"$PLAYED/sudo-calls"
'''
MAKE = '''#!/bin/sh
echo "make $*"
case "$*" in
*check) mkdir -p build/default/results && cp "$PLAYED/summary" build/default/results/summary
	cat "$PLAYED/summary"; exit "$MAKE_STATUS" ;;
esac
'''


class Bootstrap(rt.TestCase):
    def setUp(self):
        self.folder = self.directory()
        self.played = os.path.join(self.folder, 'played')
        os.makedirs(os.path.join(self.folder, 'debian'))
        os.makedirs(self.played)
        shutil.copy(os.path.join(rt.ROOT, 'bootstrap'), self.folder)
        shutil.copy(os.path.join(rt.ROOT, 'debian/control'), os.path.join(self.folder, 'debian'))
        self.environment = dict(os.environ, ROLLCALLD=rt.ROLLCALLD, PLAYED=self.played)

    def play(self, name, script):
        path = os.path.join(self.played, name)
        with open(path, 'w', encoding='ascii') as file:
            file.write(script)
        os.chmod(path, 0o755)

    def write(self, name, text):
        with open(os.path.join(self.played, name), 'w', encoding='ascii') as file:
            file.write(text)

    def read(self, name):
        with open(os.path.join(self.played, name), encoding='ascii') as file:
            return file.read()

    def start(self, *arguments):
        # A shell that runs the tests in the background ignores SIGINT for them.
        process = subprocess.Popen(
            ['./bootstrap', *arguments], cwd=self.folder, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return process

    def finish(self, *arguments):
        """Runs bootstrap to its end; returns exit status and output."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=rt.seconds(60))
        return process.returncode, output

    def read_until(self, process, text):
        output = ''
        for line in process.stdout:
            output += line
            if text in line:
                return output
        raise AssertionError(f'ended without {text!r}:\n{output}')

    def up(self, *arguments):
        """Starts `bootstrap run`; returns the process, its output so far, and (host, port) of the daemon."""
        process = self.start('run', *arguments)
        output = self.read_until(process, 'Ctrl-C')
        url = re.search(r'rollcalld is running on (http://\S+) \(pid (\d+)', output)
        return process, output, rt.address_of(url[1]), int(url[2])

    def end(self, process, number=signal.SIGINT):
        process.send_signal(number)
        return process.wait(rt.seconds(10))


class Run(Bootstrap):
    def test_it_shows_a_lookup_and_picks_and_stays_up_until_ctrl_c(self):
        process, output, address, pid = self.up('--port=0')

        self.assertRegex(output, r'order-1 +127\.0\.0\.1:8081 +healthy')
        self.assertRegex(output, r'order-2 +127\.0\.0\.1:8082 +healthy')
        picks = re.findall(r'pick\?format=text.\n(\S+)\n', output)
        self.assertEqual(sorted(picks), ['127.0.0.1:8081'] * 2 + ['127.0.0.1:8082'] * 2)
        client = rt.Client(address)
        self.addCleanup(client.close)
        self.assertEqual(client.get('/healthz').status, 200)

        self.assertEqual(self.end(process), 0)
        self.assertRaises(ProcessLookupError, os.kill, pid, 0)
        self.assertTrue(os.path.exists(os.path.join(self.folder, 'build/demo/rollcall.db')))

    def test_its_instances_are_kept_alive(self):
        process, _, address, _ = self.up('--port=0')
        client = rt.Client(address)
        self.addCleanup(client.close)

        def beat():
            return client.get('/v1/services/order-service/instances/order-2').json()['last_heartbeat']
        first = beat()
        rt.wait_for(lambda: beat() != first, 15, 'a second heartbeat')
        self.end(process)

    def test_each_run_starts_with_a_new_state(self):
        process, _, address, _ = self.up('--port=0')
        with contextlib.closing(rt.Client(address)) as client:
            client.set_status('order-service', 'order-1', 'draining')
            client.set_status('order-service', 'order-2', 'draining')
        self.assertEqual(self.end(process), 0)

        process, output, _, _ = self.up('--port=0')
        self.assertRegex(output, r'order-1 +127\.0\.0\.1:8081 +healthy')
        self.assertEqual(self.end(process), 0)

    def test_a_reader_that_closes_early_leaves_no_daemon_behind(self):
        process = self.start('run', '--port=0')
        process.stdout.close()
        process.wait(rt.seconds(30))
        demo = os.path.join(self.folder, 'build/demo')
        with open(os.path.join(demo, 'rollcall.lock'), encoding='ascii') as file:
            pid = int(file.read() or 0)
        if pid != 0:
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)

    def test_sigterm_stops_the_daemon_too(self):
        process, _, _, pid = self.up('--port=0')

        self.assertEqual(self.end(process, signal.SIGTERM), 0)
        self.assertRaises(ProcessLookupError, os.kill, pid, 0)

    def test_a_requested_port_that_is_taken_is_an_error(self):
        with socket.create_server(('127.0.0.1', 0)) as taken:
            port = taken.getsockname()[1]
            status, output = self.finish('run', f'--port={port}')

        self.assertEqual(status, 1)
        self.assertIn(f'port {port} is taken by another program', output)

    def test_a_taken_default_port_is_reported_and_replaced_by_a_free_one(self):
        taken = socket.socket()
        self.addCleanup(taken.close)
        try:
            taken.bind(('127.0.0.1', 7655))
            taken.listen()
        except OSError:
            pass  # another process already has the port
        process, output, address, _ = self.up()

        self.assertIn('port 7655 is taken by another program, taking a free one instead', output)
        self.assertNotEqual(address[1], 7655)
        self.end(process)

    def test_a_daemon_that_does_not_start_is_quoted(self):
        first, _, _, pid = self.up('--port=0')
        status, output = self.finish('run', '--port=0')

        self.assertEqual(status, 1)
        self.assertIn(f'in use by process {pid}', output)
        self.assertIn('the daemon did not start', output)
        self.end(first)

    def test_a_daemon_that_ends_by_itself_ends_the_demonstration(self):
        process, _, _, pid = self.up('--port=0')
        os.kill(pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=rt.seconds(20))

        self.assertEqual(process.returncode, 1)
        self.assertIn('the daemon has ended', output)

    def test_unknown_arguments_are_refused(self):
        for arguments in (['walk'], ['--port=http', 'run'], ['--no-such-option', 'run'], []):
            with self.subTest(arguments=arguments):
                status, output = self.finish(*arguments)
                self.assertNotEqual(status, 0)
                self.assertRegex(output, 'usage:|not a number')


class Packages(Bootstrap):
    def setUp(self):
        super().setUp()
        del self.environment['ROLLCALLD']
        self.environment['PATH'] = self.played + ':/usr/bin:/bin'
        self.environment['MAKE_STATUS'] = '0'
        self.play('dpkg-query', DPKG_QUERY)
        self.play('apt-cache', APT_CACHE)
        self.play('apt-get', '#!/bin/sh\nexit 1\n')
        self.play('sudo', SUDO)
        self.play('make', MAKE)
        self.play('id', '#!/bin/sh\necho 1000\n')
        self.play('prometheus', '#!/bin/sh\n')
        self.write('installed', '\n'.join(self.listed() - {'libsqlite3-dev', 'check', 'mandoc'}))
        self.write('unknown', '')
        self.write('summary', '7 passed, 0 failed, 1 skipped\n')
        self.write('sudo-calls', '')

    @staticmethod
    def listed():
        with open(os.path.join(rt.ROOT, 'debian/control'), encoding='ascii') as file:
            depends = file.read().split('Build-Depends:\n')[1].split('\nStandards')[0]
        depends = re.sub(r'<[^>]*>|#.*', '', depends)
        return {name.strip() for name in re.split(r'[,|]', depends) if name.strip()}

    def needed(self, *profiles):
        """The packages that dpkg-checkbuilddeps requires with these build profiles, with all alternatives."""
        with open(os.path.join(rt.ROOT, 'debian/control'), encoding='ascii') as file:
            depends = file.read().split('Build-Depends:\n')[1].split('\nStandards')[0]
        names = set()
        for package in re.split(r'[,|]', re.sub('#.*', '', depends)):
            name, *terms = re.sub('[<>]', ' ', package).split()
            if all((term.lstrip('!') in profiles) != term.startswith('!') for term in terms):
                names.add(name)
        return names

    def asked_for(self, goal):
        """The packages that bootstrap installs for this goal if none is installed; of alternatives the first."""
        self.write('installed', 'nothing')
        self.write('sudo-calls', '')
        self.finish('--yes', goal)
        return set(self.read('sudo-calls').split('--no-install-recommends ')[1].split())

    def test_a_build_of_the_package_needs_neither_lint_nor_integration_tests(self):
        tests = {'check', 'g++'}
        self.assertLessEqual(tests, self.needed())
        self.assertEqual(self.needed() - tests, self.needed('nocheck'))
        for name in ('clang', 'mandoc', 'libclang-rt-14-dev', 'libclang-rt-19-dev', 'nginx-light', 'nginx', 'haproxy',
                     'prometheus', 'wrk', 'zsh'):
            self.assertNotIn(name, self.needed())
            self.assertIn(name, self.needed('pkg.rollcall.dev'))
        self.assertEqual(self.needed('pkg.rollcall.dev'), self.listed())
        self.assertNotIn('nginx-light', self.needed('nocheck', 'pkg.rollcall.dev'))

    def test_each_goal_asks_for_what_it_needs(self):
        alternatives = {'libcurl4-openssl-dev', 'nginx', 'libclang-rt-18-dev', 'libclang-rt-19-dev'}
        self.assertEqual(self.asked_for('run'), self.needed('nocheck') - alternatives)
        self.assertEqual(self.asked_for('setup'), self.listed() - alternatives)
        lint = self.needed('nocheck', 'pkg.rollcall.dev') - self.needed('nocheck')
        self.assertEqual(self.asked_for('check'), self.listed() - alternatives - lint)
        self.assertLess({'clang', 'clang-tidy', 'mandoc'}, lint)

    def test_without_a_terminal_it_prints_the_command_and_installs_nothing(self):
        status, output = self.finish('check')

        self.assertEqual(status, 1)
        self.assertIn('Packages to install: libsqlite3-dev check', output)
        self.assertIn('sudo apt-get', output)
        self.assertIn('use --yes', output)
        self.assertEqual(self.read('sudo-calls'), '')

    def test_with_yes_it_installs_what_is_missing_for_this_goal_and_no_more(self):
        for goal, names in (('run', ' libsqlite3-dev'), ('check', ' libsqlite3-dev check'),
                            ('setup', ' libsqlite3-dev check mandoc')):
            with self.subTest(goal=goal):
                self.write('sudo-calls', '')
                self.finish('--yes', goal)
                calls = self.read('sudo-calls').splitlines()
                self.assertIn('update', calls[0])
                self.assertTrue(calls[1].endswith('--no-install-recommends' + names), calls)
                self.assertEqual(len(calls), 2)

    def test_of_alternatives_the_one_that_the_distribution_knows_is_installed(self):
        clang = {name for name in self.listed() if name.startswith('libclang-rt-')}
        self.write('installed', '\n'.join(self.listed() - clang))
        self.write('unknown', '\n'.join(clang - {'libclang-rt-18-dev'}))
        status, _ = self.finish('--yes', 'setup')

        self.assertEqual(status, 0)
        self.assertTrue(self.read('sudo-calls').strip().endswith(' libclang-rt-18-dev'))

    def test_a_distribution_without_a_library_is_an_error(self):
        self.write('unknown', 'libsqlite3-dev')
        status, output = self.finish('--yes', 'check')

        self.assertEqual(status, 1)
        self.assertIn('this distribution does not have: libsqlite3-dev', output)

    def test_a_distribution_without_a_test_tool_is_no_reason_to_stop(self):
        self.write('installed', '\n'.join(self.listed() - {'wrk'}))
        self.write('unknown', 'wrk')
        status, output = self.finish('--yes', 'check')

        self.assertEqual(status, 0)
        self.assertIn('left out: wrk', output)

    def test_check_ends_with_the_line_that_counts(self):
        self.write('installed', '\n'.join(self.listed()))
        for make_status, summary in (('0', '7 passed, 0 failed, 1 skipped'), ('2', '6 passed, 1 failed')):
            with self.subTest(make_status=make_status):
                self.environment['MAKE_STATUS'] = make_status
                self.write('summary', summary + '\n')
                status, output = self.finish('check')
                self.assertEqual(output.splitlines()[-1], summary)
                self.assertEqual(status, 0 if make_status == '0' else 1)


if __name__ == '__main__':
    rt.main()
