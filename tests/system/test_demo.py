"""The demo, as ./dev demo plays it, on each database; and what it leaves behind when it is interrupted."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

from harness import SystemTest, wait_until
from harness.daemon import SOURCE

DEMO = [sys.executable, str(SOURCE / "tests/demo/demo.py")]


class DemoTest(SystemTest):
    def play(self, *words):
        done = subprocess.run([*DEMO, *words], capture_output=True, text=True, timeout=400)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        steps = re.search(r"(\d+) of (\d+) steps are as they must be", done.stdout)
        self.assertEqual(steps[1], steps[2])
        self.assertGreaterEqual(int(steps[1]), 14)

    def test_every_step_is_as_it_must_be_on_sqlite(self):
        self.play()

    def test_every_step_is_as_it_must_be_on_postgresql(self):
        self.play("--db", "pgsql")

    def test_every_step_is_as_it_must_be_on_mariadb(self):
        self.play("--db", "mysql")

    def test_kept_running_it_tells_its_ports_and_ctrl_c_leaves_nothing_behind(self):
        demo = self.box.start("demo", [*DEMO, "--keep"])
        text = wait_until(lambda: "Try:" in demo.log() and demo.log(), 120, lambda: f"the demo runs: {demo.log()}")
        port = int(re.search(r"submission 127\.0\.0\.1:(\d+)", text)[1])
        root = Path(re.search(r"logs +(\S+)/log", text)[1])
        self.assertTrue(root.exists() and self.listening(port))
        self.assertEqual(demo.stop(signal.SIGINT, seconds=60), 0, demo.log())
        self.assertFalse(root.exists())
        self.assertFalse(self.listening(port))
        self.assertEqual(self.processes_of(root), [])

    @staticmethod
    def listening(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    @staticmethod
    def processes_of(root):
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                found += [path.parent.name] if str(root).encode() in path.read_bytes() else []
            except OSError:  # it ended meanwhile
                pass
        return found
