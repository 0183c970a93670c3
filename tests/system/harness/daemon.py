"""One of Postern's daemons: started, ready when it says so itself, and clean at its end."""

import os
import re
import signal
import socket
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3]
# What no log of ours may hold: reports of sanitizers and signs of a crash.
CRASH = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|SUMMARY: \w+Sanitizer|runtime error:"
                   r"|terminate called|Assertion .* failed|\*\*\* stack smashing|free\(\): invalid|Segmentation fault")


def program(name):
    """Path of a built program; POSTERN_BUILD names another build directory than build/."""
    path = Path(os.environ.get("POSTERN_BUILD", SOURCE / "build")) / name / name
    if not path.exists():
        raise AssertionError(f"{path} is not built: ./dev build")
    return path


def has_sanitizer(name):
    """A program built with AddressSanitizer or ThreadSanitizer: it takes terabytes of address space."""
    return re.search(rb"__[at]san_init", program(name).read_bytes()) is not None


class Daemon:
    """A foreground daemon. arguments as on its command line; name also names the log, log/NAME.log.

    Entering waits for READY=1 on NOTIFY_SOCKET, as systemd does. Leaving sends SIGTERM and demands exit code 0 and
    a log without a crash or a sanitizer's report. passed: (name, listening socket), handed over as systemd does it.
    """

    def __init__(self, box, program_name, arguments=(), user=None, env=None, name=None, ready_within=15,
                 exit_code=0, path=None, passed=None):
        self.box, self.name = box, name or program_name
        self.command = [path or program(program_name), *arguments]
        self.user, self.env, self.ready_within, self.exit_code = user, env or {}, ready_within, exit_code
        self._passed = passed
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        if self._process is None:
            return
        code = self.stop()
        crash = CRASH.search(self.log())
        if kind is None and crash:
            raise AssertionError(f"{self.name} reports {crash[0]}:\n{self.log()[-6000:]}")
        if kind is None and code != self.exit_code:
            raise AssertionError(f"{self.name} ended with {code}, not {self.exit_code}:\n{self.log()[-4000:]}")

    def start(self):
        path = self.box.path(f"{self.name}.notify")
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            path.chmod(0o666)
            # JOURNAL_STREAM: the log goes to standard error, as under systemd.
            environment = {**os.environ, "NOTIFY_SOCKET": str(path), "JOURNAL_STREAM": "0:0", **self.env}
            command, passed = self._with_socket(environment)
            self._process = self.box.start(self.name, command, user=self.user, env=environment, passed=passed)
            self._wait_ready(notify)
        path.unlink(missing_ok=True)

    def _with_socket(self, environment):
        if self._passed is None:
            return self.command, ()
        name, listening = self._passed
        environment.update(LISTEN_FDS="1", LISTEN_FDNAMES=name)
        move = f'export LISTEN_PID=$$; exec "$@" 3<&{listening.fileno()}'
        return ["/bin/sh", "-c", move, "sh", *self.command], (listening.fileno(),)

    def _wait_ready(self, notify):
        notify.settimeout(0.1)
        for _ in range(int(self.ready_within / 0.1)):
            try:
                if b"READY=1" in notify.recv(4096):
                    return
            except TimeoutError:
                pass
            if self._process.ended():
                raise AssertionError(f"{self.name} ended with {self._process.stop()} before it was ready:\n{self.log()}")
        raise AssertionError(f"{self.name} was not ready within {self.ready_within} s:\n{self.log()}")

    def stop(self, signal_number=signal.SIGTERM):
        """The exit code; the daemon can be started again."""
        process, self._process = self._process, None
        return process.stop(signal_number)

    def restart(self):
        self.stop()
        self.start()

    def kill(self):
        return self.stop(signal.SIGKILL)

    def reload(self):
        self._process.send(signal.SIGHUP)

    @property
    def pid(self):
        return self._process.pid

    def log(self):
        """Its standard error, without the journal's "<6>" at the beginning of each line."""
        path = self.box.logs / f"{self.name}.log"
        return re.sub(r"(?m)^<\d>", "", path.read_text(errors="replace")) if path.exists() else ""
