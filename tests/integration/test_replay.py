#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Explanations: past picks can be repeated, and each view of an event has the same author and reason.

Picks makes random changes and picks with explain=1, and repeats them later with ?at= and the recorded cursor.
Why compares the author, agent, reason and status of each event over all endpoints that show it.
"""

import json
import random
from datetime import datetime, timedelta, timezone

import rollcall_test as rt
import sse

STRATEGIES = ('round_robin', 'weighted_round_robin', 'consistent_hash')
FILTERS = ({}, {'meta.even': '0'}, {'meta.even': '1', 'meta.zone': 'a'})


class Picks(rt.TestCase):

    def change(self, daemon, chance):
        """Makes one random change of the service."""
        name = f'i{chance.randrange(9)}'
        what = chance.random()
        if what < 0.6 or daemon.instance('web', name) is None:
            weight = chance.choice([0, 1, 3, 100])
            daemon.register('web', name, weight=weight, port=chance.randint(1, 65535),
                            metadata={'even': str(chance.randrange(2)), 'zone': chance.choice('ab')})
        elif what < 0.8:
            daemon.deregister('web', name)
        else:
            daemon.set_status('web', name, chance.choice(['draining', 'healthy']))

    def ask(self, chance):
        """Returns the parameters of a random pick."""
        asked = {'strategy': chance.choice(STRATEGIES), **chance.choice(FILTERS)}
        if asked['strategy'] == 'consistent_hash':
            asked['key'] = f'user-{chance.randrange(50)}'
        if chance.random() < 0.3:
            asked['exclude'] = f'i{chance.randrange(9)}'
        if chance.random() < 0.3:
            asked['count'] = chance.randint(1, 4)
        return asked

    def replay(self, daemon, made):
        for asked, why, answer in made:
            place = {'cursor': why['cursor']} if 'cursor' in why else {}
            again = daemon.try_pick('web', at=why['revision'], explain=1, **asked, **place).json()
            self.assertEqual(again.pop('explain'), why, asked)
            self.assertEqual(again, answer, asked)

    def judge(self, daemon, asked, why):
        """Checks that each instance is either a candidate or left out with the right reason."""
        instances = {each['id']: each for each in daemon.lookup('web', status='any')['instances']}
        wanted = {key[5:]: value for key, value in asked.items() if key.startswith('meta.')}
        fits = {name: each['status'] == 'healthy' and name != asked.get('exclude') and
                wanted.items() <= each['metadata'].items() for name, each in instances.items()}
        weighs = asked['strategy'] == 'weighted_round_robin' and \
            any(fits[name] and each['weight'] > 0 for name, each in instances.items())
        candidates, left_out = [], []
        for name, each in instances.items():
            reason = (each['status'] if each['status'] != 'healthy' else
                      'filter' if not wanted.items() <= each['metadata'].items() else
                      'excluded' if name == asked.get('exclude') else
                      'weight 0' if weighs and each['weight'] == 0 else None)
            if reason is None:
                candidates.append(name)
            else:
                left_out.append({'id': name, 'why': reason})
        self.assertEqual((why['candidates'], why['left_out']), (candidates, left_out), asked)
        self.assertEqual(why['strategy'], asked['strategy'])

    def test_every_recorded_pick_is_repeated_after_changes_and_after_a_restart(self):
        daemon, chance, made = self.daemon(), random.Random(7), []
        for i in range(9):
            daemon.register('web', f'i{i}', weight=i, metadata={'even': str(i % 2), 'zone': 'ab'[i % 3 > 0]})
        for _ in range(60):
            self.change(daemon, chance)
            daemon.register('db', 'other', port=chance.randint(1, 65535))
            for _ in range(8):
                asked = self.ask(chance)
                answer = daemon.try_pick('web', explain=1, **asked)
                if answer.status == 503:
                    continue
                answer = answer.json()
                why = answer.pop('explain')
                self.judge(daemon, asked, why)
                picked = [each['id'] for each in answer.get('instances', [answer])]
                self.assertTrue(set(picked) <= {*why['candidates'], *(
                    each['id'] for each in why['left_out'] if each['why'] == 'weight 0')})
                made.append((asked, why, answer))
        self.assertGreater(len(made), 300)
        self.assertEqual({asked['strategy'] for asked, _, _ in made}, set(STRATEGIES))
        self.replay(daemon, made)
        daemon.restart()
        self.replay(daemon, made)
        # picks after the restart can be repeated as well
        late = []
        for _ in range(30):
            asked = self.ask(chance)
            answer = daemon.try_pick('web', explain=1, **asked)
            if answer.status == 200:
                answer = answer.json()
                late.append((asked, answer.pop('explain'), answer))
        self.change(daemon, chance)
        self.replay(daemon, late)

    def test_a_pick_without_candidates_explains_every_instance(self):
        daemon = self.daemon()
        daemon.register('web', 'a', metadata={'zone': 'a'})
        daemon.register('web', 'b', status='draining')
        answer = daemon.try_pick('web', explain=1, **{'meta.zone': 'b'})
        self.assert_problem(answer, 503, 'no-healthy-instance')
        self.assertEqual(answer.json()['explain'], {
            'strategy': 'round_robin', 'revision': 2, 'candidates': [],
            'left_out': [{'id': 'a', 'why': 'filter'}, {'id': 'b', 'why': 'draining'}]})
        past = daemon.try_pick('web', explain=1, at=2, cursor=0, **{'meta.zone': 'b'})
        self.assertEqual(past.json()['explain'], answer.json()['explain'])
        self.assertNotIn('explain', daemon.try_pick('web', **{'meta.zone': 'b'}).json())


class Why(rt.TestCase):

    REASON = 'a "new" kernel\u00e4'

    def live(self, daemon):
        """Makes an event by each kind of author: instance, operator, sweeper."""
        agent = {'User-Agent': 'probe/1.0'}
        path = rt.instance_path('web', 'a')
        record = {'host': '10.0.0.1', 'port': 80, 'ttl_ms': 1000}
        yield 'registered', 'instance', None, daemon.request('PUT', path, record, agent)
        yield 'drained', 'operator:127.0.0.1', self.REASON, daemon.request(
            'PUT', path + '/status', {'status': 'draining', 'reason': self.REASON}, agent)
        yield 'resumed', 'operator:127.0.0.1', 'done', daemon.request(
            'PUT', path + '/status', {'status': 'healthy', 'reason': 'done'}, agent)
        rt.wait_for(lambda: daemon.instance('web', 'a')['status'] == 'unhealthy', what='silence')
        yield 'expired', 'sweeper', None, None
        yield 'recovered', 'instance', None, daemon.request('POST', path + '/heartbeat', None, agent)
        since = datetime.fromisoformat(daemon.instance('web', 'a')['status_since'])
        rt.wait_for(lambda: datetime.now(timezone.utc) - since > timedelta(milliseconds=1), what='another time')
        yield 'updated', 'instance', None, daemon.request('PUT', path, {**record, 'ttl_ms': 60000}, agent)

    def plain(self, instance):
        return {key: value for key, value in instance.items() if 'heartbeat' not in key}

    def test_author_agent_reason_and_status_are_the_same_everywhere(self):
        daemon = self.daemon()
        stream = sse.Stream(daemon, '/v1/events', since=0)
        expected = []
        for kind, by, reason, answer in self.live(daemon):
            if answer is not None:
                self.assertLess(answer.status, 300, answer)
            expected.append((kind, by, reason, self.plain(daemon.instance('web', 'a'))))
        # two more events are about the operator's intent
        events = [stream.event().data for _ in range(len(expected) + 2)]
        stream.close()
        self.everywhere(daemon, expected, events)
        daemon.restart()
        self.everywhere(daemon, expected, events)

    def everywhere(self, daemon, expected, events):
        self.assertEqual(daemon.get('/v1/events').json()['events'], events)
        self.assertEqual(daemon.get(rt.instance_path('web', 'a') + '/history').json()['events'], events)
        answer = daemon.get('/v1/events', Accept='application/jsonl')
        lines = [json.loads(line) for line in answer.text.splitlines()]
        self.assertEqual(lines, [{**events[0], 'history': answer.history}, *events[1:]])
        about = [event for event in events if 'entry' in event]
        self.assertEqual([(event['kind'], event['author'], event['reason'], event['peer'], event['agent'])
                          for event in about],
                         [('entry-put', 'operator:127.0.0.1', self.REASON, '127.0.0.1', 'probe/1.0'),
                          ('entry-removed', 'operator:127.0.0.1', 'done', '127.0.0.1', 'probe/1.0')])
        of_instance = [event for event in events if 'instance' in event]
        for event, (kind, by, reason, instance) in zip(of_instance, expected, strict=True):
            self.assertEqual(event['kind'], kind)
            self.assertEqual(event['author'], by, event)
            self.assertEqual(event.get('peer'), None if by == 'sweeper' else '127.0.0.1', event)
            self.assertEqual(event.get('agent'), None if by == 'sweeper' else 'probe/1.0', event)
            self.assertEqual(event.get('reason'), reason, event)
            self.assertEqual(event['instance'], instance)
            at = event['revision']
            then = daemon.get(rt.instance_path('web', 'a') + f'?at={at}').json()
            listed = daemon.lookup('web', at=at, status='any')['instances']
            self.assertEqual((then, listed), (instance, [instance]))
            self.why(instance, kind, by, reason, event)
        self.assertEqual(self.plain(daemon.instance('web', 'a')), expected[-1][3])

    def why(self, instance, kind, by, reason, event):
        if kind == 'updated':  # an update does not change the status
            self.assertEqual((instance['status_by'], instance['status']), ('instance', 'healthy'))
            self.assertLess(instance['status_since'], event['time'])
            return
        self.assertEqual(instance['status_by'], by, event)
        self.assertEqual(instance['status_since'], event['time'])
        self.assertTrue(instance['status_reason'])
        if reason is not None:
            self.assertEqual(instance['status_reason'], reason)


if __name__ == '__main__':
    rt.main()
