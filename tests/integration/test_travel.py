#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads of past states (?at=, /v1/diff, history, past picks): the daemon and a model agree at every revision.

past_model.Model makes random changes and keeps the state after each. Most tests then compare what the daemon
answers about a past revision with that state, after a restart, a kill, retention or damaged keyframes too.
"""

import glob
import os
import time

import rollcall_test as rt
from past_model import SERVICES, Model

def names(entries):
    return [(each['service'], each['name']) for each in entries]


class Travel(rt.TestCase):

    def agree(self, model, revisions=None):
        """Checks that every kind of request about these revisions returns the state of then."""
        for revision in model.states if revisions is None else revisions:
            self.agree_at(model, revision)

    def agree_at(self, model, revision):
        daemon, state = model.daemon, model.states[revision]
        answer = daemon.get(f'/v1/services?at={revision}')
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json()['revision'], revision)
        self.assertEqual([(each['service'], each['healthy'], each['unhealthy'], each['draining'])
                          for each in answer.json()['services']],
                         [(name, *(sum(each['status'] == status for each in state[name])
                                   for status in ('healthy', 'unhealthy', 'draining')))
                          for name in sorted(state)])
        for service in SERVICES:
            intents = daemon.get(f'/v1/services/{service}/intents?at={revision}').json()['intents']
            self.assertEqual([(service, each['id']) for each in intents],
                             sorted(key for key in model.intents[revision] if key[0] == service))
            registered = [each['id'] for each in state.get(service, ())]
            self.assertEqual([each['registered'] for each in intents],
                             [each['id'] in registered for each in intents])
            answer = daemon.get(f'/v1/services/{service}?at={revision}&status=any')
            if service not in state:
                self.assert_problem(answer, 404, 'unknown-service')
                continue
            self.assertEqual(answer.json(), {'service': service, 'revision': revision,
                                             'instances': state[service]})
            self.assertEqual(answer.headers['ETag'], f'"{answer.token(revision)}"')
            one = state[service][revision % len(state[service])]
            answer = daemon.get(rt.instance_path(service, one['id']) + f'?at={revision}')
            self.assertEqual(answer.json(), one)

    def agree_differences(self, model, count, least=0):
        """Compares random differences with those of the model's two states."""
        for _ in range(count):
            known = [revision for revision in model.states if revision >= least]
            start, end = sorted((model.random.choice(known), model.random.choice(known)))
            before, after = ({(name, each['id']): each for name in state for each in state[name]}
                             for state in (model.states[start], model.states[end]))
            added, changed, removed = [], [], []
            entries = {'added': [], 'changed': [], 'removed': []}
            for page in self.pages(model.daemon, start, end, model.random.choice([1, 3, 1000])):
                self.assertEqual((page['from'], page['to']), (start, end))
                added, changed, removed = (added + page['added'], changed + page['changed'],
                                           removed + page['removed'])
                for kind, list_ in entries.items():
                    list_ += page['entries'][kind]
            self.assertEqual(added, [after[key] for key in sorted(after) if key not in before])
            self.assertEqual(changed, [{'before': before[key], 'after': after[key]}
                                       for key in sorted(after)
                                       if key in before and before[key] != after[key]])
            self.assertEqual(removed, [before[key] for key in sorted(before) if key not in after])
            intended = [model.intents[revision] for revision in (start, end)]
            self.assertEqual(names(entries['added']), sorted(intended[1] - intended[0]))
            self.assertEqual(names(entries['removed']), sorted(intended[0] - intended[1]))
            self.assertEqual(names(each['before'] for each in entries['changed']),
                             names(each['after'] for each in entries['changed']))
            self.assertLessEqual(set(names(each['after'] for each in entries['changed'])), intended[0] & intended[1])

    def pages(self, daemon, start, end, limit):
        """Yields the pages of a difference; none has more than limit entries."""
        path = f'/v1/diff?limit={limit}'
        page = daemon.get(f'{path}&from={start}&to={end}').json()
        while True:
            count = sum(len(part[kind]) for kind in ('added', 'changed', 'removed')
                        for part in (page, page['entries']))
            self.assertEqual(count == limit if 'next' in page else count <= limit, True)
            yield page
            if 'next' not in page:
                return
            page = daemon.get(f'{path}&after={page["next"]}').json()

    def keyframes(self, daemon):
        return sorted(glob.glob(os.path.join(daemon.state_dir, 'rollcall.keyframe-*')))

    def test_every_revision_is_answered_as_it_was_also_after_a_restart_and_a_kill(self):
        model = Model(self.daemon(), 1)
        model.changes(120)
        self.agree(model)
        self.agree_differences(model, 30)
        model.daemon.restart()
        self.agree(model)
        model.changes(30)
        model.daemon.kill()
        model.daemon.start()
        model.changes(10)
        self.agree(model)
        self.agree_differences(model, 30)

    def test_retained_revisions_are_answered_and_removed_ones_are_refused(self):
        model = Model(self.daemon(options=['--events-max-count=100']), 2)
        oldest = 0
        for _ in range(6):
            self.change_slowly(model, 42)  # about 60 events
            answer = rt.wait_for(lambda: self.refused(model.daemon), what='retention') \
                if model.latest > 150 else model.daemon.get('/v1/services?at=1')
            if answer.status == 410:
                self.assert_problem(answer, 410, 'compacted')
                oldest = answer.json()['oldest_revision']
                self.assertIn('oldest_time', answer.json())
            self.agree(model, range(max(oldest, 1), model.latest + 1))
            self.agree_differences(model, 10, max(oldest, 1))
        self.assertGreater(oldest, 200)
        # Nine tenths of the retained events at least, less what retention removes late.
        self.assertLess(oldest, model.latest - 100 + 2 * 12 + 10)
        self.assertEqual(model.daemon.get(f'/v1/services?at={oldest - 1}').status, 410)
        self.assertEqual(model.daemon.get(f'/v1/diff?from=1&to={model.latest}').status, 410)
        at = model.daemon.get(f'/v1/events?limit=1&since={oldest - 1}').json()['events'][0]['time']
        self.assertEqual(model.daemon.get(f'/v1/services?at={at}').status, 200)
        self.assertEqual(model.daemon.get('/v1/services?at=2020-01-01T00:00:00Z').status, 410)
        model.daemon.restart()
        self.agree(model, range(oldest, model.latest + 1))

    def change_slowly(self, model, count):
        """Makes changes no faster than keyframes are written: here they are at most 12 events apart, which is
        a tenth of the retention or the number of instances."""
        for _ in range(count // 6):
            model.changes(6)
            rt.wait_for(lambda: any(int(file.rsplit('-', 1)[1]) >= model.latest - 12
                                    for file in self.keyframes(model.daemon)), what='a keyframe')

    def refused(self, daemon):
        answer = daemon.get('/v1/services?at=1')
        return answer if answer.status == 410 else None

    def test_damaged_and_missing_keyframes_make_older_ones_be_used(self):
        model = Model(self.daemon(options=['--events-max-count=1000']), 3)
        model.changes(450)
        rt.wait_for(lambda: len(self.keyframes(model.daemon)) >= 3, what='keyframes')
        files = self.keyframes(model.daemon)
        with open(files[-1], 'r+b') as file:
            file.seek(os.path.getsize(files[-1]) - 10)
            file.write(b'damage')
        os.truncate(files[-2], 20)
        self.agree(model, range(0, model.latest + 1, 7))
        model.daemon.stop()
        for each in files:
            os.unlink(each)
        model.daemon.start()
        self.agree(model, range(0, model.latest + 1, 7))

    def test_keyframes_of_a_history_that_a_backup_undid_are_not_used(self):
        daemon = self.daemon(options=['--events-max-count=1000'])
        daemon.register('web', 'first')
        daemon.stop()
        with open(daemon.database, 'rb') as file:
            backup = file.read()
        daemon.start()
        for i in range(240):
            daemon.register('web', f'undone-{i}')
        rt.wait_for(lambda: self.keyframes(daemon), what='a keyframe')
        daemon.stop()
        for each in glob.glob(daemon.database + '-*'):
            os.unlink(each)
        with open(daemon.database, 'wb') as file:
            file.write(backup)
        daemon.start()
        model = Model(daemon, 4)
        model.latest = daemon.status()['revision']
        model.states = {model.latest: model.look()}
        model.intents = {model.latest: set()}
        model.now = {('web', 'first'): (80, 'healthy')}
        model.changes(300)
        self.agree(model, list(model.states)[::20])

    def test_a_time_stands_for_the_last_event_up_to_it(self):
        daemon = self.daemon()
        seen = []
        for i in range(20):
            daemon.register('web', f'i{i}')
            time.sleep(0.002)
        events = daemon.get('/v1/events').json()['events']
        self.assertEqual(len(events), 20)
        for event in events:
            last = max(each['revision'] for each in events if each['time'] <= event['time'])
            answer = daemon.get(f'/v1/services?at={event["time"]}')
            seen.append(answer.json()['revision'])
            self.assertEqual(answer.json()['revision'], last)
        self.assertGreater(len(set(seen)), 10)
        self.assertEqual(daemon.get('/v1/services?at=2020-01-01T00:00:00Z').json(),
                         {'revision': 0, 'services': []})
        for query, name, value in (('services?at=2120-01-01T00:00:00Z', 'at', '2120-01-01T00:00:00.000Z'),
                                   ('services?at=21', 'at', '21'), ('diff?from=1&to=22', 'to', '22'),
                                   ('diff?from=23', 'from', '23')):
            problem = self.assert_problem(daemon.get(f'/v1/{query}'), 400, 'invalid-parameter')
            self.assertIn(f'{name} is {value}, which is in the future: the latest revision is', problem['detail'])

    def test_a_past_lookup_takes_filters_pages_and_tags(self):
        daemon = self.daemon()
        for i in range(6):
            daemon.register('web', f'i{i}', metadata={'zone': 'ab'[i % 2]})
        at = daemon.get('/v1/services').revision
        for i in range(6):
            daemon.deregister('web', f'i{i}')
        ids = lambda answer: [each['id'] for each in answer.json()['instances']]
        self.assertEqual(ids(daemon.get(f'/v1/services/web?at={at}&meta.zone=a')), ['i0', 'i2', 'i4'])
        answer = daemon.get(f'/v1/services/web?at={at}&limit=4')
        self.assertEqual((ids(answer), answer.json()['next']), (['i0', 'i1', 'i2', 'i3'], 'i3'))
        self.assertEqual(ids(daemon.get(f'/v1/services/web?at={at}&limit=4&after=i3')), ['i4', 'i5'])
        again = daemon.get(f'/v1/services/web?at={at}', If_None_Match=f'"{answer.token(at)}"')
        self.assertEqual((again.status, again.body), (304, b''))
        self.assert_problem(daemon.get(f'/v1/services/web?at={at}&wait_ms=1&revision=1'), 400,
                            'invalid-parameter')
        self.assert_problem(daemon.get(f'/v1/services?at={at}&revision=1'), 400, 'invalid-parameter')

    def test_the_history_of_an_instance_has_authors_and_reasons(self):
        daemon = self.daemon()
        daemon.register('web', 'a', ttl_ms=1000)
        daemon.register('web', 'other')
        daemon.set_status('web', 'a', 'draining', reason='a new kernel')
        daemon.set_status('web', 'a', 'healthy')
        rt.wait_for(lambda: daemon.instance('web', 'a')['status'] == 'unhealthy', what='silence')
        daemon.heartbeat('web', 'a')
        daemon.register('web', 'a', port=81)
        daemon.deregister('web', 'a')
        daemon.register('web', 'a')
        path = rt.instance_path('web', 'a') + '/history'
        life = daemon.get(path).json()
        self.assertEqual([event['kind'] for event in life['events']],
                         ['registered', 'entry-put', 'drained', 'entry-removed', 'resumed', 'expired', 'recovered',
                          'updated', 'deregistered', 'registered'])
        self.assertEqual({event['id'] for event in life['events']}, {'a'})
        self.assertEqual((life['events'][2]['reason'], life['events'][2]['author']),
                         ('a new kernel', 'operator:127.0.0.1'))
        self.assertEqual(life['events'][5]['author'], 'sweeper')
        self.assertEqual((life['oldest_revision'], 'next' in life), (1, False))
        pages, since = [], 0
        while since is not None:
            page = daemon.get(f'{path}?limit=3&since={since}').json()
            pages += page['events']
            since = page.get('next')
        self.assertEqual(pages, life['events'])
        self.assert_problem(daemon.get(rt.instance_path('web', 'nobody') + '/history'), 404,
                            'not-registered')
        daemon.deregister('web', 'other')
        path = rt.instance_path('web', 'other') + '/history'
        self.assertEqual(len(daemon.get(path).json()['events']), 2)
        self.assertEqual(daemon.get(path + '?since=12').json()['events'], [])  # the last page

    def test_differences_take_one_service_and_refuse_invalid_bounds(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        daemon.register('db', 'a')
        diff = daemon.get('/v1/diff?from=0&service=db').json()
        self.assertEqual(([each['service'] for each in diff['added']], diff['to']), (['db'], 2))
        self.assert_problem(daemon.get('/v1/diff'), 400, 'invalid-parameter')
        self.assert_problem(daemon.get('/v1/diff?from=2&to=1'), 400, 'invalid-parameter')
        self.assert_problem(daemon.get('/v1/diff?from=1&to=9'), 400, 'invalid-parameter')

    def test_pages_of_a_difference_are_about_the_same_two_states(self):
        daemon = self.daemon()
        for i in range(9):
            daemon.register('web', f'i{i}')
            daemon.register('db', f'i{i}')
        page = daemon.get('/v1/diff?from=2020-01-01T00:00:00Z&service=web&limit=4').json()
        ids = [each['id'] for each in page['added']]
        for i in range(9):
            daemon.deregister('web', f'i{i}')
            answer = daemon.get(f'/v1/diff?limit=4&after={page["next"]}')
            page = answer.json()
            ids += [each['id'] for each in page['added']]
            self.assertEqual((answer.revision, page['to'], page['removed']), (18, 18, []))
            if 'next' not in page:
                break
        self.assertEqual(ids, [f'i{i}' for i in range(9)])
        self.assertEqual(len(daemon.get('/v1/diff?from=0&to=18&limit=18').json()['added']), 18)
        self.assertNotIn('next', daemon.get('/v1/diff?from=0&to=18&limit=18').json())

    def test_after_goes_on_with_the_question_that_it_came_from(self):
        daemon = self.daemon()
        for i in range(4):
            daemon.register('web', f'i{i}')
        after = daemon.get('/v1/diff?from=1&to=4&service=web&limit=1').json()['next']
        for same in ('', '&from=1', '&from=1&to=4&service=web', '&from=2020-01-01T00:00:00Z'):
            page = daemon.get(f'/v1/diff?limit=1&after={after}{same}').json()
            self.assertEqual([each['id'] for each in page['added']], ['i2'], same)
        plain = daemon.get('/v1/diff?from=1&limit=1').json()['next']
        for wrong in (f'after={after}&from=2', f'after={after}&to=3', f'after={after}&service=db',
                      f'after={plain}&service=web', 'after=', 'after=1', 'after=1-2', 'after=x-y-z',
                      'after=1-2-', 'from=1&limit=0', 'from=1&limit=10001'):
            self.assert_problem(daemon.get(f'/v1/diff?{wrong}'), 400, 'invalid-parameter')
        self.assert_problem(daemon.get('/v1/diff?after=1-999-0'), 400, 'invalid-parameter')
        self.assert_problem(daemon.get('/v1/diff?after=3-1-0'), 400, 'invalid-parameter')
        self.assertEqual(daemon.get('/v1/diff?after=1-4-99').json()['added'], [])

    def test_no_answer_about_the_past_is_much_larger_than_a_page(self):
        daemon = self.daemon()
        most = daemon.status()['limits']['past_page_bytes']
        big = {f'k{i}': 'x' * 4000 for i in range(4)}
        count = most // 16000 + 20
        for i in range(count):
            daemon.register('web', f'i{i % 300:04}', metadata={**big, 'n': str(i)})
        added, after = 0, None
        while added == 0 or after is not None:
            answer = daemon.get(f'/v1/diff?after={after}' if after else '/v1/diff?from=0')
            page = answer.json()
            added, after = added + len(page['added']), page.get('next')
            self.assertLess(len(answer.body), most + 40000)
            self.assertEqual(len(answer.body) >= most, after is not None)
        self.assertEqual(added, min(count, 300))
        for i in range(count):
            daemon.register('web', 'one', metadata={**big, 'n': str(i)})
        seen, since = [], 0
        while since is not None:
            answer = daemon.get(rt.instance_path('web', 'one') + f'/history?limit=1000&since={since}')
            page = answer.json()
            seen, since = seen + [each['revision'] for each in page['events']], page.get('next')
            self.assertLess(len(answer.body), most + 40000)
            self.assertEqual((page['oldest_revision'], len(answer.body) >= most), (1, since is not None))
        self.assertEqual(seen, list(range(count + 1, 2 * count + 1)))

    def test_a_pick_is_given_again_from_the_state_it_was_made_from(self):
        daemon = self.daemon()
        for i in range(7):
            daemon.register('web', f'i{i}', weight=1 + i * 3, port=1000 + i, metadata={'even': str(i % 2)})
        made = []
        for strategy, key in (('round_robin', None), ('weighted_round_robin', None),
                              ('consistent_hash', 'user-1'), ('consistent_hash', 'user-2')):
            for more in ({}, {'meta.even': '0'}, {'count': 3}):
                for _ in range(4):
                    query = {'strategy': strategy, 'key': key, **more}
                    answer = daemon.try_pick('web', explain=1, **query).json()
                    why = answer.pop('explain')
                    made.append((query, why, answer))
        at = daemon.get('/v1/services').revision
        for i in range(0, 7, 2):
            daemon.deregister('web', f'i{i}')
        daemon.restart()
        picks = daemon.metric('rollcall_picks_total')
        for query, why, answer in made:
            cursor = {'cursor': why['cursor']} if 'cursor' in why else {}
            self.assertEqual(daemon.try_pick('web', at=at, **query, **cursor).json(), answer, query)
        self.assertEqual(daemon.metric('rollcall_picks_total'), picks)
        again = daemon.try_pick('web', at=at, cursor=3, explain=1).json()
        self.assertEqual((again['id'], again['explain']['cursor']), ('i3', 3))

    def test_a_past_pick_requires_the_parameters_that_decide_it(self):
        daemon = self.daemon()
        daemon.register('web', 'a')
        daemon.register('web', 'a', status='draining')
        for wrong in ('at=1', 'cursor=1', 'at=1&key=x&cursor=1', 'at=1&strategy=random&cursor=1',
                      'at=1&strategy=least_loaded', 'at=1&strategy=consistent_hash', 'at=x&cursor=0'):
            self.assert_problem(daemon.get(f'/v1/services/web/pick?{wrong}'), 400, 'invalid-parameter')
        self.assertEqual(daemon.get('/v1/services/web/pick?at=1&cursor=0').status, 200)
        self.assert_problem(daemon.get('/v1/services/web/pick?at=2&cursor=0'), 503, 'no-healthy-instance')
        self.assert_problem(daemon.get('/v1/services/web/pick?at=0&cursor=0'), 404, 'unknown-service')

    def test_reads_of_the_past_and_keyframes_are_counted(self):
        daemon = self.daemon(options=['--events-max-count=100'])
        for i in range(20):
            daemon.register('web', f'i{i}')
        before = daemon.metric('rollcall_past_reads_total')
        daemon.get('/v1/services?at=1')
        self.assertEqual(daemon.metric('rollcall_past_reads_total'), before + 1)
        self.assertGreater(daemon.metric('rollcall_past_read_duration_seconds_count'), 0)
        rt.wait_for(lambda: daemon.metric('rollcall_keyframes_total') > 0, what='a keyframe')
        self.assertGreater(daemon.metric('rollcall_keyframe_revision'), 0)
        self.assertEqual(daemon.metric('rollcall_keyframe_failures_total'), 0)


if __name__ == '__main__':
    rt.main()
