# SPDX-License-Identifier: MIT
"""The part of JSON Schema 2020-12 that schema/openapi.json uses, strictly: an unknown keyword is an error.

    for error in jsonschema.errors(document, {'$ref': '#/components/schemas/Instance'}, value):
        print(error)
"""

import re

ANNOTATIONS = {'description', 'title', 'default', 'examples', 'format'}
KEYWORDS = ANNOTATIONS | {
    '$ref', 'type', 'enum', 'oneOf', 'properties', 'required', 'additionalProperties', 'propertyNames',
    'maxProperties', 'items', 'minItems', 'maxItems', 'minimum', 'maximum', 'minLength', 'maxLength',
    'pattern'}


def resolve(document, ref):
    """Returns the value that '#/a/b' points to; KeyError when there is none."""
    if not ref.startswith('#/'):
        raise ValueError(ref)
    for part in ref[2:].split('/'):
        document = document[part.replace('~1', '/').replace('~0', '~')]
    return document


def _is(kind, value):
    if kind == 'integer':
        whole = isinstance(value, int) or isinstance(value, float) and value.is_integer()
        return whole and not isinstance(value, bool)
    if kind == 'number':
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, {'object': dict, 'array': list, 'string': str, 'boolean': bool}[kind])


def _object(document, schema, value, where):
    known = schema.get('properties', {})
    for name in schema.get('required', ()):
        if name not in value:
            yield f'{where}: {name} is missing'
    if len(value) > schema.get('maxProperties', len(value)):
        yield f'{where}: too many members'
    others = schema.get('additionalProperties', True)
    for name, each in value.items():
        here = f'{where}/{name}'
        if 'propertyNames' in schema:
            yield from errors(document, schema['propertyNames'], name, here)
        if name in known:
            yield from errors(document, known[name], each, here)
        elif others is False:
            yield f'{here}: is not in the schema'
        elif others is not True:
            yield from errors(document, others, each, here)


def _array(document, schema, value, where):
    if not schema.get('minItems', 0) <= len(value) <= schema.get('maxItems', len(value)):
        yield f'{where}: {len(value)} items'
    for i, each in enumerate(value):
        yield from errors(document, schema.get('items', {}), each, f'{where}/{i}')


def _scalar(schema, value, where):
    if isinstance(value, str):
        if not schema.get('minLength', 0) <= len(value) <= schema.get('maxLength', len(value)):
            yield f'{where}: length {len(value)}'
        if 'pattern' in schema and not re.search(schema['pattern'], value):
            yield f'{where}: {value!r} does not match {schema["pattern"]}'
    elif _is('number', value):
        if not schema.get('minimum', value) <= value <= schema.get('maximum', value):
            yield f'{where}: {value} is out of bounds'


def errors(document, schema, value, where=''):
    """Yields a sentence for each way in which value does not match the schema."""
    unknown = set(schema) - KEYWORDS
    if unknown:
        yield f'{where}: cannot judge {sorted(unknown)}'
    if '$ref' in schema:
        try:
            yield from errors(document, resolve(document, schema['$ref']), value, where)
        except KeyError:
            yield f'{where}: {schema["$ref"]} leads nowhere'
    if 'oneOf' in schema:
        fits = [each for each in schema['oneOf'] if not list(errors(document, each, value, where))]
        if len(fits) != 1:
            yield f'{where}: fits {len(fits)} of oneOf'
    if 'enum' in schema and value not in schema['enum']:
        yield f'{where}: {value!r} is not one of {schema["enum"]}'
    if 'type' in schema and not _is(schema['type'], value):
        yield f'{where}: {value!r} is no {schema["type"]}'
    elif isinstance(value, dict):
        yield from _object(document, schema, value, where)
    elif isinstance(value, list):
        yield from _array(document, schema, value, where)
    else:
        yield from _scalar(schema, value, where)
