"""milter-dmarc behind a real Postfix: what the sender is told, and what stands in the message that arrives."""

import os
import pwd
import signal
import socket
import threading

import dkim

from harness import Daemon, Knot, Postfix, SystemTest, program, swaks, wait_until

ZONES = {
    "reject.example": '_dmarc IN TXT "v=DMARC1; p=reject"\nsub IN A 192.0.2.1\n@ IN TXT "v=spf1 ip4:127.0.0.2 -all"\n',
    "quarantine.example": '_dmarc IN TXT "v=DMARC1; p=quarantine"\n',
    "none.example": "@ IN A 192.0.2.1\n",
    "broken.example": None,
    "example": "@ IN A 192.0.2.1\n",
}


class PolicyService:
    """Answers every request of Postfix with one action, as policyd-spf prepends its field."""

    def __init__(self, action):
        self.action = action
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, client.makefile("r") as lines:
            for line in lines:
                if line == "\n":
                    client.sendall(f"action={self.action}\n\n".encode())


class MilterDmarcTest(SystemTest):
    def set_up(self, settings="", restrictions="permit", policy=None, verifier=None):
        """policy: settings of a real policyd-spf under spawn(8); verifier: of a real milter-dkim in front."""
        self.dns = self.enterContext(Knot(self.box, ZONES))
        master = ""
        if policy is not None:
            self.policy_conf = self.box.write("policyd-spf.conf", f"Nameservers = {self.dns.server}\n{policy}")
            master = f"policy unix - n n - 0 spawn\n  user=nobody argv={program('policyd-spf')} {self.policy_conf}\n"
            restrictions = "check_policy_service unix:private/policy, permit"
        self.port = self.box.port()
        self.conf = self.box.write("opendmarc.conf", self.settings(settings))
        self.daemon = self.enterContext(Daemon(self.box, "milter-dmarc", ["-c", self.conf]))
        milters = f"inet:127.0.0.1:{self.port}"
        if verifier is not None:
            port = self.box.port()
            conf = self.box.write("opendkim.conf", f"Socket inet:{port}@127.0.0.1\nNameservers {self.dns.server}\n"
                                                   f"Background no\nAuthservID mx.postern.example\nMode v\n{verifier}")
            self.enterContext(Daemon(self.box, "milter-dkim", ["-x", conf]))
            milters = f"inet:127.0.0.1:{port}, {milters}"
        nobody = pwd.getpwnam("nobody")
        self.mail = self.box.directory("mail", owner="nobody", mode=0o700)
        self.postfix = self.enterContext(Postfix(self.box, master=master, main={
            "virtual_mailbox_domains": "postern.example",
            "virtual_mailbox_maps": "inline:{ann@postern.example=ann/, post@postern.example=post/}",
            "virtual_mailbox_base": self.mail, "virtual_uid_maps": f"static:{nobody.pw_uid}",
            "virtual_gid_maps": f"static:{nobody.pw_gid}", "virtual_minimum_uid": "1",
            "smtpd_milters": milters,
            "smtpd_recipient_restrictions": restrictions, "milter_default_action": "tempfail"}))

    def settings(self, more):
        return (f"Socket inet:{self.port}@127.0.0.1\nNameservers {self.dns.server}\nBackground no\n"
                f"AuthservID mx.postern.example\nTrustedAuthservIDs front.example\nDNSTimeout 2\n{more}")

    def send(self, author, *headers, sender="bob@partner.example"):
        return swaks(self.postfix.smtp_port, sender=sender, to="ann@postern.example", local="127.0.0.2",
                     data="\n".join([*headers, f"From: {author}", "Subject: x", "", "body", ""]))

    def delivered(self, sent, box="ann"):
        """The message that a successful transaction brought, as its list of header lines."""
        self.assertEqual(sent.code, 0, sent)
        self.postfix.wait_for_log(f"{sent.queue_id}: to=.*status=sent")
        new = wait_until(lambda: sorted((self.mail / box / "new").glob("*"), key=os.path.getmtime))
        return new[-1].read_text().partition("\n\n")[0].replace("\n\t", " ").split("\n")

    def refusal(self, sent):
        self.assertNotEqual(sent.code, 0, sent)
        return "%d %s" % sent.reply_to(".")

    def results(self, sent):
        """Our own Authentication-Results of the message that arrived."""
        prefix = "Authentication-Results: mx.postern.example; dmarc="
        return [line.removeprefix(prefix) for line in self.delivered(sent) if line.startswith(prefix)]

    def test_trusted_results_decide_and_all_others_do_not(self):
        self.set_up()
        trusted = "Authentication-Results: front.example; dkim=pass header.d=sub.reject.example"
        self.assertEqual(self.results(self.send("a@reject.example", trusted)),
                         ["pass (p=reject dis=none) header.from=reject.example"])
        forged = "Authentication-Results: evil.example; dkim=pass header.d=reject.example"
        self.assertEqual(self.results(self.send("a@reject.example", forged)),
                         ["fail (p=reject dis=none) header.from=reject.example"])
        self.assertEqual(self.results(self.send("a@none.example")), ["none (p=none dis=none) header.from=none.example"])

        names = [line.partition(":")[0] for line in self.delivered(self.send("a@reject.example"))]
        self.assertLess(names.index("Authentication-Results"), names.index("Received"))

    def test_forged_mail_of_a_rejecting_domain_is_refused(self):
        self.set_up("RejectFailures yes\n")
        self.assertEqual(self.refusal(self.send("a@reject.example")),
                         "550 5.7.1 rejected by DMARC policy for reject.example")
        self.assertEqual(self.refusal(self.send("a@sub.reject.example")),
                         "550 5.7.1 rejected by DMARC policy for reject.example")
        self.assertEqual(self.refusal(self.send("a@none.example, b@reject.example")),
                         "550 5.7.1 rejected by DMARC policy for reject.example")
        self.assertRegex(self.daemon.log(), r": reject\.example fail\n")

    def test_a_dns_that_fails_is_temperror_and_never_none(self):
        self.set_up()
        self.assertEqual(self.results(self.send("a@broken.example")), ["temperror header.from=broken.example"])
        self.conf.write_text(self.settings("RejectFailures yes\n"))
        self.daemon.reload()
        wait_until(lambda: "configuration reloaded" in self.daemon.log())
        self.assertRegex(self.refusal(self.send("a@broken.example")), r"^451 4\.7\.1 ")

    def test_a_dns_that_is_silent_is_temperror(self):
        self.set_up("RejectFailures yes\n")
        self.dns.freeze()
        self.assertRegex(self.refusal(self.send("a@reject.example")), r"^451 4\.7\.1 ")
        self.dns.thaw()

    def test_quarantine_holds_the_message(self):
        self.set_up("RejectFailures yes\nHoldQuarantinedMessages yes\nCopyFailuresTo post@postern.example\n")
        sent = self.send("a@quarantine.example")
        self.assertEqual(sent.code, 0, sent)
        [held] = wait_until(self.postfix.queued)
        self.assertEqual((held["queue_name"], held["queue_id"]), ("hold", sent.queue_id))
        self.assertEqual(sorted(each["address"] for each in held["recipients"]),
                         ["ann@postern.example", "post@postern.example"])
        self.assertIn("dmarc=fail (p=quarantine dis=quarantine) header.from=quarantine.example",
                      self.postfix.command("postcat", "-qh", sent.queue_id).stdout)

    def test_a_field_that_a_policy_service_prepends_is_seen(self):
        field = ("Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=127.0.0.2; helo=x; "
                 "envelope-from=b@reject.example; receiver=postern.example ")
        service = self.enterContext(PolicyService("prepend " + field))
        self.set_up(restrictions=f"check_policy_service inet:127.0.0.1:{service.port}, permit")
        self.assertEqual(self.results(self.send("a@reject.example", sender="b@reject.example")),
                         ["pass (p=reject dis=none) header.from=reject.example"])
        self.assertEqual(self.results(self.send("a@reject.example", sender="b@none.example")),
                         ["fail (p=reject dis=none) header.from=reject.example"])
        service.action = "prepend " + field.replace("Pass", "Fail")  # and the sender's own field says Pass
        self.assertEqual(self.results(self.send("a@reject.example", field, sender="b@reject.example")),
                         ["fail (p=reject dis=none) header.from=reject.example"])

    def test_what_milter_dkim_found_out_counts(self):
        key = self.box.path("key.pem")
        self.box.run(["openssl", "genrsa", "-traditional", "-out", key, "2048"])
        record = "".join(self.box.run(["openssl", "rsa", "-in", key, "-pubout"]).stdout.split("\n")[1:-2])
        strings = " ".join(f'"{part}"' for part in ["v=DKIM1; k=rsa; p=", record[:200], record[200:]])
        self.set_up("RejectFailures yes\n", verifier="")
        self.dns.set_zone("reject.example", ZONES["reject.example"] + f"s1._domainkey IN TXT {strings}\n")
        message = "From: a@reject.example\r\nSubject: signed\r\n\r\nbody\r\n"
        signature = dkim.sign(message.encode(), b"s1", b"reject.example", key.read_bytes(),
                              include_headers=[b"from", b"subject"]).decode()

        def send(data):
            return swaks(self.postfix.smtp_port, sender="bob@partner.example", to="ann@postern.example",
                         local="127.0.0.2", data=data.replace("\r\n", "\n"))

        lines = self.delivered(send(signature + message))
        ours = [line for line in lines if line.startswith("Authentication-Results: mx.postern.example;")]
        self.assertEqual(ours[0], "Authentication-Results: mx.postern.example; dmarc=pass (p=reject dis=none) "
                                  "header.from=reject.example")
        self.assertRegex(ours[1], r"dkim=pass .*header\.d=reject\.example")
        # What the sender claims in our name is gone before the policy is looked at.
        forged = "Authentication-Results: mx.postern.example; dkim=pass header.d=reject.example\n"
        self.assertEqual(self.refusal(send(forged + message)), "550 5.7.1 rejected by DMARC policy for reject.example")
        self.assertEqual(self.refusal(send(signature + message.replace("body", "forged"))),
                         "550 5.7.1 rejected by DMARC policy for reject.example")

    def test_what_policyd_spf_found_out_counts(self):
        self.set_up(policy="skip_addresses = 192.0.2.0/24\n")
        self.assertEqual(self.results(self.send("a@reject.example", sender="b@reject.example")),
                         ["pass (p=reject dis=none) header.from=reject.example"])
        self.assertEqual(self.results(self.send("a@reject.example", sender="b@none.example")),
                         ["fail (p=reject dis=none) header.from=reject.example"])
        # A client that policyd-spf skips: the field that the sender wrote himself does not count in its stead.
        self.policy_conf.write_text(f"Nameservers = {self.dns.server}\nskip_addresses = 127.0.0.0/8\n")
        self.postfix.stop()  # a spawned policyd-spf lives as long as its smtpd
        self.postfix.start()
        forged = ("Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=127.0.0.2; helo=x; "
                  "envelope-from=b@reject.example; receiver=x")
        sent = self.send("a@reject.example", forged, sender="b@reject.example")
        self.assertRegex("\n".join(self.delivered(sent)), "X-Comment: SPF check N/A for local connections")
        self.assertEqual(self.results(sent), ["fail (p=reject dis=none) header.from=reject.example"])

    def test_spf_is_checked_by_ourselves_where_asked_for(self):
        self.set_up("SPFSelfValidate yes\nSPFIgnoreResults yes\n")
        lines = self.delivered(self.send("a@reject.example", sender="b@reject.example"))
        self.assertIn("Authentication-Results: mx.postern.example; spf=pass smtp.mailfrom=reject.example", lines)
        self.assertIn("Authentication-Results: mx.postern.example; dmarc=pass (p=reject dis=none) "
                      "header.from=reject.example", lines)

    def test_the_history_is_written_or_the_message_waits(self):
        history = self.box.directory("history")
        self.set_up(f"HistoryFile {history}/opendmarc.dat\n")
        sent = self.send("a@reject.example")
        self.delivered(sent)
        block = (history / "opendmarc.dat").read_text()
        self.assertRegex(block, rf"^job {sent.queue_id}\nreporter mx\.postern\.example\nreceived \d+\nipaddr 127\.0\.0\.2\n"
                                r"from reject\.example\nmfrom partner\.example\nspf -1\npdomain reject\.example\npolicy 16\n")
        self.assertTrue(block.endswith("action 2\n"))
        history.rename(self.box.path("away"))
        self.assertEqual(self.refusal(self.send("a@reject.example")), "451 4.7.1 DMARC cannot be checked now")
        self.assertIn("cannot write the history", self.daemon.log())

    def test_a_reload_takes_a_good_configuration_and_refuses_a_bad_one(self):
        self.set_up("RejectFailures yes\n")
        self.conf.write_text(self.settings("RejectFailure no\n"))
        self.daemon.reload()
        wait_until(lambda: "reload failed, the old configuration stays" in self.daemon.log())
        self.assertRegex(self.daemon.log(), r'opendmarc\.conf:\d+: unknown setting "RejectFailure"; did you mean "RejectFailures"\?')
        self.assertRegex(self.refusal(self.send("a@reject.example")), "^550 5.7.1 ")
        self.conf.write_text(self.settings("RejectFailures no\n"))
        os.kill(self.daemon.pid, signal.SIGUSR1)  # as in the replaced program
        wait_until(lambda: "configuration reloaded" in self.daemon.log())
        self.assertIn("fail (p=reject dis=none) header.from=reject.example", self.results(self.send("a@reject.example")))


class CommandLineTest(SystemTest):
    def check(self, text, *options):
        conf = self.box.write("opendmarc.conf", text)
        return self.box.run([program("milter-dmarc"), "-n", "-c", conf, *options], check=False)

    def test_it_detaches_and_gives_its_socket_to_its_user(self):
        run = self.box.directory("run", owner="nobody")
        conf = self.box.write("opendmarc.conf", f"Socket local:{run}/milter.sock\nPidFile {run}/pid\nUserID nobody\n"
                                                "UMask 0002\nSyslog no\n")
        done = self.box.run([program("milter-dmarc"), "-c", conf], check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        pid = int((run / "pid").read_text())
        socket_file = os.stat(run / "milter.sock")
        self.assertEqual((pwd.getpwuid(socket_file.st_uid).pw_name, socket_file.st_mode & 0o777), ("nobody", 0o775))
        self.assertEqual(pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name, "nobody")
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not (run / "pid").exists() and not (run / "milter.sock").exists())

    def test_every_mistake_is_told_with_exit_78(self):
        done = self.check("Sockets x\nSyslog maybe\nIgnoreHosts /no/such/file\nPublicSuffixList /no/such/list\n")
        self.assertEqual(done.returncode, 78)
        for text in ("opendmarc.conf:1: unknown setting", "opendmarc.conf:2: Syslog:", "IgnoreHosts: /no/such/file",
                     "PublicSuffixList: /no/such/list"):
            self.assertIn(text, done.stderr)

    def test_a_good_file_is_good_and_a_socket_is_required(self):
        self.assertEqual(self.check("Socket local:/run/x\nRejectFailures true\n").returncode, 0)
        self.assertEqual(self.check("RejectFailures true\n", "-p", "inet:8893@localhost").returncode, 0)
        missing = self.check("RejectFailures true\n")
        self.assertEqual(missing.returncode, 78)
        self.assertIn("Socket is required", missing.stderr)


if __name__ == "__main__":
    import unittest
    unittest.main()
