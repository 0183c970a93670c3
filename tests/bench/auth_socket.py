#!/usr/bin/python3
"""auth-socket beside Dovecot's own auth: logins a second, cached and not, cheap schemes and BLF-CRYPT; and a flood.

    tests/bench/auth_socket.py [cached|file|sqlite|pgsql|mysql|blf|flood]... [--rounds 5] [--logins 40000] [--perf FILE]

Both run at the same time on unix sockets from the same passdb blocks and are measured in turn by one client thread:
50 connections with one login at a time, as Postfix's smtpd processes have, and 4 connections with 50 at a time, as
Dovecot's login processes have. "limit" is what that client reaches against a server that answers each login at once
(tests/bench/auth_limit.cc): nobody can be faster on this machine. blf compares with crypt_r(3) on as many threads as there are cores; flood tells how
long a right login takes while 1,000 wrong ones from another address are under way. Needs build-release/ (meson setup
--buildtype=release; ninja auth-socket/auth-socket tests/bench/auth-client tests/bench/auth-limit), and dovecot-pgsql and -mysql for these two.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
os.environ.setdefault("POSTERN_BUILD", str(ROOT / "build-release"))

from harness import Daemon, Dovecot, MariaDb, Postgres, Sandbox, Sqlite, Talk, program, wait_until  # noqa: E402
from harness.sandbox import children_of  # noqa: E402

USERS = 1000
CLIENT = program("auth-socket").parents[1] / "tests/bench/auth-client"
LIMIT = CLIENT.with_name("auth-limit")
SHAPES = {"50 connections x 1": (50, 1), "4 connections x 50": (4, 50)}
COST, FLOOD_COST = 8, 5  # of BLF-CRYPT


def hashed(scheme, *options):
    return subprocess.run(["doveadm", "pw", "-s", scheme, "-p", "secret", *options], check=True, capture_output=True,
                          text=True).stdout.strip()


def rows(stored):
    values = ", ".join(f"('user{i}@example.com', '{stored}')" for i in range(USERS))
    return ("CREATE TABLE users (email VARCHAR(100) PRIMARY KEY, password VARCHAR(200));"
            f"INSERT INTO users VALUES {values};")


def sql(box, driver, connect):
    return "driver = sql", box.write(f"{driver}.conf.ext", f"driver = {driver}\nconnect = {connect}\npassword_query = "
                                     "SELECT email AS user, password FROM users WHERE email = '%u'\n")


def passdb(box, kind, stored):
    """The passdb's driver line and its args."""
    if kind == "file":
        lines = "".join(f"user{i}@example.com:{stored}\n" for i in range(USERS))
        return "driver = passwd-file", box.write("users", lines)
    if kind == "pgsql":
        server = Postgres(box, rows(stored)).__enter__()
        return sql(box, "pgsql", f"host={server.directory} port={server.port} user=postgres dbname={server.database}")
    if kind == "mysql":
        server = MariaDb(box, rows(stored)).__enter__()
        return sql(box, "mysql", f"host={server.socket} user={server.user} password={server.password} "
                   f"dbname={server.database}")
    server = Sqlite(box, rows(stored))
    return sql(box, "sqlite", server.path)


class Bench:
    def __init__(self, box, kind, stored, settings=""):
        driver, args = passdb(box, kind, stored)
        blocks = (f"{settings}\npassdb {{\n  {driver}\n  args = {args}\n}}\nuserdb {{\n  driver = static\n"
                  "  args = uid=nobody gid=nogroup home=/nonexistent\n}\n")
        auth = "service auth {\n  client_limit = 5000\n  unix_listener auth-client {\n    mode = 0666\n  }\n}\n"
        self.dovecot = Dovecot(box, extra=blocks + auth, protocols="").__enter__()
        run = box.directory("ours")
        conf = box.write("ours.conf", f"base_dir = {run}\nauth_mechanisms = plain login\n{blocks}{auth}")
        self.ours = Daemon(box, "auth-socket", ["-c", conf, "-o", box.write("own.conf", "")]).__enter__()
        self.targets = {"ours": f"{run}/auth-client", "dovecot": f"{self.dovecot.run}/auth-client",
                        "limit": f"{run}/limit"}
        self.limit = box.start("limit", [LIMIT, self.targets["limit"]])
        wait_until(lambda: "ready" in self.limit.log(), 10, "the limit's server listens")

    def processes(self, name):
        """Ours is one; Dovecot's auth has workers."""
        if name != "dovecot":
            return [self.ours.pid if name == "ours" else self.limit.pid]
        return [pid for pid in children_of(self.dovecot.pid) if pathlib.Path(f"/proc/{pid}/comm").read_text() == "auth\n"]

    def target(self, name):
        return f"{name}={','.join(map(str, self.processes(name)))}:{self.targets[name]}"

    def rates(self, logins, shape, rounds, wanted="OK", names=("ours", "dovecot", "limit")):
        """{name: ([logins a second in each round], [CPU microseconds a login])}; a round before warms up."""
        command = [CLIENT, str(logins), *map(str, shape), str(USERS), "secret", "rip=192.0.2.1", wanted]
        for name in names:
            subprocess.run([*command, "1", f"{name}={os.getpid()}:{self.targets[name]}"], check=True, capture_output=True)
        done = subprocess.run([*command, str(rounds), *map(self.target, names)], check=True, stdout=subprocess.PIPE,
                              text=True)
        found = {name: ([], []) for name in names}
        for line in done.stdout.splitlines():
            name, count, wall, cpu = line.split()
            found[name][0].append(int(count) / float(wall))
            found[name][1].append(float(cpu) / int(count) * 1e6)
        return found


def show(label, found):
    text = f"{label:34}"
    for name, (rates, cpu) in found.items():
        text += f" | {name} {statistics.median(rates):8.0f}/s ({min(rates):.0f}-{max(rates):.0f})"
        text += f" CPU {statistics.median(cpu):.1f} us" if cpu else ""
    first, second = list(found.values())[:2]
    text += f" | rate {statistics.median(first[0]) / statistics.median(second[0]):.2f}x"
    if second[1]:
        text += f" CPU {statistics.median(second[1]) / statistics.median(first[1]):.2f}x"
    print(text, flush=True)


def compare(box, kind, options):
    stored = hashed("SSHA256")
    cached = kind == "cached"
    bench = Bench(box, "sqlite" if cached else kind, stored, "auth_cache_size = 10M" if cached else "")
    recorder = options.perf and subprocess.Popen(
        ["perf", "record", "-q", "-g", "-F", "4000", "-p", str(bench.ours.pid), "-o", options.perf])
    for label, shape in SHAPES.items():
        logins = options.logins if kind in ("cached", "file") else options.logins // 4
        show(f"{kind}, SSHA256, {label}", bench.rates(logins, shape, options.rounds))
    if recorder:
        recorder.send_signal(2)
        recorder.wait()


def blf(box, options):
    stored = hashed("BLF-CRYPT", "-r", str(COST))
    bench = Bench(box, "file", stored)
    found = {"ours": ([], []), "crypt": ([], [])}
    for _ in range(options.rounds):
        found["ours"][0].extend(bench.rates(200, (50, 1), 1, names=("ours",))["ours"][0])
        line = subprocess.run([CLIENT, "crypt", stored.partition("}")[2], str(os.cpu_count()), "2"], check=True,
                              stdout=subprocess.PIPE, text=True).stdout.split()
        found["crypt"][0].append(int(line[1]) / float(line[2]))
    show(f"BLF-CRYPT, cost {COST}, beside crypt(3)", found)


def right_login(path):
    """Seconds for one right login from an address of its own, on a connection of its own."""
    with Talk(path, timeout=60) as talk:
        talk.lines("DONE")
        talk.send("VERSION\t1\t1\nCPID\t9999\n")
        begun = time.monotonic()
        talk.send("AUTH\t1\tPLAIN\tservice=smtp\trip=198.51.100.7\tresp=AHVzZXIwQGV4YW1wbGUuY29tAHNlY3JldA==\n")
        assert talk.line().startswith("OK")
        return time.monotonic() - begun


def flood(box, options):
    bench = Bench(box, "file", hashed("BLF-CRYPT", "-r", str(FLOOD_COST)), "auth_failure_delay = 0")
    for name in ("ours", "dovecot"):
        path = bench.targets[name]
        alone = statistics.median(right_login(path) for _ in range(20))
        attack = subprocess.Popen([CLIENT, "20000", "50", "20", str(USERS), "wrong", "rip=203.0.113.9", "FAIL", "1",
                                   bench.target(name)], stdout=subprocess.DEVNULL)
        wait_until(lambda: right_login(path) > alone, 10, "the flood is under way")
        during = [right_login(path) for _ in range(20 if name == "ours" else 3)]
        assert attack.poll() is None, "the flood ended too early"
        print(f"flood, BLF-CRYPT cost {FLOOD_COST}, {name:8} | alone {alone * 1000:.1f} ms | behind 1,000 wrong logins "
              f"{statistics.median(during) * 1000:.1f} ms ({min(during) * 1000:.1f}-{max(during) * 1000:.1f})", flush=True)
        attack.kill()
        attack.wait()


def main():
    kinds = ["cached", "file", "sqlite", "pgsql", "mysql", "blf", "flood"]
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", nargs="*", default=kinds, choices=[*kinds, []])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--logins", type=int, default=40000)
    parser.add_argument("--perf", help="perf record of ours into this file")
    options = parser.parse_args()
    for kind in options.kind:
        with Sandbox() as box:
            {"blf": blf, "flood": flood}.get(kind, lambda b, o: compare(b, kind, o))(box, options)


if __name__ == "__main__":
    main()
