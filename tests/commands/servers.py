"""Servers for the command tests: ours and, where it is installed, redis-server to compare with."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wire import Wire

START_SECONDS = 30


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now; within SHOAL_TEST_PORTS (`7200-7299`) if that is set."""
    low, _, high = os.environ.get("SHOAL_TEST_PORTS", "").partition("-")
    for port in range(int(low), int(high) + 1) if low else [0]:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(s.getsockname()[1])
    raise RuntimeError("no free port")


def shoal_server() -> list[str]:
    return [sys.executable, "-m", "shoal", "--workers", os.environ.get("SHOAL_TEST_WORKERS", "2"), "--enable-debug-command", "yes"]


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server has ended: {log.read_text(errors='replace')[-2000:]}")
        try:
            with Wire(port, timeout=5) as wire:
                if wire("PING") == "PONG":
                    return
        except OSError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"no PONG after {START_SECONDS} s: {log.read_text(errors='replace')[-2000:]}")


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]


@contextmanager
def running(command: list[str], folder: Path, *options: str) -> Iterator[Server]:
    """Runs a server in `folder`, without persistence."""
    port = free_port()
    log = folder / "log"
    words = [
        *command,
        "--port",
        str(port),
        "--dir",
        str(folder),
        "--save",
        "",
        "--enable-debug-command",
        "yes",
        *options,
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, cwd=folder)
        try:
            _wait(process, port, log)
            yield Server(port, folder, process)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
