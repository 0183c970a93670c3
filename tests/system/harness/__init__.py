"""Private instances of the servers around Postern, for system tests and the demo. tests/system/README.md shows their use."""

from .case import SystemTest
from .cutter import Cutter
from .daemon import CRASH, Daemon, has_sanitizer, program
from .databases import MariaDb, Postgres, Sqlite
from .dns import Knot
from .dovecot import Dovecot
from .exim import Exim
from .postfix import Postfix
from .sandbox import Sandbox
from .smtp import Talk, swaks
from .waiting import wait_until

__all__ = ["CRASH", "Cutter", "Daemon", "Dovecot", "Exim", "Knot", "MariaDb", "Postfix", "Postgres", "Sandbox", "Sqlite",
           "SystemTest", "Talk", "has_sanitizer", "program", "swaks", "wait_until"]
