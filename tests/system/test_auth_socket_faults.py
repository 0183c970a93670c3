"""auth-socket while its database stops, fails over or hangs, and while it is killed itself: nobody is told a wrong "no"."""

import base64
import contextlib
import imaplib
import smtplib
import socket
import threading

from harness import Daemon, Dovecot, MariaDb, Postfix, Postgres, SystemTest, Talk, wait_until
from harness.dovecot import WITHOUT_AUTH
from harness.sasl import answers

SCHEMA = """\
CREATE TABLE users (email VARCHAR(200) PRIMARY KEY, password VARCHAR(200));
INSERT INTO users VALUES ('bob@example.com', '{PLAIN}secret');
"""
CONF = """\
base_dir = {run}
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = {file}
}}
passdb {{
  driver = sql
  args = {sql}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={mail}/%u
}}
{service}
"""
RIGHT, WRONG = "secret", "wrong"


def smtp_login(port, user, password):
    """The code of the answer to AUTH PLAIN."""
    with contextlib.closing(smtplib.SMTP("127.0.0.1", port, timeout=30)) as client:
        client.ehlo()
        try:
            return client.auth("PLAIN", answers("PLAIN", f"{user}@example.com", password))[0]
        except smtplib.SMTPAuthenticationError as refused:
            return refused.smtp_code


class Conversation:
    """One connection on the client socket, many logins on it; a client that reads codes (version 1.1)."""

    def __init__(self, path):
        self.talk = Talk(path, timeout=30)
        self.talk.lines("DONE")
        self.talk.send("VERSION\t1\t1\nCPID\t4242\n")
        self.last = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.talk.close()

    def ask(self, user, password):
        self.last += 1
        response = base64.b64encode(f"\0{user}@example.com\0{password}".encode()).decode()
        self.talk.send(f"AUTH\t{self.last}\tPLAIN\tservice=imap\tno-penalty\tresp={response}\n")
        return str(self.last)

    def login(self, user, password):
        """ok, temporary or wrong"""
        wanted = self.ask(user, password)
        line = self.talk.line()
        assert line.split("\t")[1] == wanted, line
        return self.meaning(line)

    @staticmethod
    def meaning(line):
        return "ok" if line.startswith("OK") else "temporary" if "\tcode=temp_fail" in line else "wrong"


class DatabaseFaults:
    """What the two classes at the end have in common."""

    def setUp(self):
        super().setUp()
        self.database = self.enterContext(self.server("db"))
        self.postfix = Postfix(self.box, main={"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot",
                                               "smtpd_sasl_path": "private/auth"})
        self.dovecot = self.enterContext(Dovecot(self.box, extra=WITHOUT_AUTH, protocols="imap"))
        listeners = WITHOUT_AUTH[WITHOUT_AUTH.index("service auth"):].rstrip().removesuffix("}")
        service = f"{listeners}  unix_listener {self.postfix.private('auth')} {{\n    mode = 0666\n  }}\n}}\n"
        self.sql = self.box.write("sql.conf.ext", self.sql_conf([self.database]))
        conf = self.box.write("auth.conf", CONF.format(
            run=self.dovecot.run, mail=self.box.directory("mail", owner="nobody"), sql=self.sql, service=service,
            file=self.box.write("users", "file@example.com:{PLAIN}secret\n")))
        self.auth = self.enterContext(Daemon(self.box, "auth-socket", ["-c", conf, "-o", self.box.write("own.conf", "penalty = no\n")]))
        self.enterContext(self.postfix)
        self.conversation = self.enterContext(Conversation(f"{self.dovecot.run}/auth-client"))

    def sql_conf(self, servers):
        connect = " ".join(word for server in servers for word in self.connect(server))
        return (f"driver = {self.server.driver}\nconnect = {connect}\n"
                "password_query = SELECT email AS user, password FROM users WHERE email = '%u'\n")

    def smtp(self, user, password):
        return smtp_login(self.postfix.smtp_port, user, password)

    def imap(self, user, password):
        try:
            with self.dovecot.imap(f"{user}@example.com", password):
                return "OK"
        except imaplib.IMAP4.error as refused:
            return str(refused)

    def expect_truth(self):
        logins = [("bob", RIGHT), ("bob", WRONG), ("nobody", RIGHT), ("file", RIGHT)]
        self.assertEqual([self.conversation.login(*each) for each in logins], ["ok", "wrong", "wrong", "ok"])
        self.assertEqual([self.smtp(*each) for each in logins], [235, 535, 535, 235])

    def test_no_fault_of_its_database_makes_a_password_wrong(self):
        self.expect_truth()
        for fault in (self.it_stops_and_comes_back, self.it_crashes_between_two_logins, self.it_hangs):
            with self.subTest(fault.__name__):
                fault()
                wait_until(lambda: self.conversation.login("bob", RIGHT) == "ok", 20, "the database is used again")
                self.expect_truth()

    def it_stops_and_comes_back(self):
        logins = [("bob", RIGHT), ("bob", WRONG), ("nobody", RIGHT), ("file", RIGHT)]
        with self.database.away():
            # On the same connection: who stands in the file still gets in, of the others nobody knows.
            self.assertEqual([self.conversation.login(*each) for each in logins], ["temporary"] * 3 + ["ok"])
            self.assertEqual([self.smtp(*each) for each in logins], [454, 454, 454, 235])
            self.assertIn("[UNAVAILABLE]", self.imap("bob", RIGHT))
            self.assertIn("[UNAVAILABLE]", self.imap("bob", WRONG))
            self.assertEqual(self.imap("file", RIGHT), "OK")

    def it_crashes_between_two_logins(self):
        self.database.kill()
        self.database.start()

    def it_hangs(self):
        """Who needs it not is answered all the same, on the same connection and first."""
        talk = self.conversation
        self.database.freeze()
        try:
            stuck = {talk.ask("bob", password) for password in (RIGHT, WRONG) for _ in range(10)}
            quick = talk.ask("file", RIGHT)
            first, *rest = [talk.talk.line() for _ in range(len(stuck) + 1)]
        finally:
            self.database.thaw()
        self.assertEqual((talk.meaning(first), first.split("\t")[1]), ("ok", quick))
        self.assertEqual({talk.meaning(line) for line in rest}, {"temporary"})
        self.assertEqual({line.split("\t")[1] for line in rest}, stuck)


class SocketPostgres(Postgres):
    """On its socket alone, so that several have one port: a connect string has one for all its hosts."""

    def _command(self):
        return [*super()._command(), "-c", "listen_addresses="]


class Logins(threading.Thread):
    """Logs in again and again on a connection of its own, until it is told to stop."""

    def __init__(self, path, user, password):
        super().__init__()
        self.path, self.user, self.password = path, user, password
        self.outcomes, self.enough = [], threading.Event()
        self.start()

    def run(self):
        with Conversation(self.path) as talk:
            while not self.enough.is_set():
                self.outcomes.append(talk.login(self.user, self.password))

    def since(self, count, outcome):
        return outcome in self.outcomes[count:]

    def stop(self):
        self.enough.set()
        self.join()


class PostgresFaultsTest(DatabaseFaults, SystemTest):
    def server(self, name):
        return SocketPostgres(self.box, SCHEMA, name=name)

    server.driver = "pgsql"

    def connect(self, server):
        return [f"host={server.directory}", f"port={server.port}", f"user={server.user}", f"dbname={server.database}"]

    def test_logins_go_on_at_the_other_server_when_one_dies_under_them_and_nobody_is_told_a_wrong_no(self):
        second = self.server("second")
        second.port = self.database.port
        self.enterContext(second)
        servers = [self.database, second]
        self.sql.write_text(self.sql_conf(servers))
        self.auth.reload()
        wait_until(lambda: "configuration reloaded" in self.auth.log(), 10, "two servers")
        path = f"{self.dovecot.run}/auth-client"
        logins = {each: Logins(path, *each) for each in (("bob", RIGHT), ("bob", WRONG), ("nobody", RIGHT))}
        for each in logins.values():
            self.addCleanup(each.stop)
        answer = {("bob", RIGHT): "ok", ("bob", WRONG): "wrong", ("nobody", RIGHT): "wrong"}
        for gone in (*servers, *servers):
            gone.kill()
            self.wait_for_truth(logins, answer)
            gone.start()
            self.wait_for_truth(logins, answer)
        for each in logins.values():
            each.stop()
        for asked, each in logins.items():
            self.assertLessEqual(set(each.outcomes), {answer[asked], "temporary"}, asked)

    def wait_for_truth(self, logins, answer):
        """Every login is told the truth again."""
        counts = {asked: len(each.outcomes) for asked, each in logins.items()}
        for asked, each in logins.items():
            wait_until(lambda: each.since(counts[asked] + 1, answer[asked]), 20, lambda: f"{asked}: {each.outcomes[-5:]}")


class MariaDbFaultsTest(DatabaseFaults, SystemTest):
    def server(self, name):
        return MariaDb(self.box, SCHEMA, name=name)

    server.driver = "mysql"

    def connect(self, server):
        return [f"host={server.socket}", f"user={server.user}", f"password={server.password}",
                f"dbname={server.database}"]

    def test_a_second_server_takes_over_without_one_wrong_answer(self):
        second = self.enterContext(self.server("second"))
        self.sql.write_text(self.sql_conf([self.database, second]))
        self.auth.reload()
        wait_until(lambda: "configuration reloaded" in self.auth.log(), 10, "two servers")
        talk = self.conversation = self.enterContext(Conversation(f"{self.dovecot.run}/auth-client"))
        self.expect_truth()
        for gone in (self.database, second):
            gone.kill()
            outcomes = []
            wait_until(lambda: outcomes.append(talk.login("bob", RIGHT)) or outcomes[-1] == "ok", 20, "the other one")
            self.assertNotIn("wrong", outcomes)
            gone.start()
            self.expect_truth()


class KillTest(SystemTest):
    """Killed and started again under load, its socket held open by the service manager (which this test plays)."""

    CLIENTS, LOGINS = 8, 12

    def test_no_smtp_client_sees_more_than_one_454(self):
        postfix = Postfix(self.box, main={"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot",
                                          "smtpd_sasl_path": "private/auth"})
        conf = self.box.write("auth.conf", CONF.format(
            run=self.box.directory("run"), mail="/nonexistent", sql=self.box.write("sql.conf.ext", ""), service=f"""\
service auth {{
  unix_listener {postfix.private('auth')} {{
    mode = 0666
  }}
}}
""", file=self.box.write("users", f"bob@example.com:{self.slow_hash()}\n")).replace(
            f"passdb {{\n  driver = sql\n  args = {self.box.path('sql.conf.ext')}\n}}\n", ""))
        held = socket.socket(socket.AF_UNIX)
        self.addCleanup(held.close)
        held.bind(str(postfix.private("auth")))
        postfix.private("auth").chmod(0o666)
        held.listen(128)
        auth = self.enterContext(Daemon(self.box, "auth-socket", ["-c", conf, "-o", self.box.write("own.conf", "penalty = no\n")],
                                        passed=("client", held)))
        self.enterContext(postfix)
        seen = [[] for _ in range(self.CLIENTS)]
        done, gone = threading.Semaphore(0), threading.Event()

        def client(codes):
            while codes.count(235) < self.LOGINS:
                codes.append(smtp_login(postfix.smtp_port, "bob", RIGHT))
                done.release()
                # The kernel closes a killed process's sockets one by one: nobody is quicker than that.
                if codes[-1] != 235:
                    gone.wait(60)

        threads = [threading.Thread(target=client, args=(codes,)) for codes in seen]
        for thread in threads:
            thread.start()
        for _ in range(self.CLIENTS * self.LOGINS // 3):
            self.assertTrue(done.acquire(timeout=60))
        auth.kill()
        gone.set()
        auth.start()
        for thread in threads:
            thread.join()
        for codes in seen:
            self.assertLessEqual(set(codes), {235, 454}, seen)
            self.assertLessEqual(codes.count(454), 1, seen)

    def slow_hash(self):
        """So that logins are under way whenever the daemon dies."""
        return self.box.run(["doveadm", "pw", "-s", "BLF-CRYPT", "-r", "8", "-p", RIGHT]).stdout.strip()


if __name__ == "__main__":
    import unittest
    unittest.main()
