# SPDX-License-Identifier: MIT
"""rollcall render with --check and --reload: the targets it may replace, and commands that fail, hang or are killed.

The commands write to $LOG and $NOTES, from which the tests see what ran and in which order.
"""

import os
import pty
import signal
import socket
import stat
import subprocess

import rollcall_test as rt
import tool_test
from tool_test import ERROR, OK, USAGE

TEMPLATE = '{{#services}}{{#instances}}{{id}}\n{{/instances}}{{/services}}'


class TestCase(tool_test.TestCase):
    def setUp(self):
        super().setUp()
        self.registry = self.daemon()
        self.folder = self.directory()
        self.target = os.path.join(self.folder, 'target')
        self.notes = self.directory()
        self.log = os.path.join(self.notes, 'log')

    def render(self, *args, **kwargs):
        """Starts rollcall render; its commands may use the file $LOG and the folder $NOTES."""
        return self.start(self.registry, 'render', '-t', self.file(TEMPLATE), '-o', self.target, '--debounce', '20ms',
                          *args, 'web', env={'LOG': self.log, 'NOTES': self.notes}, **kwargs)

    def once(self, *args, **kwargs):
        render = self.render('--once', *args, **kwargs)
        return render.wait(), render

    def write(self, text, path=None):
        with open(path or self.target, 'w', encoding='utf-8') as file:
            file.write(text)

    def note(self, name):
        self.write('', os.path.join(self.notes, name))

    def wait_log(self, *lines):
        rt.wait_for(lambda: tool_test.read(self.log).split() == list(lines), 30, f'{lines} in the log')

    def wait_target(self, text):
        rt.wait_for(lambda: tool_test.read(self.target) == text, 20, f'{text!r} in the file')


# Logs the content of the target, and succeeds once the note "fine" exists.
RELOAD = 'echo "reload:$(tr "\\n" . <"$ROLLCALL_FILE")" >>"$LOG"; test -e "$NOTES/fine"'


class Reloads(TestCase):
    def test_a_failed_reload_is_repeated_until_it_succeeds(self):
        self.registry.register('web', 'a')
        render = self.render('--reload', RELOAD)
        render.wait_err('the reload ended with 1')
        render.wait_err('retrying in 1 s')
        self.note('fine')
        rt.wait_for(lambda: tool_test.read(self.log).count('reload:a.') == 2, 20, 'the second reload')
        self.wait_target('a\n')
        # After the success neither SIGHUP nor a restart repeats the reload.
        rt.wait_for(lambda: os.listdir(self.folder) == ['target'], 20, 'the mark is removed')
        render.signal(signal.SIGHUP)
        self.registry.register('web', 'b')
        rt.wait_for(lambda: 'reload:a.b.' in tool_test.read(self.log), 20, 'a reload of the next content')
        self.assertEqual(render.stop(), OK)
        self.assertEqual(self.once('--reload', RELOAD)[0], OK)
        self.assertEqual(tool_test.read(self.log).split(), ['reload:a.', 'reload:a.', 'reload:a.b.'])

    def test_sighup_repeats_a_failed_reload_at_once(self):
        self.registry.register('web', 'a')
        render = self.render('--reload', RELOAD)
        for pause in (1, 2, 4):
            render.wait_err(f'retrying in {pause} s')
        self.note('fine')
        render.signal(signal.SIGHUP)
        rt.wait_for(lambda: os.listdir(self.folder) == ['target'], 3, 'a reload before 4 s are over')

    def test_a_reload_that_failed_in_a_former_run_is_repeated(self):
        self.registry.register('web', 'a')
        self.assertEqual(self.once('--reload', RELOAD)[0], ERROR)
        self.wait_target('a\n')
        self.assertEqual(self.once('--reload', RELOAD)[0], ERROR)
        self.note('fine')
        self.assertEqual(self.once('--reload', RELOAD)[0], OK)
        self.assertEqual(self.once('--reload', RELOAD)[0], OK)
        self.wait_log('reload:a.', 'reload:a.', 'reload:a.')

    def test_a_kill_between_the_replacement_and_the_reload_loses_nothing(self):
        self.write('old\n')
        self.registry.register('web', 'a')
        render = self.render('--reload', 'echo $$ >"$NOTES/pid"; exec sleep 1000')
        pid = int(rt.wait_for(lambda: tool_test.read(os.path.join(self.notes, 'pid')).strip(), 20, 'the reload'))
        self.addCleanup(tool_test.end_process, pid)
        self.assertEqual(tool_test.read(self.target), 'a\n')
        render.signal(signal.SIGKILL)
        render.wait()
        self.note('fine')
        self.assertEqual(self.once('--reload', RELOAD)[0], OK)
        self.wait_log('reload:a.')
        self.assertEqual(os.listdir(self.folder), ['target'])

    def test_what_was_in_use_survives_a_kill_and_is_put_back(self):
        self.write('old\n')
        self.registry.register('web', 'a')
        render = self.render('--reload', 'echo $$ >"$NOTES/pid"; exec sleep 1000')
        pid = int(rt.wait_for(lambda: tool_test.read(os.path.join(self.notes, 'pid')).strip(), 20, 'the reload'))
        self.addCleanup(tool_test.end_process, pid)
        render.signal(signal.SIGKILL)
        render.wait()
        self.registry.register('web', 'b')
        code, _ = self.once('--reload', RELOAD + ' || grep -q old "$ROLLCALL_FILE"')
        self.assertEqual((code, tool_test.read(self.target)), (ERROR, 'old\n'))
        self.wait_log('reload:a.b.', 'reload:old.')
        self.assertEqual(os.listdir(self.folder), ['target'])

    def test_the_old_file_is_put_back_and_reloaded_when_the_reload_fails(self):
        self.registry.register('web', 'good')
        reload = 'echo "reload:$(tr "\\n" . <"$ROLLCALL_FILE")" >>"$LOG"; ! grep -q bad "$ROLLCALL_FILE"'
        render = self.render('--reload', reload)
        self.wait_log('reload:good.')
        os.chmod(self.target, 0o640)
        self.registry.register('web', 'bad')
        render.wait_err('put the old content back')
        self.wait_log('reload:good.', 'reload:bad.good.', 'reload:good.')
        self.assertEqual((tool_test.read(self.target), stat.S_IMODE(os.stat(self.target).st_mode)), ('good\n', 0o640))
        # The tool retries the same content after a delay, and applies a new content at once.
        rt.wait_for(lambda: tool_test.read(self.log).count('reload:bad.good.') == 2, 20, 'the second try')
        self.registry.deregister('web', 'bad')
        self.registry.register('web', 'other')
        self.wait_target('good\nother\n')
        rt.wait_for(lambda: os.listdir(self.folder) == ['target'], 20, 'the mark is removed')

    def test_a_mark_without_another_content_makes_one_reload_only(self):
        # The state after a kill between the mark and the rename, with an unchanged registry.
        self.write('a\n')
        self.registry.register('web', 'a')
        self.write('a reload is owed; before it the file held:\na\n', f'{self.folder}/.target.reload')
        code, render = self.once('--reload', RELOAD)
        self.assertEqual(code, ERROR)
        self.wait_log('reload:a.')
        self.assertIn('there is no other content', render.err)

    def test_the_mark_keeps_the_old_content_private(self):
        self.write('secret\n')
        self.registry.register('web', 'a')
        self.assertEqual(self.once('--reload', f'stat -c %a {self.folder}/.target.reload >>"$LOG"')[0], OK)
        self.wait_log('600')

    def test_a_failed_check_is_repeated(self):
        self.registry.register('web', 'a')
        render = self.render('--check', 'test -e "$NOTES/fine"')
        render.wait_err('the check ended with 1')
        self.assertEqual(os.listdir(self.folder), [])
        self.note('fine')
        self.wait_target('a\n')

    def test_a_failed_write_is_repeated(self):
        self.registry.register('web', 'a')
        folder = os.path.join(self.folder, 'later')
        self.target = os.path.join(folder, 'target')
        render = self.render()
        render.wait_err(f"cannot write '{self.target}': No such file or directory")
        os.mkdir(folder)
        self.wait_target('a\n')

    def test_the_tool_ends_when_its_output_is_closed(self):
        reader, writer = os.pipe()
        os.close(reader)
        with subprocess.Popen([tool_test.TOOL, 'render', '-t', self.file(TEMPLATE), '--debounce', '20ms', 'web'],
                              stdout=writer, env=tool_test.environment(self.registry)) as process:
            os.close(writer)
            try:
                self.registry.register('web', 'a')
                self.assertEqual(process.wait(rt.seconds(20)), ERROR)
            finally:
                process.kill()


class Checks(TestCase):
    def test_braces_name_the_new_file(self):
        self.registry.register('web', 'a')
        self.assertEqual(self.once('--check', 'cat {} >>"$LOG"; echo {} >"$NOTES/name"')[0], OK)
        self.wait_log('a')
        self.assertRegex(tool_test.read(os.path.join(self.notes, 'name')), rf'^{self.target}\.\w+\n$')

    def test_braces_are_quoted_for_the_shell(self):
        self.registry.register('web', 'a')
        folder = os.path.join(self.folder, "it's $(touch x) \"a\" folder")
        os.mkdir(folder)
        self.target = os.path.join(folder, 'target')
        self.assertEqual(self.once('--check', 'cat {} {}>>"$LOG"')[0], OK)
        self.wait_log('a', 'a')

    def test_a_check_of_the_new_file_refuses_it(self):
        self.write('old\n')
        self.registry.register('web', 'bad')
        self.assertEqual(self.once('--check', '! grep -q bad {}')[0], ERROR)
        self.assertEqual((tool_test.read(self.target), os.listdir(self.folder)), ('old\n', ['target']))

    def test_check_and_reload_need_a_file(self):
        for option in ('--check', '--reload'):
            result = self.tool('127.0.0.1:1', 'render', '-t', 'nginx', option, 'true', 'web')
            self.assertEqual(result.code, USAGE)
            self.assertIn('--output', result.err)


class Targets(TestCase):
    def test_a_target_that_is_no_file_is_refused_with_its_kind(self):
        fifo = os.path.join(self.folder, 'fifo')
        os.mkfifo(fifo)
        path = os.path.join(self.folder, 'socket')
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            link = os.path.join(self.folder, 'link')
            os.symlink('/dev/null', link)
            for target, kind in ((fifo, 'a FIFO'), (path, 'a socket'), ('/dev/null', 'a character device'),
                                 (link, 'a character device'), (self.folder, 'a directory')):
                with self.subTest(target):
                    before = os.lstat(target)[:2]  # mode and inode: reading the link changes its times
                    result = self.tool('127.0.0.1:1', 'render', '-t', 'nginx', '--once', '-o', target, 'web', timeout=10)
                    self.assertEqual(result.code, USAGE, result)
                    self.assertIn(f"'{target}' is {kind}", result.err)
                    self.assertEqual(os.lstat(target)[:2], before)

    def test_a_link_is_written_through(self):
        self.registry.register('web', 'a')
        other = self.directory()
        real = os.path.join(other, 'real')
        self.write('old\n', real)
        os.chmod(real, 0o604)
        os.symlink('link2', os.path.join(self.folder, 'link1'))
        os.symlink(real, os.path.join(self.folder, 'link2'))
        self.target = os.path.join(self.folder, 'link1')
        self.assertEqual(self.once('--reload', f'ls -A {other} >>"$LOG"')[0], OK)
        self.assertEqual((os.readlink(self.target), tool_test.read(real)), ('link2', 'a\n'))
        self.assertEqual(stat.S_IMODE(os.stat(real).st_mode), 0o604)
        self.wait_log('.real.reload', 'real')
        self.assertEqual(sorted(os.listdir(self.folder)), ['link1', 'link2'])
        self.assertEqual(os.listdir(other), ['real'])

    def test_a_link_to_nothing_makes_what_it_names(self):
        self.registry.register('web', 'a')
        os.symlink('real', self.target)
        self.assertEqual(self.once()[0], OK)
        self.assertEqual((os.readlink(self.target), tool_test.read(os.path.join(self.folder, 'real'))), ('real', 'a\n'))

    def test_a_circle_of_links_is_refused(self):
        os.symlink('target', self.target)
        code, render = self.once()
        self.assertEqual(code, USAGE)
        self.assertIn('symbolic links', render.err)

    def test_owner_and_mode_stay(self):
        self.registry.register('web', 'a')
        self.write('old\n')
        try:
            os.chown(self.target, 12345, 23456)
        except PermissionError:
            self.skipTest('only root can give files away')
        os.chmod(self.target, 0o640)
        self.assertEqual(self.once('--reload', 'true')[0], OK)
        now = os.stat(self.target)
        self.assertEqual((tool_test.read(self.target), now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)),
                         ('a\n', 12345, 23456, 0o640))
        # Restoring the old content keeps them too.
        self.registry.register('web', 'b')
        self.assertEqual(self.once('--reload', 'false')[0], ERROR)
        now = os.stat(self.target)
        self.assertEqual((tool_test.read(self.target), now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)),
                         ('a\n', 12345, 23456, 0o640))


class Limits(TestCase):
    """A command that exceeds its time limit ends with all processes that it started."""

    # Starts two processes that outlive their parent: one ignores SIGTERM, the other does not.
    SPAWN = ('sh -c \'trap "" TERM; echo $$ >>"$NOTES/pids"; while :; do sleep 0.1; done\' & '
             'sh -c \'echo $$ >>"$NOTES/pids"; exec sleep 1000\' & '
             'while test "$(wc -l <"$NOTES/pids")" != 2; do sleep 0.01; done; ')

    def setUp(self):
        super().setUp()
        self.addCleanup(self.end_all)

    def end_all(self):
        for pid in self.listed():
            tool_test.end_process(int(pid))

    def listed(self):
        return tool_test.read(f'{self.notes}/pids').split()

    def pids(self):
        return rt.wait_for(lambda: len(self.listed()) >= 2 and self.listed(), 20, 'the processes')

    def wait_gone(self, pids):
        rt.wait_for(lambda: not any(tool_test.lives(pid) for pid in pids), 10, 'the end of the processes')

    def test_a_check_out_of_time_ends_with_its_children(self):
        self.note('pids')
        render = self.render('--check', self.SPAWN + 'sleep 1000', '--command-timeout', '300ms')
        pids = self.pids()
        render.wait_err('the check took longer than 300 ms and was stopped')
        self.wait_gone(pids)

    def test_a_reload_out_of_time_ends_with_its_children(self):
        self.note('pids')
        render = self.render('--reload', self.SPAWN + 'sleep 1000', '--command-timeout', '300ms')
        pids = self.pids()
        render.wait_err('the reload took longer than 300 ms')
        self.wait_gone(pids)

    def test_a_signal_ends_the_command_with_its_children(self):
        self.note('pids')
        render = self.render('--check', self.SPAWN + 'sleep 1000')
        pids = self.pids()
        before = tool_test.now_ms()
        render.stop()
        self.assertLess(tool_test.now_ms() - before, rt.seconds(10) * 1000)
        self.wait_gone(pids)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_reload_may_leave_a_daemon_behind(self):
        self.note('pids')
        self.assertEqual(self.once('--reload', self.SPAWN + 'true')[0], OK)
        self.assertTrue(all(tool_test.lives(pid) for pid in self.pids()))

    def test_a_command_has_no_terminal_and_no_input(self):
        # A command with a terminal would be stopped for reading from it in the background.
        leader, follower = pty.openpty()
        self.addCleanup(os.close, leader)
        self.addCleanup(os.close, follower)
        code, render = self.once('--check', 'test "$(cat)" = "" && ! (: </dev/tty)',
                                 preexec_fn=lambda: tool_test.own_terminal(follower))
        self.assertEqual(code, OK, render)

    def test_an_invalid_command_timeout_is_a_usage_error(self):
        for value in ('0', '2h', 'x'):
            self.assertEqual(self.tool('127.0.0.1:1', 'render', '-t', 'nginx', '-o', self.target, 'web', '--command-timeout',
                                       value).code, USAGE, value)


if __name__ == '__main__':
    rt.main()
