"""A private Postfix beside the machine's own: own configuration, queue and data directories, own ports."""

import json
import os
import re
import shutil

from .sandbox import LOOPBACK
from .waiting import wait_until

# Nothing here asks the machine's resolver, and nothing chroots.
MAIN = {
    "compatibility_level": "3.6",
    "multi_instance_name": "",
    "multi_instance_directories": "",
    "mydestination": "",
    "mynetworks": "127.0.0.1/32",
    "inet_protocols": "ipv4",
    "inet_interfaces": LOOPBACK,
    "smtp_dns_support_level": "disabled",
    "smtp_host_lookup": "native",
    "smtpd_peername_lookup": "no",
    "alias_maps": "",
    "alias_database": "",
    "local_recipient_maps": "",
    "local_transport": "error:5.1.1 no local mail here",
    "biff": "no",
    "append_dot_mydomain": "no",
    "recipient_delimiter": "+",
    "smtpd_sasl_security_options": "noanonymous",
    "smtpd_relay_restrictions": "permit_sasl_authenticated, reject_unauth_destination",
    "smtpd_error_sleep_time": "0",
    "notify_classes": "",
    "queue_run_delay": "5s",
    "minimal_backoff_time": "5s",
    "maximal_backoff_time": "10s",
    "import_environment": "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C",
}

MASTER = """\
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""


class Postfix:
    """main: {parameter: value} over MAIN above. master: lines for master.cf. listeners: {name: smtpd options}, each
    gets a port; "smtp" is always there.

    The constructor makes the directories, so that daemons can put sockets into private() before Postfix starts.
    """

    def __init__(self, box, hostname="mx.postern.example", main=None, master="", listeners=None, name="mx",
                 address=LOOPBACK):
        self.box, self.name, self.hostname, self.address = box, name, hostname, address
        self.directory = box.directory(name)
        self.queue = box.directory(f"{name}/queue")
        box.directory(f"{name}/data", owner="postfix", mode=0o700)
        self.log_path = box.logs / f"{name}-maillog"
        self.ports = {service: box.port(address) for service in ["smtp", *(listeners or {})]}
        self._listeners = {"smtp": "", **(listeners or {})}
        self._master = master
        self.main = {**MAIN, "inet_interfaces": address, "myhostname": hostname, "myorigin": hostname,
                     "syslog_name": f"postfix-{name}", "queue_directory": self.queue,
                     "data_directory": self.directory / "data", "maillog_file": self.log_path,
                     "maillog_file_prefixes": box.logs, **(main or {})}
        self._process = None
        self._write()
        box.run(["postfix", "-c", self.directory, "check"])

    @property
    def smtp_port(self):
        return self.ports["smtp"]

    def add_services(self, lines):
        """More of master.cf, before the start."""
        self._master += lines
        self._write()

    def private(self, name):
        """Path of a socket in queue/private, which main.cf calls private/NAME."""
        return self.queue / "private" / name

    def write(self, name, text, mode=0o644):
        """A file in the configuration directory, a map's .cf for instance."""
        return self.box.write(f"{self.name}/{name}", text, mode)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self._write()
        log_size = len(self.log())
        self._process = self.box.start(f"{self.name}-master", [_daemon("master"), "-c", self.directory, "-d"],
                                       env={**os.environ, "MAIL_CONFIG": str(self.directory)})
        wait_until(lambda: "daemon started" in self.log()[log_size:] or self._ended(), 20,
                   lambda: f"Postfix {self.name} started; its log: {self.log()}")

    def stop(self):
        if self._process:
            self._process.stop()
            self._process = None

    def _ended(self):
        if self._process.ended():
            raise AssertionError(f"Postfix {self.name} ended: {self._process.log()}{self.log()}")
        return False

    def set(self, **parameters):
        """Change main.cf and reload; smtpd processes that are at work finish first."""
        self.main.update(parameters)
        self._write()
        if self._process:
            self.command("postfix", "reload")

    def command(self, program, *words, check=True, **options):
        """postfix, postmap, postqueue, postsuper, postconf, sendmail... of this instance."""
        settings = {"env": {**os.environ, "MAIL_CONFIG": str(self.directory)}, "check": check, **options}
        flags = [] if program == "sendmail" else ["-c", self.directory]
        return self.box.run([program, *flags, *words], **settings)

    def postmap(self, key, table):
        """(exit code, answer, what was written to standard error) of postmap -q."""
        done = self.command("postmap", "-q", key, table, check=False)
        return done.returncode, done.stdout.removesuffix("\n"), done.stderr

    def queued(self):
        """What is in the queue: one dict a message, as postqueue -j tells it."""
        return [json.loads(line) for line in self.command("postqueue", "-j").stdout.splitlines()]

    def flush(self):
        self.command("postqueue", "-f")

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_for_log(self, pattern, seconds=30, since=0):
        """The first match of a regular expression in the log after that many characters of it."""
        return wait_until(lambda: re.search(pattern, self.log()[since:]), seconds,
                          lambda: f"/{pattern}/ in the log of {self.name}:\n{self.log()[since:][-4000:]}", every=0.05)

    def _write(self):
        self.write("main.cf", "".join(f"{name} = {value}\n" for name, value in self.main.items()))
        listeners = "".join(f"{self.address}:{self.ports[name]} inet n - n - - smtpd {options}\n"
                            for name, options in self._listeners.items())
        self.write("master.cf", listeners + MASTER + self._master)


def _daemon(name):
    for directory in ("/usr/lib/postfix/sbin", "/usr/lib/postfix/bin", "/usr/libexec/postfix"):
        if found := shutil.which(name, path=directory):
            return found
    raise AssertionError(f"Postfix's {name} is not here: ./dev deps installs it")
