"""What On-BadSignature and the others make of a message: each option with each of its values, in OpenDKIM's words."""

import os
import subprocess
import unittest

import dkim

from harness import Sqlite, Talk, wait_until
from harness.milter import MilterClient, message
from spf_dns import txt
from test_milter_dkim_faults import BODY, FIELDS, LOCAL, DkimCase

# 384 bits: too few for PKCS #1 with SHA-256, so OpenSSL takes it and does not sign.
TINY = ("MIHyAgEAAjEAxXMFVq4bZlABi7r9AhUlyZ/JRRvQseZRBbuDS90VyEdtRaE//8fy+pp9BYaD2F99AgMBAAECMBoN+35cqzDtDccqfYhw0fOxKhX8faV8Bqmm"
        "2ci8a/7X3oKNjNaVewbvgZwZ4nI4AQIZAOdjeyi5r5peC0mMHphRMsy7Onk2HH4cQQIZANpzZqPIjtC6VZk1l7DPCTmjVDPgqzKkPQIYQYLl7Lrd3+u+cF1O"
        "kDt1EYf03zqVyJLBAhhX/a/UPQ65qLSd9+ZYA6z1mIJsOwz6YwkCGQCZVVuP0H9Mhhlm7w3F5zR5DDGYWEV8S90=")
BREAKS = "if odkim.get_header(ctx, '{}', 0) then nonsense.here() end"  # of a message that is marked so
VALUES = ("accept", "discard", "quarantine", "reject", "tempfail")
TEXTS = {"On-BadSignature": b"bad DKIM signature data", "On-DNSError": b"DKIM key retrieval failed",
         "On-InternalError": b"internal DKIM error", "On-KeyNotFound": b"DKIM key retrieval failed",
         "On-NoSignature": b"no DKIM signature data", "On-Security": b"message header too large",
         "On-SignatureError": b"DKIM signing error"}
DEFAULTS = {"On-BadSignature": "accept", "On-DNSError": "tempfail", "On-InternalError": "tempfail", "On-KeyNotFound": "accept",
            "On-NoSignature": "accept", "On-Security": "tempfail", "On-SignatureError": "reject"}
LOG = {"On-BadSignature": "bad signature data", "On-DNSError": "key retrieval failed (s=fail, d=example.com): ",
       "On-InternalError": "dkimf_lua_setup_hook() failed: ", "On-KeyNotFound": "key retrieval failed (s=gone, d=example.com): ",
       "On-NoSignature": "no signature data", "On-Security": "too much header data",
       "On-SignatureError": "signature generation error: "}


def expected(value, text, enhanced="4.7.0"):
    """Letter, reply text and reason for quarantine."""
    return {"accept": ("a", b"", None), "discard": ("d", b"", None), "quarantine": ("a", b"", text),
            "reject": ("y", b"550 5.7.0 " + text, None), "tempfail": ("y", b"451 " + enhanced.encode() + b" " + text, None)}[value]


class ActionTest(DkimCase):
    def setUp(self):
        super().setUp()
        self.dns.records.update({"fail._domainkey.example.com": [("FAIL", None)], "revoked._domainkey.example.com": [txt("v=DKIM1; p=")]})
        self.script = self.box.write("setup.lua", BREAKS.format("X-Break"))
        good = self.signed()
        self.changed = [*good[:3], (b"Subject", b" other"), good[4]]
        own = [(b"From", b" a@tiny.example.com"), *FIELDS[1:]]
        self.messages = {
            "On-BadSignature": (self.changed,), "On-DNSError": (self.signed(b"fail"),),
            "On-InternalError": ([(b"X-Break", b" x"), *FIELDS],), "On-KeyNotFound": (self.signed(b"gone"),),
            "On-NoSignature": (FIELDS,), "On-Security": ([(b"X-Long", b" " + b"x" * 7000)] * 10 + FIELDS,),
            "On-SignatureError": (own, LOCAL)}

    def daemon(self, settings=""):
        return super().daemon(f"DNSTimeout 2\nLogWhy yes\nMinimumKeyBits 384\nSetupPolicyScript {self.script}\n"
                              f"KeyTable csl:tiny=tiny.example.com:t:{TINY},own=example.com:s:{self.key}\n"
                              f"SigningTable csl:tiny.example.com=tiny,example.com=own\n{settings}")

    def play(self, fields, client=("client.example.org", "192.0.2.7"), body=BODY, is_signed=False):
        with MilterClient(self.socket, client) as milter:
            seen, letter, text = milter.send(fields, body)
            self.assertEqual(any(name == b"DKIM-Signature" and (name, value) not in fields for name, value in seen), is_signed)
            self.assertFalse(any(b"dkim=pass" in value for _, value in seen))
            return letter, text, milter.held

    def check_all(self, handling, settings):
        with self.daemon(settings) as daemon:
            for option, message in self.messages.items():
                with self.subTest(settings=settings, met=option):
                    enhanced = "4.7.5" if option in ("On-DNSError", "On-KeyNotFound") else "4.7.0"
                    self.assertEqual(self.play(*message), expected(handling[option], TEXTS[option], enhanced))
            for option, line in LOG.items():
                if (option, handling[option]) != ("On-NoSignature", "accept"):  # only for debugging
                    self.assertIn(f": {line}", daemon.log())
            # Neither keeps good mail from being verified and signed.
            with MilterClient(self.socket) as milter:
                self.assertIn(b"dkim=pass", milter.send(self.signed(), BODY)[0][0][1])
            with MilterClient(self.socket, LOCAL) as milter:
                self.assertEqual(milter.send(FIELDS, BODY)[0][0][0], b"DKIM-Signature")

    def test_each_option_decides_its_own_messages_and_on_default_the_others(self):
        for number, option in enumerate(DEFAULTS):
            for value in VALUES:
                other = VALUES[(VALUES.index(value) + 1 + number % 4) % 5]
                handling = {**dict.fromkeys(DEFAULTS, other), option: value}
                # The order of the lines does not matter.
                lines = [f"On-Default {other}\n", f"{option} {value}\n"]
                self.check_all(handling, "".join(lines if number % 2 else reversed(lines)))

    def test_the_defaults_are_the_documented_ones(self):
        self.check_all(DEFAULTS, "")

    def test_every_kind_of_bad_signature_is_one(self):
        good = self.signed()
        broken = [(b"DKIM-Signature", b" v=1; a=rsa-sha256; d=example.com; s"), *FIELDS]
        expired = [(good[0][0], good[0][1].replace(b"v=1;", b"v=1; x=1;").replace(b" t=", b" n=")), *FIELDS]
        for value in VALUES:
            with self.daemon(f"On-BadSignature {value}\n") as daemon:
                for name, fields, body in (("header", self.changed, BODY), ("body", good, b"other\r\n"),
                                           ("revoked", self.signed(b"revoked"), BODY), ("expired", expired, BODY)):
                    with self.subTest(value=value, name=name):
                        self.assertEqual(self.play(fields, body=body), expected(value, TEXTS["On-BadSignature"]))
                # What is refused is refused before the body; the others wait for the results.
                text = b"DKIM signature syntax error" if value in ("discard", "reject", "tempfail") else TEXTS["On-BadSignature"]
                self.assertEqual(self.play(broken), expected(value, text))
                self.assertIn("4ABCDEF: syntax error: ", daemon.log())
                self.assertIn("4ABCDEF: key revoked (s=revoked, d=example.com, a=rsa-sha256)", daemon.log())

    def test_a_script_that_breaks_decides_the_same_in_every_hook_and_for_mail_of_our_own(self):
        for hook in ("Setup", "Screen", "Final"):
            for value in VALUES:
                with self.daemon(f"{hook}PolicyScript {self.box.write('hook.lua', BREAKS.format('X-Hook'))}\nOn-InternalError {value}\n"):
                    for client in (("client.example.org", "192.0.2.7"), LOCAL):
                        if hook == "Screen" and client == LOCAL:
                            continue  # runs only where something is verified
                        with self.subTest(hook=hook, value=value, client=client):
                            # What was to be signed does not pass unsigned, once that is known.
                            is_signed = hook == "Final" and client == LOCAL and value in ("accept", "quarantine")
                            self.assertEqual(self.play([(b"X-Hook", b" x"), *FIELDS], client, is_signed=is_signed),
                                             expected(value, TEXTS["On-InternalError"]))

    def test_a_script_asks_a_database_that_may_be_away(self):
        database = Sqlite(self.box, "CREATE TABLE friends (name TEXT); INSERT INTO friends VALUES ('example.com')")
        script = self.box.write("friends.lua", f"""
            local friends = odkim.db_open("dsn:sqlite://{database.path}/table=friends?keycol=name?datacol=name")
            local known = odkim.db_check(friends, odkim.get_fromdomain(ctx))
            odkim.log(ctx, "known: " .. tostring(known))
            if known == nil then odkim.set_result(ctx, SMFIS_TEMPFAIL) end
            if known == 0 then odkim.set_result(ctx, SMFIS_REJECT) end""")
        stranger = [(b"From", b" a@example.net"), *FIELDS[1:]]
        with self.daemon(f"SetupPolicyScript {script}\n") as daemon:
            self.assertEqual([self.play(fields)[0] for fields in (FIELDS, stranger, FIELDS)], ["a", "r", "a"])
            away = self.box.path("away")
            database.path.rename(away)
            database.path.mkdir()
            self.assertEqual([self.play(fields)[0] for fields in (FIELDS, stranger)], ["t", "t"])
            self.assertIn("known: nil", daemon.log())


class MetricsTest(DkimCase):
    def metrics(self):
        with Talk(str(self.box.path("metrics"))) as talk:
            talk.send(b"GET /metrics HTTP/1.0\r\n\r\n")
            return talk.rest().decode()

    def shown(self, page, prefix):
        """Series that are not 0, without the buckets and sums of times."""
        lines = (line.rsplit(" ", 1) for line in page.splitlines() if line.startswith(prefix))
        return {name.removeprefix(prefix): int(value) for name, value in lines
                if value != "0" and "_bucket" not in name and "_sum" not in name}

    def test_the_page_counts_messages_results_by_whose_domain_times_and_the_age_of_keys(self):
        os.utime(self.key, (1700000000, 1700000000))
        ed25519 = self.box.path("e.private")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", ed25519], check=True)
        ed25519.chmod(0o600)
        self.dns.records["fail._domainkey.example.com"] = [("FAIL", None)]
        good = self.signed()
        foreign = [good[0], (b"From", b" a@other.example"), *good[2:]]
        below = [self.signed_as(b" a@sub.example.com")[0], (b"From", b" a@sub.example.com"), *FIELDS[1:]]
        broken = [(b"DKIM-Signature", b" v=1; d=x; d=y"), *FIELDS]
        settings = (f"MetricsListen {self.box.path('metrics')}\nKeyTable csl:r=example.com:s:{self.key},e=example.com:e:{ed25519}\n"
                    f"SigningTable refile:{self.box.write('senders', '*@example.com r,e')}\nOn-Default tempfail\nOn-NoSignature accept\n"
                    f"On-KeyNotFound accept\nOn-BadSignature accept\n")
        with self.daemon(settings) as daemon:
            with MilterClient(self.socket, LOCAL) as milter:
                for _ in range(3):
                    self.assertEqual(milter.send(FIELDS, BODY)[1], "a")
            with MilterClient(self.socket) as milter:
                for fields, body in ((good, BODY), (good, b"other\r\n"), (foreign, BODY), (below, BODY), (self.signed(b"fail"), BODY),
                                     (self.signed(b"gone"), BODY), (broken, BODY), (FIELDS, BODY), ([*good[:1], *self.signed()], BODY)):
                    milter.send(fields, body)
            page = self.metrics()
            self.assertEqual(self.shown(page, "postern_dkim_"), {
                'messages_total{outcome="signed"}': 3, 'messages_total{outcome="verified"}': 8,
                'messages_total{outcome="unsigned"}': 1, "signing_seconds_count": 3, "verifying_seconds_count": 9,
                'signatures_made_total{algorithm="rsa-sha256"}': 3, 'signatures_made_total{algorithm="ed25519-sha256"}': 3,
                'signatures_verified_total{result="pass",domain="author"}': 4,
                'signatures_verified_total{result="fail",domain="author"}': 2,
                'signatures_verified_total{result="fail",domain="other"}': 1,
                'signatures_verified_total{result="permerror",domain="other"}': 1,
                'signatures_verified_total{result="temperror",domain="author"}': 1, "tempfails_total": 1,
                "oldest_key_timestamp_seconds": 1700000000})
            # One question for each name that was not known yet.
            self.assertEqual(self.shown(page, "postern_dns_")["seconds_count"], 3)
            os.utime(self.key, (1710000000, 1710000000))
            daemon.reload()
            wait_until(lambda: "oldest_key_timestamp_seconds 1710000000" in self.metrics(), 10, "the newer key")

    def signed_as(self, sender):
        field = dkim.sign(message([(b"From", sender), *FIELDS[1:]], BODY), b"s", b"example.com", self.key.read_bytes())
        name, value = field.removesuffix(b"\r\n").split(b":", 1)
        return [(name, value)]


if __name__ == "__main__":
    unittest.main()
