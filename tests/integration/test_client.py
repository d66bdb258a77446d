# SPDX-License-Identifier: MIT
"""The example programs of the client library against the real daemon, which the tests kill and restart.

The examples are programs that a user would write; their printed lines are the events to wait for.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

import rollcall_test as rt

EXAMPLES = os.path.join(rt.BUILD, 'client', 'examples')


class Program:
    """A running example and the lines that it prints."""

    def __init__(self, daemon, name, *args):
        env = {**os.environ, 'ROLLCALL_ADDR': daemon.listen[0]}
        self.lines = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [os.path.join(EXAMPLES, name), *map(str, args)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        with self.process.stdout as stream:
            for line in stream:
                with self.changed:
                    self.lines.append(line.rstrip('\n'))
                    self.changed.notify_all()

    def wait_line(self, text, timeout=20, since=0):
        with self.changed:
            if not self.changed.wait_for(
                    lambda: any(text in line for line in self.lines[since:]), rt.seconds(timeout)):
                raise AssertionError(f'no line with {text!r}: {self.lines}')
            return next(line for line in self.lines[since:] if text in line)

    def end(self, number=None, timeout=20):
        """@return the exit code"""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(rt.seconds(timeout))
        self.reader.join(rt.seconds(timeout))
        report = '\n'.join(self.lines)
        if rt.REPORT.search(report):
            raise AssertionError(report)
        return code

    def cleanup(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(5)


def manual_example():
    """The program in the manual, without its markup."""
    with open(os.path.join(rt.ROOT, 'docs/man/librollcall.3'), encoding='utf-8') as file:
        text = re.search(r'^\.Bd -literal\n(.*?)^\.Ed', file.read(), re.DOTALL | re.MULTILINE)[1]
    return text.replace('\\e', '\\')


def package_flags():
    """The output of pkg-config for the library in the build folder if no other package is installed."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(os.path.join(rt.BUILD, 'rollcall.pc'), folder)
        output = subprocess.run(
            ['pkg-config', f'--define-variable=includedir={rt.ROOT}/client/include',
             f'--define-variable=libdir={rt.BUILD}', '--cflags', '--libs', 'rollcall'],
            env={'PATH': os.environ['PATH'], 'PKG_CONFIG_LIBDIR': folder, 'PKG_CONFIG_PATH': ''},
            stdout=subprocess.PIPE, text=True, check=True).stdout
    return output.split()


class Examples(rt.TestCase):
    def setUp(self):
        super().setUp()
        self.registry = self.daemon()
        # A fixed port, so that a restarted registry has the same address.
        self.registry.listen = [self.registry.urls[0].removeprefix('http://')]

    def program(self, name, *args):
        program = Program(self.registry, name, *args)
        self.addCleanup(program.cleanup)
        return program

    def service(self, name='web'):
        program = self.program('service', name)
        program.wait_line('registered')
        return program

    def test_a_service_registers_itself_drains_and_deregisters(self):
        service = self.service()
        line = service.wait_line('registered')
        self.assertEqual(self.registry.ids('web'), [line.split()[1]])
        self.assertTrue(line.split()[1].startswith('127.0.0.1:'))
        self.assertEqual(service.end(signal.SIGTERM), 0)
        self.assertTrue(any('draining' in line for line in service.lines), service.lines)
        self.assertEqual(self.registry.ids('web', status='any'), [])

    def test_a_service_outlives_a_registry_that_is_killed_and_restarted(self):
        service = self.service()
        ids = self.registry.ids('web')
        self.registry.kill()
        self.registry.start()
        revision = self.registry.status()['revision']
        rt.wait_for(lambda: self.registry.instance('web', ids[0])['heartbeat_age_ms'] < 1000,
                    timeout=10)
        self.assertEqual(self.registry.ids('web'), ids)
        self.assertEqual(self.registry.status()['revision'], revision)
        self.assertEqual(service.end(signal.SIGTERM), 0)

    def test_a_service_that_was_forgotten_comes_back(self):
        service = self.service()
        ids = self.registry.ids('web')
        self.registry.deregister('web', ids[0])
        rt.wait_for(lambda: self.registry.ids('web') == ids, timeout=10)
        self.assertEqual(service.end(signal.SIGTERM), 0)

    def test_no_call_fails_while_the_registry_is_down(self):
        self.service()
        self.service()
        caller = self.program('caller', 'web', '/', 1500, 3)
        caller.wait_line('first answer')
        self.registry.kill()
        self.assertEqual(caller.end(timeout=60), 0, caller.lines)
        total = caller.wait_line('ok 1500, failed 0')
        self.assertIn('stale', total)
        self.registry.start()

    def test_no_call_fails_while_the_registry_restarts_again_and_again(self):
        self.service()
        self.service()
        caller = self.program('caller', 'web', '/', 1500, 3)
        caller.wait_line('first answer')
        while caller.process.poll() is None:
            self.registry.kill()
            self.registry.start()
        self.assertEqual(caller.end(), 0, caller.lines)
        caller.wait_line('failed 0')

    def test_no_call_fails_when_an_instance_leaves_in_order(self):
        self.service()
        leaving = self.service()
        caller = self.program('caller', 'web', '/', 1000, 3)
        caller.wait_line('first answer')
        self.assertEqual(leaving.end(signal.SIGTERM), 0)
        self.assertEqual(caller.end(timeout=60), 0, caller.lines)

    def test_an_event_loop_follows_changes(self):
        self.registry.register('db', 'a', port=1)
        events = self.program('events', 'db', 3)
        self.assertEqual(events.wait_line('db:'), 'db: a=10.0.0.1:1')
        self.registry.register('db', 'b', port=2)
        events.wait_line('b=10.0.0.1:2')
        self.registry.deregister('db', 'a')
        self.assertEqual(events.end(), 0)
        self.assertEqual(events.lines[-1], 'db: b=10.0.0.1:2')

    def test_an_event_loop_follows_changes_across_a_restart(self):
        self.registry.register('db', 'a', port=1)
        events = self.program('events', 'db', 2)
        events.wait_line('db: a=')
        self.registry.kill()
        self.registry.start()
        self.registry.register('db', 'b', port=2)
        self.assertEqual(events.end(), 0)
        self.assertEqual(events.lines[-1], 'db: a=10.0.0.1:1 b=10.0.0.1:2')

    @unittest.skipIf(rt.SANITIZED or not shutil.which('cc'), 'built without the flags of this flavour')
    def test_the_program_in_the_manual_works(self):
        service = self.service()
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, 'program')
            subprocess.run(['cc', '-Wall', '-Wextra', '-Werror', '-x', 'c', '-o', program, '-',
                            *package_flags(), f'-Wl,-rpath,{rt.BUILD}'],
                           input=manual_example(), text=True, check=True)
            run = self.program(program)
            self.assertEqual(run.end(), 0, run.lines)
        name = service.wait_line('registered').split()[1]
        self.assertEqual(run.lines, ['register: no error', f'200 from {name}: {name}'])
        self.assertEqual(self.registry.ids('front', status='any'), [])

    def test_pkg_config_needs_no_package_but_ours(self):
        self.assertEqual(package_flags(), [f'-I{rt.ROOT}/client/include', f'-L{rt.BUILD}', '-lrollcall'])

    @unittest.skipUnless(os.path.exists(os.path.join(EXAMPLES, 'pick')), 'no C++ compiler')
    def test_keys_stick_to_the_instances_that_the_registry_picks(self):
        for i in range(5):
            self.registry.register('db', f'db-{i}', port=i + 1)
        keys = [f'user-{i}' for i in range(100)]
        pick = self.program('pick', 'db', *keys)
        self.assertEqual(pick.end(), 0, pick.lines)
        wanted = [self.registry.pick('db', strategy='consistent_hash', key=key) for key in keys]
        self.assertEqual(pick.lines, [f'{key} {one}' for key, one in zip(keys, wanted)])


if __name__ == '__main__':
    rt.main()
