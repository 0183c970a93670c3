"""auth-socket between real peers: Postfix with swaks, doveadm, and a Dovecot whose logins go through it."""

import base64
import grp
import imaplib
import os
import pwd
import re
import smtplib

from harness import Daemon, Dovecot, Postfix, Sqlite, SystemTest, Talk, swaks, wait_until
from harness.dovecot import WITHOUT_AUTH
from harness.sasl import answers, auth_login

GROUP = grp.getgrnam("nogroup").gr_gid
# The password of everybody is "secret".
SHA512 = ("{SHA512-CRYPT}$6$rounds=1000$MPeWgaNyLNo7HkDl$ATY5XHVuoMJvqcxeBWu4SJIurcLfsHj05YQb0Jzhhqdqti/"
          "Q95joUhbnNvJWATXNWKcQr4gdMef2NOl/E5Eqm/")
SLOW = ("{SHA512-CRYPT}$6$rounds=50000$MPeWgaNyLNo7HkDl$jgxFo5vAsBmyC5iKi3Rk/FA.O8G6BphDyxNkJ"
        "KS3aGCAARMiYVaZCqO/AI/ytHQ.76zWsz.deVRU2oqYcrIAz0")
SCRAM = ("{SCRAM-SHA-256}4096,xjFaXrH27tIx6PA2u6toqA==,4YuEjH6+oJUZxtuXyvtk0Ftdv3PiXMnEMYIk10fJ1+k=,"
         "E1rPYgBGslsZ2vp5JW81idx2AMHWqEkOSM6Vrip+oc8=")
SQL = """\
driver = sqlite
connect = {path}
default_pass_scheme = SHA512-CRYPT
password_query = SELECT email AS user, password, home AS userdb_home, uid AS userdb_uid, gid AS userdb_gid, \\
  CASE WHEN active = 0 THEN 'Y' END AS user_disabled FROM users WHERE email = '%u'
user_query = SELECT home, uid, gid FROM users WHERE email = '%u'
iterate_query = SELECT email AS user FROM users
"""
DATABASES = """\
passdb {{
  driver = sql
  args = {sql}
}}
userdb {{
  driver = prefetch
}}
userdb {{
  driver = sql
  args = {sql}
}}
"""


class AuthSocketTest(SystemTest):
    def database(self, uid=65534, gid=65534, home="/nonexistent/%"):
        def row(name, password, active=1):
            return f"('{name}@example.com', '{password}', '{home.replace('%', name)}', {uid}, {gid}, {active})"
        database = Sqlite(self.box, f"""
            CREATE TABLE users (email TEXT PRIMARY KEY, password TEXT, home TEXT, uid INT, gid INT, active INT);
            INSERT INTO users VALUES {row('alice', SHA512)}, {row('bob', '{PLAIN}secret')}, {row('scram', SCRAM)},
              {row('gone', '{PLAIN}secret', 0)};""")
        os.chmod(database.path, 0o644)
        return database

    def configuration(self, database, extra, name="auth.conf"):
        sql = self.box.write("dovecot-sql.conf.ext", SQL.format(path=database.path))
        return self.box.write(name, extra + DATABASES.format(sql=sql))

    def own(self, text=""):
        return self.box.write("auth-socket.conf", text)

    def daemon(self, configuration, own=""):
        return self.enterContext(Daemon(self.box, "auth-socket", ["-c", configuration, "-o", self.own(own)]))


class CacheTest(AuthSocketTest):
    def test_a_flush_reaches_connections_from_before_a_reload(self):
        users, run = self.database(), self.box.directory("run")
        auth = self.daemon(self.configuration(users, f"""\
base_dir = {run}
auth_cache_size = 1M
auth_failure_delay = 0
service auth {{
  unix_listener auth-client {{
  }}
  unix_listener auth-master {{
  }}
}}
"""))
        with Talk(run / "auth-client") as client, Talk(run / "auth-master") as master:
            def answer(number, password):
                response = base64.b64encode(f"\0bob@example.com\0{password}".encode()).decode()
                return client.send(f"AUTH\t{number}\tPLAIN\tservice=smtp\tresp={response}\n").line().split("\t")[0]

            client.lines("DONE")
            client.send("VERSION\t1\t1\nCPID\t1\n")
            auth.reload()
            wait_until(lambda: "configuration reloaded" in auth.log(), 10, "the reload")
            self.assertEqual(answer(1, "secret"), "OK")
            users.execute("UPDATE users SET password = '{PLAIN}new' WHERE email = 'bob@example.com'")
            self.assertEqual(answer(2, "secret"), "OK")  # as kept
            master.lines("SPID")
            master.send("VERSION\t1\t1\nCACHE-FLUSH\t7\tbob@example.com\n")
            self.assertEqual(master.line(), "OK\t7\t1")
            self.assertEqual([answer(3, "secret"), answer(4, "new")], ["FAIL", "OK"])


class FloodTest(AuthSocketTest):
    ADDRESSES = 200

    def metric(self, name):
        with Talk(("127.0.0.1", self.metrics_port)) as client:
            text = client.send(b"GET /metrics HTTP/1.0\r\n\r\n").rest().decode()
        return int(re.search(rf"(?m)^{re.escape(name)} (\d+)$", text).group(1))

    def test_deliveries_find_their_users_while_logins_from_many_addresses_wait_for_their_hashes(self):
        users, run = self.database(), self.box.directory("run")
        users.execute(f"UPDATE users SET password = '{SLOW}' WHERE email = 'alice@example.com'")
        self.metrics_port = self.box.port()
        self.daemon(self.configuration(users, f"""\
base_dir = {run}
service auth {{
  unix_listener auth-client {{
  }}
  unix_listener auth-userdb {{
  }}
}}
"""), own=f"penalty = no\nhash_workers = 1\nmetrics_listen = inet:127.0.0.1:{self.metrics_port}\n")
        guess = base64.b64encode(b"\0alice@example.com\0wrong").decode()
        with Talk(run / "auth-client") as flood, Talk(run / "auth-userdb") as delivery:
            flood.lines("DONE")
            flood.send("VERSION\t1\t1\nCPID\t1\n")
            flood.send("".join(f"AUTH\t{n + 1}\tPLAIN\tservice=smtp\trip=198.51.100.{n % self.ADDRESSES}\tresp={guess}\n"
                               for n in range(3 * self.ADDRESSES)))
            # Every thread that there is for logins waits for its hash.
            wait_until(lambda: self.metric("auth_hashes_waiting") >= 29, 40, "the flood")
            before = self.metric('auth_hashes_total{kind="slow"}')
            delivery.lines("SPID")
            delivery.send("VERSION\t1\t1\n")
            for n in (7, 8):  # the second one would wait for a round of all addresses
                delivery.send(f"USER\t{n}\tbob@example.com\tservice=lmtp\n")
                self.assertRegex(delivery.line(), f"^USER\t{n}\tbob@example.com\t")
            self.assertLess(self.metric('auth_hashes_total{kind="slow"}') - before, self.ADDRESSES / 4)


class PostfixTest(AuthSocketTest):
    MECHANISMS = "plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256"

    def setUp(self):
        super().setUp()
        self.postfix = Postfix(self.box, main={"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot",
                                               "smtpd_sasl_path": "private/auth",
                                               "smtpd_sasl_security_options": "noanonymous"})
        self.users = self.database()
        self.auth = self.daemon(self.configuration(self.users, f"""\
base_dir = {self.box.directory('run')}
auth_mechanisms = {self.MECHANISMS}
auth_failure_delay = 1 secs
service auth {{
  unix_listener {self.postfix.private('auth')} {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
"""))
        self.enterContext(self.postfix)

    def login(self, user, password, mechanism="PLAIN"):
        return swaks(self.postfix.smtp_port, "--quit-after", "AUTH", sender="bob@example.com", to="alice@example.com",
                     user=user, password=password, mechanism=mechanism)

    def test_plain_and_login_let_the_right_password_in_and_no_other(self):
        for mechanism in ("PLAIN", "LOGIN"):
            good = self.login("alice@example.com", "secret", mechanism)
            self.assertEqual((good.code, good.replies[-2][0]), (0, 235), good)
            self.assertEqual(self.login("ALICE@Example.com", "secret", mechanism).code, 0)
            bad = self.login("alice@example.com", "wrong", mechanism)
            self.assertEqual(bad.code, 28, bad)
            self.assertIn("535 5.7.8 Error: authentication failed", bad.text)
        self.assertEqual(self.login("nobody@example.com", "secret").code, 28)
        self.assertEqual(self.login("gone@example.com", "secret").code, 28)
        self.assertIn("auth: sql(alice@example.com,127.0.0.1): Password mismatch", self.auth.log())
        self.assertIn("auth: sql(nobody@example.com,127.0.0.1): unknown user", self.auth.log())
        self.postfix.wait_for_log(r"authentication failed: .*sasl_username=alice@example\.com")

    def test_challenge_mechanisms_prove_the_password_without_sending_it(self):
        for mechanism in ("CRAM-MD5", "DIGEST-MD5"):
            good = self.login("bob@example.com", "secret", mechanism)
            self.assertEqual(good.code, 0, good)
            self.assertIn("235 2.7.0", good.text)
            self.assertEqual(self.login("bob@example.com", "wrong", mechanism).code, 28)
        # alice's password is kept as a hash, with which these mechanisms can do nothing.
        self.assertEqual(self.login("alice@example.com", "secret", "CRAM-MD5").code, 28)
        self.assertIn("Requested CRAM-MD5 scheme, but we have only SHA512-CRYPT", self.auth.log())

    def test_scram_proves_the_password_to_the_server_and_the_server_to_the_client(self):
        def attempt(mechanism, user, password):
            client = smtplib.SMTP("127.0.0.1", self.postfix.smtp_port, timeout=20)
            client.ehlo()
            self.assertIn(mechanism, client.esmtp_features["auth"].split())
            try:
                return client.auth(mechanism, answers(mechanism, f"{user}@example.com", password))[0]
            except smtplib.SMTPAuthenticationError as refused:
                return refused.smtp_code
            finally:
                client.close()

        for mechanism, user in (("SCRAM-SHA-1", "bob"), ("SCRAM-SHA-256", "bob"), ("SCRAM-SHA-256", "scram")):
            self.assertEqual([attempt(mechanism, user, "secret"), attempt(mechanism, user, "wrong")], [235, 535])
        # scram's stored secret is for the other hash.
        self.assertEqual(attempt("SCRAM-SHA-1", "scram", "secret"), 535)

    def test_a_database_that_is_away_is_454_and_never_535(self):
        self.assertEqual(self.login("bob@example.com", "secret").code, 0)
        with self.users.away():
            for password in ("secret", "wrong"):
                answer = self.login("bob@example.com", password)
                self.assertIn("454 4.7.0 Temporary authentication failure", answer.text)
                self.assertNotIn("535", answer.text)
        self.assertEqual(self.login("bob@example.com", "secret").code, 0)

    def test_a_restart_or_a_kill_between_two_mails_is_not_seen(self):
        self.assertEqual(self.login("bob@example.com", "secret").code, 0)
        self.auth.restart()
        self.assertEqual(self.login("bob@example.com", "secret").code, 0)
        self.auth.kill()
        self.assertIn("454 4.7.0", self.login("bob@example.com", "secret").text)
        self.auth.start()
        self.assertEqual(self.login("bob@example.com", "secret").code, 0)

    def test_a_reload_takes_the_new_configuration_and_keeps_the_old_one_when_it_is_broken(self):
        configuration = self.box.path("auth.conf")
        text = configuration.read_text()
        configuration.write_text(text.replace("driver = sql", "driver = nonsense", 1))
        self.auth.reload()
        wait_until(lambda: "the driver \"nonsense\"" in self.auth.log(), 5, "the mistake is told")
        self.assertEqual(self.login("bob@example.com", "secret").code, 0)
        configuration.write_text(text.replace("base_dir", "auth_username_chars = abc\nbase_dir"))
        self.auth.reload()
        wait_until(lambda: "configuration reloaded" in self.auth.log(), 5, "the new configuration")
        with Talk(str(self.postfix.private("auth"))) as talk:
            talk.lines("DONE")
            talk.send(b"VERSION\t1\t0\nCPID\t1\nAUTH\t1\tPLAIN\tservice=smtp\tresp=AGJvYkBleGFtcGxlLmNvbQBzZWNyZXQ=\n")
            self.assertIn("FAIL\t1\tuser=bob@example.com\toriginal_user=bob@example.com", talk.line())

    def test_garbage_on_the_socket_ends_that_connection_only(self):
        before = len(self.auth.log())
        for octets in (b"\x00\xff\n", b"EHLO x\r\n", b"VERSION\t1\t0\nCPID\t1\n" + b"A" * 20000):
            with Talk(str(self.postfix.private("auth"))) as talk:
                talk.lines("DONE")
                talk.send(octets)
                self.assertEqual(talk.rest(), b"")
        wait_until(lambda: self.auth.log()[before:].count("\n") >= 3, 5, "a log line for each")
        self.assertEqual(self.login("bob@example.com", "secret").code, 0)


FIELDS24 = """\
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.0
base_dir = {run}
auth_mechanisms {{
  plain = yes
}}
sql_driver = sqlite
sqlite_path = {path}
passdb sql {{
  default_password_scheme = SHA512-CRYPT
  query = SELECT email AS name, password, home FROM users WHERE email = '%{{user}}' AND email NOT LIKE '%banned%'
  fields {{
    user = %{{sql:name | username}}@mail.%{{sql:name | domain}}
    userdb_home = %{{sql:home | default('/none')}}
  }}
}}
passdb passwd-file {{
  passwd_file_path = {masters}
  default_password_scheme = plain
  auth_username_format = %{{user | username}}
}}
userdb sql {{
  query = SELECT home AS where_it_is, uid FROM users WHERE email = '%{{user}}'
  userdb_fields_import_all = no
  fields {{
    home = %{{sql:where_it_is}}/%{{user | domain | upper}}
    uid = %{{sql:uid}}
    gid = nogroup
  }}
}}
"""


class Dovecot24Test(AuthSocketTest):
    """The form of passdb and userdb that Dovecot 2.4 documents; there is no 2.4 here to compare with."""

    def test_fields_are_made_of_the_row_that_the_query_gave(self):
        run = self.box.directory("run")
        masters = self.box.write("masters", "carol:other\n")
        conf = self.box.write("dovecot.conf", FIELDS24.format(run=run, path=self.database().path, masters=masters))
        self.daemon(conf)
        ok = "OK\t1\tuser={}"

        def login(user, password):
            return auth_login(f"{run}/auth-client", "PLAIN", user, password)

        self.assertEqual(login("alice@example.com", "secret"), ok.format("alice@mail.example.com") +
                         "\tname=alice@example.com\thome=/nonexistent/alice\toriginal_user=alice@example.com")
        self.assertEqual(login("alice@example.com", "wrong"), "FAIL\t1\tuser=alice@example.com")
        self.assertEqual(login("Carol@example.com", "other"), ok.format("carol@example.com") +
                         "\toriginal_user=Carol@example.com")
        lookup = Talk(f"{run}/auth-userdb")
        lookup.send("VERSION\t1\t1\nUSER\t1\tbob@example.com\tprotocol=lmtp\n")
        self.assertEqual(lookup.lines("USER")[-1],
                         f"USER\t1\tbob@example.com\thome=/nonexistent/bob/EXAMPLE.COM\tuid=65534\tgid={GROUP}")


class DovecotTest(AuthSocketTest):
    """client_checks 2: all of Dovecot's auth listeners have mode = 0, and auth-socket binds the paths."""

    def setUp(self):
        super().setUp()
        vmail = pwd.getpwnam("nobody")
        self.lmtp_port = self.box.port()
        lmtp = f"""\
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.lmtp_port}
  }}
}}
protocol lmtp {{
  mail_plugins =
}}
"""
        self.dovecot = self.enterContext(Dovecot(self.box, extra=WITHOUT_AUTH + lmtp, protocols="imap lmtp"))
        mail = self.box.directory("mail", owner="nobody")
        users = self.database(vmail.pw_uid, vmail.pw_gid, f"{mail}/%")
        listeners = WITHOUT_AUTH[WITHOUT_AUTH.index("service auth"):]
        self.auth = self.daemon(self.configuration(users, f"""\
base_dir = {self.dovecot.run}
auth_mechanisms = plain login
auth_failure_delay = 1 secs
{listeners}"""))

    def test_imap_logins_go_through_auth_socket(self):
        with self.dovecot.imap("alice@example.com", "secret") as client:
            self.assertEqual(client.select("INBOX")[0], "OK")
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            self.dovecot.imap("alice@example.com", "wrong")
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED|disabled"):
            self.dovecot.imap("gone@example.com", "secret")
        with self.dovecot.imap("bob@example.com", "secret") as client:
            self.assertEqual(client.create("Work")[0], "OK")

    def test_doveadm_asks_about_users(self):
        doveadm = self.dovecot.doveadm
        self.assertIn("alice@example.com auth succeeded", doveadm("auth", "test", "alice@example.com", "secret").stdout)
        wrong = doveadm("auth", "test", "alice@example.com", "wrong", check=False)
        self.assertEqual(wrong.returncode, 77)
        self.assertIn("/mail/bob", doveadm("user", "-f", "home", "bob@example.com").stdout)
        unknown = doveadm("user", "nobody@example.com", check=False)
        self.assertEqual(unknown.returncode, 67)
        self.assertEqual(sorted(doveadm("user", "*").stdout.split()),
                         [f"{name}@example.com" for name in ("alice", "bob", "gone", "scram")])
        run = self.dovecot.run
        client = ("auth", "test", "-a", f"{run}/auth-client", "-x", "service=smtp", "-x", "rip=192.0.2.7")
        self.assertIn("auth succeeded", doveadm(*client, "alice@example.com", "secret").stdout)
        self.assertEqual(doveadm(*client, "alice@example.com", "wrong", check=False).returncode, 77)
        self.assertIn("sql(alice@example.com,192.0.2.7): Password mismatch", self.auth.log())
        own = doveadm("user", "-a", f"{run}/auth-userdb", "alice@example.com").stdout
        self.assertRegex(own, r"(?m)^home\t.*/mail/alice$")
        by_hand = doveadm("auth", "login", "-a", f"{run}/login/login", "-m", f"{run}/auth-master", "bob@example.com", "secret")
        self.assertIn("auth_mech=PLAIN", by_hand.stdout)
        login = doveadm("auth", "login", "bob@example.com", "secret").stdout
        self.assertIn("userdb extra fields", login)
        self.assertIn("auth_mech=PLAIN", login)
        self.assertIn("user      : bob@example.com", doveadm("auth", "lookup", "bob@example.com").stdout)
        self.assertIn("0 cache entries flushed", doveadm("auth", "cache", "flush").stdout)

    def test_lmtp_and_lda_find_their_users(self):
        with smtplib.LMTP("127.0.0.1", self.lmtp_port, timeout=20) as client:
            refused = client.sendmail("a@example.org", ["bob@example.com", "nobody@example.com"], "Subject: x\r\n\r\nby LMTP\r\n")
        self.assertEqual({name: code for name, (code, _) in refused.items()}, {"nobody@example.com": 550})
        lda = ["/usr/lib/dovecot/dovecot-lda", "-c", self.dovecot.configuration, "-d"]
        self.box.run([*lda, "bob@example.com"], input="Subject: x\n\nby lda\n")
        self.assertEqual(self.box.run([*lda, "nobody@example.com"], input="Subject: x\n\n", check=False).returncode, 67)
        bodies = [message.split(b"\r\n\r\n")[1] for message in self.dovecot.messages("bob@example.com", "secret")]
        self.assertEqual(bodies, [b"by LMTP\r\n", b"by lda\r\n"])

    def test_others_on_an_open_userdb_socket_see_only_themselves(self):
        script = ("import socket,sys\n"
                  "s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
                  "s.sendall(b'VERSION\\t1\\t1\\nUSER\\t1\\tbob@example.com\\tservice=lmtp\\nPASS\\t2\\tbob@example.com\\t"
                  "service=lmtp\\nLIST\\t3\\tservice=x\\n')\n"
                  "f=s.makefile()\n"
                  "print(*sorted(f.readline().strip() for _ in range(5)), sep='|')\n")
        lines = {}
        for user in ("nobody", "daemon", "root"):
            asked = self.box.run(["python3", "-c", script, f"{self.dovecot.run}/auth-userdb"], user=user)
            lines[user] = asked.stdout.strip()
        nobody = pwd.getpwnam("nobody")
        self.assertIn(f"USER\t1\tbob@example.com\thome={self.box.path('mail')}/bob\tuid={nobody.pw_uid}", lines["nobody"])
        self.assertIn("FAIL\t2", lines["nobody"])
        self.assertIn("DONE\t3\tfail", lines["nobody"])
        self.assertIn("FAIL\t1", lines["daemon"])


if __name__ == "__main__":
    import unittest
    unittest.main()
