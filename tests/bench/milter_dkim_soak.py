#!/usr/bin/python3
"""milter-dkim over 100,000 messages and 1,000 reloads: its resident memory after each tenth.

    tests/bench/milter_dkim_soak.py [--messages 100000] [--reloads 1000] [--clients 4]

POSTERN_BUILD names the build: a release build shows leaks as growth, one with sanitizers (meson setup
-Db_sanitize=address,undefined or thread) as its report at the end. The messages are those of the system test
(test_milter_dkim_faults.py): signed, verified, changed and malformed ones.
"""

import argparse
import os
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
os.environ.setdefault("POSTERN_BUILD", str(ROOT / "build-release"))

from test_milter_dkim_faults import LongRunTest  # noqa: E402

TENTHS = 10


class Soak(LongRunTest):
    def test_thousands_of_messages_and_reloads_cost_no_memory(self):
        daemon = self.enterContext(self.daemon("MaximumHeaders 200000\n"))
        for tenth in range(1, TENTHS + 1):
            resident = self.run_half(daemon)
            print(f"{tenth * self.MESSAGES // 2:7} messages, {tenth * (self.RELOADS // 2):5} reloads: {resident / 1e6:.1f} MB resident",
                  flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    # run_half() plays half of these.
    Soak.MESSAGES, Soak.RELOADS, Soak.CLIENTS = options.messages // TENTHS * 2, options.reloads // TENTHS * 2, options.clients
    suite = unittest.TestSuite([Soak("test_thousands_of_messages_and_reloads_cost_no_memory")])
    sys.exit(not unittest.TextTestRunner(verbosity=0).run(suite).wasSuccessful())


if __name__ == "__main__":
    main()
