# SPDX-License-Identifier: MIT
"""What the tests of the command-line tool share: the real tool against the real daemon.

    class Reading(tool_test.TestCase):
        def test_services_are_listed(self):
            daemon = self.daemon()
            self.assertEqual(self.tool(daemon, 'services', '-o', 'name').out, '')

The tool is $ROLLCALL_TOOL, else the one beside the daemon.
"""

import os
import signal
import socket
import subprocess
import threading
import time

import rollcall_test as rt

TOOL = os.path.abspath(os.environ.get('ROLLCALL_TOOL') or os.path.join(rt.BUILD, 'rollcall'))

OK, ERROR, USAGE, NOT_FOUND, UNREACHABLE = range(5)


def environment(daemon, **more):
    """The environment of the tool: the caller's without its rollcall and terminal settings."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(('ROLLCALL_ADDR', 'ROLLCALL_TOKEN')) and name not in ('NO_COLOR', 'COLUMNS')}
    env['LC_ALL'] = 'C.UTF-8'
    if daemon is not None:
        env['ROLLCALL_ADDR'] = daemon if isinstance(daemon, str) else daemon.url
    env.update(more)
    return env


class Result:
    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err

    @property
    def lines(self):
        """The lines of out without the blanks that pad the last column."""
        return [line.rstrip() for line in self.out.splitlines()]

    def __repr__(self):
        return f'<{self.code} out={self.out!r} err={self.err!r}>'


class Running:
    """A tool that runs until it is stopped; its output goes to files.

    It leads a session, so that end() finds the processes that it leaves behind."""

    def __init__(self, directory, command, env, **kwargs):
        kwargs.setdefault('start_new_session', 'preexec_fn' not in kwargs)
        self.out_path = os.path.join(directory, 'out')
        self.err_path = os.path.join(directory, 'err')
        with open(self.out_path, 'wb') as out, open(self.err_path, 'wb') as err:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env, **kwargs)

    @staticmethod
    def _read(path):
        with open(path, encoding='utf-8', errors='replace') as file:
            return file.read()

    @property
    def out(self):
        return self._read(self.out_path)

    @property
    def err(self):
        return self._read(self.err_path)

    @property
    def pid(self):
        return self.process.pid

    def _wait(self, found, text, timeout):
        try:
            rt.wait_for(found, timeout)
        except AssertionError:
            raise AssertionError(f'{text!r} has not come: {self}') from None

    def wait_out(self, text, timeout=20):
        self._wait(lambda: text in self.out, text, timeout)

    def wait_err(self, text, timeout=20):
        self._wait(lambda: text in self.err, text, timeout)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=20):
        """The exit code, below 0 for a signal."""
        try:
            return self.process.wait(rt.seconds(timeout))
        except subprocess.TimeoutExpired:
            raise AssertionError(f'still running: {self}') from None

    def stop(self, number=15):
        self.signal(number)
        return self.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()  # the tool ends what it has started in other sessions
            try:
                self.process.wait(rt.seconds(5))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        end_session(self.pid)
        if rt.REPORT.search(self.err):
            raise AssertionError(f'a sanitizer has reported an error:\n{self.err}')

    def __repr__(self):
        return f'<{self.process.args} {self.process.poll()} out={self.out!r} err={self.err!r}>'


class Answering:
    """A server that answers each request with the same bytes and keeps the requests."""

    def __init__(self, answer, port=0):
        self.answer = answer
        self.requests = []
        self.server = socket.create_server(('127.0.0.1', port))
        self.url = f'http://127.0.0.1:{self.server.getsockname()[1]}'
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                self.requests.append(connection.recv(65536).decode())
                connection.sendall(self.answer)

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.server.close()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()


class TestCase(rt.TestCase):
    def tool(self, daemon, *args, env=None, stdin=None, timeout=30):
        """Runs the tool and waits for its end."""
        done = subprocess.run([TOOL, *args], env=environment(daemon, **(env or {})), input=stdin,
                              stdin=subprocess.DEVNULL if stdin is None else None,
                              capture_output=True, timeout=rt.seconds(timeout), check=False)
        result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
        if rt.REPORT.search(result.err):
            raise AssertionError(f'a sanitizer has reported an error:\n{result.err}')
        return result

    def ok(self, daemon, *args, **kwargs):
        result = self.tool(daemon, *args, **kwargs)
        self.assertEqual(result.code, OK, result)
        return result

    def start(self, daemon, *args, env=None, **kwargs):
        """Starts the tool; the end of the test ends it."""
        running = Running(self.directory(), [TOOL, *args], environment(daemon, **(env or {})), **kwargs)
        self.addCleanup(running.end)
        return running

    def file(self, text, name='file', mode=0o644):
        path = os.path.join(self.directory(), name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        os.chmod(path, mode)
        return path


def read(path):
    """The text of a file, '' when there is none."""
    try:
        with open(path, encoding='utf-8') as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ''


def free_port():
    """A port that nothing listens on."""
    with rt.socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


def own_terminal(follower):
    """Runs in a child before exec: makes the terminal its controlling terminal and its group the foreground."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell that runs the tests in the background ignores it
    os.setsid()
    os.close(os.open(os.ttyname(follower), os.O_RDWR))


def lives(pid):
    """Is the process alive? A zombie is not."""
    stat = read(f'/proc/{pid}/stat')
    return stat != '' and stat.rsplit(')', 1)[1].split()[0] not in 'ZX'


def end_session(session):
    """Kills the remaining processes of a session."""
    for pid in filter(str.isdigit, os.listdir('/proc')):
        stat = read(f'/proc/{pid}/stat')
        if stat and int(stat.rsplit(')', 1)[1].split()[3]) == session:
            end_process(int(pid))


def end_process(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def now_ms():
    return time.monotonic() * 1000
