# SPDX-License-Identifier: MIT
"""Leases in real time, with the shortest valid TTL.

The unit tests of leases have a virtual clock; these check the real clock: stalls (SIGSTOP), restarts, drains and
mass expiry. The sleeps are the passing of a TTL itself, for which there is no event to wait.
"""

import threading
import time

import rollcall_test as rt

TTL_S = 1.0
TTL_MS = 1000
# A lease runs out at its TTL at the earliest; the sweeper finds it at most this much later if nothing stalls.
LATE_S = rt.seconds(1)


class Heartbeaters:
    """Threads that send heartbeats, each over a connection of its own, until stop()."""

    def __init__(self, daemon, service, ids, every=0.3):
        self.daemon, self.service, self.every = daemon, service, every
        self.ended = threading.Event()
        self.statuses = []
        self.threads = [threading.Thread(target=self._beat, args=(name,)) for name in ids]
        for thread in self.threads:
            thread.start()

    def _beat(self, name):
        client = self.daemon.client(timeout=30)
        while True:
            self.statuses.append(client.try_heartbeat(self.service, name).status)
            if self.ended.wait(self.every):
                break
        client.close()

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        return set(self.statuses)


class Expiry(rt.TestCase):

    def setUp(self):
        self.registry = self.daemon()

    def register(self, name, service='web', **fields):
        return self.registry.register(service, name, ttl_ms=TTL_MS, **fields)

    def status_of(self, name, service='web'):
        found = self.registry.instance(service, name)
        return found and found['status']

    def kinds(self, name, service='web'):
        return [event['kind'] for event in self.registry.events(service=service)
                if event['id'] == name and 'instance' in event]

    def wait_status(self, name, status, timeout=5, service='web'):
        rt.wait_for(lambda: self.status_of(name, service) == status, timeout, f'{name} {status}')

    def heartbeats(self, ids, service='web', daemon=None):
        beating = Heartbeaters(daemon or self.registry, service, ids)
        self.addCleanup(beating.stop)
        return beating

    def test_without_a_lease_an_instance_outlives_others_and_a_restart(self):
        self.registry.register('web', 'static', ttl_ms=0)
        self.register('a')
        self.wait_status('a', 'unhealthy')
        self.assertEqual(self.status_of('static'), 'healthy')
        self.registry.restart()
        self.register('b')
        self.wait_status('b', 'unhealthy')
        self.assertEqual(self.status_of('static'), 'healthy')
        self.assertEqual(self.kinds('static'), ['registered'])

    def test_a_lease_runs_out_after_its_ttl_and_not_before(self):
        begun = time.monotonic()
        self.register('a')
        registered = time.monotonic()
        while self.status_of('a') == 'healthy':
            asked = time.monotonic()
            self.assertLess(asked - registered, TTL_S + LATE_S, 'still healthy')
        self.assertGreaterEqual(time.monotonic() - begun, TTL_S)
        self.assertEqual(self.status_of('a'), 'unhealthy')
        self.assertEqual(self.registry.ids('web'), [])
        self.assertEqual(self.registry.ids('web', status='unhealthy'), ['a'])
        self.assertEqual(self.kinds('a'), ['registered', 'expired'])

    def test_an_expired_instance_is_removed_after_remove_after(self):
        begun = time.monotonic()
        self.register('a', remove_after_ms=700)
        self.wait_status('a', None)
        self.assertGreaterEqual(time.monotonic() - begun, TTL_S + 0.7)
        self.assertLess(time.monotonic() - begun, TTL_S + 0.7 + 2 * LATE_S)
        self.assertEqual(self.kinds('a'), ['registered', 'expired', 'removed'])
        self.assert_problem(self.registry.get('/v1/services/web'), 404, 'unknown-service')
        self.assert_problem(self.registry.try_heartbeat('web', 'a'), 404, 'not-registered')

    def test_remove_after_zero_keeps_it(self):
        self.register('a', remove_after_ms=0)
        self.register('b', remove_after_ms=1)
        self.wait_status('b', None)
        self.assertEqual(self.status_of('a'), 'unhealthy')

    def test_heartbeats_keep_it_alive(self):
        self.register('a')
        self.register('b', service='other')
        beating = self.heartbeats(['a'])
        self.wait_status('b', 'unhealthy', service='other')
        # The expiry of b shows that leases were swept, while heartbeats have renewed that of a.
        time.sleep(TTL_S)
        self.assertEqual(self.status_of('a'), 'healthy')
        self.assertEqual(self.kinds('a'), ['registered'])
        self.assertEqual(beating.stop(), {200})
        self.wait_status('a', 'unhealthy')

    def test_putting_the_same_record_again_keeps_it_alive_without_an_event(self):
        self.register('a')
        self.register('b', service='other')
        revision = self.registry.instance('web', 'a')['revision']
        while self.status_of('b', 'other') == 'healthy':
            self.register('a')
            time.sleep(0.1)
        self.assertEqual(self.status_of('a'), 'healthy')
        self.assertEqual(self.registry.instance('web', 'a')['revision'], revision)

    def test_a_batch_of_heartbeats_renews_all(self):
        for name in ('a', 'b', 'late'):
            self.register(name)
        batch = {'instances': [{'service': 'web', 'id': name} for name in ('a', 'b', 'gone')]}
        while self.status_of('late') == 'healthy':
            answer = self.registry.ok(self.registry.post('/v1/heartbeats', batch), 200).json()
            self.assertEqual(answer['renewed'], 2)
            self.assertEqual(answer['not_registered'], [{'service': 'web', 'id': 'gone'}])
            time.sleep(0.1)
        self.assertEqual(self.registry.ids('web'), ['a', 'b'])

    def test_a_heartbeat_brings_back_what_expired(self):
        self.register('a')
        self.wait_status('a', 'unhealthy')
        answer = self.registry.heartbeat('web', 'a')
        self.assertEqual(answer['status'], 'healthy')
        self.assertEqual(self.registry.ids('web'), ['a'])
        self.assertEqual(self.kinds('a'), ['registered', 'expired', 'recovered'])
        self.wait_status('a', 'unhealthy')
        self.register('a')
        self.assertEqual(self.status_of('a'), 'healthy')

    def test_a_stall_of_the_daemon_longer_than_the_ttl_expires_no_instance(self):
        ids = [f'i{i}' for i in range(8)]
        for name in ids:
            self.register(name)
        beating = self.heartbeats(ids)
        rt.wait_for(lambda: len(beating.statuses) >= 2 * len(ids))
        for _ in range(2):
            self.registry.pause()
            time.sleep(2.5 * TTL_S)
            self.registry.resume()
            self.assertEqual(self.registry.ids('web'), ids)
            time.sleep(1.2 * TTL_S)
        self.assertEqual(self.registry.ids('web'), ids)
        self.assertEqual(beating.stop(), {200})
        for name in ids:
            self.assertEqual(self.kinds(name), ['registered'])

    def test_a_silent_instance_gets_one_more_ttl_after_a_stall(self):
        self.register('a')
        self.registry.pause()
        time.sleep(1.5 * TTL_S)
        resumed = time.monotonic()
        self.registry.resume()
        self.wait_status('a', 'unhealthy')
        self.assertLess(time.monotonic() - resumed, TTL_S + 2 * LATE_S)

    def restarted(self, end):
        self.register('a')
        self.register('quiet', service='other')
        self.wait_status('quiet', 'unhealthy', service='other')
        self.registry.heartbeat('web', 'a')
        end()
        time.sleep(1.2 * TTL_S)
        self.registry.start()
        ready = time.monotonic()
        self.assertEqual(self.status_of('a'), 'healthy')
        self.assertEqual(self.status_of('quiet', 'other'), 'unhealthy')
        self.wait_status('a', 'unhealthy')
        # The TTL begins when the daemon accepts heartbeats, which is a little before "ready".
        self.assertGreater(time.monotonic() - ready, 0.8 * TTL_S)
        self.assertLess(time.monotonic() - ready, TTL_S + LATE_S)

    def test_a_restart_grants_one_ttl(self):
        self.restarted(self.registry.stop)

    def test_a_crash_grants_one_ttl(self):
        self.restarted(self.registry.kill)

    # --- draining ---

    def test_draining_sticks_through_heartbeats_registration_expiry_and_restart(self):
        self.register('a')
        found = self.registry.set_status('web', 'a', 'draining', reason='upgrade at noon')
        self.assertEqual((found['status'], found['status_reason']), ('draining', 'upgrade at noon'))
        self.assertEqual(self.registry.heartbeat('web', 'a')['status'], 'draining')
        self.register('a', status='healthy')
        self.assertEqual(self.status_of('a'), 'draining')
        self.register('a', weight=7)
        self.assertEqual(self.status_of('a'), 'draining')
        rt.wait_for(lambda: self.kinds('a')[-1] == 'expired', 5, 'expired')
        self.assertEqual(self.status_of('a'), 'draining')  # as is planned
        self.assertEqual(self.registry.heartbeat('web', 'a')['status'], 'draining')
        self.assertEqual(self.kinds('a')[-1], 'recovered')
        self.registry.restart()
        self.assertEqual(self.status_of('a'), 'draining')
        self.assertEqual(self.registry.set_status('web', 'a', 'healthy')['status'], 'healthy')
        self.assertEqual(self.registry.ids('web'), ['a'])

    def test_a_drain_for_a_time_ends_by_itself(self):
        self.registry.register('web', 'a')
        begun = time.monotonic()
        self.registry.set_status('web', 'a', 'draining', reason='restart', for_ms=800)
        self.assertEqual(self.status_of('a'), 'draining')
        self.wait_status('a', 'healthy')
        self.assertGreaterEqual(time.monotonic() - begun, 0.8)
        self.assertLess(time.monotonic() - begun, 0.8 + LATE_S)
        self.assertEqual(self.kinds('a'), ['registered', 'drained', 'resumed'])

    def test_an_instance_can_end_the_drain_that_it_began(self):
        self.register('a')
        self.assertEqual(self.registry.heartbeat('web', 'a', {'status': 'draining'})['status'], 'draining')
        self.assertEqual(self.registry.ids('web'), [])
        self.assertEqual(self.registry.heartbeat('web', 'a', {'status': 'healthy'})['status'], 'healthy')
        self.assertEqual(self.registry.ids('web'), ['a'])

    def test_an_instance_may_report_itself_unhealthy(self):
        self.registry.register('web', 'a')
        self.assertEqual(self.registry.heartbeat('web', 'a', {'status': 'unhealthy'})['status'], 'unhealthy')
        self.assertEqual(self.registry.heartbeat('web', 'a')['status'], 'unhealthy')
        self.registry.kill()
        self.registry.start()
        found = self.registry.instance('web', 'a')
        self.assertEqual((found['status'], found['status_reason'], found['status_by']),
                         ('unhealthy', 'reported by the instance', 'instance'))
        self.assertEqual(self.registry.ids('web'), [])
        self.assertEqual(self.registry.heartbeat('web', 'a', {'status': 'healthy'})['status'], 'healthy')
        self.registry.heartbeat('web', 'a', {'status': 'unhealthy'})
        self.assertEqual(self.registry.register('web', 'a')['status'], 'healthy')
        self.assertEqual(self.kinds('a'), ['registered', 'failed', 'recovered', 'failed', 'recovered'])

    # --- mass expiry ---

    def held(self, service='web'):
        answer = self.registry.get(f'/v1/services/{service}')
        return answer.headers.get('X-Rollcall-Expiry-Held')

    def go_silent(self, ids):
        """Registers the instances and renews their leases in one batch, so that they expire together. Returns the
        time of the batch."""
        for name in ids:
            self.register(name)
        begun = time.monotonic()
        batch = {'instances': [{'service': 'web', 'id': name} for name in ids]}
        self.assertEqual(self.registry.ok(self.registry.post('/v1/heartbeats', batch)).json()['renewed'], len(ids))
        return begun

    def test_mass_expiry_is_held_for_one_more_ttl_and_marked_then_proceeds(self):
        ids = [f'i{i}' for i in range(10)]
        begun = self.go_silent(ids)
        self.assertIsNone(self.held())
        self.assertEqual(self.registry.status()['expiry_held_services'], 0)
        rt.wait_for(self.held, what='marked as held')
        self.assertGreaterEqual(time.monotonic() - begun, TTL_S)
        self.assertLess(time.monotonic() - begun, TTL_S + LATE_S)
        self.assertEqual(self.registry.status()['expiry_held_services'], 1)
        # Up to half may expire before the number of expiries holds the rest.
        kept = self.registry.ids('web')
        self.assertGreaterEqual(len(kept), 5)
        rt.wait_for(lambda: self.registry.ids('web') == [], what='expired after all')
        self.assertGreaterEqual(time.monotonic() - begun, 2 * TTL_S)
        self.assertLess(time.monotonic() - begun, 2 * TTL_S + 2 * LATE_S)
        self.assertEqual(self.kinds(kept[0]), ['registered', 'expired'])
        self.assertIsNone(self.held())
        rt.wait_for(lambda: self.registry.status()['expiry_held_services'] == 0, what='no longer reported as held')

    def test_a_heartbeat_while_expiry_is_held_prevents_the_expiry(self):
        self.go_silent([f'i{i}' for i in range(10)])
        rt.wait_for(self.held, what='marked as held')
        back = self.registry.ids('web')[:5]
        beating = self.heartbeats(back)
        rt.wait_for(lambda: self.registry.ids('web') == back, what='the silent ones expired')
        for name in back:
            self.assertEqual(self.kinds(name), ['registered'])
        self.assertEqual(beating.stop(), {200})

    def test_a_few_of_many_expire_without_delay(self):
        ids = [f'i{i}' for i in range(10)]
        begun = self.go_silent(ids)
        beating = self.heartbeats(ids[2:])
        # Two sweeps may find the two: both must expire, and no other instance.
        while left := set(self.registry.ids('web')) & set(ids[:2]):
            self.assertIsNone(self.held())
            self.assertLess(time.monotonic() - begun, TTL_S + LATE_S, left)
        self.assertEqual(self.registry.ids('web'), ids[2:])
        self.assertEqual(beating.stop(), {200})


if __name__ == '__main__':
    rt.main()
