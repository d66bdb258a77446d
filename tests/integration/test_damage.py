# SPDX-License-Identifier: MIT
"""Damaged state files: the daemon and --check find and report the damage, and the daemon salvages the rest.

Also states that look similar and are no damage. The tests change the files of a stopped daemon.
"""

import glob
import gzip
import os
import random
import shutil
import signal
import sqlite3
import subprocess

import rollcall_test as rt

OK, DAMAGED = 0, 1
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data')


class Damage(rt.TestCase):

    def check(self, state_dir):
        """Runs --check; returns exit status and output."""
        result = subprocess.run([rt.ROLLCALLD, '--check', f'--state-dir={state_dir}'],
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                                timeout=rt.seconds(30))
        return result.returncode, result.stdout + result.stderr

    def killed(self, count=40):
        """A killed daemon whose acknowledged changes are in the write-ahead log."""
        daemon = self.daemon()
        for n in range(count):
            daemon.register('web', f'instance-{n}')
        daemon.kill()
        return daemon

    def flip(self, path, at, bit):
        with open(path, 'r+b') as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << bit]))

    def test_one_flipped_bit_in_the_log_loses_nothing_silently(self):
        for seed in range(4):
            daemon = self.killed()
            log = daemon.database + '-wal'
            rng = random.Random(seed)
            self.flip(log, rng.randrange(os.path.getsize(log)), rng.randrange(8))
            code, text = self.check(daemon.state_dir)
            self.assertEqual(code, DAMAGED, text)
            self.assertIn('rollcall.db-wal', text)
            daemon.start()
            daemon.wait_log('error.*rollcall.db-wal.*is damaged in.*kept as rollcall.db.corrupt-')
            self.assertTrue(glob.glob(daemon.database + '.corrupt-*-wal'))
            lost = daemon.metric('rollcall_journal_lost_events_total')
            self.assertEqual(daemon.metric('rollcall_journal_salvages_total'), 1)
            self.assertGreaterEqual(len(daemon.ids('web')) + lost, 40)
            daemon.restart()
            self.assertEqual(daemon.metric('rollcall_journal_salvages_total'), 0)

    def test_a_database_that_lost_its_content_comes_back(self):
        for size in (0, 100):
            daemon = self.killed()
            with open(daemon.database, 'r+b') as file:
                file.truncate(size)
            code, text = self.check(daemon.state_dir)
            self.assertEqual(code, DAMAGED, text)
            daemon.start()
            daemon.wait_log('error.*rollcall.db. has lost its content')
            self.assertEqual(len(daemon.ids('web')), 40)

    def test_the_beginnings_of_a_first_start_are_no_damage(self):
        state_dir = self.directory()
        with open(os.path.join(state_dir, 'rollcall.db'), 'wb'):
            pass
        code, text = self.check(state_dir)
        self.assertEqual(code, OK, text)
        self.assertIn('nothing has been written to the journal yet', text)
        daemon = self.daemon(state_dir)
        daemon.register('web', 'a')
        self.assertEqual(glob.glob(daemon.database + '.corrupt-*'), [])
        self.assertNotIn('"error"', daemon.log)

    def test_any_history_is_refused_beside_a_damaged_event(self):
        daemon = self.killed(20)
        daemon.restart()
        client = self.client(daemon)
        self.assertEqual(client.get('/v1/events?service=web').status, 200)
        database = sqlite3.connect(daemon.database)
        with database:
            database.execute("UPDATE events SET service = 'xeb' WHERE revision = 7")
        database.close()
        for asked in ('', '?service=web', '?service=db', '?kind=drained', '?service=web&id=instance-19'):
            self.assert_problem(client.get('/v1/events' + asked), 503, 'storage-failed')
        for path in ('/v1/services/web?at=10', '/v1/services/db?at=10'):
            self.assert_problem(client.get(path), 503, 'storage-failed')
        self.assertEqual(client.get('/v1/events?since=7&service=web').status, 200)
        daemon.register('web', 'new')

    # --- salvaging --------------------------------------------------------------

    def damaged_tree(self, state_dir):
        """Installs a database whose tree leads back to earlier keys."""
        with gzip.open(os.path.join(DATA, 'salvage-loop.db.gz')) as packed, \
                open(os.path.join(state_dir, 'rollcall.db'), 'wb') as file:
            shutil.copyfileobj(packed, file)

    def test_salvaging_a_tree_that_leads_in_circles_ends(self):
        state_dir = self.directory()
        self.damaged_tree(state_dir)
        self.assertEqual(self.check(state_dir)[0], DAMAGED)
        daemon = self.daemon(state_dir)
        daemon.wait_log('error.*instances salvaged: 152;')
        self.assertEqual(sum(daemon.status()['instances'].values()), 152)

    def test_a_stop_while_salvaging_takes_effect_and_loses_nothing(self):
        disk = self.slow_disk()
        self.damaged_tree(disk.state_dir)
        before = os.path.getsize(os.path.join(disk.state_dir, 'rollcall.db'))
        for number in (signal.SIGTERM, signal.SIGINT):
            disk.set(sync_delay_ms=600_000)
            daemon = self.daemon(disk.state_dir, env=disk.env, start=False)
            synced = disk.syncs
            daemon.spawn()
            rt.wait_for(lambda: disk.syncs > synced, what='a sync of the file that is built')
            self.assertTrue(glob.glob(daemon.database + '.building'))
            daemon.signal(number)
            self.assertEqual(daemon.wait_exit(), 0)
            self.assertEqual(os.path.getsize(daemon.database), before)
        disk.set(sync_delay_ms=0)
        daemon.start()
        self.assertEqual(sum(daemon.status()['instances'].values()), 152)
        self.assertEqual(glob.glob(daemon.database + '.building*'), [])

    def test_no_thread_takes_the_signals_that_stop(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        stopping = 1 << signal.SIGTERM - 1 | 1 << signal.SIGINT - 1
        for status in glob.glob(f'/proc/{daemon.pid}/task/*/status'):
            with open(status, encoding='ascii') as file:
                fields = dict(line.split(':', 1) for line in file)
            self.assertEqual(int(fields['SigBlk'], 16) & stopping, stopping, fields['Name'])


if __name__ == '__main__':
    rt.main()
