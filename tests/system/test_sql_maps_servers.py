"""Databases as administrators really have them: TLS, option files, Galera, URIs, moving names, crowds, changes told by NOTIFY."""

from pathlib import Path

from harness import Daemon, MariaDb, Postgres, Sqlite, Talk, program, wait_until
from sql_tables import QUERIES, SCHEMA, TableTest

KEY, VALUE = "alice@example.com", "a1@x"
GALERA = [path for path in map(Path, ("/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera/libgalera_smm.so",
                                      "/usr/lib/libgalera_smm.so")) if path.exists()]


class WithOptions(MariaDb):
    """A MariaDB server with more on its command line."""

    def __init__(self, *arguments, options=(), **more):
        super().__init__(*arguments, **more)
        self.options = options

    def _command(self):
        return [*super()._command(), *self.options]


class ServersTest(TableTest):
    def lookup(self, table, key=KEY):
        return self.postfix.postmap(key, f"proxy:{table}")[:2]

    def write(self, name, text, hosts, database=None, user=None):
        """A .cf file with its own hosts and user."""
        database = database or self.database
        head = f"hosts = {hosts}\ndbname = {database.database}\n" + (user or f"user = {database.user}\npassword = {database.password}\n")
        return f"{database.driver}:{self.postfix.write(name + '.cf', head + text + chr(10))}"

    def crowd(self, database, pids):
        """500 clients with a request each, three times, on a pool of 8: every one is answered, and always by the same 8."""
        self.serve(database, "pool_size = 8")
        table = self.table("plain", QUERIES["plain"])
        request = (f"request\0lookup\0table\0{table}\0flags\0" + "64\0key\0" + KEY + "\0\0").encode()
        clients = [self.enterContext(Talk(self.postfix.private("sqlmaps"))) for _ in range(500)]
        for client in clients:
            client.until(b"proxymap_protocol\0\0")
        seen = set()
        for _ in range(3):
            for client in clients:
                client.send(request)
            for client in clients:
                self.assertEqual(client.until(b"\0\0"), b"status\x000\0value\0" + VALUE.encode() + b"\0\0")
            seen |= {row[0] for row in database.query(pids)}
        self.assertLessEqual(len(seen), 8)
        self.assertGreater(len(seen), 0)
        self.assertNotIn("warning", self.daemon.log())


class PostgresServersTest(ServersTest):
    def test_500_clients_share_8_connections(self):
        self.crowd(self.enterContext(Postgres(self.box, SCHEMA)),
                   "SELECT pid FROM pg_stat_activity WHERE application_name = 'postern'")

    def test_uris_name_hosts_and_what_they_must_be(self):
        database = self.enterContext(Postgres(self.box, SCHEMA))
        self.serve(database)
        dead = self.box.port()
        name = f"ALTER DATABASE {database.database}"
        uri = f"postgresql://postgres@127.0.0.1:{database.port}/{database.database}"
        both = f"postgresql://postgres@127.0.0.1:{dead}/{database.database} {uri}"
        for _ in range(5):
            self.assertEqual(self.lookup(self.write("several", QUERIES["plain"], both)), (0, VALUE))
        database.execute(f"{name} SET default_transaction_read_only = on")
        writer = self.write("writer", QUERIES["plain"], f"{uri}?target_session_attrs=read-write")
        reader = self.write("reader", QUERIES["plain"], f"{uri}?target_session_attrs=any")
        self.assertEqual(self.lookup(reader), (0, VALUE))
        self.assertEqual(self.lookup(writer), (1, ""))
        self.assertRegex(self.daemon.log(), "session is read-only")
        database.execute(f"SET default_transaction_read_only = off; {name} RESET default_transaction_read_only")
        wait_until(lambda: self.lookup(writer) == (0, VALUE), 20, "it may write again")

    def test_a_hosts_name_is_resolved_again_when_it_is_connected_to(self):
        self.need_mount_namespace()
        database = self.enterContext(Postgres(self.box, SCHEMA))
        names = self.box.write("hosts", "127.0.0.2 db.postern.example\n")
        self.serve(database)
        self.daemon.stop()
        self.enterContext(Daemon(self.box, "sql-maps", path="/usr/bin/unshare", name="renamed", arguments=[
            "-m", "sh", "-c", f"mount --bind {names} /etc/hosts && exec {program('sql-maps')} -c {self.conf}"]))
        table = self.write("named", QUERIES["plain"], f"db.postern.example:{database.port}")
        self.assertEqual(self.lookup(table), (1, ""))
        Path(names).write_text("127.0.0.1 db.postern.example\n")
        wait_until(lambda: self.lookup(table) == (0, VALUE), 20, "the new address is used")

    def test_notify_empties_the_cache_and_so_does_a_lost_connection(self):
        database = self.enterContext(Postgres(self.box, SCHEMA))
        self.serve(database, "cache_ttl = 1h\ncache_negative_ttl = 1h\ncache_flush_channel = postern_maps")
        one, two = self.table("one", QUERIES["plain"]), self.table("two", QUERIES["lower"])

        def both():
            return self.lookup(one)[1], self.lookup(two)[1]

        def change(value):
            database.execute(f"UPDATE multi SET a = '{value}' WHERE k = '{KEY}'")
        self.assertEqual(both(), (VALUE, VALUE))
        wait_until(lambda: "listening anew" in self.daemon.log(), 20, "somebody listens")
        self.assertEqual(both(), (VALUE, VALUE))
        change("second")
        self.assertEqual(both(), (VALUE, VALUE))
        database.execute("NOTIFY postern_maps, 'two.cf'")
        wait_until(lambda: both() == (VALUE, "second"), 20, "the one table is asked again")
        database.execute("NOTIFY postern_maps")
        wait_until(lambda: both() == ("second", "second"), 20, "all tables are asked again")
        # What came while nobody listened is not known: everything is asked again.
        change("third")
        self.assertEqual(both(), ("second", "second"))
        database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        wait_until(lambda: both() == ("third", "third"), 20, "all tables are asked again")
        self.assertIn("LISTEN postern_maps: ", self.daemon.log())
        # By hand, too, and for clients that stay connected.
        with Talk(self.postfix.private("sqlmaps")) as client:
            client.until(b"proxymap_protocol\0\0")

            def ask():
                client.send(f"request\0lookup\0table\0{one}\0flags\0".encode() + b"64\0key\0" + KEY.encode() + b"\0\0")
                return client.until(b"\0\0")
            self.assertIn(b"third", ask())
            change("fourth")
            self.assertIn(b"third", ask())
            self.daemon.reload()
            wait_until(lambda: b"fourth" in ask(), 20, "the open connection's table is asked again")


class MariaDbServersTest(ServersTest):
    def test_500_clients_share_8_connections(self):
        self.crowd(self.enterContext(MariaDb(self.box, SCHEMA)),
                   "SELECT id FROM information_schema.processlist WHERE user = 'postern'")

    def certificates(self):
        """An authority, a server's and a client's certificate, and another authority; readable for everybody."""
        where = self.box.directory("tls")
        self.box.run(["sh", "-ec", f"""cd {where}
            for name in ca other; do
                openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$name -keyout $name.key -out $name.pem
            done
            for name in server client; do
                openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout $name.key -out $name.csr
                echo subjectAltName=IP:127.0.0.1 > ext
                openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $name.pem
            done
            chmod 644 *"""])
        return where

    def test_tls_with_certificates_of_both_sides(self):
        tls = self.certificates()
        database = self.enterContext(WithOptions(self.box, SCHEMA, options=[
            f"--ssl-ca={tls}/ca.pem", f"--ssl-cert={tls}/server.pem", f"--ssl-key={tls}/server.key"]))
        database.execute("CREATE USER 'secure'@'%' IDENTIFIED BY 's' REQUIRE X509; GRANT ALL ON *.* TO 'secure'@'%';")
        self.serve(database)
        hosts, user = f"inet:127.0.0.1:{database.port}", "user = secure\npassword = s\n"
        mine = f"tls_cert_file = {tls}/client.pem\ntls_key_file = {tls}/client.key\n"
        cipher = "query = SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher' AND '%s' <> ''\n"
        good = f"tls_CAfile = {tls}/ca.pem\ntls_verify_cert = yes\n"
        for name, text, answers in [
                ("both", good + mine, True), ("plain", "", False), ("without", good, False),
                ("other", f"tls_CAfile = {tls}/other.pem\ntls_verify_cert = yes\n" + mine, False),
                ("chosen", good + mine + "tls_ciphers = ECDHE-RSA-AES256-GCM-SHA384\n", True)]:
            code, answer = self.lookup(self.write(name, cipher + text, hosts, user=user))
            self.assertEqual((code, bool(answer)), (0, True) if answers else (1, False), f"{name}: {answer} {self.daemon.log()}")
            native = self.postfix.postmap(KEY, f"mysql:{self.postfix.directory}/{name}.cf")
            self.assertEqual((native[0], bool(native[1])), (code, bool(answer)), f"{name}: Postfix differs: {native}")

    def test_option_files_and_groups(self):
        database = self.enterContext(MariaDb(self.box, SCHEMA))
        self.serve(database)
        options = self.postfix.write("my.cnf", f"[client]\nuser = nobody\npassword = wrong\n"
                                     f"[postfix]\nuser = {database.user}\npassword = {database.password}\n")
        hosts = f"inet:127.0.0.1:{database.port}"
        for name, text, code in [("group", "option_group = postfix\n", 0), ("default", "", 1)]:
            table = self.write(name, QUERIES["plain"] + f"\noption_file = {options}\n" + text, hosts, user="\n")
            self.assertEqual(self.lookup(table)[0], code, self.daemon.log())

    def test_procedures_with_and_without_a_result_set(self):
        database = self.enterContext(MariaDb(self.box, SCHEMA))
        database.execute("DELIMITER //\nCREATE PROCEDURE silent(IN wanted VARCHAR(100)) BEGIN SET @x = wanted; END //\n"
                         "CREATE PROCEDURE found(IN wanted VARCHAR(100)) BEGIN SELECT a FROM multi WHERE k = wanted; END //\nDELIMITER ;\n")
        self.serve(database)
        for name, text, code in [("found", "query = CALL found('%s')", 0), ("silent", "query = CALL silent('%s')", 1),
                                 ("allowed", "query = CALL silent('%s')\nrequire_result_set = no", 1)]:
            table = self.table(name, text)
            own, ours = self.postfix.postmap(KEY, table), self.postfix.postmap(KEY, f"proxy:{table}")
            self.assertEqual((own[0], ours[0]), (code, code), f"{own} {ours}")
            self.assertEqual(own[1], ours[1])
            # "Not found" is told from "could not be found out" by what postmap says.
            self.assertEqual(bool(own[2]), bool(ours[2]), f"{own} {ours}")

    def test_a_galera_node_that_is_not_synced_is_passed_over(self):
        if not GALERA:
            self.skipTest("no Galera here: ./dev deps test installs it")
        ports = self.box.port(), self.box.port()
        options = ["--wsrep-on=ON", f"--wsrep-provider={GALERA[0]}", "--wsrep-cluster-address=gcomm://", "--wsrep-new-cluster",
                   "--binlog-format=ROW", "--wsrep-node-address=127.0.0.1", "--innodb-autoinc-lock-mode=2",
                   f"--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{ports[0]};ist.recv_addr=127.0.0.1:{ports[1]};gcache.size=1M"]
        node = self.enterContext(WithOptions(self.box, SCHEMA, options=options))
        wait_until(lambda: node.query("SHOW STATUS LIKE 'wsrep_local_state'") == [["wsrep_local_state", "4"]], 30, "the node is synced")
        other = self.enterContext(MariaDb(self.box, SCHEMA.replace(VALUE, "other@x"), name="other"))
        self.serve(node)
        # The socket is preferred as long as it can be asked.
        table = self.write("both", QUERIES["plain"] + "\nretry_interval = 1", f"unix:{node.socket} 127.0.0.1:{other.port}")
        self.assertEqual(self.lookup(table), (0, VALUE))
        node.execute("SET GLOBAL wsrep_desync = ON")
        wait_until(lambda: self.lookup(table) == (0, "other@x"), 20, "the other server is asked")
        self.assertRegex(self.daemon.log(), r"Galera node is not synced \(wsrep_local_state 2\)")
        alone = self.write("alone", QUERIES["plain"], f"unix:{node.socket}")
        self.assertEqual(self.lookup(alone), (1, ""))
        node.execute("SET GLOBAL wsrep_desync = OFF")
        wait_until(lambda: self.lookup(alone) == (0, VALUE), 20, "the node is asked again")


class SqliteServersTest(ServersTest):
    def test_metrics_tell_lookups_pool_hosts_and_times(self):
        database = Sqlite(self.box, SCHEMA)
        port = self.box.port()
        self.serve(database, f"metrics_listen = inet:127.0.0.1:{port}")
        good, bad = self.table("good", QUERIES["plain"]), self.table("bad", "query = SELECT nosuch FROM multi WHERE k='%s'")
        for table, key in ((good, KEY), (good, "nobody@example.com"), (bad, KEY)):
            self.lookup(table, key)
        with Talk(("127.0.0.1", port)) as client:
            client.send(b"GET /metrics HTTP/1.0\r\n\r\n")
            page = client.rest().decode()
        for line in (f'postern_lookups_total{{table="{good}",result="found"}} 1', f'postern_lookups_total{{table="{good}",result="not_found"}} 1',
                     f'postern_lookups_total{{table="{bad}",result="failed"}} 1', f'postern_sql_host_up{{pool="{good}",host="{database.path}"}} 1',
                     f'postern_sql_connections{{pool="{good}"}} 1', f'postern_sql_connections_busy{{pool="{good}"}} 0',
                     f'postern_sql_queries_total{{pool="{good}",result="ok"}} 2', f'postern_sql_queries_total{{pool="{good}",result="refused"}} 1',
                     f'postern_sql_query_seconds_count{{pool="{good}"}} 3'):
            self.assertIn(line + "\n", page)
        manual = Path(__file__).resolve().parents[2].joinpath("sql-maps/sql-maps.8.scd").read_text()
        for name in {line.split("{")[0].split(" ")[0] for line in page.splitlines() if line.startswith("postern_")}:
            name = next((name.removesuffix(end) for end in ("_bucket", "_sum", "_count") if name.endswith(end)), name)
            self.assertIn(name, manual, "the manual does not list it")


if __name__ == "__main__":
    import unittest
    unittest.main()
