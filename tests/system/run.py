#!/usr/bin/env python3
"""Runs the system tests, each test class as a process of its own and several at a time.

One line a test, what a failed one said at its end, and last "cases: N passed, N failed[, N skipped]".
"""

import argparse
import re
import signal
import subprocess
import sys
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from harness.sandbox import adopt_orphans, kill_orphans  # noqa: E402

CLASS_TIME_LIMIT = 600  # seconds
OUTCOME = re.compile(r"^(ok|FAILED|SKIPPED) ", re.M)


class OneLinePerTest(unittest.TestResult):
    """Inside the process of one file."""

    def __init__(self):
        super().__init__()
        self._since = {}

    def startTest(self, test):
        super().startTest(test)
        self._since[test] = time.monotonic()

    def _say(self, word, test, text=""):
        took = time.monotonic() - self._since.get(test, time.monotonic())
        print(f"{word:7} {took:6.1f} s  {test.id()}{text}", flush=True)

    def addSuccess(self, test):
        self._say("ok", test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._say("FAILED", test, f"\n{self.failures[-1][1]}")

    def addError(self, test, error):
        super().addError(test, error)
        self._say("FAILED", test, f"\n{self.errors[-1][1]}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._say("SKIPPED", test, f": {reason}")

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._say("FAILED", subtest, f"\n{(self.failures + self.errors)[-1][1]}")


def run_class(name):
    """The child: the tests of one class that were chosen, given as "class,test id,..."."""
    name, *chosen = name.split(",")
    suite = unittest.TestSuite(test for test in tests_in(load(name.partition(".")[0]))
                               if class_of(test) == name and (not chosen or test.id() in chosen))
    result = OneLinePerTest()
    suite.run(result)
    return 0 if result.wasSuccessful() and not result.unexpectedSuccesses else 1


def load(module):
    return unittest.defaultTestLoader.loadTestsFromName(module)


def tests_in(suite):
    for entry in suite:
        if isinstance(entry, unittest.TestSuite):
            yield from tests_in(entry)
        else:
            yield entry


def class_of(test):
    """test_x.SomeTest; a file that cannot be imported is one failing test of its own."""
    kind = type(test)
    return test.id().rpartition(".")[2] + "._FailedTest" if kind.__name__ == "_FailedTest" else \
        f"{kind.__module__}.{kind.__name__}"


def classes(names):
    """{class: ids of its tests}; with names, of those tests that hold one of them."""
    found = {}
    for path in sorted(HERE.glob("test_*.py")):
        for test in tests_in(load(path.stem)):
            if not names or any(name in f"{path.stem}.py {test.id()}" for name in names):
                found.setdefault(class_of(test), []).append(test.id())
    return found


class Run:
    """The parent: starts the classes, prints their lines as they come, and adds up."""

    def __init__(self):
        self.counts = {"ok": 0, "FAILED": 0, "SKIPPED": 0}
        self.failures = []
        self.children = set()
        self._printing = threading.Lock()
        self._stopping = False

    def run_class(self, name, tests):
        command = [sys.executable, __file__, "--class", ",".join([name, *tests])]
        child = subprocess.Popen(command, text=True, cwd=HERE, errors="replace", stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, start_new_session=True)
        self.children.add(child)
        watchdog = threading.Timer(CLASS_TIME_LIMIT, child.terminate)
        watchdog.start()
        text = []
        for line in child.stdout:
            text.append(line)
            if match := OUTCOME.match(line):
                with self._printing:
                    self.counts[match[1]] += 1
                    print(line, end="", flush=True)
        child.wait()
        watchdog.cancel()
        self.children.discard(child)
        self._judge(name, child.returncode, "".join(text))

    def _judge(self, name, code, text):
        with self._printing:
            if re.search(r"^FAILED ", text, re.M):
                self.failures.append(re.sub(r"(?m)^(ok|SKIPPED) .*\n", "", text))
            elif code != 0 and not self._stopping:  # it could not be loaded, ran into the limit, or was killed
                self.counts["FAILED"] += 1
                print(f"FAILED  {name}: ended with {code}", flush=True)
                self.failures.append(f"{name} ended with {code} (time limit: {CLASS_TIME_LIMIT} s)\n{text[-8000:]}")

    def stop(self):
        self._stopping = True
        for child in list(self.children):
            child.send_signal(signal.SIGTERM)
        for child in list(self.children):
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("-j", "--jobs", type=int, default=2, help="classes at a time (default 2)")
    options.add_argument("--class", dest="one_class", help=argparse.SUPPRESS)
    options.add_argument("names", nargs="*", help="only tests whose file or id holds one of these")
    options = options.parse_args()
    if options.one_class:
        return run_class(options.one_class)

    # The longest first, so that none of them runs on alone at the end.
    chosen = sorted(classes(options.names).items(), key=lambda entry: -len(entry[1]))
    run = Run()
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            try:
                list(pool.map(lambda entry: run.run_class(*entry), chosen))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                run.stop()
                raise
    except KeyboardInterrupt:
        print("interrupted")
        return 130
    finally:
        kill_orphans()  # of a class whose process died without clearing up
    for text in run.failures:
        print(f"\n{'=' * 100}\n{text}")
    passed, failed, skipped = run.counts["ok"], run.counts["FAILED"], run.counts["SKIPPED"]
    if passed == 0 and not options.names:
        failed += 1
        print("FAILED  no system test ran")
    print(f"cases: {passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
