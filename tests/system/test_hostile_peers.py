"""Every daemon survives garbage, half requests, over-long lines and peers that vanish: one line, closed, the next one served."""

import socket
import struct
import unittest

from harness import Daemon, Sqlite, SystemTest, Talk, wait_until

CROWD = 40  # peers that connect and say nothing


class Hostile:
    """What each protocol below plugs in: start() gives the address, serve() is a good client."""

    garbage = bytes(range(256)) * 8
    half = b""       # the beginning of a request that never ends
    over_long = b""  # one octet more than the protocol allows, without the end that would make it whole
    one_line = None  # what the log says of garbage; None: the protocol answers it instead

    def setUp(self):
        self.daemon, self.address = self.start()

    def talk(self):
        return Talk(self.address)

    def vanish(self, talk):
        """Gone with a reset, as a peer that was killed."""
        talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        talk.socket.close()

    def test_garbage_is_answered_or_ends_the_connection_and_the_next_client_is_served(self):
        talk = self.talk()
        talk.send(self.garbage)
        talk.finish_sending()
        talk.rest()
        if self.one_line:
            wait_until(lambda: self.one_line in self.daemon.log(), what=f"{self.one_line!r} in the log")
            self.assertEqual(self.daemon.log().count(self.one_line), 1, self.daemon.log())
        self.serve()

    def test_half_a_request_from_a_peer_that_vanishes_leaves_nothing_behind(self):
        for size in range(0, len(self.half) + 1, max(1, len(self.half) // 25)):
            talk = self.talk()
            talk.send(self.half[:size])
            self.vanish(talk)
        self.serve()

    def test_an_over_long_request_does_not_grow_without_end(self):
        talk = self.talk()
        try:
            talk.send(self.over_long)
            talk.finish_sending()
            talk.rest()
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed while it was still sending: as it should
        self.serve()

    def test_peers_that_say_nothing_do_not_keep_others_away(self):
        crowd = [self.talk() for _ in range(CROWD)]
        self.serve()
        for talk in crowd:
            self.vanish(talk)
        self.serve()


class ProxymapTest(Hostile, SystemTest):
    half = b"request\0lookup\0table\0sqlite:/etc/x.cf\0flags\00016\0key\0ann@a.example\0"
    over_long = b"request\0" + b"x" * 300_000
    one_line = "proxymap"

    def start(self):
        database = Sqlite(self.box, "CREATE TABLE alias(address TEXT, goto TEXT);"
                                    "INSERT INTO alias VALUES('ann@a.example', 'bob@b.example');")
        self.table = self.box.write("maps/alias.cf", f"dbpath = {database.path}\n"
                                                     "query = SELECT goto FROM alias WHERE address = '%s'\n")
        address = self.box.path("proxymap")
        conf = self.box.write("sql-maps.conf", f"proxymap_listen = unix:{address} mode=0666\n"
                                               f"map_directories = {self.table.parent}\n"
                                               "proxymap_greeting = yes\nsyslog = no\nuser = root\n")
        return self.enterContext(Daemon(self.box, "sql-maps", ["-c", conf])), str(address)

    def serve(self):
        talk = self.talk()
        talk.until(b"protocol\0proxymap_protocol\0\0")
        name = f"sqlite:{self.table}".encode()
        talk.send(b"request\0open\0table\0" + name + b"\0flags\0" + b"16\0\0")
        talk.until(b"status\0000\0flags\000")
        talk.until(b"\0\0")
        talk.send(b"request\0lookup\0table\0" + name + b"\0flags\00016\0key\0ann@a.example\0\0")
        self.assertIn(b"bob@b.example", talk.until(b"\0\0"))


class AuthClientTest(Hostile, SystemTest):
    half = b"VERSION\t1\t1\nCPID\t77\nAUTH\t1\tPLAIN\tservice=smtp\tresp=AGFubgBzZWNyZXQ="
    over_long = b"VERSION\t1\t1\nCPID\t77\nAUTH\t1\tPLAIN\tservice=smtp\tresp=" + b"A" * 16385
    one_line = "closed: "

    def start(self):
        address = self.box.path("auth")
        conf = self.box.write("dovecot.conf", f"""\
base_dir = {self.box.directory("run")}
auth_mechanisms = plain login
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=5000 gid=5000 home=/nonexistent
}}
service auth {{
  user = root
  unix_listener {address} {{
    mode = 0666
  }}
}}
""")
        return self.enterContext(Daemon(self.box, "auth-socket", ["-c", conf])), str(address)

    def serve(self):
        talk = self.talk()
        talk.lines("DONE")
        talk.send(b"VERSION\t1\t1\nCPID\t77\nAUTH\t1\tPLAIN\tservice=smtp\tresp=AGFubgBzZWNyZXQ=\n")
        self.assertTrue(talk.line().startswith("OK\t1\tuser=ann"))


del Hostile  # not a test by itself


if __name__ == "__main__":
    unittest.main()
