"""A server under measurement: started from a command line, measured from outside, stopped.

Every figure is of the whole process tree, so that servers of one process and of many are measured alike.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

START_SECONDS = 300.0
"""A server that loads a large file answers PING only when it is done."""
STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Spec:
    """A name and a command line with the places {port} and {dir}, and {fsync} where durability is measured."""

    name: str
    command: str

    @classmethod
    def parse(cls, text: str) -> Spec:
        name, _, command = text.partition("=")
        if "{port}" not in command:
            raise ValueError(f"not NAME='COMMAND with {{port}}': {text}")
        return cls(name, command)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Server:
    """A running server in a folder."""

    def __init__(self, spec: Spec, folder: str, environment: dict[str, str] | None = None, **places: str) -> None:
        self.port = free_port()
        self.log = Path(folder, "log")
        begun = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                shlex.split(spec.command.format(port=self.port, dir=folder, **places)),
                stdout=log, stderr=log, cwd=folder, env={**os.environ, **(environment or {})}, start_new_session=True,
            )  # fmt: skip
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise
        self.start_seconds = time.monotonic() - begun
        """Until it answered PING with PONG."""

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                    s.sendall(b"PING\r\n")
                    if s.recv(64).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            time.sleep(0.02)
        raise SystemExit(f"the server did not start:\n{self.log.read_text(errors='replace')[-2000:]}")

    def processes(self) -> list[psutil.Process]:
        try:
            top = psutil.Process(self.process.pid)
            return [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        total = 0.0
        for process in self.processes():
            try:
                times = process.cpu_times()
                total += times.user + times.system
            except psutil.NoSuchProcess:
                pass
        return total

    def memory_bytes(self) -> int:
        """Proportional set size: private memory, and shared memory once, whoever maps it."""
        total = 0
        for process in self.processes():
            try:
                total += process.memory_full_info().pss
            except psutil.NoSuchProcess:
                pass
        return total

    def stop(self) -> None:
        """As an administrator would: SIGTERM, and the server saves if it is told to."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """All of it, without a chance to save."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


@contextmanager
def running(spec: Spec, environment: dict[str, str] | None = None, **places: str) -> Iterator[Server]:
    """A fresh server in a folder of its own on a disk (not in /tmp, which may be memory); told to forget its data at the end."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="shoal-compare-") as folder:
        server = Server(spec, folder, environment, **places)
        try:
            yield server
        finally:
            subprocess.run(
                ["redis-cli", "-p", str(server.port), "shutdown", "nosave"], capture_output=True, timeout=STOP_SECONDS
            )
            server.stop()
