"""Logins that come at the same time and are looked up together: each gets its own answer, whatever becomes of its neighbours."""

import base64

from harness import Cutter, Daemon, MariaDb, Postgres, Sqlite, SystemTest, Talk, wait_until

SCHEMA = """\
CREATE TABLE users (email VARCHAR(200) PRIMARY KEY, password VARCHAR(200), disabled INT);
INSERT INTO users VALUES ('bob@example.com', '{PLAIN}secret', 0), ('slow@example.com', '{PLAIN}secret', 0),
 ('gone@example.com', '{PLAIN}secret', 1), ('hard@example.com', '{SHA512-CRYPT}HASH', 0), ('twice@example.com', '{PLAIN}secret', 0);
""".replace("HASH", "$6$rounds=1000$MPeWgaNyLNo7HkDl$ATY5XHVuoMJvqcxeBWu4SJIurcLfsHj05YQb0Jzhhqdqti/Q95joUhbnNvJWATXNWKcQr4gdMef2NOl/E5Eqm/")
CONF = """\
base_dir = {run}
auth_mechanisms = plain
auth_failure_delay = 0
passdb {{
  driver = sql
  args = {sql}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener auth-client {{
    mode = 0666
  }}
}}
"""
KINDS = [("bob", "secret", "ok"), ("bob", "wrong", "wrong"), ("nobody", "secret", "wrong"), ("gone", "secret", "disabled"),
         ("hard", "secret", "ok"), ("hard", "wrong", "wrong"), ("twice", "secret", "ok"), ("BOB", "secret", "ok")]
LOGINS = 40


def meaning(line):
    codes = {"\tcode=temp_fail": "temporary", "\tcode=user_disabled": "disabled"}
    return "ok" if line.startswith("OK") else next((word for code, word in codes.items() if code in line), "wrong")


class TogetherTest(SystemTest):
    def begin(self, driver, connect, query="SELECT password, disabled AS user_disabled FROM users WHERE email = '%u'"):
        run = self.box.directory("run")
        sql = self.box.write("sql.conf.ext", f"driver = {driver}\nconnect = {connect}\npassword_query = {query}\n")
        conf = self.box.write("auth.conf", CONF.format(run=run, sql=sql))
        self.metrics_port = self.box.port()
        own = self.box.write("own.conf", f"penalty = no\nmetrics_listen = inet:127.0.0.1:{self.metrics_port}\n")
        self.auth = self.enterContext(Daemon(self.box, "auth-socket", ["-c", conf, "-o", own]))
        self.talk = self.enterContext(Talk(f"{run}/auth-client", timeout=40))
        self.talk.lines("DONE")
        self.talk.send("VERSION\t1\t1\nCPID\t4242\n")
        self.last = 0

    def send(self, logins):
        """All of them in one piece; their ids."""
        text, ids = "", []
        for user, password in logins:
            self.last += 1
            response = base64.b64encode(f"\0{user}@example.com\0{password}".encode()).decode()
            text += f"AUTH\t{self.last}\tPLAIN\tservice=imap\tno-penalty\tresp={response}\n"
            ids.append(str(self.last))
        self.talk.send(text)
        return ids

    def answers(self, count):
        lines = [self.talk.line() for _ in range(count)]
        return {line.split("\t")[1]: meaning(line) for line in lines}

    def ask(self, logins):
        ids = self.send(logins)
        found = self.answers(len(ids))
        return [found[each] for each in ids]

    def batched(self):
        with Talk(("127.0.0.1", self.metrics_port)) as client:
            client.send(b"GET /metrics HTTP/1.0\r\n\r\n")
            page = client.rest().decode()
        return sum(int(line.split()[-1]) for line in page.splitlines() if line.startswith("postern_sql_batched_queries_total{"))

    def ask_until_together(self, logins, outcomes):
        """On a busy machine a query may have been slow, and the next go alone."""
        before = self.batched()
        for _ in range(20):
            self.assertEqual(self.ask(logins), outcomes)
            if self.batched() > before + 2:
                return
        self.fail("nothing was asked together")

    def each_its_own(self, driver, connect, sleeping):
        self.begin(driver, connect, f"SELECT CASE WHEN '%n' = 'slow' THEN {sleeping} ELSE password END AS password, "
                   "disabled AS user_disabled FROM users WHERE email = '%u'")
        logins = [KINDS[i % len(KINDS)] for i in range(LOGINS)]
        asked, outcomes = [each[:2] for each in logins], [each[2] for each in logins]
        self.ask_until_together(asked, outcomes)
        # Who sleeps holds up nobody else, and has at its own time limit what could not be found out.
        slow, *rest = self.send([("slow", "secret"), *asked])
        self.assertEqual(self.answers(LOGINS), dict(zip(rest, outcomes)))
        self.assertEqual(self.answers(1), {slow: "temporary"})
        self.ask_until_together(asked, outcomes)

    def connections_die(self, driver, connect, port):
        """In the middle of answers: another connection has them, and nobody is told a wrong no."""
        cutter = self.enterContext(Cutter(self.box.port(), port))
        self.begin(driver, connect(cutter.port))
        logins = [KINDS[i % len(KINDS)] for i in range(LOGINS)]
        asked, outcomes = [each[:2] for each in logins], [each[2] for each in logins]
        for octets in (0, 5, 60, 150, 300, 700):
            self.ask_until_together(asked, outcomes)
            cutter.cut_after(octets)
            for _ in range(20):
                if cutter.has_cut():
                    break
                self.assertEqual(self.ask(asked), outcomes)
            self.assertTrue(cutter.has_cut(), "no connection was cut")

    def away(self, database):
        """Of nobody is known then whether its password is right."""
        asked = [each[:2] for each in KINDS] * 5
        with database.away():
            self.assertEqual(set(self.ask(asked)), {"temporary"})
        wait_until(lambda: self.ask([("bob", "secret")]) == ["ok"], 20, "the database is used again")
        self.assertEqual(self.ask(asked), [each[2] for each in KINDS] * 5)


class PostgresTogetherTest(TogetherTest):
    def setUp(self):
        super().setUp()
        self.database = self.enterContext(Postgres(self.box, SCHEMA))

    def connect(self, where):
        return f"{where} user={self.database.user} dbname={self.database.database}"

    def test_each_login_of_many_gets_its_own_answer(self):
        self.each_its_own("pgsql", self.connect(f"host={self.database.directory} port={self.database.port}"),
                          "(SELECT 'late' FROM (SELECT pg_sleep(60)) s)")
        self.away(self.database)

    def test_connections_that_die_with_logins_on_them_cost_none(self):
        self.connections_die("pgsql", lambda port: self.connect(f"host=127.0.0.1 port={port}"), self.database.port)


class MariaDbTogetherTest(TogetherTest):
    def setUp(self):
        super().setUp()
        self.database = self.enterContext(MariaDb(self.box, SCHEMA))

    def connect(self, where):
        return f"{where} user={self.database.user} password={self.database.password} dbname={self.database.database}"

    def test_each_login_of_many_gets_its_own_answer(self):
        self.each_its_own("mysql", self.connect(f"host={self.database.socket}"), "CONCAT('late', SLEEP(60))")
        self.away(self.database)

    def test_connections_that_die_with_logins_on_them_cost_none(self):
        self.connections_die("mysql", lambda port: self.connect(f"host=127.0.0.1 port={port}"), self.database.port)


class SqliteTogetherTest(TogetherTest):
    def test_each_login_of_many_gets_its_own_answer(self):
        self.each_its_own("sqlite", Sqlite(self.box, SCHEMA).path,
                          "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c)")


if __name__ == "__main__":
    import unittest
    unittest.main()
