"""policyd-spf: the openspf suites through the policy protocol, and a real Postfix with spawn(8) and with the socket."""

import gzip
import os
import re
import select
import subprocess
import unittest
from pathlib import Path

from harness import Daemon, Postfix, SystemTest, Talk, program, swaks, wait_until
from spf_dns import SpfDns, txt

SUITES = Path("/usr/share/doc/python3-spf")
DEFAULT_EXPLANATION = "SPF fail - not authorized"
# Nothing skipped, nothing rejected for its own sake: the result is the first word of the header field.
RESULTS = "skip_addresses = 255.255.255.255\nHELO_reject = {helo}\nMail_From_reject = False\n"
REFUSALS = ("skip_addresses = 255.255.255.255\nHELO_reject = {helo}\nMail_From_reject = Fail\n"
            "Reason_Message = {{spf}}\n")


class Spawned:
    """policyd-spf on standard input and output, as spawn(8) starts it."""

    def __init__(self, box, configuration, dns, name="spawned.conf"):
        path = box.write(name, f"{configuration}\nNameservers = {dns.server}\n")
        self._process = subprocess.Popen([program("policyd-spf"), path], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         env={**os.environ, "JOURNAL_STREAM": "0:0"})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        errors = self._process.stderr.read().decode()
        code = self._process.wait(30)
        self._process.stdout.close()
        self._process.stderr.close()
        if code != 0 or "Sanitizer" in errors:
            raise AssertionError(f"policyd-spf ended with {code}: {errors}")

    def ask(self, **attributes):
        return self.ask_lines("".join(f"{name}={value}\n" for name, value in attributes.items()))

    def ask_lines(self, lines):
        self._process.stdin.write(lines.encode("utf-8", "surrogateescape") + b"\n")
        self._process.stdin.flush()
        reply = self._process.stdout.readline() + self._process.stdout.readline()
        if not reply.startswith(b"action=") or not reply.endswith(b"\n\n"):
            raise AssertionError(f"no answer but {reply!r}")
        return reply[len(b"action="):-2].decode()


def octets(text):
    return text.encode("latin-1")


def zone_of(data):
    """A suite's zone: SPF records stand for TXT too where there are none, TIMEOUT is a server's failure."""
    records = {}
    for name, rows in data.items():
        out, spf, has_txt = [], [], False
        for row in rows:
            if row == "TIMEOUT":
                out.append(("FAIL", None))
                continue
            ((kind, value),) = row.items()
            has_txt = has_txt or kind == "TXT"
            if value == "NONE":
                continue
            if value == "TIMEOUT":
                out.append(("FAIL", kind))
            elif kind in ("TXT", "SPF"):
                strings = [octets(piece) for piece in ([value] if isinstance(value, str) else value)]
                (spf if kind == "SPF" else out).append((kind, strings))
            else:
                out.append((kind, tuple(value) if kind == "MX" else value))
        out += spf + [("TXT", strings) for _, strings in spf if not has_txt]
        records[name.lower()] = out
    return records


def scenarios(suite):
    """The scenarios of one file, or None: the files or the YAML module are not there."""
    try:
        import yaml
        with gzip.open(SUITES / suite) as file:
            return list(yaml.safe_load_all(file))
    except (ImportError, FileNotFoundError) as missing:
        raise unittest.SkipTest(f"the suite {suite} needs python3-spf and python3-yaml: {missing}")


class SuiteTest(SystemTest):
    def cases(self, suite):
        for number, scenario in enumerate(scenarios(suite)):
            with SpfDns(zone_of(scenario["zonedata"])) as dns:
                for test, case in scenario["tests"].items():
                    yield f"{number}/{test}", case, dns

    def play(self, suite, expected_cases, left_out=()):
        """left_out: cases that ask for what neither stock nor RFC 7208 does."""
        wrong, explained = [], 0
        cases = list(self.cases_played(suite))
        for name, case, result, explanation in cases:
            wanted = case["result"] if isinstance(case["result"], list) else [case["result"]]
            if result not in wanted and name not in left_out:
                wrong.append(f"{name}: {result}, not {wanted}")
            if "explanation" in case and result == "fail":
                explained += 1
                text = {"DEFAULT": DEFAULT_EXPLANATION}.get(case["explanation"], case["explanation"])
                if explanation.lower() != text.lower():
                    wrong.append(f"{name}: explained {explanation!r}, not {text!r}")
        self.assertEqual(wrong, [])
        self.assertEqual(len(cases), expected_cases)
        print(f"        {suite}: {len(cases)} results, {explained} explanations")

    def cases_played(self, suite):
        for name, case, dns in self.cases(suite):
            sender, helo = case["mailfrom"] or "", case["helo"]
            policy = "No_Check" if sender else "False"
            request = {"client_address": str(case["host"]), "helo_name": helo, "sender": sender,
                       "recipient": "user@postern.example", "instance": "1"}
            with Spawned(self.box, RESULTS.format(helo=policy), dns) as spawned:
                answer = spawned.ask(**request)
            self.assertRegex(answer, r"^prepend Received-SPF: [A-Z]", name)
            result, explanation = answer.split()[2].lower(), None
            if "explanation" in case and result == "fail":
                policy = "No_Check" if sender else "Fail"
                with Spawned(self.box, REFUSALS.format(helo=policy), dns) as spawned:
                    explanation = spawned.ask(**request).removeprefix("550 5.7.23 ")
            yield name, case, result, explanation

    def test_all_203_cases_of_rfc_7208(self):
        self.play("rfc7208-tests.yml.gz", 203)

    def test_all_191_cases_of_rfc_4408(self):
        self.play("rfc4408-tests.yml.gz", 191)

    def test_what_can_be_had_of_pyspfs_own_16_cases(self):
        """Two ask for pyspf's lax and harsh modes, which policyd-spf never used."""
        self.play("test.yml.gz", 16, ("3/default-modifier", "3/default-modifier-harsh"))


# The outside world is 127.0.0.2 here: only 127.0.0.1 is local.
LOCAL = "skip_addresses = 127.0.0.1,::1\n"
ZONE = {
    "partner.example": [txt("v=spf1 ip4:127.0.0.2 -all")],
    "mail.partner.example": [txt("v=spf1 ip4:127.0.0.2 -all"), ("A", "127.0.0.2")],
    "forged.example": [txt("v=spf1 -all exp=why.forged.example")],
    "why.forged.example": [txt("%{i} may not send for %{d}")],
    "down.example": [("FAIL", None)],
}


class PostfixTest(SystemTest):
    RESTRICTIONS = "permit_mynetworks, reject_unauth_destination, check_policy_service {}"

    def postfix(self, service, master=""):
        return Postfix(self.box, main={
            "mynetworks": "127.0.0.1/32", "relay_domains": "postern.example", "relay_recipient_maps": "",
            "relay_transport": "discard", "smtpd_recipient_restrictions": self.RESTRICTIONS.format(service),
            "smtpd_data_restrictions": "check_client_access static:HOLD",  # to look at what was accepted
            "smtpd_policy_service_default_action": "451 4.3.5 policy service trouble"}, master=master)

    def play(self, postfix):
        """The same mail whichever way the daemon is reached."""
        def send(sender):
            return swaks(postfix.smtp_port, "--helo", "mail.partner.example", sender=sender,
                         to="ann@postern.example,bob@postern.example", local="127.0.0.2", data=self.message())

        passed = send("user@partner.example")
        self.assertEqual([passed.reply_to("RCPT")[0], passed.reply_to("RCPT", 1)[0]], [250, 250], passed)
        self.assertEqual(self.spf_fields(postfix, passed), [
            "Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=127.0.0.2; helo=mail.partner.example; "
            "envelope-from=user@partner.example; receiver=postern.example "])
        refused = send("user@forged.example")
        code, text = refused.reply_to("RCPT")
        self.assertEqual(code, 550, refused)
        self.assertIn("5.7.23 <ann@postern.example>: Recipient address rejected: Message rejected due to: "
                      "127.0.0.2 may not send for forged.example. Please see http://www.openspf.net/Why?s=mfrom;"
                      "id=user@forged.example;ip=127.0.0.2;r=postern.example", text)
        deferred = send("user@down.example")
        code, text = deferred.reply_to("RCPT")
        self.assertEqual(code, 450, deferred)
        self.assertIn("4.7.24 <ann@postern.example>: Recipient address rejected: Message deferred due to: "
                      "SPF Temporary Error: DNS ", text)

    @staticmethod
    def spf_fields(postfix, transcript):
        """The fields that stand before all others in the message that was accepted."""
        message = postfix.command("postcat", "-qh", transcript.queue_id).stdout
        return [line for line in message.splitlines() if line.startswith(("Received-SPF:", "X-Comment:"))]

    @staticmethod
    def message():
        return "From: user@partner.example\nTo: ann@postern.example\nSubject: test\n\nHello.\n"

    def test_under_spawn(self):
        with SpfDns(ZONE) as dns:
            conf = self.box.write("policyd-spf.conf", f"{LOCAL}TempError_Defer = True\nNameservers = {dns.server}\n")
            master = f"policy unix - n n - 0 spawn\n  user=nobody argv={program('policyd-spf')} {conf}\n"
            with self.postfix("unix:private/policy", master) as postfix:
                self.play(postfix)

    def test_on_its_socket(self):
        with SpfDns(ZONE) as dns:
            conf = self.box.write("policyd-spf.conf",
                                  f"{LOCAL}TempError_Defer = True\nNameservers = {dns.server}\nUser = nobody\n")
            postfix = self.postfix("unix:private/policy")
            address = f"unix:{postfix.private('policy')} mode=0660 owner=postfix group=postfix"
            with Daemon(self.box, "policyd-spf", ["--listen", address, conf]) as daemon, postfix:
                self.play(postfix)
                wait_until(lambda: ": 550 5.7.23 Message rejected due to: 127.0.0.2 may not send" in daemon.log())
                self.assertIn(": prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=127.0.0.2; "
                              "helo=mail.partner.example; envelope-from=user@partner.example; "
                              "receiver=postern.example ", daemon.log())


class DaemonTest(SystemTest):
    def daemon(self, dns, configuration="", **options):
        self.conf = self.box.write("policyd-spf.conf", f"{LOCAL}Nameservers = {dns.server}\nUser = nobody\n{configuration}\n")
        self.socket = self.box.path("policy")
        return Daemon(self.box, "policyd-spf", ["--listen", f"unix:{self.socket} mode=0666", self.conf], **options)

    @staticmethod
    def request(client, sender, helo="h.example", instance="1"):
        return (f"client_address={client}\nhelo_name={helo}\nsender={sender}\nrecipient=a@postern.example\n"
                f"instance={instance}\n\n").encode()

    def test_garbage_and_vanishing_clients_leave_the_next_one_served(self):
        with SpfDns(ZONE) as dns, self.daemon(dns) as daemon:
            for broken in (b"", b"\0\xff\n", b"x" * 100000, self.request("127.0.0.2", "u@partner.example")[:-1]):
                with Talk(str(self.socket)) as talk:
                    try:
                        talk.send(broken)
                    except OSError:
                        pass  # it closes as soon as the line is too long
            with Talk(str(self.socket)) as talk:
                talk.send(self.request("127.0.0.2", "u@partner.example"))
                self.assertIn(b"Received-SPF: Pass (mailfrom)", talk.until(b"\n\n"))
            wait_until(lambda: "closed: a line has more than 16384 octets" in daemon.log())

    def test_a_reload_is_taken_by_the_next_connection_and_a_bad_one_by_none(self):
        with SpfDns(ZONE) as dns, self.daemon(dns) as daemon:
            def answer():
                with Talk(str(self.socket)) as talk:
                    talk.send(self.request("127.0.0.2", "u@partner.example"))
                    return talk.until(b"\n\n")
            self.assertIn(b"prepend Received-SPF", answer())
            good = Path(self.conf).read_text()
            Path(self.conf).write_text(good + "Header_Type = None\n")
            daemon.reload()
            wait_until(lambda: answer() == b"action=dunno\n\n")
            Path(self.conf).write_text(good + "Header_Type = Nonsense\n")
            daemon.reload()
            wait_until(lambda: "reload failed, the old configuration stays" in daemon.log())
            self.assertIn(f"{self.conf}:5: Header_Type: \"Nonsense\" is none of SPF, AR, None", daemon.log())
            self.assertEqual(answer(), b"action=dunno\n\n")

    def test_servers_that_answer_late_do_not_hurt_the_checks_of_others(self):
        """50 connections wait for servers that hold their answers back until all others have theirs."""
        passes = txt("v=spf1 ip4:127.0.0.2 -all")
        records = {**ZONE, **{f"slow{i}.example": [passes, ("HELD", None)] for i in range(50)},
                   **{f"good{i}.example": [passes] for i in range(40)}}
        with SpfDns(records) as dns, self.daemon(dns, "HELO_reject = No_Check\nLookup_Time = 75"):
            attackers = [self.enterContext(Talk(str(self.socket), timeout=60)) for _ in range(50)]
            for number, attacker in enumerate(attackers):
                attacker.send(self.request("127.0.0.2", f"u@slow{number}.example"))
            wait_until(lambda: len({name for name, _ in dns.questions if name.startswith("slow")}) == 50)
            with Talk(str(self.socket)) as talk:
                for number in range(40):
                    talk.send(self.request("127.0.0.2", f"u@good{number}.example", instance=str(number)))
                    self.assertIn(b"Received-SPF: Pass (mailfrom)", talk.until(b"\n\n"))
            answered, _, _ = select.select([attacker.socket for attacker in attackers], [], [], 0)
            self.assertEqual(answered, [])
            dns.release()
            for attacker in attackers:
                self.assertIn(b"Received-SPF: Pass (mailfrom)", attacker.until(b"\n\n"))

    def test_servers_that_never_answer_give_temperror_at_lookup_time(self):
        records = {f"slow{i}.example": [("SILENT", None)] for i in range(50)}
        with SpfDns(records) as dns, self.daemon(dns, "Lookup_Time = 1\nTempError_Defer = True"):
            attackers = [self.enterContext(Talk(str(self.socket), timeout=60)) for _ in range(50)]
            for number, attacker in enumerate(attackers):
                attacker.send(self.request("127.0.0.2", f"u@slow{number}.example", helo=f"slow{number}.example"))
            for attacker in attackers:
                self.assertIn(b"action=defer_if_permit 4.7.24 Message deferred due to: SPF Temporary Error: DNS ",
                              attacker.until(b"\n\n"))

    def test_hundreds_of_connections_are_served_at_one_time(self):
        with SpfDns(ZONE) as dns, self.daemon(dns):
            talks = [self.enterContext(Talk(str(self.socket), timeout=60)) for _ in range(400)]
            for number, talk in enumerate(talks):
                talk.send(self.request("127.0.0.2", "u@partner.example", instance="a") +
                          self.request("127.0.0.2", f"u@forged.example", instance="b"))
            for talk in reversed(talks):
                self.assertIn(b"Received-SPF: Pass (mailfrom)", talk.until(b"\n\n"))
                self.assertIn(b"action=550 5.7.23 ", talk.until(b"\n\n"))

    def test_the_last_of_450_networks_counts_and_so_does_the_all_behind_them(self):
        networks = " ".join(f"ip4:10.0.{i // 250}.{i % 250}" for i in range(450))
        with SpfDns({"long.example": [txt(f"v=spf1 {networks} -all")]}) as dns, self.daemon(dns):
            with Talk(str(self.socket)) as talk:
                talk.send(self.request("10.0.1.199", "u@long.example", instance="1"))
                self.assertIn(b"Received-SPF: Pass (mailfrom)", talk.until(b"\n\n"))
                talk.send(self.request("10.0.1.200", "u@long.example", instance="2"))
                self.assertIn(b"action=550 5.7.23 ", talk.until(b"\n\n"))

    def test_the_metrics_of_the_manual_page_count_what_was_done(self):
        metrics = self.box.path("metrics")
        with SpfDns(ZONE) as dns, self.daemon(dns, f"Metrics_Listen = unix:{metrics}"):
            with Talk(str(self.socket)) as talk:
                for instance in "12":
                    talk.send(self.request("127.0.0.2", "u@partner.example", instance=instance))
                    talk.until(b"\n\n")
            with Talk(str(metrics)) as talk:
                talk.send(b"GET /metrics HTTP/1.0\r\n\r\n")
                page = talk.rest().decode()
        for line in ('postern_policy_answers_total{action="prepend"} 2',
                     'postern_spf_results_total{scope="mailfrom",result="pass"} 2',
                     'postern_spf_results_total{scope="helo",result="none"} 2',
                     "postern_spf_check_seconds_count 4",
                     'postern_dns_lookups_total{result="found"} 1', 'postern_dns_lookups_total{result="negative"} 1',
                     'postern_dns_lookups_total{result="cached"} 2', "postern_dns_seconds_count 2"):
            self.assertIn(line + "\n", page)
        manual = (Path(__file__).parents[2] / "policyd-spf/policyd-spf.8.scd").read_text().replace("\\", "")
        for name in re.findall(r"^# TYPE (\S+)", page, re.M):
            self.assertIn(f"_{name}_", manual, "a metric that the manual page does not name")

    def test_a_host_name_of_64_octets_does_no_harm(self):
        request = self.request("127.0.0.2", "u@partner.example").decode()
        with SpfDns(ZONE) as dns:
            conf = self.box.write("own.conf", f"{LOCAL}Nameservers = {dns.server}\n")
            told = self.box.run(["unshare", "-u", "sh", "-c", f"hostname {'a' * 64}; exec {program('policyd-spf')} {conf}"],
                                input=request)
        self.assertIn("Received-SPF: Pass (mailfrom)", told.stdout)

    def test_explain_and_check_record_print_the_evaluation(self):
        with SpfDns(ZONE) as dns:
            conf = self.box.write("own.conf", f"Nameservers = {dns.server}\n")
            told = self.box.run([program("policyd-spf"), "--explain", "127.0.0.2", "mail.partner.example",
                                 "u@partner.example", conf])
            self.assertIn("result: pass (sender SPF authorized)", told.stdout)
            told = self.box.run([program("policyd-spf"), "--check-record", "partner.example", conf])
            self.assertIn("lookups: 0 of 10", told.stdout)
            told = self.box.run([program("policyd-spf"), "--check-record", "no.example", conf], check=False)
            self.assertEqual(told.returncode, 1)


if __name__ == "__main__":
    unittest.main()
