# SPDX-License-Identifier: MIT
"""rollcall render: the template language, the target file, --check, and the built-in templates.

The built-in templates are checked by the real nginx and HAProxy, if they are installed.
"""

import json
import os
import shutil
import stat
import subprocess
import threading

import rollcall_test as rt
import tool_test
from tool_test import ERROR, OK, USAGE

NGINX = shutil.which('nginx', path='/usr/sbin:/usr/bin:/sbin:/bin')
HAPROXY = shutil.which('haproxy', path='/usr/sbin:/usr/bin:/sbin:/bin')


class Templates(tool_test.TestCase):
    """One daemon, many templates."""

    @classmethod
    def setUpClass(cls):
        cls.registry = rt.Daemon()
        cls.registry.register('web', 'b/1;x', host='::1', port=81, weight=0, metadata={'a.b': 'c d', 'zone': 'z'})
        cls.registry.register('web', 'a', port=80, weight=1000)
        cls.registry.register('web', 'b/1{x', port=82, weight=3)

    @classmethod
    def tearDownClass(cls):
        cls.registry.cleanup()

    def render(self, template, *args):
        return self.tool(self.registry, 'render', '-t', self.file(template), '--once', *(args or ('web',)))

    def test_templates_fill_in(self):
        for template, wanted in (
                ('plain { text }\n', 'plain { text }\n'),
                ('', ''),
                ('{{#services}}{{service}}:{{count}}{{/services}}', 'web:3'),
                ('{{#services}}{{#instances}}{{id}},{{/instances}}{{/services}}', 'a,b_1_x,b_1_x,'),
                ('{{#services}}{{#instances}}{{{id}}},{{/instances}}{{/services}}', 'a,b/1;x,b/1{x,'),
                ('{{#services}}{{#instances}}{{name}},{{/instances}}{{/services}}', 'a,b_1_x,b_1_x-2,'),
                ('{{#services}}{{#instances}}{{ address }} {{/instances}}{{/services}}',
                 '10.0.0.1:80 [::1]:81 10.0.0.1:82 '),
                ('{{#services}}{{#instances}}{{share}}/{{share256}}/{{backup}} {{/instances}}{{/services}}',
                 '1000/256/false 1/0/true 3/1/false '),
                ('{{#services}}{{#instances}}{{#metadata.zone}}{{.}}{{/metadata.zone}}{{/instances}}{{/services}}', 'z'),
                ('{{#services}}{{#instances}}{{{metadata.a.b}}}{{/instances}}{{/services}}', 'c d'),
                ('{{#services}}{{#instances}}{{#backup}}{{port}}{{/backup}}{{/instances}}{{/services}}', '81'),
                ('{{^set.x}}no{{/set.x}}{{#set.x}}yes{{/set.x}}', 'no'),
                ('{{^services}}{{nope}}{{/services}}-', '-'),
                ('a{{! a {{comment }}b', 'ab'),
                ('a\n  {{! alone }}  \nb\n', 'a\nb\n'),
                ('x\n{{#services}}\n {{service}}\n{{/services}}\ny', 'x\n web\ny'),
                ('{{nothing}}{{services.web}}|', '|')):
            with self.subTest(template):
                result = self.render(template)
                self.assertEqual((result.code, result.out), (OK, wanted), result)

    def test_values_come_from_the_command_line(self):
        result = self.render('{{set.a}} {{{set.b}}} {{#set.empty}}x{{/set.empty}}', 'web', '--set', 'a=1;2',
                             '--set', 'b=x=y;', '--set', 'empty=')
        self.assertEqual(result.out, '1_2 x=y; ')

    def test_an_error_in_a_template_has_its_line(self):
        for template, line, text in (('a\n{{#services}}\n', 2, 'never closed'), ('a\n\n{{/services}}', 3, 'does not close'),
                                     ('{{#services}}{{/instances}}', 1, 'does not close'), ('{{x', 1, 'never closed'),
                                     ('\n{{{x}}', 2, 'never closed'), ('{{}}', 1, 'requires a name'),
                                     ('{{# }}', 1, 'requires a name'), ('{{' + 'x' * 100 + '}}', 1, 'requires a name'),
                                     ('{{#services}}' * 33, 1, 'nested'), ('{{^services}}\n{{/x}}', 2, 'does not close')):
            with self.subTest(template):
                result = self.render(template)
                self.assertEqual((result.code, result.out), (USAGE, ''))
                self.assertRegex(result.err, f"line {line}: .*{text}")

    def test_wrong_use(self):
        for args in (['web'], ['-t', 'nginx'], ['-t', 'nginx', 'web', '--debounce', 'x'], ['-t', 'nginx', 'web', '--set', 'x']):
            self.assertEqual(self.tool(self.registry, 'render', *args).code, USAGE, args)
        self.assertEqual(self.tool(self.registry, 'render', '-t', '/nonexistent', 'web').code, USAGE)
        self.assertEqual(self.tool(self.registry, 'render', '-t', self.file('a\0b'), 'web').code, USAGE)

    def test_a_built_in_template_can_be_printed(self):
        text = self.ok(None, 'render', '-t', 'nginx', '--print').out
        path = os.path.join(rt.ROOT, 'client', 'tool', 'templates', 'nginx.mustache')
        self.assertEqual(text, tool_test.read(path))


class Files(tool_test.TestCase):
    TEMPLATE = '{{#services}}{{#instances}}{{id}}\n{{/instances}}{{/services}}'

    def setUp(self):
        super().setUp()
        self.registry = self.daemon()
        self.folder = self.directory()
        self.target = os.path.join(self.folder, 'target')
        self.log = os.path.join(self.directory(), 'log')

    def render(self, *args, **kwargs):
        return self.start(self.registry, 'render', '-t', self.file(self.TEMPLATE), '-o', self.target,
                          '--debounce', '50ms', *args, 'web', env={'LOG': self.log}, **kwargs)

    def wait_target(self, text):
        rt.wait_for(lambda: tool_test.read(self.target) == text, 20, f'{text!r} in the file')

    def test_the_file_follows_the_registry(self):
        render = self.render('--check', 'cat "$ROLLCALL_FILE" >>"$LOG"', '--reload',
                             'echo "reload $ROLLCALL_FILE" >>"$LOG"')
        rt.wait_for(lambda: tool_test.read(self.log), 20, 'the first reload')
        self.registry.register('web', 'a')
        self.wait_target('a\n')
        self.registry.deregister('web', 'a')
        self.wait_target('')
        rt.wait_for(lambda: tool_test.read(self.log).count('reload') == 3, 20, 'the last reload')
        self.assertEqual(render.stop(), OK)
        reload = f'reload {self.target}\n'
        self.assertEqual(tool_test.read(self.log), reload + 'a\n' + reload + reload)
        self.assertEqual(os.listdir(self.folder), ['target'])
        self.assertEqual(stat.S_IMODE(os.stat(self.target).st_mode), 0o644)

    def test_a_failed_check_keeps_the_old_file(self):
        self.registry.register('web', 'a')
        render = self.render('--check', '! grep -q bad "$ROLLCALL_FILE"', '--reload', 'echo reload >>"$LOG"')
        self.wait_target('a\n')
        inode = os.stat(self.target).st_ino
        self.registry.register('web', 'bad')
        render.wait_err('the check ended with 1')
        render.wait_err('is unchanged')
        self.assertEqual(os.stat(self.target).st_ino, inode)
        self.assertEqual(os.listdir(self.folder), ['target'])
        self.registry.deregister('web', 'bad')
        self.registry.register('web', 'good')
        self.wait_target('a\ngood\n')
        rt.wait_for(lambda: tool_test.read(self.log).count('reload') == 2, 20, 'the second reload')

    def test_a_file_that_is_right_already_is_not_touched(self):
        self.registry.register('web', 'a')
        with open(self.target, 'w', encoding='ascii') as file:
            file.write('a\n')
        os.chmod(self.target, 0o600)
        before = os.stat(self.target)
        render = self.render('--once', '--reload', 'echo reload >>"$LOG"')
        self.assertEqual(render.wait(), OK)
        self.assertEqual((os.stat(self.target).st_ino, tool_test.read(self.log)), (before.st_ino, ''))

    def test_the_mode_of_the_file_stays(self):
        with open(self.target, 'w', encoding='ascii') as file:
            file.write('old')
        os.chmod(self.target, 0o640)
        self.assertEqual(self.render('--once').wait(), OK)
        self.assertEqual((tool_test.read(self.target), stat.S_IMODE(os.stat(self.target).st_mode)), ('', 0o640))

    def test_readers_see_whole_files_only(self):
        self.registry.register('web', 'a')
        self.render()
        self.wait_target('a\n')
        stop = threading.Event()
        seen = set()

        def read():
            while not stop.is_set():
                seen.add(tool_test.read(self.target))

        reader = threading.Thread(target=read)
        reader.start()
        ids = ['a']
        try:
            for i in range(3):
                ids.append(f'i{i}')
                self.registry.register('web', ids[-1])
                self.wait_target('\n'.join(ids) + '\n')
        finally:
            stop.set()
            reader.join()
        whole = {'\n'.join(ids[:n]) + '\n' for n in range(1, 5)}
        self.assertLessEqual(seen, whole)  # a reader that gets no CPU time may miss a whole file
        self.assertTrue(seen)

    def test_changes_that_come_together_are_written_together(self):
        self.registry.register('web', 'a')
        render = self.render('--debounce', '2s', '--reload', 'echo reload >>"$LOG"')
        rt.wait_for(lambda: (self.registry.metric('rollcall_http_requests_total', code='200') or 0) >= 1, 20)
        for i in range(5):
            self.registry.register('web', f'b{i}')
        self.wait_target('a\nb0\nb1\nb2\nb3\nb4\n')
        rt.wait_for(lambda: tool_test.read(self.log), 20, 'the reload')
        self.assertEqual(tool_test.read(self.log), 'reload\n')
        self.assertIsNone(render.process.poll())

    def test_the_exit_code_of_once_is_that_of_its_outcome(self):
        self.registry.register('web', 'a')
        self.assertEqual(self.render('--once', '--check', 'false').wait(), ERROR)
        self.assertFalse(os.path.exists(self.target))
        self.assertEqual(self.render('--once', '--reload', 'false').wait(), ERROR)
        self.assertEqual(self.render('--once', '--reload', 'true').wait(), OK)
        self.folder = '/nonexistent'
        self.target = '/nonexistent/target'
        self.assertEqual(self.render('--once').wait(), ERROR)

    def test_nothing_is_written_before_the_registry_has_answered(self):
        port = tool_test.free_port()
        with open(self.target, 'w', encoding='ascii') as file:
            file.write('old\n')
        render = self.start(f'127.0.0.1:{port}', 'render', '-t', self.file(self.TEMPLATE), '-o', self.target, 'web')
        render.wait_err('keeping the last known instances')
        self.assertEqual(tool_test.read(self.target), 'old\n')
        daemon = self.daemon(listen=[f'127.0.0.1:{port}'])
        daemon.register('web', 'a')
        self.wait_target('a\n')
        daemon.stop()
        rt.wait_for(lambda: render.err.count('keeping the last known instances') == 2, 20)
        self.assertEqual(tool_test.read(self.target), 'a\n')
        render.stop()


class RealPrograms(tool_test.TestCase):
    def registry(self):
        daemon = self.daemon()
        daemon.register('web', 'a', host='127.0.0.1', port=81, weight=1000)
        daemon.register('web', 'b/1;}', host='::1', port=82, weight=0)
        daemon.register('web', 'b/1{x', host='127.0.0.1', port=83)
        daemon.register('idle', 'a', weight=0)
        daemon.register('gone', 'a')
        daemon.set_status('gone', 'a', 'draining')
        return daemon

    def nginx(self, daemon, folder, *args):
        """Renders upstreams and runs nginx -t on a configuration that includes them."""
        config = os.path.join(folder, 'nginx.conf')
        with open(config, 'w', encoding='ascii') as file:
            file.write(f'pid {folder}/pid; error_log {folder}/errors; daemon off;\n'
                       'events {}\nhttp { access_log off; include ' + folder + '/upstreams*;\n'
                       'server { listen 127.0.0.1:1; location / { proxy_pass http://web; } } }\n')
        check = f'{NGINX} -q -t -c {config} -p {folder} >/dev/null'
        return self.tool(daemon, 'render', '-t', 'nginx', '--once', '-o', f'{folder}/upstreams', '--check', check,
                         *args, timeout=60)

    def test_nginx_accepts_its_template(self):
        if NGINX is None:
            self.skipTest('nginx is not installed')
        folder = self.directory()
        result = self.nginx(self.registry(), folder, 'web', 'idle', 'gone', 'unknown', '--set', 'zone=64k',
                            '--set', 'keepalive=8')
        self.assertEqual(result.code, OK, result)
        text = tool_test.read(f'{folder}/upstreams')
        self.assertIn('\tserver 127.0.0.1:81 weight=1000;\n\tserver [::1]:82 weight=1 backup;\n', text)
        self.assertEqual(text.count('down;'), 2)

    def test_nginx_refuses_what_is_wrong(self):
        if NGINX is None:
            self.skipTest('nginx is not installed')
        folder = self.directory()
        result = self.nginx(self.registry(), folder, 'web', '--set', 'zone=wrong')
        self.assertEqual(result.code, ERROR)
        self.assertFalse(os.path.exists(f'{folder}/upstreams'))

    def haproxy(self, daemon, folder, *args):
        base = os.path.join(folder, 'base.cfg')
        with open(base, 'w', encoding='ascii') as file:
            file.write('defaults\n\tmode http\n\ttimeout client 5s\n'
                       'frontend in\n\tbind 127.0.0.1:1\n\tdefault_backend web\n')
        check = f'{HAPROXY} -q -c -f {base} -f "$ROLLCALL_FILE"'
        return self.tool(daemon, 'render', '-t', 'haproxy', '--once', '-o', f'{folder}/backends.cfg', '--check', check,
                         *args, timeout=60)

    def test_haproxy_accepts_its_template(self):
        if HAPROXY is None:
            self.skipTest('haproxy is not installed')
        folder = self.directory()
        result = self.haproxy(self.registry(), folder, 'web', 'idle', 'gone', 'unknown', '--set', 'check=1')
        self.assertEqual((result.code, result.err), (OK, ''))
        text = tool_test.read(f'{folder}/backends.cfg')
        self.assertIn('\tserver a 127.0.0.1:81 weight 256 check\n\tserver b_1__ [::1]:82 weight 0 check\n'
                      '\tserver b_1_x 127.0.0.1:83 weight 25 check\n', text)
        self.assertIn('\tserver a 10.0.0.1:80 weight 1 check\n', text)

    def test_haproxy_refuses_what_is_wrong(self):
        if HAPROXY is None:
            self.skipTest('haproxy is not installed')
        folder = self.directory()
        result = self.haproxy(self.registry(), folder, 'web', '--set', 'mode=wrong')
        self.assertEqual(result.code, ERROR)
        self.assertFalse(os.path.exists(f'{folder}/backends.cfg'))

    def test_requests_through_nginx_reach_what_was_registered(self):
        if NGINX is None:
            self.skipTest('nginx is not installed')
        daemon = self.daemon()
        other = self.daemon()
        folder = self.directory()
        port = tool_test.free_port()
        daemon.register('web', 'a', host='127.0.0.1', port=other.port)
        config = os.path.join(folder, 'nginx.conf')
        paths = ''.join(f'{name}_temp_path {folder}/{name};' for name in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
        with open(config, 'w', encoding='ascii') as file:
            file.write(f'pid {folder}/pid; error_log {folder}/errors; daemon off; master_process off;\nevents {{}}\n'
                       f'http {{ access_log off; {paths} include {folder}/upstreams;\n'
                       f'server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://web; }} }} }}\n')
        self.ok(daemon, 'render', '-t', 'nginx', '--once', '-o', f'{folder}/upstreams', 'web')
        with subprocess.Popen([NGINX, '-c', config, '-p', folder], stderr=subprocess.DEVNULL) as nginx:
            try:
                self.assertEqual(json.loads(self.ok(f'http://127.0.0.1:{port}', 'status', '-o', 'json', '--wait', '30s').out)
                                 ['revision'], 0)
            finally:
                nginx.terminate()


if __name__ == '__main__':
    rt.main()
