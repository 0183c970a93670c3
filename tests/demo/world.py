"""The demo's world: mx.postern.example on six daemons, mail.partner.example outside, and the DNS of both."""

import base64
import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

from harness import Daemon, Dovecot, Knot, MariaDb, Postfix, Postgres, Sqlite, program

HERE = Path(__file__).resolve().parent
VMAIL = 5000  # uid and gid that own the mail; no account of the machine is needed for it


class World:
    """Entering starts everything; say(text) tells what is being started."""

    password = "secret"

    def __init__(self, box, database="sqlite", say=lambda text: None):
        self.box, self.say = box, say
        self._stack = ExitStack()
        self._database_name = database

    def __enter__(self):
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        return self._stack.__exit__(*error)

    def _start(self, stack):
        self.say(f"starting the database ({self._database_name})")
        self.database = stack.enter_context(self._make_database())
        self.vmail = self._mail_directory("vmail")
        self.partner_mail = self._mail_directory("partner-mail")
        self.mx = Postfix(self.box, "mx.postern.example", name="mx", listeners={"submission": SUBMISSION})
        self.partner = Postfix(self.box, "mail.partner.example", name="partner")
        self.words = self._words()
        self.say("starting the name server")
        self._start_dns(stack)
        self._configure_mx()
        self._configure_partner()

        self.say("starting Dovecot for IMAP")
        self.imap = stack.enter_context(Dovecot.on(self.box, self.mx.directory / "dovecot.conf", self.words["run"],
                                                   self.words["imap_port"], self.words["log"]))
        for name, arguments in self._mx_daemons() + self._partner_daemons():
            self.say(f"starting {name}")
            stack.enter_context(Daemon(self.box, name.partition(" ")[0], arguments, name=name.replace(" ", "-"),
                                       env={"MAIL_CONFIG": str(self.mx.directory)}))
        self.say("starting both Postfix instances")
        stack.enter_context(self.partner)
        stack.enter_context(self.mx)

    def _make_database(self):
        schema = (HERE / f"schema/{self._database_name}.sql").read_text() + (HERE / "schema/data.sql").read_text()
        return {"sqlite": Sqlite, "pgsql": Postgres, "mysql": MariaDb}[self._database_name](self.box, schema)

    @property
    def database_place(self):
        return self.database.path if self._database_name == "sqlite" else self.database.directory

    def _mail_directory(self, name):
        path = self.box.directory(name)
        os.chown(path, VMAIL, VMAIL)
        return path

    # What the files below conf/ leave open, as @name@.

    def _words(self):
        words = {"mx": self.mx.directory, "queue": self.mx.queue, "vmail": self.vmail,
                 "run": self.box.directory("mx-run"), "instance": self.box.root.name, "imap_port": self.box.port(),
                 "log": self.box.logs / "dovecot.log", "mail": self.partner_mail, "mx_port": self.mx.smtp_port,
                 "partner_port": self.partner.smtp_port, "policyd_spf": self._program_for_everybody("policyd-spf")}
        return {**words, **self._database_words()}

    def _program_for_everybody(self, name):
        """spawn(8) runs it as nobody, who may not reach a clone below /root or a home directory."""
        path = self.box.directory("bin") / name
        shutil.copy(program(name), path)
        return path

    def _database_words(self):
        database = self.database
        if self._database_name == "sqlite":
            return {"driver": "sqlite", "connect": database.path, "hosts": f"dbpath = {database.path}",
                    "quota_rule": "'*:bytes=' || quota", "address_in_target_domain": "'%u@' || target_domain"}
        password = f"password = {database.password}\n" if database.password else ""
        words = {"driver": database.driver,
                 "hosts": f"hosts = inet:127.0.0.1:{database.port}\nuser = {database.user}\n{password}"
                          f"dbname = {database.database}",
                 "connect": f"host=127.0.0.1 port={database.port} dbname={database.database} user={database.user}"
                            + (f" password={database.password}" if database.password else "")}
        if self._database_name == "mysql":
            return {**words, "quota_rule": "CONCAT('*:bytes=', quota)",
                    "address_in_target_domain": "CONCAT('%u@', target_domain)"}
        return {**words, "quota_rule": "'*:bytes=' || quota", "address_in_target_domain": "'%u@' || target_domain"}

    def _filled(self, name, **more):
        words = {**self.words, **more}
        return re.sub(r"@(\w+)@", lambda match: str(words[match[1]]), (HERE / "conf" / name).read_text())

    # DNS

    def _start_dns(self, stack):
        self.keys = {zone: _dkim_key(self.box.path(f"{zone}.private")) for zone in ("postern.example", "partner.example")}
        zones = {path.name: self._filled(f"zones/{path.name}", dkim=_txt(f"v=DKIM1; k=rsa; p={self.keys.get(path.name)}"))
                 for path in sorted((HERE / "conf/zones").iterdir())}
        self.dns = stack.enter_context(Knot(self.box, zones))
        self.words["nameserver"] = self.dns.server

    # The two hosts

    def _configure_mx(self):
        self.mx.main.update(_assignments(self._filled("mx/main.cf")))
        for name in sorted(path.name for path in (HERE / "conf/mx").iterdir()):
            if name != "main.cf":
                self.mx.write(name, self._filled(f"mx/{name}"))
        self._configure_milters(self.mx, "postern.example", "mail")

    def _configure_partner(self):
        self.partner.main.update(_assignments(self._filled("partner/main.cf")))
        self.partner.add_services(self._filled("partner/master.cf", directory=self.partner.directory))
        self._configure_milters(self.partner, "partner.example", "s1")

    def _configure_milters(self, postfix, domain, selector):
        words = {"hostname": postfix.hostname, "directory": postfix.directory, "queue": postfix.queue}
        for name in ("opendkim.conf", "opendmarc.conf", "policyd-spf.conf"):
            postfix.write(name, self._filled(name, **words))
        key = postfix.write(f"{selector}.private", self.box.path(f"{domain}.private").read_text(), mode=0o600)
        shutil.chown(key, "nobody")
        postfix.write("KeyTable", f"{domain} {domain}:{selector}:{key}\n")
        postfix.write("SigningTable", f"*@{domain} {domain}\n")
        postfix.write("TrustedHosts", "127.0.0.1\n")
        for name in ("opendkim", "opendmarc"):
            path = self.box.directory(f"{postfix.name}/queue/{name}", mode=0o750)
            shutil.chown(path, "nobody", "postfix")

    def _mx_daemons(self):
        conf = self.mx.directory
        return [("sql-maps", ["-c", conf / "sql-maps.conf"]),
                ("auth-socket", ["-c", conf / "dovecot.conf"]),
                ("lmtp-deliver", ["-c", conf / "dovecot.conf"]),
                ("policyd-spf", ["--listen", f"unix:{self.mx.private('policyd-spf')} mode=0666",
                                 conf / "policyd-spf.conf"]),
                ("milter-dkim", ["-f", "-x", conf / "opendkim.conf"]),
                ("milter-dmarc", ["-f", "-c", conf / "opendmarc.conf"])]

    def _partner_daemons(self):
        conf = self.partner.directory
        return [("milter-dkim of the partner", ["-f", "-x", conf / "opendkim.conf"]),
                ("milter-dmarc of the partner", ["-f", "-c", conf / "opendmarc.conf"])]

    # Looking at what landed

    def messages(self, user, mailbox="INBOX"):
        """Over IMAP, from a real Dovecot."""
        return self.imap.messages(f"{user}@postern.example", self.password, mailbox)

    def partner_messages(self):
        return [path.read_bytes() for path in sorted(self.partner_mail.glob("bob/new/*"))]

    def dkim_record(self, name, timeout=5):
        """For python3-dkim: the TXT record of a name, from the demo's name server."""
        answer = self.dns.ask(name.decode() if isinstance(name, bytes) else name)
        return "".join(re.findall(r'"([^"]*)"', answer)).encode()


SUBMISSION = ("-o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject"
              " -o smtpd_recipient_restrictions= -o milter_macro_daemon_name=ORIGINATING")


def _assignments(text):
    """main.cf as a dict."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def _dkim_key(path):
    """Makes an RSA key; gives back what belongs in its record's p=."""
    subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "rsa", "-in", path, "-pubout", "-outform", "DER"], check=True, capture_output=True)
    return base64.b64encode(public.stdout).decode()


def _txt(text):
    """A TXT record's data: strings of at most 255 octets."""
    return " ".join(f'"{text[at:at + 255]}"' for at in range(0, len(text), 255))
