# SPDX-License-Identifier: MIT
"""Each allocation, write, sync and open of a session fails once, one in each run.

The daemon must not abort or lose an acknowledged change, each answer must be right or report the failure, and
the daemon must serve again once the calls succeed. ROLLCALL_PROOF=1 (make proof) tests every ordinal; otherwise
the tests take a sample that includes the first ones. tests/lib/failcall.c makes the calls fail.
"""

import errno
import http.client
import os
import subprocess
import unittest

import rollcall_test as rt

PROOF = os.environ.get('ROLLCALL_PROOF') == '1'
ORDINAL_MAX = 20000  # a session has fewer calls than that
# The exit codes for a state directory that cannot be read or written: EX_IOERR, EX_TEMPFAIL.
DISK_EXITS = (74, 75)


class Session:
    """Makes the requests of a session and keeps the acknowledged state."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.acknowledged = {}  # (service, id): record, None when deregistered; absent when unknown
        self.refused = 0
        self.strict = False
        self.number = 0

    def call(self, method, path, body=None, headers=None, good=(200, 201, 204)):
        """Returns the answer; None when it reports the failure or the connection failed."""
        client = self.daemon.client()
        try:
            answer = client.request(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.refused += 1
            if self.strict:
                raise AssertionError(f'{method} {path}: {error!r}\n{self.daemon.log[-600:]}') from error
            return None
        finally:
            client.close()
        if answer.status in good:
            return answer
        self.refused += 1
        if self.strict or answer.status not in (503, 507):
            raise AssertionError(f'{method} {path}: {answer}\n{self.daemon.log[-600:]}')
        return None

    def put(self, service, instance, **fields):
        record = {'host': '10.0.0.1', 'port': 80, **fields}
        answer = self.call('PUT', rt.instance_path(service, instance), record)
        if answer is None:
            self.acknowledged.pop((service, instance), None)
        else:
            self.acknowledged[service, instance] = record

    def delete(self, service, instance):
        if self.call('DELETE', rt.instance_path(service, instance)) is None:
            self.acknowledged.pop((service, instance), None)
        else:
            self.acknowledged[service, instance] = None

    def write(self):
        self.number += 1
        version = {'version': str(self.number), 'text': 'x' * 300}
        self.put('web', 'a', metadata=version)
        self.put('web', 'b', metadata=version, weight=self.number % 100)
        self.put(f'shop{self.number % 3}', 'c', port=1 + self.number % 60000)
        self.delete(f'shop{(self.number + 1) % 3}', 'c')
        self.call('PUT', rt.instance_path('web', 'b') + '/status',
                  {'status': 'draining', 'reason': f'deploy {self.number}', 'for_ms': 600000},
                  good=(200, 404))
        self.call('PUT', rt.instance_path('web', 'b') + '/status', {'status': 'healthy'}, good=(200, 404))

    def read(self):
        self.call('POST', rt.instance_path('web', 'a') + '/heartbeat', {'load': 0.5}, good=(200, 404))
        self.call('POST', '/v1/heartbeats', {'instances': [{'service': 'web', 'id': name} for name in 'abz']})
        found = (200, 404)
        for path in ('/v1/services/web', '/v1/services/web?status=any&limit=1', '/v1/services/web?format=text',
                     '/v1/services/web?meta.version=1', rt.instance_path('web', 'a')):
            self.call('GET', path, good=found)
        for strategy in ('round_robin', 'weighted_round_robin', 'consistent_hash', 'random', 'least_loaded'):
            key = '&key=x' if strategy == 'consistent_hash' else ''
            self.call('GET', f'/v1/services/web/pick?strategy={strategy}{key}', good=found)
        for path in ('/v1/services', '/v1/status', '/metrics', '/openapi.json', '/healthz', '/',
                     '/v1/events?limit=20', '/v1/events?service=web&format=text&limit=5',
                     '/v1/services?format=text', '/v1/services?prefix=w&pretty', '/v1/services/web/intents',
                     '/v1/services/web/intents?format=text'):
            self.call('GET', path)

    def travel(self):
        """Reads past states and makes requests that wait."""
        status = self.call('GET', '/v1/status')
        revision = status.json()['revision'] if status is not None else 0
        if revision == 0:
            return
        self.call('GET', f'/v1/services/web?at={revision}', good=(200, 404))
        self.call('GET', f'/v1/diff?from={max(1, revision - 4)}&to={revision}')
        self.call('GET', '/v1/services/web/instances/a/history', good=(200, 404))
        self.call('GET', f'/v1/services/web?revision={revision}&wait_ms=1', good=(200, 404))
        self.call('GET', f'/v1/services?prefix=w&revision={revision}&wait_ms=1')
        self.call('GET', f'/v1/events?since={revision}&wait_ms=1')
        self.call('GET', f'/v1/events?since={max(0, revision - 3)}&wait_ms=1', headers={
            'Accept': 'application/jsonl'})

    def run(self):
        self.write()
        self.read()
        self.travel()

    def check(self, daemon):
        """Checks that the daemon has the acknowledged state."""
        for (service, name), record in self.acknowledged.items():
            found = daemon.instance(service, name)
            if record is None:
                assert found is None, f'{service}/{name} was deregistered: {found}'
                continue
            assert found is not None, f'{service}/{name} was acknowledged and is lost'
            for field, value in record.items():
                assert found[field] == value, f'{service}/{name}: {field} is {found[field]}, not {value}'


class Memory(rt.TestCase):

    @unittest.skipIf(rt.SANITIZED, 'a sanitizer has an allocator of its own')
    def test_each_allocation_fails_once(self):
        calls = self.fail_call()
        daemon = self.daemon(calls.state_dir, env=calls.env)
        session = Session(daemon)
        session.strict = True
        session.run()
        session.strict = False
        nth, hits = 0, 0
        while nth < ORDINAL_MAX:
            calls.fail('allocation', nth)
            session.run()
            hit = calls.failed('allocation')
            calls.relent()
            self.assertTrue(daemon.running, f'allocation {nth}: exit code {daemon.process.returncode}\n{daemon.log[-1500:]}')
            if not hit:
                break
            hits += 1
            if hits % 50 == 0:
                self.all_works(session, nth)
            nth += 1 if PROOF or nth < 20 else 5
        self.assertGreater(hits, 100)
        self.all_works(session, nth)
        daemon.stop()
        self.restart_without_faults(daemon, session)

    def all_works(self, session, nth):
        try:
            session.strict = True
            session.run()
            session.check(session.daemon)
        except AssertionError as error:
            raise AssertionError(f'after allocation {nth} failed: {error}') from error
        finally:
            session.strict = False

    def restart_without_faults(self, daemon, session):
        daemon.env = {}
        daemon.start()
        session.check(daemon)


@unittest.skipIf(rt.SANITIZED, 'the library that fails calls has malloc(), as a sanitizer does')
class Files(rt.TestCase):

    def runs(self, kind, error):
        """Makes a run for each ordinal until no call fails: the session has no more calls. Returns the ordinal."""
        nth = 0
        while nth < ORDINAL_MAX:
            if not self.one_run(kind, nth, error):
                return nth
            nth += 1 if PROOF or nth < 8 else 7
        raise AssertionError(f'more than {ORDINAL_MAX} calls')

    def one_run(self, kind, nth, error):
        """@return whether a call failed."""
        calls = rt.FailCall(self.directory())
        daemon = self.daemon(calls.state_dir, env=calls.env, start=False)
        session = Session(daemon)
        calls.fail(kind, nth, error)
        context = f'{kind} {nth}, {os.strerror(error)}'
        try:
            daemon.start()
        except AssertionError:
            code = daemon.wait_exit()
            self.assertIn(code, DISK_EXITS, f'{context}: at start\n{daemon.log[-1500:]}')
        else:
            session.run()
            session.run()
        failed = calls.failed(kind)
        self.end(daemon, context)
        calls.relent()
        daemon.env = {}
        daemon.start()
        try:
            session.check(daemon)
        except AssertionError as lost:
            raise AssertionError(f'{context}: {lost}\n{daemon.log[-1500:]}') from lost
        self.assertNotIn('damage', daemon.log, context)
        daemon.stop()
        check = subprocess.run([rt.ROLLCALLD, f'--state-dir={daemon.state_dir}', '--check'],
                               capture_output=True, text=True, check=False)
        self.assertEqual(check.returncode, 0, f'{context}: {check.stdout}{check.stderr}')
        calls.close()
        return failed

    def end(self, daemon, context):
        """Checks that the daemon has ended because of the disk, or ends on SIGTERM."""
        if daemon.process.poll() is None:
            daemon.signal(rt.signal.SIGTERM)
        code = daemon.wait_exit()
        self.assertIn(code, (0, *DISK_EXITS), f'{context}\n{daemon.log[-1500:]}')
        daemon.check_report()

    def test_each_write_fails_once(self):
        self.assertGreater(self.runs('write', errno.EIO), 20)

    def test_each_write_finds_the_disk_full_once(self):
        self.assertGreater(self.runs('write', errno.ENOSPC), 20)

    def test_each_sync_fails_once(self):
        self.assertGreater(self.runs('sync', errno.EIO), 8)

    def test_each_open_fails_once(self):
        self.assertGreater(self.runs('open', errno.EIO), 8)


if __name__ == '__main__':
    rt.main()
