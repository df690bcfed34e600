"""Fixtures of all tests: servers on free loopback ports, each with its own data folder and shared memory.

SHOAL_TEST_WORKERS says how many workers they have (default 2); SHOAL_TEST_PORTS ("7100-7199") from which range ports come.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

WORKERS = int(os.environ.get("SHOAL_TEST_WORKERS", "2"))
START_SECONDS = 30.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    low, _, high = os.environ.get("SHOAL_TEST_PORTS", "").partition("-")
    for port in range(int(low), int(high) + 1) if low else [0]:
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return int(s.getsockname()[1])
    raise RuntimeError("no free port")


def wait_until(check: Callable[[], Any], seconds: float = 10.0, what: str = "") -> Any:
    """The first true answer of `check`; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or check}"
        time.sleep(0.01)
    return found


@dataclass
class ShoalServer:
    """A running server, or one that has ended."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    options: list[str]
    _clients: list[redis.Redis] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def client(self, **options: Any) -> redis.Redis:
        """A redis-py client, closed with the test."""
        found = redis.Redis("127.0.0.1", self.port, **{"socket_timeout": 20, "decode_responses": True, **options})
        self._clients.append(found)
        return found

    def close_clients(self) -> None:
        for client in self._clients:
            client.close()
        self._clients.clear()

    def wait_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, f"the server ended:\n{self.log()}"
            return "Ready to accept connections" in self.log()

        wait_until(ready, START_SECONDS, "ready")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it and wait; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def remove_memory(self) -> None:
        """What a killed server left in shared memory."""
        record = self.folder / "shoal.segment"
        if record.exists() and record.read_text().strip():
            name = json.loads(record.read_text())["segment"].lstrip("/")
            Path("/dev/shm", name).unlink(missing_ok=True)


def shoal_command(*options: str) -> list[str]:
    return [sys.executable, "-m", "shoal", *options]


StartServer = Callable[..., ShoalServer]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers; all of them end with the test. `wait=False` does not wait until it serves."""
    servers: list[ShoalServer] = []

    def start(
        *options: str, workers: int = WORKERS, folder: Path | None = None, port: int = 0, wait: bool = True, stdin: str = ""
    ) -> ShoalServer:
        where = folder or tmp_path / f"data{len(servers)}"
        where.mkdir(exist_ok=True)
        chosen = port or free_port()
        given = [*options, "--port", str(chosen), "--dir", str(where), "--bind", "127.0.0.1", "--workers", str(workers)]
        if "--enable-debug-command" not in options:
            given += ["--enable-debug-command", "yes"]
        if stdin:
            given.append("-")
        with open(where / "log", "wb") as log:
            process = subprocess.Popen(
                shoal_command(*given), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL
            )
        if stdin:
            assert process.stdin is not None
            process.stdin.write(stdin.encode())
            process.stdin.close()
        server = ShoalServer(process, chosen, where, given)
        servers.append(server)
        if wait:
            server.wait_ready()
        return server

    yield start
    for server in servers:
        server.close_clients()
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
    hanging = []
    for server in servers:
        try:
            server.stop()
        except subprocess.TimeoutExpired:
            hanging.append(f"SIGTERM did not stop the server:\n{server.log()[-2000:]}")
        server.remove_memory()
    assert not hanging, "\n".join(hanging)


@pytest.fixture
def shoal(start_server: StartServer) -> ShoalServer:
    """One server with the default settings."""
    return start_server()


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def client(request: pytest.FixtureRequest, shoal: ShoalServer) -> redis.Redis:
    """A client of `shoal`, in both protocols."""
    return shoal.client(protocol=request.param)
