"""opendkim's letters that print and end, with the output and the exit codes measured on OpenDKIM 2.11, and --explain."""

import base64
import subprocess
import unittest

import dkim

from harness import SystemTest, program

MESSAGE = b"From: Alice <a@example.com>\r\nTo: b@example.net\r\nSubject: test\r\nDate: Sat, 21 Nov 2026 09:00:00 +0000\r\n\r\nHello\r\n"


class CommandLineTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.binary = self.box.path("opendkim")
        self.binary.symlink_to(program("milter-dkim"))
        self.key = self.box.path("s.private")
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", self.key, "2048"], check=True, capture_output=True)
        self.key.chmod(0o600)
        der = subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        self.public = base64.b64encode(der).decode()
        self.records = self.box.write("records", f"s._domainkey.example.com v=DKIM1; k=rsa; p={self.public}\n")
        self.conf = self.box.write("opendkim.conf", f"TestPublicKeys {self.records}\nSyslog no\nRequireSafeKeys no\n")
        signature = dkim.sign(MESSAGE, b"s", b"example.com", self.key.read_bytes())
        for name, octets in {"plain": MESSAGE, "signed": signature + MESSAGE, "bad": signature + MESSAGE.replace(b"Hello", b"Hallo"),
                             "lf": (signature + MESSAGE).replace(b"\r\n", b"\n"), "nofrom": b"Subject: x\r\n\r\nx\r\n"}.items():
            self.box.path(name).write_bytes(octets)
        self.signature = signature

    def run_it(self, *arguments, given=""):
        """Exit code, standard output, standard error."""
        done = subprocess.run([str(each) for each in (self.binary, *arguments)], input=given, capture_output=True, text=True,
                              cwd=self.box.path(""), timeout=60)
        return done.returncode, done.stdout, done.stderr

    def test_messages_in_files_are_verified(self):
        good = "opendkim: signed: verification (s=s, d=example.com, 2048-bit key) succeeded\n"
        bad = "opendkim: bad: verification (s=s d=example.com, 2048-bit key, unknown) failed: signature verification failed\n"
        for files, wanted in {
            "signed": (0, good, ""), "bad": (0, bad, ""), "bad,signed": (0, bad + good, ""), "lf": (0, good.replace("signed", "lf"), ""),
            "plain": (0, "opendkim: plain: message not signed\n", ""), "nofrom": (0, "", ""),
            "missing": (69, "", "opendkim: missing: fopen(): No such file or directory\n"),
        }.items():
            with self.subTest(files=files):
                self.assertEqual(self.run_it("-x", self.conf, "-t", files), wanted)
        self.assertEqual(self.run_it("-x", self.conf, "-t", "-", given=(self.signature + MESSAGE).decode()), (0, good.replace("signed:", "(stdin):"), ""))
        code, out, steps = self.run_it("-x", self.conf, "-vv", "-t", "signed")
        short = "".join(self.signature.decode().split())
        short = short[short.rindex("b=") + 2:][:8]
        self.assertEqual((code, out), (0, "### INSHEADER: idx=0 hname='Authentication-Results' hvalue='DEBUG-j;\n\tdkim=pass (2048-bit key) "
                                       f"header.d=example.com header.i=@example.com header.a=rsa-sha256 header.s=s header.b={short};\n"
                                       f"\tdkim-atps=neutral'\n{good}"))
        fields = self.signature.count(b"\r\n") + 1
        self.assertEqual(steps, "opendkim: mlfi_connect() returned SMFIS_CONTINUE\n" + "".join(
            f"opendkim: signed: {step}() returned {answer}\n" for step, answer in [
                ("mlfi_envfrom", "SMFIS_CONTINUE"), ("mlfi_envrcpt", "SMFIS_CONTINUE"), ("line 1: mlfi_header", "SMFIS_CONTINUE"),
                *[(f"line {fields + i}: mlfi_header", "SMFIS_CONTINUE") for i in range(4)], ("mlfi_eoh", "SMFIS_CONTINUE"),
                ("mlfi_body", "SMFIS_CONTINUE"), ("mlfi_eom", "SMFIS_ACCEPT")]) + "opendkim: mlfi_close() returned SMFIS_CONTINUE\n")

    def test_messages_in_files_are_signed_at_a_given_time(self):
        sign = ["-x", self.conf, "-b", "s", "-k", self.key, "-s", "s", "-F", "1700000000"]
        code, out, _ = self.run_it(*sign, "-d", "example.com", "-t", "plain")
        self.assertEqual(code, 0)
        self.assertTrue(out.startswith("opendkim: plain:\nDKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.com; s=s;\n"
                                       "\tt=1700000000; bh=Ba3gj8+xBPQLJTahTfzW6RbWQ/XPgESxkCi2B66PSQg=;\n\th=From:To:Subject:Date;\n\tb="), out)
        self.assertEqual(self.run_it(*sign, "-v", "-d", "example.org", "-t", "plain"),
                         (70, "", "opendkim: plain: mlfi_eoh() returned SMFIS_ACCEPT\n"))
        self.assertEqual(self.run_it("-F", "x", "-t", "plain"), (64, "", "opendkim: invalid time value\n"))
        strict = self.box.write("strict.conf", f"StrictTestMode yes\nTestPublicKeys {self.records}\n")
        self.assertEqual(self.run_it("-x", strict, "-t", "lf"), (65, "", "opendkim: lf: line 1: not CRLF-terminated\n"))
        self.assertEqual(self.run_it("-x", strict, "-t", "signed")[0], 0)

    def test_data_sets_are_asked(self):
        for given, wanted in {
            "csl:a=b:c,d\na/1\n": (0, "'b:c'\n\n", ""), f"file:{self.records}\ns._domainkey.example.com/1\n": (0, f"'v=DKIM1; k=rsa; p={self.public}'\n\n", ""),
            "csl:a=b:x,c\na/2\na/1\nc/0\n": (0, "'b'\n'x'\n'b:x'\n\n", ""), "csl:a\nzz/1\n": (0, "opendkim: dkimf_db_get(): record not found\n\n", ""),
            "csl:a\na\n": (64, "", "opendkim: invalid query 'a'\n"), "csl:a\n": (0, "\n", ""),
        }.items():
            with self.subTest(given=given):
                self.assertEqual(self.run_it("-Q", given=given), wanted)
        self.assertEqual(self.run_it("-Q", given="file:/nonexistent\nzz/1\n")[0], 70)

    def test_settings_are_extracted(self):
        for name, wanted in {"Syslog": (0, "False\n", ""), "TestPublicKeys": (0, f"{self.records}\n", ""), "Socket": (78, "", ""), "Foo": (65, "", "")}.items():
            with self.subTest(name=name):
                self.assertEqual(self.run_it("-x", self.conf, "-e", name), wanted)

    def test_exit_codes_of_mistakes(self):
        for arguments, code in [(["-x", self.conf, "-n"], 0), (["-n", "-x", "/nonexistent"], 78), (["-?"], 64), (["-Z"], 64), (["-x", self.conf, "word"], 64),
                                (["-x", self.conf, "-f"], 78), (["-x", self.conf, "-c", "foo", "-n"], 78), (["-x", self.conf, "-b", "q", "-n"], 78),
                                (["-x", self.conf, "-S", "foo", "-n"], 78), (["-x", self.conf, "-L", "foo", "-n"], 78)]:
            with self.subTest(arguments=arguments):
                self.assertEqual(self.run_it(*arguments)[0], code)
        code, version, _ = self.run_it("-V")
        self.assertEqual(code, 0)
        self.assertTrue(version.startswith("opendkim: OpenDKIM Filter v2.11.0\n\tPostern milter-dkim "), version)
        self.assertIn("\tSupported signing algorithms:\n\t\trsa-sha256\n\t\ted25519-sha256\n", version)

    def test_explain_tells_both_ways(self):
        conf = self.box.write("explain.conf", f"Domain example.com\nSelector s\nKeyFile {self.key}\nRequireSafeKeys no\n"
                              f"TestPublicKeys {self.records}\nAuthservID mx.example.com\n")
        code, out, error = self.run_it("--explain", "plain", "-x", conf)
        self.assertEqual((code, error), (0, ""))
        for line in ("Message plain\n", "  client          localhost [127.0.0.1], not logged in\n", "  so              it is signed, 1 signature\n",
                     "    covers        From, To, Subject, Date\n", "  + DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.com; s=s;\n"):
            self.assertIn(line, out)
        code, out, _ = self.run_it("--explain", "bad", "-x", conf, "--client", "192.0.2.7", "--mail-from", "x@example.org", "--rcpt", "b@example.net")
        self.assertEqual(code, 0)
        for line in ("  client          [192.0.2.7] [192.0.2.7], not logged in\n", "  MAIL FROM       <x@example.org>\n", "  RCPT TO         <b@example.net>\n",
                     "  so              it is verified\n", "  + Authentication-Results: mx.example.com;\n"):
            self.assertIn(line, out)
        self.assertIn("fail: signature verification failed; the body was changed", " ".join(out.split()))
        self.assertIn("  client          mail.example.org [2001:db8::1]", self.run_it("--explain", "plain", "-x", conf, "--client", "2001:db8::1=mail.example.org")[1])
        self.assertIn("logged in with PLAIN", self.run_it("--explain", "plain", "-x", conf, "--client", "192.0.2.7", "--authenticated")[1])
        self.assertEqual(self.run_it("--explain", "missing", "-x", conf)[0], 69)


if __name__ == "__main__":
    unittest.main()
