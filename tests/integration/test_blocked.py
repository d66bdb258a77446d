# SPDX-License-Identifier: MIT
"""The daemon serves while nothing reads its output: a full pipe as standard error, a full NOTIFY_SOCKET."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
import time

import rollcall_test as rt

PIPE_BYTES = 4096  # the least that Linux takes
F_SETPIPE_SZ = getattr(fcntl, 'F_SETPIPE_SZ', 1031)


class Unread:
    """A daemon on a Unix socket whose standard error is a pipe that nothing reads before read()."""

    def __init__(self, test, *options, env=None):
        self.path = os.path.join(test.directory(), 'socket')
        self.end, write = os.pipe()
        fcntl.fcntl(write, F_SETPIPE_SZ, PIPE_BYTES)
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [rt.ROLLCALLD, f'--listen=unix:{self.path}', f'--state-dir={test.directory()}', *options],
            stdin=subprocess.DEVNULL, stderr=write, env={**os.environ, **(env or {})})
        os.close(write)
        self.output = b''
        test.addCleanup(self.discard)
        rt.wait_for(lambda: os.path.exists(self.path) and self.serves(), what='serving')

    def serves(self):
        client = rt.Client(self.path)
        try:
            return client.get('/healthz').status == 200
        except OSError:
            return False
        finally:
            client.close()

    def read(self):
        """Starts to read standard error, until the daemon has ended."""
        def work():
            while more := os.read(self.end, 65536):
                self.output += more
        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def lines(self):
        return self.output.decode().splitlines()

    def stop(self):
        """Stops the daemon with SIGTERM. @return the seconds until its end"""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(rt.seconds(rt.STOP_S))
        if code != 0:
            raise AssertionError(f'exit code {code}')
        return time.monotonic() - begun

    def discard(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.end)


class Log(rt.TestCase):

    def write_much(self, daemon, count=2000):
        """Makes registrations that log a line each, far more than the pipe and the queue of the log hold."""
        def work(worker):
            client = rt.Client(daemon.path, timeout=10)
            for n in range(count // 4):
                name = f'{worker}-{n}-' + 'x' * 50
                client.register('web', name)
                client.heartbeat('web', name)
                client.ok(client.put(rt.instance_path('web', name),
                                     {'host': '10.0.0.1', 'port': 81 + n % 2}))
            client.close()
        rt.parallel(4, work)

    def daemon(self, *options, **kwargs):
        return Unread(self, '--log-level=debug', *options, **kwargs)

    def test_every_request_is_answered_while_nothing_reads_the_log(self):
        daemon = self.daemon('--log-format=text')
        client = rt.Client(daemon.path)
        self.addCleanup(client.close)
        self.write_much(daemon)
        while client.metric('rollcall_log_dropped_lines_total') == 0:
            self.write_much(daemon)
        self.assertLess(daemon.stop(), rt.seconds(rt.STOP_S))

    def test_the_log_continues_with_the_number_of_dropped_lines(self):
        daemon = self.daemon('--log-format=json')
        client = rt.Client(daemon.path)
        self.addCleanup(client.close)
        while client.metric('rollcall_log_dropped_lines_total') == 0:
            self.write_much(daemon)
        dropped = client.metric('rollcall_log_dropped_lines_total')
        reader = daemon.read()
        rt.wait_for(lambda: b'lines were dropped' in daemon.output, what='the line about dropped lines')
        client.register('web', 'the-last-one')
        daemon.stop()
        reader.join()
        entries = [json.loads(line) for line in daemon.lines()]
        messages = [entry['message'] for entry in entries]
        self.assertIn(f'{dropped:.0f} log lines were dropped: they could not be written in time', messages)
        self.assertIn('the-last-one', [entry.get('id') for entry in entries])
        self.assertEqual(messages[-1], 'stopped')
        begun = [entry['time'] for entry in entries]
        self.assertEqual(begun, sorted(begun))

    def test_a_start_that_fails_ends_although_nothing_reads_the_log(self):
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        fcntl.fcntl(write, F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(write, False)
        try:
            while True:
                os.write(write, b'x')
        except BlockingIOError:
            os.set_blocking(write, True)
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            [rt.ROLLCALLD, '--listen=127.0.0.1:0', '--state-dir=/nonexistent/rollcall'],
            stdin=subprocess.DEVNULL, stderr=write)
        os.close(write)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        self.assertEqual(process.wait(rt.seconds(5)), 78)


class Systemd(rt.TestCase):
    """The service manager's end of NOTIFY_SOCKET is full and nothing reads it."""

    def setUp(self):
        self.path = os.path.join(self.directory(), 'notify')
        self.end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.end.bind(self.path)
        self.addCleanup(self.end.close)
        self.env = {'NOTIFY_SOCKET': self.path, 'WATCHDOG_USEC': '2000000'}

    def fill(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.connect(self.path)
            other.setblocking(False)
            try:
                while True:
                    other.send(b'FILLED=1')
            except BlockingIOError:
                pass

    def reports(self, key):
        """Reads until a report has this key. @return that report"""
        self.end.settimeout(rt.seconds(10))
        while True:
            report = dict(line.split('=', 1) for line in self.end.recv(4096).decode().splitlines())
            if key in report:
                return report

    def test_it_serves_and_stops_while_systemd_reads_nothing(self):
        self.fill()
        daemon = rt.TestCase.daemon(self, env=self.env)
        daemon.register('web', 'a')
        daemon.signal(signal.SIGHUP)
        daemon.wait_log('reloaded')
        self.assertEqual(daemon.ids('web'), ['a'])
        daemon.stop()

    def test_ready_arrives_once_systemd_reads_again(self):
        self.fill()
        daemon = rt.TestCase.daemon(self, env=self.env)
        daemon.register('web', 'a')
        self.assertEqual(self.reports('READY')['READY'], '1')
        self.reports('WATCHDOG')

    def test_the_watchdog_is_fed_again_once_systemd_reads_again(self):
        daemon = rt.TestCase.daemon(self, env=self.env)
        self.reports('WATCHDOG')
        self.fill()
        daemon.wait_log('systemd does not read')
        self.reports('FILLED')
        self.reports('WATCHDOG')


if __name__ == '__main__':
    rt.main()
