# SPDX-License-Identifier: MIT
"""The daemon on a disk that is slow, full or broken, and on a database that another process uses.

The disk is a preloaded library (tests/lib/slowdisk.c) that the test controls; the other process is a real one
that holds SQLite's write lock or writes to the database.
"""

import errno
import os
import sqlite3
import subprocess
import sys
import threading
import time

import rollcall_test as rt

FAILED_EXIT = 74  # EX_IOERR
IN_USE_EXIT = 75  # EX_TEMPFAIL
FSYNC_MS = 300


class SlowDisk(rt.TestCase):

    def setUp(self):
        self.disk = self.slow_disk()
        self.registry = self.daemon(self.disk.state_dir, env=self.disk.env)
        self.registry.register('web', 'a')
        self.disk.set(sync_delay_ms=FSYNC_MS)

    def in_background(self, work):
        thread = threading.Thread(target=work)
        thread.start()
        self.addCleanup(thread.join)
        return thread

    def test_an_answer_leaves_after_the_sync(self):
        syncs = self.disk.syncs
        begun = time.monotonic()
        self.registry.register('web', 'b')
        self.assertGreaterEqual(time.monotonic() - begun, FSYNC_MS / 1000)
        self.assertGreater(self.disk.syncs, syncs)

    def test_each_kind_of_change_is_synced(self):
        for change in (lambda: self.registry.register('web', 'a', port=81),
                       lambda: self.registry.set_status('web', 'a', 'draining', reason='x'),
                       lambda: self.registry.set_status('web', 'a', 'healthy'),
                       lambda: self.registry.deregister('web', 'a')):
            syncs = self.disk.syncs
            change()
            self.assertGreater(self.disk.syncs, syncs)

    def test_readers_see_only_durable_changes(self):
        writer = self.client(self.registry)
        syncs = self.disk.syncs
        thread = self.in_background(lambda: writer.register('web', 'b'))
        rt.wait_for(lambda: self.disk.syncs > syncs, what='a sync has begun', every=0.001)
        self.assertEqual(self.registry.ids('web'), ['a'])
        thread.join()
        self.assertEqual(self.registry.ids('web'), ['a', 'b'])

    def test_heartbeats_lookups_and_picks_do_not_wait_for_the_disk(self):
        stop = threading.Event()

        def write():
            client = self.registry.client()
            n = 0
            while not stop.is_set():
                n += 1
                client.register('web', 'busy', metadata={'n': str(n)})
            client.close()

        thread = self.in_background(write)
        self.addCleanup(stop.set)
        syncs = self.disk.syncs
        worst = {}
        while self.disk.syncs < syncs + 4:
            for name, ask in (('heartbeat', lambda: self.registry.heartbeat('web', 'a')),
                              ('lookup', lambda: self.registry.lookup('web')),
                              ('pick', lambda: self.registry.pick('web')),
                              ('renewal', lambda: self.registry.register('web', 'a')),
                              ('health', lambda: self.registry.get('/healthz'))):
                begun = time.monotonic()
                ask()
                worst[name] = max(worst.get(name, 0), time.monotonic() - begun)
        stop.set()
        thread.join()
        for name, took in worst.items():
            self.assertLess(took, FSYNC_MS / 2000, name)

    def test_one_sync_serves_all_waiting_changes(self):
        syncs = self.disk.syncs
        clients = [self.client(self.registry) for _ in range(32)]
        rt.parallel(32, lambda i: clients[i].register('web', f'i{i}'))
        # One sync for the first registration, one for the others, and a few for housekeeping.
        self.assertLess(self.disk.syncs - syncs, 8)


class FullDisk(rt.TestCase):

    def setUp(self):
        self.disk = self.slow_disk()
        self.registry = self.daemon(self.disk.state_dir, env=self.disk.env)
        self.kept = [f'kept-{i}' for i in range(20)]
        for name in self.kept:
            self.registry.register('web', name, ttl_ms=600000)

    def fill(self):
        """Stops the files from growing and registers until the daemon refuses; returns the registered ids."""
        self.disk.set(quota_bytes=self.disk.bytes_used())
        names = []
        for i in range(5000):
            response = self.registry.try_register('web', f'filler-{i}', metadata={'x': 'y' * 4000})
            if response.status != 201:
                break
            names.append(f'filler-{i}')
        self.assert_problem(response, 507, response.code)
        self.assertGreater(self.disk.refusals, 0)
        return names

    def test_registrations_are_refused_while_the_rest_goes_on(self):
        fillers = self.fill()
        self.assertEqual(self.registry.ids('web'), self.kept + fillers)
        self.assertEqual(self.registry.try_register('web', 'one-more').status, 507)
        self.assertIsNone(self.registry.instance('web', 'one-more'))
        self.assertIn(self.registry.pick('web'), self.kept + fillers)
        for name in self.kept:
            self.registry.heartbeat('web', name)
        # The same record again is a heartbeat: it needs no disk.
        self.assertEqual(self.registry.try_register('web', self.kept[0], ttl_ms=600000).status, 200)
        for name in self.kept[:10]:
            self.registry.deregister('web', name)
        self.assertEqual(self.registry.ids('web'), self.kept[10:] + fillers)
        self.assertEqual(self.registry.get('/healthz').status, 200)

    def test_it_recovers_by_itself_once_there_is_room(self):
        self.fill()
        self.disk.set(quota_bytes=0)
        rt.wait_for(lambda: self.registry.try_register('web', 'one-more').status == 201, 20)
        self.assertIn('one-more', self.registry.ids('web'))
        self.registry.deregister('web', 'one-more')

    def test_a_removal_on_a_full_disk_survives_a_crash(self):
        fillers = self.fill()
        for name in self.kept[:5]:
            self.registry.deregister('web', name)
        self.registry.kill()
        self.disk.set(quota_bytes=0)
        self.registry.start()
        self.assertEqual(self.registry.ids('web'), self.kept[5:] + fillers)


class BrokenDisk(rt.TestCase):

    def setUp(self):
        self.disk = self.slow_disk()
        self.registry = self.daemon(self.disk.state_dir, env=self.disk.env, start=False)

    def fails(self, **fault):
        self.registry.start()
        for name in ('a', 'b'):
            self.registry.register('web', name)
        self.disk.set(**fault)
        response = self.registry.try_register('web', 'c')
        # c was in the batch whose commit failed, so it may be on the disk.
        self.assert_problem(response, 503, 'outcome-unknown')
        self.assertEqual(self.registry.wait_exit(), FAILED_EXIT)
        self.registry.check_report()
        # The restart reads the disk: a and b must be there; c was not acknowledged and may be.
        self.disk.set(**{name: 0 for name in fault})
        self.registry.start()
        found = self.registry.ids('web')
        self.assertEqual(found[:2], ['a', 'b'])
        self.assertIn(found[2:], ([], ['c']))
        self.registry.register('web', 'd')

    def test_a_failed_sync_ends_it_with_a_code_of_its_own(self):
        self.fails(sync_errno=errno.EIO)

    def test_a_failed_write_ends_it_with_a_code_of_its_own(self):
        self.fails(write_errno=errno.EIO)

    def test_nothing_is_acknowledged_after_a_failed_sync(self):
        self.registry.start()
        self.registry.register('web', 'a')
        clients = [self.client(self.registry) for _ in range(16)]
        self.disk.set(sync_errno=errno.EIO)

        def register(i):
            try:
                return clients[i].try_register('web', f'i{i}').status
            except (OSError, EOFError):
                return None

        statuses = rt.parallel(16, register)
        self.assertTrue(set(statuses) <= {503, None}, statuses)
        self.assertEqual(self.registry.wait_exit(), FAILED_EXIT)


# Plays an operator's shell in a transaction: holds the write lock until its standard input ends.
LOCK = '''
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute('BEGIN IMMEDIATE')
print('locked', flush=True)
sys.stdin.read()
'''
CHANGES_WAIT_S = 2


class LockedDatabase(rt.TestCase):

    def setUp(self):
        self.registry = self.daemon()
        self.registry.register('web', 'a', ttl_ms=600000)
        self.other = None

    def lock(self):
        self.other = subprocess.Popen([sys.executable, '-c', LOCK, self.registry.database],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self.unlock)
        self.assertEqual(self.other.stdout.readline(), b'locked\n')

    def unlock(self):
        if self.other.poll() is None:
            self.other.stdin.close()
            self.assertEqual(self.other.wait(), 0)
            self.other.stdout.close()

    def refused(self, client, name):
        response = client.try_register('web', name)
        self.assert_problem(response, 503, 'storage-locked')
        self.assertEqual(response.headers['Retry-After'], '1')

    def test_changes_wait_then_are_refused_while_the_rest_goes_on(self):
        self.lock()
        clients = [self.client(self.registry) for _ in range(8)]
        begun = time.monotonic()
        rt.parallel(8, lambda i: self.refused(clients[i], f'early-{i}'))
        took = time.monotonic() - begun
        self.assertGreaterEqual(took, CHANGES_WAIT_S * 0.9)
        self.assertLess(took, rt.seconds(CHANGES_WAIT_S * 2))

        # A change in each turn, for longer than SQLite's busy timeout.
        end = begun + 7
        n = 0
        while time.monotonic() < end:
            n += 1
            asked = time.monotonic()
            self.refused(clients[0], f'late-{n}')
            self.assertLess(time.monotonic() - asked, rt.seconds(1))
            asked = time.monotonic()
            self.registry.heartbeat('web', 'a')
            self.assertEqual(self.registry.ids('web'), ['a'])
            self.assertLess(time.monotonic() - asked, rt.seconds(0.5))
        self.assertTrue(self.registry.status()['storage']['locked'])
        self.assertEqual(self.registry.metric('rollcall_journal_locked'), 1)
        self.assertEqual(self.registry.get('/readyz').status, 200)
        self.registry.wait_log(rf'process {self.other.pid} \(.*has locked the database')
        self.registry.wait_log(rf'process {self.other.pid} \(.*changes are refused')

        self.unlock()
        # The daemon notices the end of the lock without a change.
        rt.wait_for(lambda: not self.registry.status()['storage']['locked'], 2)
        self.assertEqual(self.registry.metric('rollcall_journal_locked'), 0)
        self.registry.register('web', 'b')
        self.assertEqual(self.registry.ids('web'), ['a', 'b'])
        self.assertEqual(self.registry.metric('rollcall_journal_lock_waits_total'), 1)
        self.assertEqual(self.registry.metric('rollcall_commit_failures_total'), 0)

    def test_a_short_lock_only_delays(self):
        self.lock()
        threading.Timer(0.5, self.unlock).start()
        begun = time.monotonic()
        self.registry.register('web', 'b')
        self.assertGreaterEqual(time.monotonic() - begun, 0.4)

    def test_an_expiry_is_not_lost(self):
        self.registry.register('web', 'dies', ttl_ms=1000)
        self.lock()
        self.registry.wait_log('changes are refused')
        self.assertEqual(self.registry.ids('web'), ['a', 'dies'])
        self.unlock()
        rt.wait_for(lambda: self.registry.ids('web') == ['a'], 5)

    def test_it_stops_in_time(self):
        self.lock()
        client = self.client(self.registry)
        thread = threading.Thread(target=lambda: self.refused(client, 'b'))
        thread.start()
        self.registry.wait_log('changes wait')
        self.registry.stop()  # fails after STOP_S, and on another exit code than 0
        thread.join()
        self.unlock()
        self.registry.start()
        self.assertEqual(self.registry.ids('web'), ['a'])


class TwoWriters(rt.TestCase):

    def setUp(self):
        self.registry = self.daemon()
        self.registry.register('web', 'a')

    def second(self):
        second = self.daemon(self.registry.state_dir, start=False)
        second.spawn()
        self.assertEqual(second.wait_exit(), IN_USE_EXIT)
        self.assertRegex(second.log, 'is in use by')

    def test_a_second_daemon_is_kept_out_though_the_lock_file_was_removed(self):
        self.second()
        os.unlink(os.path.join(self.registry.state_dir, 'rollcall.lock'))
        self.second()
        self.registry.register('web', 'b')
        self.registry.restart()
        self.assertEqual(self.registry.ids('web'), ['a', 'b'])
        self.assertNotIn('damaged', self.registry.log)

    def append(self):
        """Appends an event, as another program or a daemon without the lock does."""
        database = sqlite3.connect(self.registry.database)
        database.executescript('''
            CREATE TEMP TABLE copy AS SELECT * FROM events ORDER BY revision DESC LIMIT 1;
            UPDATE copy SET revision = revision + 1;
            BEGIN; INSERT INTO events SELECT * FROM copy; COMMIT;''')
        database.close()

    def test_another_writer_ends_it_with_a_code_of_its_own(self):
        self.append()  # the daemon must notice this without a change of its own
        self.assertEqual(self.registry.wait_exit(), IN_USE_EXIT)
        self.registry.wait_log('another process writes this database')
        self.registry.start()
        self.assertEqual(self.registry.ids('web'), ['a'])
        self.assertNotIn('damaged', self.registry.log)
        self.assertEqual([name for name in os.listdir(self.registry.state_dir)
                          if 'corrupt' in name or 'suspect' in name], [])


if __name__ == '__main__':
    rt.main()
