# SPDX-License-Identifier: MIT
"""The daemon as a process: arguments, sockets, signals, systemd, exit codes.

Each class tests one side of the process: listening, exit codes, files of the state directory, --print-config,
SIGHUP, SIGTERM, socket activation, sd_notify, failures, ulimits, --check. Class Systemd plays the service
manager at the other end of NOTIFY_SOCKET; the slow disk (tests/lib/slowdisk.c) makes opens and syncs fail.
"""

import contextlib
import ctypes
import errno
import glob
import grp
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import rollcall_test as rt

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000

OK, DAMAGED, USAGE, OSERR, IOERR, TEMPFAIL, CONFIG = 0, 1, 64, 71, 74, 75, 78


def run(*args, env=None, stdout=subprocess.PIPE, wrapper=()):
    """Runs the daemon with arguments with which it exits by itself."""
    return subprocess.run([*wrapper, rt.ROLLCALLD, *args], stdin=subprocess.DEVNULL, stdout=stdout,
                          stderr=subprocess.PIPE, text=True, check=False,
                          timeout=rt.seconds(20), env={**os.environ, **(env or {})})


def files(count):
    """A wrapper command that limits the open files of the daemon."""
    return 'prlimit', f'--nofile={count}:{count}'


def tear(database):
    """Overwrites a part of each page but the first, as a disk that loses writes does."""
    assert not glob.glob(database + '-wal'), 'the WAL should be gone after a stop'
    with open(database, 'r+b') as file:
        for offset in range(4096, os.path.getsize(database), 4096):
            file.seek(offset)
            file.write(b'\xa5' * 64)


class Systemd:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, directory):
        self.path = os.path.join(directory, 'notify')
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.env = {'NOTIFY_SOCKET': self.path}

    def report(self, timeout=10):
        """The next report, as a dictionary."""
        self.socket.settimeout(rt.seconds(timeout))
        return dict(line.split('=', 1) for line in self.socket.recv(4096).decode().splitlines())

    def wait_for(self, key):
        """The next report that has this key; drops those before it."""
        while key not in (report := self.report()):
            pass
        return report

    def drain(self):
        """The reports that have arrived, without waiting."""
        self.socket.setblocking(False)
        reports = []
        try:
            while True:
                reports.append(self.socket.recv(4096).decode())
        except BlockingIOError:
            return reports

    def close(self):
        self.socket.close()


class TestCase(rt.TestCase):

    def systemd(self):
        systemd = Systemd(self.directory())
        self.addCleanup(systemd.close)
        return systemd

    def conf(self, text):
        path = os.path.join(self.directory(), 'rollcalld.conf')
        self.write(path, text)
        return path

    def write(self, path, text):
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)

    def assert_serves(self, address):
        client = rt.Client(address)
        try:
            self.assertEqual(client.get('/healthz').status, 200)
        finally:
            client.close()

    def assert_exit(self, result, code, *patterns):
        """Checks the exit code, and that standard error matches each pattern."""
        self.assertEqual(result.returncode, code, result.stderr)
        for pattern in patterns:
            self.assertRegex(result.stderr, pattern)


class Listening(TestCase):

    def test_the_kernel_chooses_the_port_and_the_ready_line_names_it(self):
        daemon = self.daemon(listen=['127.0.0.1:0'], options=['--log-format=text'])
        lines = [line for line in daemon.lines if line.startswith('ready on ')]
        self.assertEqual(lines, [f'ready on http://127.0.0.1:{daemon.port}'])
        self.assertNotEqual(daemon.port, 0)
        self.assert_serves(('127.0.0.1', daemon.port))

    def test_the_ready_line_is_plain_in_text_formats(self):
        for log_format in ('text', 'journald'):
            daemon = self.daemon(options=[f'--log-format={log_format}', '--log-level=error'])
            self.assertEqual(daemon.lines, [f'ready on http://127.0.0.1:{daemon.port}'])

    def test_every_line_is_json_in_json_formats(self):
        for log_format in ('json', 'auto'):
            daemon = self.daemon(options=[f'--log-format={log_format}'])
            url = daemon.url
            daemon.stop()
            entries = [json.loads(line) for line in daemon.lines]
            ready = [entry for entry in entries if entry['message'] == f'ready on {url}']
            self.assertEqual([entry['level'] for entry in ready], ['notice'])
            self.assertEqual(entries[-1]['message'], 'stopped')

    def test_it_serves_on_ipv6(self):
        try:
            socket.create_server(('::1', 0), family=socket.AF_INET6).close()
        except OSError as error:
            self.skipTest(f'no IPv6 here: {error}')
        daemon = self.daemon(listen=['[::1]:0'])
        self.assertRegex(daemon.url, r'^http://\[::1\]:[1-9][0-9]*$')
        self.assert_serves(('::1', daemon.port))
        answer = daemon.ok(daemon.put(rt.instance_path('web', 'a'), {'port': 80})).json()
        self.assertEqual((answer['host'], answer['address']), ('::1', '[::1]:80'))

    def test_it_serves_on_a_unix_socket_and_removes_it(self):
        path = os.path.join(self.directory(), 'rollcall.sock')
        daemon = self.daemon(listen=[f'unix:{path}'])
        self.assertEqual(daemon.urls, [f'unix:{path}'])
        self.assert_serves(path)
        answer = daemon.put(rt.instance_path('web', 'a'), {'port': 80})
        self.assertEqual((answer.status, answer.json()['errors'][0]['detail']),
                         (422, 'host is required: the request came over a Unix socket'))
        daemon.stop()
        self.assertFalse(os.path.exists(path))

    def access_of(self, *options):
        """(permissions, group) of the Unix socket that the daemon makes with these options."""
        path = os.path.join(self.directory(), 'rollcall.sock')
        daemon = self.daemon(listen=[f'unix:{path}'], options=options)
        self.assert_serves(path)
        about = os.stat(path)
        daemon.stop()
        return about.st_mode & 0o7777, about.st_gid

    def test_a_unix_socket_has_the_mode_and_group_of_the_configuration(self):
        self.assertEqual(self.access_of(), (0o660, os.getegid()))
        self.assertEqual(self.access_of('--socket-mode=0600'), (0o600, os.getegid()))
        self.assertEqual(self.access_of('--socket-mode=666'), (0o666, os.getegid()))
        known = {entry.gr_gid for entry in grp.getgrall()} - {os.getegid()}
        others = sorted(known if os.geteuid() == 0 else known.intersection(os.getgroups()))
        if not others:
            self.skipTest('there is no other group that a socket could be given')
        self.assertEqual(self.access_of(f'--socket-group={others[0]}'), (0o660, others[0]))
        self.assertEqual(self.access_of(f'--socket-group={grp.getgrgid(others[0]).gr_name}', '--socket-mode=0620'),
                         (0o620, others[0]))

    def test_an_unknown_group_is_a_configuration_error(self):
        result = run('--socket-group=no such group', '--listen=127.0.0.1:0',
                     f'--state-dir={self.directory()}')
        self.assert_exit(result, CONFIG, "socket_group: .*'no such group'")

    def test_it_serves_on_several_at_once(self):
        path = os.path.join(self.directory(), 'rollcall.sock')
        daemon = self.daemon(listen=['127.0.0.1:0', f'unix:{path}', '127.0.0.1:0'])
        self.assertEqual(len(set(daemon.urls)), 3)
        daemon.register('web', 'a')
        for url in daemon.urls:
            client = rt.Client(rt.address_of(url))
            self.assertEqual(client.ids('web'), ['a'])
            client.close()

    def test_a_failed_start_removes_the_socket_that_it_made(self):
        path = os.path.join(self.directory(), 'rollcall.sock')
        result = run(f'--listen=unix:{path}', '--state-dir=/nonexistent/rollcall')
        self.assert_exit(result, CONFIG)
        self.assertFalse(os.path.exists(path))


class ExitCodes(TestCase):

    def test_a_wrong_command_line_gets_a_hint(self):
        self.assert_exit(run('--http-thread=2'), USAGE, 'did you mean --http-threads')
        self.assert_exit(run('--http-threads=0'), USAGE, "--http-threads: '0'.*1 to 64 threads")
        self.assert_exit(run('serve'), USAGE, "'serve'.*--help")

    def test_every_error_of_the_file_and_the_environment_is_reported(self):
        path = self.conf('http_threads = 0\nwibble = 1\nlog_level = loud\n')
        for action in ((), ('--check-config',), ('--print-config',)):
            self.assert_exit(run(f'--config={path}', *action), CONFIG,
                             re.escape(path) + ':1: http_threads: .*1 to 64 threads',
                             re.escape(path) + ":2: unknown option 'wibble'",
                             re.escape(path) + ':3: log_level: .*error, warning')
        self.assert_exit(run('--check-config', env={'ROLLCALL_QUEUE_MAX': '1'}), CONFIG,
                         'environment: ROLLCALL_QUEUE_MAX')
        self.assert_exit(run('--check-config', '--default-ttl-ms=0'), USAGE, "--default-ttl-ms: '0'.*1000 to 86400000")

    def test_a_named_file_must_exist(self):
        self.assert_exit(run('--config=/nonexistent/conf'), CONFIG, 'No such file')

    def test_an_address_in_use_is_named(self):
        daemon = self.daemon()
        result = run(f'--listen=127.0.0.1:{daemon.port}', f'--state-dir={self.directory()}')
        self.assert_exit(result, OSERR, f'127.0.0.1:{daemon.port}.*Address already in use')

    def test_a_second_daemon_on_the_same_directory_is_refused(self):
        daemon = self.daemon()
        result = run('--listen=127.0.0.1:0', f'--state-dir={daemon.state_dir}')
        self.assert_exit(result, TEMPFAIL, re.escape(daemon.state_dir))
        self.assertNotIn('ready on', result.stderr)
        daemon.register('web', 'a')

    def test_a_directory_that_cannot_be_used_is_named(self):
        path = os.path.join(self.directory(), 'a', 'b')
        self.assert_exit(run('--listen=127.0.0.1:0', f'--state-dir={path}'), CONFIG,
                         re.escape(path), '--state-dir')
        file = self.conf('')
        self.assert_exit(run('--listen=127.0.0.1:0', f'--state-dir={file}'), CONFIG,
                         re.escape(file))

    def test_a_failing_disk_is_no_configuration_error(self):
        disk = self.slow_disk()
        disk.set(open_every=1)
        for error, code in ((errno.EROFS, IOERR), (errno.EIO, IOERR), (errno.ENOSPC, IOERR),
                            (errno.EDQUOT, IOERR), (errno.EMFILE, OSERR), (errno.ENFILE, OSERR),
                            (errno.ENOMEM, OSERR), (errno.EACCES, CONFIG)):
            disk.set(open_errno=error)
            for action in ((), ('--check',)):
                result = run('--listen=127.0.0.1:0', f'--state-dir={disk.state_dir}', *action, env=disk.env)
                self.assert_exit(result, code, re.escape(disk.state_dir))

    def test_after_any_failed_open_the_daemon_starts_again(self):
        disk = self.slow_disk()
        daemon = self.daemon(disk.state_dir, env=disk.env)
        daemon.register('web', 'a')
        daemon.stop()
        refused = 0
        for error in (errno.EIO, errno.EROFS, errno.EMFILE):
            for nth in range(100):
                disk.set(open_errno=error, open_skip=nth)
                before = disk.refusals
                daemon.spawn()
                try:
                    daemon.wait_ready()
                except AssertionError:
                    self.assertIn(daemon.wait_exit(), (OSERR, IOERR, TEMPFAIL), daemon.log)
                    refused += 1
                else:
                    daemon.kill()
                if disk.refusals == before:
                    break
            self.assertLess(nth, 99)
        self.assertGreater(refused, 3)
        disk.set(open_errno=0)
        daemon.start()
        self.assertEqual(daemon.ids('web'), ['a'])

    def test_the_exit_code_of_an_unreadable_configuration_says_whether_to_retry(self):
        disk = self.slow_disk()
        path = os.path.join(disk.state_dir, 'rollcalld.conf')
        self.write(path, '')
        for error, code in ((errno.EIO, IOERR), (errno.EMFILE, OSERR), (errno.EACCES, CONFIG),
                            (errno.ELOOP, CONFIG)):
            disk.set(open_errno=error, open_every=1)
            self.assert_exit(run(f'--config={path}', '--check-config', env=disk.env), code,
                             re.escape(path) + '.*' + os.strerror(error))

    def test_too_few_files_are_refused_with_the_number_that_is_needed(self):
        for threads, needed in ((1, 100), (3, 108)):
            state_dir = os.path.join(self.directory(), 'state')
            result = run('--listen=127.0.0.1:0', f'--state-dir={state_dir}', f'--http-threads={threads}',
                         wrapper=files(needed - 1))
            self.assert_exit(result, CONFIG, f'only {needed - 1} files .* {needed} are needed', 'LimitNOFILE')
            self.assertFalse(os.path.exists(state_dir))

    def test_the_smallest_file_limit_serves_the_published_number_of_connections(self):
        daemon = self.daemon(wrapper=files(100), options=['--max-connections-per-peer=16'])
        limits = daemon.status()['limits']
        self.assertEqual(limits['connections'], 16)
        open_before = len(os.listdir(f'/proc/{daemon.pid}/fd'))
        others = [daemon.client() for _ in range(15)]
        for i, client in enumerate(others):
            client.register('web', f'web-{i}')
        self.assertEqual(len(os.listdir(f'/proc/{daemon.pid}/fd')), open_before + 15)
        for client in others:
            self.assertEqual(client.get('/metrics').status, 200)
            self.assertEqual(client.get('/v1/events').status, 200)

    def test_a_journal_of_a_newer_version_is_refused(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        daemon.stop()
        database = sqlite3.connect(daemon.database)
        database.execute('PRAGMA user_version = 9999')
        database.close()
        self.assert_exit(run('--listen=127.0.0.1:0', f'--state-dir={daemon.state_dir}'), CONFIG,
                         '(?i)newer')

    def test_the_last_folder_of_the_state_directory_is_made(self):
        path = os.path.join(self.directory(), 'state')
        daemon = self.daemon(state_dir=path)
        self.assertTrue(os.path.exists(daemon.database))

    def test_output_that_cannot_be_written_is_an_error(self):
        with open('/dev/full', 'w', encoding='ascii') as full:
            self.assert_exit(run('--help', stdout=full), IOERR, 'standard output')


class StateFiles(TestCase):
    """Others cannot read the state files; the group can if it can read the directory."""

    def modes(self, directory):
        """{name: permissions} of the files in the directory."""
        with os.scandir(directory) as listing:
            return {entry.name: entry.stat().st_mode & 0o777 for entry in listing}

    def running(self, directory):
        """The modes while a daemon runs under umask 0, which lets everybody read."""
        daemon = self.daemon(state_dir=directory, wrapper=['sh', '-c', 'umask 0 && exec "$@"', 'sh'])
        daemon.register('web', 'a')
        modes = self.modes(directory)
        self.assertLessEqual({'rollcall.db', 'rollcall.db-wal', 'rollcall.db-shm', 'rollcall.lock'}, set(modes))
        daemon.stop()
        return modes

    def test_a_directory_that_it_makes_is_private_with_all_in_it(self):
        path = os.path.join(self.directory(), 'state')
        self.assertEqual(set(self.running(path).values()), {0o600})
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o700)

    def test_a_group_that_may_read_the_directory_may_read_the_file(self):
        path = self.directory()
        os.chmod(path, 0o750)
        modes = self.running(path)
        self.assertEqual(modes['rollcall.db'], 0o640)
        self.assertEqual({mode & 0o037 for mode in modes.values()}, {0})

    def test_files_that_everybody_could_read_become_private(self):
        path = self.directory()
        self.running(path)
        other = os.path.join(path, 'notes')
        self.write(other, '')
        for name in os.listdir(path):
            os.chmod(os.path.join(path, name), 0o644)
        self.write(os.path.join(path, 'rollcall.db.corrupt-1'), '')
        os.symlink(other, os.path.join(path, 'rollcall.link'))
        modes = self.running(path)
        self.assertEqual(modes.pop('notes'), 0o644)
        self.assertEqual(modes.pop('rollcall.link'), 0o644)
        self.assertEqual(set(modes.values()), {0o600})

    def test_verifying_makes_private_files(self):
        path = self.directory()
        self.running(path)
        os.unlink(os.path.join(path, 'rollcall.lock'))
        subprocess.run(['sh', '-c', 'umask 0 && exec "$@"', 'sh', rt.ROLLCALLD, '--check', f'--state-dir={path}'],
                       stdout=subprocess.DEVNULL, check=True, timeout=rt.seconds(20))
        self.assertEqual(set(self.modes(path).values()), {0o600})


class Printing(TestCase):

    def test_help_and_version_go_to_standard_output(self):
        result = run('--help')
        self.assert_exit(result, OK)
        self.assertIn('--listen=', result.stdout)
        self.assertEqual(result.stderr, '')
        self.assertRegex(run('--version').stdout, r'^rollcalld \S+\n$')

    def test_each_value_is_printed_with_its_origin(self):
        path = self.conf('\nhttp_threads = 3\nqueue_max = 300\nbatch_max = 300\n')
        result = run('--print-config', f'--config={path}', '--batch-max', '100',
                     env={'ROLLCALL_QUEUE_MAX': '200', 'STATE_DIRECTORY': '/run/a'})
        self.assert_exit(result, OK)
        lines = result.stdout.splitlines()
        for line in (f'http_threads = 3 # {path}:2', 'queue_max = 200 # environment ROLLCALL_QUEUE_MAX',
                     'batch_max = 100 # command line', 'hold_percent = 50 # default',
                     'state_dir = "/run/a" # environment STATE_DIRECTORY',
                     'listen = {"127.0.0.1:7655"} # default'):
            self.assertIn(line, lines)

    def test_a_printed_configuration_can_be_loaded(self):
        printed = run('--print-config', '--http-threads=5').stdout
        path = self.conf(printed)
        self.assert_exit(run('--check-config', f'--config={path}'), OK)
        again = run('--print-config', f'--config={path}').stdout
        self.assertIn('http_threads = 5 #', again)


class Reloading(TestCase):

    def setUp(self):
        self.path = self.conf('default_ttl_ms = 20000\n')
        self.manager = self.systemd()
        self.registry = self.daemon(options=[f'--config={self.path}', '--hold-percent=60'],
                                    env=self.manager.env)
        self.assertIn('READY', self.manager.report())

    def reload(self, text):
        self.write(self.path, text)
        self.registry.signal(signal.SIGHUP)
        report = self.manager.wait_for('RELOADING')
        self.assertLessEqual(int(report['MONOTONIC_USEC']), time.monotonic_ns() // 1000)
        self.assertEqual(self.manager.wait_for('READY')['READY'], '1')

    def ttl_of(self, instance):
        return self.registry.register('web', instance)['ttl_ms']

    def test_reloadable_options_change_and_the_others_are_named(self):
        self.assertEqual(self.ttl_of('a'), 20000)
        self.reload('default_ttl_ms = 25000\nhttp_threads = 2\nhold_percent = 70\n')
        self.assertEqual(self.ttl_of('b'), 25000)
        self.registry.wait_log('default_ttl_ms = 25000 from now on; 20000 before')
        self.registry.wait_log('http_threads = 2 needs a restart; 1 until then')
        self.assertNotIn('hold_percent', self.registry.log)

    def test_the_limits_in_the_status_are_those_in_force(self):
        for text, limits in (('', (10000, 2500)), ('max_connections = 100', (100, 25)),
                             ('max_connections = 100\nmax_connections_per_peer = 7', (100, 7))):
            self.reload(text + '\n')
            status = self.registry.status()['limits']
            self.assertEqual((status['connections'], status['connections_per_peer']), limits)

    def test_a_wrong_file_changes_nothing(self):
        self.reload('default_ttl_ms = 20000\nlog_level = error\n')
        self.reload('default_ttl_ms = 25000\nhttp_threads = 0\nwibble = 1\n')
        self.registry.wait_log('"error".*not reloaded, nothing was changed: .*conf:2: http_threads: ')
        self.registry.wait_log('"error".*not reloaded, nothing was changed: .*conf:3: unknown option')
        self.assertEqual(self.ttl_of('a'), 20000)

    def test_a_file_that_cannot_be_read_changes_nothing(self):
        os.unlink(self.path)
        os.mkfifo(self.path)
        self.registry.signal(signal.SIGHUP)
        self.registry.wait_log('rollcalld.conf.*Connection timed out')
        self.assertEqual(self.ttl_of('a'), 20000)
        self.registry.stop()

    def test_a_pipe_can_be_the_file(self):
        read, write = os.pipe()
        with os.fdopen(write, 'w', encoding='ascii') as file:
            file.write('http_threads = 3\n')
        result = subprocess.run([rt.ROLLCALLD, f'--config=/dev/fd/{read}', '--print-config'], pass_fds=[read],
                                stdout=subprocess.PIPE, text=True, check=True, timeout=rt.seconds(20))
        self.assert_exit(subprocess.run([rt.ROLLCALLD, f'--config=/dev/fd/{read}', '--print-config'],
                                        pass_fds=[read], stderr=subprocess.PIPE, text=True, check=False,
                                        timeout=rt.seconds(20)), CONFIG, 'Broken pipe')
        os.close(read)
        self.assertIn(f'http_threads = 3 # /dev/fd/{read}:1', result.stdout)

    def test_the_log_level_changes(self):
        self.reload('log_level = error\ndefault_ttl_ms = 25000\n')
        self.registry.wait_log('default_ttl_ms = 25000 from now on')
        self.reload('log_level = error\ndefault_ttl_ms = 26000\n')
        self.assertEqual(self.ttl_of('a'), 26000)
        self.registry.stop()  # after this the log is complete
        self.assertNotIn('26000', self.registry.log)


class Stopping(TestCase):

    def test_both_signals_stop_it_with_success(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            daemon = self.daemon()
            daemon.register('web', 'a')
            daemon.signal(number)
            self.assertEqual(daemon.wait_exit(), OK)
            daemon.wait_log(signal.Signals(number).name)

    def test_a_change_in_flight_is_committed_and_answered(self):
        disk = self.slow_disk()
        daemon = self.daemon(disk.state_dir, env=disk.env)
        client = self.client(daemon)
        answers = []
        disk.set(sync_delay_ms=700)
        syncs = disk.syncs
        thread = threading.Thread(target=lambda: answers.append(client.try_register('web', 'a')))
        thread.start()
        rt.wait_for(lambda: disk.syncs > syncs, what='the commit has begun', every=0.001)
        daemon.stop()
        thread.join()
        self.assertEqual([answer.status for answer in answers], [201])
        disk.set(sync_delay_ms=0)
        daemon.start()
        self.assertEqual(daemon.ids('web'), ['a'])

    def test_idle_and_half_sent_requests_do_not_hold_it_up(self):
        daemon = self.daemon()
        idle = self.raw(daemon)
        idle.send('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
        self.assertEqual(idle.response().status, 200)
        half = self.raw(daemon)
        half.send('PUT /v1/services/web/instances/a HTTP/1.1\r\nHost: x\r\nContent-Len')
        begun = time.monotonic()
        daemon.stop()
        self.assertLess(time.monotonic() - begun, rt.seconds(rt.STOP_S))

    def test_requests_under_load_are_answered_or_refused_but_never_lost(self):
        daemon = self.daemon()
        acknowledged = [[] for _ in range(8)]

        def write(worker):
            client = daemon.client()
            for n in range(100000):
                try:
                    response = client.try_register('web', f'{worker}-{n}')
                except (OSError, EOFError, http.client.HTTPException):
                    return
                if response.status == 201:
                    acknowledged[worker].append(f'{worker}-{n}')
            raise AssertionError('was not stopped')

        threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        rt.wait_for(lambda: all(acknowledged), what='each has written')
        daemon.stop()
        for thread in threads:
            thread.join()
        daemon.start()
        expected = {instance for worker in acknowledged for instance in worker}
        self.assertLessEqual(expected, set(self.all_ids(daemon)))

    def all_ids(self, daemon):
        ids = []
        after = None
        while page := daemon.ids('web', after=after, limit=1000):
            ids += page
            if len(page) < 1000:
                break
            after = page[-1]
        return ids


class SocketActivation(TestCase):

    def setUp(self):
        if shutil.which('systemd-socket-activate') is None:
            self.skipTest('systemd-socket-activate is not installed')
        self.path = os.path.join(self.directory(), 'given.sock')
        self.errors = os.path.join(self.directory(), 'stderr')

    def activate(self, *options):
        """Starts systemd-socket-activate with a socket; it executes the daemon at the first connection."""
        passed = [f'--setenv={name}={value}' for name, value in os.environ.items()
                  if name.endswith('SAN_OPTIONS')]
        with open(self.errors, 'w', encoding='utf-8') as errors:
            process = subprocess.Popen(  # pylint: disable=consider-using-with
                ['systemd-socket-activate', *options, *passed, f'--listen={self.path}', rt.ROLLCALLD,
                 '--listen=127.0.0.1:1', f'--state-dir={self.directory()}'],
                stdin=subprocess.DEVNULL, stderr=errors)
        self.addCleanup(self.end, process)
        rt.wait_for(lambda: os.path.exists(self.path) or process.poll() is not None,
                    what='the socket')
        return process

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.wait()

    def log(self):
        with open(self.errors, encoding='utf-8') as file:
            return file.read()

    def test_it_serves_on_the_socket_it_is_given_and_on_no_other(self):
        process = self.activate()
        self.assert_serves(self.path)
        rt.wait_for(lambda: rt.READY.findall(self.log()) == [f'unix:{self.path}'], what='the ready line')
        process.terminate()
        self.assertEqual(process.wait(rt.seconds(rt.STOP_S)), OK, self.log())
        self.assertTrue(os.path.exists(self.path), "the socket is systemd's, and stays")

    def test_a_socket_of_the_wrong_kind_is_refused(self):
        process = self.activate('--datagram')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.sendto(b'x', self.path)
        self.assertEqual(process.wait(rt.seconds(10)), OSERR, self.log())
        self.assertIn('descriptor 3', self.log())


class Notifying(TestCase):

    def test_systemd_gets_reports_of_start_and_stop(self):
        manager = self.systemd()
        daemon = self.daemon(env=manager.env)
        report = manager.report()
        self.assertEqual(report['READY'], '1')
        self.assertIn('0 services', report['STATUS'])
        daemon.stop()
        self.assertEqual(manager.wait_for('STOPPING')['STOPPING'], '1')

    def test_ready_is_sent_only_once_it_serves(self):
        manager = self.systemd()
        path = os.path.join(self.directory(), 'rollcall.sock')
        daemon = self.daemon(env=manager.env, listen=[f'unix:{path}'], start=False)
        daemon.spawn()
        manager.wait_for('READY')
        self.assert_serves(path)

    def test_a_start_that_fails_is_never_ready(self):
        manager = self.systemd()
        self.assert_exit(run('--listen=127.0.0.1:0', '--state-dir=/nonexistent/x', env=manager.env),
                         CONFIG)
        self.assertEqual([report for report in manager.drain() if 'READY' in report], [])

    def test_the_watchdog_is_fed(self):
        manager = self.systemd()
        self.daemon(env={**manager.env, 'WATCHDOG_USEC': '2000000'})
        for _ in range(3):
            manager.wait_for('WATCHDOG')

    def test_the_watchdog_is_fed_while_the_disk_is_slow(self):
        manager = self.systemd()
        disk = self.slow_disk()
        daemon = self.daemon(disk.state_dir,
                             env={**disk.env, **manager.env, 'WATCHDOG_USEC': '1000000'})
        client = self.client(daemon)
        manager.wait_for('WATCHDOG')
        disk.set(sync_delay_ms=4000)
        thread = threading.Thread(target=lambda: client.register('web', 'a'))
        thread.start()
        daemon.wait_log(r"the disk has kept thread 'writer' waiting for \d+ ms")
        self.assertGreaterEqual(daemon.metric('rollcall_disk_wait_seconds'), 2)
        self.assertEqual(daemon.metric('rollcall_disk_stalls_total'), 1)
        self.assertRegex(manager.wait_for('STATUS')['STATUS'], r'^waiting for the disk for \d+ s; 0 services')
        manager.drain()
        manager.socket.setblocking(True)
        manager.wait_for('WATCHDOG')
        self.assertTrue(thread.is_alive(), 'the registration should still wait for the disk')
        disk.set(sync_delay_ms=0)
        thread.join()
        daemon.wait_log('the disk answers again')
        rt.wait_for(lambda: daemon.metric('rollcall_disk_wait_seconds') == 0, what='the wait is over')
        self.assertNotIn('has made no progress', daemon.log)

    def test_the_watchdog_is_not_fed_while_a_thread_is_stuck(self):
        manager = self.systemd()
        daemon = self.daemon(env={**manager.env, 'WATCHDOG_USEC': '1000000'})
        manager.wait_for('WATCHDOG')
        with self.stopped_thread(daemon, 'writer'):
            daemon.wait_log("thread 'writer' has made no progress")
            manager.drain()
            time.sleep(1)  # two watchdog intervals without a report
            self.assertEqual([report for report in manager.drain() if 'WATCHDOG' in report], [])
        daemon.wait_log('every thread makes progress again')
        manager.wait_for('WATCHDOG')

    @contextlib.contextmanager
    def stopped_thread(self, daemon, name):
        """Stops one thread as a debugger does; the others run."""
        task = next(task for task, found in daemon.threads().items() if found == name)
        libc = ctypes.CDLL(None, use_errno=True)

        def trace(request):
            if libc.ptrace(request, task, None, None) < 0:
                self.skipTest(f'cannot trace a thread here: {os.strerror(ctypes.get_errno())}')

        trace(PTRACE_SEIZE)
        try:
            trace(PTRACE_INTERRUPT)
            os.waitpid(task, WALL)
            yield
        finally:
            trace(PTRACE_DETACH)


class Troubles(TestCase):

    def test_a_damaged_journal_is_logged_as_an_error_and_the_daemon_serves(self):
        daemon = self.daemon()
        for n in range(50):
            daemon.register('web', f'instance-{n}')
        daemon.stop()
        tear(daemon.database)
        daemon.start()
        daemon.wait_log('error.*rollcall.db.corrupt-')
        self.assertTrue(glob.glob(daemon.database + '.corrupt-*'))
        daemon.register('web', 'new')
        self.assertIn('new', daemon.ids('web'))

    def test_a_failed_disk_ends_it_with_the_reason(self):
        disk = self.slow_disk()
        manager = self.systemd()
        daemon = self.daemon(disk.state_dir, env={**disk.env, **manager.env})
        disk.set(sync_errno=errno.EIO)
        self.assertEqual(daemon.try_register('web', 'a').status, 503)
        self.assertEqual(daemon.wait_exit(), IOERR)
        daemon.wait_log('the journal has failed.*reason')
        manager.wait_for('STOPPING')


class Limits(TestCase):
    """Resource limits that a shell's ulimit can set."""

    def limited(self, limit, **kwargs):
        return self.daemon(wrapper=['sh', '-c', f'ulimit {limit} && exec "$@"', 'sh'], **kwargs)

    def test_a_small_stack_is_made_larger(self):
        daemon = self.limited('-S -s 64')
        for n in range(100):
            daemon.register('web', f'instance-{n}', metadata={f'key-{k}': 'x' * 200 for k in range(8)})
        daemon.put(rt.instance_path('web', 'a'), '[' * 2000 + ']' * 2000, {'Content-Type': 'application/json'})
        self.assertEqual(len(daemon.ids('web', limit=1000)), 100)
        self.assertEqual(len(daemon.ids('web', at=50, limit=1000)), 50)
        self.assertEqual(len(daemon.events(limit=1000)), 100)
        daemon.pick('web', strategy='consistent_hash', key='a')
        daemon.signal(signal.SIGHUP)
        daemon.wait_log('reloaded')
        with open(f'/proc/{daemon.pid}/limits', encoding='ascii') as file:
            self.assertRegex(file.read(), r'Max stack size +524288 ')

    def test_a_stack_that_must_stay_small_is_refused(self):
        daemon = self.limited('-s 64', start=False)
        daemon.spawn()
        self.assertEqual(daemon.wait_exit(), OSERR)
        daemon.wait_log('the stack is too small.*512')

    def test_a_bound_on_the_size_of_files_is_a_full_disk(self):
        daemon = self.limited('-f 1024')  # blocks of 512 bytes, less than the reserve
        codes = set()
        for n in range(2000):
            answer = daemon.try_register('web', f'instance-{n}', metadata={'x': 'y' * 1000})
            codes.add(answer.status)
            if answer.status == 507:
                break
        self.assertEqual(codes, {201, 507})
        self.assertTrue(daemon.status()['storage']['full'])
        self.assertFalse(daemon.status()['storage']['failed'])
        self.assertIn('instance-0', daemon.ids('web', limit=1))
        daemon.wait_log('the disk is full')
        daemon.stop()
        unlimited = self.daemon(state_dir=daemon.state_dir)
        self.assertEqual(len(unlimited.ids('web', limit=10000)), n)
        unlimited.register('web', 'one-more')


class Verifying(TestCase):

    def setUp(self):
        self.registry = self.daemon()
        for n in range(20):
            self.registry.register('web', f'instance-{n}', metadata={'n': str(n)})
        self.registry.deregister('web', 'instance-3')

    def check(self):
        return run('--check', f'--state-dir={self.registry.state_dir}')

    def change(self, statement):
        database = sqlite3.connect(self.registry.database)
        with database:
            changed = database.execute(statement).rowcount
        database.close()
        return changed

    def test_a_sound_journal_is_sound(self):
        self.registry.stop()
        result = self.check()
        self.assert_exit(result, OK)
        self.assertIn('sound', result.stdout)

    def test_known_faults_of_libraries_are_named(self):
        # The libraries of Debian 12 have these faults, others may not. Python has the version of SQLite, but
        # not that of libmicrohttpd: for that the log is compared with --check.
        self.registry.stop()
        printed = self.check().stdout
        old = tuple(map(int, sqlite3.sqlite_version.split('.'))) < (3, 44, 6)
        if old:
            self.assertRegex(printed, r'note: SQLite \S+ may lose commits .*3\.51\.3')
            self.assertRegex(self.registry.log, r'SQLite \S+ may lose commits .*3\.51\.3')
        fault = r'libmicrohttpd \S+ accepts .*1\.0\.5'
        self.assertEqual(re.findall(fault, self.registry.log) != [], re.findall('note: ' + fault, printed) != [])

    def test_a_journal_after_a_crash_is_sound(self):
        self.registry.kill()
        self.assert_exit(self.check(), OK)

    def test_a_journal_in_use_is_left_alone(self):
        self.assert_exit(self.check(), TEMPFAIL)

    def test_a_missing_journal_is_an_error(self):
        self.assert_exit(run('--check', f'--state-dir={self.directory()}/none'), CONFIG)

    def test_a_changed_event_is_found(self):
        self.registry.stop()
        self.assertEqual(self.change('UPDATE events SET author = author || \'x\' WHERE revision = 5'), 1)
        result = self.check()
        self.assert_exit(result, DAMAGED)
        self.assertRegex(result.stdout, r'\b5\b')

    def test_a_missing_instance_is_found(self):
        self.registry.stop()
        self.assertEqual(self.change("DELETE FROM instances WHERE id = 'instance-7'"), 1)
        result = self.check()
        self.assert_exit(result, DAMAGED)
        self.assertIn('instance-7', result.stdout)

    def test_a_torn_page_is_found(self):
        self.registry.stop()
        tear(self.registry.database)
        self.assert_exit(self.check(), DAMAGED)


if __name__ == '__main__':
    rt.main()
