"""A private authoritative DNS server (Knot) on a loopback port, with zones written as text."""

import signal

from .sandbox import LOOPBACK
from .waiting import wait_until

SOA = "@ 300 IN SOA ns.{zone} hostmaster.{zone} {serial} 300 300 300 300\n@ 300 IN NS ns.{zone}\n"
ADDRESS = "ns 300 IN A 127.0.0.1\n"


class Knot:
    """zones: {"partner.example": "@ 300 IN TXT \\"v=spf1 -all\\"\\n..."}; SOA and NS are added.

    A zone whose text is None answers SERVFAIL. updates: a zone takes dynamic updates (RFC 2136) from loopback,
    signed with the TSIG key if one is given as (name, algorithm, base64).
    """

    def __init__(self, box, zones, port=None, updates=False, tsig=None, name="knot"):
        self.box, self.name = box, name
        self.port = port or box.port()
        self.zones = dict(zones)
        self.updates, self.tsig = updates, tsig
        self._serial = 1
        self._directory = box.directory(name)
        self._process = None

    def __enter__(self):
        for zone, text in self.zones.items():
            self._write_zone(zone, text)
        self._write_configuration()
        self._process = self.box.start(self.name, ["knotd", "-c", self._configuration])
        wait_until(self._answers, 20, lambda: f"knotd does not answer: {self._process.log()}")
        return self

    def __exit__(self, *_):
        self.thaw()
        self._process.stop()

    @property
    def server(self):
        """As dig(1) and libunbound take it: 127.0.0.1@PORT."""
        return f"{LOOPBACK}@{self.port}"

    def set_zone(self, zone, text):
        """Replace a zone, or add one; answers change before this returns."""
        self._serial += 1
        self.zones[zone] = text
        self._write_zone(zone, text)
        self._write_configuration()
        self.control("reload")
        if text is not None:
            wait_until(lambda: f" {self._serial} " in self.ask(zone, "SOA"), 10, f"zone {zone} reloaded")

    def add(self, zone, text):
        self.set_zone(zone, self.zones[zone] + text)

    def freeze(self):
        """Be silent: no question is answered until thaw()."""
        self._process.send(signal.SIGSTOP)

    def thaw(self):
        if self._process and not self._process.ended():
            self._process.send(signal.SIGCONT)

    def stop(self):
        self._process.stop()

    def ask(self, name, kind="TXT", *options):
        """The answer section, one record data a line."""
        done = self.box.run(["kdig", f"@{LOOPBACK}", "-p", self.port, "+short", "+time=2", "+retry=0", *options,
                             name, kind], check=False)
        return done.stdout

    def control(self, *words):
        return self.box.run(["knotc", "-s", self._directory / "knot.sock", "-b", *words]).stdout

    def _answers(self):
        if self._process.ended():
            raise AssertionError(f"knotd ended: {self._process.log()}")
        known = [zone for zone, text in self.zones.items() if text is not None]
        return all(self.ask(zone, "SOA").strip() for zone in known) if known else \
            (self._directory / "knot.sock").exists()

    def _write_zone(self, zone, text):
        if text is None:
            self._directory.joinpath(f"{zone}.zone").unlink(missing_ok=True)
            return
        origin = f"{zone.rstrip('.')}."
        address = ADDRESS if not any(line.split()[:1] == ["ns"] for line in text.splitlines()) else ""
        head = f"$ORIGIN {origin}\n$TTL 300\n" + SOA.format(zone=origin, serial=self._serial) + address
        self.box.write(f"{self.name}/{zone}.zone", head + text)

    def _write_configuration(self):
        lines = ["server:", f"  rundir: {self._directory}", f"  listen: {LOOPBACK}@{self.port}",
                 "  udp-workers: 1", "  tcp-workers: 1", "  background-workers: 1",
                 "log:", "  - target: stderr", "    any: warning",
                 "database:", f"  storage: {self._directory}"]
        if self.tsig:
            lines += ["key:", f"  - id: {self.tsig[0]}", f"    algorithm: {self.tsig[1]}", f"    secret: {self.tsig[2]}"]
        if self.updates:
            lines += ["acl:", "  - id: update", "    action: update",
                      f"    key: {self.tsig[0]}" if self.tsig else f"    address: {LOOPBACK}"]
        lines += ["template:", "  - id: default", f"    storage: {self._directory}",
                  "    zonefile-sync: -1", "    zonefile-load: difference-no-serial", "    journal-content: all",
                  *(["    acl: update"] if self.updates else []), "zone:"]
        lines += [f"  - domain: {zone}\n    file: {zone}.zone" for zone in self.zones]
        self._configuration = self.box.write(f"{self.name}/knot.conf", "\n".join(lines) + "\n")
