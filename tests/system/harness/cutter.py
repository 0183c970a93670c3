"""A relay that cuts connections in the middle of an answer."""

import socket
import threading
from contextlib import suppress


class Cutter:
    """Stands before a server and, once it is told to, ends the connection that has got so many more octets of answers."""

    def __init__(self, port, server):
        self.port, self.server, self.left, self.lock = port, server, None, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", port))
        self.sockets = [self.listener]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for each in self.sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def cut_after(self, octets):
        with self.lock:
            self.left = octets

    def has_cut(self):
        return self.left is None

    def accept(self):
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.server))
                self.sockets += [client, server]
                threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def pump(self, source, target, is_answer):
        with suppress(OSError):
            cut = False
            while not cut and (octets := source.recv(65536)):
                passed, cut = self.passed(octets) if is_answer else (octets, False)
                target.sendall(passed)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def passed(self, octets):
        with self.lock:
            if self.left is None:
                return octets, False
            octets = octets[:self.left]
            self.left -= len(octets)
            cut = self.left == 0
            self.left = None if cut else self.left
            return octets, cut
