"""/dev/shm is too small, or others fill it: said at the start, -OOM while serving, never a crash. Needs root, for a small /dev/shm of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.conftest import free_port, shoal_command, wait_until

MB = 1 << 20


def can_mount() -> bool:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/dev/shm"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not can_mount(), reason="needs root and the right to mount, for a small /dev/shm")

Start = Callable[..., tuple[subprocess.Popen[bytes], int, Path]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server whose /dev/shm has so many MiB; its process, port and log."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(megabytes: int, *options: str) -> tuple[subprocess.Popen[bytes], int, Path]:
        port, log = free_port(), tmp_path / "log"
        command = shoal_command("--port", str(port), "--dir", str(tmp_path), "--save", "", "--workers", "2", *options)
        inside = f'mount -t tmpfs -o size={megabytes}m none /dev/shm && exec "$@"'
        with log.open("wb") as out:
            process = subprocess.Popen(["unshare", "-m", "sh", "-c", inside, "sh", *command], stdout=out, stderr=subprocess.STDOUT)
        running.append(process)
        return process, port, log

    yield begin
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_too_small_to_start_is_said_with_the_remedy(start: Start) -> None:
    process, _, log = start(3)
    assert process.wait(20) == 1
    assert "/dev/shm" in log.read_text()
    assert "mount -o remount,size=" in log.read_text()


def test_others_fill_it_while_we_serve(start: Start) -> None:
    process, port, log = start(160)
    wait_until(lambda: "Ready to accept" in log.read_text(), 20)
    with redis.Redis("127.0.0.1", port, socket_timeout=20) as client:
        client.set("kept", "value")
        filler = Path(f"/proc/{process.pid}/root/dev/shm/filler")
        fill(filler)
        stored = write_until_refused(client)
        assert client.get("kept") == b"value"
        for i in range(0, stored, max(stored // 20, 1)):
            assert client.get(f"key:{i}") == b"%d" % i + b"x" * 100_000
        filler.unlink()
        wait_until(lambda: can_write(client), what="writes go on when there is room again")
        info = client.info("everything")
        assert info["worker_deaths"] == 0
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def fill(path: Path) -> None:
    """Takes all that is left."""
    with path.open("wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * MB)
        except OSError:
            pass
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass


def write_until_refused(client: redis.Redis) -> int:
    """How many values were stored before -OOM."""
    for i in range(5000):
        try:
            client.set(f"key:{i}", b"%d" % i + b"x" * 100_000)
        except redis.OutOfMemoryError:
            return i
    raise AssertionError("never refused")


def can_write(client: redis.Redis) -> bool:
    try:
        return bool(client.set("again", b"x" * 200_000))
    except redis.OutOfMemoryError:
        return False
