#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs one file of integration tests: run.py tests/integration/test_x.py

Prints the tests' names and what failed. The file that $ROLLCALL_RESULT names gets one line with the
numbers of tests that passed, failed and were skipped.
"""

import importlib.util
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rollcall_test as rt  # pylint: disable=wrong-import-position


def main():
    path = sys.argv[1]
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    sys.exit(0 if rt.run(module) else 1)


if __name__ == '__main__':
    main()
