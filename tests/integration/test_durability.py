# SPDX-License-Identifier: MIT
"""kill -9 at random moments under load: every acknowledged change must survive.

A few clients change instances of their own. Each keeps what the daemon has acknowledged, and the one change
that was in flight when the daemon died: only that one may have either outcome. The next round begins with the
state after the restart. At the end the event log must have every acknowledged change under the revision of its
answer.

$ROLLCALL_SEED replays a run's choices (not its timing), $ROLLCALL_ROUNDS sets the number of rounds.
"""

import http.client
import os
import random
import threading
import time

import rollcall_test as rt

CLIENTS = 4
IDS = 5
ROUNDS = int(os.environ.get('ROLLCALL_ROUNDS', 40 if rt.SANITIZED else 250))
LOAD_S = rt.seconds(0.06)


class Owner:
    """A client and the instances that only it changes. A state is (n, status); None: not registered."""

    def __init__(self, number, seed):
        self.service = f'service-{number}'
        self.random = random.Random(seed)
        self.states = {f'i{i}': None for i in range(IDS)}
        self.intended = {name: 'healthy' for name in self.states}  # by an operator, registered or not
        self.in_flight = None  # (id, state after the change)
        self.n = 0
        self.acknowledged = []  # (revision of the event or None, id, kind of event, n)
        self.newest = 0
        self.unexpected = None

    def change(self, client):
        """Makes one random change, which is an event."""
        name = self.random.choice(list(self.states))
        state = self.states[name]
        path = rt.instance_path(self.service, name)
        choice = self.random.random()
        if state is None or choice < 0.5:
            self.n += 1
            n, status = self.n, self.intended[name]
            kind = 'updated' if state else 'registered'
            after = (n, status)
            send = ('PUT', path, {'host': '10.0.0.1', 'port': 80, 'metadata': {'n': str(n)}})
        elif choice < 0.75:
            n, kind, after = state[0], 'deregistered', None
            send = ('DELETE', path)
        else:
            n, status = state[0], 'healthy' if state[1] == 'draining' else 'draining'
            kind = 'drained' if status == 'draining' else 'resumed'
            after = (n, status)
            send = ('PUT', path + '/status', {'status': status, 'reason': 'test'})

        self.in_flight = (name, after)
        response = client.request(*send)
        if response.status not in (200, 201, 204):
            self.unexpected = f'{send}: {response}'
            return False
        if after is not None and state_of(response.json()) != after:
            self.unexpected = f'{send}: {response}, expected {after}'
            return False
        # The body has the revision of the event, the header a revision at which the event is visible.
        revision = response.json()['revision'] if after is not None else None
        self.newest = max(self.newest, response.revision, revision or 0)
        self.states[name] = after
        if after is not None:
            self.intended[name] = after[1]
        self.in_flight = None
        self.acknowledged.append((revision, name, kind, n))
        return True

    def work(self, daemon):
        """Makes changes until the daemon dies."""
        client = daemon.client()
        try:
            while self.change(client):
                pass
        except (OSError, http.client.HTTPException):
            pass
        finally:
            client.close()

    def compare(self, daemon):
        """Returns how the daemon's state differs from the acknowledged one, if it does. Adopts the outcome of the
        change that was in flight."""
        response = daemon.get(f'/v1/services/{self.service}?status=any')
        found = {instance['id']: state_of(instance) for instance in response.json()['instances']} \
            if response.status == 200 else {}
        wrong = []
        for name, expected in self.states.items():
            allowed = [expected]
            if self.in_flight is not None and self.in_flight[0] == name:
                allowed.append(self.in_flight[1])
            if found.get(name) not in allowed:
                wrong.append(f'{self.service}/{name}: is {found.get(name)}, acknowledged {allowed}')
        for name in found.keys() - self.states.keys():
            wrong.append(f'{self.service}/{name}: was not registered')
        self.states = {name: found.get(name) for name in self.states}
        self.intended.update({name: state[1] for name, state in self.states.items() if state})
        self.in_flight = None
        return wrong


def state_of(instance):
    return int(instance['metadata']['n']), instance['status']


class Durability(rt.TestCase):

    def setUp(self):
        seed = int(os.environ.get('ROLLCALL_SEED', time.time_ns() % 1000000))
        print(f'(ROLLCALL_SEED={seed}) ', end='', flush=True)
        self.random = random.Random(seed)
        self.owners = [Owner(i, seed * CLIENTS + i) for i in range(CLIENTS)]
        self.revision = 0

    def kill_under_load(self, daemon):
        threads = [threading.Thread(target=owner.work, args=(daemon,)) for owner in self.owners]
        for thread in threads:
            thread.start()
        time.sleep(self.random.uniform(0, LOAD_S))
        daemon.kill()
        for thread in threads:
            thread.join()
        for owner in self.owners:
            self.assertIsNone(owner.unexpected)

    def compare(self, daemon):
        wrong = [line for owner in self.owners for line in owner.compare(daemon)]
        self.assertEqual(wrong, [])
        revision = daemon.status()['revision']
        newest = max(owner.newest for owner in self.owners)
        self.assertGreaterEqual(revision, newest, 'the revision went back')
        self.assertGreaterEqual(revision, self.revision, 'the revision went back')
        self.revision = revision

    def compare_log(self, daemon):
        """Checks that revisions ascend, and that each acknowledged change is the event of its revision."""
        log = {}
        last = 0
        while events := daemon.events(since=last, limit=1000):
            for event in events:
                self.assertGreater(event['revision'], last)
                last = event['revision']
                if 'entry' in event:
                    continue
                instance = event['instance']
                log[last] = (instance['service'], instance['id'], event['kind'],
                             int(instance['metadata']['n']))
        logged = set(log.values())
        for owner in self.owners:
            for revision, name, kind, n in owner.acknowledged:
                event = (owner.service, name, kind, n)
                self.assertIn(event, logged)
                if revision is not None:
                    self.assertEqual(log.get(revision), event, revision)

    def test_what_was_acknowledged_survives_kill_at_any_moment(self):
        daemon = self.daemon()
        for round_number in range(ROUNDS):
            with self.subTest(round=round_number):
                self.kill_under_load(daemon)
                if round_number % 8 == 7:
                    daemon.spawn()
                    time.sleep(self.random.uniform(0, LOAD_S / 4))
                    daemon.kill()
                daemon.start()
                self.compare(daemon)
        self.compare_log(daemon)
        changes = sum(len(owner.acknowledged) for owner in self.owners)
        print(f'({changes} acknowledged changes) ', end='')
        self.assertGreater(changes, ROUNDS)

    def test_what_was_acknowledged_survives_an_orderly_stop_under_load(self):
        daemon = self.daemon()
        for _ in range(5):
            threads = [threading.Thread(target=owner.work, args=(daemon,)) for owner in self.owners]
            for thread in threads:
                thread.start()
            time.sleep(self.random.uniform(LOAD_S / 2, LOAD_S))
            daemon.stop()
            for thread in threads:
                thread.join()
            for owner in self.owners:
                # A stopping daemon may refuse a change, which then has no effect.
                if owner.unexpected and '<503 ' in owner.unexpected:
                    owner.unexpected = None
                self.assertIsNone(owner.unexpected)
            daemon.start()
            self.compare(daemon)
        self.compare_log(daemon)


if __name__ == '__main__':
    rt.main()
