#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Lints an OpenAPI 3.1 document: openapi.py schema/openapi.json

References resolve and every component is used; operations have a unique id, a summary, a known tag, and
responses with a description; parameters match the path's braces; all content has a schema; schemas use
only keywords that tests/integration/jsonschema.py understands, so that the tests check every constraint;
and every example is valid.
"""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))
import jsonschema  # noqa: E402 pylint: disable=wrong-import-position

METHODS = ('get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace')
SCHEMA_PLACES = ('schema', 'items', 'additionalProperties', 'propertyNames')


class Linter:
    def __init__(self, document):
        self.document = document
        self.found = []
        self.used = set()

    def report(self, where, text):
        self.found.append(f'{where}: {text}')

    def resolve(self, value, where):
        while isinstance(value, dict) and '$ref' in value:
            self.used.add(value['$ref'])
            try:
                value = jsonschema.resolve(self.document, value['$ref'])
            except (KeyError, ValueError):
                self.report(where, f'{value["$ref"]} leads nowhere')
                return {}
        return value

    def walk(self, value, where, schema=False):
        """Checks all references and all schemas below value."""
        if isinstance(value, list):
            for i, each in enumerate(value):
                self.walk(each, f'{where}/{i}', schema)
        if not isinstance(value, dict):
            return
        self.resolve(value, where)
        if schema:
            self.schema(value, where)
        for key, each in value.items():
            here = f'{where}/{key}'
            if schema and key == 'properties' or key == 'schemas' and where == '#/components':
                for name, inner in each.items():
                    self.walk(inner, f'{here}/{name}', True)
            elif schema and key in ('examples', 'enum', 'default'):
                continue
            elif key not in ('examples', 'example'):
                self.walk(each, here, schema or key in SCHEMA_PLACES)

    def schema(self, value, where):
        for keyword in value:
            if keyword not in jsonschema.KEYWORDS:
                self.report(where, f'{keyword} is a keyword that jsonschema.py does not check')
        if value.get('type') == 'object' and 'properties' in value:
            for name in value.get('required', ()):
                if name not in value['properties']:
                    self.report(where, f'{name} is required but not a property')
        for i, example in enumerate(value.get('examples', ())):
            for error in jsonschema.errors(self.document, value, example):
                self.report(f'{where}/examples/{i}', error)

    def content(self, value, where):
        for kind, media in value.items():
            if 'schema' not in media:
                self.report(f'{where}/{kind}', 'content without a schema')
            for name, example in media.get('examples', {}).items():
                for error in jsonschema.errors(self.document, media['schema'], example['value']):
                    self.report(f'{where}/{kind}/{name}', error)

    def parameters(self, parameters, path, where):
        found = [self.resolve(each, where) for each in parameters]
        names = [(each.get('in'), each.get('name')) for each in found]
        if len(set(names)) < len(names):
            self.report(where, 'a parameter is given twice')
        for each in found:
            for need in ('name', 'in', 'description', 'schema'):
                if need not in each:
                    self.report(where, f'parameter {each.get("name")} has no {need}')
        in_path = {name for place, name in names if place == 'path'}
        if in_path != set(re.findall(r'\{(\w+)\}', path)):
            self.report(where, 'path parameters do not match the braces')

    def operation(self, operation, path, where):
        tags = {tag['name'] for tag in self.document.get('tags', ())}
        for need in ('operationId', 'summary', 'responses'):
            if not operation.get(need):
                self.report(where, f'no {need}')
        if not set(operation.get('tags', ())) & tags:
            self.report(where, 'no known tag')
        shared = self.document['paths'][path].get('parameters', [])
        self.parameters(shared + operation.get('parameters', []), path, where)
        if 'requestBody' in operation:
            self.content(operation['requestBody']['content'], f'{where}/requestBody')
        statuses = set()
        for status, response in operation.get('responses', {}).items():
            response = self.resolve(response, where)
            statuses.add(status)
            if not response.get('description'):
                self.report(f'{where}/{status}', 'no description')
            self.content(response.get('content', {}), f'{where}/{status}')
        if not any(status.startswith('2') for status in statuses):
            self.report(where, 'no response for success')

    def lint(self):
        if not self.document.get('openapi', '').startswith('3.1.'):
            self.report('#/openapi', 'not 3.1')
        ids = []
        for path, item in self.document['paths'].items():
            for method, operation in item.items():
                if method in METHODS:
                    self.operation(operation, path, f'{method} {path}')
                    ids.append(operation.get('operationId'))
        for name in {each for each in ids if ids.count(each) > 1}:
            self.report(name, 'is the operationId of two operations')
        self.walk(self.document, '#')
        for kind, components in self.document['components'].items():
            for name in components:
                if f'#/components/{kind}/{name}' not in self.used:
                    self.report(f'#/components/{kind}/{name}', 'is not used')
        return self.found


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        found = Linter(json.load(file)).lint()
    for line in found:
        print(f'{sys.argv[1]}: {line}')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
