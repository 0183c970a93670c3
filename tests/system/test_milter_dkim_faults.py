"""milter-dkim when the DNS fails, when it is told to read its configuration again or to end, and over thousands of messages."""

import base64
import os
import pwd
import signal
import subprocess
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dkim

from harness import Daemon, Postfix, SystemTest, has_sanitizer, program, swaks, wait_until
from harness.milter import MilterClient, Verdict, message
from spf_dns import SpfDns, txt

FIELDS = [(b"From", b" Alice <a@example.com>"), (b"To", b" b@example.net"), (b"Subject", b" test"),
          (b"Date", b" Sat, 21 Nov 2026 09:00:00 +0000")]
BODY = b"Hello  world \r\n\r\n"
LOCAL = ("localhost", "127.0.0.1")


def is_gone(pid):
    """Ended, if perhaps not buried."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class DkimCase(SystemTest):
    def setUp(self):
        super().setUp()
        self.key = self.box.path("s.private")
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", self.key, "1024"], check=True, capture_output=True)
        self.key.chmod(0o600)
        der = subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        self.record = "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()
        self.dns = self.enterContext(SpfDns({"s._domainkey.example.com": [txt(self.record)]}))
        self.socket = self.box.path("dkim.sock")

    def configure(self, settings=""):
        return self.box.write("opendkim.conf", f"Socket local:{self.socket}\nSyslog no\nSyslogSuccess yes\nRequireSafeKeys no\n"
                              f"Domain example.com\nSelector s\nKeyFile {self.key}\nAuthservID mx.example.com\n"
                              f"Nameservers {self.dns.server}\nUMask 000\n{settings}")

    def daemon(self, settings=""):
        self.daemons = getattr(self, "daemons", 0) + 1
        return Daemon(self.box, "milter-dkim", ["-f", "-x", self.configure(settings)], name=f"dkim{self.daemons}")

    def signed(self, selector=b"s"):
        field = dkim.sign(message(FIELDS, BODY), selector, b"example.com", self.key.read_bytes())
        name, value = field.removesuffix(b"\r\n").split(b":", 1)
        return [(name, value), *FIELDS]

    def verify(self, selector=b"s"):
        """The letter of the answer, its text, and the results."""
        with MilterClient(self.socket) as milter:
            fields, letter, text = milter.send(self.signed(selector), BODY)
        results = b"".join(value for name, value in fields if name == b"Authentication-Results")
        return letter, text, results.decode()


def cut(reply, tcp):
    """Truncated, and TCP says no more."""
    return None if tcp else reply[:2] + bytes([reply[2] | 2]) + reply[3:]


def with_code(code):
    return lambda reply, tcp: reply[:3] + bytes([reply[3] & 0xf0 | code]) + reply[4:]


class DnsFaultTest(DkimCase):
    FAULTS = {"fail": [("FAIL", None)], "silent": [("SILENT", None)], "loop": [("CNAME", "loop._domainkey.example.com")],
              "lame": [("CNAME", "silent._domainkey.example.com")],
              "circle": [("CNAME", "other-circle._domainkey.example.com")],
              "other-circle": [("CNAME", "circle._domainkey.example.com")]}
    # Each answer is a good key record, but for this.
    CHANGES = {"id": lambda reply, tcp: bytes([reply[0] ^ 1]) + reply[1:], "cut": cut,
               "question": lambda reply, tcp: reply.replace(b"\x08question", b"\x08ouestion", 1),
               "type": lambda reply, tcp: reply.replace(b"\x03com\0\0\x10", b"\x03com\0\0\x11", 1),
               "head": lambda reply, tcp: reply[:11], "half": lambda reply, tcp: reply[:-100], "noise": lambda reply, tcp: b"\xff" * 60,
               "nothing": lambda reply, tcp: b"\0", "query": lambda reply, tcp: reply[:2] + bytes([reply[2] & 0x7f]) + reply[3:],
               "counts": lambda reply, tcp: reply[:6] + b"\xff\xff" + reply[8:],
               "format": with_code(1), "refused": with_code(5), "unheard": with_code(11)}

    def test_what_the_dns_does_not_say_is_temperror_and_on_dns_error_decides(self):
        faults = {**self.FAULTS, **{name: [txt(self.record), ("CHANGED", change)] for name, change in self.CHANGES.items()}}
        self.dns.records.update({f"{name}._domainkey.example.com": rows for name, rows in faults.items()})
        for settings, letter, text in (("", "y", b"451 4.7.5 DKIM key retrieval failed"), ("On-DNSError accept\n", "a", b""),
                                       ("On-DNSError reject\n", "y", b"550 5.7.0 DKIM key retrieval failed"),
                                       ("On-Default reject\n", "y", b"550 5.7.0 DKIM key retrieval failed"),
                                       ("On-DNSError discard\n", "d", b"")):
            with self.daemon("DNSTimeout 1\n" + settings), ThreadPoolExecutor(len(faults)) as at_once:
                for name, seen in zip(faults, at_once.map(lambda name: self.verify(name.encode()), faults)):
                    with self.subTest(settings=settings, fault=name):
                        self.assertEqual(seen[:2], (letter, text))
                        self.assertIn("dkim=temperror header.d=example.com", seen[2])
                        self.assertNotIn("dkim=pass", seen[2])

    def test_long_records_come_over_tcp_and_a_key_behind_a_cname_counts(self):
        self.dns.records["long._domainkey.example.com"] = [txt("n=", *["x" * 250] * 7, "; ", self.record)]
        self.dns.records["alias._domainkey.example.com"] = [("CNAME", "s._domainkey.example.com")]
        with self.daemon():
            for selector in (b"s", b"alias", b"long"):
                self.assertIn("dkim=pass (1024-bit key; unprotected)", self.verify(selector)[2])
        self.assertGreater(self.dns.questions.count(("long._domainkey.example.com", "TXT")), 1)

    def test_a_name_with_several_records_has_one_key_or_none(self):
        rows = {"beside": [txt("v=spf1 -all"), txt(self.record), txt("")], "twice": [txt(self.record), txt(self.record)],
                "huge": [txt("n=" + "x" * 60000 + "; " + self.record)], "octets": [txt("n=\0\xff; " + self.record)],
                "empty": [txt("")], "many": [txt(f"note {number}") for number in range(500)],
                "address": [("A", "192.0.2.1")], "below.below": [txt(self.record)]}
        self.dns.records.update({f"{name}._domainkey.example.com": row for name, row in rows.items()})
        passes, absent = "dkim=pass", 'dkim=fail reason="key not found in DNS"'
        wanted = {"beside": passes, "twice": "dkim=permerror", "huge": passes, "octets": passes, "empty": "dkim=permerror",
                  "many": "dkim=permerror", "address": absent, "below": absent, "none": absent}
        with self.daemon("On-KeyNotFound reject\nOn-BadSignature tempfail\n"):
            for name, result in wanted.items():
                with self.subTest(name=name):
                    letter, text, results = self.verify(name.encode())
                    self.assertIn(result, results)
                    self.assertEqual((letter, text), {passes: ("a", b""), absent: ("y", b"550 5.7.0 DKIM key retrieval failed")}.get(
                        result, ("y", b"451 4.7.0 bad DKIM signature data")))

    def test_keys_that_are_no_keys_are_permanent(self):
        for name, record in (("garbage", "v=DKIM1; k=rsa; p=AAAA"), ("other", "v=spf1 -all"), ("revoked", "v=DKIM1; p="),
                             ("type", self.record.replace("k=rsa", "k=ed25519"))):
            self.dns.records[f"{name}._domainkey.example.com"] = [txt(record)]
        with self.daemon("On-BadSignature accept\n"):
            for name, result in (("garbage", "dkim=permerror"), ("other", "dkim=permerror"), ("type", "dkim=permerror"),
                                 ("revoked", 'dkim=fail reason="key revoked"'), ("gone", 'dkim=fail reason="key not found in DNS"')):
                with self.subTest(name=name):
                    letter, _, results = self.verify(name.encode())
                    self.assertEqual(letter, "a")
                    self.assertIn(result, results)


class LifeTest(DkimCase):
    def nobody(self):
        return pwd.getpwnam("nobody")

    def postfix(self, protocol):
        self.mail = self.box.directory(f"mail{protocol}", owner="nobody", mode=0o700)
        nobody = self.nobody()
        return self.enterContext(Postfix(self.box, name=f"mx{protocol}", main={
            "virtual_mailbox_domains": "example.net", "virtual_mailbox_maps": "inline:{b@example.net=b/}",
            "virtual_mailbox_base": self.mail, "virtual_uid_maps": f"static:{nobody.pw_uid}",
            "virtual_gid_maps": f"static:{nobody.pw_gid}", "virtual_minimum_uid": "1", "smtpd_recipient_restrictions": "permit",
            "milter_default_action": "tempfail", "smtpd_milters": f"unix:{self.socket}", "milter_protocol": protocol}))

    def send(self, postfix):
        return swaks(postfix.smtp_port, sender="a@example.com", to="b@example.net", data=message(FIELDS, BODY).decode().replace("\r\n", "\n"))

    def test_in_the_background_as_another_user_with_pid_file_and_umask(self):
        run = self.box.directory("run", owner="nobody", mode=0o755)
        self.socket = run / "dkim.sock"
        pid_file = run / "dkim.pid"
        os.chown(self.key, self.nobody().pw_uid, -1)
        conf = self.configure(f"Background yes\nPidFile {pid_file}\nUMask 007\nUserID nobody\n")
        self.box.run([program("milter-dkim"), "-x", conf])
        pid = int(pid_file.read_text())
        self.addCleanup(lambda: os.path.exists(f"/proc/{pid}") and os.kill(pid, signal.SIGKILL))
        self.assertEqual(self.socket.stat().st_mode & 0o777, 0o770)
        self.assertEqual(os.stat(f"/proc/{pid}").st_uid, self.nobody().pw_uid)
        for protocol in ("6", "2"):
            os.chmod(self.socket, 0o777)
            postfix = self.postfix(protocol)
            sent = self.send(postfix)
            self.assertEqual(sent.code, 0, sent)
            postfix.wait_for_log(f"{sent.queue_id}: to=.*status=sent")
            newest = next((self.mail / "b" / "new").iterdir()).read_text()
            self.assertIn("DKIM-Signature: v=1; a=rsa-sha256;", newest)
            postfix.stop()
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: is_gone(pid), 10, "the daemon to end")
        self.assertFalse(pid_file.exists())

    def test_after_a_crash_it_is_started_again_on_the_same_socket(self):
        daemon = self.enterContext(self.daemon("AutoRestart yes\n"))
        children = lambda: Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()  # noqa: E731
        first = wait_until(children, 10, "a child")[0]
        with MilterClient(self.socket, LOCAL) as milter:
            self.assertEqual(milter.send(FIELDS, BODY)[0][0][0], b"DKIM-Signature")
        os.kill(int(first), signal.SIGKILL)
        wait_until(lambda: children() not in ([], [first]), 10, "another child")
        with MilterClient(self.socket, LOCAL) as milter:
            self.assertEqual(milter.send(FIELDS, BODY)[0][0][0], b"DKIM-Signature")

    def test_a_reload_loses_no_connection_and_no_message(self):
        daemon = self.enterContext(self.daemon())
        for number, sent in enumerate((signal.SIGUSR1, signal.SIGHUP), start=1):
            with MilterClient(self.socket, LOCAL) as milter:
                milter.begin()
                milter.header(FIELDS)
                self.configure(f"SignatureTTL {number}00\nSocket local:/nonexistent/other\n")
                os.kill(daemon.pid, sent)
                wait_until(lambda: daemon.log().count("configuration reloaded") == number, 10, "the reload")
                milter.body(BODY)
                old, letter, _ = milter.end(FIELDS)
                self.assertEqual((letter, b"x=" in old[0][1]), ("a", number > 1))
                self.assertEqual(milter.send(FIELDS, BODY)[1], "a")
                with MilterClient(self.socket, LOCAL) as newer:
                    new = newer.send(FIELDS, BODY)[0][0][1]
                made, ends = (int(new.split(tag)[1].split(b";")[0]) for tag in (b"t=", b"x="))
                self.assertEqual(ends - made, number * 100)

    def test_the_end_does_not_wait_for_the_dns_and_answers_what_is_half_way(self):
        self.dns.records["held._domainkey.example.com"] = [("HELD", None)]
        daemon = self.enterContext(self.daemon("DNSTimeout 60\n"))
        postfix = self.postfix("6")
        signed = message(self.signed(b"held"), BODY).decode().replace("\r\n", "\n")
        seen = []
        sending = threading.Thread(target=lambda: seen.append(swaks(
            postfix.smtp_port, sender="a@example.com", to="b@example.net", data=signed, local="127.0.0.2")))
        sending.start()
        wait_until(lambda: ("held._domainkey.example.com", "TXT") in self.dns.questions, 20, "the question")
        half_way = MilterClient(self.socket, LOCAL)
        half_way.begin()
        accepted = MilterClient(self.socket, LOCAL)
        self.assertEqual(accepted.send(FIELDS, BODY)[1], "a")
        # Well before a minute: stop() kills after 15 seconds, and then the exit code is not 0.
        self.assertEqual(daemon.stop(), 0)
        self.dns.release()
        sending.join()
        self.assertEqual(seen[0].reply_to(".")[0], 451, seen[0])
        self.assertRaises((OSError, Verdict), half_way.header, FIELDS)
        for each in (half_way, accepted):
            each.close()
        daemon.start()


class LongRunTest(DkimCase):
    """The whole of it is 100,000 messages and 1,000 reloads: tests/bench/milter_dkim_soak.py."""

    MESSAGES, RELOADS, CLIENTS = 4000, 100, 4
    GROWTH = 12_000_000  # octets over the second half; a leak of a configuration or a message is more

    def resident(self, pid):
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

    def play(self, messages, refused):
        signed = self.signed()
        broken = [(b"DKIM-Signature", b" v=1; d=x; d=y; z=" + b"q" * 42000)] * 3 + signed
        with MilterClient(self.socket) as stranger, MilterClient(self.socket, LOCAL) as local:
            for number in range(messages):
                mail, milter, field, wanted = [
                    (FIELDS, local, b"DKIM-Signature", b"s=s"), (signed, stranger, b"Authentication-Results", b"dkim=pass"),
                    (signed, stranger, b"Authentication-Results", b"dkim=fail"), (broken[2:], stranger, b"Authentication-Results", b"dkim=permerror"),
                ][number % 4]
                fields, letter, _ = milter.send(mail, BODY if wanted != b"dkim=fail" else b"x" * (number % 70000) + b"\r\n")
                if letter != "a" or not any(name == field and wanted in value for name, value in fields):
                    refused.append((wanted, letter, fields))

    def run_half(self, daemon):
        refused = []
        threads = [threading.Thread(target=self.play, args=(self.MESSAGES // 2 // self.CLIENTS, refused)) for _ in range(self.CLIENTS)]
        for thread in threads:
            thread.start()
        for _ in range(self.RELOADS // 2):
            before = daemon.log().count("configuration reloaded")
            daemon.reload()
            wait_until(lambda: daemon.log().count("configuration reloaded") > before, 20, "the reload")
        for thread in threads:
            thread.join()
        self.assertEqual(refused, [])
        return self.resident(daemon.pid)

    def test_thousands_of_messages_and_reloads_cost_no_memory(self):
        daemon = self.enterContext(self.daemon("MaximumHeaders 200000\n"))
        first, second = self.run_half(daemon), self.run_half(daemon)
        if not has_sanitizer("milter-dkim"):
            self.assertLess(second - first, self.GROWTH)


if __name__ == "__main__":
    unittest.main()
