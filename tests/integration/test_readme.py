# SPDX-License-Identifier: MIT
"""The documents are true of the daemon: the output of the README's commands, limits, errors, file names."""

import os
import re
import shutil
import subprocess
import sys
import unittest

import rollcall_test as rt

TOUR = os.path.join(rt.ROOT, 'tests', 'docs', 'tour')
README = os.path.join(rt.ROOT, 'README.md')


@unittest.skipUnless(shutil.which('curl') and shutil.which('bash'), 'the tour needs curl and bash')
class Readme(rt.TestCase):
    def tour(self, *arguments):
        return subprocess.run([sys.executable, TOUR, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=dict(os.environ, ROLLCALLD=rt.ROLLCALLD), timeout=rt.seconds(60), check=False)

    def document(self, text):
        path = os.path.join(self.directory(), 'document.md')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def test_the_tour_prints_what_the_readme_shows(self):
        done = self.tour(README)
        self.assertEqual(done.returncode, 0, done.stdout.decode())
        # The tour must find all commands.
        with open(README, encoding='utf-8') as file:
            commands = sum(line.startswith('$ ') for line in file)
        self.assertGreater(commands, 15)
        self.assertIn(f'{commands} commands, 0 differ', done.stdout.decode())

    def test_a_wrong_output_is_found(self):
        right = '```console\n$ curl http://127.0.0.1:7655/healthz\nok\n```\n'
        self.assertEqual(self.tour(self.document(right)).returncode, 0)
        for wrong in (right.replace('ok', 'OK'), right.replace('ok\n', 'ok\nok\n'), right.replace('ok\n', ''),
                      right.replace('curl ', 'curl -X DELETE '), right.replace('curl ', 'curl -f -X DELETE '),
                      right.replace('console', 'text'), ''):
            if 'DELETE' not in wrong:  # the tour repeats a read that differs until its time limit
                wrong = wrong.replace('curl ', 'curl -X GET ')
            self.assertNotEqual(self.tour(self.document(wrong)).returncode, 0, wrong)

    def test_every_file_that_the_documents_name_is_there(self):
        count = 0
        for document in [README, *(os.path.join(rt.ROOT, 'docs', name) for name in os.listdir(rt.ROOT + '/docs'))]:
            if not document.endswith('.md'):
                continue
            with open(document, encoding='utf-8') as file:
                targets = re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', file.read())
            for target in targets:
                path = os.path.join(os.path.dirname(document), target)
                self.assertTrue(os.path.exists(path), f'{document} names {target}')
            count += len(targets)
        self.assertGreater(count, 5)

    def test_the_manual_has_every_limit(self):
        with open(os.path.join(rt.ROOT, 'docs', 'operations.md'), encoding='utf-8') as file:
            rows = [line for line in file if line.startswith('| `')]
        limits = self.daemon().status()['limits']
        self.assertGreater(len(limits), 10)
        for name, value in limits.items():
            self.assertTrue(any(f'`{name}`' in row and re.search(rf'\b{value}\b', row) for row in rows),
                            f'{name} is {value}')

    def test_the_manual_explains_every_error(self):
        with open(os.path.join(rt.ROOT, 'docs', 'operations.md'), encoding='utf-8') as file:
            documented = dict(re.findall(r'^\| `([a-z-]+)` \| (\d{3}) \|', file.read(), re.M))
        daemon = self.daemon()
        codes = daemon.get('/openapi.json').json()['components']['schemas']['Problem']['properties']['code']['enum']
        self.assertEqual(sorted(documented), sorted(codes))
        for code, status in documented.items():
            self.assertIn(f'{code} ({status})', daemon.get(f'/problems/{code}').text)


if __name__ == '__main__':
    rt.main()
