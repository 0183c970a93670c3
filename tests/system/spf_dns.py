"""A DNS server for SPF tests: UDP and TCP on a loopback port, answers from a table that may hold anything."""

import socket
import struct
import threading

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SPF": 99}
NAMES = {number: name for name, number in TYPES.items()}
UDP_LIMIT = 1232
HELD = b""


class SpfDns:
    """records: {name: [(type, value), ...]}; value: an address, a name, (preference, name), or a list of strings of
    octets. A record ("FAIL", type or None) answers SERVFAIL, ("SILENT", type or None) answers nothing; a name with
    ("HELD", None) is answered when release() is called. ("CHANGED", function) answers what function(reply, tcp) makes of
    the octets of the answer; None is none. More than one thread may ask at a time; change records as you
    like.
    """

    def __init__(self, records=None):
        self.records = records or {}
        self.questions = []
        self._udp, self._tcp = self._pair()
        self.port = self._udp.getsockname()[1]
        self.server = f"127.0.0.1@{self.port}"
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._serve_udp, self._serve_tcp)]
        self._ending = False
        self._lock = threading.Lock()
        self._held = []  # (query, peer) that wait for release(); None: nothing waits any more

    @staticmethod
    def _pair():
        for _ in range(100):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("127.0.0.1", 0))
            tcp = socket.socket()
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tcp.bind(udp.getsockname())
            except OSError:
                udp.close()
                tcp.close()
                continue
            tcp.listen(50)
            return udp, tcp
        raise OSError("no loopback port is free for both UDP and TCP")

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ending = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as poke:
            poke.sendto(b"", ("127.0.0.1", self.port))
        self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._udp.close()
        self._tcp.close()

    def _serve_udp(self):
        while not self._ending:
            query, peer = self._udp.recvfrom(65535)
            reply = self._reply(query, False) if len(query) > 12 else None
            if reply:
                self._udp.sendto(reply, peer)
            elif reply == HELD:
                self._hold(query, peer)

    def _hold(self, query, peer):
        with self._lock:
            if self._held is not None:
                self._held.append((query, peer))
                return
        self._udp.sendto(self._reply(query, False), peer)

    def release(self):
        """Answers all that is held, and holds nothing from now on."""
        with self._lock:
            waiting, self._held = self._held, None
        for query, peer in waiting:
            self._udp.sendto(self._reply(query, False), peer)

    def _serve_tcp(self):
        while not self._ending:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    (size,) = struct.unpack(">H", connection.recv(2, socket.MSG_WAITALL))
                    reply = self._reply(connection.recv(size, socket.MSG_WAITALL), True)
                    if reply:
                        connection.sendall(struct.pack(">H", len(reply)) + reply)
                except (OSError, struct.error):
                    pass

    def _reply(self, query, tcp):
        name, at = b"", 12
        while query[at]:
            label = query[at + 1:at + 1 + query[at]]
            name, at = name + (b"." if name else b"") + label, at + 1 + query[at]
        kind = NAMES.get(struct.unpack(">H", query[at + 1:at + 3])[0], "?")
        question = query[12:at + 5]
        self.questions.append((name.decode("latin-1").lower(), kind))
        code, answers = self._answer(name.decode("latin-1").lower(), kind)
        if code in (None, HELD):
            return code
        body = b"".join(answers)
        truncated = not tcp and len(body) > UDP_LIMIT
        authority = b"" if answers else self._record("", "SOA", None)
        flags = 0x8180 | code | (0x0200 if truncated else 0)
        counts = (1, 0, 0, 0) if truncated else (1, len(answers), 1 if authority else 0, 0)
        reply = query[:2] + struct.pack(">H4H", flags, *counts) + question + (b"" if truncated else body + authority)
        for row, change in self.records.get(name.decode("latin-1").lower(), []):
            if row == "CHANGED":
                reply = change(reply, tcp)
        return reply

    def _answer(self, name, kind):
        answers, exists = [], False
        for _ in range(20):
            rows = self.records.get(name, [])
            if ("HELD", None) in rows and self._held is not None:
                return HELD, []
            exists = bool(rows) or any(other.endswith("." + name) for other in self.records)
            wanted = [value for row, value in rows if row == kind]
            alias = [value for row, value in rows if row == "CNAME"]
            for bad, code in (("FAIL", 2), ("SILENT", None)):
                if (bad, kind) in rows or ((bad, None) in rows and not wanted):
                    return code, []
            answers += [self._record(name, kind, value) for value in wanted]
            if wanted or not alias:
                break
            answers.append(self._record(name, "CNAME", alias[0]))
            name = alias[0].rstrip(".").lower()
        return (0 if exists or answers else 3), answers

    def _record(self, owner, kind, value):
        if kind == "A":
            data = socket.inet_aton(value)
        elif kind == "AAAA":
            data = socket.inet_pton(socket.AF_INET6, value)
        elif kind in ("TXT", "SPF"):
            pieces = [text[i:i + 255] for text in value for i in range(0, max(len(text), 1), 255)] or [b""]
            data = b"".join(bytes([len(piece)]) + piece for piece in pieces)
        elif kind == "MX":
            data = struct.pack(">H", value[0]) + self._name(value[1])
        elif kind == "SOA":
            data = self._name("ns.example") + self._name("admin.example") + struct.pack(">5I", 1, 1, 1, 1, 60)
        else:
            data = self._name(value)
        return self._name(owner) + struct.pack(">HHIH", TYPES[kind], 1, 60, len(data)) + data

    @staticmethod
    def _name(name):
        labels = [label.encode("latin-1") for label in name.rstrip(".").split(".") if label]
        return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def txt(*strings):
    """A TXT record of one or more strings."""
    return ("TXT", [text.encode("latin-1") for text in strings])
