"""swaks as the SMTP client, with its transcript; and Talk, a raw client for line protocols on any socket."""

import re
import shutil
import socket
import subprocess

from .sandbox import LOOPBACK


class Transcript:
    """What swaks did: code is its exit code (0: all went well), replies the server's [(code, text)] in order."""

    def __init__(self, code, text):
        self.code, self.text = code, text
        self.steps = _steps(text)  # [(what the client sent, reply code, reply text)]

    @property
    def replies(self):
        return [(code, reply) for _, code, reply in self.steps]

    def reply_to(self, command, which=0):
        """(code, text) of the answer to the which-th line sent that begins with this; "." is the end of DATA."""
        found = [(code, reply) for sent, code, reply in self.steps
                 if sent == command or (command != "." and sent.upper().startswith(command.upper()))]
        if len(found) <= which:
            raise AssertionError(f"nothing was answered to {command}:\n{self.text}")
        return found[which]

    @property
    def queue_id(self):
        match = re.search(r"queued as (\w+)", self.text)
        if not match:
            raise AssertionError(f"nothing was queued:\n{self.text}")
        return match[1]

    def __str__(self):
        return self.text


def swaks(port, *words, server=LOOPBACK, sender=None, to=None, user=None, password=None, mechanism="PLAIN",
          headers=(), body=None, data=None, timeout=60, helo="client.example", local=None):
    """Send one message (or less, with --quit-after in words) and give back the Transcript.

    data: the whole message instead of swaks' own template. local: the address to connect from.
    """
    command = [shutil.which("swaks") or "swaks", "--server", server, "--port", str(port), "--helo", helo,
               "--timeout", str(timeout), "--no-data-fixup" if data else "--hide-informational"]
    options = {"--from": sender, "--to": ",".join(to) if isinstance(to, (list, tuple)) else to,
               "--auth-user": user, "--auth-password": password, "--body": body, "--local-interface": local}
    for option, value in options.items():
        if value is not None:
            command += [option, value]
    if user is not None:
        command += ["--auth", mechanism]
    for header in headers:
        command += ["--header", header]
    stdin = None
    if data is not None:
        command += ["--data", "-"]
        stdin = re.sub(rb"\r?\n", b"\r\n", data if isinstance(data, bytes) else data.encode())
        # Without its fix-ups, swaks leaves dot-stuffing and the final dot (but not its line end) to us.
        stdin = re.sub(rb"(?m)^\.", b"..", stdin).removesuffix(b"\r\n") + b"\r\n."
    command += [str(word) for word in words]
    try:
        done = subprocess.run(command, input=stdin or b"", capture_output=True, timeout=timeout + 30)
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"no end after {late.timeout} s: {' '.join(command)}\n"
                             f"{(late.stdout or b'').decode(errors='replace')}") from None
    return Transcript(done.returncode, (done.stdout + done.stderr).decode(errors="replace"))


def _steps(text):
    """swaks marks what it sent with "->" (TLS: "~>") and what it got with "<-" or "<**" ("<~", "<~*")."""
    steps, sent, reply = [], "", []
    for line in text.splitlines():
        if out := re.match(r" [-~*]{1,2}> (.*)$", line):
            sent = out[1]
        elif got := re.match(r"<[-~*]{1,2} +(\d{3})([ -]?)(.*)$", line):
            reply.append(got[3])
            if got[2] != "-":
                steps.append((sent, int(got[1]), "\n".join(reply)))
                reply = []
    return steps


class Talk:
    """A raw client: address is a Unix socket's path or (host, port)."""

    def __init__(self, address, timeout=20):
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(address if isinstance(address, tuple) else str(address))
        self._buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, octets):
        self.socket.sendall(octets if isinstance(octets, bytes) else octets.encode())
        return self

    def until(self, end):
        """Everything up to and with these octets; AssertionError when the peer closes before."""
        while end not in self._buffer:
            piece = self.socket.recv(65536)
            if not piece:
                raise AssertionError(f"the peer closed; before: {self._buffer!r}")
            self._buffer += piece
        found, _, rest = self._buffer.partition(end)
        self._buffer = rest
        return found + end

    def take(self, count):
        """Exactly so many octets; AssertionError when the peer closes before."""
        while len(self._buffer) < count:
            piece = self.socket.recv(65536)
            if not piece:
                raise AssertionError(f"the peer closed; before: {self._buffer!r}")
            self._buffer += piece
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def line(self):
        return self.until(b"\n").decode(errors="surrogateescape").rstrip("\r\n")

    def lines(self, last):
        """Lines up to the one that starts with last."""
        found = [self.line()]
        while not found[-1].startswith(last):
            found.append(self.line())
        return found

    def rest(self):
        """Everything until the peer closes."""
        while True:
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                found, self._buffer = self._buffer, b""
                return found
            self._buffer += piece

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def close(self):
        self.socket.close()
