#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Requests beyond the retention: each refusal names the oldest revision that can be read, and it can be read.

past_model.Model keeps the state of the registry at each revision; the tests ask for each revision, follow the
refusals, and compare the answers with the model.
"""

import rollcall_test as rt
from past_model import SERVICES, Model


class Retention(rt.TestCase):

    def ask(self, daemon, path, revision, retry):
        """Repeats a request with the oldest revision that each refusal names, until there is an answer.
        Returns the answer and the revision of its request."""
        asked = revision
        while True:
            answer = daemon.get(path.format(asked))
            if answer.status != 410:
                return answer, asked
            self.assert_problem(answer, 410, 'compacted')
            refusal = answer.json()
            self.assertGreater(refusal['oldest_revision'], asked, path)
            self.assertRegex(refusal['oldest_time'], 'Z$')
            asked = retry(refusal)

    def check_states(self, model, revision):
        """Checks ?at= with the revision and with the time that a refusal names."""
        daemon = model.daemon
        for service in SERVICES:
            path = f'/v1/services/{service}?status=any&at={{}}'
            answer, asked = self.ask(daemon, path, revision, lambda refusal: refusal['oldest_revision'])
            state = model.states[asked].get(service)
            if state is None:
                self.assert_problem(answer, 404, 'unknown-service')
            else:
                self.assertEqual((answer.json()['revision'], answer.json()['instances']), (asked, state))
        first = daemon.get(f'/v1/services?at={revision}')
        if first.status == 410:
            answer = daemon.get(f'/v1/services?at={first.json()["oldest_time"]}')
            self.assertEqual(answer.status, 200, answer)
            self.assertGreaterEqual(answer.json()['revision'], first.json()['oldest_revision'])
        return asked

    def check_difference(self, model, revision):
        path = f'/v1/diff?from={{}}&to={model.latest}'
        answer, asked = self.ask(model.daemon, path, revision, lambda refusal: refusal['oldest_revision'])
        before, after = ({(name, each['id']): each for name in state for each in state[name]}
                         for state in (model.states[asked], model.states[model.latest]))
        diff = answer.json()
        self.assertEqual(diff['added'], [after[key] for key in sorted(after) if key not in before])
        self.assertEqual(diff['removed'], [before[key] for key in sorted(before) if key not in after])
        self.assertEqual([pair['after'] for pair in diff['changed']],
                         [after[key] for key in sorted(after)
                          if key in before and before[key] != after[key]])
        return asked

    def check_events(self, model, revision):
        """Checks that the log has one event for each revision, and that histories have the same events."""
        daemon = model.daemon
        since = lambda refusal: refusal['oldest_revision'] - 1
        answer, asked = self.ask(daemon, '/v1/events?limit=1000&since={}', revision, since)
        self.assertEqual([each['revision'] for each in answer.json()['events']],
                         list(range(asked + 1, model.latest + 1)))
        for service, name in model.keys:
            lives = [each for each in answer.json()['events']
                     if (each['service'], each['id']) == (service, name)]
            path = rt.instance_path(service, name) + '/history?limit=1000&since={}'
            life, life_asked = self.ask(daemon, path, revision, since)
            self.assertEqual(life_asked, asked)
            if not lives and (service, name) not in model.now and life.status == 404:
                continue
            self.assertEqual(life.json()['events'], lives)
            self.assertEqual(life.json()['oldest_revision'] <= asked + 1, True)
        return asked

    def settle(self, daemon):
        """Waits until retention and keyframes have no more work."""
        def oldest():
            answers = (daemon.get('/v1/services?at=0'), daemon.get('/v1/events?since=0'),
                       daemon.metric('rollcall_keyframe_revision'))
            return [each.body if isinstance(each, rt.Response) else each for each in answers]
        seen = []
        def still():
            seen.append(oldest())
            return len(seen) > 5 and all(each == seen[-1] for each in seen[-5:])
        rt.wait_for(still, what='quiet', every=0.25)

    def check(self, count, seed, rounds=3):
        model = Model(self.daemon(options=[f'--events-max-count={count}']), seed)
        model.keys = sorted({(service, name) for service in SERVICES for name in 'abcd'})
        for _ in range(rounds):
            model.changes(count + 25)
            self.settle(model.daemon)
            oldest = [max(check(model, revision) for revision in (1, 2))
                      for check in (self.check_states, self.check_difference, self.check_events)]
            self.assertGreater(min(oldest), 1)
            step = 1 + model.latest // 60
            for revision in range(1, model.latest + 1, step):
                self.check_states(model, revision)
                self.check_difference(model, revision)
                self.check_events(model, revision)
            # No revision after the oldest is missing.
            for revision in range(oldest[0], model.latest + 1):
                self.assertEqual(self.check_states(model, revision), revision)
                self.assertEqual(self.check_difference(model, revision), revision)
        return model

    def test_the_oldest_that_a_refusal_names_can_be_read_with_twenty_events(self):
        self.check(20, 11)

    def test_the_oldest_that_a_refusal_names_can_be_read_with_seventy_events(self):
        model = self.check(70, 12, rounds=2)
        model.daemon.restart()
        self.settle(model.daemon)
        for revision in range(1, model.latest + 1, 7):
            self.check_states(model, revision)
            self.check_difference(model, revision)
            self.check_events(model, revision)

    def test_with_one_event_left_the_present_can_be_read(self):
        model = Model(self.daemon(options=['--events-max-count=1']), 13)
        model.changes(30)
        self.settle(model.daemon)
        self.assertEqual(self.check_states(model, 1), model.latest)
        self.assertEqual(self.check_difference(model, 1), model.latest)

    def test_the_history_of_a_registered_instance_is_never_unknown(self):
        daemon = self.daemon(options=['--events-max-count=20'])
        daemon.register('web', 'old')
        for i in range(60):
            daemon.register('web', 'busy', port=1 + i)
        self.settle(daemon)
        life = daemon.get(rt.instance_path('web', 'old') + '/history').json()
        self.assertEqual(life['events'], [])
        self.assertGreater(life['oldest_revision'], 30)
        self.assert_problem(daemon.get(rt.instance_path('web', 'never') + '/history'), 404,
                            'not-registered')

    def test_keyframes_are_as_far_apart_as_there_are_instances(self):
        daemon = self.daemon(options=['--events-max-count=1000'])  # a keyframe each 100 events at least
        for i in range(300):
            daemon.register('web', f'i{i}')
        for i in range(640):
            daemon.register('web', 'busy', port=1 + i)
        rt.wait_for(lambda: daemon.metric('rollcall_keyframe_revision') >= 690, what='keyframes')
        self.assertLessEqual(daemon.metric('rollcall_keyframes_total'), 4)

    def test_retention_by_age_makes_keyframes_but_none_where_nothing_happens(self):
        daemon = self.daemon(options=['--events-max-age-ms=100'])
        for count in (1, 2):
            daemon.register('web', f'i{count}')
            rt.wait_for(lambda: daemon.metric('rollcall_keyframe_revision') == count, what='a keyframe')
            for _ in range(30):  # each request makes the archive check whether a keyframe is due
                self.assertEqual(daemon.get(f'/v1/services?at={count}').status, 200)
            self.assertEqual(daemon.metric('rollcall_keyframes_total'), count)


if __name__ == '__main__':
    rt.main()
