#!/usr/bin/env python3
"""Runs meson's unit tests of a build directory and adds up the cases that each executable counted.

run_unit.py BUILD-DIRECTORY JOBS [NAME...]: last line "cases: N passed, N failed[, N skipped]".
"""

import json
import re
import subprocess
import sys
from pathlib import Path

COUNTS = re.compile(r"^cases: (\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
SKIPPED = re.compile(r"^SKIPPED: .*", re.M)


def chosen(directory, names):
    told = subprocess.run(["meson", "introspect", "--tests", directory], capture_output=True, text=True, check=True)
    tests = [test["name"] for test in json.loads(told.stdout)]
    return [test for test in tests if any(name in test for name in names)]


def main():
    directory, jobs, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    tests = chosen(directory, names) if names else []
    if names and not tests:
        print("cases: 0 passed, 0 failed")
        return 0
    log = Path(directory) / "meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    done = subprocess.run(["meson", "test", "-C", directory, "--no-rebuild", "--num-processes", jobs, *tests],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if not log.exists():
        print(done.stdout)
        return done.returncode or 1
    passed = failed = skipped = 0
    reasons = []
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        counts = COUNTS.search(entry["stdout"])
        good, bad, left_out = map(int, counts.groups("0")) if counts else (int(entry["result"] == "OK"), 0, 0)
        if bad == 0 and entry["result"] not in ("OK", "EXPECTEDFAIL"):
            bad = 1  # crashed, ran out of time, or never came to its end
        passed, failed, skipped = passed + good, failed + bad, skipped + left_out
        reasons += [f"{entry['name']}: {reason}" for reason in SKIPPED.findall(entry["stdout"])]
        print(f"{'ok' if bad == 0 else 'FAILED':7} {entry['duration']:6.1f} s  {entry['name']}: {good} passed, {bad} failed" +
              (f", {left_out} skipped" if left_out else ""))
        if bad:
            print(f"{'=' * 100}\n{entry['stdout']}{entry.get('stderr', '')}\n{entry['result']}, in full: "
                  f"{log.with_suffix('.txt')}\n{'=' * 100}")
    for reason in reasons:
        print(reason)
    print(f"cases: {passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
