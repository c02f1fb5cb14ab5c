"""A server in a temporary folder, and the memory that it and its workers take."""

import os
import resource
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

# Bounds that a short run reaches. The others are the defaults, memory among them.
SETTINGS = {
    "EYELINE_QUARANTINED_EVENTS_MAX": "2000",
    "EYELINE_QUARANTINED_BYTES_MAX": str(32 << 20),
    "EYELINE_ROLLUP_ROWS_PER_DAY": "5000",
    "EYELINE_QUESTION_SECONDS_MAX": "10",
    "EYELINE_UPLOADS_WAITING_MAX": "64",
    "EYELINE_LOG": "warn",
}
OPEN_FILES = 20_000
TICKS = os.sysconf("SC_CLK_TCK")


def allow_open_files():
    """As many as may be had; 10,000 connections need them at both ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


class Server:
    def __init__(self, binary):
        self.folder = Path(tempfile.mkdtemp(prefix="eyeline-abuse-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.key = f"eyl_admin_{secrets.token_hex(24)}"
        own = {name: value for name, value in os.environ.items() if not name.startswith("EYELINE_")}
        environment = {
            **own,
            "EYELINE_LISTEN": f"127.0.0.1:{self.port}",
            "EYELINE_DATA": str(self.folder / "data"),
            "EYELINE_ADMIN_KEY": self.key,
            **SETTINGS,
        }
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen([binary, "serve"], cwd=self.folder, env=environment, stdout=log, stderr=log)
        self.workers_peak = 0
        self._watch_ended = threading.Event()
        self._watch = threading.Thread(target=self._look_at_workers, daemon=True)

    def wait_until_ready(self):
        for _ in range(600):
            if self.has_died():
                break
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                    self._watch.start()
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the server is not ready:\n{self.log_tail()}")

    def has_died(self):
        return self.process.poll() is not None

    def log_tail(self, lines=20):
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-lines:])

    def forget_peak(self):
        """Begins a new measurement of the peaks."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        self.workers_peak = 0

    def peak(self):
        """Bytes: the most that the process itself had resident, by the kernel's own count."""
        if self.has_died():
            return 0
        return _status(self.process.pid, "VmHWM")

    def cpu_seconds(self):
        """CPU time of the server, and of its workers, dead ones included."""
        user, system, user_of_dead, system_of_dead = _times(self.process.pid)
        living = sum(sum(_times(pid)[:2]) for pid in _children(self.process.pid))
        return user + system, user_of_dead + system_of_dead + living

    def _look_at_workers(self):
        while not self._watch_ended.wait(0.1):
            now = sum(_status(pid, "VmRSS") for pid in _children(self.process.pid))
            self.workers_peak = max(self.workers_peak, now)

    def stop(self):
        self._watch_ended.set()
        if not self.has_died():
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _status(pid, name):
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    line = next((line for line in text.splitlines() if line.startswith(f"{name}:")), None)
    return int(line.split()[1]) * 1024 if line else 0


def _times(pid):
    """Seconds of CPU, in user mode and in the kernel: of the process, then of children that it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return 0.0, 0.0, 0.0, 0.0
    return tuple(int(ticks) / TICKS for ticks in fields[11:15])


def busy_seconds():
    """CPU time of the whole machine."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, interrupts, soft_interrupts = (int(ticks) for ticks in fields[:7])
    return (user + nice + system + interrupts + soft_interrupts) / TICKS


def _children(pid):
    found = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in tasks.read_text().split()]
        except OSError:
            continue
    return found
