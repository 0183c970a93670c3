"""The harness itself against the real servers: what a test relies on must be so."""

import os
import signal
import smtplib
import socket
import sys

from harness import (Daemon, Dovecot, Knot, MariaDb, Postfix, Postgres, Sandbox, Sqlite, SystemTest, Talk, swaks,
                     wait_until)

SCHEMA = """
CREATE TABLE alias (address VARCHAR(255) PRIMARY KEY, goto TEXT NOT NULL);
INSERT INTO alias VALUES ('info@postern.example', 'ann@postern.example');
"""
DOVECOT_LISTENERS = """
service auth {{
  unix_listener {auth} {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
service lmtp {{
  unix_listener {lmtp} {{
    mode = 0600
    user = postfix
    group = postfix
  }}
}}
"""


class SandboxTest(SystemTest):
    def test_ports_are_free_and_differ(self):
        with Sandbox() as other:
            ports = [box.port() for box in (self.box, other) for _ in range(20)]
        self.assertEqual(len(set(ports)), 40)
        with socket.create_server(("127.0.0.1", ports[0])):
            pass

    def test_closing_ends_processes_that_detach_and_removes_files(self):
        box = Sandbox()
        mark = box.path("pid")
        box.run(["sh", "-c", f"setsid sh -c 'echo $$ >{mark}; exec sleep 1000' >/dev/null 2>&1 &"])
        pid = int(wait_until(lambda: mark.exists() and mark.read_text().strip()))
        box.close()
        self.assertFalse(box.root.exists())
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)

    def test_a_condition_that_stays_false_is_an_error_that_tells(self):
        with self.assertRaisesRegex(AssertionError, "not within 0.1 s: the moon"):
            wait_until(lambda: False, 0.1, "the moon")


class DaemonTest(SystemTest):
    READY = ("import os, signal, socket, sys, time\n"
             "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET'])\n"
             "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
             "time.sleep(0.2); print('<6>hello', file=sys.stderr, flush=True); s.send(b'READY=1')\n"
             "print(sys.argv[1], file=sys.stderr, flush=True); time.sleep(100)\n")

    def daemon(self, word):
        script = self.box.write("ready.py", self.READY)
        return Daemon(self.box, "stand-in", [script, word], path=sys.executable)

    def test_is_entered_when_it_is_ready(self):
        with self.daemon("fine") as daemon:
            self.assertIn("hello\n", daemon.log())
            self.assertNotIn("<6>", daemon.log())

    def test_a_sanitizer_report_in_the_log_is_an_error(self):
        with self.assertRaisesRegex(AssertionError, "reports ERROR: AddressSanitizer"):
            with self.daemon("ERROR: AddressSanitizer: heap-use-after-free") as daemon:
                wait_until(lambda: "Sanitizer" in daemon.log())

    def test_an_end_before_it_is_ready_is_an_error_with_its_log(self):
        with self.assertRaisesRegex(AssertionError, "(?s)ended with 78 before it was ready.*bad line"):
            Daemon(self.box, "stand-in", ["-c", "echo bad line >&2; exit 78"], path="/bin/sh").start()


class KnotTest(SystemTest):
    def test_answers_zones_and_takes_changes(self):
        zones = {"partner.example": '@ IN TXT "v=spf1 -all"\n', "broken.example": None}
        with Knot(self.box, zones, updates=True) as dns:
            self.assertEqual(dns.ask("partner.example").strip(), '"v=spf1 -all"')
            self.assertIn("SERVFAIL", self.box.run(["kdig", "@127.0.0.1", "-p", dns.port, "broken.example"]).stdout)
            dns.set_zone("partner.example", '@ IN TXT "v=spf1 +all"\n')
            self.assertEqual(dns.ask("partner.example").strip(), '"v=spf1 +all"')
            dns.set_zone("new.example", "@ IN MX 10 mail\nmail IN A 127.0.0.2\n")
            self.assertEqual(dns.ask("new.example", "MX").strip(), "10 mail.new.example.")
            self.box.run(["knsupdate"], input=f"server 127.0.0.1 {dns.port}\nzone partner.example.\n"
                         "update add sel._domainkey.partner.example. 60 TXT \"v=DKIM1; p=\"\nsend\n")
            self.assertEqual(dns.ask("sel._domainkey.partner.example").strip(), '"v=DKIM1; p="')

    def test_is_silent_while_frozen(self):
        with Knot(self.box, {"a.example": '@ IN TXT "x"\n'}) as dns:
            dns.freeze()
            self.assertEqual(dns.ask("a.example"), "")
            dns.thaw()
            self.assertEqual(dns.ask("a.example").strip(), '"x"')


class DatabaseTest(SystemTest):
    MAP = "query = SELECT goto FROM alias WHERE address = '%s'\n"

    def check(self, database, hosts):
        """A query, Postfix's own driver on it, away and back."""
        self.assertEqual([list(row) for row in database.query("SELECT address FROM alias")], [["info@postern.example"]])
        postfix = Postfix(self.box)
        table = f"{database.driver}:" + str(postfix.write("alias.cf", hosts + self.MAP))
        self.assertEqual(postfix.postmap("info@postern.example", table)[:2], (0, "ann@postern.example"))
        with database.away():
            code, answer, error = postfix.postmap("info@postern.example", table)
            self.assertEqual((code, answer), (1, ""))
            self.assertRegex(error, "query error|locked|busy|connect to|failed")
        self.assertEqual(postfix.postmap("info@postern.example", table)[:2], (0, "ann@postern.example"))

    def test_sqlite(self):
        database = self.enterContext(Sqlite(self.box, SCHEMA))
        self.check(database, f"dbpath = {database.path}\n")

    def test_postgresql(self):
        database = self.enterContext(Postgres(self.box, SCHEMA))
        self.check(database, f"hosts = 127.0.0.1:{database.port}\nuser = {database.user}\ndbname = {database.database}\n")

    def test_mariadb(self):
        database = self.enterContext(MariaDb(self.box, SCHEMA))
        self.check(database, f"hosts = inet:127.0.0.1:{database.port}\nuser = {database.user}\n"
                   f"password = {database.password}\ndbname = {database.database}\n")


class MailTest(SystemTest):
    def setUp(self):
        home = self.box.directory("home/ann", owner="nobody", mode=0o700)
        uid, gid = home.stat().st_uid, home.stat().st_gid
        self.postfix = Postfix(self.box, main={
            "virtual_mailbox_domains": "postern.example", "virtual_mailbox_maps": "inline:{ann@postern.example=x}",
            "virtual_transport": "lmtp:unix:private/dovecot-lmtp", "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": "private/auth"},
            listeners={"submission": "-o syslog_name=postfix-sub"})
        self.dovecot = self.enterContext(Dovecot(
            self.box, users=f"ann@postern.example:{{PLAIN}}secret:{uid}:{gid}::{home}::\n", protocols="imap lmtp",
            extra=DOVECOT_LISTENERS.format(auth=self.postfix.private("auth"),
                                           lmtp=self.postfix.private("dovecot-lmtp"))))
        self.enterContext(self.postfix)

    def test_swaks_postfix_and_dovecot_carry_a_message_to_imap(self):
        sent = swaks(self.postfix.smtp_port, sender="bob@partner.example", to="ann@postern.example",
                     headers=["Subject: through all"], body="hello")
        self.assertEqual(sent.code, 0, sent)
        self.assertEqual(sent.reply_to("RCPT")[0], 250)
        self.postfix.wait_for_log(f"{sent.queue_id}: to=<ann@postern.example>.*status=sent")
        [message] = self.dovecot.messages("ann@postern.example", "secret")
        self.assertIn(b"Subject: through all\r\n", message)
        wait_until(lambda: self.postfix.queued() == [])

    def test_swaks_tells_each_refusal(self):
        sent = swaks(self.postfix.smtp_port, sender="bob@partner.example", to="nobody@postern.example")
        self.assertNotEqual(sent.code, 0)
        self.assertRegex("%d %s" % sent.reply_to("RCPT"), r"^550 5\.1\.1 ")
        port = self.postfix.ports["submission"]
        wrong = swaks(port, "--quit-after", "AUTH", user="ann@postern.example", password="wrong")
        self.assertEqual(wrong.replies[-2][0], 535, wrong)
        right = swaks(port, "--quit-after", "AUTH", user="ann@postern.example", password="secret", mechanism="LOGIN")
        self.assertEqual((right.code, right.replies[-2][0]), (0, 235), right)

    def test_a_whole_message_goes_through_swaks_octet_for_octet(self):
        data = "From: bob@partner.example\nTo: ann@postern.example\nSubject: dots\n\n.\n..two\nend\n"
        sent = swaks(self.postfix.smtp_port, sender="bob@partner.example", to="ann@postern.example", data=data)
        self.assertEqual(sent.code, 0, sent)
        self.assertEqual(sent.reply_to(".")[0], 250)
        [message] = wait_until(lambda: self.dovecot.messages("ann@postern.example", "secret"))
        self.assertTrue(message.endswith(b"\r\n\r\n.\r\n..two\r\nend\r\n"), message)

    def test_talk_speaks_to_sockets_and_another_loopback_address_is_seen(self):
        with Talk(("127.0.0.1", self.postfix.smtp_port)) as client:
            self.assertRegex(client.line(), "^220 mx.postern.example ")
            client.send("EHLO a.example\r\n")
            self.assertEqual(client.lines("250 ")[0], "250-mx.postern.example")
            client.send("QUIT\r\n")
            self.assertEqual(client.rest(), b"221 2.0.0 Bye\r\n")
        with Talk(self.postfix.private("auth")) as client:
            self.assertEqual(client.lines("DONE")[0], "VERSION\t1\t2")
        swaks(self.postfix.smtp_port, "--quit-after", "EHLO", local="127.0.0.2")
        self.postfix.wait_for_log(r" connect from unknown\[127\.0\.0\.2\]")
        self.assertEqual(self.postfix.command("postconf", "-h", "myhostname").stdout, "mx.postern.example\n")


class TwoPostfixTest(SystemTest):
    def test_two_instances_run_side_by_side_and_one_bounces_to_the_other(self):
        receiving = self.enterContext(Postfix(self.box, "mail.partner.example", name="partner", main={
            "virtual_alias_domains": "partner.example", "virtual_alias_maps": "inline:{bob@partner.example=x@discard.example}",
            "transport_maps": "inline:{discard.example=discard:}"}))
        sending = self.enterContext(Postfix(self.box, main={
            "mynetworks": "127.0.0.0/8", "smtpd_relay_restrictions": "permit_mynetworks, reject",
            "smtp_bind_address": "127.0.0.2",
            "transport_maps": f"inline:{{partner.example=smtp:[127.0.0.1]:{receiving.smtp_port}}}"}))
        good = swaks(sending.smtp_port, sender="ann@postern.example", to="bob@partner.example")
        sending.wait_for_log(f"{good.queue_id}: to=<bob@partner.example>.*status=sent")
        receiving.wait_for_log(r"connect from unknown\[127\.0\.0\.2\]")
        bad = swaks(sending.smtp_port, sender="ann@partner.example", to="nobody@partner.example")
        sending.wait_for_log(f"{bad.queue_id}: to=<nobody@partner.example>.*status=bounced .*550 5.1.1")


if __name__ == "__main__":
    import unittest
    unittest.main()
