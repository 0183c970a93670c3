"""Every daemon survives garbage, half requests, over-long lines and peers that vanish: one line, closed, the next one served."""

import os
import socket
import struct
import unittest

from harness import Daemon, Sqlite, SystemTest, Talk, wait_until

VMAIL = 5000
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


class LmtpTest(Hostile, SystemTest):
    half = b"LHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<ann@a.example>\r\nDATA\r\nSubject: x\r\n\r\nhalf a mess"
    over_long = b"LHLO " + b"x" * 1_000_000

    def start(self):
        self.mail = self.box.directory("mail")
        os.chown(self.mail, VMAIL, VMAIL)
        run = self.box.directory("run")
        address = self.box.path("lmtp")
        conf = self.box.write("dovecot.conf", f"""\
base_dir = {run}
mail_location = maildir:{self.mail}/%n
mail_uid = {VMAIL}
mail_gid = {VMAIL}
first_valid_uid = {VMAIL}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={VMAIL} gid={VMAIL} home={self.mail}/%n
}}
service auth {{
  user = root
  unix_listener {run}/auth-userdb {{
    mode = 0666
  }}
}}
service lmtp {{
  unix_listener {address} {{
    mode = 0666
  }}
}}
""")
        self.enterContext(Daemon(self.box, "auth-socket", ["-c", conf]))
        return self.enterContext(Daemon(self.box, "lmtp-deliver", ["-c", conf])), str(address)

    def serve(self):
        talk = self.talk()
        talk.send(b"LHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<ann@a.example>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n")
        self.assertIn(b" Saved\r\n", talk.rest())
        self.delivered = getattr(self, "delivered", 0) + 1
        self.assertEqual(len(list(self.mail.glob("ann/new/*"))), self.delivered, "whole messages only, each once")


class PolicyTest(Hostile, SystemTest):
    half = b"request=smtpd_access_policy\nclient_address=192.0.2.1\nhelo_name=x.example\nsender=a@b.example\n"
    over_long = b"sender=" + b"x" * 1_000_000

    def start(self):
        address = self.box.path("policy")
        conf = self.box.write("policyd-spf.conf", "skip_addresses = 192.0.2.0/24\nNameservers = 127.0.0.1@1\n")
        return self.enterContext(Daemon(self.box, "policyd-spf", ["--listen", f"unix:{address}", conf])), str(address)

    def serve(self):
        talk = self.talk()
        talk.send(self.half + b"instance=1\n\n")
        self.assertIn(b"action=prepend X-Comment: SPF check N/A for local connections", talk.until(b"\n\n"))


class MilterHostile(Hostile):
    """Milters: a packet is a length, a command octet and data; a good client negotiates and quits."""

    half = struct.pack(">IcIII", 13, b"O", 6, 0x1ff, 0x1fffff)
    over_long = struct.pack(">Ic", 0x7fffffff, b"B") + b"x" * 1_000_000

    def serve(self):
        talk = self.talk()
        talk.send(self.half)
        self.assertEqual(talk.take(5)[4:], b"O")
        talk.send(struct.pack(">Ic", 1, b"Q"))

    def start(self):
        address = self.box.path("milter")
        conf = self.box.write("milter.conf", f"Socket local:{address}\nNameservers 127.0.0.1@1\nSyslog no\n" + self.more)
        return self.enterContext(Daemon(self.box, self.program, ["-f", self.option, conf])), str(address)


class MilterDkimTest(MilterHostile, SystemTest):
    program, option, more = "milter-dkim", "-x", "Mode v\n"


class MilterDmarcTest(MilterHostile, SystemTest):
    program, option, more = "milter-dmarc", "-c", ""


del Hostile, MilterHostile  # not tests by themselves


if __name__ == "__main__":
    unittest.main()
