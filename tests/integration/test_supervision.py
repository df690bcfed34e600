"""Dead workers: heirs, counting, boot failures."""

from __future__ import annotations

import functools
import os
import signal
import time
from pathlib import Path

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, wait_until


@pytest.fixture
def server(start_server: StartServer) -> ShoalServer:
    return start_server("--enable-debug-command", "yes", workers=2)


def all_ready(client: redis.Redis) -> bool:
    return bool(client.info("server")["workers_ready"] == 2)  # of those alive


def worker_pids(client: redis.Redis) -> dict[str, int]:
    info = client.info("clients")
    return {name: int(value["pid"]) for name, value in info.items() if name.startswith("worker")}


def test_an_heir_takes_over_and_the_others_serve_on(server: ShoalServer) -> None:
    survivor, victim = server.client(), server.client()
    while victim.execute_command("DEBUG", "WORKER") == survivor.execute_command("DEBUG", "WORKER"):
        victim = server.client()
    victim_id = victim.client_id()
    slot, pid = victim.execute_command("DEBUG", "WORKER")
    survivor.set("a", "1")
    started = time.monotonic()
    os.kill(int(pid), signal.SIGKILL)

    def heir_is_ready() -> bool:
        assert survivor.get("a") == "1"
        info = survivor.info("everything")
        return info["workers_ready"] == 2 and info[f"worker{slot}"]["pid"] != int(pid)

    wait_until(heir_is_ready, 5)
    assert time.monotonic() - started < 2.0  # normally about 30 ms; this machine may be busy
    info = survivor.info("server")
    assert info["worker_deaths"] == 1
    assert info["process_id"] == server.pid
    assert victim.client_id() != victim_id, "the victim's clients are disconnected"
    assert "ended by signal 9 (SIGKILL); its heir is being started" in server.log()


def test_many_deaths_lose_no_acknowledged_write(server: ShoalServer) -> None:
    client = server.client()
    acknowledged = 0
    for round_ in range(20):
        pid = list(worker_pids(client).values())[round_ % 2]
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 0.1
        while time.monotonic() < deadline:
            try:
                client.set(f"key:{acknowledged}", acknowledged)
                acknowledged += 1
            except redis.ConnectionError:
                client = server.client()
        wait_until(functools.partial(all_ready, client))
    assert acknowledged > 0
    for i in range(acknowledged):
        assert client.get(f"key:{i}") == str(i)
    assert client.info("server")["worker_deaths"] == 20


@pytest.mark.parametrize("how", ["SEGFAULT", "PANIC"])
def test_crashes_on_request(server: ShoalServer, how: str) -> None:
    with pytest.raises(redis.ConnectionError):
        server.client(retry=None).execute_command("DEBUG", how)
    wait_until(lambda: server.client().info("server")["workers_ready"] == 2)


def test_workers_that_cannot_start_stop_the_server(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import shoal.engine\n"
        "def fail(*_):\n"
        "    raise shoal.engine.EngineError('no slot today')\n"
        "shoal.engine.worker_start = fail\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server = start_server(wait=False)
    assert server.process.wait(20) == 1
    assert "could not start 3 times in a row, giving up" in server.log()
    assert "no slot today" in server.log()


def test_an_idle_server_rests(server: ShoalServer) -> None:
    client = server.client()

    def cpu() -> float:
        info = client.info("cpu")
        return float(info["used_cpu_sys"]) + float(info["used_cpu_user"])

    time.sleep(0.5)
    before = cpu()
    time.sleep(2)
    assert cpu() - before < 0.08
