"""A private Exim beside the machine's Postfix, unpacked by ./dev and not installed: its package would remove Postfix."""

import glob
import os
from pathlib import Path

from .sandbox import LOOPBACK
from .waiting import wait_until

CONFIGURATION = """\
daemon_smtp_ports = {port}
local_interfaces = {address}
spool_directory = {directory}/spool
log_file_path = {directory}/%slog
pid_file_path = {directory}/pid
exim_user = nobody
exim_group = nogroup
primary_hostname = ex.postern.example
host_lookup =
rfc1413_query_timeout = 0s
smtp_enforce_sync = false
acl_smtp_rcpt = authenticated
begin acl
authenticated:
  accept authenticated = *
  deny
begin authenticators
plain:
  driver = dovecot
  public_name = PLAIN
  server_socket = {socket}
  server_set_id = $auth1
login:
  driver = dovecot
  public_name = LOGIN
  server_socket = {socket}
  server_set_id = $auth1
cram:
  driver = dovecot
  public_name = CRAM-MD5
  server_socket = {socket}
  server_set_id = $auth1
"""

UNPACKED = Path(__file__).resolve().parents[3] / "build/exim/usr/sbin/exim4"


class Exim:
    """Its users log in through Dovecot's auth protocol on socket. self.port; who is logged in may send mail to anybody."""

    def __init__(self, box, socket):
        self.box = box
        self.directory = box.directory("exim", owner="nobody")
        self.port = box.port()
        text = CONFIGURATION.format(port=self.port, address=LOOPBACK, directory=self.directory, socket=socket)
        self._configuration = box.write("exim/exim.conf", text)
        self._accounts = {f"NSS_WRAPPER_{kind.upper()}": box.write(f"exim/{kind}", Path(f"/etc/{kind}").read_text() + line)
                          for kind, line in (("passwd", "Debian-exim:x:65534:65534::/nonexistent:/bin/false\n"),
                                             ("group", "Debian-exim:x:65534:\n"))}
        self._process = None

    @staticmethod
    def missing():
        """Why there can be no Exim here; None when there can."""
        if not UNPACKED.exists():
            return "no Exim: ./dev test unpacks one on Debian"
        if not glob.glob("/usr/lib/*/libnss_wrapper.so"):
            return "no libnss_wrapper, without which Exim wants a user Debian-exim on this machine"
        return None

    def __enter__(self):
        # Debian's Exim looks for its user when it starts, although the configuration names another.
        env = {**os.environ, "LD_PRELOAD": "libnss_wrapper.so", **{name: str(path) for name, path in self._accounts.items()}}
        self._process = self.box.start("exim", [UNPACKED, "-C", self._configuration, "-bdf"], env=env)
        wait_until(self._listens, 20, lambda: f"Exim listens:\n{self._process.log()}{self.log()}")
        return self

    def __exit__(self, *_):
        self._process.stop()

    def _listens(self):
        if self._process.ended():
            raise AssertionError(f"Exim ended:\n{self._process.log()}{self.log()}")
        return "listening for SMTP" in self.log()

    def log(self):
        """What it logged, mainlog and rejectlog together."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*log")))
