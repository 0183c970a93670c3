"""A private Dovecot (2.3) with its own base directory, on loopback ports."""

import imaplib
import signal

from .sandbox import LOOPBACK
from .waiting import wait_until

CONFIGURATION = """\
base_dir = {run}
state_dir = {state}
instance_name = {instance}
protocols = {protocols}
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
log_path = {log}
info_log_path = {log}
auth_verbose = yes
auth_mechanisms = plain login
auth_failure_delay = 1 secs
first_valid_uid = 1
first_valid_gid = 1
hostname = mx.postern.example
postmaster_address = postmaster@postern.example
recipient_delimiter = +
mail_location = {mail_location}
default_vsz_limit = 1G
default_process_limit = 100
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
namespace inbox {{
  inbox = yes
}}
"""

# Everybody's password is kept in this file: "user:{SCHEME}hash:uid:gid::home::extra=fields", passwd(5) with more.
PASSWD_FILE = """\
passdb {{
  driver = passwd-file
  args = username_format=%u {users}
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {users}
}}
"""

# Dovecot leaves the sockets of its auth to another server (auth-socket), which binds them after the start.
WITHOUT_AUTH = """\
passdb {
  driver = static
  args = nopassword=n fail=y
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}
service auth {
  unix_listener login/login {
    mode = 0
  }
  unix_listener token-login/tokenlogin {
    mode = 0
  }
  unix_listener auth-login {
    mode = 0
  }
  unix_listener auth-client {
    mode = 0
  }
  unix_listener auth-userdb {
    mode = 0
  }
  unix_listener auth-master {
    mode = 0
  }
}
"""


class Dovecot:
    """users: lines of a passwd-file. Without it, extra must say where users come from (or be WITHOUT_AUTH).

    extra: more of dovecot.conf, behind ours. self.run is the base directory with its sockets.
    """

    def __init__(self, box, users=None, extra="", protocols="imap", mail_location="maildir:~/Maildir", name="dovecot"):
        self.box, self.name = box, name
        self.run = box.directory(f"{name}/run")
        self.log_path = box.logs / f"{name}.log"
        self.imap_port = box.port()
        text = CONFIGURATION.format(run=self.run, state=box.directory(f"{name}/state"), instance=box.root.name + name,
                                    protocols=protocols, log=self.log_path, mail_location=mail_location,
                                    imap_port=self.imap_port)
        if users is not None:
            text += PASSWD_FILE.format(users=box.write(f"{name}/users", users, mode=0o644))
        self.configuration = box.write(f"{name}/dovecot.conf", text + extra)
        self._process = None

    @classmethod
    def on(cls, box, configuration, run, imap_port, log_path, name="dovecot"):
        """A Dovecot on a dovecot.conf of one's own, which has these in it."""
        self = cls.__new__(cls)
        self.box, self.name, self.configuration = box, name, configuration
        self.run, self.imap_port, self.log_path = run, imap_port, log_path
        self._process = None
        return self

    def __enter__(self):
        self._process = self.box.start(f"{self.name}-master", ["dovecot", "-F", "-c", self.configuration])
        wait_until(lambda: "starting up" in self.log() or self._ended(), 20, lambda: f"Dovecot started: {self.log()}")
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._process.stop()

    @property
    def pid(self):
        return self._process.pid

    def _ended(self):
        if self._process.ended():
            raise AssertionError(f"Dovecot ended: {self._process.log()}{self.log()}")
        return False

    def reload(self):
        self._process.send(signal.SIGHUP)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def doveadm(self, *words, check=True, **options):
        return self.box.run(["doveadm", "-c", self.configuration, *words], check=check, **options)

    def imap(self, user, password):
        """A logged-in imaplib.IMAP4, to be used in a with statement."""
        client = imaplib.IMAP4(LOOPBACK, self.imap_port, timeout=20)
        client.login(user, password)
        return client

    def messages(self, user, password, mailbox="INBOX"):
        """Every message of a mailbox as bytes, in the order of their UIDs; the flags stay as they are."""
        with self.imap(user, password) as client:
            status, answer = client.select(f'"{mailbox}"', readonly=True)
            if status != "OK":
                raise AssertionError(f"SELECT {mailbox}: {answer}")
            uids = client.uid("SEARCH", "ALL")[1][0].split()
            return [client.uid("FETCH", uid, "(BODY.PEEK[])")[1][0][1] for uid in uids]
