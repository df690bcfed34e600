"""Large files: several processes load them; what happens when the file is damaged, a process dies, or somebody wants the server to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, wait_until
from tests.needs import redis_server

KEYS = 30_000


def digest(client: Any) -> str:
    return str(client.execute_command("DEBUG", "DIGEST"))


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str, int]:
    """A file of more than 16 MiB with values of all types; its DEBUG DIGEST and number of keys, as redis-server tells them."""
    folder = tmp_path_factory.mktemp("large")
    socket = folder / "redis.sock"
    process = subprocess.Popen(
        [redis_server(), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", "", "--enable-debug-command", "yes"],
        stdout=subprocess.DEVNULL,
    )
    try:
        client = redis.Redis(unix_socket_path=str(socket))
        wait_until(socket.exists, what="redis-server")
        pipe = client.pipeline(transaction=False)
        for i in range(KEYS):
            pipe.set(f"key:{i}", os.urandom(290).hex(), px=None if i % 10 else 100_000_000)
            if i % 50 == 0:
                pipe.set(f"{i}", i * 1000)
                pipe.set(f"packed:{i}", "again and " * 100)
                pipe.rpush(f"list:{i}", *(f"{i}:{j}" for j in range(20)))
                pipe.hset(f"hash:{i}", mapping={f"f{j}": os.urandom(20) for j in range(20)})
                pipe.sadd(f"ints:{i}", *range(i, i + 30))
                pipe.zadd(f"zset:{i}", {f"m{j}": j / 7 for j in range(20)})
                pipe.xadd(f"stream:{i}", {"a": str(i)}, id="1-1")
            if i % 1000 == 0:
                pipe.execute()
        pipe.rpush("long list", *(os.urandom(40) for _ in range(20_000)))
        pipe.zadd("many members", {f"member:{j}": j % 1000 / 3 for j in range(60_000)})
        pipe.sadd("large set", *(f"m:{j}" for j in range(20_000)))
        pipe.hset("large hash", mapping={f"f:{j}": f"{j}" for j in range(20_000)})
        pipe.xgroup_create("stream:0", "group", "0")
        pipe.xreadgroup("group", "consumer", {"stream:0": ">"})
        pipe.execute()
        client.execute_command("SELECT", 3)
        client.set("in another database", "y")
        client.save()
        client.execute_command("SELECT", 0)
        return (folder / "dump.rdb").read_bytes(), client.execute_command("DEBUG", "DIGEST").decode(), client.dbsize()
    finally:
        process.terminate()
        process.wait(20)


def put(folder: Path, data: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "dump.rdb").write_bytes(data)
    return folder


def loaders(server: ShoalServer) -> list[int]:
    """Processes that load, children of the persistence process."""
    found: list[int] = []
    try:
        for child in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split():
            for pid in Path(f"/proc/{child}/task/{child}/children").read_text().split():
                if "shoal: loader" in Path(f"/proc/{pid}/comm").read_text():
                    found.append(int(pid))
    except OSError:
        pass
    return found


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


needs_two = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor: one process loads")


def test_several_processes_load_what_redis_wrote(
    start_server: StartServer, tmp_path: Path, large_file: tuple[bytes, str, int]
) -> None:
    data, expected, keys = large_file
    assert len(data) > 16 << 20
    server = start_server(folder=put(tmp_path / "d", data))
    client = server.client()
    assert client.dbsize() == keys
    assert digest(client) == expected
    assert client.info("persistence")["rdb_last_load_keys_loaded"] == keys + 1
    assert client.execute_command("DEBUG", "RELOAD")
    assert digest(client) == expected


def test_a_damaged_large_file_is_refused(start_server: StartServer, tmp_path: Path, large_file: tuple[bytes, str, int]) -> None:
    data, _, _ = large_file
    middle = len(data) // 2
    bodies = {
        "truncated": data[:middle],
        "flipped": data[:middle] + bytes([data[middle] ^ 0x01]) + data[middle + 1 :],
        "overwritten": data[:middle] + b"\xff" * 70_000 + data[middle + 70_000 :],
    }
    for name, body in bodies.items():
        server = start_server(folder=put(tmp_path / name, body), wait=False)
        assert server.process.wait(30) == 1, name
        assert "cannot be loaded: at byte" in server.log(), name
        assert (server.folder / "dump.rdb").read_bytes() == body


@needs_two
@pytest.mark.parametrize("victim", ["loader", "persistence process"])
def test_a_process_killed_while_loading(
    start_server: StartServer, tmp_path: Path, large_file: tuple[bytes, str, int], victim: str
) -> None:
    data, expected, keys = large_file
    server = start_server("--key-load-delay", "50", folder=put(tmp_path / "d", data), wait=False)
    wait_until(lambda: len(loaders(server)) >= 2, 20, "the loaders")
    time.sleep(0.3)
    first = loaders(server)
    os.kill(first[0] if victim == "loader" else parent(first[0]), signal.SIGKILL)

    def there() -> bool:
        try:
            return bool(server.client().dbsize() == keys)
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False

    wait_until(there, 60, "the dataset")
    assert not set(first) & set(loaders(server))
    assert digest(server.client()) == expected
    assert "half loaded" in server.log()


@needs_two
def test_while_it_loads(start_server: StartServer, tmp_path: Path, large_file: tuple[bytes, str, int]) -> None:
    """Commands are refused, INFO shows how far it is, and a stop does not wait for the end."""
    data, _, _ = large_file
    server = start_server("--key-load-delay", "1000", folder=put(tmp_path / "d", data), wait=False)
    wait_until(lambda: len(loaders(server)) >= 2, 20, "the loaders")
    client = server.client()
    with pytest.raises(redis.BusyLoadingError):
        client.get("key:1")
    info = client.info("persistence")
    assert info["loading"] == 1
    assert info["loading_total_bytes"] == len(data)
    wait_until(lambda: client.info("persistence")["loading_loaded_bytes"] > 0, 20, "progress")
    began = time.monotonic()
    server.close_clients()
    server.process.terminate()
    server.process.wait(20)
    assert time.monotonic() - began < 6
    assert (server.folder / "dump.rdb").read_bytes() == data
