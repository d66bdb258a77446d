#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The daemon's answers match /openapi.json: schemas, statuses, headers, problem codes, bounds of parameters.

Contract finds the operation of a request and checks its answer. The tests must see every operation and every
status that the document lists. Class Validator tests tests/integration/jsonschema.py itself.
"""

import json
import os
import re
import sqlite3
import unittest

import jsonschema
import rollcall_test as rt
from sse import Stream

METHODS = {'get', 'put', 'post', 'delete'}
JSON = {'Content-Type': 'application/json'}
INSTANCE = '/v1/services/web/instances/a'


class Contract:
    """Finds the operation of a request and checks its answer."""

    def __init__(self, document):
        self.document = document
        self.seen = set()

    def deref(self, value):
        while '$ref' in value:
            value = jsonschema.resolve(self.document, value['$ref'])
        return value

    def operation(self, method, target):
        path = target.split('?')[0]
        for pattern, item in sorted(self.document['paths'].items(), key=lambda each: each[0].count('{')):
            if re.fullmatch(re.sub(r'\{\w+\}', '[^/]+', pattern), path):
                return pattern, item.get(method.lower())
        return None, None

    def errors(self, method, target, response):
        pattern, operation = self.operation(method, target)
        where = f'{method} {target} {response.status}'
        if operation is None:
            yield from self.unlisted(where, response)
            return
        self.seen.add((method.lower(), pattern, str(response.status)))
        described = operation['responses'].get(str(response.status))
        if described is None:
            yield f'{where} is not in the contract: {response}'
            return
        described = self.deref(described)
        for name, header in described.get('headers', {}).items():
            value = response.headers.get(name)
            header = self.deref(header)
            if value is None and header.get('required'):
                yield f'{where}: header {name} is missing'
            if value is not None and header['schema'].get('type') == 'string':
                yield from jsonschema.errors(self.document, header['schema'], value, f'{where}: {name}')
        if response.code and response.code not in self.codes(operation):
            yield f'{where}: code {response.code} is not in the contract'
        yield from self.body(where, described.get('content', {}), response)

    def unlisted(self, where, response):
        if response.code not in ('not-found', 'method-not-allowed', 'malformed-target'):
            yield f'{where}: is not in the contract, but was answered with {response}'

    def codes(self, operation):
        common = set.intersection(*(
            set(self.examples(each)) for item in self.document['paths'].values()
            for method, each in item.items() if method in METHODS))
        return common | set(operation.get('x-problems', ()))

    def examples(self, operation):
        for response in operation['responses'].values():
            for media in self.deref(response).get('content', {}).values():
                yield from media.get('examples', {})

    def body(self, where, content, response):
        kind = response.headers.get('Content-Type', '').split(';')[0]
        if not content:
            if response.body:
                yield f'{where}: has a body'
            return
        if kind not in content:
            yield f'{where}: is {kind}, not one of {list(content)}'
            return
        value = response.json() if kind.endswith(('json', 'jsonl')) else response.text
        yield from jsonschema.errors(self.document, content[kind]['schema'], value, where)


class OpenApi(rt.TestCase):
    def setUp(self):
        super().setUp()
        self.rollcall = self.daemon()
        self.contract = Contract(self.rollcall.get('/openapi.json').json())

    def ask(self, status, method, target, body=None, headers=None):
        """Sends a request and checks the answer against the contract."""
        response = self.rollcall.request(method, target, body, headers)
        self.assertEqual(response.status, status, f'{method} {target}: {response}')
        self.assertEqual(list(self.contract.errors(method, target, response)), [])
        return response

    def read_stream(self, target, *steps):
        """Checks the first event of a stream, and the next one after each step, against the contract."""
        pattern, operation = self.contract.operation('GET', target)
        self.contract.seen.add(('get', pattern, '200'))
        described = operation['responses']['200']['content']['text/event-stream']['x-events']
        stream = Stream(self.rollcall, target)
        self.addCleanup(stream.close)
        self.assertEqual(stream.answer.headers['X-Accel-Buffering'], 'no')
        self.assertEqual(stream.answer.headers['Cache-Control'], 'no-store')
        for step in (lambda: None, *steps):
            step()
            event = stream.event()
            data = {**event.data, 'history': event.history} if event.history else event.data
            found = jsonschema.errors(self.contract.document, described[event.kind], data)
            self.assertEqual(list(found), [], event.kind)

    def test_streams_say_what_is_described(self):
        self.rollcall.register('web', 'a')
        self.read_stream('/v1/services/web/watch',
                         lambda: self.rollcall.set_status('web', 'a', 'draining'),
                         lambda: self.rollcall.register('web', 'b'),
                         lambda: self.rollcall.register('web', 'b', weight=2),
                         lambda: self.rollcall.deregister('web', 'b'))
        self.read_stream('/v1/events', lambda: None, lambda: self.rollcall.deregister('web', 'a'))
        lines = self.ask(200, 'GET', '/v1/events?limit=1', headers={'Accept': 'application/jsonl'})
        self.assertEqual(lines.headers['Content-Type'], 'application/jsonl')

    def test_events_about_entries_are_what_is_described(self):
        self.rollcall.stop()
        for name in os.listdir(self.rollcall.state_dir):
            os.unlink(os.path.join(self.rollcall.state_dir, name))
        # the database of the unit test of the format, which has each kind of event
        database = sqlite3.connect(os.path.join(self.rollcall.state_dir, 'rollcall.db'))
        for script in ('schema/sql/001_init.sql', 'schema/sql/002_entries.sql', 'tests/cases/format_002.sql'):
            with open(os.path.join(rt.ROOT, script), encoding='utf-8') as file:
                database.executescript(file.read())
        database.executescript('PRAGMA application_id=1919904876; PRAGMA user_version=2')
        database.close()
        self.rollcall.start()
        # some of its instances have a port or a TTL that could not be registered
        events = self.rollcall.get('/v1/events').json()['events']
        kinds = {event['kind'] for event in events}
        self.assertEqual(kinds, set(self.contract.document['components']['schemas']['EventKind']['enum']))
        about = self.ask(200, 'GET', '/v1/events?kind=entry-put,entry-removed&service=none').json()['events']
        self.assertEqual([event['kind'] for event in about], ['entry-put', 'entry-removed', 'entry-put'])
        self.assertEqual(about[0]['entry']['document'], {'n': 1})
        self.assertNotIn('instance', about[0])
        text = self.ask(200, 'GET', '/v1/events?kind=entry-put&format=text').body.decode()
        self.assertRegex(text, r'entry-put +none +1 +intent +operator:ann +because')
        self.read_stream('/v1/events?since=14', *[lambda: None] * 2)

    def test_the_document_is_the_one_in_the_source(self):
        with open(os.path.join(rt.ROOT, 'schema', 'openapi.json'), encoding='utf-8') as file:
            self.assertEqual(json.load(file), self.contract.document)

    def test_every_operation_answers_as_described(self):
        ask = self.ask
        record = {'host': '10.0.0.1', 'port': 80, 'metadata': {'zone': 'a'}, 'weight': 0}
        ask(201, 'PUT', INSTANCE, record)
        ask(200, 'PUT', INSTANCE, record)
        ask(200, 'PUT', INSTANCE, {**record, 'weight': 2})
        ask(201, 'POST', '/v1/services/web/instances', {'host': '::1', 'port': 80})
        ask(200, 'POST', INSTANCE + '/heartbeat')
        ask(200, 'PUT', INSTANCE + '/heartbeat', {'status': 'draining', 'load': 0.5})
        ask(200, 'POST', '/v1/heartbeats', {'instances': [
            {'service': 'web', 'id': 'a'}, {'service': 'web', 'id': 'b'}]})
        ask(200, 'PUT', INSTANCE + '/status', {'status': 'draining', 'reason': 'why', 'for_ms': 60000})
        for target in ('/v1/services', '/v1/services/web', INSTANCE, '/v1/events', '/v1/services/web/pick',
                       '/v1/services/web/intents'):
            ask(200, 'GET', target)
            ask(200, 'GET', target + '?format=text')
            ask(200, 'GET', target + '?pretty')
        ask(200, 'GET', '/v1/services/web?status=any&meta.zone=a')
        ask(200, 'GET', '/v1/services/web?status=any&limit=1')
        ask(200, 'GET', '/v1/services/web/pick?count=2&strategy=weighted_round_robin')
        ask(200, 'GET', '/v1/events?limit=1&kind=registered')
        for target in ('/v1/services', '/v1/services/web', '/v1/services/web/intents'):
            ask(304, 'GET', target, headers={'If-None-Match': '*'})
        ask(200, 'GET', '/v1/services?limit=1')
        for target in ('/v1/services', '/v1/services/web', INSTANCE, '/v1/services/web/intents'):
            ask(200, 'GET', target + '?at=1')
            ask(200, 'GET', target + '?at=1&format=text')
            etag = ask(200, 'GET', target + '?at=1').headers['ETag']
            ask(304, 'GET', target + '?at=1', headers={'If-None-Match': etag})
        ask(200, 'GET', '/v1/services/web/pick?at=1&key=x')
        ask(200, 'GET', '/v1/diff?from=0')
        ask(200, 'GET', '/v1/diff?from=1&service=web')
        ask(200, 'GET', INSTANCE + '/history')
        ask(200, 'GET', INSTANCE + '/history?limit=1')
        for target in ('/v1/status', '/healthz', '/readyz', '/metrics', '/openapi.json', '/',
                       '/problems/not-registered'):
            ask(200, 'GET', target)
        self.read_stream('/v1/services/web/watch?status=any')
        ask(204, 'DELETE', INSTANCE)
        intents = ask(200, 'GET', '/v1/services/web/intents').json()['intents']
        self.assertIn('absent_since', intents[0])
        ask(200, 'GET', '/v1/diff?from=1')
        ask(204, 'PUT', INSTANCE + '/status', {'status': 'healthy'})
        self.assert_every_operation_was_seen()

    def assert_every_operation_was_seen(self):
        for path, item in self.contract.document['paths'].items():
            for method in METHODS & set(item):
                for status in item[method]['responses']:
                    if status[0] in '23':
                        self.assertIn((method, path, status), self.contract.seen)

    def test_every_refusal_is_as_described(self):
        ask = self.ask
        ask(400, 'GET', '/v1/services?x=1')
        ask(400, 'GET', '/v1/services?limit=x')
        ask(400, 'GET', '/v1/services/-a')
        ask(400, 'GET', '/v1/services/-a/intents')
        ask(400, 'GET', '/v1/services/web/instances/%20')
        ask(400, 'PUT', INSTANCE, '{', JSON)
        ask(400, 'GET', '/healthz', 'body', JSON)
        ask(400, 'GET', '/v1/services?at=x')
        ask(400, 'GET', '/v1/services?at=1')
        ask(400, 'GET', '/v1/diff')
        ask(400, 'GET', '/v1/services/web/pick?at=0')
        ask(404, 'GET', '/v1/services/web/pick?at=0&cursor=0')
        ask(404, 'GET', INSTANCE + '/history')
        ask(404, 'GET', INSTANCE + '?at=0')
        ask(404, 'GET', '/v1/services/web?at=0')
        ask(404, 'GET', '/v1/services/web')
        ask(404, 'GET', '/v1/services/web/pick')
        ask(404, 'GET', INSTANCE)
        ask(404, 'POST', INSTANCE + '/heartbeat')
        ask(404, 'PUT', INSTANCE + '/status', {'status': 'healthy'})
        ask(404, 'GET', '/v1/services/')
        ask(404, 'GET', '/problems/none')
        ask(405, 'DELETE', '/v1/services')
        ask(405, 'POST', INSTANCE)
        ask(413, 'PUT', INSTANCE, ' ' * 65537, JSON)
        ask(415, 'PUT', INSTANCE, '{}', {'Content-Type': 'text/plain'})
        ask(422, 'PUT', INSTANCE, {'port': '80'})
        ask(422, 'PUT', INSTANCE + '/status', {'status': 'unhealthy'})
        ask(422, 'POST', INSTANCE + '/heartbeat', {'load': 2})
        ask(422, 'POST', '/v1/heartbeats', {'instances': [{}]})
        self.rollcall.register('web', 'a', status='draining')
        ask(503, 'GET', '/v1/services/web/pick')
        ask(410, 'GET', '/v1/services/web?after=x')
        history = int(self.rollcall.status()['history'], 16)
        other = f'1.{(history ^ 1 << 63) >> 32:08x}'
        for target in ('/v1/events?since=', '/v1/services?wait_ms=1&revision=', '/v1/services?at=',
                       '/v1/services/web?wait_ms=1&revision=', '/v1/services/web?at=',
                       '/v1/services/web/pick?key=x&at=', INSTANCE + '?at=', INSTANCE + '/history?since=',
                       '/v1/diff?from='):
            ask(410, 'GET', target + other)
        condition = {'If-Match': f'"{other}"'}
        ask(410, 'PUT', INSTANCE, {'host': '10.0.0.1', 'port': 80}, {**JSON, **condition})
        ask(410, 'PUT', INSTANCE + '/status', {'status': 'healthy'}, {**JSON, **condition})
        ask(410, 'DELETE', INSTANCE, None, condition)

    def test_contract_and_daemon_agree_on_what_a_number_is(self):
        self.rollcall.register('web', 'a')
        schemas = self.contract.document['components']['schemas']
        bodies = (('Record', 'PUT', '/v1/services/numbers/instances/a', {'host': 'a', 'port': 1}),
                  ('Intent', 'PUT', INSTANCE + '/status', {'status': 'draining'}),
                  ('Heartbeat', 'POST', INSTANCE + '/heartbeat', {}))
        fields = 0
        for name, method, target, body in bodies:
            for field, schema in schemas[name]['properties'].items():
                if schema.get('type') not in ('integer', 'number'):
                    continue
                fields += 1
                least, most = schema['minimum'], schema['maximum']
                bounds = [each['minimum'] for each in schema.get('oneOf', ()) if 'minimum' in each]
                for value in (*bounds, *(each - 1 for each in bounds), least, most, float(least), float(most),
                              least + 0.5, least - 1, most + 1, float(least - 1), float(most + 1), 1e300, -1e300, -0.0, True,
                              None, str(least), [least]):
                    if field == 'wait_ms' and value in (most, float(most)):
                        continue  # the daemon would wait for this value
                    sent = {**body, field: value}
                    fits = not list(jsonschema.errors(self.contract.document, schemas[name], sent))
                    answer = self.rollcall.request(method, target, sent)
                    self.assertEqual(answer.status // 100 == 2, fits, f'{field}: {value}: {answer}')
                    if not fits:
                        self.assertEqual((answer.status, answer.json()['errors'][0]['pointer']),
                                         (422, '/' + field))
        self.assertEqual(fields, 7)

    def test_contract_and_daemon_agree_on_the_bounds_of_parameters(self):
        self.rollcall.register('web', 'a')
        with_it = {'cursor': '&at=1', 'wait_ms': '&revision=0', 'explain': '', 'limit': '&from=0'}
        checked = []
        for path, item in self.contract.document['paths'].items():
            target = path.replace('{service}', 'web').replace('{id}', 'a')
            for parameter in item.get('get', {}).get('parameters', ()):
                parameter = jsonschema.resolve(self.contract.document, parameter.get('$ref')) \
                    if '$ref' in parameter else parameter
                name, schema = parameter['name'], parameter['schema']
                if parameter['in'] != 'query' or 'maximum' not in schema:
                    continue
                more = with_it.get(name, '')
                if name == 'limit' and path != '/v1/diff' or name == 'wait_ms' and path == '/v1/events':
                    more = ''
                for value, fits in ((schema['minimum'], True), (schema['maximum'], True),
                                    (schema['minimum'] - 1, False), (schema['maximum'] + 1, False)):
                    if fits and name in ('wait_ms', 'since'):
                        continue  # the daemon would wait for this value, or it is ahead
                    answer = self.rollcall.get(f'{target}?{name}={value}{more}')
                    self.assertEqual(answer.status != 400, fits, f'{target} {name}={value}: {answer}')
                checked.append(f'{path} {name}')
        self.assertGreaterEqual(len(checked), 11, checked)

    def test_the_limits_of_the_contract_are_those_of_the_daemon(self):
        limits = self.rollcall.status()['limits']
        schemas = self.contract.document['components']['schemas']
        record = schemas['Record']['properties']
        self.assertEqual(limits['service_name_bytes'], schemas['ServiceName']['maxLength'])
        self.assertEqual(limits['instance_id_bytes'], schemas['InstanceId']['maxLength'])
        self.assertEqual(limits['host_bytes'], record['host']['maxLength'])
        self.assertEqual(limits['weight'], record['weight']['maximum'])
        self.assertEqual(limits['metadata_entries'], schemas['Metadata']['maxProperties'])
        self.assertEqual(limits['ttl_ms_min'], record['ttl_ms']['oneOf'][1]['minimum'])
        self.assertEqual(limits['ttl_ms_max'], record['ttl_ms']['maximum'])
        self.assertEqual(limits['remove_after_ms_max'], record['remove_after_ms']['maximum'])
        self.assertEqual(limits['drain_for_ms'], schemas['Intent']['properties']['for_ms']['maximum'])
        self.assertEqual(limits['batch_entries'], schemas['Heartbeats']['properties']['instances']['maxItems'])
        self.assertEqual(limits['pick_count'], schemas['PickedMany']['properties']['instances']['maxItems'])
        self.assertEqual(limits['batch_entries'], schemas['HeartbeatsAnswer']['properties']['renewed']['maximum'])
        self.assertEqual(limits['reason_bytes'], schemas['Intent']['properties']['reason']['maxLength'])
        self.assertEqual(limits['wait_ms'], schemas['Intent']['properties']['wait_ms']['maximum'])
        self.assertEqual(limits['metadata_filters'],
                         self.contract.document['components']['parameters']['meta']['schema']['maxProperties'])
        for field in ('host', 'port', 'weight', 'ttl_ms', 'remove_after_ms'):
            for bound in ('maxLength', 'minimum', 'maximum'):
                self.assertEqual(record[field].get(bound), schemas['Instance']['properties'][field].get(bound), field)
        for bound in ('minimum', 'maximum'):
            self.assertEqual(record['ttl_ms'][bound], schemas['HeartbeatAnswer']['properties']['ttl_ms'][bound])


class Validator(unittest.TestCase):
    """Tests jsonschema.py, on which the other tests rely."""

    def errors(self, schema, value):
        return list(jsonschema.errors({}, schema, value))

    def test_it_finds_what_is_wrong(self):
        closed = {'type': 'object', 'properties': {'a': {'type': 'integer', 'minimum': 1}}, 'required': ['a'],
                  'additionalProperties': False}
        self.assertEqual(self.errors(closed, {'a': 1}), [])
        self.assertEqual(self.errors(closed, {'a': 1.0}), [])
        for value in ({}, {'a': 0}, {'a': True}, {'a': 1.5}, {'a': 1, 'b': 1}, [], None):
            self.assertTrue(self.errors(closed, value), value)
        self.assertTrue(self.errors({'type': 'array', 'maxItems': 1}, [1, 2]))
        self.assertTrue(self.errors({'type': 'string', 'pattern': '^a'}, 'b'))
        self.assertTrue(self.errors({'enum': ['a']}, 'b'))
        self.assertTrue(self.errors({'oneOf': [{'type': 'string'}, {'minLength': 1}]}, 'both'))
        self.assertTrue(self.errors({'anyOf': []}, 1))


if __name__ == '__main__':
    rt.main()
