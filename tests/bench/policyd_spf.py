#!/usr/bin/python3
"""How fast policyd-spf is: spawn to first answer, and checks a second of the daemon with a warm DNS cache.

    tests/bench/policyd_spf.py            prints both; needs build/policyd-spf/policyd-spf (./dev build)

Where Debian's postfix-policyd-spf-python is installed, stock is measured beside it: spawned in turn with ours, and
warm on its standard input, which is the one way it has.
"""

import multiprocessing
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from harness import Daemon, Sandbox, program  # noqa: E402
from spf_dns import SpfDns, txt  # noqa: E402

DOMAINS, CLIENTS, BATCHES, RUNS = 100, 2, 400, 31


def request(number, instance):
    return (f"client_address=192.0.2.1\nhelo_name=helo.example\nsender=u@d{number}.example\nrecipient=a@b.example\n"
            f"instance={instance}\n\n").encode()


# Stock reads only /etc/resolv.conf: its resolver is given before its main() runs.
STOCK = """import dns.resolver, sys
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = ["127.0.0.1"], int(sys.argv.pop())
dns.resolver.default_resolver = resolver
from spf_engine.policyd_spf import main
main()"""


def stock_command(conf, dns):
    """None where it is not installed."""
    probe = subprocess.run(["/usr/bin/python3", "-c", "import dns.resolver, spf_engine.policyd_spf"], capture_output=True)
    return ["/usr/bin/python3", "-c", STOCK, conf, str(dns.port)] if probe.returncode == 0 else None


def spawn_to_first_answer(command, text):
    began = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(text)
        process.stdin.flush()
        process.stdout.readline()
        took = time.perf_counter() - began
        process.stdin.close()
        process.stdout.read()
    return took


def client(path):
    """Pipelined batches of requests, each with two identities to check and none asked before by this message."""
    batch = b"".join(request(i, i) for i in range(DOMAINS))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        for _ in range(BATCHES):
            connection.sendall(batch)
            answers = 0
            while answers < DOMAINS:
                answers += connection.recv(1 << 16).count(b"\n\n")


def warm_stock(command, batches=4):
    """Requests a second, one process, after a first batch that is not counted."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for number in range(batches + 1):
            if number == 1:
                began = time.perf_counter()
            for i in range(DOMAINS):  # one at a time: both pipes are small
                process.stdin.write(request(i, number * DOMAINS + i))
                process.stdin.flush()
                process.stdout.readline()
                process.stdout.readline()
        took = time.perf_counter() - began
        process.stdin.close()
    return batches * DOMAINS / took


def print_times(who, times):
    print(f"spawn to first answer, {who}: median {statistics.median(times):.2f} ms, {min(times):.2f} to {max(times):.2f} ms, "
          f"{len(times)} runs")


def main():
    records = {f"d{i}.example": [txt("v=spf1 ip4:192.0.2.1 -all")] for i in range(DOMAINS)}
    with Sandbox() as box, SpfDns(records) as dns:
        conf = box.write("policyd-spf.conf", f"debugLevel = 0\nUser = nobody\nNameservers = {dns.server}\n")
        ours = [program("policyd-spf"), conf]
        stock = stock_command(box.write("stock.conf", "debugLevel = 0\n"), dns)
        for name, text in (("no DNS", b"client_address=127.0.0.1\n\n"), ("two lookups", request(0, 0))):
            times = {"ours": [], "stock": []}
            for _ in range(RUNS):
                times["ours"].append(spawn_to_first_answer(ours, text) * 1000)
                if stock:
                    times["stock"].append(spawn_to_first_answer(stock, text) * 1000)
            for who in times if stock else ("ours",):
                print_times(f"{name}, {who}", times[who])
        path = str(box.path("policy"))
        with Daemon(box, "policyd-spf", ["--listen", f"unix:{path} mode=0666", conf]):
            client(path)  # warms the cache
            clients = [multiprocessing.Process(target=client, args=(path,)) for _ in range(CLIENTS)]
            began = time.perf_counter()
            for each in clients:
                each.start()
            for each in clients:
                each.join()
            requests = CLIENTS * BATCHES * DOMAINS
            took = time.perf_counter() - began
        if stock:
            each = warm_stock(stock)
            print(f"warm stock, 1 client: {each:.0f} requests/s, {2 * each:.0f} checks/s")
        print(f"warm daemon, {CLIENTS} clients: {requests / took:.0f} requests/s, {2 * requests / took:.0f} checks/s")


if __name__ == "__main__":
    main()
