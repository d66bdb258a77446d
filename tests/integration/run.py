#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs files of integration tests, two at a time: run.py RESULTS_DIR test_x.py [test_y.py ...]

$ROLLCALLD is the daemon to test. Each file runs in a process and a session of its own, so that all
processes it started end with it, and writes its cases to RESULTS_DIR as TAP. A file that dies, hangs or
has no test counts as one more failed case. Exits 0 even so: tests/lib/tally reports what failed.

One file alone, at the terminal: test_x.py [-k PATTERN] ...
"""

import concurrent.futures
import importlib.util
import os
import signal
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
AT_ONCE = 2
FILE_TIMEOUT_S = float(os.environ.get("TEST_TIMEOUT", "300"))


class TapResult(unittest.TextTestResult):
    """Writes each case to the file as it ends, so that a crash loses no result."""

    def __init__(self, *args, tap, **kwargs):
        super().__init__(*args, **kwargs)
        self.tap = tap
        self.count = 0
        self.failed = set()

    def case(self, ok, test, note=""):
        if not ok and test.id() in self.failed:
            return  # report a case once even if several of its subtests and clean-ups fail
        if not ok:
            self.failed.add(test.id())
        self.count += 1
        name = str(test.id()).replace("#", "")
        self.tap.write(f"{'ok' if ok else 'not ok'} {self.count} - {name}{note}\n")
        self.tap.flush()

    @staticmethod
    def reason(err):
        return ": " + (str(err[1]).strip().splitlines() or [err[0].__name__])[0].replace("#", "")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.case(True, test)

    def addError(self, test, err):
        super().addError(test, err)
        self.case(False, test, self.reason(err))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.case(False, test, self.reason(err))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.case(True, test, f" # SKIP {reason}")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.case(True, test)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.case(False, test, ": passes, though it is marked as an expected failure")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.case(False, test, self.reason(err))


def load(path):
    """The file's module; tests/integration comes first in its path."""
    sys.path.insert(0, HERE)
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def run_here(path, result):
    """Runs the cases of a file in this process and writes TAP."""
    with open(result, "w", encoding="utf-8") as tap:
        suite = unittest.defaultTestLoader.loadTestsFromModule(load(path))
        runner = unittest.TextTestRunner(
            verbosity=2,
            stream=sys.stdout,
            resultclass=lambda *args, **kwargs: TapResult(*args, tap=tap, **kwargs),
        )
        outcome = runner.run(suite)
        tap.write(f"1..{outcome.count}\n")
    return 0 if outcome.wasSuccessful() else 1


def end_session(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


running = set()


def run_file(path, results_dir):
    """Runs one file in a child; returns the text to print."""
    name = os.path.splitext(os.path.basename(path))[0]
    result = os.path.abspath(os.path.join(results_dir, name + ".tap"))
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PYTHONFAULTHANDLER="1")
    if os.path.exists(result):
        os.remove(result)

    began = time.monotonic()
    with open(result + ".log", "wb") as log:
        child = subprocess.Popen(
            [sys.executable, __file__, "--one", path, result],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        running.add(child.pid)
        try:
            how = f"exit status {child.wait(FILE_TIMEOUT_S)}"
        except subprocess.TimeoutExpired:
            how = f"took longer than {FILE_TIMEOUT_S:.0f} s"
        end_session(child.pid)  # ends the daemons that a test has not stopped
        child.wait()
        running.discard(child.pid)
    return judge(name, result, how, time.monotonic() - began)


def judge(name, result, how, seconds):
    """Adds a failed case if the child could not report its own failure; returns the text to print."""
    with open(result, "a+", encoding="utf-8") as tap:
        tap.seek(0)
        lines = tap.read().splitlines()
        cases = [line for line in lines if line.startswith(("ok", "not ok"))]
        failed = [line for line in cases if line.startswith("not ok")]
        trouble = []
        if not any(line.startswith("1..") for line in lines):
            trouble.append(f"died with {how}" if how.startswith("exit") else how)
        elif how != "exit status 0" and not failed:
            trouble.append(how)
        elif not cases:
            trouble.append("has no test")
        for text in trouble:
            tap.write(f"not ok - {name}: {text}\n")

    if not failed and not trouble:
        return f"  PASS    integration/{name}: {len(cases)} ({seconds:.1f} s)"
    text = f"  FAIL    integration/{name} ({seconds:.1f} s)\n"
    with open(result + ".log", encoding="utf-8", errors="replace") as log:
        text += "".join(f"          {line}" for line in log)
    return text + "".join(f"          {text}\n" for text in trouble)


def run_all(results_dir, paths):
    os.makedirs(results_dir, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
    files = [pool.submit(run_file, path, results_dir) for path in paths]
    try:
        for done in concurrent.futures.as_completed(files):
            print(done.result(), flush=True)
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        for pid in list(running):
            end_session(pid)
        raise


def main(argv):
    if len(argv) == 4 and argv[1] == "--one":
        return run_here(argv[2], argv[3])
    if len(argv) < 3:
        sys.exit(__doc__)
    if not os.access(os.environ.get("ROLLCALLD", ""), os.X_OK):
        sys.exit("run.py: ROLLCALLD must name the daemon to test")
    run_all(argv[1], argv[2:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
