"""lmtp-deliver between a real Postfix lmtp(8) and a real Dovecot: its auth-userdb, its imapd, its quota, its own lmtp."""

import os
import pwd
import re
import signal
from pathlib import Path

from harness import Daemon, Dovecot, Postfix, SystemTest, Talk, swaks, wait_until

ALICE, BOB = 8888, 8889  # uids without accounts

USERS = """\
alice@example.com:{{PLAIN}}secret:8888:8888::{home}/alice::
bob@example.com:{{PLAIN}}secret:8889:8889::{home}/bob::
quota@example.com:{{PLAIN}}secret:8888:8888::{home}/quota::userdb_quota_rule=*:bytes=2000
low@example.com:{{PLAIN}}secret:60:60::{home}/low::
"""

EXTRA = """\
hostname = mx.example.com
mail_plugins = quota
protocol imap {{
  mail_plugins = $mail_plugins imap_quota
}}
protocol lmtp {{
  lmtp_save_to_detail_mailbox = yes
}}
namespace inbox {{
  mailbox Junk {{
    auto = subscribe
  }}
}}
plugin {{
  quota = maildir:User quota
  quota_rule = *:storage=1G
  quota_grace = 0
}}
service lmtp {{
  unix_listener {socket} {{
    mode = 0600
    user = postfix
    group = postfix
  }}
{listeners}}}
"""


def replies_of(conversation):
    """Replies with their session ids masked and without the two capabilities that we have and Dovecot 2.3 has not."""
    text = re.sub(r"[A-Za-z0-9+/]{22}((:T\d+)?(:R\d+)?) Saved", r"ID\1 Saved", conversation)
    return [re.sub(r"^250[ -]", "250 ", line) for line in text.splitlines()
            if not re.fullmatch(r"250[ -](SIZE|SMTPUTF8)", line)]


def talk(address, text):
    with Talk(address) as client:
        client.send(text.replace("\n", "\r\n"))
        client.finish_sending()
        return client.rest().decode()


def mail(recipient, body="x\n", sender="bob@partner.example"):
    return f"LHLO client.example\nMAIL FROM:<{sender}>\nRCPT TO:<{recipient}>\nDATA\nSubject: a\n\n{body}.\nQUIT\n"


class LmtpTest(SystemTest):
    def set_up(self, protocols="imap", listeners="", extra="", own="", socket=None):
        """A Dovecot whose auth-userdb and imapd are used; the LMTP socket stands in its configuration."""
        self.home = self.box.directory("mail", mode=0o777)
        self.socket = socket or self.box.path("lmtp")
        self.dovecot = Dovecot(self.box, USERS.format(home=self.home), protocols=protocols,
                               extra=EXTRA.format(socket=self.socket, listeners=listeners) + extra)
        self.own = self.box.write("lmtp-deliver.conf", own)
        self.enterContext(self.dovecot)

    def daemon(self, configuration=None):
        return Daemon(self.box, "lmtp-deliver", ["-c", configuration or self.dovecot.configuration, "-o", self.own])

    def start(self, **options):
        self.set_up(**options)
        self.lmtp = self.enterContext(self.daemon())

    def start_with_postfix(self):
        self.postfix = Postfix(self.box, main={"virtual_mailbox_domains": "example.com",
                                               "virtual_transport": "lmtp:unix:private/dovecot-lmtp"})
        self.start(socket=self.postfix.private("dovecot-lmtp"))
        self.enterContext(self.postfix)

    def start_beside_dovecots_own(self):
        """Ports of Dovecot's lmtp and of ours, for the same users and mailboxes."""
        theirs, ours = self.box.port(), self.box.port()
        self.set_up(protocols="imap lmtp", listeners=f"  inet_listener lmtp {{\n    port = {theirs}\n  }}\n",
                    own=f"listen = inet:127.0.0.1:{ours}\n")
        text = Path(self.dovecot.configuration).read_text().replace("service lmtp {", "service other {")
        text += "login_greeting = Dovecot (Debian) ready.\n"
        self.enterContext(self.daemon(self.box.write("ours.conf", text)))
        return ("127.0.0.1", theirs), ("127.0.0.1", ours)

    def send(self, to, body="hello\n", **options):
        sent = swaks(self.postfix.smtp_port, sender="carol@partner.example", to=to, body=body, **options)
        self.assertEqual(sent.code, 0, sent)
        return sent.queue_id

    def status(self, queue_id):
        return self.postfix.wait_for_log(rf"{queue_id}: to=.* status=(\w+) \((.*)\)")

    def files(self, user, folder="", where=("new", "cur")):
        root = Path(self.home, user, "Maildir", folder)
        return sorted(path for each in where for path in root.joinpath(each).glob("*"))


class DeliveryTest(LmtpTest):
    def test_postfix_delivers_and_imap_reads_it(self):
        self.start_with_postfix()
        queue_id = self.send("alice@example.com", body="one\n.two\n..three\n")
        status, reply = self.status(queue_id).groups()
        self.assertEqual(status, "sent")
        self.assertRegex(reply, r"^250 2\.0\.0 <alice@example\.com> [A-Za-z0-9+/]{22} Saved$")

        path, = self.files("alice", where=["new"])
        stored = path.read_bytes()
        sizes = re.fullmatch(r"\d+\.M\d+P\d+\.[^,]+,S=(\d+),W=(\d+)", path.name)
        self.assertEqual(int(sizes[1]), len(stored))
        self.assertEqual(int(sizes[2]), len(stored) + stored.count(b"\n"))
        self.assertEqual((path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o777), (ALICE, ALICE, 0o600))
        self.assertRegex(stored.decode(), r"\AReturn-Path: <carol@partner\.example>\n"
                         r"Delivered-To: alice@example\.com\n"
                         r"Received: from mx\.postern\.example\n\tby mx\.example\.com with LMTP\n"
                         r"\tid [A-Za-z0-9+/]{22}\n\t\(envelope-from <carol@partner\.example>\)\n"
                         r"\tfor <alice@example\.com>; \w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000\n"
                         r"Received: from client\.example ")

        message, = self.dovecot.messages("alice@example.com", "secret")
        self.assertEqual(message, stored.replace(b"\n", b"\r\n"))
        self.assertIn(b"one\r\n.two\r\n..three\r\n", message)
        self.assertNotRegex(self.dovecot.log(), r"Cached message size|Corrupted|Error:")

    def test_an_idling_client_sees_new_mail_at_once(self):
        self.start()
        talk(self.socket, mail("alice@example.com"))
        with self.dovecot.imap("alice@example.com", "secret") as client:
            client.select("INBOX")
            client.send(b"i IDLE\r\n")
            self.assertTrue(client.readline().startswith(b"+"))
            talk(self.socket, mail("alice@example.com"))
            while (line := client.readline()) != b"* 2 EXISTS\r\n":
                self.assertTrue(line.startswith(b"*"), line)
            client.send(b"DONE\r\n")
            while not client.readline().startswith(b"i OK"):
                pass

    def test_a_detail_goes_to_its_folder_and_else_to_inbox(self):
        self.start()
        for detail in ("Junk", "Nowhere"):
            self.assertIn(" Saved", talk(self.socket, mail(f"alice+{detail}@example.com")))
        self.assertEqual(len(self.files("alice", ".Junk")), 1)
        self.assertEqual(len(self.files("alice")), 1)
        self.assertIn(b"Delivered-To: alice+Junk@example.com", self.dovecot.messages("alice@example.com", "secret", "Junk")[0])
        # auto=subscribe: the folder was made, is listed and subscribed.
        self.assertIn("Junk", self.dovecot.doveadm("mailbox", "list", "-s", "-u", "alice@example.com").stdout)

    def test_a_folder_is_made_with_autocreate_under_its_mutf7_name(self):
        self.start(extra="lda_mailbox_autocreate = yes\nlda_mailbox_autosubscribe = yes\n")
        self.assertIn(" Saved", talk(self.socket, mail("alice+Gelöscht.Alt@example.com")))
        self.assertEqual(len(self.files("alice", ".Gel&APY-scht.Alt")), 1)
        listed = self.dovecot.doveadm("mailbox", "list", "-s", "-u", "alice@example.com").stdout.splitlines()
        self.assertIn("Gelöscht.Alt", listed)

    def test_an_unknown_user_bounces_with_5_1_1(self):
        self.start_with_postfix()
        queue_id = self.send("nobody@example.com")
        self.postfix.wait_for_log(rf"{queue_id}: to=<nobody@example\.com>.* dsn=5\.1\.1, status=bounced "
                                  r"\(host .*said: 550 5\.1\.1 <nobody@example\.com> User doesn't exist: nobody@example\.com")

    def test_a_message_to_many_is_one_file_with_many_names(self):
        self.start()
        replies = talk(self.socket, "LHLO x\nMAIL FROM:<>\nRCPT TO:<alice@example.com>\nRCPT TO:<alice@example.com>\n"
                       "RCPT TO:<quota@example.com>\nRCPT TO:<bob@example.com>\nDATA\nSubject: m\n\n.\nQUIT\n")
        self.assertEqual(replies.count(" Saved"), 4)
        alice, = self.files("alice")
        quota, = self.files("quota")
        bob, = self.files("bob")
        self.assertEqual(alice.stat().st_ino, quota.stat().st_ino)   # one uid: a hard link
        self.assertNotEqual(alice.stat().st_ino, bob.stat().st_ino)  # another's file stays another's
        self.assertEqual((bob.stat().st_uid, bob.stat().st_gid), (BOB, BOB))
        self.assertNotIn("Delivered-To", alice.read_text())

    def test_nothing_is_delivered_when_the_client_vanishes_before_the_dot(self):
        self.start()
        whole = mail("alice@example.com").replace("\n", "\r\n").encode()
        end = whole.index(b".\r\nQUIT") + 2
        for cut in (end, end - 1, end - 2, end - 10):
            with Talk(self.socket) as client:
                client.send(whole[:cut]).finish_sending()
                client.rest()
        self.assertEqual(self.files("alice", where=["new", "cur", "tmp"]), [])
        self.assertIn(" Saved", talk(self.socket, mail("alice@example.com")))

    def test_a_large_message_goes_through_the_spool_whole(self):
        self.start()
        body = "".join(f"{i} {'x' * 70}\n" for i in range(40000))
        self.assertIn(" Saved", talk(self.socket, mail("alice@example.com", body)))
        path, = self.files("alice")
        self.assertTrue(path.read_text().endswith(body))

    def test_a_uid_below_first_valid_uid_gets_no_mail_and_the_log_says_why(self):
        self.start(extra="first_valid_uid = 500\n")
        self.assertIn("451 4.3.0 <low@example.com> Temporary internal error", talk(self.socket, mail("low@example.com")))
        self.assertIn("uid 60 is outside first_valid_uid 500", self.lmtp.log())


class QuotaTest(LmtpTest):
    def usage(self, user):
        rows = self.dovecot.doveadm("-f", "tab", "quota", "get", "-u", user).stdout.splitlines()[1:]
        return {row.split("\t")[1]: int(row.split("\t")[2]) for row in rows}

    def sums(self, user):
        lines = Path(self.home, user, "Maildir/maildirsize").read_text().splitlines()[1:]
        return tuple(sum(int(line.split()[k]) for line in lines) for k in (0, 1))

    def test_a_full_mailbox_bounces_and_the_sender_sees_why(self):
        self.start_with_postfix()
        self.assertEqual(self.status(self.send("quota@example.com", body="x" * 70 + "\n"))[1], "sent")
        queue_id = self.send("quota@example.com", body=("x" * 70 + "\n") * 30)
        self.postfix.wait_for_log(rf"{queue_id}: to=<quota@example\.com>.* dsn=5\.2\.2, status=bounced "
                                  r"\(host .*said: 552 5\.2\.2 <quota@example\.com> Quota exceeded "
                                  r"\(mailbox for user is full\)")
        self.assertEqual(len(self.files("quota")), 1)

    def test_the_sums_are_dovecots_whoever_delivers(self):
        """Dovecot's own lmtp, ours and an IMAP client take turns in one Maildir."""
        theirs, ours = self.start_beside_dovecots_own()
        delivered = 0
        for server in (ours, theirs, theirs, ours, ours, theirs):
            self.assertIn(" Saved", talk(server, mail("alice@example.com", "y\n" * delivered)))
            delivered += 1
        with self.dovecot.imap("alice@example.com", "secret") as client:
            client.append("INBOX", None, None, b"Subject: from imap\r\n\r\n")
            client.select("INBOX")
            client.store("2", "+FLAGS", "\\Deleted")
            client.expunge()
        self.assertIn(" Saved", talk(ours, mail("alice+Junk@example.com")))
        octets = sum(path.stat().st_size for path in self.files("alice") + self.files("alice", ".Junk"))
        self.assertEqual(self.sums("alice"), (octets, 7))
        self.assertEqual(self.usage("alice@example.com")["MESSAGE"], 7)
        self.dovecot.doveadm("quota", "recalc", "-u", "alice@example.com")
        self.assertEqual(self.sums("alice"), (octets, 7))
        self.assertNotRegex(self.dovecot.log(), r"Cached message size|Corrupted|Error:")

    def test_quota_full_tempfail_defers(self):
        self.start(extra="quota_full_tempfail = yes\n")
        reply = talk(self.socket, mail("quota@example.com", ("x" * 70 + "\n") * 40))
        self.assertIn("452 4.2.2 <quota@example.com> Quota exceeded (mailbox for user is full)", reply)

    def test_a_full_mailbox_is_refused_at_rcpt_when_the_setting_says_so(self):
        self.start(extra="lmtp_rcpt_check_quota = yes\n")
        self.assertIn(" Saved", talk(self.socket, mail("quota@example.com")))
        Path(self.home, "quota/Maildir/maildirsize").write_text("2000S\n2000 1\n")
        reply = talk(self.socket, mail("quota@example.com"))
        self.assertIn("552 5.2.2 <quota@example.com> Quota exceeded (mailbox for user is full)\r\n503 5.5.0 No valid recipients", reply)


class OperationTest(LmtpTest):
    def test_a_user_database_that_is_away_defers_and_comes_back(self):
        self.start_with_postfix()
        self.assertEqual(self.status(self.send("alice@example.com"))[1], "sent")
        self.dovecot.__exit__()
        queue_id = self.send("alice@example.com")
        self.postfix.wait_for_log(rf"{queue_id}: to=<alice@example\.com>.* dsn=4\.3\.0, status=deferred "
                                  r"\(host .*said: 451 4\.3\.0 <alice@example\.com> Temporary internal error")
        self.assertIn("user lookup failed", self.lmtp.log())
        self.dovecot.__enter__()
        self.postfix.flush()
        self.postfix.wait_for_log(rf"{queue_id}: to=<alice@example\.com>.* status=sent")
        self.assertEqual(len(self.files("alice")), 2)

    def test_replies_are_dovecots_own(self):
        """The same conversations with Dovecot's lmtp and ours, side by side."""
        theirs, ours = self.start_beside_dovecots_own()
        for conversation in CONVERSATIONS:
            with self.subTest(conversation=conversation):
                self.assertEqual(replies_of(talk(ours, conversation)),
                                 replies_of(talk(theirs, conversation)))

    def test_with_mail_uid_the_daemon_is_that_user_and_nobody_else(self):
        # Of mode 0666, Dovecot's socket tells a user only about itself; of mode 0777, about everybody.
        self.set_up(extra="service auth {\n  unix_listener auth-userdb {\n    mode = 0777\n  }\n}\n")
        text = Path(self.dovecot.configuration).read_text() + f"mail_uid = {ALICE}\nmail_gid = {ALICE}\n"
        lmtp = self.enterContext(self.daemon(self.box.write("one.conf", text)))
        status = Path(f"/proc/{lmtp.pid}/status").read_text()
        self.assertRegex(status, rf"Uid:\s+{ALICE}\s+{ALICE}\s+{ALICE}\s+{ALICE}\n")
        self.assertIn(" Saved", talk(self.socket, mail("alice@example.com")))
        # The user database names another uid: that waits until somebody mends the configuration.
        self.assertIn("451 4.3.0 <bob@example.com>", talk(self.socket, mail("bob@example.com")))
        self.assertIn("set user = root in lmtp-deliver.conf", lmtp.log())

    def test_for_several_uids_only_the_broker_stays_root(self):
        self.start()
        broker, = Path(f"/proc/{self.lmtp.pid}/task/{self.lmtp.pid}/children").read_text().split()
        uid = pwd.getpwnam("dovecot").pw_uid
        self.assertRegex(Path(f"/proc/{self.lmtp.pid}/status").read_text(), rf"Uid:\s+{uid}\s+{uid}\s+{uid}\s")
        self.assertRegex(Path(f"/proc/{broker}/status").read_text(), r"Uid:\s+0\s+0\s+0\s")
        self.assertEqual(talk(self.socket, "LHLO x\nMAIL FROM:<>\nRCPT TO:<alice@example.com>\nRCPT TO:<bob@example.com>\n"
                              "DATA\n\n.\nQUIT\n").count(" Saved"), 2)
        # Nothing but its socket and its log: no listener, no client.
        held = [os.readlink(f"/proc/{broker}/fd/{fd}") for fd in os.listdir(f"/proc/{broker}/fd")]
        self.assertEqual(len([name for name in held if name.startswith("socket:")]), 1, held)

    def test_the_process_that_faces_the_network_can_be_ended_at_any_time(self):
        self.start()
        for _ in range(5):
            with Talk(self.socket) as client:
                client.send(mail("alice@example.com").replace("\n", "\r\n").encode()[:-8])
                client.until(b"354 OK\r\n")
                self.lmtp.kill()
            self.lmtp.start()
        self.assertEqual(self.files("alice", where=["new", "cur", "tmp"]), [])
        self.assertIn(" Saved", talk(self.socket, mail("alice@example.com")))

    def test_a_broker_that_dies_ends_the_daemon_and_no_mail_is_lost(self):
        self.start()
        children = Path(f"/proc/{self.lmtp.pid}/task/{self.lmtp.pid}/children").read_text().split()
        self.assertEqual(len(children), 1)
        os.kill(int(children[0]), signal.SIGKILL)
        reply = talk(self.socket, mail("alice@example.com")) if not self.lmtp._process.ended() else "451"
        self.assertNotIn(" Saved", reply)
        wait_until(self.lmtp._process.ended, 20, "the daemon ended")
        self.lmtp.exit_code = 70
        self.assertEqual(self.files("alice"), [])

    def test_a_mailbox_that_cannot_be_written_is_451(self):
        self.start()
        Path(self.home, "alice").write_text("a file in the way")
        self.assertIn("451 4.3.0 <alice@example.com> Temporary internal error", talk(self.socket, mail("alice@example.com")))
        self.assertIn("save failed", self.lmtp.log())

    def test_garbage_and_long_lines_leave_the_next_client_served(self):
        self.start()
        for rubbish in (b"\0" * 100000 + b"\r\n", b"x" * 200000 + b"\r\nNOOP\r\n", os.urandom(5000), b"BDAT 99999999\r\nabc",
                        b"LHLO " + b"y" * 5000 + b"\r\n"):
            with Talk(self.socket) as client:
                client.send(rubbish).finish_sending()
                client.rest()
        self.assertIn(" Saved", talk(self.socket, mail("alice@example.com")))

    def test_a_reload_takes_new_settings_and_keeps_the_old_ones_when_they_are_wrong(self):
        self.start()
        path = Path(self.dovecot.configuration)
        good = path.read_text()

        def greeting():
            with Talk(self.socket) as client:
                return client.line()

        path.write_text(good + "login_greeting = changed\n")
        self.lmtp.reload()
        wait_until(lambda: greeting() == "220 mx.example.com changed", 10, "the new greeting")
        path.write_text(good + "login_greeting = wrong\nmail_fsync = maybe\n")
        self.lmtp.reload()
        wait_until(lambda: "mail_fsync: must be" in self.lmtp.log(), 10, "the mistake in the log")
        self.assertEqual(greeting(), "220 mx.example.com changed")

    def test_n_checks_the_configuration(self):
        self.set_up()
        good = self.box.run([self.daemon().command[0], "-n", "-c", self.dovecot.configuration, "-o", self.own])
        self.assertEqual((good.stdout, good.stderr), ("", ""))
        bad = self.box.write("bad.conf", "mail_location = mbox:~/mail\n")
        done = self.box.run([self.daemon().command[0], "-n", "-c", bad, "-o", self.own], check=False)
        self.assertEqual(done.returncode, 78)
        self.assertIn(f"{bad}:1: mail_location: only maildir:PATH is supported", done.stderr)


CONVERSATIONS = [
    mail("alice@example.com"),
    mail("nobody@example.com"),
    mail("alice+Junk@example.com"),
    "MAIL FROM:<a@b.c>\nLHLO\nLHLO x\nRCPT TO:<alice@example.com>\nDATA\nMAIL FROM:a@b.c\nMAIL FROM:<>\nMAIL FROM:<>\n"
    "RCPT TO:<alice>\nRCPT TO:<>\nRCPT TO:<@example.com>\nRCPT TO:<alice@example.com> FOO=1\nDATA\nFOO\nSTARTTLS\n"
    "XCLIENT ADDR=1.2.3.4\nRSET\nMAIL FROM:<a@b.c> RET=HDRS\nQUIT\n",
    "LHLO x\nMAIL FROM:<b@x.y>\nRCPT TO:<nobody@example.com>\nRCPT TO:<alice@example.com>\nRCPT TO:<alice@example.com>\n"
    "RCPT TO:<bob@example.com>\nDATA\nSubject: a\n\nx\n.\nMAIL FROM:<b@x.y>\nRCPT TO:<alice@example.com>\nDATA\n\n.\nQUIT\n",
    "LHLO x\nMAIL FROM:<>\nRCPT TO:<alice@example.com>\nBDAT 4\na\n\nBDAT 3 LAST\nb\nNOOP\nQUIT\n",
    "LHLO x\nMAIL FROM:<>\nBDAT 4 LAST\nab\nRCPT TO:<alice@example.com>\nBDAT 0 LAST\nQUIT\n",
    "LHLO x\nMAIL FROM: <a@b>\nMAIL FROM:<a@b.c>x\nMAIL FROM:<a b@c>\nMAIL FROM:<a@b\nMAIL\nMAIL FROM:\nRCPT\n"
    "MAIL FROM:<a@b> BODY=8BITMIME BODY=7BIT\nMAIL FROM:<a@b> BODY=X\nMAIL FROM:<a@b> BODY\nMAIL FROM:<\"a b\"@c>\n"
    "RCPT TO:<.x@example.com>\nRCPT TO:<a@example.com.>\nRCPT TO:<a@>\nRCPT TO:<a@b@c>\nRCPT TO:<\"al ice\"@example.com>\n"
    "RCPT TO:<@a,@b:alice@example.com>\nDATA x\nVRFY\nVRFY x\nRSET x\nQUIT x\nNOOP x\nQUIT\n",
    "HELO x\nEHLO x\nHELP\nEXPN x\nSubject: x\n..\n\n NOOP\nlhlo   t\nQUIT\n",
    "FOO\n" * 12,
]

if __name__ == "__main__":
    import unittest
    unittest.main()
