#!/usr/bin/python3
"""milter-dkim beside stock OpenDKIM: messages a second and CPU time, signing and verifying, 2 KB to 2 MB.

    tests/bench/milter_dkim.py [sign|verify]... [--sizes 2,20] [--rounds 5] [--clients 1] [--alone] [--profile NAME]

Both daemons run at the same time on unix sockets and are measured in turn, as Postfix would use them (milter protocol
6, 64 KB chunks): a new connection for each message, and 100 messages on one. Both ask the same name server on
loopback. Needs build-release/ (meson setup --buildtype=release; ninja milter-dkim/milter-dkim tests/bench/milter-client)
and the packages opendkim and python3-dkim.
"""

import argparse
import base64
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
os.environ.setdefault("POSTERN_BUILD", str(ROOT / "build-release"))

import dkim  # noqa: E402
from harness import Sandbox, program, wait_until  # noqa: E402
from spf_dns import SpfDns, txt  # noqa: E402

HEADER = """Return-Path: <a@example.com>
Received: from client.example.org (client.example.org [192.0.2.7])
\tby mx.example.com (Postfix) with ESMTPS id 4ABCDEF
\tfor <b@example.net>; Sat, 21 Nov 2026 09:00:00 +0000 (UTC)
Date: Sat, 21 Nov 2026 09:00:00 +0000
From: Alice Example <a@example.com>
To: Bob <b@example.net>, Carol <c@example.net>,
\tDave <d@example.net>
Subject: Minutes of the meeting, and what follows from them
Message-ID: <20261121090000.1234@example.com>
In-Reply-To: <20261120090000.1234@example.net>
References: <20261119090000.1@example.net>
\t<20261120090000.1234@example.net>
User-Agent: Mutt/2.2.9 (2022-11-12)
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
List-Id: <talk.example.com>
List-Unsubscribe: <mailto:talk-request@example.com?subject=unsubscribe>
"""
LINE = "It was agreed that the work goes on as planned, and  that all are told. "
SIGNERS = "SignatureAlgorithm rsa-sha256\nCanonicalization relaxed/relaxed\nOversignHeaders From\n"


def message(size):
    text = HEADER + "\n"
    number = 0
    while len(text) < size:
        number += 1
        text += LINE[number % 7:][:76] + ("\n" if number % 5 else "\n\n")
    return text.replace("\n", "\r\n").encode()


class Bench:
    def __init__(self, box, dns, alone):
        self.box, self.dns = box, dns
        self.key = box.path("key.private")
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", self.key, "2048"], check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER"], check=True,
                             capture_output=True).stdout
        dns.records["s._domainkey.example.com"] = [txt("v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode())]
        self.targets = {}
        unbound = box.write("unbound.conf", "server:\n do-not-query-localhost: no\nforward-zone:\n name: \".\"\n"
                            f" forward-addr: {dns.server}\n")
        common = (f"Domain example.com\nSelector s\nKeyFile {self.key}\nRequireSafeKeys no\nSyslog yes\n"
                  f"InternalHosts 127.0.0.1\nAuthservID mx.example.com\nUMask 000\nBackground no\n{SIGNERS}")
        self.start("ours", program("milter-dkim"), common + f"Nameservers {dns.server}\n")
        if not alone:
            self.start("stock", "/usr/sbin/opendkim", common + f"ResolverConfiguration {unbound}\n", ["-f"])

    def start(self, name, path, settings, arguments=()):
        where = self.box.path(f"{name}.sock")
        conf = self.box.write(f"{name}.conf", f"Socket local:{where}\n{settings}")
        process = self.box.start(name, [path, "-x", conf, *arguments])
        wait_until(lambda: self.answers(where), 10, f"{name} to listen")
        self.targets[name] = (process.pid, where)

    @staticmethod
    def answers(path):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(path)) == 0

    def run(self, work, size, per_connection, rounds, clients):
        text = message(size)
        if work == "verify":
            text = dkim.sign(text, b"s", b"example.com", self.key.read_bytes(),
                             canonicalize=(b"relaxed", b"relaxed")) + text
        path = self.box.write("message", text)
        address, field, wanted = {"sign": ("127.0.0.1", "DKIM-Signature", "s=s"),
                                  "verify": ("192.0.2.7", "Authentication-Results", "dkim=pass")}[work]
        messages = max(per_connection, min(400, 60_000_000 // (size + 100_000)) // per_connection * per_connection)
        done = subprocess.run(
            [ROOT / os.environ["POSTERN_BUILD"] / "tests/bench/milter-client", path, address, field, wanted,
             str(messages), str(per_connection), str(clients), str(rounds + 1),
             *(f"{name}={pid}:{where}" for name, (pid, where) in self.targets.items())],
            check=True, stdout=subprocess.PIPE, text=True)
        figures = {name: ([], []) for name in self.targets}
        for line in done.stdout.splitlines()[len(self.targets):]:  # the first round warms up
            name, count, wall, cpu = line.split()
            figures[name][0].append(float(wall) / int(count) * 1000)
            figures[name][1].append(float(cpu) / int(count) * 1000)
        return figures


def show(label, figures):
    text = f"{label:28}"
    for name, (wall, cpu) in figures.items():
        middle = statistics.median(wall)
        text += (f" | {name} {1000 / middle:6.0f}/s {middle:6.3f} ms ({min(wall):.3f}-{max(wall):.3f}) "
                 f"CPU {statistics.median(cpu):6.3f} ms ({min(cpu):.3f}-{max(cpu):.3f})")
    if len(figures) == 2:
        ours, stock = figures["ours"], figures["stock"]
        text += (f" | wall {statistics.median(stock[0]) / statistics.median(ours[0]):.2f}x"
                 f" CPU {statistics.median(stock[1]) / statistics.median(ours[1]):.2f}x")
    print(text, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", nargs="*", default=["sign", "verify"])
    parser.add_argument("--sizes", default="2,20,200,2000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--connections", default="1,100")
    parser.add_argument("--alone", action="store_true", help="without stock")
    parser.add_argument("--perf", help="perf record of this daemon into this file")
    options = parser.parse_args()
    with Sandbox() as box, SpfDns() as dns:
        bench = Bench(box, dns, options.alone)
        recorder = None
        if options.perf:
            recorder = subprocess.Popen(["perf", "record", "-q", "-g", "-F", "5000", "-p", str(bench.targets["ours"][0]),
                                         "-o", options.perf], stdout=subprocess.DEVNULL)
            time.sleep(0.5)
        for work in options.work:
            for size in options.sizes.split(","):
                for per_connection in options.connections.split(","):
                    figures = bench.run(work, int(size) * 1000, int(per_connection), options.rounds, options.clients)
                    show(f"{work} {size} KB, {per_connection} a connection", figures)
        if recorder:
            recorder.send_signal(2)
            recorder.wait()


if __name__ == "__main__":
    main()
