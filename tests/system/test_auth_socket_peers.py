"""auth-socket between Exim, saslauthd's clients and fail2ban, each unchanged and as their guides set them up."""

import base64
import contextlib
import unittest
from pathlib import Path

from harness import Exim, Postfix, Talk, swaks, wait_until
from harness.memory import left_of, traces
from harness.sasl import auth_login
from test_auth_socket import AuthSocketTest


@contextlib.contextmanager
def away(database):
    """While it lasts, the file is not there: an error at once, where a lock would be one after a while."""
    database.path.rename(f"{database.path}.away")
    yield
    Path(f"{database.path}.away").rename(database.path)


class EximTest(AuthSocketTest):
    """client_checks 1.8, and CRAM-MD5."""

    def setUp(self):
        super().setUp()
        if missing := Exim.missing():
            self.skipTest(missing)
        self.users = self.database()
        self.auth = self.daemon(self.configuration(self.users, f"""\
base_dir = {self.box.directory('run')}
auth_mechanisms = plain login cram-md5
auth_failure_delay = 1 secs
service auth {{
  unix_listener {self.box.path('exim-auth')} {{
    mode = 0666
  }}
}}
"""))
        self.exim = self.enterContext(Exim(self.box, self.box.path("exim-auth")))

    def login(self, user, password, mechanism):
        return swaks(self.exim.port, "--quit-after", "RCPT", sender="bob@example.com", to="alice@example.com",
                     user=user, password=password, mechanism=mechanism)

    def test_exim_lets_in_who_knows_the_password_and_nobody_else(self):
        for mechanism, user in (("PLAIN", "alice"), ("LOGIN", "alice"), ("CRAM-MD5", "bob")):
            good = self.login(f"{user}@example.com", "secret", mechanism)
            self.assertEqual((good.code, good.reply_to("RCPT")[0]), (0, 250), good)
            self.assertIn("235 Authentication succeeded", good.text)
            bad = self.login(f"{user}@example.com", "wrong", mechanism)
            self.assertEqual(bad.code, 28, bad)
            self.assertIn("535 Incorrect authentication data", bad.text)
        self.assertEqual(self.auth.log().count("127.0.0.1): Password mismatch"), 3, self.auth.log())

    def test_exim_takes_a_database_that_is_away_for_a_temporary_failure(self):
        with away(self.users):
            answer = self.login("bob@example.com", "secret", "PLAIN")
        self.assertIn("435 Unable to authenticate at present", answer.text)
        self.assertNotIn("535", answer.text)
        wait_until(lambda: self.login("bob@example.com", "secret", "PLAIN").code == 0, 20, "the database is used again")


class SaslauthdTest(AuthSocketTest):
    """client_checks 1.10: auth-socket's mux in place of saslauthd's."""

    def setUp(self):
        super().setUp()
        self.mux = self.box.path("saslauthd/mux")
        self.box.directory("saslauthd")
        self.users = self.database()
        self.auth = self.daemon(self.configuration(self.users, f"""\
base_dir = {self.box.directory('run')}
auth_failure_delay = 1 secs
service auth {{
  unix_listener {self.mux} {{
    mode = 0777
  }}
}}
"""))

    def ask(self, user, password, realm):
        done = self.box.run(["testsaslauthd", "-u", user, "-p", password, "-r", realm, "-s", "smtp", "-f", self.mux],
                            check=False)
        return done.returncode, done.stdout.strip()

    def test_testsaslauthd_gets_saslauthds_answers(self):
        self.assertEqual(self.ask("alice", "secret", "example.com"), (0, '0: OK "Success."'))
        self.assertEqual(self.ask("alice", "wrong", "example.com"), (255, '0: NO "authentication failed"'))
        self.assertEqual(self.ask("nobody", "secret", "example.com"), (255, '0: NO "authentication failed"'))
        self.assertIn("auth: sql(alice@example.com): Password mismatch", self.auth.log())

    def test_without_its_database_it_does_not_say_no(self):
        with away(self.users):
            code, text = self.ask("alice", "secret", "example.com")
        self.assertNotEqual(code, 0)
        self.assertNotIn("NO", text)

    def test_postfix_with_cyrus_sasl_logs_in_through_the_mux(self):
        postfix = Postfix(self.box, main={"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "cyrus"})
        # Debian's Postfix looks here by itself, others where they are told.
        conf = postfix.write("sasl/smtpd.conf", "pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n"
                                                f"saslauthd_path: {self.mux}\n")
        postfix.set(cyrus_sasl_config_path=conf.parent)
        self.enterContext(postfix)
        for mechanism in ("PLAIN", "LOGIN"):
            good, bad = (swaks(postfix.smtp_port, "--quit-after", "AUTH", sender="a@example.com", to="b@example.com",
                               user="alice@example.com", password=password, mechanism=mechanism)
                         for password in ("secret", "wrong"))
            self.assertIn("235 2.7.0 Authentication successful", good.text)
            self.assertIn("535 5.7.8 Error: authentication failed: authentication failure", bad.text)


class Fail2banTest(AuthSocketTest):
    """Every line about a wrong password or an unknown user is one that fail2ban's dovecot filter, unchanged, finds."""

    FILTER = "/etc/fail2ban/filter.d/dovecot.conf"

    def test_the_dovecot_filter_finds_the_address_in_every_failure(self):
        users = self.box.write("users", "bob@example.com:{PLAIN}secret\n")
        self.auth = self.daemon(self.configuration(self.database(), f"""\
base_dir = {self.box.directory('run')}
auth_mechanisms = plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256
auth_failure_delay = 0
service auth {{
  unix_listener {self.box.path('auth')} {{
    mode = 0666
  }}
}}
passdb {{
  driver = passwd-file
  args = {users}
}}
"""), "penalty = no\n")
        hosts = []

        def fails(mechanism, user, password, session=""):
            host = f"192.0.2.{len(hosts) + 1}" if len(hosts) % 2 else f"2001:db8::{len(hosts) + 1:x}"
            hosts.append(host)
            answer = auth_login(self.box.path("auth"), mechanism, user, password, f"rip={host}{session}")
            self.assertTrue(answer.startswith("FAIL\t1"), answer)

        for mechanism in ("PLAIN", "LOGIN"):
            fails(mechanism, "alice@example.com", "wrong")
            fails(mechanism, "nobody@example.com", "wrong", "\tsession=AAbbCC/+12")
        for mechanism in ("CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"):
            fails(mechanism, "bob@example.com", "wrong")
            fails(mechanism, "nobody@example.com", "wrong", "\tsession=AAbbCC/+12")
        self.assertEqual(self.found(), sorted(hosts), self.auth.log())

    def found(self):
        lines = [line for line in self.auth.log().splitlines() if "(" in line and "listening" not in line]
        log = self.box.write("mail.log", "".join(f"Nov 29 10:00:00 mx dovecot: {line}\n" for line in lines))
        return sorted(set(self.box.run(["fail2ban-regex", "-o", "ip", log, self.FILTER]).stdout.split()))

    def log_in_as(self, names, more=""):
        """From 192.0.2.1 and so on, with a wrong password."""
        self.auth = self.daemon(self.configuration(self.database(), f"""\
base_dir = {self.box.directory('run')}
auth_failure_delay = 0
{more}
service auth {{
  unix_listener {self.box.path('auth')} {{
    mode = 0666
  }}
}}
"""), "penalty = no\n")
        for number, name in enumerate(names, 1):
            answer = auth_login(self.box.path("auth"), "PLAIN", name, "wrong", f"rip=192.0.2.{number}")
            self.assertTrue(answer.startswith("FAIL\t1"), answer)

    # What the filter would take for a failure of somebody else.
    FORGED = "x,198.51.100.7): unknown user"

    def test_a_name_cannot_have_somebody_else_banned(self):
        self.log_in_as([self.FORGED, "", "alice@example.com"])
        self.assertEqual(self.found(), ["192.0.2.3"], self.auth.log())
        self.assertIn("auth: plain(?,192.0.2.2): Empty username", self.auth.log())

    def test_a_name_with_blanks_hides_no_failure(self):
        self.log_in_as([self.FORGED, "a b@example.com"], "auth_username_chars =")
        self.assertEqual(self.found(), ["192.0.2.1", "192.0.2.2"], self.auth.log())


class PamTest(AuthSocketTest):
    def test_a_service_that_has_no_file_makes_no_password_wrong(self):
        conf = self.box.write("auth.conf", f"""\
base_dir = {self.box.directory('run')}
auth_failure_delay = 0
passdb {{
  driver = pam
  args = postern-has-no-such-service
}}
userdb {{
  driver = passwd
}}
""")
        auth = self.daemon(conf, "temp_fail_close = none\n")
        self.assertEqual(auth_login(self.box.path("run/auth-client"), "PLAIN", "daemon", "x", "rip=192.0.2.1"),
                         "FAIL\t1\tuser=daemon\tcode=temp_fail")
        self.assertIn("/etc/pam.d/postern-has-no-such-service is missing", auth.log())


class SecretsTest(AuthSocketTest):
    """What is left of a password when its login is answered: nothing, in the log or in the daemon's memory."""

    RIGHT, WRONG = "Right-Pass-4711-what-free-leaves-of-the-right", "Wrong-Guess-4711-what-free-leaves-of-the-wrong"

    def test_passwords_are_neither_logged_nor_kept_in_memory(self):
        def stored(scheme):
            return self.box.run(["doveadm", "pw", "-s", scheme, "-p", self.RIGHT]).stdout.strip()

        users = self.box.write("users", f"quick@example.com:{stored('SSHA256')}\nkeyed@example.com:{stored('CRAM-MD5')}\n"
                                        f"slow@example.com:{stored('SHA512-CRYPT')}\n")
        conf = self.box.write("auth.conf", f"""\
base_dir = {self.box.directory('run')}
auth_mechanisms = plain login
auth_failure_delay = 0
auth_verbose = yes
auth_debug = yes
passdb {{
  driver = passwd-file
  args = {users}
}}
""")
        auth = self.daemon(conf, "penalty = no\n")
        with Talk(self.box.path("run/auth-client")) as talk:
            sent = self.log_in(talk)
            # The last worker forgets after it has answered.
            wait_until(lambda: not left_of(sent, auth.pid), 10, lambda: f"gone: {left_of(sent, auth.pid)}")
        for text in sent:
            self.assertNotIn(text.decode(), auth.log())

    def log_in(self, talk):
        """As every user with every password; what of it must be gone."""
        passwords = [word.encode() for word in (self.RIGHT, self.WRONG)]
        sent = [text for word in passwords for text in traces(word)]
        talk.lines("DONE")
        talk.send("VERSION\t1\t1\nCPID\t1\n")
        logins = [(user, password) for user in (b"quick", b"keyed", b"slow", b"nobody") for password in passwords]
        for number, (user, password) in enumerate(logins):
            plain = base64.b64encode(b"\0" + user + b"@example.com\0" + password).decode()
            talk.send(f"AUTH\t{2 * number + 1}\tPLAIN\tservice=smtp\tresp={plain}\n").line()
            talk.send(f"AUTH\t{2 * number + 2}\tLOGIN\tservice=smtp\n").line()
            for word in (user + b"@example.com", password):
                talk.send(f"CONT\t{2 * number + 2}\t{base64.b64encode(word).decode()}\n").line()
        return sent


if __name__ == "__main__":
    unittest.main()
