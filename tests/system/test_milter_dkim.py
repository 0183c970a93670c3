"""milter-dkim behind a real Postfix in both milter protocols, judged by python3-dkim and Mail::DKIM."""

import base64
import email
import os
import pathlib
import pwd
import subprocess
import unittest

import dkim

from harness import Daemon, Knot, Postfix, SystemTest, swaks, wait_until

BODY = "Hello  world \n\n.leading dot\n\ttab\n\n\n"


def make_key(box, name, *arguments):
    path = box.path(name)
    subprocess.run(["openssl", "genpkey", "-out", path, *arguments], check=True, capture_output=True)
    subprocess.run(["chmod", "600", path], check=True)
    return path


def public_key(path):
    der = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], check=True,
                         capture_output=True).stdout
    return base64.b64encode(der if len(der) > 64 else der[-32:]).decode()


def strings_of(record):
    return " ".join('"%s"' % record[i:i + 200] for i in range(0, len(record), 200))


class MilterDkimTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.rsa = make_key(self.box, "rsa.private", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        self.ed = make_key(self.box, "ed.private", "-algorithm", "ED25519")
        self.records = {
            "rsa._domainkey.example.com": "v=DKIM1; k=rsa; p=" + public_key(self.rsa),
            "ed._domainkey.example.com": "v=DKIM1; k=ed25519; p=" + public_key(self.ed),
        }
        zone = "".join('%s. TXT %s\n' % (name, strings_of(text)) for name, text in self.records.items())
        self.dns = self.enterContext(Knot(self.box, {"example.com": zone}))
        self.socket_port = self.box.port()

    def daemon(self, settings):
        conf = self.box.write("opendkim.conf", f"""Socket inet:{self.socket_port}@127.0.0.1
Background no
Syslog no
SyslogSuccess yes
RequireSafeKeys no
AuthservID mx.example.com
AlwaysAddARHeader yes
Nameservers {self.dns.server}
{settings}
""")
        return self.enterContext(Daemon(self.box, "milter-dkim", ["-x", conf]))

    def postfix(self, protocol="6"):
        nobody = pwd.getpwnam("nobody")
        self.mail = self.box.directory("mail", owner="nobody", mode=0o700)
        return self.enterContext(Postfix(self.box, name=f"mx{protocol}", main={
            "virtual_mailbox_domains": "example.net", "virtual_mailbox_maps": "inline:{b@example.net=b/}",
            "virtual_mailbox_base": self.mail, "virtual_uid_maps": f"static:{nobody.pw_uid}",
            "virtual_gid_maps": f"static:{nobody.pw_gid}", "virtual_minimum_uid": "1",
            "smtpd_recipient_restrictions": "permit", "milter_default_action": "tempfail",
            "smtpd_milters": f"inet:127.0.0.1:{self.socket_port}", "milter_protocol": protocol}))

    def send(self, postfix, data, local="127.0.0.1"):
        """The message as it stands in the mailbox, without what the delivery put above it."""
        sent = swaks(postfix.smtp_port, sender="a@example.com", to="b@example.net", data=data, local=local)
        self.assertEqual(sent.code, 0, sent)
        postfix.wait_for_log(f"{sent.queue_id}: to=.*status=sent")
        newest = sorted((self.mail / "b" / "new").glob("*"), key=os.path.getmtime)[-1]
        lines = newest.read_bytes().split(b"\n")
        while lines[0].split(b":")[0] in (b"Return-Path", b"X-Original-To", b"Delivered-To"):
            lines.pop(0)
        return b"\r\n".join(lines)

    def message(self, subject="test", extra=""):
        return (f"{extra}From: Alice <a@example.com>\nTo: b@example.net\nSubject: {subject}\n"
                f"Date: Sat, 21 Nov 2026 09:00:00 +0000\n\n{BODY}")

    def python_verifies(self, message, index=0):
        def txt(name, timeout=5):
            found = self.records.get(name.decode().rstrip("."))
            return found.encode() if found else None
        return dkim.DKIM(message).verify(idx=index, dnsfunc=txt)

    def perl_verifies(self, message):
        script = r"""
            use Mail::DKIM::Verifier; use Mail::DKIM::PublicKey;
            my ($record) = @ARGV; local $/; my $text = <STDIN>;
            my $verifier = Mail::DKIM::Verifier->new();
            no warnings 'redefine';
            *Mail::DKIM::Signature::get_public_key = sub { return Mail::DKIM::PublicKey->parse($record) };
            $verifier->PRINT($text); $verifier->CLOSE;
            print join ' ', map { $_->result } $verifier->signatures;
        """
        done = subprocess.run(["perl", "-e", script, self.records["rsa._domainkey.example.com"]], input=message,
                              capture_output=True, check=True)
        return done.stdout.decode()

    def test_signatures_of_all_forms_verify_elsewhere_in_both_protocols(self):
        tables = self.box.write("SigningTable", "*@example.com rsa,ed\n")
        keys = self.box.write("KeyTable", f"rsa example.com:rsa:{self.rsa}\ned example.com:ed:{self.ed}\n")
        daemon = self.daemon(f"KeyTable file:{keys}\nSigningTable refile:{tables}\nOversignHeaders From\n"
                             "SelectCanonicalizationHeader X-Form\n")
        for protocol in ("6", "2"):
            postfix = self.postfix(protocol)
            for form in ("simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"):
                with self.subTest(protocol=protocol, form=form):
                    seen = self.send(postfix, self.message("a  folded\n\tsubject", extra=f"X-Form: {form}\n"))
                    self.assertEqual(seen.count(b"\r\nDKIM-Signature:") + seen.startswith(b"DKIM-Signature:"), 2, seen)
                    self.assertIn(f"c={form};".encode(), seen)
                    self.assertTrue(self.python_verifies(seen, 0), seen)
                    self.assertTrue(self.python_verifies(seen, 1), seen)
                    self.assertIn("pass", self.perl_verifies(seen))
            postfix.stop()
        self.assertIn("DKIM-Signature field added (s=rsa, d=example.com)", daemon.log())

    def test_signatures_made_elsewhere_verify_here(self):
        self.daemon("Mode v\nInternalHosts 192.0.2.1\n")
        postfix = self.postfix()
        key = pathlib.Path(self.rsa).read_bytes()
        message = self.message().replace("\n", "\r\n").encode()
        for header in (b"simple", b"relaxed"):
            for body in (b"simple", b"relaxed"):
                signature = dkim.sign(message, b"rsa", b"example.com", key, canonicalize=(header, body))
                seen = self.send(postfix, (signature + message).decode().replace("\r\n", "\n"), local="127.0.0.2")
                self.assertIn(b"mx.example.com;\r\n\tdkim=pass (2048-bit key; unprotected) header.d=example.com "
                              b"header.i=@example.com header.a=rsa-sha256 header.s=rsa header.b=", seen)
                self.assertTrue(seen.startswith(b"Authentication-Results: mx.example.com;"), seen)
        changed = (signature + message.replace(b"world", b"World")).decode().replace("\r\n", "\n")
        self.assertIn(b'dkim=fail reason="signature verification failed" (2048-bit key; unprotected)',
                      self.send(postfix, changed, local="127.0.0.2"))
        forged = "Authentication-Results: mx.example.com; dkim=pass header.d=bank.example\n" + self.message()
        seen = self.send(postfix, forged, local="127.0.0.2")
        self.assertNotIn(b"bank.example", seen)
        self.assertIn(b"Authentication-Results: mx.example.com; dkim=none; dkim-atps=neutral", seen)

    def test_a_silent_name_server_defers_signed_mail_and_nothing_else(self):
        self.daemon("Mode v\nInternalHosts 192.0.2.1\nDNSTimeout 1\n")
        postfix = self.postfix()
        message = self.message().replace("\n", "\r\n").encode()
        signature = dkim.sign(message, b"rsa", b"example.com", pathlib.Path(self.rsa).read_bytes())
        signed = (signature + message).decode().replace("\r\n", "\n")
        self.dns.freeze()
        result = swaks(postfix.smtp_port, sender="a@example.com", to="b@example.net", data=signed, local="127.0.0.2")
        self.assertEqual(result.reply_to("."), (451, "4.7.5 DKIM key retrieval failed"), result)
        self.send(postfix, self.message(), local="127.0.0.2")
        self.dns.thaw()
        wait_until(lambda: b"dkim=pass" in self.send(postfix, signed, local="127.0.0.2"), 20, "the DNS to be asked again")

    def test_a_reload_takes_new_keys_and_a_broken_file_keeps_the_old_ones(self):
        conf = self.box.path("opendkim.conf")
        daemon = self.daemon(f"Domain example.com\nKeyFile {self.rsa}\nSelector rsa\n")
        postfix = self.postfix()
        self.assertIn(b"a=rsa-sha256", self.send(postfix, self.message()))
        good = pathlib.Path(conf).read_text()
        self.box.write("opendkim.conf", good.replace(str(self.rsa), str(self.ed)).replace("Selector rsa", "Selector ed"))
        daemon.reload()
        wait_until(lambda: "configuration reloaded" in daemon.log(), 10, "reload")
        self.assertIn(b"a=ed25519-sha256", self.send(postfix, self.message()))
        self.box.write("opendkim.conf", good + "Selecter oops\n")
        daemon.reload()
        wait_until(lambda: "reload failed, the old configuration stays" in daemon.log(), 10, "refusal")
        self.assertIn('unknown setting "Selecter"; did you mean "Selector"?', daemon.log())
        self.assertIn(b"a=ed25519-sha256", self.send(postfix, self.message()))

    def test_a_key_that_cannot_be_read_defers_its_senders(self):
        tables = self.box.write("SigningTable", "a@example.com gone\n*@example.com rsa\n")
        keys = self.box.write("KeyTable", f"rsa example.com:rsa:{self.rsa}\ngone example.com:x:/nonexistent/key\n")
        daemon = self.daemon(f"KeyTable file:{keys}\nSigningTable refile:{tables}\n")
        postfix = self.postfix()
        result = swaks(postfix.smtp_port, sender="a@example.com", to="b@example.net", data=self.message())
        self.assertEqual(result.reply_to(".")[0], 451, result)
        self.assertIn("error loading key 'gone'", daemon.log())
        other = self.message().replace("a@example.com", "c@example.com")
        self.assertIn(b"DKIM-Signature", self.send(postfix, other))

    def test_a_failed_signature_is_reported_through_postfix(self):
        self.dns.add("example.com", '_report._domainkey.example.com. TXT "ra=dkim-feedback; rr=v"\n')
        self.daemon("Mode v\nInternalHosts 192.0.2.1\nSendReports yes\nReportAddress postmaster@mx.example.com\n"
                    f"MTACommand /usr/sbin/sendmail -C {self.box.path('mx6')}\n")
        postfix = self.postfix()
        postfix.set(virtual_mailbox_domains="example.net, example.com",
                    virtual_mailbox_maps="inline:{b@example.net=b/, dkim-feedback@example.com=f/}")
        message = self.message().replace("\n", "\r\n").encode()
        signature = dkim.DKIM(message).sign(b"rsa", b"example.com", pathlib.Path(self.rsa).read_bytes())
        # What dkimpy does not write: the wish for reports, under a signature that fails in any case.
        asking = signature.replace(b" d=example.com;", b" r=y; d=example.com;")
        self.assertNotEqual(asking, signature)
        seen = self.send(postfix, (asking + message).decode().replace("\r\n", "\n"), local="127.0.0.2")
        self.assertIn(b"dkim=fail", seen)
        reports = self.mail / "f" / "new"
        wait_until(lambda: reports.is_dir() and any(reports.iterdir()), 20, "the report")
        report = email.message_from_bytes(next(reports.iterdir()).read_bytes())
        self.assertEqual((report["From"], report["To"]), ("postmaster@mx.example.com", "dkim-feedback@example.com"))
        self.assertEqual(report.get_content_type(), "multipart/report")
        kinds = [part.get_content_type() for part in report.walk()]
        self.assertIn("message/feedback-report", kinds)
        self.assertIn("text/rfc822-headers", kinds)
        self.assertIn("Auth-Failure: signature", str(report))
        self.assertRegex(postfix.log(), r"from=<postmaster@mx.example.com>")

    def test_policy_scripts_sign_and_refuse_behind_postfix(self):
        setup = self.box.write("setup.lua", """
            if odkim.get_header(ctx, "Subject", 0):find("sign me") then
                odkim.sign(ctx, "rsa", "scripted@example.com")
            end
            odkim.export(ctx, "recipient", odkim.get_rcpt(ctx, 0))
        """)
        final = self.box.write("final.lua", """
            odkim.add_header(ctx, "X-Scripted", recipient .. " " .. odkim.get_sigcount(ctx))
            if odkim.get_header(ctx, "Subject", 0):find("refuse me") then
                odkim.set_reply(ctx, "554", "5.7.1", "as you wish")
                odkim.set_result(ctx, SMFIS_REJECT)
            end
        """)
        keys = self.box.write("KeyTable", f"rsa example.com:rsa:{self.rsa}\n")
        self.daemon(f"KeyTable file:{keys}\nSetupPolicyScript {setup}\nFinalPolicyScript {final}\n")
        postfix = self.postfix()
        signed = self.send(postfix, self.message("sign me"), local="127.0.0.2")
        self.assertIn(b"i=scripted@example.com", signed)
        self.assertIn(b"\r\nX-Scripted: b@example.net 0\r\n", b"\r\n" + signed)
        self.assertTrue(self.python_verifies(signed), signed)
        self.assertNotIn(b"DKIM-Signature", self.send(postfix, self.message()))
        refused = swaks(postfix.smtp_port, sender="a@example.com", to="b@example.net", data=self.message("refuse me"))
        self.assertEqual(refused.reply_to("."), (554, "5.7.1 as you wish"), refused)

    def test_the_process_lives_as_its_settings_say(self):
        base = self.box.directory("base", mode=0o755)
        (base / "hosts").write_text("192.0.2.1\n")
        root = self.box.directory("root", mode=0o755)
        conf = self.box.write("opendkim.conf", f"""BaseDirectory {base}
InternalHosts file:./hosts
Socket local:{base}/milter
UMask 017
PidFile {base}/pid
UserID nobody
ChangeRootDirectory {root}
EnableCoredumps yes
AutoRestart yes
AutoRestartRate 10/1h
Background no
Syslog no
""")
        # A sanitizer's leak checker finds no /proc below the new root.
        daemon = self.enterContext(Daemon(self.box, "milter-dkim", ["-x", conf], env={"ASAN_OPTIONS": "detect_leaks=0"}))
        parent = int((base / "pid").read_text())
        self.assertEqual(os.stat(base / "milter").st_mode & 0o777, 0o760)

        def worker():
            return int(pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])

        first = worker()
        self.assertEqual(os.readlink(f"/proc/{first}/root"), str(root))
        self.assertEqual(os.stat(f"/proc/{first}").st_uid, pwd.getpwnam("nobody").pw_uid)
        limits = pathlib.Path(f"/proc/{first}/limits").read_text()
        self.assertRegex(limits, r"Max core file size +unlimited +unlimited")
        os.kill(first, 9)
        wait_until(lambda: "starting it again" in daemon.log(), 10, "the supervisor")
        wait_until(lambda: daemon.log().count("OpenDKIM Filter v2.11.0 starting") == 2, 10, "a new worker")
        self.assertNotEqual(worker(), first)


if __name__ == "__main__":
    unittest.main()
