"""sql-maps against Postfix's own drivers on real PostgreSQL, MariaDB and SQLite: the same keys, the same answers."""

import collections
import os
import random
import re
import threading
import time
from contextlib import contextmanager

from harness import MariaDb, Postgres, Sqlite, Talk, wait_until
from sql_tables import JOINED, KEYS, QUERIES, SCHEMA, TableTest, many_keys

# Replies of the proxymap protocol.
ANSWER, RETRY = b"status\x000\0value\0a1@x\0\0", b"status\x002\0value\0\0\0"


class Differential(TableTest):
    """The same keys to Postfix's own drivers and to sql-maps."""

    def compare(self, tables, keys):
        """All keys for the first tables, the first 700 for the others; POSTERN_ALL_KEYS: all for all (two minutes more)."""
        found = 0
        for name, table in tables.items():
            every = name in ("plain", "columns", "parts") or "POSTERN_ALL_KEYS" in os.environ
            # The manual: Postfix doubles quotes inside $$...$$, and $$ ends it. Here it is one bound value.
            fit = [key for key in keys[:None if every else 700] if name != "dollar" or not set(key) & set("'$")]
            own, ours = self.ask(table, fit), self.ask(f"proxy:{table}", fit)
            if own != ours:
                differ = sorted(set(own) ^ set(ours))
                self.fail(f"{name}: {len(differ)} lines differ; Postfix has {sum(d in own for d in differ)} of them: "
                          f"{differ[:8]}")
            found += len(own)
        self.assertGreater(found, len(keys), "hardly any key is in a table: the test proves little")
        return found

    def differential(self, database, count=3200):
        self.serve(database, proxy_read_maps="proxy:static:all")
        self.postfix.write("domains", "# a file in a domain list\nexample.org\n!never.example\n")
        self.enterContext(self.postfix)
        if database.driver == "mysql":
            database.execute("DELIMITER //\nCREATE PROCEDURE lookup(IN wanted VARCHAR(600) CHARACTER SET utf8mb4) "
                             "BEGIN SELECT a, b FROM multi WHERE k=wanted ORDER BY n; END //\nDELIMITER ;\n")
        keys = many_keys(count, database.driver)
        # Postfix 3.7 reads LATIN1 from PostgreSQL and then refuses what is not UTF-8: all but ASCII.
        charset = "ascii" if database.driver == "pgsql" else "utf-8"
        fit = [key for key in keys if len(key.encode(charset, "ignore").decode(charset)) == len(key) < 400]
        rows = random.Random(1).sample(fit, count // 3)
        quote = (lambda s: s.replace("\\", "\\\\").replace("'", "''")) if database.driver == "mysql" else \
            (lambda s: s.replace("'", "''"))
        names = "SET NAMES utf8mb4;\n" if database.driver == "mysql" else ""
        database.execute(names + "".join(f"INSERT INTO multi VALUES ('{quote(key)}', '{quote(key[:100])}', 'b@{n}', {n});\n"
                                 for n, key in enumerate(rows, 100)))
        tables = {name: self.table(name, text) for name, text in (QUERIES | JOINED[database.driver]).items()}
        for key in KEYS:
            own, ours = (self.postfix.postmap(key, kind + tables["columns"]) for kind in ("", "proxy:"))
            self.assertEqual(ours[:2], own[:2], f"{key!r}: {own[2]} {ours[2]}")
        found = self.compare(tables, KEYS + keys)
        print(f"\n{database.driver}: {len(tables)} tables, up to {len(KEYS + keys)} keys each, {found} answers, no difference")
        self.refusals()

    def refusals(self):
        """What fails fails for both; what stops at a limit stops at the same one."""
        for name, text, key in [
                ("syntax", "query = SELEC '%s'", "k"), ("column", "query = SELECT nosuch FROM multi WHERE k='%s'", "k"),
                ("limit1", QUERIES["plain"] + "\nexpansion_limit = 1", "limit@limit.example"),
                ("variable", "query = SELECT '%x'", "k"), ("notable", "query = SELECT 1 FROM nosuch WHERE k='%s'", "k")]:
            table = self.table(name, text)
            own, ours = self.postfix.postmap(key, table), self.postfix.postmap(key, f"proxy:{table}")
            self.assertEqual((own[0], ours[0]), (1, 1), name)
            self.assertIn("fatal", own[2])
            self.assertRegex(ours[2], "query error|lookup error|temporar", name)
        exact = self.table("limit2", QUERIES["plain"] + "\nexpansion_limit = 2")
        self.assertEqual(self.postfix.postmap("limit@limit.example", exact)[:2], (0, "one,two"))
        self.assertEqual(self.postfix.postmap("limit@limit.example", f"proxy:{exact}")[:2], (0, "one,two"))


class SqliteTest(Differential):
    def test_answers_equal_those_of_postfix_key_for_key(self):
        self.differential(Sqlite(self.box, SCHEMA))

    def test_a_lock_is_a_temporary_error_and_passes(self):
        database = Sqlite(self.box, SCHEMA)
        self.serve(database, "query_timeout = 200ms")
        table = self.table("plain", QUERIES["plain"])
        with database.away():
            code, answer, error = self.postfix.postmap("alice@example.com", f"proxy:{table}")
            self.assertEqual((code, answer), (1, ""))
            self.assertRegex(error, "query error|lookup error")
        self.assertEqual(self.postfix.postmap("alice@example.com", f"proxy:{table}")[:2], (0, "a1@x"))
        self.assertRegex(self.daemon.log(), "lookup of \"alice@example.com\" failed, .*database is locked")

    def test_tables_of_other_kinds_are_passed_on_to_the_stock_proxymap(self):
        self.serve(Sqlite(self.box, SCHEMA), proxy_read_maps="proxy:unix:passwd.byname")
        self.enterContext(self.postfix)
        self.assertEqual(self.postfix.postmap("root", "proxy:unix:passwd.byname")[:2][0], 0)
        self.assertRegex(self.postfix.postmap("root", "proxy:unix:passwd.byname")[1], "^root:")
        self.assertEqual(self.postfix.postmap("nosuchuser", "proxy:unix:passwd.byname")[:2], (1, ""))
        self.assertIn("not configured for table", self.postfix.postmap("x", "proxy:unix:group.byname")[2])

    def test_a_table_that_changes_is_read_again_and_strangers_files_are_not_read(self):
        self.serve(Sqlite(self.box, SCHEMA))
        table = self.table("x", "query = SELECT 'old'")
        self.assertEqual(self.postfix.postmap("k", f"proxy:{table}")[1], "old")
        self.table("x", "query = SELECT 'newer'")
        self.assertEqual(self.postfix.postmap("k", f"proxy:{table}")[1], "newer")
        elsewhere = self.box.write("elsewhere.cf", f"dbpath = {self.database.path}\nquery = SELECT 'x'\n")
        self.assertEqual(self.postfix.postmap("k", f"proxy:sqlite:{elsewhere}")[0], 1)
        self.assertIn("is not below any of map_directories", self.daemon.log())

    def test_socketmap_and_tcp_tables_fold_keys_and_search_partial_ones(self):
        database = Sqlite(self.box, SCHEMA)
        port, tcp = self.box.port(), self.box.port()
        cf = self.box.directory("mx").joinpath("va.cf")
        self.serve(database, f"socketmap_listen = inet:127.0.0.1:{port}\ntcp_table_listen = inet:127.0.0.1:{tcp}\n"
                   f"tcp_table_map = va\nrecipient_delimiter = +\nmap_va = sqlite:{cf} virtual\n"
                   f"map_plain = sqlite:{cf} plain\nmap_down = sqlite:{cf}.missing plain")
        self.table("va", QUERIES["plain"])
        for kind in (f"socketmap:inet:127.0.0.1:{port}:va", f"tcp:127.0.0.1:{tcp}"):
            self.assertEqual(self.postfix.postmap("Alice@Example.com", kind)[:2], (0, "a1@x"))
            self.assertEqual(self.postfix.postmap("alice+x@example.com", kind)[:2], (0, "a1+x@x"))
            self.assertEqual(self.postfix.postmap("other@example.com", kind)[:2], (0, "catch@x"))
            self.assertEqual(self.postfix.postmap("other@example.net", kind)[:2], (1, ""))
        socketmap = f"socketmap:inet:127.0.0.1:{port}"
        self.assertEqual(self.postfix.postmap("other@example.com", f"{socketmap}:plain")[:2], (1, ""))
        self.assertIn("temporary error", self.postfix.postmap("k", f"{socketmap}:down")[2])
        self.assertIn("permanent error: unknown map", self.postfix.postmap("k", f"{socketmap}:nosuch")[2])

    def test_garbage_ends_its_own_connection_only(self):
        self.serve(Sqlite(self.box, SCHEMA))
        table = self.table("plain", QUERIES["plain"])
        for garbage in (b"\0" * 100, b"x" * 70000, b"request\0lookup\0table\0", b"GET / HTTP/1.0\r\n\r\n"):
            with Talk(self.postfix.private("sqlmaps")) as client:
                try:
                    client.send(garbage)
                    client.finish_sending()
                    client.rest()
                except (BrokenPipeError, ConnectionResetError):
                    pass
            self.assertEqual(self.postfix.postmap("alice@example.com", f"proxy:{table}")[:2], (0, "a1@x"))
        self.assertIn("a request is longer than 65536 octets", self.daemon.log())

    def test_the_import_lists_tries_and_switches(self):
        self.serve(Sqlite(self.box, SCHEMA))
        good, bad = self.table("good", QUERIES["plain"]), self.table("bad", "query = SELECT nosuch FROM multi")
        self.postfix.main.pop("proxymap_service_name")
        self.postfix.set(virtual_alias_maps=f"{good}, proxy:{good}", transport_maps="$virtual_alias_maps")
        before = self.postfix.command("postconf", "-n").stdout

        def run(code):
            done = self.box.run([*self.daemon.command, "--import", self.postfix.directory], check=False)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            return done.stdout
        over, back = (part.replace("postfix -c", "true -c") for part in run(0).split("# Switch back:\n"))
        self.assertIn(f"works   {good}  (transport_maps, virtual_alias_maps)", over)
        self.box.run(["sh", "-ec", over[over.index("# Switch over"):]])
        self.assertEqual(self.postfix.command("postconf", "-h", "proxymap_service_name").stdout, "sqlmaps\n")
        self.assertEqual(self.postfix.command("postconf", "-h", "virtual_alias_maps").stdout, f"proxy:{good}, proxy:{good}\n")
        self.box.run(["sh", "-ec", back])
        self.assertEqual(self.postfix.command("postconf", "-n").stdout, before)
        self.postfix.set(sender_canonical_maps=bad)
        self.assertIn(f"FAILS   {bad}  (sender_canonical_maps)", run(1))

    def test_the_one_shot_lookup_tells_query_host_and_result(self):
        self.serve(Sqlite(self.box, SCHEMA))
        table = self.table("plain", QUERIES["plain"])
        done = self.box.run([*self.daemon.command, "-q", "o'brien@example.com", table])
        self.assertEqual(done.stdout, "ob@x\n")
        self.assertRegex(done.stderr, r"query:  SELECT a FROM multi WHERE k= \? \nvalue:  1 = \"o'brien@example.com\"\n"
                         rf"host:   {re.escape(str(self.database.path))}\nresult: found, ")
        self.assertEqual(self.box.run([*self.daemon.command, "-q", "nobody", table], check=False).returncode, 1)


class ServerTest(Differential):
    """What PostgreSQL and MariaDB have in common."""

    def away_and_back(self, database):
        self.serve(database, "query_timeout = 2s")
        table = self.table("plain", QUERIES["plain"])
        key = "alice@example.com"
        self.assertEqual(self.postfix.postmap(key, f"proxy:{table}")[:2], (0, "a1@x"))
        database.stop()
        for _ in range(3):
            code, answer, error = self.postfix.postmap(key, f"proxy:{table}")
            self.assertEqual((code, answer), (1, ""))
            self.assertRegex(error, "query error|lookup error")
        database.start()
        wait_until(lambda: self.postfix.postmap(key, f"proxy:{table}")[:2] == (0, "a1@x"), 2, "the table answers again")
        # A restart between two lookups costs none of them.
        database.kill()
        database.start()
        self.assertEqual(self.postfix.postmap(key, f"proxy:{table}")[:2], (0, "a1@x"))

    def silence(self, database, sleep, still_running):
        """A server that does not greet, and a query that takes too long: both end in time, the query on the server too."""
        self.serve(database, "query_timeout = 500ms\nconnect_timeout = 300ms")
        table = self.table("plain", QUERIES["plain"])
        database.freeze()
        try:
            self.assertEqual(self.postfix.postmap("alice@example.com", f"proxy:{table}")[:2], (1, ""))
        finally:
            database.thaw()
        wait_until(lambda: self.postfix.postmap("alice@example.com", f"proxy:{table}")[0] == 0, 10, "it is back")
        slow = self.table("slow", f"query = SELECT {sleep}, '%s'")
        begun = time.monotonic()
        self.assertEqual(self.postfix.postmap("k", f"proxy:{slow}")[:2], (1, ""))
        self.assertLess(time.monotonic() - begun, 10)
        wait_until(lambda: database.query(still_running) == [["0"]], 10, "the server gives the query up")
        self.assertEqual(self.postfix.postmap("alice@example.com", f"proxy:{table}")[:2], (0, "a1@x"))

    @staticmethod
    def starts(database):
        """PostgreSQL refuses to start while a backend of the killed server still lives."""
        try:
            database.start()
            return True
        except AssertionError:
            return False

    @contextmanager
    def load(self, table):
        """20 clients that never stop asking; gives a function that counts the replies so far, by what they say."""
        request = (f"request\0lookup\0table\0{table}\0flags\0" "64\0key\0alice@example.com\0\0").encode()
        seen, stop = [collections.Counter() for _ in range(20)], threading.Event()

        def ask_on(counter):
            with Talk(self.postfix.private("sqlmaps")) as client:
                client.until(b"proxymap_protocol\0\0")
                while not stop.is_set():
                    client.send(request)
                    reply = client.until(b"\0value\0")
                    value = client.until(b"\0")
                    counter[reply + value + client.until(b"\0")] += 1
        threads = [threading.Thread(target=ask_on, args=[counter]) for counter in seen]
        for thread in threads:
            thread.start()
        try:
            yield lambda what: sum(counter[what] for counter in seen)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        total = sum(seen, collections.Counter())
        self.assertLessEqual(set(total), {ANSWER, RETRY}, total)

    def more_answers(self, count):
        before = count(ANSWER)
        wait_until(lambda: count(ANSWER) > before + 200, 20, "answers")

    def killed_under_load(self, database):
        """Clients that never stop asking see values and "try again", and no "not found", while the server dies twice."""
        self.serve(database, "pool_size = 4\nquery_timeout = 2s")
        table = self.table("plain", QUERIES["plain"])
        with self.load(table) as count:
            for _ in range(2):
                self.more_answers(count)
                before = count(RETRY)
                database.kill()
                wait_until(lambda: count(RETRY) > before, 20, "temporary errors")
                wait_until(lambda: self.starts(database), 30, "the killed server's last processes are gone")
            self.more_answers(count)

    def swapped_under_load(self, one, two):
        """Of two servers one always lives: whichever is killed, the clients go on to see values, and no "not found"."""
        self.serve(one, "pool_size = 4\nquery_timeout = 5s")
        table = self.table("plain", QUERIES["plain"] + "\nretry_interval = 1", f"127.0.0.1:{one.port} 127.0.0.1:{two.port}")
        with self.load(table) as count:
            for dying in (one, two, one):
                self.more_answers(count)
                dying.kill()
                self.more_answers(count)
                wait_until(lambda: self.starts(dying), 30, "the killed server's last processes are gone")

    def dead_host_first(self, database):
        self.serve(database)
        dead = self.box.port()
        both = self.table("both", QUERIES["plain"], f"127.0.0.1:{dead} 127.0.0.1:{database.port}")
        for _ in range(10):
            self.assertEqual(self.postfix.postmap("alice@example.com", f"proxy:{both}")[:2], (0, "a1@x"))
        none = self.table("none", QUERIES["plain"], f"127.0.0.1:{dead}")
        self.assertEqual(self.postfix.postmap("alice@example.com", f"proxy:{none}")[:2], (1, ""))
        self.assertRegex(self.daemon.log(), f"connect to {database.driver} server 127.0.0.1:{dead}: ")


class PostgresTest(ServerTest):
    def test_answers_equal_those_of_postfix_key_for_key(self):
        self.differential(self.enterContext(Postgres(self.box, SCHEMA)))

    def test_a_server_that_is_away_is_a_temporary_error_and_comes_back(self):
        self.away_and_back(self.enterContext(Postgres(self.box, SCHEMA)))

    def test_a_silent_server_is_a_temporary_error_in_time(self):
        self.silence(self.enterContext(Postgres(self.box, SCHEMA)), "pg_sleep(60)",
                     "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%sleep(60)%' "
                     "AND pid <> pg_backend_pid()")

    def test_a_server_killed_under_load_is_never_not_found(self):
        self.killed_under_load(self.enterContext(Postgres(self.box, SCHEMA)))

    def test_one_of_two_servers_killed_under_load_is_never_not_found(self):
        self.swapped_under_load(*(self.enterContext(Postgres(self.box, SCHEMA, name=name)) for name in ("one", "two")))

    def test_a_dead_host_is_passed_over(self):
        self.dead_host_first(self.enterContext(Postgres(self.box, SCHEMA)))

    def test_utf8_keys_sockets_and_uris(self):
        database = self.enterContext(Postgres(self.box, SCHEMA + "INSERT INTO multi VALUES ('ü@example.com', 'ue@x');"))
        self.serve(database)
        uri = f"postgresql://postgres@127.0.0.1:{database.port}/{database.database}"
        for name, hosts in {"socket": f"unix:{database.directory}:{database.port}", "uri": uri}.items():
            table = self.table(name, QUERIES["plain"] + "\nencoding = UTF8", hosts)
            self.assertEqual(self.postfix.postmap("ü@example.com", f"proxy:{table}")[:2], (0, "ue@x"))


class MariaDbTest(ServerTest):
    def test_answers_equal_those_of_postfix_key_for_key(self):
        self.differential(self.enterContext(MariaDb(self.box, SCHEMA)))

    def test_a_server_that_is_away_is_a_temporary_error_and_comes_back(self):
        self.away_and_back(self.enterContext(MariaDb(self.box, SCHEMA)))

    def test_a_silent_server_is_a_temporary_error_in_time(self):
        self.silence(self.enterContext(MariaDb(self.box, SCHEMA)), "SLEEP(60)",
                     "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%SLEEP(60)%' "
                     "AND id <> connection_id()")

    def test_a_server_killed_under_load_is_never_not_found(self):
        self.killed_under_load(self.enterContext(MariaDb(self.box, SCHEMA)))

    def test_one_of_two_servers_killed_under_load_is_never_not_found(self):
        self.swapped_under_load(*(self.enterContext(MariaDb(self.box, SCHEMA, name=name)) for name in ("one", "two")))

    def test_a_dead_host_is_passed_over(self):
        self.dead_host_first(self.enterContext(MariaDb(self.box, SCHEMA)))

    def test_utf8_keys_and_sockets(self):
        database = self.enterContext(MariaDb(self.box, SCHEMA + "INSERT INTO multi VALUES ('ü@example.com', 'ue@x', '', 1);"))
        self.serve(database)
        table = self.table("socket", QUERIES["plain"], f"unix:{database.socket}")
        self.assertEqual(self.postfix.postmap("ü@example.com", f"proxy:{table}")[:2], (0, "ue@x"))


if __name__ == "__main__":
    import unittest
    unittest.main()
