#!/usr/bin/python3
"""Writes stock.txt: what python policyd-spf 3.0.4 answers and logs, for the unit test that holds ours against it.

Needs Debian's python3-spf-engine, python3-spf, python3-authres and python3-dnspython:
    tests/data/policyd-spf/capture.py > tests/data/policyd-spf/stock.txt
"""

import io
import os
import random
import re
import sys
import syslog
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "system"))

import dns.resolver  # noqa: E402
from spf_dns import SpfDns, txt  # noqa: E402

CLIENT = "192.0.2.1"


def ask(helo, sender, client=CLIENT, recipient="User@Postern.example", instance="1", **more):
    return {"client_address": client, "helo_name": helo, "sender": sender, "recipient": recipient,
            "queue_id": "", "instance": instance, **more}


DOMAINS = ["pass", "fail", "why", "soft", "softwhy", "neutral", "broken", "mech", "cidr", "two", "void", "deep", "include",
           "many", "redirect", "none", "down"]
AR = ["Header_Type = AR", "Authserv_Id = mx.example"]
NO_HELO = ["HELO_reject = No_Check"]
CASES = [(f"sender {name}", [], [ask("none.example", f"u.ser@{name.upper()}.example")]) for name in DOMAINS]
CASES += [(f"helo {name}", [], [ask(f"{name.upper()}.example", "")]) for name in DOMAINS]
CASES += [(f"authentication-results sender {name}", AR + NO_HELO, [ask("none.example", f"u@{name}.example")])
          for name in ("pass", "fail", "softwhy", "neutral", "broken", "none", "down")]
CASES += [(f"authentication-results helo {name}", AR + ["HELO_reject = False"], [ask(f"{name}.example", "")])
          for name in ("pass", "why", "soft", "none", "down")]
CASES += [(f"{option} = {word}, {name}", ["HELO_reject = False", f"{option} = {word}"],
           [ask("fail.example", f"u@{name}.example")])
          for option, words in (("Mail_From_reject", ("Fail", "Softfail", "SPF_Not_Pass", "False", "No_Check", "Other")),)
          for word in words for name in ("fail", "soft", "neutral", "broken", "pass")]
CASES += [(f"HELO_reject = {word}, {name}, {sender or 'null sender'}", [f"HELO_reject = {word}"],
           [ask(f"{name}.example", sender)])
          for word in ("Fail", "Softfail", "SPF_Not_Pass", "Null", "False", "No_Check", "Other")
          for name in ("fail", "soft", "neutral", "pass") for sender in ("", "u@pass.example")]
CASES += [(f"{'; '.join(conf)}: {helo} {sender}", conf, [ask(helo, sender)]) for conf, helo, sender in [
    (["PermError_reject = True"], "none.example", "u@broken.example"),
    (["PermError_reject = True"], "broken.example", ""),
    (["PermError_reject = True", "Mail_From_reject = False"], "none.example", "u@broken.example"),
    (["TempError_Defer = True"], "none.example", "u@down.example"),
    (["TempError_Defer = True"], "down.example", "u@pass.example"),
    (["TempError_Defer = True", "SPF_Enhanced_Status_Codes = No"], "none.example", "u@down.example"),
    (["SPF_Enhanced_Status_Codes = No"], "none.example", "u@fail.example"),
    (["No_Mail = True"], "none.example", "u@fail.example"),
    (["No_Mail = True"], "none.example", "u@sends.example"),
    (["No_Mail = True"], "sends.example", ""),
    (["TestOnly = 0"], "none.example", "u@fail.example"),
    (["TestOnly = 0"], "none.example", "u@pass.example"),
    (["Header_Type = None"], "none.example", "u@pass.example"),
    (["Hide_Receiver = Yes"], "none.example", "u@pass.example"),
    (["Hide_Receiver = Yes"], "none.example", "u@fail.example"),
    (["Mail_From_pass_restriction = passed_spf"], "none.example", "u@pass.example"),
    (["Mail_From_pass_restriction = passed_spf"], "none.example", "u@soft.example"),
    (["HELO_pass_restriction = passed_helo"], "pass.example", ""),
    (["HELO_pass_restriction = passed_helo", "Mail_From_pass_restriction = passed"], "pass.example", "u@pass.example"),
    (["Prospective = 192.0.2.1"], "none.example", "u@pass.example"),
    (["Reason_Message = {spf} {rejectdefer} {url}"], "none.example", "u@why.example"),
    (["Reject_Not_Pass_Domains = x.example,soft.example"], "none.example", "u@soft.example"),
    (["Reject_Not_Pass_Domains = pass.example"], "pass.example", ""),
    (["Whitelist = 198.51.100.0/24,192.0.2.0/24"], "none.example", "u@fail.example"),
    (["Domain_Whitelist = other.example,relay.example"], "none.example", "u@fail.example"),
    (["HELO_Whitelist = helo.example"], "helo.example", "u@fail.example"),
    (["Domain_Whitelist_PTR = trusted.example"], "none.example", "u@fail.example"),
    (["Void_Limit = 3"], "none.example", "u@void.example"),
    (["debugLevel = 2"], "none.example", "u@pass.example"),
    (["debugLevel = 2"], "none.example", "u@why.example"),
    (["debugLevel = 2"], "pass.example", ""),
    (["debugLevel = 0"], "none.example", "u@pass.example"),
    (["Mock = True"], "none.example", "u@pass.example"),
    ([], "", "u@pass.example"), ([], "", "nodomain"), ([], "[192.0.2.1]", "u@pass.example"), ([], "", ""),
]]
CASES += [(f"skipped {client}", conf, [ask("none.example", "U@fail.example", client=client)])
          for client in ("127.0.0.1", "::1", "::ffff:127.0.0.1") for conf in ([], AR)]
CASES += [("an IPv6 client", [], [ask("none.example", "u@pass.example", client="2001:db8::1")]),
          ("without attributes", ["debugLevel = 2"], [{}, {"client_address": CLIENT}]),
          ("a local recipient", [], [ask("none.example", "u@pass.example", recipient="postmaster")]),
          ("no recipient", [], [ask("none.example", "u@pass.example", recipient="")]),
          ("a queue id", [], [ask("none.example", "u@pass.example", queue_id="4ABCdef")]),
          ("no queue id", [], [{k: v for k, v in ask("none.example", "u@fail.example").items() if k != "queue_id"}])]
CASES += [(f"two recipients, {name}", [], [ask("none.example", f"u@{name}.example", recipient="a@one.example"),
                                           ask("none.example", f"u@{name}.example", recipient="b@two.example")])
          for name in ("pass", "fail", "none")]
CASES += [("two messages", [], [ask("none.example", "u@pass.example"), ask("none.example", "u@pass.example", instance="2")]),
          ("two recipients of a skipped client", [], [ask("h", "u@x.example", client="127.0.0.1")] * 2)]

PER_USER = ["Per_User = text,per_user.txt"]
RECIPIENTS = [f"{name}@Postern.example" for name in ("ann", "bob", "cat", "dan", "eve")]
DEBUG = [
    ([], [ask("none.example", "u@pass.example")]),
    ([], [ask("pass.example", "u@none.example")]),
    ([], [ask("PASS.example", "")]), ([], [ask("broken.example", "")]), ([], [ask("down.example", "")]),
    ([], [ask("soft.example", "u@broken.example")]), ([], [ask("fail.example", "u@pass.example")]),
    ([], [ask("none.example", "u@why.example")]),
    ([], [{}, {"client_address": CLIENT}, {"client_address": CLIENT, "helo_name": "[192.0.2.1]", "sender": "", "odd": "1=2"}]),
    ([], [ask("none.example", "u@pass.example", recipient="a@one.example"),
          ask("none.example", "u@pass.example", recipient="b@two.example"), ask("none.example", "u@soft.example", instance="2")]),
    ([], [ask("none.example", "u@why.example")] * 2), ([], [ask("fail.example", "u@x.example")] * 2),
    ([], [ask("pass.example", "u@none.example")] * 2),
    ([], [ask("h", "u@x.example", client="127.0.0.1")] * 2),
    (["TempError_Defer = True"], [ask("none.example", "u@down.example")]),
    (["TempError_Defer = True"], [ask("down.example", "")]),
    (["PermError_reject = True"], [ask("broken.example", "")]),
    (["PermError_reject = True", "TempError_Defer = True"], [ask("none.example", "u@broken.example")]),
    (["PermError_reject = True", "TestOnly = 0"], [ask("none.example", "u@broken.example")]),
    (["TestOnly = 0"], [ask("none.example", "u@fail.example")]),
    (["HELO_reject = False", "Mail_From_reject = False"], [ask("fail.example", "u@fail.example")]),
    (["HELO_reject = Softfail", "Mail_From_reject = SPF_Not_Pass"], [ask("neutral.example", "u@neutral.example")]),
    (["HELO_reject = SPF_Not_Pass", "Mail_From_reject = Softfail"], [ask("soft.example", "u@neutral.example")]),
    (["HELO_reject = Null"], [ask("fail.example", "u@soft.example")]), (["HELO_reject = Null"], [ask("fail.example", "")]),
    (["HELO_reject = No_Check"], [ask("fail.example", "u@pass.example")]), (["HELO_reject = No_Check"], [ask("pass.example", "")]),
    (["Mail_From_reject = No_Check"], [ask("soft.example", "u@pass.example")]),
    (["HELO_reject = Other", "Mail_From_reject = Other"], [ask("fail.example", "u@fail.example")]),
    (["No_Mail = True"], [ask("none.example", "u@fail.example")]), (["No_Mail = True"], [ask("none.example", "u@sends.example")]),
    (["No_Mail = True"], [ask("fail.example", "")]), (["No_Mail = True"], [ask("sends.example", "u@pass.example")]),
    (["Reject_Not_Pass_Domains = soft.example"], [ask("none.example", "u@soft.example")]),
    (["Reject_Not_Pass_Domains = soft.example"], [ask("soft.example", "u@pass.example")]),
    (["Reject_Not_Pass_Domains = a.example,b.example"], [ask("none.example", "u@pass.example")]),
    (["Mail_From_pass_restriction = passed"], [ask("none.example", "u@pass.example")] * 2),
    (["Whitelist = 198.51.100.0/24,192.0.2.0/24", "HELO_Whitelist = helo.example"], [ask("none.example", "u@fail.example")]),
    (["Whitelist = 198.51.100.0/24", "Domain_Whitelist = other.example,relay.example"], [ask("none.example", "u@fail.example")]),
    (["skip_addresses = 198.51.100.0/24", "HELO_Whitelist = x.example,helo.example"], [ask("helo.example", "u@fail.example")]),
    (["HELO_Whitelist = helo.example,none.example"], [ask("none.example", "u@soft.example")]),
    (["Domain_Whitelist_PTR = trusted.example"], [ask("none.example", "u@fail.example")]),
    (["Domain_Whitelist = other.example", "Domain_Whitelist_PTR = other.example"], [ask("none.example", "u@pass.example")]),
    (["Header_Type = AR"], [ask("none.example", "u@pass.example")]), (["Header_Type = None"], [ask("none.example", "u@pass.example")]),
    (["Prospective = 192.0.2.1"], [ask("none.example", "u@pass.example", client="203.0.113.9")]),
    (["defaultSeedOnly = 1"], [ask("none.example", "u@pass.example")] * 2),
    (["defaultSeedOnly = 1", "Mock = True"], [ask("none.example", "u@pass.example")]),
    (PER_USER, [ask("none.example", "u@fail.example", recipient=who) for who in RECIPIENTS]),
    (PER_USER, [ask("helo.example", "u@none.example", recipient=who, instance=str(n)) for n, who in enumerate(RECIPIENTS)]),
    (PER_USER, [ask("none.example", "u@pass.example", recipient="")]),
    (["Per_User = text,/nonexistent/per_user.txt"], [ask("none.example", "u@pass.example")]),
    (["Whitelist = 192.0.2.0/24"], [ask("none.example", "u@fail.example")] * 2),
    (["Domain_Whitelist_PTR = trusted.example", "Header_Type = AR"], [ask("none.example", "u@fail.example")] * 2),
    ([], [ask("none.example", "")] * 2), (["HELO_reject = Null"], [ask("fail.example", "")] * 2),
    (["HELO_pass_restriction = passed"], [ask("pass.example", "")] * 2),
]
# Everything at level 5; of the other levels enough to know at which one each line begins.
CASES += [(f"debugLevel {level}, {number}", [f"debugLevel = {level}", "Authserv_Id = mx.example", *conf], requests)
          for level in (-1, 0, 1, 2, 3, 4, 5) for number, (conf, requests) in enumerate(DEBUG)
          if level == 5 or number in (1, 6, 8, 9, 13, 29, 38, 40, 47, 48, 50)]

OPTIONS = {
    "HELO_reject": ["Fail", "Softfail", "SPF_Not_Pass", "Null", "False", "No_Check"],
    "Mail_From_reject": ["Fail", "Softfail", "SPF_Not_Pass", "False", "No_Check"],
    "PermError_reject": ["True", "False"], "TempError_Defer": ["True"], "No_Mail": ["True"], "TestOnly": ["0", "1"],
    "Header_Type": ["SPF", "AR", "None"], "Hide_Receiver": ["Yes", "No"], "SPF_Enhanced_Status_Codes": ["Yes", "No"],
    "Mail_From_pass_restriction": ["mf_ok"], "Prospective": ["192.0.2.1", "2001:db8::1"], "Void_Limit": ["1", "2", "5"],
    "Whitelist": ["192.0.2.0/24", "198.51.100.7,2001:db8::/32"], "skip_addresses": ["192.0.2.1", "203.0.113.0/24,::1"],
    "Domain_Whitelist": ["relay.example", "fail.example"], "HELO_Whitelist": ["none.example,helo.example"],
    "Domain_Whitelist_PTR": ["trusted.example"], "Reject_Not_Pass_Domains": ["neutral.example,soft.example"],
    "Reason_Message": ["{spf} | {rejectdefer} | {url}", "{{x}} {url}"], "Per_User": ["text,per_user.txt"]}


def mixtures(count):
    """Options in each other's company, each request a message of its own."""
    chance = random.Random(7208)
    out = []
    for number in range(count):
        names = chance.sample(sorted(OPTIONS), chance.choice([2, 3, 4, 5]))
        conf = ["Authserv_Id = mx.example", *(f"{name} = {chance.choice(OPTIONS[name])}" for name in names)]
        out.append((f"mixture {number}", conf, [
            ask(f"{chance.choice(DOMAINS)}.example", chance.choice(["", "u@{}.example"]).format(chance.choice(DOMAINS)),
                client=chance.choice([CLIENT, CLIENT, "2001:db8::1", "127.0.0.1", "203.0.113.1"]),
                recipient=chance.choice(RECIPIENTS), instance=str(instance)) for instance in range(3)]))
    return out


# Nobody means the order of two records to count.
CASES += [case for case in mixtures(120) if not ("No_Mail = True" in case[1] and "two.example" in str(case[2]))]
MILTER = ("Socket", "PidFile", "UserID", "UMask", "InternalHosts", "IntHosts", "MacroList")


def records():
    out = {"down.example": [("FAIL", None)]}
    for line in (HERE / "zone.txt").read_text().splitlines():
        name, kind, value = line.split(" ", 2)
        out.setdefault(name, []).append(txt(value) if kind == "TXT" else (kind, value))
    return out


def run(conf, requests):
    """Stock's answers and log lines, each request by itself."""
    import spf_engine.policyd_spf as policyd
    import spf_engine.policydspfsupp as support
    support.defaultConfigData = dict(DEFAULTS)
    handle, path = tempfile.mkstemp(suffix=".conf")
    os.close(handle)
    lines = "\n".join(conf) + "\n"
    Path(path).write_text(lines.replace("per_user.txt", str(HERE / "per_user.txt")) if "text,per_user" in lines else lines)
    events = []

    def log(*words):
        text = words[-1].replace(path, "test.conf").replace(f"{HERE}/per_user.txt", "per_user.txt")
        text = re.sub(r"port \d+", "port 53", text)
        if not text.startswith("Could not make HostDataset"):  # the milter's
            events.append(("log", text))
    syslog.syslog = log
    sys.argv = ["policyd-spf", path]

    class Out(io.StringIO):
        def write(self, text):
            events.append(("answer", re.sub(r"port \d+", "port 53", text.removeprefix("action=").removesuffix("\n\n"))))

    octets = "".join("".join(f"{k}={v}\n" for k, v in request.items()) + "\n" for request in requests)
    streams = sys.stdin, sys.stdout
    sys.stdin, sys.stdout = io.TextIOWrapper(io.BytesIO(octets.encode())), Out()
    try:
        policyd.main()
    finally:
        sys.stdin, sys.stdout = streams
        os.unlink(path)
    return events


def main():
    global DEFAULTS
    import spf_engine.policydspfsupp as support
    DEFAULTS = {name: value for name, value in support.defaultConfigData.items() if name not in MILTER}
    with SpfDns(records()) as server:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], server.port
        dns.resolver.default_resolver = resolver
        print("# python policyd-spf 3.0.4 on Debian 12; made by capture.py, with zone.txt as its DNS.")
        for name, conf, requests in CASES:
            print(f"\ncase {name}")
            for line in conf:
                print(f"conf {line}")
            for request in requests:
                print("ask " + "|".join(f"{k}={v}" for k, v in request.items()))
            for kind, text in run(conf, requests):
                print(f"{kind} {text}")


main()
