# SPDX-License-Identifier: MIT
"""A registry moved by rollcalld --export and --import."""

import json
import os
import signal
import subprocess
import zlib

import rollcall_test as rt

OK, DAMAGED, IOERR, TEMPFAIL, CONFIG = 0, 1, 74, 75, 78


def run(*args, given=b'', stdout=subprocess.PIPE):
    return subprocess.run([rt.ROLLCALLD, *args], input=given, stdout=stdout, stderr=subprocess.PIPE, check=False,
                          timeout=rt.seconds(60))


class Backup(rt.TestCase):

    def setUp(self):
        self.registry = self.daemon()
        for n in range(50):
            self.registry.register(f'service-{n % 7}', f'id/{n}', port=1 + n, ttl_ms=n % 2 * 60000,
                                   metadata={'n': str(n), 'ä"': '\n😀'})

    def change_statuses(self):
        self.registry.register('service-0', 'short', ttl_ms=1000)
        rt.wait_for(lambda: self.registry.instance('service-0', 'short')['status'] == 'unhealthy', 5, 'short')
        for n in range(0, 50, 5):
            bound = {'for_ms': 3600000, 'reason': f'kernel {n}'} if n % 2 else {}
            self.ok(self.registry.put(rt.instance_path(f'service-{n % 7}', f'id/{n}') + '/status',
                                      {'status': 'draining', **bound}))
        for n in range(0, 50, 9):
            self.registry.deregister(f'service-{n % 7}', f'id/{n}')

    def ok(self, response):
        self.assertEqual(response.status, 200, response)
        return response

    def state(self, daemon):
        """All that it shows of its instances, in their order, but for heartbeats."""
        shown = {}
        for service in (each['service'] for each in daemon.get('/v1/services').json()['services']):
            listed = daemon.get(f'/v1/services/{service}?status=any').json()['instances']
            shown[service] = listed
        return shown

    def export(self, state_dir=None):
        result = run('--export', f'--state-dir={state_dir or self.registry.state_dir}')
        self.assertEqual(result.returncode, OK, result.stderr)
        self.assertEqual(result.stderr, b'')
        return result.stdout

    def assert_refused(self, result, code, reason):
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertRegex(result.stderr.decode(), reason)
        self.assertEqual(result.stderr.count(b'\n'), 1)

    def test_a_moved_registry_is_the_same(self):
        self.change_statuses()
        before = self.state(self.registry)
        self.assertEqual(len(before), 7)
        revision = self.registry.status()['revision']
        self.registry.stop()
        exported = self.export()
        lines = [json.loads(line) for line in exported.splitlines()]
        self.assertEqual((lines[0]['rollcall_export'], lines[0]['revision']), (1, revision))
        self.assertEqual(lines[0]['instances'], sum(map(len, before.values())))
        self.assertEqual(lines[-1], {'end': True, 'lines': len(lines) - 1,
                                     'crc32': f'{zlib.crc32(exported[:exported.rindex(b"{")]):08x}'})
        moved = os.path.join(self.directory(), 'new')
        result = run('--import', f'--state-dir={moved}', given=exported)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (OK, b'', b''))
        self.assertEqual(os.stat(moved).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(os.path.join(moved, 'rollcall.db')).st_mode & 0o777, 0o600)
        self.assertEqual(run('--check', f'--state-dir={moved}').returncode, OK)
        new = self.daemon(state_dir=moved)
        self.assertEqual(self.state(new), before)
        self.assertEqual(new.get(f'/v1/events?since={revision}').status, 410)
        begun = new.status()['revision']
        for service, listed in before.items():
            self.assertEqual(new.get(f'/v1/services/{service}?status=any&at={begun}').json()['instances'], listed)
        self.assertEqual(new.get(f'/v1/services/service-1?at={revision}').status, 410)
        new.register('service-1', 'another')
        self.assertGreater(new.status()['revision'], revision)
        new.restart()
        self.assertEqual(len(self.state(new)['service-1']), len(before['service-1']) + 1)
        new.stop()
        self.assertEqual(run('--check', f'--state-dir={moved}').returncode, OK)
        self.assertNotEqual(json.loads(self.export(moved).splitlines()[0])['history'], lines[0]['history'])

    def test_a_crashed_registry_is_exported_whole(self):
        self.change_statuses()
        before = self.state(self.registry)
        self.registry.kill()
        exported = self.export()
        moved = self.directory()
        self.assertEqual(run('--import', f'--state-dir={moved}', given=exported).returncode, OK)
        self.assertEqual(self.state(self.daemon(state_dir=moved)), before)

    def test_both_refuse_while_a_daemon_runs(self):
        pid = self.registry.process.pid
        result = run('--export', f'--state-dir={self.registry.state_dir}')
        self.assert_refused(result, TEMPFAIL, f'is in use by process {pid}\n')
        self.assertEqual(result.stdout, b'')
        self.assert_refused(run('--import', f'--state-dir={self.registry.state_dir}'), TEMPFAIL,
                            f'is in use by process {pid}\n')
        self.registry.register('web', 'still-works')

    def test_an_import_refuses_a_directory_that_is_not_empty(self):
        self.registry.stop()
        exported = self.export()
        self.assert_refused(run('--import', f'--state-dir={self.registry.state_dir}', given=exported), CONFIG,
                            "is not empty: 'rollcall.db' is in it")
        self.assertEqual(self.export().splitlines()[1:-1], exported.splitlines()[1:-1])
        other = self.directory()
        with open(os.path.join(other, 'notes'), 'w', encoding='utf-8'):
            pass
        self.assert_refused(run('--import', f'--state-dir={other}', given=exported), CONFIG, "'notes' is in it")
        self.assertEqual(os.listdir(other), ['notes'])

    def test_what_is_not_whole_leaves_nothing(self):
        self.registry.stop()
        exported = self.export()
        target = self.directory()
        middle = len(exported) // 2
        for given, reason in ((exported[:middle], 'truncated'), (b'', 'line 1: the export is truncated'),
                              (exported + b'\n', 'after the end'),
                              (exported.replace(b'"port":5,', b'"port":6,'), 'checksum'),
                              (exported.replace(b'"port":5,', b'"port":"5",'), r'line \d+: port: an integer was'),
                              (b'not JSON\n', "line 1: '{' was expected at byte 1")):
            self.assert_refused(run('--import', f'--state-dir={target}', given=given), DAMAGED, reason)
            self.assertEqual(os.listdir(target), [])

    def test_what_cannot_be_read_or_written(self):
        self.registry.stop()
        nowhere = os.path.join(self.directory(), 'none')
        self.assert_refused(run('--export', f'--state-dir={nowhere}'), CONFIG, 'No such file or directory')
        self.assert_refused(run('--import', f'--state-dir={nowhere}/deeper', given=b''), CONFIG,
                            'No such file or directory')
        self.assertFalse(os.path.exists(nowhere))
        with open('/dev/full', 'wb') as full:
            self.assert_refused(run('--export', f'--state-dir={self.registry.state_dir}', stdout=full), IOERR,
                                'No space left on device')
        with open(self.registry.database, 'r+b') as file:
            file.seek(4096)
            file.write(b'\xa5' * 100)
        self.assert_refused(run('--export', f'--state-dir={self.registry.state_dir}'), DAMAGED,
                            r'rollcall.db. is damaged: ')

    def test_an_import_that_is_killed_is_as_good_as_none(self):
        self.registry.stop()
        exported = self.export()
        target = self.directory()
        child = subprocess.Popen([rt.ROLLCALLD, '--import', f'--state-dir={target}'], stdin=subprocess.PIPE)
        child.stdin.write(exported[:-10])
        child.stdin.flush()
        building = os.path.join(target, 'rollcall.db.building')
        rt.wait_for(lambda: os.path.exists(building), 10, 'it builds')
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdin.close()
        self.assertFalse(os.path.exists(os.path.join(target, 'rollcall.db')))
        result = run('--import', f'--state-dir={target}', given=exported)
        self.assertEqual((result.returncode, result.stderr), (OK, b''))
        self.assertFalse(os.path.exists(building))

    def test_they_exclude_other_actions(self):
        self.assert_refused(run('--export', '--import'), 64, '--export and --import exclude each other')
        self.assert_refused(run('--export=x'), 64, '--export takes no value')
