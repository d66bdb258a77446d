#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The native API over real connections and across restarts: writing in class Writing, reading in class Reading."""

import contextlib
import json
import re
import shutil
import subprocess

import rollcall_test as rt

JSON = {'Content-Type': 'application/json'}


class Api(rt.TestCase):
    def setUp(self):
        super().setUp()
        self.rollcall = self.daemon()

    def refused(self, response, status, code):
        self.assertEqual((response.status, response.code), (status, code), response)
        problem = response.json()
        self.assertEqual(problem['type'], '/problems/' + code)
        self.assertEqual(problem['status'], status)
        self.assertTrue(problem['title'] and problem['detail'])
        self.assertIn('X-Rollcall-Revision', response.headers)
        self.assertRegex(response.history, '^[0-9a-f]{16}$')
        return problem


class Writing(Api):
    def test_a_record_survives_a_restart_to_the_letter(self):
        record = {'port': 8080, 'host': '::1', 'weight': 0, 'ttl_ms': 60000, 'remove_after_ms': 0,
                  'metadata': {'b': 'ä"\\\n', 'a': '', 'zone': 'z' * 1000}}
        answer = self.rollcall.register('Order.service-1_x', 'a/b:c?d%', **record)
        for field, value in record.items():
            self.assertEqual(answer[field], value)
        self.assertEqual(answer['address'], '[::1]:8080')
        self.assertEqual(answer['incarnation'], answer['revision'])
        self.rollcall.restart()
        again = self.rollcall.instance('Order.service-1_x', 'a/b:c?d%')
        for field in set(answer) - {'last_heartbeat', 'heartbeat_age_ms'}:
            self.assertEqual(again[field], answer[field], field)

    def test_put_is_register_renew_and_update(self):
        path = rt.instance_path('web', 'a')
        record = {'host': '10.0.0.1', 'port': 80}
        first = self.rollcall.put(path, record)
        self.assertEqual(first.status, 201)
        renewed = self.rollcall.put(path, record)
        self.assertEqual(renewed.status, 200)
        self.assertEqual(renewed.json()['revision'], first.json()['revision'])
        changed = self.rollcall.put(path, {**record, 'weight': 7})
        self.assertEqual(changed.status, 200)
        self.assertGreater(changed.json()['revision'], first.json()['revision'])
        kinds = [event['kind'] for event in self.rollcall.events()]
        self.assertEqual(kinds, ['registered', 'updated'])

    def test_a_post_makes_the_id(self):
        record = {'host': 'host.example', 'port': 80}
        ids = set()
        for _ in range(20):
            response = self.rollcall.post('/v1/services/web/instances', record)
            self.assertEqual(response.status, 201)
            found = self.rollcall.get(response.headers['Location'])
            self.assertEqual(found.json()['id'], response.json()['id'])
            self.assertRegex(found.json()['id'], r'^host\.example:80:[0-9a-f]{8}$')
            ids.add(found.json()['id'])
        self.assertEqual(len(ids), 20)

    def test_the_largest_head_leaves_room_for_the_largest_answer(self):
        record = json.dumps({'host': '.'.join(['a' * 63] * 3 + ['b' * 61]), 'port': 65535})
        line = f'POST /v1/services/{"s" * 128}/instances HTTP/1.1\r\n'
        fields = ['Host: x', 'Content-Type: application/json', f'Content-Length: {len(record)}']
        limit = self.rollcall.get('/v1/status').json()['limits']['head_bytes']
        for filler, count in (('X: ', 1), ('a:b', 90), ('Cookie: a;b;c;d;e;f;g', 60)):
            size = len(line) + sum(len(field) + 2 + 64 for field in fields + [filler] * count) + 2
            fill = 'x' * (limit - size)
            for more, status in (('', 201), ('x', 431)):
                head = line + '\r\n'.join(fields + [filler] * (count - 1) + [filler + fill + more])
                with contextlib.closing(self.rollcall.raw()) as raw:
                    raw.send(f'{head}\r\n\r\n{record}')
                    response = raw.response('POST')
                self.assertEqual(response.status, status, response)
                if status == 201:
                    self.assertEqual(len(response.headers['Location']), 13 + 128 + 11 + 256)

    def test_an_owner_and_an_operator_drain_independently(self):
        self.rollcall.register('web', 'a')
        self.rollcall.register('web', 'b')
        self.assertEqual(self.rollcall.heartbeat('web', 'a', {'status': 'draining'})['status'], 'draining')
        self.assertEqual(self.rollcall.ids('web'), ['b'])
        self.rollcall.set_status('web', 'a', 'draining', reason='new kernel')
        self.assertEqual(self.rollcall.heartbeat('web', 'a', {'status': 'healthy'})['status'], 'draining')
        self.rollcall.restart()
        shown = self.rollcall.instance('web', 'a')
        self.assertEqual((shown['status'], shown['status_reason'], shown['status_by']),
                         ('draining', 'new kernel', 'operator:127.0.0.1'))
        self.assertEqual(self.rollcall.set_status('web', 'a', 'healthy')['status'], 'healthy')
        self.assertEqual(self.rollcall.ids('web'), ['a', 'b'])

    def test_an_operators_drain_ends_by_itself(self):
        self.rollcall.register('web', 'a')
        shown = self.rollcall.set_status('web', 'a', 'draining', for_ms=300)
        self.assertRegex(shown['draining_until'], r'^\d{4}-\d\d-\d\dT')
        rt.wait_for(lambda: self.rollcall.ids('web') == ['a'])

    def test_many_heartbeats_at_once(self):
        names = [f'i{n}' for n in range(1000)]

        def register(worker):
            client = rt.Client(self.rollcall.address)
            for name in names[worker::8]:
                client.register('web', name)
            client.close()

        rt.parallel(8, register)
        entries = [{'service': 'web', 'id': name} for name in names] + [{'service': 'web', 'id': 'x'}] * 2
        answer = self.rollcall.post('/v1/heartbeats', {'instances': entries * 9}).json()
        self.assertEqual(answer['renewed'], 9000)
        self.assertEqual(answer['not_registered'], [{'service': 'web', 'id': 'x'}] * 18)
        problem = self.refused(self.rollcall.post('/v1/heartbeats', {'instances': entries * 10}), 422, 'invalid-body')
        self.assertIn('10000', problem['errors'][0]['detail'])

    def test_an_unhealthy_instance_comes_back_with_any_sign_of_life(self):
        signs = {
            'heartbeat': lambda: self.rollcall.heartbeat('web', 'a'),
            'batch': lambda: self.rollcall.post('/v1/heartbeats', {'instances': [{'service': 'web', 'id': 'a'}]}),
            'put': lambda: self.rollcall.register('web', 'a', ttl_ms=1000)}
        self.rollcall.register('web', 'a', ttl_ms=1000)
        for name, sign in signs.items():
            with self.subTest(name):
                rt.wait_for(lambda: self.rollcall.instance('web', 'a')['status'] == 'unhealthy')
                self.assertEqual(self.rollcall.ids('web'), [])
                sign()
                self.assertEqual(self.rollcall.ids('web'), ['a'])

    def test_a_body_must_be_declared_as_json(self):
        path = rt.instance_path('web', 'a')
        body = json.dumps({'host': 'a', 'port': 1})
        for kind in ('application/x-www-form-urlencoded', 'text/plain', ''):
            problem = self.refused(self.rollcall.put(path, body, {'Content-Type': kind} if kind else {}),
                                   415, 'unsupported-media-type')
            self.assertIn('curl', problem['detail'])
        response = self.rollcall.put(path, body, {'Content-Type': 'application/json; charset=utf-8'})
        self.assertEqual(response.status, 201)

    def test_without_a_host_it_is_the_address_that_the_request_comes_from(self):
        answer = self.rollcall.ok(self.rollcall.put(rt.instance_path('web', 'a'), {'port': 80})).json()
        self.assertEqual(answer['host'], '127.0.0.1')
        self.rollcall.ok(self.rollcall.put(rt.instance_path('web', 'a'), {'port': 80}))
        self.assertEqual(self.rollcall.status()['revision'], 1)
        answer = self.rollcall.request('POST', '/v1/services/web/instances', {'port': 81})
        self.assertEqual((answer.status, answer.json()['address']), (201, '127.0.0.1:81'))

    def test_a_refused_record_names_every_field(self):
        response = self.rollcall.put(rt.instance_path('web', 'a'), {'port': '80', 'weight': -1, 'x/y': 1})
        problem = self.refused(response, 422, 'invalid-body')
        pointers = {error['pointer'] for error in problem['errors']}
        self.assertEqual(pointers, {'/port', '/weight', '/x~1y'})
        self.assertEqual(self.rollcall.status()['revision'], 0)

    def test_malformed_bodies_change_nothing(self):
        path = rt.instance_path('web', 'a')
        for body in (b'{', b'[]', b'null', b'{"host":"a","host":"b","port":1}', b'{"host":"\xff","port":1}',
                     b'{"host":"a","port":1}{}', b'[' * 5000, b'{"a":' * 20 + b'1' + b'}' * 20):
            self.refused(self.rollcall.put(path, body, JSON), 400, 'malformed-json')
        problem = self.refused(self.rollcall.put(path, b' ' * 65537, JSON), 413, 'body-too-large')
        self.assertIn('65536 bytes at most', problem['detail'])
        self.assertEqual(self.rollcall.get('/v1/services').json()['services'], [])

    def test_the_registry_has_a_limit(self):
        daemon = self.daemon(options=['--max-instances=2'])
        daemon.register('web', 'a')
        daemon.register('web', 'b')
        self.refused(daemon.try_register('web', 'c'), 507, 'too-many-instances')
        daemon.register('web', 'a', weight=3)
        daemon.deregister('web', 'b')
        daemon.register('web', 'c')

    def test_default_ttl_comes_from_the_options(self):
        daemon = self.daemon(options=['--default-ttl-ms=5000', '--default-remove-after-ms=0'])
        answer = daemon.register('web', 'a')
        self.assertEqual((answer['ttl_ms'], answer['remove_after_ms']), (5000, 0))


class Reading(Api):
    def test_an_etag_stays_until_the_result_changes(self):
        self.rollcall.register('web', 'a')
        first = self.rollcall.get('/v1/services/web')
        etag = first.headers['ETag']
        self.assertEqual(etag, f'"{first.token(first.json()["revision"])}"')
        self.rollcall.register('other', 'a')
        same = self.rollcall.get('/v1/services/web', If_None_Match=etag)
        self.assertEqual((same.status, same.body, same.headers['ETag']), (304, b'', etag))
        self.assertGreater(same.revision, first.revision)
        self.rollcall.register('web', 'b')
        changed = self.rollcall.get('/v1/services/web', If_None_Match=f'"x", {etag}')
        self.assertEqual(changed.status, 200)
        self.assertNotEqual(changed.headers['ETag'], etag)

    def test_an_etag_never_comes_back_for_another_result(self):
        self.rollcall.register('web', 'a')
        self.rollcall.register('web', 'b')
        etag = self.rollcall.get('/v1/services/web').headers['ETag']
        self.rollcall.deregister('web', 'a')
        self.rollcall.restart()
        answer = self.rollcall.get('/v1/services/web', If_None_Match=etag)
        self.assertEqual(answer.status, 200)
        self.assertEqual([found['id'] for found in answer.json()['instances']], ['b'])

    def test_pages_show_everything_once(self):
        for n in range(25):
            self.rollcall.register('web', f'i{n}', metadata={'odd': str(n % 2)})
            self.rollcall.register(f'service-{n:02}', 'a')
        seen, parameters = [], {'limit': 4, 'meta.odd': 1}
        while True:
            page = self.rollcall.lookup('web', **parameters)
            seen += [found['id'] for found in page['instances']]
            if 'next' not in page:
                break
            parameters['after'] = page['next']
        self.assertEqual(seen, [f'i{n}' for n in range(1, 25, 2)])
        seen, parameters = [], {'limit': 4, 'prefix': 'service-'}
        while True:
            page = self.rollcall.get('/v1/services' + rt.query(**parameters)).json()
            seen += [found['service'] for found in page['services']]
            if 'next' not in page:
                break
            parameters['after'] = page['next']
        self.assertEqual(seen, [f'service-{n:02}' for n in range(25)])

    def test_events_are_read_page_by_page_across_a_restart(self):
        for n in range(30):
            self.rollcall.register('web', f'i{n}')
        seen, since = [], 0
        while True:
            page = self.rollcall.get(f'/v1/events?since={since}&limit=7').json()
            seen += page['events']
            since = page['revision']
            if 'next' not in page:
                break
            self.assertEqual(page['next'], since)
            if len(seen) == 14:
                self.rollcall.restart()
        self.assertEqual([event['id'] for event in seen], [f'i{n}' for n in range(30)])
        self.assertEqual(self.rollcall.get(f'/v1/events?since={since}').json()['events'], [])

    def test_head_is_get_without_the_body(self):
        self.rollcall.register('web', 'a')
        for path in ('/v1/services', '/v1/services/web', '/healthz', '/v1/events', '/v1/nothing'):
            get = self.rollcall.get(path)
            head = self.rollcall.request('HEAD', path)
            self.assertEqual((head.status, head.body), (get.status, b''))
            for name in ('Content-Type', 'Content-Length', 'ETag'):
                self.assertEqual(head.headers[name], get.headers[name])

    def test_tables_are_for_people(self):
        self.rollcall.register('web', 'a', metadata={'zone': 'eu'})
        self.rollcall.register('web', 'long-id', port=65535)
        table = self.rollcall.get('/v1/services/web', Accept='text/plain').text.splitlines()
        self.assertEqual(len(table), 3)
        column = table[0].index('STATUS')
        self.assertTrue(all(line[column:].startswith(('STATUS', 'healthy')) for line in table))
        self.assertEqual(self.rollcall.get('/v1/services/web/pick?format=text').text, '10.0.0.1:80\n')
        self.assertIn('registered', self.rollcall.get('/v1/events?format=text').text)
        self.assertTrue(self.rollcall.get('/v1/services/web?pretty').text.startswith('{\n  "service": "web",\n'))

    def test_unknown_paths_and_methods_are_refused(self):
        for path in ('/v1', '/v1/', '/v2/services', '/v1/services/', '/healthz/', '/v1//services', '/favicon.ico'):
            self.refused(self.rollcall.get(path), 404, 'not-found')
        for path in ('/v1/services/%00', '/v1/services/%', '/v1/services/%zz'):
            self.assertEqual(self.rollcall.get(path).status, 400)
        response = self.rollcall.post('/v1/services', {})
        self.refused(response, 405, 'method-not-allowed')
        self.assertEqual(response.headers['Allow'], 'GET, HEAD')
        for method in ('PATCH', 'OPTIONS', 'BREW'):
            self.assertEqual(self.rollcall.request(method, '/v1/services').status, 405)

    def test_promtool_accepts_the_metrics(self):
        self.rollcall.register('web', 'a')
        self.rollcall.heartbeat('web', 'a')
        self.rollcall.pick('web')
        self.assertEqual(self.rollcall.metric('rollcall_instances', status='healthy'), 1)
        self.assertEqual(self.rollcall.metric('rollcall_picks_total'), 1)
        self.assertGreaterEqual(self.rollcall.metric('rollcall_heartbeats_total'), 1)
        self.assertEqual(self.rollcall.metric('rollcall_events_total', kind='registered'), 1)
        promtool = shutil.which('promtool')
        if promtool is None:
            self.skipTest('promtool is not installed (package prometheus)')
        text = self.rollcall.get('/metrics').body
        checked = subprocess.run([promtool, 'check', 'metrics'], input=text, capture_output=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, b''))

    def test_status_and_readiness(self):
        self.rollcall.register('web', 'a')
        status = self.rollcall.status()
        self.assertEqual(status['services'], 1)
        self.assertEqual(status['instances'], {'healthy': 1, 'unhealthy': 0, 'draining': 0})
        self.assertEqual(status['storage'], {'failed': False, 'full': False, 'locked': False})
        self.assertTrue(status['version'])
        self.assertEqual(self.rollcall.get('/healthz').text, 'ok\n')
        self.assertEqual(self.rollcall.get('/readyz').text, 'ready\n')
        self.assertIn('/v1/services/{service}/pick', self.rollcall.get('/').text)

    def test_a_pick_is_sticky_by_key_and_skips_what_is_excluded(self):
        for name in 'abc':
            self.rollcall.register('web', name)
        self.assertEqual([self.rollcall.pick('web') for _ in range(6)], list('abcabc'))
        self.assertEqual(len({self.rollcall.pick('web', key='user-1') for _ in range(10)}), 1)
        self.assertEqual(sorted(self.rollcall.pick('web', count=9)), list('abc'))
        self.assertEqual(self.rollcall.pick('web', exclude='a,c'), 'b')
        response = self.rollcall.try_pick('web', exclude='a,b,c')
        self.refused(response, 503, 'no-healthy-instance')
        self.assertTrue(re.fullmatch(r'\d+', response.headers['Retry-After']))
        self.refused(self.rollcall.try_pick('nobody'), 404, 'unknown-service')

    def test_the_target_may_be_absolute(self):
        raw = rt.Raw(self.rollcall.address)
        self.addCleanup(raw.close)
        raw.send('GET http://example.test/healthz HTTP/1.1\r\nHost: example.test\r\n\r\n')
        self.assertEqual(raw.response().text, 'ok\n')


if __name__ == '__main__':
    rt.main()
