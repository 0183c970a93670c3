"""All six programs answer the same questions the same way: --help, --version, -n, --print-defaults, mistakes with their place."""

import subprocess
import unittest

from harness import SystemTest, program

CONFIGURATION_ERROR = 78
USAGE_ERROR = 64

# Program: the option that names the file (None: an operand), a file that is good, and mistakes with what must be said of them.
PROGRAMS = {
    "sql-maps": ("-c", "proxymap_listen = unix:/tmp/x\n", {
        "proxymap_listne = unix:/tmp/x\n": ':1: unknown setting "proxymap_listne"; did you mean "proxymap_listen"?',
        "proxymap_listen = unix:/tmp/x\npool_size = many\n": ":2: pool_size: ",
        "proxymap_listen = nowhere\n": ":1: proxymap_listen: ",
    }),
    "policyd-spf": (None, "debugLevel = 1\n", {
        "Mail_from_Reject = Fail\n": ":1: ",
        "Void_Limit = two\n": ":1: ",
    }),
    "milter-dkim": ("-x", "Mode v\nSocket local:/tmp/x\n", {
        "Mode v\nSocket local:/tmp/x\nSelecter a\n": ":3: ",
        "Mode v\nSocket local:/tmp/x\nDNSTimeout soon\n": ":3: ",
        "Mode\nSocket local:/tmp/x\n": ":1: ",
    }),
    "milter-dmarc": ("-c", "Socket local:/tmp/x\n", {
        "Socket local:/tmp/x\nRejectFailure yes\n": ":2: ",
        "Socket local:/tmp/x\nDNSTimeout soon\n": ":2: ",
    }),
    "auth-socket": ("-c", """\
passdb {
  driver = static
  args = password=x
}
userdb {
  driver = static
  args = uid=1000 gid=1000 home=/x
}
service auth {
  unix_listener /tmp/x {
  }
}
""", {
        "auth_mechanisms = plian\n": ":1: ",
        "passdb {\n  driver = sequel\n}\n": ":1: passdb: ",
        "auth_failure_delay = soon\n": ":1: ",
        "passdb {\n": ":1: ",
    }),
    "lmtp-deliver": ("-c", """\
mail_location = maildir:~/Maildir
service lmtp {
  unix_listener /tmp/x {
  }
}
""", {
        "mail_location = mbox:~/mail\n": ":1: ",
        "mail_fsync = sometimes\n": ":1: ",
        "protocol lmtp {\n": ":1: ",
    }),
}


class CommandLineTest(SystemTest):
    def run_program(self, name, *arguments):
        return subprocess.run([program(name), *map(str, arguments)], capture_output=True, text=True, timeout=30,
                              stdin=subprocess.DEVNULL)

    def check_file(self, name, text):
        option = PROGRAMS[name][0]
        path = self.box.write(f"{name}.conf", text)
        return path, self.run_program(name, "-n", *([option] if option else []), path)

    def test_policyd_spf_takes_the_question_mark_of_stock_for_help(self):
        asked, told = self.run_program("policyd-spf", "-?"), self.run_program("policyd-spf", "--help")
        self.assertEqual((asked.returncode, asked.stdout), (0, told.stdout))

    def test_help_fits_a_screen_and_names_the_program(self):
        for name in PROGRAMS:
            with self.subTest(name):
                done = self.run_program(name, "--help")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                lines = done.stdout.splitlines()
                self.assertTrue(lines[0].startswith(f"Usage: {name}"), lines[0])
                self.assertLessEqual(len(lines), 40)
                self.assertLessEqual(max(map(len, lines)), 110)

    def test_version_names_program_and_project(self):
        for name in PROGRAMS:
            with self.subTest(name):
                done = self.run_program(name, "--version")
                self.assertEqual(done.returncode, 0)
                self.assertRegex(done.stdout, rf"^{name} \(Postern\) \d+\.\d+\.\d+\n")

    def test_an_unknown_option_is_a_usage_error_that_names_it(self):
        for name in PROGRAMS:
            with self.subTest(name):
                done = self.run_program(name, "--no-such-option")
                self.assertEqual(done.returncode, USAGE_ERROR, done.stderr)
                self.assertIn("--no-such-option", done.stderr)

    def test_a_good_file_passes_the_check(self):
        for name, (_, good, _) in PROGRAMS.items():
            with self.subTest(name):
                _, done = self.check_file(name, good)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_mistake_is_told_with_file_and_line_and_ends_with_78(self):
        for name, (_, _, mistakes) in PROGRAMS.items():
            for text, told in mistakes.items():
                with self.subTest(name, text=text):
                    path, done = self.check_file(name, text)
                    self.assertEqual(done.returncode, CONFIGURATION_ERROR, done.stderr)
                    self.assertIn(f"{path}{told}", done.stderr)

    def test_a_missing_and_an_unreadable_file_are_told_by_name_and_end_with_78(self):
        for name, (option, _, _) in PROGRAMS.items():
            directory = "is not a file" if name == "policyd-spf" else "regular file"  # stock's words
            for path, why in ((self.box.path("none.conf"), "No such file"), (self.box.directory("dir"), directory)):
                with self.subTest(name, path=path):
                    done = self.run_program(name, "-n", *([option] if option else []), path)
                    self.assertEqual(done.returncode, CONFIGURATION_ERROR, done.stderr)
                    self.assertIn(str(path), done.stderr)
                    self.assertIn(why, done.stderr)

    def test_the_printed_defaults_are_a_file_without_unknown_settings(self):
        for name in PROGRAMS:
            with self.subTest(name):
                done = self.run_program(name, "--print-defaults")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertGreater(len(done.stdout.splitlines()), 10)
                _, checked = self.check_file(name, done.stdout)
                self.assertNotIn("unknown setting", checked.stderr)


if __name__ == "__main__":
    unittest.main()
