"""kill -9 of workers, again and again, under load: nothing acknowledged is lost, no torn value is read, the others serve on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
import zlib

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, wait_until

KILLS = 100
CLIENTS = 6
KEYS_EACH = 200


def make_value(key: str, number: int, size: int) -> bytes:
    body = f"{key}|{number}|".encode() + b"x" * size
    return body + b"%08x" % zlib.crc32(body)


def number_in(key: str, value: bytes) -> int:
    """The number that a value holds; fails when the value is not whole or another key's."""
    assert b"%08x" % zlib.crc32(value[:-8]) == value[-8:], f"torn value of {key}: {value[:80]!r}"
    name, number, _ = value.split(b"|", 2)
    assert name == key.encode(), f"{key} holds the value of {name!r}"
    return int(number)


class LoadedClient:
    """Writes its own keys with growing numbers, reads everybody's, and remembers what was acknowledged."""

    def __init__(self, server: ShoalServer, name: int) -> None:
        self.server, self.name = server, name
        self.random = random.Random(name)
        self.acknowledged: dict[str, int] = {}
        self.sent: dict[str, int] = {}
        self.operations = 0
        self.longest_wait = 0.0
        self.problem: BaseException | None = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        client = self._connect()
        number = 0
        try:
            while not self.stop.is_set():
                number += 1
                started = time.monotonic()
                try:
                    self._turn(client, number)
                    self.operations += 1
                except (redis.ConnectionError, redis.TimeoutError):
                    client.close()
                    client = self._connect()
                self.longest_wait = max(self.longest_wait, time.monotonic() - started)
        except BaseException as e:
            self.problem = e
        finally:
            client.close()

    def _connect(self) -> redis.Redis:
        return redis.Redis("127.0.0.1", self.server.port, socket_timeout=20, retry=None)

    def _turn(self, client: redis.Redis, number: int) -> None:
        key = f"c{self.name}:{self.random.randrange(KEYS_EACH)}"
        self.sent[key] = number
        # Sizes change, so values move; a pair is written in one transaction and must always agree.
        value = make_value(key, number, self.random.choice((0, 10, 100, 3000)))
        if number % 3:
            client.set(key, value)
        else:
            with client.pipeline(transaction=True) as pipe:
                pipe.set(key, value).set(f"twin:{key}", number).execute()
        self.acknowledged[key] = number
        other = f"c{self.random.randrange(CLIENTS)}:{self.random.randrange(KEYS_EACH)}"
        found = client.get(other)
        if found is not None:
            number_in(other, found)


def worker_pids(client: redis.Redis) -> list[int]:
    info = client.info("clients")
    return [int(value["pid"]) for name, value in info.items() if name.startswith("worker") and isinstance(value, dict)]


@pytest.mark.slow
def test_workers_killed_a_hundred_times(start_server: StartServer) -> None:
    server = start_server(workers=2)
    clients = [LoadedClient(server, i) for i in range(CLIENTS)]
    for c in clients:
        c.thread.start()
    chance = random.Random(7)
    watcher = server.client()
    killed = 0
    try:
        while killed < KILLS:
            time.sleep(chance.uniform(0.01, 0.06))
            assert server.process.poll() is None, server.log()
            with contextlib.suppress(redis.ConnectionError):
                pids = worker_pids(watcher)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(pids), signal.SIGKILL)
                    killed += 1
    finally:
        for c in clients:
            c.stop.set()
        for c in clients:
            c.thread.join(30)
    for c in clients:
        if c.problem is not None:
            raise c.problem
    wait_until(lambda: server.client().info("server")["workers_ready"] == 2)
    reader = redis.Redis("127.0.0.1", server.port)
    assert sum(c.operations for c in clients) > 500
    for c in clients:
        for key, number in c.acknowledged.items():
            value = reader.get(key)
            assert value is not None, f"{key} is lost"
            assert number <= number_in(key, value) <= c.sent[key]
    info = reader.info("server")
    assert 0 < info["worker_deaths"] <= KILLS
    reader.close()
