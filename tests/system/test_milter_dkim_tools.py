"""milter-dkim's tools against real name servers (Knot), nsupdate and OpenSSL."""

import base64
import os
import re
import shutil
import stat
from pathlib import Path

from harness import Daemon, Knot, Postfix, SystemTest, swaks, wait_until
from harness.daemon import SOURCE

BUILD = Path(os.environ.get("POSTERN_BUILD", SOURCE / "build"))
ZONE = "a.example"
SECRET = base64.b64encode(b"thirty-two octets of test secret").decode()
TSIG = ("postern.update", "hmac-sha256", SECRET)
OLD = 'mail._domainkey 60 IN TXT "v=DKIM1; k=rsa; p=OLD"\n'
NEW_NAME, OLD_NAME = f"202611._domainkey.{ZONE}", f"mail._domainkey.{ZONE}"
# Stands in for the daemon: a process of its name that counts its reloads.
STAND_IN = 'trap "echo reload >>$1" USR1; echo $$ >$2; while :; do sleep 0.05; done\n'


def tool(name):
    return BUILD / "milter-dkim/tools" / f"milter-dkim-{name}"


class GenkeyTest(SystemTest):
    def test_openssl_finds_the_public_key_that_the_record_has(self):
        self.box.run([tool("genkey"), "-D", self.box.root, "-d", ZONE, "-s", "sel"])
        private = self.box.path("sel.private")
        public = self.box.run(["openssl", "pkey", "-in", private, "-pubout"]).stdout
        record = self.box.path("sel.txt").read_text()
        self.assertEqual("".join(public.splitlines()[1:-1]), "".join(re.findall('"([^"]*)"', record)[1:])[2:])
        self.assertEqual(stat.S_IMODE(private.stat().st_mode), 0o600)
        self.assertIn("2048 bit", self.box.run(["openssl", "pkey", "-in", private, "-text", "-noout"]).stdout)

    def test_knot_serves_the_record_file_of_both_key_types(self):
        self.box.run([tool("genkey"), "-D", self.box.root, "-b", "4096", "-s", "big", "-n", 'a "note"; here'])
        self.box.run([tool("genkey"), "-D", self.box.root, "-s", "ed", "--type", "ed25519", "-ard", ZONE])
        zone = "".join(self.box.path(f"{name}.txt").read_text() for name in ("big", "ed"))
        with Knot(self.box, {ZONE: zone}) as dns:
            self.assertRegex(dns.ask(f"big._domainkey.{ZONE}").replace('" "', ""),
                             r'v=DKIM1; n=\\"a =22note=22=3B here\\"; h=sha256; k=rsa; p=[A-Za-z0-9+/]{734}==')
            self.assertRegex(dns.ask(f"ed._domainkey.{ZONE}").replace('" "', ""),
                             r"v=DKIM1; h=sha256; k=ed25519; s=email; p=[A-Za-z0-9+/]{43}=")


class MessageAndZoneTest(SystemTest):
    """The tools of one key, judged by dkimpy, by Knot and by nsupdate."""

    MESSAGE = f"From: a@{ZONE}\nTo: b@b.example\nSubject: x\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\nhello\n\n"

    def setUp(self):
        for name, kind in (("rsa", "rsa"), ("ed", "ed25519")):
            self.box.run([tool("genkey"), "-D", self.box.root, "-d", ZONE, "-s", name, "--type", kind])

    def serve(self):
        records = "".join(self.box.path(f"{name}.txt").read_text() for name in ("rsa", "ed"))
        dns = self.enterContext(Knot(self.box, {ZONE: records}))
        resolver = self.box.write("ub.conf", 'server:\n do-not-query-localhost: no\nforward-zone:\n name: "."\n'
                                  f" forward-addr: {dns.server}\n")
        self.conf = self.box.write("opendkim.conf", f"ResolverConfiguration {resolver}\n")
        return dns

    def test_signatures_verify_with_dkimpy_and_its_signatures_here(self):
        import dkim
        dns = self.serve()

        def look_up(name, timeout=5):
            return dns.ask(name.decode().rstrip(".")).strip().replace('" "', "").strip('"').encode()

        for name, algorithm in (("rsa", b"rsa-sha256"), ("ed", b"ed25519-sha256")):
            key = self.box.path(f"{name}.private")
            signed = self.box.run([tool("testmsg"), "-d", ZONE, "-s", name, "-k", key], input=self.MESSAGE).stdout
            self.assertIn(f"a={algorithm.decode()};", signed)
            self.assertTrue(dkim.verify(signed.replace("\n", "\r\n").encode(), dnsfunc=look_up), signed)
            self.assertFalse(dkim.verify(signed.replace("hello", "hallo").replace("\n", "\r\n").encode(), dnsfunc=look_up))
            own = self.box.run([tool("testmsg"), "-x", self.conf], input=signed)
            self.assertEqual((own.stdout, own.stderr), ("", ""))
        theirs = dkim.sign(self.MESSAGE.replace("\n", "\r\n").encode(), b"rsa", ZONE.encode(),
                           self.box.path("rsa.private").read_bytes()).decode() + self.MESSAGE.replace("\n", "\r\n")
        self.assertEqual(self.box.run([tool("testmsg"), "-x", self.conf], input=theirs).stderr, "")
        broken = self.box.run([tool("testmsg"), "-x", self.conf], input=theirs.replace("hello", "hallo"), check=False)
        self.assertEqual(broken.returncode, 70)
        self.assertIn("milter-dkim-testmsg: verifying: Bad signature", broken.stderr)

    def test_testkey_compares_with_the_published_record(self):
        self.serve()
        for name in ("rsa", "ed"):
            done = self.box.run([tool("testkey"), "-x", self.conf, "-d", ZONE, "-s", name, "-k",
                                 self.box.path(f"{name}.private"), "-vvv"])
            self.assertEqual(done.stdout, "milter-dkim-testkey: key OK\n")
        wrong = self.box.run([tool("testkey"), "-x", self.conf, "-d", ZONE, "-s", "rsa", "-k", self.box.path("ed.private")],
                             check=False)
        self.assertEqual((wrong.returncode, wrong.stdout), (65, "milter-dkim-testkey: keys do not match\n"))
        table = self.box.write("KeyTable", "".join(f"{name} {ZONE}:{name}:{self.box.path(name)}.private\n"
                                                   for name in ("rsa", "ed")))
        self.conf.write_text(self.conf.read_text() + f"KeyTable {table}\nSigningTable csl:{ZONE}=rsa\n")
        link = self.box.path("opendkim-testkey")
        link.symlink_to(tool("testkey"))
        done = self.box.run([link, "-x", self.conf, "-v"])
        self.assertEqual(done.stdout, "opendkim-testkey: 2 keys checked; 2 pass, 0 fail\n")

    def test_knot_loads_the_zone_and_nsupdate_the_script_of_genzone(self):
        table = self.box.write("KeyTable", "".join(f"{name} {ZONE}:{name}:{self.box.path(name)}.private\n"
                                                   for name in ("rsa", "ed")))
        zone = self.box.run([tool("genzone"), "-D", table]).stdout
        expected = {name: "v=DKIM1;k={};p={}".format(kind, re.findall("p=([^ ]*)", "".join(re.findall(
            '"([^"]*)"', self.box.path(f"{name}.txt").read_text())))[0]) for name, kind in (("rsa", "rsa"), ("ed", "ed25519"))}
        by_file = self.enterContext(Knot(self.box, {ZONE: zone}, name="by-file"))
        by_update = self.enterContext(Knot(self.box, {ZONE: ""}, updates=True, name="by-update"))
        script = self.box.run([tool("genzone"), "-u", "-N", f"127.0.0.1 {by_update.port}", table]).stdout
        self.box.run(["nsupdate"], input=script)
        for name, text in expected.items():
            for server in (by_file, by_update):
                self.assertEqual(server.ask(f"{name}._domainkey.{ZONE}").strip().replace('" "', "").strip('"'), text)


class RotateTest(SystemTest):
    """A KeyTable of one row, a zone on a primary that takes signed updates, and a secondary of our making."""

    def setUp(self):
        self.primary = self.enterContext(Knot(self.box, {ZONE: OLD}, updates=True, tsig=TSIG, name="primary"))
        self.secondary = self.enterContext(Knot(self.box, {ZONE: OLD}, name="secondary"))
        self.box.run([tool("genkey"), "-D", self.box.directory("keys"), "-s", "mail"])
        self.table = self.box.write("KeyTable", f"# keys\nk {ZONE}:mail:{self.box.path('keys/mail.private')}  # a\n")
        signing = self.box.write("SigningTable", f"*@{ZONE} k\n")
        self.pid_file = self.box.path("daemon.pid")
        self.conf = self.box.write("opendkim.conf", f"KeyTable file:{self.table}\nSigningTable refile:{signing}\n"
                                   f"PidFile {self.pid_file}\n")
        self.tsig = self.box.write("tsig.key", f'key "{TSIG[0]}" {{\n\talgorithm {TSIG[1]};\n\tsecret "{SECRET}";\n}};\n')
        self.reloads = self.box.write("reloads", "")

    def start_stand_in(self):
        shell = self.box.path("milter-dkim")
        shutil.copy("/bin/bash", shell)
        self.box.start("daemon", [shell, self.box.write("daemon.sh", STAND_IN), self.reloads, self.pid_file])
        wait_until(lambda: self.pid_file.exists() and self.pid_file.read_text().strip(), 10, "the stand-in's pid")

    def arguments(self, *more, date="2026-11-21"):
        return [tool("rotate"), "-x", self.conf, "--state", self.box.path("state"), "--date", date, "--interval",
                "100ms", "--wait", "20s", "--authority", self.primary.server, "--authority", self.secondary.server,
                "--resolver", self.primary.server, "--server", self.primary.server, *more]

    def rotate(self, *more, date="2026-11-21", check=True):
        return self.box.run(self.arguments(*more, date=date), check=check)

    def shown(self, server, name):
        return server.ask(name).strip().replace('" "', "").strip('"')

    def catch_up(self):
        """What a zone transfer does."""
        records = [(name, self.shown(self.primary, f"{name}._domainkey.{ZONE}")) for name in ("mail", "202611")]
        pieces = {name: " ".join(f'"{text[at:at + 255]}"' for at in range(0, len(text), 255)) for name, text in records}
        self.secondary.set_zone(ZONE, "".join(f"{name}._domainkey 60 IN TXT {text}\n"
                                              for name, text in pieces.items() if text))

    def check_switched(self):
        self.assertEqual(self.table.read_text(), f"# keys\nk {ZONE}:202611:{self.box.path('keys/202611.private')}  # a\n")
        public = self.box.run(["openssl", "pkey", "-in", self.box.path("keys/202611.private"), "-pubout"]).stdout
        expected = "v=DKIM1; h=sha256; k=rsa; p=" + "".join(public.splitlines()[1:-1])
        for server in (self.primary, self.secondary):
            self.assertEqual(self.shown(server, NEW_NAME), expected)
        self.assertEqual(sorted(os.listdir(self.box.path("keys"))), ["202611.private", "mail.private", "mail.txt"])

    def test_waits_for_the_secondary_then_switches_and_at_last_revokes(self):
        self.start_stand_in()
        before = self.table.read_text()
        self.assertNotIn("202611", before)
        running = self.box.start("rotate", self.arguments("-k", self.tsig))
        wait_until(lambda: f"{self.secondary.server}): has no record" in running.log(), 20, running.log)
        self.assertEqual(self.table.read_text(), before)
        self.assertEqual(self.reloads.read_text(), "")
        self.catch_up()
        wait_until(running.ended, 20, running.log)
        self.assertEqual(running.child.returncode, 0, running.log())
        self.check_switched()
        wait_until(lambda: self.reloads.read_text() == "reload\n", 10, "one reload")

        self.rotate("-k", self.tsig, date="2026-11-30")
        self.assertEqual(self.shown(self.primary, OLD_NAME), "v=DKIM1; k=rsa; p=OLD")
        late = self.rotate("-k", self.tsig, "--pattern", "202611", "--wait", "0s", date="2026-12-05", check=False)
        self.assertEqual(late.returncode, 75, late.stderr)
        self.assertEqual(self.shown(self.primary, OLD_NAME), "v=DKIM1; k=rsa; p=")
        self.catch_up()
        self.rotate("-k", self.tsig, "--pattern", "202611", date="2026-12-06")
        self.assertEqual(os.listdir(self.box.path("state")), ["lock"])
        self.assertEqual(self.reloads.read_text(), "reload\n")

    def test_the_running_daemon_signs_with_the_new_key_after_it(self):
        port = self.box.port()
        self.conf.write_text(self.conf.read_text() + f"Socket inet:{port}@127.0.0.1\nBackground no\nSyslog no\n"
                             f"SyslogSuccess yes\nRequireSafeKeys no\nNameservers {self.primary.server}\n")
        daemon = self.enterContext(Daemon(self.box, "milter-dkim", ["-x", self.conf]))
        postfix = self.enterContext(Postfix(self.box, main={
            "virtual_mailbox_domains": "b.example", "virtual_mailbox_maps": "static:all",
            "virtual_transport": "discard:", "smtpd_recipient_restrictions": "permit",
            "milter_default_action": "tempfail", "smtpd_milters": f"inet:127.0.0.1:{port}"}))

        def send(selector):
            swaks(postfix.smtp_port, sender=f"a@{ZONE}", to="b@b.example", headers=[f"From: a@{ZONE}"])
            return f"DKIM-Signature field added (s={selector}, d={ZONE})" in daemon.log()

        self.assertTrue(send("mail"), daemon.log())
        self.secondary = self.primary
        done = self.rotate("-k", self.tsig)
        self.assertIn(f"SIGUSR1 sent to process {daemon.pid}", done.stderr)
        wait_until(lambda: send("202611"), 20, daemon.log)

    def test_a_wrong_secret_or_no_key_is_refused_and_nothing_is_switched(self):
        before = self.table.read_text()
        wrong = self.box.write("wrong.key", f"hmac-sha256:{TSIG[0]}:{base64.b64encode(b'another').decode()}")
        unknown = self.box.write("unknown.key", f"hmac-sha256:nobody:{SECRET}")
        for key, text in ((["-k", wrong], "NOTAUTH.*BADSIG"), (["-k", unknown], "NOTAUTH.*BADKEY"),
                          (["--publish", "nsupdate"], "does not update a.example: (REFUSED|NOTAUTH)")):
            done = self.rotate(*key, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr, text)
        self.assertEqual(self.table.read_text(), before)
        self.assertEqual(self.shown(self.primary, NEW_NAME), "")

    def test_larger_hashes_sign_updates_too(self):
        for algorithm in ("hmac-sha384", "hmac-sha512"):
            zone = f"{algorithm}.example"
            with Knot(self.box, {zone: ""}, updates=True, tsig=("k", algorithm, SECRET), name=algorithm) as dns:
                conf = self.box.write("other.conf", f"Domain {zone}\nSelector mail\nKeyFile "
                                      f"{self.box.path('keys/mail.private')}\n")
                self.box.run([tool("rotate"), "-x", conf, "--state", self.box.path(algorithm), "--date", "2026-11-21",
                              "--interval", "100ms", "--resolver", dns.server, "--port", dns.port, "-D",
                              self.box.directory(f"keys-{algorithm}"), "--reload", "true", "-k",
                              self.box.write("k", f"{algorithm}:k:{SECRET}")])
                self.assertIn("v=DKIM1", dns.ask(f"202611._domainkey.{zone}"))
                self.assertIn("Selector 202611\n", conf.read_text())

    def test_the_zone_its_servers_and_its_primary_are_found_in_the_dns(self):
        run = [tool("rotate"), "-x", self.conf, "--state", self.box.path("state"), "--date", "2026-11-21", "--interval",
               "100ms", "--resolver", self.primary.server, "--port", self.primary.port, "-k", self.tsig]
        done = self.box.run(run)
        self.assertIn(f"by an update of the zone {ZONE} at {self.primary.server}, signed with {TSIG[0]}", done.stderr)
        self.assertIn(":202611:", self.table.read_text())
        self.assertIn("not running", done.stderr)

    def test_nsupdate_and_knsupdate_take_the_script(self):
        self.secondary = self.primary
        for command in ("nsupdate", "knsupdate"):
            if shutil.which(command) is None:
                self.skipTest(f"{command} is not installed")
            state = self.box.path(f"state-{command}")
            key = self.tsig if command == "nsupdate" else self.box.write("kn.key", f"{TSIG[1]}:{TSIG[0]}:{SECRET}")
            self.box.run([*self.arguments("--command", f"{command} -k {key}", "--reload", "true",
                                          "--pattern", command), "--state", state])
            self.assertIn(f":{command}:", self.table.read_text())

    def test_the_printed_record_can_be_published_by_hand(self):
        self.secondary = self.primary
        waiting = self.rotate("--wait", "0s", "--reload", "true", check=False)
        self.assertEqual(waiting.returncode, 75, waiting.stderr)
        self.assertRegex(waiting.stdout, rf'^{NEW_NAME}\. 3600 IN TXT "v=DKIM1; h=sha256; k=rsa; p=.*" ".*"\n$')
        self.box.run(["knsupdate"], input=f"server 127.0.0.1 {self.primary.port}\nzone {ZONE}.\n"
                     f"key {TSIG[1]}:{TSIG[0]} {SECRET}\nupdate add {waiting.stdout.replace(' IN TXT ', ' TXT ')}send\n")
        self.assertEqual(self.rotate("--reload", "true").stdout, "")
        self.check_switched()

    def test_killed_while_it_publishes_or_reloads_it_goes_on(self):
        self.secondary = self.primary
        mark = self.box.path("mark")
        kill_once = f"if [ ! -e {mark} ]; then touch {mark}; kill -9 $PPID; fi"
        publish = f"nsupdate -k {self.tsig}"
        killed = self.rotate("--command", f"{publish}; {kill_once}", "--reload", "true", check=False)
        self.assertEqual(killed.returncode, -9, killed.stderr)
        self.assertIn(":mail:", self.table.read_text())
        mark.unlink()
        killed = self.rotate("--command", publish, "--reload", kill_once, check=False)
        self.assertEqual(killed.returncode, -9, killed.stderr)
        self.assertIn(":202611:", self.table.read_text())
        self.rotate("--command", publish, "--reload", f"echo reload >>{self.reloads}")
        self.check_switched()
        self.assertEqual(self.reloads.read_text(), "reload\n")
        self.assertEqual(self.shown(self.primary, OLD_NAME), "v=DKIM1; k=rsa; p=OLD")

    def test_a_dry_run_tells_all_and_changes_nothing(self):
        files = {path: path.read_bytes() for path in (self.table, self.conf, self.box.path("keys/mail.private"))}
        done = self.rotate("-n", "-k", self.tsig)
        for text in (f"{ZONE}: mail -> 202611\n", f"in {self.box.path('keys/202611.private')}\n",
                     f"record  {NEW_NAME}. 3600 IN TXT \"v=DKIM1; h=sha256; k=rsa; p=...\"\n",
                     f"by an update of the zone {ZONE} at {self.primary.server}, signed with {TSIG[0]}\n",
                     f"{self.primary.server} ({self.primary.server}), {self.secondary.server}",
                     f"switch  {self.table}:2\n", f"reload  SIGUSR1 to the process in {self.pid_file}\n",
                     f"revoke  {OLD_NAME}. from 2026-12-05 on: \"v=DKIM1; k=rsa; p=\"\n"):
            self.assertIn(text, done.stdout)
        self.assertFalse(self.box.path("state").exists())
        self.assertEqual(self.shown(self.primary, NEW_NAME), "")
        self.assertEqual(files, {path: path.read_bytes() for path in files})
        self.assertEqual(sorted(os.listdir(self.box.path("keys"))), ["mail.private", "mail.txt"])

    def test_a_configuration_without_pid_file_needs_a_reload_command(self):
        self.conf.write_text(self.conf.read_text().replace("PidFile", "#"))
        done = self.rotate("-k", self.tsig, check=False)
        self.assertEqual(done.returncode, 78)
        self.assertIn("has no PidFile: say with --reload", done.stderr)
        self.assertEqual(self.shown(self.primary, NEW_NAME), "")


if __name__ == "__main__":
    import unittest
    unittest.main()
