"""policyd-spf as a process: when it ends and with what, and how it lives under load and under attack."""

import os
import shutil
import subprocess
import unittest

from harness import SystemTest, program

REQUEST = "client_address=127.0.0.1\nhelo_name=h.example\nsender=u@a.example\n\n"


class EndTest(SystemTest):
    def run_with(self, text, *options, mode=0o644):
        conf = self.box.write("policyd-spf.conf", text, mode)
        return subprocess.run([program("policyd-spf"), *options, conf], input=REQUEST, capture_output=True, text=True,
                              timeout=30, env={**os.environ, "JOURNAL_STREAM": "0:0"})

    def test_a_number_that_is_none_ends_it_as_it_ends_stock(self):
        done = self.run_with("debugLevel = 1\nTestOnly = O\n")
        self.assertEqual((done.returncode, done.stdout), (1, ""), done)
        self.assertIn('policyd-spf.conf:2: TestOnly: "O" is no number', done.stderr)
        done = self.run_with("debugLevel = -1\nLookup_Time =\n", "--listen", f"unix:{self.box.path('policy')}")
        self.assertEqual(done.returncode, 78, done)
        self.assertIn('policyd-spf.conf:2: Lookup_Time: "" is no number', done.stderr)
        self.assertFalse(self.box.path("policy").exists())

    def test_a_file_that_may_not_be_read_ends_it_as_it_ends_stock(self):
        conf = self.box.write("policyd-spf.conf", "HELO_reject = False\n", mode=0o600)
        done = subprocess.run([program("policyd-spf"), conf], input=REQUEST, capture_output=True, text=True, timeout=30,
                              user="nobody", env={**os.environ, "JOURNAL_STREAM": "0:0"})
        self.assertEqual((done.returncode, done.stdout), (1, ""), done)
        self.assertIn("Permission denied", done.stderr)

    def test_other_mistakes_and_a_missing_file_do_not_end_it(self):
        skipped = "action=prepend X-Comment: SPF check N/A for local connections - "
        done = self.run_with("Header_Type = SPF,AR\nnonsense\nWhitelist = x\ndebugLevel = 9\n")
        self.assertEqual(done.returncode, 0, done)
        self.assertTrue(done.stdout.startswith(skipped), done)
        done = subprocess.run([program("policyd-spf"), "/nonexistent/own.conf"], input=REQUEST, capture_output=True,
                              text=True, timeout=30, env={**os.environ, "JOURNAL_STREAM": "0:0"})
        self.assertEqual(done.returncode, 0, done)
        self.assertTrue(done.stdout.startswith(skipped), done)
        self.assertIn('ERROR stating "/nonexistent/own.conf": No such file or directory', done.stderr)

    def test_what_stands_behind_the_file_is_passed_over_as_in_stock(self):
        done = self.run_with("Header_Type = None\n")
        self.assertEqual((done.returncode, done.stdout), (0, "action=dunno\n\n"), done)
        conf = self.box.path("policyd-spf.conf")
        done = subprocess.run([program("policyd-spf"), conf, "/nonexistent", "more"], input=REQUEST, capture_output=True,
                              text=True, timeout=30, env={**os.environ, "JOURNAL_STREAM": "0:0"})
        self.assertEqual((done.returncode, done.stdout), (0, "action=dunno\n\n"), done)

    def test_without_a_file_the_first_of_the_usual_places_is_read(self):
        """In a mount namespace whose /etc holds nothing else."""
        self.need_mount_namespace()
        places = [f"/etc/{name}/policyd-spf.conf"
                  for name in ("python-policyd-spf", "postfix-policyd-spf-python", "postern")]
        binary = self.box.path("policyd-spf")
        shutil.copy(program("policyd-spf"), binary)
        steps = ["mount -t tmpfs none /etc", "ask() { printf 'client_address=127.0.0.1\\n\\n' | %s; }" % binary, "ask"]
        for number, place in enumerate(places):  # each takes the place of the one before
            steps += [f"mkdir {os.path.dirname(place)}",
                      f"printf 'Reason_Message = x\\nHeader_Type = AR\\nAuthserv_Id = n{number}\\n' > {place}", "ask"]
        done = subprocess.run(["unshare", "-m", "sh", "-ec", "; ".join(steps)], capture_output=True, text=True,
                              timeout=30, env={**os.environ, "JOURNAL_STREAM": "0:0"})
        words = [answer.split(";")[0] for answer in done.stdout.split("\n\n")]
        self.assertEqual(words, ["action=prepend X-Comment: SPF check N/A for local connections - client-ip=127.0.0.1",
                                 *(f"action=prepend Authentication-Results: n{number}" for number in range(3)), ""], done)
        self.assertIn(f'ERROR stating "{places[2]}": No such file or directory', done.stderr)


if __name__ == "__main__":
    unittest.main()
