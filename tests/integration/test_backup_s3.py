"""Backups in S3: the real API, served on loopback by moto, through fsspec and s3fs; and back into a real redis-server."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartServer, free_port, wait_until
from tests.integration.test_backup import EACH_SECOND, LOG_ON, digest, tool
from tests.integration.test_restore import history, to
from tests.peers import StartPeer


def request(url: str, method: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as answer:
        return bytes(answer.read())


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """The endpoint's URL."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    endpoint = f"http://127.0.0.1:{port}"

    def up() -> bool:
        assert process.poll() is None
        try:
            return bool(request(endpoint, "GET"))
        except (urllib.error.URLError, ConnectionError):
            return False

    wait_until(up, 30, "the S3 server")
    yield endpoint
    process.kill()
    process.wait()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of a fresh place, and its environment for servers and tools."""
    for name in [n for n in os.environ if n.startswith("AWS_") or n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    name = "b" + tmp_path.name.replace("_", "").lower()
    request(f"{s3_server}/{name}", "PUT")
    return f"s3://{name}/shoal"


def test_to_s3_and_back_into_redis(start_server: StartServer, start_peer: StartPeer, bucket: str, tmp_path: Path) -> None:
    server = start_server(*LOG_ON)
    client = server.client()
    moments = history(client, 3)
    for _ in range(2):
        done = tool("-p", str(server.port), "backup", bucket)
        assert done.returncode == 0, done.stderr
    client.flushall()
    listed = tool("backups", "list", bucket).stdout.splitlines()
    assert len(listed) == 2 and all("  aof  " in line and "4 keys" in line for line in listed)
    done = tool("restore", bucket, "--into", tmp_path / "last")
    assert done.returncode == 0, done.stderr
    assert digest(start_peer("redis-7.0", tmp_path / "last", "--appendonly", "yes").client) == moments[-1][1]
    done = tool("restore", bucket, "--into", tmp_path / "then", "--to", to(moments[0][0]))
    assert done.returncode == 0, done.stderr
    assert digest(start_peer("redis-7.0", tmp_path / "then", "--appendonly", "yes").client) == moments[0][1]
    # One object is damaged: it is found, by name, and not restored.
    name = listed[-1].split()[0]
    path = f"{bucket}/{name}/appendonlydir/appendonly.aof.1.incr.aof"
    subprocess.run([sys.executable, "-c", f"import s3fs; s3fs.S3FileSystem().pipe({path!r}, b'nothing')"], check=True, capture_output=True)
    verified = tool("backups", "verify", bucket)
    assert verified.returncode == 1 and verified.stdout.count("  ok") == 1 and f"{name}  appendonlydir/appendonly.aof.1.incr.aof has 7 bytes" in verified.stdout
    refused = tool("restore", bucket, "--into", tmp_path / "x")
    assert refused.returncode == 2 and "is damaged" in refused.stderr and not (tmp_path / "x").exists()
    pruned = tool("backups", "prune", bucket, "--keep", "monthly 1")
    assert pruned.returncode == 0 and pruned.stdout.count("removed") == 1


def test_the_schedule_writes_to_s3(start_server: StartServer, start_peer: StartPeer, bucket: str, tmp_path: Path) -> None:
    server = start_server("--save", "", "--backup-place", bucket, "--backup-schedule", EACH_SECOND, "--backup-keep", "hourly 1")
    client = server.client()
    client.hset("h", mapping={str(i): "x" * i for i in range(600)})
    wanted = digest(client)
    done = client.info("persistence")["backups"]
    wait_until(lambda: client.info("persistence")["backups"] >= done + 2, 60, "two backups")
    assert client.info("persistence")["backup_last_status"] == "ok", server.log()
    server.close_clients()
    assert server.stop() == 0
    done = tool("restore", bucket, "--into", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert digest(start_peer("redis-7.0", tmp_path / "r").client) == wanted


def test_a_place_that_cannot_be_reached_is_told(start_server: StartServer, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    refused = tool("backups", "list", bucket)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert tool("backups", "list", "nonsense://bucket").returncode == 2
