#!/usr/bin/python3
"""sql-maps beside Postfix's proxymap: lookups a second and latencies, on SQLite, PostgreSQL and MariaDB.

    tests/bench/sql_maps.py [sqlite|pgsql|mysql]... [--clients 1,20,100,500] [--rounds 5] [--lookups 20000] [--perf FILE]

Both services run at the same time on the same database and are asked in turn for the same keys, by clients that each
keep one connection and have one request under way, as Postfix's processes do. proxymap has the process limit that
Postfix gives it (default_process_limit, 100), sql-maps its default pool of 8. Half of the keys are in the table of
10,000 addresses. Needs root, and build-release/ (meson setup --buildtype=release build-release;
ninja -C build-release sql-maps/sql-maps tests/bench/proxymap-client tests/bench/proxymap-echo tests/bench/sql-driver).

"echo" is what the client and the kernel reach without any lookup: a service that says "not found" to everything.
"database" is what our drivers reach without clients, on as many connections as the pool has: "singly" one lookup at
a time on each, "together" 16 at once on two. No service that asks the database can be faster than these.
"""

import argparse
import os
import pathlib
import random
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
os.environ.setdefault("POSTERN_BUILD", str(ROOT / "build-release"))

from harness import Daemon, MariaDb, Postfix, Postgres, Sandbox, Sqlite, wait_until  # noqa: E402

PROGRAMS = ROOT / os.environ["POSTERN_BUILD"] / "tests/bench"
ROWS = 10_000
POOL = 8  # pool_size's default
SCHEMA = ("CREATE TABLE alias (address VARCHAR(255) PRIMARY KEY, goto VARCHAR(255));\n"
          + "".join("INSERT INTO alias VALUES "
                    + ", ".join(f"('user{n}@example{n % 50}.com', 'box{n}@mail.example')" for n in range(at, at + 1000))
                    + ";\n" for at in range(0, ROWS, 1000)))


def figures(box, database, options, echo):
    """{clients: {service: [(per second, p50, p99), ...]}}"""
    postfix = Postfix(box, name=f"mx-{database.driver}", main={"proxy_read_maps": "$virtual_alias_maps",
                                                               "default_process_limit": "100"})
    head = f"dbpath = {database.path}\n" if database.driver == "sqlite" else (
        f"hosts = inet:127.0.0.1:{database.port}\nuser = {database.user}\npassword = {database.password}\n"
        f"dbname = {database.database}\n")
    table = f"{database.driver}:" + str(postfix.write("alias.cf", head + "query = SELECT goto FROM alias WHERE address='%s'\n"))
    postfix.main["virtual_alias_maps"] = f"proxy:{table}"
    postfix.queue.joinpath("private").mkdir(exist_ok=True)
    conf = box.write(f"{postfix.name}.conf", f"proxymap_listen = unix:{postfix.private('sqlmaps')}\nproxymap_greeting = yes\n"
                     f"map_directories = {postfix.directory}\n{options.conf}\n")
    chance = random.Random(6)
    keys = box.write(f"{postfix.name}.keys", "".join(
        f"user{n}@example{n % 50}.com\n" if chance.random() < 0.5 else f"nobody{n}@example{n % 50}.com\n"
        for n in (chance.randrange(ROWS) for _ in range(20_000))))
    limits(database, keys)
    out = {}
    with Daemon(box, "sql-maps", ["-c", conf], name=f"sql-maps-{database.driver}") as daemon, postfix:
        recorder = options.perf and subprocess.Popen(
            ["perf", "record", "-q", "-g", "-F", "4000", "-p", str(daemon.pid), "-o", options.perf], stdout=subprocess.DEVNULL)
        for clients in map(int, options.clients.split(",")):
            done = subprocess.run(
                [PROGRAMS / "proxymap-client", table, keys, str(options.lookups),
                 str(clients), str(options.rounds + 1), f"ours={postfix.private('sqlmaps')}",
                 *([] if options.alone else [f"stock={postfix.private('proxymap')}", f"echo={echo}"])],
                check=True, stdout=subprocess.PIPE, text=True)
            services = {}
            for line in done.stdout.splitlines():
                name, rate, median, late, *statuses = line.split()
                assert {status[0] for status in statuses} <= {"0", "1"}, line
                services.setdefault(name, []).append((float(rate), float(median), float(late)))
            out[clients] = {name: rounds[1:] for name, rounds in services.items()}  # the first round warms up
            show(f"{database.driver:6} {clients:4} clients", out[clients])
        if recorder:
            recorder.send_signal(2)
            recorder.wait()
    return out


def limits(database, keys):
    """What the database reaches by itself."""
    where = (str(database.path), "0", "", "", str(database.path)) if database.driver == "sqlite" else (
        "127.0.0.1", str(database.port), database.user, database.password, database.database)

    def rate(connections, batch):
        done = subprocess.run([PROGRAMS / "sql-driver", database.driver, *where, keys, str(connections), str(batch), "2000"],
                              check=True, stdout=subprocess.PIPE, text=True)
        return int(done.stdout)
    print(f"{database.driver:6} database singly {rate(POOL, 1):7}/s, together {rate(2, 16):7}/s", flush=True)


def start_echo(box):
    socket = box.path("echo")
    box.start("echo", [PROGRAMS / "proxymap-echo", socket])
    wait_until(socket.exists, 20, "the echo listens")
    return socket


def show(label, services):
    text, middle = label, {}
    for name, rounds in services.items():
        rate, median, late = middle[name] = [statistics.median(column) for column in zip(*rounds)]
        rates = [rate for rate, _, _ in rounds]
        text += (f" | {name} {rate:7.0f}/s ({min(rates):.0f}-{max(rates):.0f}) p50 {median / 1000:7.3f} ms"
                 f" p99 {late / 1000:7.3f} ms")
    if "stock" in middle:
        ours, stock = middle["ours"], middle["stock"]
        text += f" | {ours[0] / stock[0]:.2f}x, p99 {ours[2] / stock[2]:.2f} of stock's"
    print(text, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("databases", nargs="*", default=["sqlite", "pgsql", "mysql"])
    parser.add_argument("--clients", default="1,20,100,500")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lookups", type=int, default=20_000)
    parser.add_argument("--conf", default="", help="more lines of sql-maps.conf")
    parser.add_argument("--alone", action="store_true", help="without proxymap")
    parser.add_argument("--perf", help="perf record of sql-maps into this file")
    options = parser.parse_args()
    with Sandbox() as box:
        echo = start_echo(box)
        kinds = {"sqlite": Sqlite, "pgsql": Postgres, "mysql": MariaDb}
        for name in options.databases:
            with kinds[name](box, SCHEMA) as database:
                figures(box, database, options, echo)


if __name__ == "__main__":
    main()
