# SPDX-License-Identifier: MIT
"""Writes with If-Match, heartbeats for one incarnation, and picks with explain=1."""

import rollcall_test as rt


def if_match(revision):
    return {'If-Match': f'"{revision}"'}


class Conditions(rt.TestCase):

    def setUp(self):
        self.registry = self.daemon()
        self.path = rt.instance_path('web', 'a')
        self.body = {'host': '10.0.0.1', 'port': 80}

    def put(self, headers, **fields):
        return self.registry.put(self.path, {**self.body, **fields}, headers)

    def test_a_put_of_the_revision_seen_is_made(self):
        seen = self.registry.register('web', 'a')['revision']
        self.assertEqual(self.put(if_match(seen), port=81).status, 200)
        self.assertEqual(self.registry.instance('web', 'a')['port'], 81)

    def test_a_put_of_an_older_revision_changes_nothing(self):
        seen = self.registry.register('web', 'a')['revision']
        self.registry.register('web', 'a', port=82)
        problem = self.assert_problem(self.put(if_match(seen), port=81), 412, 'precondition-failed')
        self.assertIn(f"'a' of service 'web' is not registered, or is not at the revision of If-Match: \"{seen}\"",
                      problem['detail'])
        self.assertEqual(self.registry.instance('web', 'a')['port'], 82)

    def test_a_condition_requires_a_registered_instance(self):
        self.assert_problem(self.put({'If-Match': '*'}), 412, 'precondition-failed')
        self.assert_problem(self.put(if_match(1)), 412, 'precondition-failed')
        self.assertIsNone(self.registry.instance('web', 'a'))
        self.registry.register('web', 'a')
        self.assertEqual(self.put({'If-Match': '*'}).status, 200)

    def test_the_same_record_again_is_held_to_its_condition_too(self):
        self.registry.register('web', 'a', port=80)
        self.assert_problem(self.put(if_match(999)), 412, 'precondition-failed')

    def test_deleting_has_conditions(self):
        seen = self.registry.register('web', 'a')['revision']
        self.registry.register('web', 'a', port=82)
        self.assert_problem(self.registry.delete(self.path, headers=if_match(seen)), 412,
                            'precondition-failed')
        self.assertIsNotNone(self.registry.instance('web', 'a'))
        now = self.registry.instance('web', 'a')['revision']
        self.assertEqual(self.registry.delete(self.path, headers=if_match(now)).status, 204)
        self.assert_problem(self.registry.delete(self.path, headers={'If-Match': '*'}), 412,
                            'precondition-failed')

    def test_a_status_of_an_operator_has_conditions(self):
        seen = self.registry.register('web', 'a')['revision']
        status = {'status': 'draining'}
        self.assert_problem(self.registry.put(self.path + '/status', status, if_match(seen + 1)),
                            412, 'precondition-failed')
        self.assertEqual(self.registry.instance('web', 'a')['status'], 'healthy')
        self.assertEqual(
            self.registry.put(self.path + '/status', status, if_match(seen)).status, 200)

    def test_a_condition_that_cannot_be_read_is_refused(self):
        self.registry.register('web', 'a')
        for tag in ('1', '"1", "2"', 'W/"1"', '"x"', '""', '"0"'):
            self.assert_problem(self.put({'If-Match': tag}, port=9), 400, 'invalid-condition')
        self.assertNotEqual(self.registry.instance('web', 'a')['port'], 9)

    def test_a_late_heartbeat_does_not_revive_the_dead(self):
        first = self.registry.register('web', 'a')['incarnation']
        self.registry.deregister('web', 'a')
        second = self.registry.register('web', 'a')['incarnation']
        self.assertGreater(second, first)
        beat = self.path + '/heartbeat?incarnation='
        problem = self.assert_problem(self.registry.post(f'{beat}{first}'), 409, 'another-incarnation')
        self.assertEqual(problem['detail'], f'the instance is in its incarnation {second} now, not {first}')
        self.assertEqual(self.registry.post(f'{beat}{second}').status, 200)
        self.assert_problem(self.registry.post(f'{beat}0'), 400, 'invalid-parameter')


class Explained(rt.TestCase):

    def setUp(self):
        self.registry = self.daemon()

    def explain(self, **parameters):
        return self.registry.get('/v1/services/web/pick' +
                                 rt.query(explain=1, **parameters)).json()

    def test_an_explained_pick_lists_the_instances_left_out_with_reasons(self):
        for name, fields in {'a': {}, 'b': {'weight': 0}, 'c': {}, 'd': {'metadata': {'z': '1'}},
                             'e': {}}.items():
            self.registry.register('web', name, metadata=fields.pop('metadata', {'z': '0'}),
                                   **fields)
        self.registry.set_status('web', 'c', 'draining')
        picked = self.explain(strategy='weighted_round_robin', exclude='e', **{'meta.z': '0'})
        self.assertEqual(picked['id'], 'a')
        self.assertEqual(picked['explain'], {
            'strategy': 'weighted_round_robin', 'revision': 7, 'cursor': 0, 'candidates': ['a'],
            'left_out': [{'id': 'b', 'why': 'weight 0'}, {'id': 'c', 'why': 'draining'},
                         {'id': 'd', 'why': 'filter'}, {'id': 'e', 'why': 'excluded'}]})

    def test_the_cursor_and_the_hash_are_explained(self):
        self.registry.register('web', 'a')
        self.registry.register('web', 'b')
        self.assertEqual([self.explain()['explain']['cursor'] for _ in range(3)], [0, 1, 2])
        many = self.explain(key='a', count=2)
        self.assertEqual(len(many['instances']), 2)
        self.assertEqual(many['explain']['hash'], '0cc175b9c0f1b6a831c399e269772661')

    def test_explain_is_for_json_and_is_0_or_1(self):
        self.registry.register('web', 'a')
        for target in ('?explain=2', '?explain=yes', '?explain=1&format=text'):
            self.assert_problem(self.registry.get('/v1/services/web/pick' + target), 400,
                                'invalid-parameter')
        self.assertNotIn('explain', self.registry.try_pick('web').json())
        self.assertNotIn('explain', self.registry.try_pick('web', explain=0).json())


if __name__ == '__main__':
    rt.main()
