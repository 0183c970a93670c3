"""One temporary directory, its ports and its processes; all of it is gone at the end, whatever happens."""

import atexit
import ctypes
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
LOOPBACK = "127.0.0.1"
# Below the kernel's range for outgoing connections, so that none of those sits on a port in the meantime.
PORTS = range(10000, 32000)


class Process:
    """A child in a process group of its own, with its output in a file."""

    def __init__(self, name, command, log, env=None, user=None, cwd=None, stdin=subprocess.DEVNULL,
                 passed=()):
        self.name = name
        self.log_path = Path(log)
        with open(log, "ab") as output:
            self.child = subprocess.Popen([str(word) for word in command], stdin=stdin, stdout=output, stderr=output,
                                          env=env, cwd=cwd or "/", start_new_session=True, pass_fds=passed,
                                          **_as_user(user))

    @property
    def pid(self):
        return self.child.pid

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def ended(self):
        return self.child.poll() is not None

    def send(self, signal_number):
        os.kill(self.pid, signal_number)

    def stop(self, signal_number=signal.SIGTERM, seconds=15):
        """End it, at last by SIGKILL for the whole group; the exit code (negative: the signal)."""
        if not self.ended():
            self.child.send_signal(signal_number)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                print(f"{self.name} did not end within {seconds} s and is killed", file=sys.stderr)
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        return self.child.wait()


class Sandbox:
    """Where one test lives. Paths are short: a Unix socket's may have 107 octets.

    Also a context manager. keep = True leaves the directory (not the processes) behind and prints its path.
    """

    def __init__(self, keep=False):
        self.keep = keep
        self.root = Path(tempfile.mkdtemp(prefix="pstn.", dir="/tmp"))
        self.root.chmod(0o755)
        self.logs = self.directory("log")
        self.processes = []
        self._ports = {}
        self._closed = False
        adopt_orphans()
        atexit.register(self.close)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.keep = self.keep or kind is not None
        self.close()

    # Files

    def path(self, name):
        return self.root / name

    def directory(self, name, owner=None, mode=0o755):
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        if owner:
            shutil.chown(path, owner, pwd.getpwnam(owner).pw_gid)
        return path

    def write(self, name, text, mode=0o644, owner=None):
        """A file with this text (str or bytes); its directory is made where it is missing."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        if owner:
            shutil.chown(path, owner, pwd.getpwnam(owner).pw_gid)
        return path

    # Ports

    def port(self, address=LOOPBACK):
        """A TCP and UDP port that is free now and that no other sandbox of this machine gets."""
        while True:
            number = random.choice(PORTS)
            guard = self._reserve(number)
            if guard and self._is_free(address, number):
                self._ports[number] = guard
                return number
            if guard:
                guard.close()

    @staticmethod
    def _reserve(number):
        guard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            guard.bind(f"\0postern-test-port-{number}")  # the kernel drops it with this process
            return guard
        except OSError:
            guard.close()
            return None

    @staticmethod
    def _is_free(address, number):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                try:
                    probe.bind((address, number))
                except OSError:
                    return False
        return True

    # Processes

    def start(self, name, command, **options):
        """A Process whose output goes to log/NAME.log; ended at the latest by close()."""
        process = Process(name, command, self.logs / f"{name}.log", **options)
        self.processes.append(process)
        return process

    def run(self, command, check=True, timeout=60, user=None, input="", **options):
        """Run to the end; CompletedProcess with text, standard error apart."""
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace",
                              timeout=timeout, input=input, **_as_user(user), **options)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def close(self):
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        with _undisturbed():
            self._clear_up()

    def _clear_up(self):
        for process in reversed(self.processes):
            process.stop(seconds=5)
        kill_orphans()
        for guard in self._ports.values():
            guard.close()
        if self.keep:
            print(f"kept for a look: {self.root} (logs in {self.logs})", file=sys.stderr)
        else:
            shutil.rmtree(self.root, ignore_errors=True)


@contextmanager
def _undisturbed():
    """A second Ctrl-C does not end the clearing up half way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _as_user(name):
    if name is None:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(name, entry.pw_gid)}


def children_of(pid):
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.parent.name))
    return found


def adopt_orphans():
    """A daemon that goes into the background becomes our child when its parent ends, and is found again."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_orphans():
    """Kill what is left below this process, and wait for it."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        orphans = children_of(os.getpid())
        if not orphans:
            return
        for pid in orphans:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
