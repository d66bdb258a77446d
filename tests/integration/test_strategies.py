# SPDX-License-Identifier: MIT
"""Picks of each strategy against an implementation of the published rules that is independent of the daemon's."""

import bisect
import collections
import hashlib
import math

import rollcall_test as rt

POINTS = 100


def round_robin(ids, count):
    return [ids[n % len(ids)] for n in range(count)]


def smooth_weighted(weights, count):
    """weights: (id, weight) in registration order."""
    current = [0] * len(weights)
    total = sum(weight for _, weight in weights)
    picks = []
    for _ in range(count):
        for i, (_, weight) in enumerate(weights):
            current[i] += weight
        best = max(range(len(weights)), key=lambda i: (current[i], -i))
        current[best] -= total
        picks.append(weights[best][0])
    return picks


def md5(text):
    return int.from_bytes(hashlib.md5(text.encode()).digest(), 'big')


class Ring:
    """Consistent hashing: 100 points for each instance; the first at or after the key's point, or else the first."""

    def __init__(self, ids):
        self.points = sorted((md5(f'{name}:{i}'), name) for name in ids for i in range(POINTS))

    def after(self, key):
        """All ids in the order of their first points from the key on."""
        start = bisect.bisect_left(self.points, (md5(key), ''))
        return list(dict.fromkeys(name for _, name in self.points[start:] + self.points[:start]))

    def pick(self, key):
        return self.after(key)[0]


class Strategies(rt.TestCase):
    """Each test has a service of its own."""

    def setUp(self):
        self.registry = self.daemon()

    def register(self, ids, **fields):
        for name in ids:
            self.registry.register('web', name, **fields)

    def picks(self, count, **parameters):
        return [self.registry.pick('web', **parameters) for _ in range(count)]

    # --- round robin ---

    def test_round_robin_is_the_default_and_follows_registration_order(self):
        ids = ['c', 'a', 'b']
        self.register(ids)
        self.assertEqual(self.picks(4), round_robin(ids, 4))
        self.assertEqual(self.picks(5, strategy='round_robin'), round_robin(ids, 9)[4:])

    def test_round_robin_goes_on_where_it_was_when_instances_come_and_go(self):
        ids = ['a', 'b', 'c']
        self.register(ids)
        self.assertEqual(self.picks(4), ['a', 'b', 'c', 'a'])
        self.register(['d', 'e'])
        # The n-th pick is instance n mod count: the fifth of five, then the first.
        self.assertEqual(self.picks(3), ['e', 'a', 'b'])
        self.registry.deregister('web', 'a')
        self.assertEqual(self.picks(2), round_robin(['b', 'c', 'd', 'e'], 9)[7:9])

    def test_a_pick_answers_the_whole_instance(self):
        self.register(['a'], port=8080, metadata={'zone': 'x'})
        found = self.registry.ok(self.registry.try_pick('web'), 200).json()
        self.assertEqual((found['service'], found['id'], found['port'], found['address']),
                         ('web', 'a', 8080, '10.0.0.1:8080'))
        self.assertEqual(found['metadata'], {'zone': 'x'})
        self.assertEqual(found['status'], 'healthy')

    # --- weighted ---

    def test_weights_100_and_50_give_1_2_1_1_2_1(self):
        self.registry.register('web', '1', weight=100)
        self.registry.register('web', '2', weight=50)
        self.assertEqual(''.join(self.picks(6, strategy='weighted_round_robin')), '121121')

    def test_weights_5_1_1_interleave_as_published(self):
        for name, weight in (('a', 5), ('b', 1), ('c', 1)):
            self.registry.register('web', name, weight=weight)
        self.assertEqual(''.join(self.picks(14, strategy='weighted_round_robin')), 'aabacaa' * 2)

    def test_many_sets_of_weights_follow_the_rule_for_two_periods(self):
        for number, weights in enumerate(([1], [7], [3, 3, 3], [1, 2, 3, 4], [10, 0, 5], [4, 2, 2, 1, 9],
                                          [100, 99, 1], [65535, 65535, 32768], [12, 18, 30, 42])):
            service = f's{number}'
            named = [(f'i{i}', weight) for i, weight in enumerate(weights)]
            for name, weight in named:
                self.registry.register(service, name, weight=weight)
            count = min(300, 2 * sum(weights) // math.gcd(*weights))
            with self.subTest(weights=weights):
                self.assertEqual([self.registry.pick(service, strategy='weighted_round_robin')
                                  for _ in range(count)], smooth_weighted(named, count))

    def test_weight_zero_is_never_picked_while_another_has_more(self):
        self.registry.register('web', 'none', weight=0)
        self.registry.register('web', 'some', weight=1)
        self.assertEqual(set(self.picks(10, strategy='weighted_round_robin')), {'some'})
        self.registry.deregister('web', 'some')
        self.assertEqual(set(self.picks(3, strategy='weighted_round_robin')), {'none'})

    def test_a_changed_weight_takes_effect(self):
        self.registry.register('web', 'a', weight=1)
        self.registry.register('web', 'b', weight=1)
        self.picks(2, strategy='weighted_round_robin')
        self.registry.register('web', 'b', weight=3)
        counts = collections.Counter(self.picks(40, strategy='weighted_round_robin'))
        self.assertEqual(counts, {'a': 10, 'b': 30})

    # --- consistent hash ---

    def test_each_key_goes_where_the_ring_says(self):
        ids = [f'10.0.0.{i}:80' for i in range(20)]
        self.register(ids)
        ring = Ring(ids)
        for key in [f'user-{i}' for i in range(300)] + ['', 'é', 'a b&c=d']:
            self.assertEqual(self.registry.pick('web', strategy='consistent_hash', key=key),
                             ring.pick(key), key)

    def test_fixed_vectors_of_the_ring(self):
        self.register(['alpha', 'beta', 'gamma'])
        for key, name in VECTORS.items():
            self.assertEqual(self.registry.pick('web', strategy='consistent_hash', key=key), name, key)

    def test_only_the_keys_of_an_instance_that_left_move(self):
        ids = [f'i{i}' for i in range(10)]
        keys = [f'k{i}' for i in range(100)]
        self.register(ids)
        before = {key: self.registry.pick('web', strategy='consistent_hash', key=key) for key in keys}
        self.registry.deregister('web', 'i3')
        after = {key: self.registry.pick('web', strategy='consistent_hash', key=key) for key in keys}
        self.assertIn('i3', before.values())
        for key in keys:
            if before[key] != 'i3':
                self.assertEqual(after[key], before[key])
            else:
                self.assertNotEqual(after[key], 'i3')

    def test_without_a_key_the_place_is_random(self):
        self.register([f'i{i}' for i in range(4)])
        self.assertEqual(set(self.picks(200, strategy='consistent_hash')), {f'i{i}' for i in range(4)})

    # --- chance ---

    def test_random_finds_all_about_equally(self):
        self.register(['a', 'b', 'c', 'd'])
        counts = collections.Counter(self.picks(800, strategy='random'))
        # 200 are expected of each with a standard deviation of 12.2: a deviation of 8 times that is no chance.
        for name in 'abcd':
            self.assertAlmostEqual(counts[name], 200, delta=98)

    def test_least_loaded_prefers_the_lower_reported_load(self):
        self.register(['busy', 'idle'])
        self.registry.heartbeat('web', 'busy', {'load': 0.9})
        self.registry.heartbeat('web', 'idle', {'load': 0.1})
        # least_loaded compares two random instances: with two instances both of them.
        self.assertEqual(set(self.picks(50, strategy='least_loaded')), {'idle'})
        self.registry.heartbeat('web', 'idle', {'load': 1.0})
        self.assertEqual(set(self.picks(50, strategy='least_loaded')), {'busy'})

    # --- all of them ---

    ALL = ('round_robin', 'weighted_round_robin', 'consistent_hash', 'random', 'least_loaded')

    def test_count_returns_that_many_different_instances(self):
        ids = {f'i{i}' for i in range(8)}
        self.register(sorted(ids))
        for strategy in self.ALL:
            with self.subTest(strategy=strategy):
                for _ in range(20):
                    several = self.registry.pick('web', strategy=strategy, count=5)
                    self.assertEqual(len(several), 5)
                    self.assertEqual(len(set(several)), 5)
                self.assertEqual(set(self.registry.pick('web', strategy=strategy, count=64)), ids)

    def test_a_sticky_key_with_count_names_the_next_ones_on_the_ring(self):
        ids = [f'i{i}' for i in range(8)]
        self.register(ids)
        ring = Ring(ids)
        for key in ('a', 'b', 'c', 'd'):
            self.assertEqual(self.registry.pick('web', strategy='consistent_hash', key=key, count=3),
                             ring.after(key)[:3])

    def test_what_is_excluded_is_not_picked(self):
        self.register(['a', 'b', 'c'])
        for strategy in self.ALL:
            with self.subTest(strategy=strategy):
                self.assertEqual(set(self.picks(30, strategy=strategy, exclude='b')), {'a', 'c'})
                self.assertEqual(set(self.picks(5, strategy=strategy, exclude='a,b')), {'c'})
                self.assert_problem(self.registry.try_pick('web', strategy=strategy, exclude='a,b,c'),
                                    503, 'no-healthy-instance')

    def test_a_comma_in_an_excluded_id_is_percent_encoded(self):
        self.register(['a', 'b', 'a,b'])
        path = '/v1/services/web/pick?exclude='
        picked = {self.registry.get(path + 'a%2Cb').json()['id'] for _ in range(9)}
        self.assertEqual(picked, {'a', 'b'})
        picked = {self.registry.get(path + 'a,b').json()['id'] for _ in range(9)}
        self.assertEqual(picked, {'a,b'})

    def test_a_filter_picks_only_what_matches_all_of_it(self):
        for i in range(6):
            self.registry.register('web', f'i{i}', metadata={'zone': 'ab'[i % 2], 'size': str(i // 2)})
        for strategy in self.ALL:
            with self.subTest(strategy=strategy):
                self.assertEqual(set(self.picks(60, strategy=strategy, **{'meta.zone': 'a'})),
                                 {'i0', 'i2', 'i4'})
                self.assertEqual(set(self.picks(5, strategy=strategy,
                                                **{'meta.zone': 'b', 'meta.size': '1'})), {'i3'})
                self.assert_problem(
                    self.registry.try_pick('web', strategy=strategy, **{'meta.zone': 'none'}),
                    503, 'no-healthy-instance')

    def test_filtered_round_robin_is_fair_among_what_matches(self):
        for i in range(6):
            self.registry.register('web', f'i{i}', metadata={'zone': 'ab'[i % 2]})
        counts = collections.Counter(self.picks(30, **{'meta.zone': 'a'}))
        self.assertEqual(counts, {'i0': 10, 'i2': 10, 'i4': 10})

    def test_draining_is_never_picked(self):
        self.register(['a', 'b', 'c'])
        self.registry.set_status('web', 'b', 'draining', reason='upgrade')
        for strategy in self.ALL:
            with self.subTest(strategy=strategy):
                self.assertEqual(set(self.picks(30, strategy=strategy)), {'a', 'c'})
        self.registry.set_status('web', 'a', 'draining', reason='upgrade')
        self.registry.set_status('web', 'c', 'draining', reason='upgrade')
        for strategy in self.ALL:
            self.assert_problem(self.registry.try_pick('web', strategy=strategy), 503,
                                'no-healthy-instance')

    def test_unknown_service_and_unknown_strategy_are_different_errors(self):
        self.register(['a'])
        self.assert_problem(self.registry.try_pick('nobody'), 404, 'unknown-service')
        self.assertIn(self.registry.try_pick('web', strategy='best').status, (400, 422))


class ManyThreads(rt.TestCase):
    """The cursor of a service is shared by several http threads."""

    def setUp(self):
        self.registry = self.daemon(options=['--http-threads=4'])

    def many_threads(self, strategy, reference):
        """Checks that the picks of all threads together are those that one thread would get."""
        threads, each = 8, 40 if rt.SANITIZED else 150

        def work(_):
            client = self.registry.client()
            try:
                return [client.pick('web', strategy=strategy) for _ in range(each)]
            finally:
                client.close()

        picked = collections.Counter(name for part in rt.parallel(threads, work) for name in part)
        self.assertEqual(picked, collections.Counter(reference(threads * each)))

    def test_round_robin_over_threads_gives_what_one_would_get(self):
        ids = [f'i{i}' for i in range(7)]
        for name in ids:
            self.registry.register('web', name)
        self.many_threads('round_robin', lambda count: round_robin(ids, count))

    def test_weighted_over_threads_gives_what_one_would_get(self):
        weights = [('a', 5), ('b', 1), ('c', 3), ('d', 2)]
        for name, weight in weights:
            self.registry.register('web', name, weight=weight)
        self.many_threads('weighted_round_robin', lambda count: smooth_weighted(weights, count))


# Computed with md5sum and sort: key -> the instance whose point follows it. w83 is behind the last point.
VECTORS = {'': 'gamma', 'user-1': 'alpha', 'user-2': 'beta', 'user-3': 'alpha', 'order/42': 'beta',
           '10.0.0.1': 'gamma', 'zürich': 'alpha', '0': 'alpha', 'w83': 'beta'}


if __name__ == '__main__':
    rt.main()
