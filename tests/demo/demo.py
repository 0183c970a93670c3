#!/usr/bin/env python3
"""Plays real mail through two private Postfix instances and all six daemons, and shows each step."""

import argparse
import os
import signal
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

from harness import Sandbox  # noqa: E402
from report import Report  # noqa: E402
from scenario import Scenario  # noqa: E402
from world import World  # noqa: E402

NAMES = {"sqlite": "SQLite", "pgsql": "PostgreSQL", "mysql": "MariaDB"}


def arguments():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--db", choices=NAMES, default="sqlite", help="where users and aliases are kept (default: sqlite)")
    parser.add_argument("--keep", action="store_true", help="leave it running afterwards, until Ctrl-C, and tell its ports")
    return parser.parse_args()


def play(world, report):
    report.columns()
    for sent, function in Scenario(world).steps():
        report.step(sent, function)
    report.closing()


def tell(world, report):
    mx, partner = world.mx, world.partner
    report.note(f"""
It runs until Ctrl-C.
  mx.postern.example     SMTP 127.0.0.1:{mx.smtp_port}   submission 127.0.0.1:{mx.ports['submission']}   \
IMAP 127.0.0.1:{world.imap.imap_port}
  mail.partner.example   SMTP 127.0.0.1:{partner.smtp_port} (takes any mail from 127.0.0.1 and sends it signed)
  name server            127.0.0.1:{world.dns.port}
  logins                 ann@postern.example, carl@postern.example, full@postern.example; password {world.password}
  configuration          {mx.directory}   {partner.directory}
  mail                   {world.vmail}   {world.partner_mail}
  database               {world.database_place}
  logs                   {world.box.logs}
Try:
  swaks --server 127.0.0.1:{mx.ports['submission']} --auth PLAIN --auth-user ann@postern.example \
--auth-password {world.password} --from ann@postern.example --to bob@partner.example
  swaks --server 127.0.0.1:{partner.smtp_port} --from bob@partner.example --to ann@postern.example
  postmap -c {mx.directory} -q info@postern.example proxy:{world.words['driver']}:{mx.directory}/virtual_alias_maps.cf
  tail -f {mx.log_path}""")
    while True:
        signal.pause()


def main():
    options = arguments()
    if os.geteuid() != 0:
        sys.exit("the demo's private Postfix instances need root: use ./dev demo")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report = Report()
    report.title(f"Postern demo: mx.postern.example on six daemons and {NAMES[options.db]}, mail.partner.example outside")
    box = Sandbox()
    try:
        with World(box, options.db, report.waiting) as world:
            play(world, report)
            if options.keep:
                tell(world, report)
    except KeyboardInterrupt:
        report.note("ended")
        return 0 if options.keep and report.count and not report.failures else 130
    except (AssertionError, OSError) as error:
        report.failures += 1
        report.note(f"the demo could not be set up or ended badly: {error}")
    finally:
        box.keep = report.failures > 0
        box.close()
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
