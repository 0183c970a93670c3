"""Private database servers: SQLite (a file), PostgreSQL and MariaDB (own data directory, socket and port)."""

import os
import pwd
import shutil
import signal
import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path

from .sandbox import LOOPBACK, children_of
from .waiting import wait_until


class Sqlite:
    """A database file made from SQL text. Readable for every user of the test."""

    driver = "sqlite"

    def __init__(self, box, schema="", name="postern.db"):
        self.box = box
        self.path = box.directory("sqlite", mode=0o777) / name
        self.execute(schema)
        self.path.chmod(0o666)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def execute(self, sql):
        with self._connection() as connection:
            connection.executescript(sql)

    def query(self, sql, *values):
        with self._connection() as connection:
            return connection.execute(sql, values).fetchall()

    @contextmanager
    def away(self):
        """While it lasts, an exclusive lock: every reader finds the database busy."""
        connection = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        try:
            connection.execute("BEGIN EXCLUSIVE")
            yield
        finally:
            connection.rollback()
            connection.close()

    @contextmanager
    def _connection(self):
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            yield connection
            connection.commit()
        finally:
            connection.close()


def _state(stat):
    """One letter; Z when nobody is there any more."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def _lives(pid):
    return _state(Path(f"/proc/{pid}/stat")) != "Z"


class _Server:
    """A database server process that can go away and come back."""

    def __init__(self, box, account, schema):
        self.box, self.account = box, _existing_account(account)
        self.port = box.port()
        self._schema = schema
        self._process = None

    def __enter__(self):
        self._create()
        self.start()
        self._create_database()
        if self._schema:
            self.execute(self._schema)
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self._process = self.box.start(self.name, self._command(), user=self.account)
        wait_until(self._ready, 60, lambda: f"{self.name} is not ready:\n{self._process.log()[-3000:]}", every=0.1)

    def stop(self):
        if self._process:
            self._process.stop(self._stop_signal, seconds=30)
            self._process = None

    def kill(self):
        """As a crash or a power cut ends it, with its children: as long as one lives, PostgreSQL does not start again."""
        processes = self._processes()
        self._signal(signal.SIGKILL)
        self._process.stop()
        self._process = None
        wait_until(lambda: not any(map(_lives, processes)), 10, f"{self.name} to be gone")

    @contextmanager
    def away(self):
        self.stop()
        try:
            yield
        finally:
            self.start()

    def freeze(self):
        self._signal(signal.SIGSTOP)
        wait_until(self._frozen, 10, f"{self.name} to stand still")

    def thaw(self):
        self._signal(signal.SIGCONT)

    def _signal(self, number):
        for pid in self._processes():
            with suppress(ProcessLookupError):  # a child that has just ended
                os.kill(pid, number)

    def _processes(self):
        """The server and its children: PostgreSQL's have process groups of their own."""
        return (self._process.pid, *children_of(self._process.pid))

    def _frozen(self):
        """Each thread stops on its own, and until then goes on with what it is at."""
        return all(_state(task) in "TZ" for pid in self._processes() for task in Path(f"/proc/{pid}/task").glob("*/stat"))

    def _alive(self):
        if self._process.ended():
            raise AssertionError(f"{self.name} ended:\n{self._process.log()[-3000:]}")


class Postgres(_Server):
    """Superuser role postgres without a password, on the socket directory and on 127.0.0.1:port."""

    driver, user, password = "pgsql", "postgres", ""
    _stop_signal = signal.SIGINT  # fast shutdown

    def __init__(self, box, schema="", name="pgsql", database="postern"):
        super().__init__(box, "postgres", schema)
        self.name, self.database = name, database
        self.directory = box.directory(name, owner=self.account)
        self._bin = _postgres_programs()

    def _create(self):
        self.box.run([self._bin / "initdb", "-D", self.directory / "data", "-U", self.user, "-A", "trust",
                      "-E", "UTF8", "--locale=C", "--no-sync"], user=self.account, cwd=self.directory)

    def _command(self):
        settings = {"listen_addresses": LOOPBACK, "port": self.port, "unix_socket_directories": self.directory,
                    "fsync": "off", "shared_buffers": "16MB", "max_connections": 100}
        return [self._bin / "postgres", "-D", self.directory / "data",
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))]

    def _ready(self):
        self._alive()
        return self._psql("postgres", "SELECT 1", check=False).returncode == 0

    def _create_database(self):
        self._psql("postgres", f"CREATE DATABASE {self.database}")

    def execute(self, sql):
        return self._psql(self.database, sql).stdout

    def query(self, sql):
        """Rows as lists of text."""
        return [line.split("\t") for line in self.execute(sql).splitlines()]

    def _psql(self, database, sql, check=True):
        return self.box.run(["psql", "-X", "-q", "-At", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", self.directory,
                             "-p", self.port, "-U", self.user, "-d", database], input=sql, check=check)


class MariaDb(_Server):
    """User root and user postern (password postern), on self.socket and on 127.0.0.1:port."""

    driver, user, password = "mysql", "postern", "postern"
    _stop_signal = signal.SIGTERM

    def __init__(self, box, schema="", name="mysql", database="postern"):
        super().__init__(box, "mysql", schema)
        self.name, self.database = name, database
        self.directory = box.directory(name, owner=self.account)
        self.socket = self.directory / "mysql.sock"

    def _create(self):
        self.box.run(["mariadb-install-db", "--no-defaults", f"--datadir={self.directory}/data",
                      f"--tmpdir={self.directory}", "--auth-root-authentication-method=normal", "--skip-test-db",
                      "--skip-name-resolve"],
                     user=self.account, cwd=self.directory, env={**os.environ, "HOME": str(self.directory)})

    def _command(self):
        return [shutil.which("mariadbd") or "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.directory}/data",
                # Each server clears its tmpdir of what it takes for leftovers: in a common one, of other servers' tables.
                f"--tmpdir={self.directory}", f"--socket={self.socket}", f"--port={self.port}", f"--bind-address={LOOPBACK}",
                f"--pid-file={self.directory}/pid", "--skip-name-resolve", "--innodb-buffer-pool-size=16M",
                "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=8M", "--max-connections=200"]

    def _ready(self):
        self._alive()
        return self._mariadb("", "SELECT 1", check=False).returncode == 0

    def _create_database(self):
        self._mariadb("", f"CREATE DATABASE {self.database} CHARACTER SET utf8mb4;"
                      f"CREATE USER '{self.user}'@'%' IDENTIFIED BY '{self.password}';"
                      f"CREATE USER '{self.user}'@'localhost' IDENTIFIED BY '{self.password}';"
                      f"GRANT ALL ON *.* TO '{self.user}'@'%'; GRANT ALL ON *.* TO '{self.user}'@'localhost';")

    def execute(self, sql):
        return self._mariadb(self.database, sql).stdout

    def query(self, sql):
        """Rows as lists of text."""
        return [line.split("\t") for line in self.execute(sql).splitlines()]

    def _mariadb(self, database, sql, check=True):
        return self.box.run(["mariadb", "--no-defaults", "-N", "-B", "-u", "root", "--protocol=socket",
                             f"--socket={self.socket}", *([database] if database else [])], input=sql, check=check)


def _existing_account(wanted):
    """Both servers refuse to run as root."""
    try:
        return pwd.getpwnam(wanted).pw_name
    except KeyError:
        return "nobody"


def _postgres_programs():
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not versions:
        raise AssertionError("no PostgreSQL server here: ./dev deps installs one")
    return versions[-1].parent
