"""auth-socket as Dovecot's own auth service (service auth { executable = ... }): logins, deliveries, doveadm."""

import imaplib
import os
import pwd
import re
import signal
import smtplib

from harness import CRASH, Dovecot, Talk, has_sanitizer, program, wait_until
import test_auth_socket

EXTRA = """\
service auth {{
  executable = {auth_socket} -o {own}
  process_limit = 1
  vsz_limit = {limit}
{listeners}}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp_port}
  }}
}}
imap_urlauth_host = localhost
mail_attribute_dict = file:%h/attributes
protocol lmtp {{
  mail_plugins =
}}
"""


class ServiceTest(test_auth_socket.AuthSocketTest):
    LISTENERS = ""

    def setUp(self):
        super().setUp()
        nobody = pwd.getpwnam("nobody")
        mail = self.box.directory("mail", owner="nobody")
        users = self.database(nobody.pw_uid, nobody.pw_gid, f"{mail}/%")
        os.chmod(self.box.path("sqlite.db") if self.box.path("sqlite.db").exists() else users.path, 0o644)
        self.lmtp_port = self.box.port()
        extra = self.configuration_text(users) + EXTRA.format(
            auth_socket=program("auth-socket"), own=self.own(), listeners=self.LISTENERS, lmtp_port=self.lmtp_port,
            limit=0 if has_sanitizer("auth-socket") else "256M")
        self.addCleanup(lambda: self.assertNotRegex(self.dovecot.log(), CRASH))
        self.dovecot = self.enterContext(Dovecot(self.box, extra=extra, protocols="imap lmtp"))

    def configuration_text(self, users):
        sql = self.box.write("dovecot-sql.conf.ext", test_auth_socket.SQL.format(path=users.path), mode=0o600)
        return test_auth_socket.DATABASES.format(sql=sql)

    def auth_pid(self):
        """The pid of the auth-socket that Dovecot started; a login waits for it."""
        said = re.findall(r"SPID\t(\d+)", self.box.run(
            ["python3", "-c", "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
             "f=s.makefile(); print(f.readline(), f.readline())", f"{self.dovecot.run}/auth-master"]).stdout)
        return int(said[0])

    def test_logins_deliveries_and_doveadm_go_through_it(self):
        with self.dovecot.imap("alice@example.com", "secret") as client:
            self.assertEqual(client.select("INBOX")[0], "OK")
        self.assertRaisesRegex(Exception, "AUTHENTICATIONFAILED", self.dovecot.imap, "alice@example.com", "wrong")
        doveadm = self.dovecot.doveadm
        self.assertIn("/mail/bob", doveadm("user", "-f", "home", "bob@example.com").stdout)
        self.assertEqual(doveadm("user", "nobody@example.com", check=False).returncode, 67)
        self.assertEqual(len(doveadm("user", "*").stdout.split()), 4)
        self.assertIn("auth succeeded", doveadm("auth", "test", "bob@example.com", "secret").stdout)
        self.assertIn("auth_mech=PLAIN", doveadm("auth", "login", "bob@example.com", "secret").stdout)
        self.deliver("bob@example.com", "nobody@example.com")
        self.assertEqual(len(self.dovecot.messages("bob@example.com", "secret")), 1)
        # Dovecot's log has our lines in its own form, once.
        self.assertRegex(self.dovecot.log(), r"auth: Info: sql\(alice@example\.com,127\.0\.0\.1,<[^>]+>\): "
                                             r"Password mismatch\n")
        self.assertNotIn("auth: auth:", self.dovecot.log())
        self.assertNotRegex(self.dovecot.log(), r"auth: (Error|Fatal)")

    def deliver(self, user, unknown):
        client = smtplib.LMTP("127.0.0.1", self.lmtp_port, timeout=20)
        client.ehlo_or_helo_if_needed()
        refused = client.sendmail("a@example.org", [user, unknown], "Subject: x\r\n\r\nbody\r\n")
        client.quit()
        self.assertEqual({name: code for name, (code, _) in refused.items()}, {unknown: 550})

    def test_it_starts_again_after_a_crash_and_takes_a_new_configuration_at_a_reload(self):
        self.assertIn("auth succeeded", self.dovecot.doveadm("auth", "test", "bob@example.com", "secret").stdout)
        first = self.auth_pid()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{first}/exe"), 10, "the killed process is gone")
        self.assertIn("auth succeeded", self.dovecot.doveadm("auth", "test", "bob@example.com", "secret").stdout)
        second = self.auth_pid()
        self.assertNotEqual(second, first)
        self.assertNotIn("throttling", self.dovecot.log())

        path = self.dovecot.configuration
        path.write_text(path.read_text() + "auth_username_chars = abc\n")
        self.dovecot.doveadm("reload")
        wait_until(lambda: not os.path.exists(f"/proc/{second}/exe"), 10, "the old process goes at the reload")
        refused = self.dovecot.doveadm("auth", "test", "bob@example.com", "secret", check=False)
        self.assertIn("auth failed", refused.stdout + refused.stderr)
        path.write_text(path.read_text().replace("auth_username_chars = abc\n", ""))
        self.dovecot.doveadm("reload")
        wait_until(lambda: self.dovecot.doveadm("auth", "test", "bob@example.com", "secret", check=False).returncode == 0,
                   10, "the right configuration again")
        with self.dovecot.imap("bob@example.com", "secret") as client:
            self.assertEqual(client.noop()[0], "OK")

    def test_it_goes_with_its_master(self):
        pid = self.auth_pid()
        self.dovecot.stop()
        wait_until(lambda: not os.path.exists(f"/proc/{pid}/exe"), 10, "auth-socket has ended with Dovecot")
        self.assertNotRegex(self.dovecot.log(), r"auth: (Error|Fatal)")

    def test_it_lives_as_dovecots_user_within_the_memory_that_dovecot_gives_its_auth(self):
        if has_sanitizer("auth-socket"):
            self.skipTest("no sanitizer lives within 256 MB of address space")
        status = open(f"/proc/{self.auth_pid()}/status").read()
        self.assertRegex(status, rf"Uid:\t{pwd.getpwnam('dovecot').pw_uid}\t")
        talks = [self.enterContext(Talk(f"{self.dovecot.run}/auth-client")) for _ in range(100)]
        for talk in talks:
            self.assertIn("COOKIE", talk.lines("DONE")[-2])
        self.assertIn("auth succeeded", self.dovecot.doveadm("auth", "test", "bob@example.com", "secret").stdout)

    def test_a_token_of_a_login_opens_imap_urlauth(self):
        """RFC 4467: imap fetches a URL through imap-urlauth, where it logs in with the token that we gave it."""
        self.deliver("bob@example.com", "nobody@example.com")
        user = "bob%40example.com"
        with self.dovecot.imap("bob@example.com", "secret") as client:
            client.select("INBOX")
            imaplib.Commands |= {"GENURLAUTH": ("SELECTED",), "URLFETCH": ("SELECTED",)}
            url = f"imap://{user}@localhost/INBOX/;UID=1;URLAUTH=user+{user}"
            client._simple_command("GENURLAUTH", f'"{url}"', "INTERNAL")
            signed = client.untagged_responses["GENURLAUTH"][0].decode()
            status, _ = client._simple_command("URLFETCH", signed)
            self.assertEqual(status, "OK")
            self.assertIn(b"Subject: x", b" ".join(part[1] for part in client.untagged_responses["URLFETCH"]
                                                  if isinstance(part, tuple)))
        self.assertEqual(os.stat(f"{self.dovecot.run}/auth-token-secret.dat").st_mode & 0o777, 0o600)


if __name__ == "__main__":
    import unittest
    unittest.main()
