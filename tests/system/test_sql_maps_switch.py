"""Switching a Postfix over to sql-maps: the import, both places for its socket, greetings of old and new Postfix."""

import os
import re

from harness import Daemon, MariaDb, Postfix, Postgres, Sqlite, Talk
from sql_tables import QUERIES, SCHEMA, TableTest

KEY, VALUE = "alice@example.com", "a1@x"


class Renamed(Postfix):
    """A Postfix whose own proxymap has the name proxymap-stock in master.cf."""

    def _write(self):
        super()._write()
        path = self.directory / "master.cf"
        path.write_text(path.read_text().replace("proxymap unix - - n - - proxymap", "proxymap-stock unix - - n - - proxymap -n proxymap"))


class SwitchTest(TableTest):
    def test_the_import_finds_tables_of_three_databases_wherever_they_are_named(self):
        pgsql, mysql = self.enterContext(Postgres(self.box, SCHEMA)), self.enterContext(MariaDb(self.box, SCHEMA))
        self.serve(Sqlite(self.box, SCHEMA))
        lite = self.table("lite", QUERIES["plain"])
        self.database = pgsql
        one, two = self.table("one", QUERIES["plain"]), self.table("two", QUERIES["legacy"])
        self.database = mysql
        my, nested = self.table("my", QUERIES["plain"]), self.table("nested", QUERIES["columns"])
        pgsql.execute("DROP TABLE IF EXISTS nosuch")
        bad = self.table("bad", "query = SELECT 1 FROM nosuch WHERE k='%s'")
        self.postfix.main.pop("proxymap_service_name")
        self.postfix.add_services(f"2525 inet n - n - - smtpd\n  -o smtpd_sender_login_maps={my}\n  -o {{ smtpd_recipient_restrictions = "
                                  f"check_recipient_access {one}, reject }}\n")
        self.postfix.set(virtual_alias_maps=f"unionmap:{{{nested}, proxy:{one}}}", transport_maps=f"pipemap:{{{lite}, inline:{{x=y}}}}",
                         own=two, virtual_mailbox_maps="proxy:$own", relocated_maps="hash:/etc/postfix/pgsql:not-one")
        before = self.postfix.command("postconf", "-n").stdout, self.postfix.command("postconf", "-P").stdout

        def run(code):
            done = self.box.run([*self.daemon.command, "--import", self.postfix.directory], check=False)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            return done.stdout
        over, back = (part.replace("postfix -c", "true -c") for part in run(0).split("# Switch back:\n"))
        for table, names in ((lite, "transport_maps"), (one, r"2525/inet/smtpd_recipient_restrictions, virtual_alias_maps|"
                             r"virtual_alias_maps, 2525/inet/smtpd_recipient_restrictions"), (two, ".*virtual_mailbox_maps.*"),
                             (my, "2525/inet/smtpd_sender_login_maps"), (nested, "virtual_alias_maps")):
            self.assertRegex(over, rf"(?m)^works   {re.escape(table)}  \(({names})\)$")
        self.assertEqual(over.count("works "), 5, over)
        self.box.run(["sh", "-ec", over[over.index("# Switch over"):]])
        self.assertEqual(self.postfix.command("postconf", "-h", "virtual_alias_maps").stdout, f"unionmap:{{proxy:{nested}, proxy:{one}}}\n")
        self.assertEqual(self.postfix.command("postconf", "-h", "transport_maps").stdout, f"pipemap:{{proxy:{lite}, inline:{{x=y}}}}\n")
        self.assertIn(f"smtpd_sender_login_maps = proxy:{my}\n", self.postfix.command("postconf", "-P").stdout)
        self.assertIn(f"check_recipient_access proxy:{one}, reject", self.postfix.command("postconf", "-P").stdout)
        # Postfix reads what was made of it, through sql-maps.
        self.assertEqual(self.postfix.postmap(KEY, f"unionmap:{{proxy:{nested}, proxy:{one}}}")[:2], (0, "a1@x,a1@x"))
        self.box.run(["sh", "-ec", back])
        self.assertEqual((self.postfix.command("postconf", "-n").stdout, self.postfix.command("postconf", "-P").stdout), before)
        self.postfix.set(sender_bcc_maps=bad)
        self.assertRegex(run(1), rf"(?m)^FAILS   {re.escape(bad)}  \(sender_bcc_maps\)$")

    def test_in_the_place_of_private_proxymap_with_the_stock_one_beside_it(self):
        database = Sqlite(self.box, SCHEMA)
        postfix = self.postfix = Renamed(self.box, main={
            "mydestination": "local.example", "relay_domains": "example.com", "local_recipient_maps": "proxy:unix:passwd.byname", "virtual_alias_maps": "",
            "proxy_read_maps": "proxy:unix:passwd.byname", "local_transport": "smtp:[127.0.0.1]:1"})
        self.database = database
        table = self.table("va", QUERIES["plain"])
        postfix.main["relocated_maps"] = f"proxy:{table}"
        self.enterContext(postfix)
        conf = self.box.write("sql-maps.conf", f"proxymap_listen = unix:{postfix.private('proxymap')}\nstock_proxymap = "
                              f"unix:{postfix.private('proxymap-stock')}\nmap_directories = {postfix.directory}\n"
                              f"postfix_config_directory = {postfix.directory}\n")
        daemon = self.enterContext(Daemon(self.box, "sql-maps", ["-c", conf]))
        self.assertEqual(postfix.postmap(KEY, f"proxy:{table}")[:2], (0, VALUE))
        self.assertRegex(postfix.postmap("root", "proxy:unix:passwd.byname")[1], "^root:")
        with Talk(("127.0.0.1", postfix.smtp_port)) as client:
            for line, reply in (("", "220 "), ("HELO c.example", "250 "), ("MAIL FROM:<>", "250 "), (f"RCPT TO:<{KEY}>", "550 5.1.6 .*a1@x"),
                                ("RCPT TO:<nosuchuser@local.example>", "550 5.1.1 "), ("RCPT TO:<root@local.example>", "250 ")):
                if line:
                    client.send(line + "\r\n")
                self.assertRegex(client.line(), "^" + reply)
        # A reload of Postfix leaves the socket alone, and one of ours leaves Postfix alone.
        postfix.command("postfix", "reload")
        daemon.reload()
        self.assertEqual(postfix.postmap(KEY, f"proxy:{table}")[:2], (0, VALUE))

    def test_greetings_for_old_and_new_postfix(self):
        self.serve(Sqlite(self.box, SCHEMA), "proxymap_greeting = no")
        table = self.table("va", QUERIES["plain"])
        fake = self.box.directory("fake")
        self.box.write("fake/postconf", "#!/bin/sh\necho 3.5.25\n", 0o755)
        path = f"{fake}:{os.environ['PATH']}"
        request = f"request\0lookup\0table\0{table}\0flags\0".encode() + b"64\0key\0" + KEY.encode() + b"\0\0"
        answer = b"status\x000\0value\0" + VALUE.encode() + b"\0\0"
        greeting = b"protocol\0proxymap_protocol\0\0"
        text = self.conf.read_text() if hasattr(self.conf, "read_text") else open(self.conf).read()
        self.daemon.stop()
        for number, (setting, environment, expected) in enumerate([
                ("no", {}, answer), ("yes", {}, greeting), ("auto", {}, greeting), ("auto", {"PATH": path}, answer),
                ("auto", {"PATH": "/nonexistent"}, greeting)]):
            conf = self.box.write("greeting.conf", text.replace("proxymap_greeting = no", f"proxymap_greeting = {setting}"))
            with Daemon(self.box, "sql-maps", ["-c", conf], env=environment, name=f"greeting{number}"), \
                    Talk(self.postfix.private("sqlmaps")) as client:
                client.send(request)
                self.assertEqual(client.until(b"\0\0"), expected, f"{setting} {environment}")

    def test_the_check_names_variables_outside_quotes_and_wrong_tables(self):
        self.serve(Sqlite(self.box, SCHEMA))
        bare, wrong = self.table("bare", "query = SELECT a FROM multi WHERE n = %u AND k = '%s'"), self.table("wrong", "query = SELECT '%x'")

        def check(lines):
            conf = self.box.write("check.conf", f"socketmap_listen = unix:{self.box.path('s')}\nmap_directories = {self.postfix.directory}\n" + lines)
            done = self.box.run([*self.daemon.command[:1], "-n", "-c", conf], check=False)
            return done.returncode, done.stdout + done.stderr
        code, text = check(f"map_a = {bare} virtual\n")
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"bare\.cf: query: %u stands outside quotes")
        code, text = check(f"map_a = {bare} virtual\nmap_b = {wrong} plain\n")
        self.assertEqual(code, 78, text)
        self.assertRegex(text, "map_b: .*'%x' is unknown")


if __name__ == "__main__":
    import unittest
    unittest.main()
