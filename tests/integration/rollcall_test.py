# SPDX-License-Identifier: MIT
"""What every integration test uses: a real daemon, real sockets, a real database file.

    import rollcall_test as rt

    class Registering(rt.TestCase):
        def test_a_registered_instance_is_found(self):
            daemon = self.daemon()
            daemon.register('web', 'a', port=80)
            self.assertEqual(daemon.ids('web'), ['a'])

    if __name__ == '__main__':
        rt.main()

The daemon is $ROLLCALLD, else build/default/rollcalld. Each daemon starts on a port that the kernel chooses,
with a state directory of its own; at the end of the test it must stop on SIGTERM with exit code 0 and
without a sanitizer's report. With a sanitizer in $ROLLCALL_FLAVOUR all timeouts are five times as long.
"""

import atexit
import errno
import http.client
import io
import json
import mmap
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLAVOUR = os.environ.get('ROLLCALL_FLAVOUR', 'default')
SANITIZED = 'thread' in FLAVOUR or 'address' in FLAVOUR
SLOWNESS = 5 if SANITIZED else 1
ROLLCALLD = os.path.abspath(
    os.environ.get('ROLLCALLD', os.path.join(ROOT, 'build', FLAVOUR, 'rollcalld')))
# The build folder of this flavour, which also has the preloaded libraries such as slowdisk.so.
BUILD = os.path.dirname(ROLLCALLD)

START_S = 20
STOP_S = 5
REPLY_S = 20

READY = re.compile(r'\bready on ((?:http://|unix:)[^\s"\\]+)')
REPORT = re.compile(r'(ERROR|WARNING): \w+Sanitizer|runtime error: |SUMMARY: \w+Sanitizer')


def seconds(n):
    """A timeout of n seconds, longer with a sanitizer."""
    return n * SLOWNESS


def wait_for(predicate, timeout=10, what=None, every=0.01):
    """Calls predicate until it returns a true value, and returns that."""
    end = time.monotonic() + seconds(timeout)
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'not within {seconds(timeout)} s: {what or predicate}')
        time.sleep(every)


def parallel(count, work):
    """Runs work(0) ... work(count - 1), each in a thread; returns their results or raises the first error."""
    results = [None] * count
    errors = []

    def run(i):
        try:
            results[i] = work(i)
        except BaseException as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def quote(segment):
    """Escapes one segment of a path."""
    return urllib.parse.quote(segment, safe='')


def query(**parameters):
    """Returns '?a=b&...' or ''. For names with dots use **{'meta.zone': 'a'}; commas are not escaped."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return '?' + urllib.parse.urlencode(given, safe=',', quote_via=urllib.parse.quote) if given else ''


class Response:
    """A response: status, headers (case-insensitive), body (bytes)."""

    def __init__(self, raw):
        self.status = raw.status
        self.headers = raw.headers
        self.body = raw.read()

    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()

    @property
    def code(self):
        """The slug of a problem response, such as 'not-registered'; None for other responses."""
        if not self.headers.get('Content-Type', '').startswith('application/problem+json'):
            return None
        return self.json().get('code')

    @property
    def revision(self):
        return int(self.headers['X-Rollcall-Revision'])

    @property
    def history(self):
        return self.headers['X-Rollcall-History']

    def token(self, revision):
        """Of a revision in this answer's history."""
        return f'{revision}.{self.history[:8]}'

    def __repr__(self):
        return f'<{self.status} {self.body[:300]!r}>'


class _Connection(http.client.HTTPConnection):
    """A connection to ('127.0.0.1', port), or to a Unix socket when the address is a path."""

    def __init__(self, address, timeout):
        host, port = ('localhost', 80) if isinstance(address, str) else address
        super().__init__(host, port, timeout=timeout)
        self.address = address

    def connect(self):
        self.sock = connect(self.address, self.timeout)


def connect(address, timeout=REPLY_S * SLOWNESS):
    """A connected socket to (host, port) or to the path of a Unix socket."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        sock.connect(address)
        return sock
    sock = socket.create_connection(address, timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Client:
    """One keep-alive connection, for one thread at a time. After an error it connects again."""

    def __init__(self, address, timeout=REPLY_S):
        self.connection = _Connection(address, seconds(timeout))

    def request(self, method, path, body=None, headers=None):
        """Sends body unchanged if it is bytes or text, and as JSON if it is another value than None."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault('Content-Type', 'application/json')
        if isinstance(body, str):
            body = body.encode()
        try:
            self.connection.request(method, path, body, headers)
            response = Response(self.connection.getresponse())
        except BaseException:
            self.connection.close()
            raise
        return response

    def get(self, path, **headers):
        return self.request('GET', path, None, {k.replace('_', '-'): v for k, v in headers.items()})

    def put(self, path, body=None, headers=None):
        return self.request('PUT', path, body, headers)

    def post(self, path, body=None, headers=None):
        return self.request('POST', path, body, headers)

    def delete(self, path, headers=None):
        return self.request('DELETE', path, None, headers)

    def close(self):
        self.connection.close()

    # --- the native API; all but try_* fail on an unsuccessful answer ---

    def ok(self, response, *statuses):
        if response.status not in (statuses or (200, 201, 204)):
            raise AssertionError(f'unexpected answer {response}')
        return response

    def register(self, service, instance, **fields):
        """PUTs an instance (default: host 10.0.0.1, port 80); returns the instance of the answer."""
        return self.ok(self.try_register(service, instance, **fields)).json()

    def try_register(self, service, instance, **fields):
        record = {'host': '10.0.0.1', 'port': 80, **fields}
        return self.put(instance_path(service, instance), record)

    def deregister(self, service, instance):
        return self.ok(self.delete(instance_path(service, instance)), 204)

    def heartbeat(self, service, instance, body=None):
        return self.ok(self.try_heartbeat(service, instance, body), 200).json()

    def try_heartbeat(self, service, instance, body=None):
        return self.post(instance_path(service, instance) + '/heartbeat', body)

    def set_status(self, service, instance, status, **more):
        path = instance_path(service, instance) + '/status'
        return self.ok(self.put(path, {'status': status, **more}), 200).json()

    def instance(self, service, instance):
        """The instance in any status; None when there is none."""
        response = self.ok(self.get(instance_path(service, instance)), 200, 404)
        return response.json() if response.status == 200 else None

    def lookup(self, service, **parameters):
        return self.ok(self.get(f'/v1/services/{quote(service)}{query(**parameters)}'), 200).json()

    def ids(self, service, **parameters):
        """The ids of a lookup, in its order; [] when the service is unknown."""
        response = self.get(f'/v1/services/{quote(service)}{query(**parameters)}')
        if response.status == 404:
            return []
        return [found['id'] for found in self.ok(response, 200).json()['instances']]

    def try_pick(self, service, **parameters):
        return self.get(f'/v1/services/{quote(service)}/pick{query(**parameters)}')

    def pick(self, service, **parameters):
        """The picked id; with count=N the list of ids."""
        answer = self.ok(self.try_pick(service, **parameters), 200).json()
        if 'instances' in answer:
            return [found['id'] for found in answer['instances']]
        return answer['id']

    def status(self):
        return self.ok(self.get('/v1/status'), 200).json()

    def events(self, **parameters):
        return self.ok(self.get('/v1/events' + query(**parameters)), 200).json()['events']

    def metric(self, name, **labels):
        """The value of one sample of /metrics; None when there is none."""
        for line in self.ok(self.get('/metrics'), 200).text.splitlines():
            sample = re.fullmatch(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)', line)
            if sample is None or sample[1] != name:
                continue
            found = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', sample[2] or ''))
            if all(found.get(label) == value for label, value in labels.items()):
                return float(sample[3])
        return None


def instance_path(service, instance):
    return f'/v1/services/{quote(service)}/instances/{quote(instance)}'


class _Stream(io.BufferedReader):
    """A stream that stays open when http.client closes a response, with the bytes of the next response."""

    def close(self):
        pass

    def makefile(self, _mode):
        return self


class Raw:
    """A socket for requests that no HTTP library sends; several requests may be sent before an answer."""

    def __init__(self, address, timeout=REPLY_S):
        self.sock = connect(address, seconds(timeout))
        self.stream = _Stream(socket.SocketIO(self.sock, 'r'))

    def send(self, data):
        self.sock.sendall(data.encode('latin-1') if isinstance(data, str) else data)

    def response(self, method='GET'):
        """Reads the next response; EOFError when the peer has closed the connection instead."""
        raw = http.client.HTTPResponse(self.stream, method=method)
        try:
            raw.begin()
            return Response(raw)
        except (http.client.RemoteDisconnected, ConnectionResetError) as error:
            raise EOFError('connection closed') from error

    def rest(self):
        """All bytes until the peer closes."""
        data = b''
        try:
            while more := self.stream.read1(65536):
                data += more
        except ConnectionResetError:
            pass
        return data

    def close(self):
        self.sock.close()


class Daemon:
    """A rollcalld process. It has the methods of Client, over a connection of its own."""

    def __init__(self, state_dir=None, options=(), env=None, listen=('127.0.0.1:0',), start=True,
                 wrapper=(), executable=ROLLCALLD):
        self.own_dir = state_dir is None
        self.state_dir = state_dir or tempfile.mkdtemp(prefix='rollcall-test-')
        self.options = list(options)
        self.env = dict(env or {})
        self.listen = list(listen)
        self.wrapper = list(wrapper)
        self.executable = executable
        self.process = None
        self.urls = []
        self.lines = []
        self._changed = threading.Condition()
        self._client = None
        _running.add(self)
        if start:
            self.start()

    # --- start and stop ---

    def spawn(self):
        """Starts the daemon and does not wait."""
        command = [*self.wrapper, self.executable]
        command += [f'--listen={address}' for address in self.listen]
        command += [f'--state-dir={self.state_dir}', *self.options]
        self.lines = []
        self.urls = []
        self._ended = False
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**os.environ, **self.env})
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def start(self):
        """Starts the daemon and waits until it serves every listener."""
        self.spawn()
        self.wait_ready()
        return self

    def wait_ready(self, timeout=START_S):
        wanted = max(1, len(self.listen))
        with self._changed:
            self._changed.wait_for(lambda: len(self.urls) >= wanted or self._ended, seconds(timeout))
        if len(self.urls) < wanted:
            code = self.process.poll()
            raise AssertionError(f'not ready within {seconds(timeout)} s (exit code {code}):\n{self.log}')

    def _read(self, process):
        with process.stderr as stream:
            for raw in stream:
                line = raw.decode(errors='replace').rstrip('\n')
                ready = READY.search(line)
                with self._changed:
                    self.lines.append(line)
                    if ready:
                        self.urls.append(ready[1])
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def log(self):
        """The text on standard error since the start."""
        return '\n'.join(self.lines)

    def wait_log(self, pattern, timeout=10):
        """Waits for a line in which the regular expression matches, and returns the match."""
        pattern = re.compile(pattern)

        def found():
            return next(filter(None, map(pattern.search, self.lines)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, seconds(timeout))
            if not found():
                raise AssertionError(f'no line matches {pattern.pattern!r}:\n{self.log}')
            return found()

    def wait_exit(self, timeout=STOP_S):
        """The exit code, below 0 for a signal."""
        try:
            code = self.process.wait(seconds(timeout))
        except subprocess.TimeoutExpired:
            raise AssertionError(f'still running after {seconds(timeout)} s:\n{self.log}') from None
        self._reader.join(seconds(timeout))
        self._forget()
        return code

    def _forget(self):
        if self._client is not None:
            self._client.close()
        self._client = None

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Sends SIGTERM; the daemon must exit with 0 in time and without a sanitizer's report."""
        if not self.running:
            return
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        code = self.wait_exit()
        if code != 0:
            raise AssertionError(f'exit code {code} on SIGTERM:\n{self.log}')
        self.check_report()

    def kill(self):
        """Sends SIGKILL, as after a crash or by a supervisor whose timeout is over."""
        self.signal(signal.SIGKILL)
        self.wait_exit()
        self.check_report()

    def restart(self):
        """Stops the daemon if it runs, and starts it again on the same directory."""
        self.stop()
        return self.start()

    def pause(self):
        self.signal(signal.SIGSTOP)
        wait_for(lambda: self.stat(self.pid)[0] == 'T', what='stopped by SIGSTOP', every=0.001)

    def resume(self):
        self.signal(signal.SIGCONT)

    def check_report(self):
        if REPORT.search(self.log):
            raise AssertionError(f'a sanitizer has reported an error:\n{self.log}')

    def cleanup(self):
        """Stops the daemon and removes its state directory."""
        try:
            if self.running:
                self.stop()
            elif self.process is not None:
                self.check_report()
        finally:
            self.discard()

    def discard(self):
        if self.running:
            self.process.kill()
            self.process.wait()
        self._forget()
        _running.discard(self)
        if self.own_dir:
            shutil.rmtree(self.state_dir, ignore_errors=True)

    @property
    def running(self):
        return self.process is not None and self.process.returncode is None and self.process.poll() is None

    # --- facts ---

    @property
    def pid(self):
        return self.process.pid

    @property
    def url(self):
        return self.urls[0]

    @property
    def port(self):
        return urllib.parse.urlsplit(self.url).port

    @property
    def address(self):
        """The address of the first listener, as connect() takes it."""
        return address_of(self.url)

    @property
    def database(self):
        return os.path.join(self.state_dir, 'rollcall.db')

    def rss_bytes(self):
        with open(f'/proc/{self.pid}/status', encoding='ascii') as file:
            return int(re.search(r'^VmRSS:\s+(\d+) kB', file.read(), re.M)[1]) * 1024

    def stat(self, task):
        """Returns (state, CPU seconds) of one thread."""
        with open(f'/proc/{self.pid}/task/{task}/stat', encoding='ascii') as file:
            fields = file.read().rsplit(')', 1)[1].split()
        return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def threads(self):
        """Returns {task id: name} of the threads."""
        names = {}
        for task in os.listdir(f'/proc/{self.pid}/task'):
            with open(f'/proc/{self.pid}/task/{task}/comm', encoding='ascii') as file:
                names[int(task)] = file.read().strip()
        return names

    # --- connections ---

    def client(self, timeout=REPLY_S):
        """Returns a new connection, for another thread."""
        return Client(self.address, timeout)

    def raw(self, timeout=REPLY_S):
        return Raw(self.address, timeout)

    def __getattr__(self, name):
        if name.startswith('_') or not hasattr(Client, name):
            raise AttributeError(name)
        if self._client is None:
            self._client = self.client()
        return getattr(self._client, name)


def address_of(url):
    """Returns (host, port), or the path of a Unix socket."""
    if url.startswith('unix:'):
        return url[len('unix:'):]
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


class SlowDisk:
    """A disk that is slow, full or broken for one daemon; see tests/lib/slowdisk.c.

    disk = rt.SlowDisk(directory); daemon = self.daemon(directory, env=disk.env); disk.set(sync_delay_ms=200)
    """

    LIBRARY = os.path.join(BUILD, 'slowdisk.so')
    FIELDS = {'sync_delay_ms': ('i', 0), 'sync_errno': ('i', 4), 'write_delay_ms': ('i', 8),
              'write_errno': ('i', 12), 'quota_bytes': ('q', 16), 'open_errno': ('i', 40),
              'open_skip': ('i', 44), 'open_every': ('i', 48)}

    def __init__(self, state_dir):
        self.state_dir = state_dir
        descriptor, self.path = tempfile.mkstemp(prefix='rollcall-disk-')
        os.ftruncate(descriptor, 64)
        self.control = mmap.mmap(descriptor, 64)
        os.close(descriptor)
        self.env = {'LD_PRELOAD': self.LIBRARY, 'SLOWDISK_DIR': state_dir, 'SLOWDISK_CONTROL': self.path,
                    # The library forwards all calls to the sanitizer, so it may be loaded before it.
                    'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'}

    def set(self, **fields):
        for name, value in fields.items():
            kind, offset = self.FIELDS[name]
            struct.pack_into(kind, self.control, offset, value)

    @property
    def syncs(self):
        """How often the daemon has called fsync() or fdatasync()."""
        return struct.unpack_from('q', self.control, 24)[0]

    @property
    def refusals(self):
        """How often the disk has made a call fail."""
        return struct.unpack_from('q', self.control, 32)[0]

    def bytes_used(self):
        with os.scandir(self.state_dir) as listing:
            return sum(entry.stat().st_size for entry in listing)

    def close(self):
        self.control.close()
        os.unlink(self.path)


class FailCall:
    """Makes one allocation, write, sync or open of a daemon fail; see tests/lib/failcall.c.

    calls = rt.FailCall(directory); daemon = self.daemon(directory, env=calls.env); calls.fail('write', 3)
    """

    LIBRARY = os.path.join(BUILD, 'failcall.so')
    KINDS = ('allocation', 'write', 'sync', 'open')

    def __init__(self, state_dir):
        self.state_dir = state_dir
        descriptor, self.path = tempfile.mkstemp(prefix='rollcall-calls-')
        os.ftruncate(descriptor, 256)
        self.control = mmap.mmap(descriptor, 256)
        os.close(descriptor)
        self.relent()
        self.env = {'LD_PRELOAD': self.LIBRARY, 'FAILCALL_DIR': state_dir, 'FAILCALL_CONTROL': self.path}

    def _at(self, kind, field):
        return self.KINDS.index(kind) * 24 + ('left', 'seen', 'failed').index(field) * 8

    def get(self, kind, field):
        return struct.unpack_from('q', self.control, self._at(kind, field))[0]

    def fail(self, kind, nth, error=errno.EIO):
        """Makes the nth call of this kind from now on fail; 0: the next one."""
        struct.pack_into('i', self.control, 24 * len(self.KINDS), error)
        struct.pack_into('qqq', self.control, self._at(kind, 'left'), nth, 0, 0)

    def relent(self):
        """Makes no call fail."""
        for kind in self.KINDS:
            struct.pack_into('q', self.control, self._at(kind, 'left'), -1)

    def failed(self, kind):
        """Has a call failed since fail()?"""
        return self.get(kind, 'failed') > 0

    def close(self):
        self.control.close()
        os.unlink(self.path)


_running = set()


@atexit.register
def _discard_all():
    for daemon in list(_running):
        daemon.discard()


class TestCase(unittest.TestCase):
    """Stops daemons and removes folders at the end of each test; a daemon that does not stop well fails it."""

    maxDiff = None

    def daemon(self, *args, **kwargs):
        """Starts a daemon that stops at the end of the test."""
        start = kwargs.pop('start', True)
        daemon = Daemon(*args, start=False, **kwargs)
        self.addCleanup(daemon.cleanup)
        if start:
            daemon.start()
        return daemon

    def slow_disk(self):
        """Makes a disk; pass it to daemon() as state_dir=disk.state_dir, env=disk.env."""
        if not os.path.exists(SlowDisk.LIBRARY):
            self.skipTest(f'{SlowDisk.LIBRARY} has not been built')
        disk = SlowDisk(self.directory())
        self.addCleanup(disk.close)
        return disk

    def fail_call(self):
        """Makes a FailCall; pass it to daemon() as state_dir=calls.state_dir, env=calls.env."""
        calls = FailCall(self.directory())
        self.addCleanup(calls.close)
        return calls

    def directory(self):
        path = tempfile.mkdtemp(prefix='rollcall-test-')
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def client(self, daemon, **kwargs):
        client = daemon.client(**kwargs)
        self.addCleanup(client.close)
        return client

    def raw(self, daemon, **kwargs):
        raw = daemon.raw(**kwargs)
        self.addCleanup(raw.close)
        return raw

    def assert_problem(self, response, status, code):
        """Checks that the answer is an RFC 9457 problem with this status and slug; returns the problem."""
        self.assertEqual((response.status, response.code), (status, code), response)
        problem = response.json()
        self.assertEqual(problem['status'], status)
        self.assertEqual(problem['type'], f'/problems/{code}')
        self.assertTrue(problem['title'])
        return problem


def main():
    """Runs the tests of one file: test_x.py [-k PATTERN] ..."""
    unittest.main(module='__main__', verbosity=2)
