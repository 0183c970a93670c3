"""The MTA's side of the milter protocol (libmilter's, version 6), for messages that no MTA would pass on as they are."""

import socket
import struct

# What Postfix 3.7 offers, without leave to answer less: each step has its reply.
ACTIONS = 0x1ff
STEPS = 0x7f | 0x100 | 0x200 | 0x400 | 0x100000  # NO_*, SKIP, HDR_LEADSPC
NO_HELO, NO_DATA, SKIP, LEADING_SPACE = 0x02, 0x200, 0x400, 0x100000
CHUNK = 65535


class Verdict(Exception):
    """The filter ended the message early: its reply's letter and data."""

    def __init__(self, letter, data):
        super().__init__(letter, data)
        self.letter, self.data = letter, data


class MilterClient:
    """One connection. send() gives what the message became and the last reply's letter ("a" accept, "t", "r", "y").

    held: why the filter wants the last message in quarantine, or None.
    """

    def __init__(self, target, client=("client.example.org", "192.0.2.7"), macros=None, timeout=30):
        family = socket.AF_INET if isinstance(target, tuple) else socket.AF_UNIX
        self._socket = socket.socket(family)
        self._socket.settimeout(timeout)
        self._socket.connect(target if isinstance(target, tuple) else str(target))
        self._file = self._socket.makefile("rb")
        self._macros = macros or {}
        self.held = None
        self._command(b"O", struct.pack("!III", 6, ACTIONS, STEPS))
        letter, data = self._receive()
        if letter != "O":
            raise Verdict(letter, data)
        self.steps = struct.unpack("!III", data[:12])[2]
        self._send_macros(b"C", {"j": "mx.example.com", **self._macros})
        name, address = client
        kind = b"6" if ":" in address else b"4"
        self._step(b"C", name.encode() + b"\0" + kind + struct.pack("!H", 40000) + address.encode() + b"\0")
        if not self.steps & NO_HELO:
            self._step(b"H", b"client.example.org\0")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self._command(b"Q", b"")
        except OSError:
            pass
        self._file.close()
        self._socket.close()

    def _command(self, letter, data):
        self._socket.sendall(struct.pack("!I", len(data) + 1) + letter + data)

    def _receive(self):
        head = self._file.read(4)
        if len(head) < 4:
            raise ConnectionError("the filter closed the connection")
        data = self._file.read(struct.unpack("!I", head)[0])
        return chr(data[0]), data[1:]

    def _step(self, letter, data, more=b"c"):
        self._command(letter, data)
        reply, text = self._receive()
        if reply.encode() not in more:
            raise Verdict(reply, text)
        return reply

    def _send_macros(self, stage, values):
        pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in values.items())
        self._command(b"D", stage + pairs)

    def begin(self, sender="a@example.com", recipients=("b@example.net",), queue_id="4ABCDEF"):
        self._send_macros(b"M", {"i": queue_id, **self._macros})
        self._step(b"M", f"<{sender}>".encode() + b"\0")
        for recipient in recipients:
            self._step(b"R", f"<{recipient}>".encode() + b"\0")
        if not self.steps & NO_DATA:
            self._step(b"T", b"")

    def header(self, fields):
        """Pairs of octets, the value as it stands behind the colon; lines may end with CRLF."""
        for name, value in fields:
            value = value.replace(b"\r\n", b"\n")
            if not self.steps & LEADING_SPACE and value.startswith(b" "):
                value = value[1:]
            self._step(b"L", name + b"\0" + value + b"\0")
        self._send_macros(b"N", {"i": "4ABCDEF", **self._macros})
        self._step(b"N", b"")

    def body(self, octets):
        for at in range(0, len(octets), CHUNK):
            if self._step(b"B", octets[at:at + CHUNK], b"cs") == "s":
                return

    def end(self, fields):
        """The fields as they are changed, and the verdict's letter with its text."""
        fields, self.held = list(fields), None
        self._send_macros(b"E", {"i": "4ABCDEF", **self._macros})
        self._command(b"E", b"")
        while True:
            letter, data = self._receive()
            if letter == "i":
                name, value = data[4:].split(b"\0")[:2]
                fields.insert(struct.unpack("!I", data[:4])[0], (name, self._spaced(value)))
            elif letter == "h":
                name, value = data.split(b"\0")[:2]
                fields.append((name, self._spaced(value)))
            elif letter == "m":
                self._change(fields, struct.unpack("!I", data[:4])[0], *data[4:].split(b"\0")[:2])
            elif letter == "q":
                self.held = data.rstrip(b"\0")
            elif letter not in "p+-":
                return fields, letter, data.rstrip(b"\0")

    def _spaced(self, value):
        return value if self.steps & LEADING_SPACE else b" " + value

    @staticmethod
    def _change(fields, index, name, value):
        places = [i for i, field in enumerate(fields) if field[0].lower() == name.lower()]
        if len(places) < index:
            raise AssertionError(f"no {name} number {index} to change")
        if value:
            fields[places[index - 1]] = (name, value)
        else:
            del fields[places[index - 1]]

    def send(self, fields, body, **envelope):
        try:
            self.begin(**envelope)
            self.header(fields)
            self.body(body)
            return self.end(fields)
        except Verdict as early:
            return fields, early.letter, early.data.rstrip(b"\0")
        finally:
            self._command(b"A", b"")


def message(fields, body):
    """Octets with CRLF, as an MTA passes them on."""
    head = b"".join(name + b":" + value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n" for name, value in fields)
    return head + b"\r\n" + body
