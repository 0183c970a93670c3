"""Configurations and dialogues as OpenDKIM's own tests have them, against our binary under the name opendkim, played by miltertest."""

import base64
import shutil
import subprocess
import unittest

import dkim

from harness import SystemTest, program

HEADER = [("From", "user@example.com"), ("Date", "Tue, 22 Dec 2009 13:04:12 -0800"), ("Subject", "Signing test")]
BODY = "This is a test!\r\n"
SIGNER = "Domain example.com\nKeyFile {key}\nSelector test\nRequireSafeKeys no\nBackground no\n"
VERIFIER = "Mode v\nTestPublicKeys {records}\nAuthservID mx.example.com\nBackground no\n"
STRANGER = ("mail.example.net", "192.0.2.7")

# One message; every step must answer "go on" until the reply that is wanted comes.
DIALOGUE = """
mt.startfilter("{binary}", "-x", "{conf}", "-p", "{socket}")
local conn = mt.connect("{socket}", 200, 0.05)
assert(conn, "the filter does not listen")
local function step(failure, what)
    if failure ~= nil then error(what .. " failed: " .. failure) end
    return mt.getreply(conn)
end
local replies = {{}}
local function goes_on(reply, what)
    if reply == SMFIR_CONTINUE or reply == SMFIR_SKIP then return true end
    mt.echo("reply to " .. what .. ": " .. string.char(reply))
    return false
end
local function play()
    if not goes_on(step(mt.conninfo(conn, {host}, "{address}"), "connect"), "connect") then return end
    {macros}
    if not goes_on(step(mt.mailfrom(conn, "user@example.com"), "mail"), "mail") then return end
    {recipients}
    {header}
    if not goes_on(step(mt.eoh(conn), "end of header"), "end of header") then return end
    if not goes_on(step(mt.bodystring(conn, {body}), "body"), "body") then return end
    goes_on(step(mt.eom(conn), "message"), "message")
    for number = 0, 9 do
        for _, name in ipairs({{"DKIM-Signature", "Authentication-Results"}}) do
            local value = mt.getheader(conn, name, number)
            if value then mt.echo(name .. ": " .. string.gsub(value, "%s+", " ")) end
        end
    end
    if mt.eom_check(conn, MT_HDRCHANGE, "Authentication-Results") or mt.eom_check(conn, MT_HDRDELETE, "Authentication-Results") then
        mt.echo("results removed")
    end
end
play()
mt.disconnect(conn)
"""


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t") + '"'


@unittest.skipUnless(shutil.which("miltertest"), "miltertest is not installed")
class OpenDkimWorldTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.binary = self.box.path("opendkim")
        self.binary.symlink_to(program("milter-dkim"))
        self.key = self.box.path("test.private")
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", self.key, "1024"], check=True, capture_output=True)
        self.key.chmod(0o600)
        der = subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        public = base64.b64encode(der).decode()
        self.records = self.box.write("records", f"test._domainkey.example.com v=DKIM1; k=rsa; p={public}\n"
                                      "revoked._domainkey.example.com v=DKIM1; k=rsa; p=\n")

    def play(self, settings, header=HEADER, body=BODY, client=("localhost", "127.0.0.1"), macros="", recipients=()):
        """What miltertest saw: replies that are not "go on", fields, removals; one a line."""
        self.number = getattr(self, "number", 0) + 1
        conf = self.box.write(f"{self.number}.conf", settings.format(key=self.key, records=self.records, box=self.box.path("")))
        fields = "".join(f"if not goes_on(step(mt.header(conn, {quoted(name)}, {quoted(value)}), 'header'), 'header') then return end\n"
                         for name, value in header)
        script = DIALOGUE.format(
            binary=self.binary, conf=conf, socket=f"unix:{self.box.path(f'{self.number}.sock')}", host=quoted(client[0]), address=client[1],
            macros="".join(f"mt.macro(conn, {stage}, {quoted(name)}, {quoted(value)})\n" for stage, name, value in macros),
            recipients="".join(f"step(mt.rcptto(conn, {quoted(each)}), 'rcpt')\n" for each in recipients), header=fields, body=quoted(body))
        done = self.box.run(["miltertest", "-s", self.box.write(f"{self.number}.lua", script)], check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def signed(self, body=BODY, selector="test", **changes):
        message = "".join(f"{name}: {value}\r\n" for name, value in HEADER) + "\r\n" + body
        field = dkim.sign(message.encode(), selector.encode(), b"example.com", self.key.read_bytes(), **changes).decode()
        return [("DKIM-Signature", field.split(": ", 1)[1].removesuffix("\r\n").replace("\r\n", "\n")), *HEADER]

    def test_signatures_have_the_tags_that_the_settings_ask_for(self):
        for settings, wanted in {
            "": ["v=1; a=rsa-sha256; c=simple/simple; d=example.com; s=test;", "h=From:Date:Subject;"],
            "Canonicalization relaxed/simple\n": ["c=relaxed/simple;", "bh=3VWGQGY+cSNYd1MGM+X6hRXU0stl8JCaQtl4mbX/j2I=;"],
            "SignatureTTL 600\n": [" x="],
            "BodyLengthDB csl:b@example.net\n": [" l=17;"],
            "RequestReports yes\n": ["r=y;"],
            "OversignHeaders From,Date\n": ["h=From:Date:Subject:From:Date;"],
            "OmitHeaders Subject\n": ["h=From:Date;"],
            "Diagnostics yes\n": ["z=From:=20user@example.com|Date:"],
            "ATPSDomains example.com\n": ["atps=example.com; atpsh=sha256;"],
        }.items():
            with self.subTest(settings=settings):
                seen = self.play(SIGNER + settings, recipients=["b@example.net"])
                self.assertIn("reply to message: a\n", seen)
                for each in wanted:
                    self.assertIn(each, seen)

    def test_tables_choose_keys_by_sender(self):
        self.box.write("keys", f"one example.com:test:{self.key}\ntwo %:other:{self.key}\nbad example.com:x:/nonexistent\n")
        self.box.write("senders", "user@example.com one:signer@%\n*@example.com two\nbad@example.com bad\n")
        tables = SIGNER.replace("Domain example.com\n", "") + "KeyTable {box}/keys\nSigningTable refile:{box}/senders\n"
        seen = self.play(tables)
        self.assertIn("d=example.com; s=test;", seen)
        self.assertIn("i=signer@example.com;", seen)
        self.assertEqual(seen.count("DKIM-Signature:"), 1)
        both = self.play(tables + "MultipleSignatures yes\n")
        self.assertEqual((both.count("DKIM-Signature:"), both.count("s=other;")), (2, 1))
        self.box.write("senders", "bad@example.com bad\n")
        self.assertEqual(self.play(tables, header=[("From", "bad@example.com"), *HEADER[1:]]), "reply to end of header: t\n")

    def test_who_may_sign(self):
        lists = self.box.write("macros", "daemon submission|smtps\n")
        for settings, client, macros, signs in [
            ("", STRANGER, [], False),
            ("InternalHosts 192.0.2.0/24\n", STRANGER, [], True),
            ("", ("localhost", "unspec"), [], True),
            ("", STRANGER, [("SMFIC_MAIL", "{auth_type}", "PLAIN")], True),
            ("MacroList daemon\n", STRANGER, [("SMFIC_MAIL", "{daemon}", "x")], True),
            ("MacroList daemon=submission\n", STRANGER, [("SMFIC_MAIL", "{daemon}", "submission")], True),
            (f"MacroList file:{lists}\n", STRANGER, [("SMFIC_MAIL", "{daemon}", "smtps")], True),
            ("MacroList daemon=other\n", STRANGER, [("SMFIC_MAIL", "{daemon}", "submission")], False),
            ("MTA submission\n", STRANGER, [("SMFIC_CONNECT", "{daemon_name}", "submission")], True),
        ]:
            with self.subTest(settings=settings, macros=macros):
                seen = self.play(SIGNER + "Mode sv\n" + settings, client=client, macros=macros)
                self.assertEqual("DKIM-Signature:" in seen, signs, seen)
        self.assertEqual(self.play(SIGNER + "DontSignMailTo csl:list@example.net\n", recipients=["b@example.net", "list@example.net"]),
                         "reply to end of header: a\n")
        self.assertEqual(self.play(SIGNER + "PeerList csl:127.0.0.1\n"), "reply to end of header: a\n")
        self.assertEqual(self.play(SIGNER + "ExemptDomains example.com\n"), "reply to end of header: a\n")

    def test_replaced_text_is_signed_as_it_will_leave(self):
        self.box.write("rules", "@host\\.example\\.com\t@example.com\n")
        seen = self.play(SIGNER + "ReplaceRules {box}/rules\nReplaceHeaders From\n", header=[("From", "user@host.example.com"), *HEADER[1:]])
        self.assertIn("d=example.com;", seen)

    def test_results_of_verification(self):
        good = self.signed()
        changed = [*good[:-1], ("Subject", "Another")]
        for settings, header, body, client, wanted in [
            ("", good, BODY, STRANGER, "mx.example.com; dkim=pass (1024-bit key) header.d=example.com header.i=@example.com header.a=rsa-sha256"),
            ("", good, BODY, ("localhost", "unspec"), "dkim=pass (1024-bit key)"),
            ("", changed, BODY, STRANGER, 'dkim=fail reason="signature verification failed" (1024-bit key)'),
            ("", good, "Another body\r\n", STRANGER, 'dkim=fail reason="signature verification failed" (1024-bit key)'),
            ("", self.signed(selector="revoked"), BODY, STRANGER, 'dkim=fail reason="key revoked"'),
            ("", self.signed(selector="gone"), BODY, STRANGER, 'dkim=fail reason="key not found in DNS"'),
            ("", [("DKIM-Signature", good[0][1].replace("v=1;", "v=1; c=odd;").replace("c=relaxed/simple;", "")), *HEADER], BODY,
             STRANGER, "dkim=permerror header.d=example.com"),
            ("AlwaysAddARHeader yes\n", HEADER, BODY, STRANGER, "mx.example.com; dkim=none; dkim-atps=neutral"),
            ("", [("Subject", "no sender")], BODY, STRANGER, "mx.example.com; dkim=permerror (bad message/signature format)"),
            ("NoHeaderB yes\n", good, BODY, STRANGER, "header.a=rsa-sha256 header.s=test; dkim-atps"),
        ]:
            with self.subTest(settings=settings, wanted=wanted):
                seen = self.play(VERIFIER + settings, header=header, body=body, client=client)
                self.assertIn("reply to message: a\n", seen)
                self.assertIn(wanted, seen)
        self.assertEqual(self.play(VERIFIER, header=HEADER), "reply to message: a\n")

    def test_bad_mail_is_refused_where_that_is_asked_for(self):
        changed = [*self.signed()[:-1], ("Subject", "Another")]
        self.assertTrue(self.play(VERIFIER + "On-BadSignature reject\n", header=changed, client=STRANGER).startswith("reply to message: y\n"))
        self.assertTrue(self.play(VERIFIER + "On-NoSignature tempfail\n", client=STRANGER).startswith("reply to message: y\n"))
        two = [("From", "user@example.com"), *HEADER]
        self.assertTrue(self.play(VERIFIER + "RequiredHeaders yes\n", header=two, client=STRANGER).startswith("reply to end of header: y\n"))
        self.assertNotIn("dkim=pass", self.play(VERIFIER, header=[("From", "ceo@bank.example"), *self.signed(include_headers=[
            b"From", b"From", b"Subject"])], client=STRANGER))

    def test_results_that_claim_our_name_go(self):
        for value in ("mx.example.com; dkim=pass header.d=bank.example", "mx.example.com/1; dkim=pass", "mx.example.com", "(x) mx.example.com;",
                      '"mx.example.com"; spf=pass', "MX.EXAMPLE.COM 1; dkim=pass", "mx.example.com; dkim=pa\tss header"):
            with self.subTest(value=value):
                self.assertIn("results removed", self.play(VERIFIER, header=[("Authentication-Results", value), *HEADER], client=STRANGER))
        for value in ("other.example.com; dkim=pass", "; dkim=pass"):
            with self.subTest(value=value):
                self.assertNotIn("results removed", self.play(VERIFIER, header=[("Authentication-Results", value), *HEADER], client=STRANGER))

    def test_the_configuration_check_finds_what_cannot_work(self):
        def check(settings):
            conf = self.box.write("check.conf", settings.format(key=self.key))
            return self.box.run([self.binary, "-n", "-x", conf], check=False).returncode
        self.assertEqual(check(SIGNER + "#" + "x" * 3000 + "\n"), 0)
        self.assertEqual(check(SIGNER.replace("{key}", "/nonexistent")), 78)
        self.assertEqual(check("KeyTable /nonexistent\nSigningTable refile:/nonexistent\n"), 78)
        self.assertEqual(check("Mode x\n"), 78)


if __name__ == "__main__":
    unittest.main()
