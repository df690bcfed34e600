"""Who may reach what: other machines, other users of this one, readers of logs."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import psutil
import pytest
import redis

from tests.conftest import ShoalServer, StartServer


def outside_address() -> str:
    """An IPv4 address of this machine that is not loopback."""
    for addresses in psutil.net_if_addrs().values():
        for a in addresses:
            if a.family == socket.AF_INET and not a.address.startswith("127."):
                return str(a.address)
    pytest.skip("this machine has no address but loopback")


def first_words(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), 10) as s:
        s.sendall(b"PING\r\n")
        return s.recv(2000)


def test_protected_mode(shoal: ShoalServer) -> None:
    """Without a password only loopback is served, until protected-mode is off or there is a password."""
    host, client = outside_address(), shoal.client()
    client.config_set("bind", f"127.0.0.1 {host}")
    assert first_words(host, shoal.port).startswith(b"-DENIED Redis is running in protected mode")
    assert first_words("127.0.0.1", shoal.port) == b"+PONG\r\n"
    client.config_set("requirepass", "secret")
    assert first_words(host, shoal.port).startswith(b"-NOAUTH")
    client.config_set("requirepass", "")
    client.config_set("protected-mode", "no")
    assert first_words(host, shoal.port) == b"+PONG\r\n"


def test_memory_is_for_the_owner_alone(shoal: ShoalServer) -> None:
    name = json.loads((shoal.folder / "shoal.segment").read_text())["segment"].lstrip("/")
    assert stat.S_IMODE(Path("/dev/shm", name).stat().st_mode) == 0o600
    assert Path("/dev/shm", name).stat().st_uid == os.getuid()


@pytest.mark.parametrize("mode", ["700", "770", "600"])
def test_permissions_of_the_unix_socket(start_server: StartServer, tmp_path: Path, mode: str) -> None:
    start_server("--unixsocket", str(tmp_path / "s"), "--unixsocketperm", mode)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == int(mode, 8)


def test_passwords_are_in_no_log(start_server: StartServer) -> None:
    server = start_server("--requirepass", "hush-hush", "--loglevel", "debug")
    client = server.client(password="hush-hush")
    client.config_set("slowlog-log-slower-than", 0)
    client.config_set("requirepass", "not-a-word")
    with pytest.raises(redis.AuthenticationError):
        server.client(password="wrong-secret").ping()
    client = server.client(password="not-a-word")
    slow = str(client.slowlog_get(100))
    for secret in ("hush-hush", "not-a-word", "wrong-secret"):
        assert secret not in server.log()
        assert secret not in slow
    for process in [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]:
        assert "not-a-word" not in " ".join(process.cmdline())
