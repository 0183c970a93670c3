"""Lookups that come at the same time and are asked together: each gets its own answer, whatever becomes of its neighbours."""

import os
import select
import signal
from contextlib import contextmanager

from harness import Cutter, MariaDb, Postgres, Sqlite, Talk
from sql_tables import QUERIES, SCHEMA, TableTest

CLIENTS = 40
RETRY = b"status\x002\0value\0\0\0"
NOT_FOUND = b"status\x001\0value\0\0\0"


def found(value):
    return b"status\x000\0value\0" + value.encode() + b"\0\0"


class TogetherTest(TableTest):
    def begin(self, database, more="query_timeout = 5s"):
        self.metrics_port = self.box.port()
        self.serve(database, f"{more}\nmetrics_listen = inet:127.0.0.1:{self.metrics_port}")
        self.clients = [self.enterContext(Talk(self.postfix.private("sqlmaps"), timeout=40)) for _ in range(CLIENTS)]
        for client in self.clients:
            client.until(b"proxymap_protocol\0\0")

    @contextmanager
    def at_the_same_time(self):
        """What clients send meanwhile, sql-maps finds all at once."""
        os.kill(self.daemon.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.daemon.pid, signal.SIGCONT)

    @staticmethod
    def send(client, table, key):
        client.send(f"request\0lookup\0table\0{table}\0flags\0".encode() + b"64\0key\0" + key.encode() + b"\0\0")

    def ask(self, lookups):
        """A lookup (table, key) from each client; the replies in the same order."""
        with self.at_the_same_time():
            for client, (table, key) in zip(self.clients, lookups):
                self.send(client, table, key)
        return [self.reply(client) for client in self.clients[:len(lookups)]]

    @staticmethod
    def reply(client):
        return client.until(b"\0value\0") + client.until(b"\0") + client.until(b"\0")

    def batched(self):
        with Talk(("127.0.0.1", self.metrics_port)) as client:
            client.send(b"GET /metrics HTTP/1.0\r\n\r\n")
            page = client.rest().decode()
        return sum(int(line.split()[-1]) for line in page.splitlines() if line.startswith("postern_sql_batched_queries_total{"))

    def ask_until_together(self, lookups, replies):
        """A table that was slow once, on a busy machine, goes alone the next time."""
        before = self.batched()
        for _ in range(20):
            self.assertEqual(self.ask(lookups), replies)
            if self.batched() > before + len(lookups):
                return
        self.fail("nothing was asked together")

    def each_its_own(self, database, sleeping):
        """Several tables of one database: values, nothing, what the server refuses, and one that sleeps."""
        self.begin(database)
        plain, lower = self.table("plain", QUERIES["plain"]), self.table("lower", QUERIES["lower"])
        fails = self.table("fails", "query = SELECT CASE WHEN '%u'='two' THEN (SELECT a FROM multi) ELSE 'ok-%u' END")
        wrong = self.table("wrong", "query = SELECT nosuch FROM multi WHERE k='%s'")
        slow = self.table("slow", f"query = SELECT CASE WHEN '%u'='slow' THEN {sleeping} ELSE 'ok-%u' END")
        kinds = [(plain, "alice@example.com", found("a1@x")), (lower, "ALICE@example.com", found("a1@x")),
                 (plain, "nobody@example.com", NOT_FOUND), (fails, "one@x", found("ok-one")), (fails, "two@x", RETRY),
                 (plain, "o'brien@example.com", found("ob@x")), (wrong, "x@x", RETRY), (slow, "fast@x", found("ok-fast"))]
        if database.driver == "sqlite":  # takes the first row
            kinds[4] = (plain, "single@com", found("label@x"))
        lookups = [kinds[i % len(kinds)] for i in range(CLIENTS)]
        for _ in range(6):
            self.assertEqual(self.ask([(table, key) for table, key, _ in lookups]), [reply for _, _, reply in lookups])
        good = [each for each in lookups if each[2] != RETRY]
        self.ask_until_together([(table, key) for table, key, _ in good], [reply for _, _, reply in good])
        # The one that sleeps holds nobody up but itself, and it ends at its own time limit.
        with self.at_the_same_time():
            for number, client in enumerate(self.clients):
                self.send(client, slow, "slow@x" if number == 5 else f"n{number}@x")
        for number, client in enumerate(self.clients):
            if number != 5:
                self.assertEqual(self.reply(client), found(f"ok-n{number}"))
        self.assertEqual(select.select([self.clients[5].socket], [], [], 0)[0], [], "the others waited for the one that sleeps")
        self.assertEqual(self.reply(self.clients[5]), RETRY)
        for _ in range(3):
            self.assertEqual(self.ask([(table, key) for table, key, _ in lookups]), [reply for _, _, reply in lookups])

    def connections_die(self, database):
        """Connections that end before, within and behind the answers: whoever asked gets the answer from another one."""
        self.begin(database)
        cutter = self.enterContext(Cutter(self.box.port(), database.port))
        plain = self.table("plain", QUERIES["plain"], f"inet:127.0.0.1:{cutter.port}")
        lookups = [(plain, "alice@example.com"), (plain, "nobody@example.com")] * (CLIENTS // 2)
        replies = [found("a1@x"), NOT_FOUND] * (CLIENTS // 2)
        for octets in (0, 1, 5, 60, 90, 150, 300, 500, 1000):
            self.ask_until_together(lookups, replies)
            cutter.cut_after(octets)
            for _ in range(20):
                if cutter.has_cut():
                    break
                self.assertEqual(self.ask(lookups), replies)
            self.assertTrue(cutter.has_cut(), "no connection was cut")
        self.assertNotIn("lookup of", self.daemon.log())


class PostgresTogetherTest(TogetherTest):
    def test_each_lookup_of_many_gets_its_own_answer(self):
        self.each_its_own(self.enterContext(Postgres(self.box, SCHEMA)), "(SELECT 'late' FROM (SELECT pg_sleep(60)) s)")

    def test_connections_that_die_with_lookups_on_them_cost_none(self):
        self.connections_die(self.enterContext(Postgres(self.box, SCHEMA)))


    def test_a_statement_that_is_prepared_anew_leaves_no_old_one_behind(self):
        database = self.enterContext(Postgres(self.box, SCHEMA))
        self.begin(database, "pool_size = 1")
        plain = self.table("plain", QUERIES["plain"])
        count = self.table("count", "query = SELECT count(*) FROM pg_prepared_statements WHERE '%s' <> ''")
        for kind in ("text", "varchar(600)") * 3:
            for _ in range(3):
                self.assertEqual(self.ask([(plain, "alice@example.com")]), [found("a1@x")])
                counted = self.ask([(count, "x")])
            database.execute(f"ALTER TABLE multi ALTER a TYPE {kind}")
        self.assertEqual(counted, [found("2")])


class MariaDbTogetherTest(TogetherTest):
    def test_each_lookup_of_many_gets_its_own_answer(self):
        self.each_its_own(self.enterContext(MariaDb(self.box, SCHEMA)), "CONCAT('late', SLEEP(60))")

    def test_connections_that_die_with_lookups_on_them_cost_none(self):
        self.connections_die(self.enterContext(MariaDb(self.box, SCHEMA)))


class SqliteTogetherTest(TogetherTest):
    def test_each_lookup_of_many_gets_its_own_answer(self):
        self.each_its_own(Sqlite(self.box, SCHEMA), "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c)")


if __name__ == "__main__":
    import unittest
    unittest.main()
