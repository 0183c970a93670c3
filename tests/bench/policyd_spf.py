#!/usr/bin/python3
"""How fast policyd-spf is: spawn to first answer, and checks a second of the daemon with a warm DNS cache.

    tests/bench/policyd_spf.py            prints both; needs build/policyd-spf/policyd-spf (./dev build)
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


def spawn_to_first_answer(conf, text):
    began = time.perf_counter()
    with subprocess.Popen([program("policyd-spf"), conf], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
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


def main():
    records = {f"d{i}.example": [txt("v=spf1 ip4:192.0.2.1 -all")] for i in range(DOMAINS)}
    with Sandbox() as box, SpfDns(records) as dns:
        conf = box.write("policyd-spf.conf", f"debugLevel = 0\nUser = nobody\nNameservers = {dns.server}\n")
        for name, text in (("no DNS", b"client_address=127.0.0.1\n\n"), ("two lookups", request(0, 0))):
            times = [spawn_to_first_answer(conf, text) * 1000 for _ in range(RUNS)]
            print(f"spawn to first answer, {name}: median {statistics.median(times):.2f} ms, {min(times):.2f} to "
                  f"{max(times):.2f} ms, {RUNS} runs")
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
        print(f"warm daemon, {CLIENTS} clients: {requests / took:.0f} requests/s, {2 * requests / took:.0f} checks/s")


if __name__ == "__main__":
    main()
