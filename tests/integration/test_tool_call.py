# SPDX-License-Identifier: MIT
"""rollcall call against a real service, and completion in real bash, fish and zsh."""

import http.server
import os
import pty
import select
import shutil
import subprocess
import threading
import time

import rollcall_test as rt
import tool_test
from tool_test import ERROR, NOT_FOUND, OK, UNREACHABLE, USAGE


class Echo:
    """An HTTP server whose answers describe the request."""

    def __init__(self):
        requests = self.requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                length = int(self.headers.get('Content-Length', 0))
                body = self.rfile.read(length)
                requests.append((self.command, self.path, dict(self.headers), body))
                self.send_response(int(self.path[1:]) if self.path[1:].isdigit() else 200)
                self.send_header('X-Echo', 'yes')
                self.end_headers()
                self.wfile.write(b'got ' + body)

            do_POST = do_PUT = do_GET

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Calling(tool_test.TestCase):
    def echo(self):
        echo = Echo()
        self.addCleanup(echo.close)
        return echo

    def test_a_call_reaches_an_instance_with_all_it_was_given(self):
        daemon = self.daemon()
        echo = self.echo()
        daemon.register('web', 'a', host='127.0.0.1', port=echo.port)
        result = self.ok(daemon, 'call', 'web', '/x?y=z', '-H', 'X-One: 1', '-H', 'X-Two:2')
        self.assertEqual(result.out, 'got ')
        method, path, headers, _ = echo.requests[0]
        self.assertEqual((method, path, headers['X-One'], headers['X-Two']), ('GET', '/x?y=z', '1', '2'))
        self.assertEqual(self.ok(daemon, 'call', 'web', '/', '-d', 'body').out, 'got body')
        self.assertEqual(self.ok(daemon, 'call', 'web', '/', '-X', 'PUT', '-d', '@' + self.file('of file')).out, 'got of file')
        self.assertEqual(self.ok(daemon, 'call', 'web', '/', '-d', '@-', stdin=b'of input').out, 'got of input')
        self.assertEqual([request[0] for request in echo.requests[1:]], ['POST', 'PUT', 'POST'])
        included = self.ok(daemon, 'call', 'web', '/', '-i').out
        self.assertTrue(included.startswith('HTTP 200\n'), included)
        self.assertIn('X-Echo: yes', included)

    def test_a_dead_instance_is_passed_over(self):
        daemon = self.daemon()
        echo = self.echo()
        daemon.register('web', 'dead', host='127.0.0.1', port=tool_test.free_port())
        daemon.register('web', 'alive', host='127.0.0.1', port=echo.port)
        for _ in range(5):
            self.assertEqual(self.ok(daemon, 'call', 'web', '/').out, 'got ')

    def test_exit_codes_tell_what_failed(self):
        daemon = self.daemon()
        echo = self.echo()
        daemon.register('web', 'a', host='127.0.0.1', port=echo.port)
        daemon.register('dead', 'a', host='127.0.0.1', port=tool_test.free_port())
        daemon.register('idle', 'a')
        daemon.set_status('idle', 'a', 'draining')
        result = self.tool(daemon, 'call', 'web', '/404')
        self.assertEqual((result.code, result.out), (ERROR, 'got '))
        self.assertIn('status 404', result.err)
        self.assertEqual(self.tool(daemon, 'call', 'dead', '/').code, ERROR)
        self.assertEqual(self.tool(daemon, 'call', 'nope', '/').code, NOT_FOUND)
        self.assertEqual(self.tool(daemon, 'call', 'idle', '/').code, NOT_FOUND)
        self.assertEqual(self.tool('127.0.0.1:1', 'call', 'web', '/').code, UNREACHABLE)
        for args in (['web'], ['web', 'x'], ['web', '/', '-H', 'x'], ['web', '/', '-d', '@/nonexistent'],
                     ['web', '/', '--strategy', 'x']):
            self.assertIn(self.tool(daemon, 'call', *args).code, (USAGE, ERROR), args)

    def test_a_waiting_call_gets_through(self):
        daemon = self.daemon()
        echo = self.echo()
        call = self.start(daemon, 'call', 'web', '/', '--wait', '60s')
        rt.wait_for(lambda: daemon.metric('rollcall_http_requests_total', code='404'), 20, 'the first look')
        daemon.register('web', 'a', host='127.0.0.1', port=echo.port)
        self.assertEqual((call.wait(), call.out), (OK, 'got '))


class Completing(tool_test.TestCase):
    def words(self, daemon, *words):
        result = self.ok(daemon, '__complete', tool_test.TOOL, *words)
        self.assertEqual(result.err, '')
        return [line.split('\t')[0] for line in result.out.splitlines()]

    def test_words_are_offered_where_they_belong(self):
        daemon = self.daemon()
        daemon.register('web', 'a:1')
        daemon.register('web', 'b')
        daemon.register('worker', 'c')
        daemon.register('db', 'd')
        words = lambda *args: self.words(daemon, *args)
        self.assertEqual(sorted(words('re')), ['register', 'render', 'resume'])
        self.assertEqual(words('help', 'pi'), ['pick'])
        self.assertEqual(words('instances', ''), ['db', 'web', 'worker'])
        self.assertEqual(words('instances', 'w'), ['web', 'worker'])
        self.assertEqual(words('instances', 'web', ''), [])
        self.assertEqual(words('drain', 'web', ''), ['a:1', 'b'])
        self.assertEqual(words('drain', '--reason', 'x', 'web', 'b', ''), ['a:1', 'b'])
        self.assertEqual(words('render', 'web', 'd'), ['db'])
        self.assertEqual(words('run', '--service', 'd'), ['db'])
        self.assertEqual(words('pick', '--strat'), ['--strategy'])
        self.assertEqual(words('pick', 'web', '--strategy', 'w'), ['weighted_round_robin'])
        self.assertEqual(words('services', '-o', 'j'), ['json', 'jsonl'])
        self.assertEqual(words('completion', ''), ['bash', 'zsh', 'fish'])
        self.assertEqual(words('nope', ''), [])
        self.assertEqual(self.words('127.0.0.1:1', 'instances', ''), [])
        self.assertEqual(self.words('127.0.0.1:1', 'instances', '--addr', daemon.url, 'd'), ['db'])

    def script(self, shell):
        path = shutil.which(shell, path='/usr/bin:/bin')
        if path is None:
            self.skipTest(f'{shell} is not installed')
        text = self.ok(None, 'completion', shell).out
        source = os.path.join(rt.ROOT, 'client', 'tool', 'completion', shell)
        self.assertEqual(text, tool_test.read(source))
        return path, source

    def shell_environment(self, daemon):
        folder = self.directory()
        os.symlink(tool_test.TOOL, os.path.join(folder, 'rollcall'))
        return tool_test.environment(daemon, PATH=folder + ':/usr/bin:/bin', TERM='dumb', HOME=folder)

    def test_bash_completes(self):
        daemon = self.daemon()
        daemon.register('web', 'a:1')
        daemon.register('web', 'a:2')
        bash, source = self.script('bash')
        for line, wanted in (('rollcall insta', 'instances'), ('rollcall instances ', 'web'),
                             ('rollcall drain web a:', '1 2'), ('rollcall drain web ', 'a:1 a:2')):
            program = (f'source {source}; COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}; '
                       'COMP_WORDBREAKS=" :"; _rollcall; echo "${COMPREPLY[*]}"')
            done = subprocess.run([bash, '--norc', '-c', program], env=self.shell_environment(daemon), check=False,
                                  capture_output=True, timeout=rt.seconds(30))
            self.assertEqual((done.stdout.decode().strip(), done.stderr), (wanted, b''), line)

    def test_fish_completes(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        fish, source = self.script('fish')
        program = f'source {source}; complete -C "rollcall insta"; complete -C "rollcall instances "'
        done = subprocess.run([fish, '--no-config', '-c', program], env=self.shell_environment(daemon), check=False,
                              capture_output=True, timeout=rt.seconds(60))
        self.assertEqual([line.split('\t')[0] for line in done.stdout.decode().splitlines()][:1], ['instances'], done)
        self.assertIn('web', done.stdout.decode().split(), done)

    def test_zsh_completes(self):
        daemon = self.daemon()
        daemon.register('webservice', 'a')
        zsh, source = self.script('zsh')
        leader, follower = pty.openpty()
        with subprocess.Popen([zsh, '-f', '-i'], stdin=follower, stdout=follower, stderr=follower, close_fds=True,
                              env=self.shell_environment(daemon), start_new_session=True) as shell:
            os.close(follower)
            try:
                os.write(leader, f'autoload -Uz compinit; compinit -D; source {source}; echo rea""dy\n'.encode())
                self.assertIn('ready', self.until(leader, 'ready'))
                os.write(leader, b'echo rollcall; : ; rollcall instances webs\t')
                self.assertIn('webservice', self.until(leader, 'webservice'))
            finally:
                shell.kill()
                os.close(leader)

    @staticmethod
    def until(descriptor, text):
        seen = ''
        end = time.monotonic() + rt.seconds(20)
        while text not in seen and time.monotonic() < end:
            if select.select([descriptor], [], [], 0.2)[0]:
                seen += os.read(descriptor, 65536).decode(errors='replace')
        return seen


if __name__ == '__main__':
    rt.main()
