"""The base of all system tests: a sandbox for each test, kept when the test fails."""

import os
import signal
import subprocess
import unittest

from .sandbox import Sandbox


class SystemTest(unittest.TestCase):
    """self.box is this test's Sandbox. Servers are entered with self.enterContext(...), last in, first out."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # unittest lets KeyboardInterrupt through

    def run(self, result=None):
        if os.geteuid() != 0 and result is not None:
            result.startTest(self)
            result.addSkip(self, "a private Postfix needs root: use ./dev test or sudo")
            result.stopTest(self)
            return result
        self.box = Sandbox()
        self.addCleanup(self._close_box)
        self._result = result if result is not None else self.defaultTestResult()
        self._failures_before = self._failures()
        return super().run(self._result)

    def need_mount_namespace(self):
        """Skips where unshare(1) cannot make one: in most containers and in a plain chroot."""
        if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
            self.skipTest("no mount namespace can be made here")

    def _failures(self):
        return len(self._result.failures) + len(self._result.errors)

    def _close_box(self):
        self.box.keep = self.box.keep or self._failures() > self._failures_before
        self.box.close()
