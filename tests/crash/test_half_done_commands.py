"""kill -9 of workers at any moment: no command of several keys is ever seen half done, and none that was acknowledged is lost.

Writers send pipelines of commands that touch several keys; a killer ends the workers in turn; readers check the invariant all the time,
on whichever worker is alive. The heir rolls back what was not committed.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from wire import Wire, pack

from tests.conftest import ShoalServer, StartServer, wait_until

DEATHS = 25
GONE = (ConnectionError, TimeoutError, OSError)
Commands = list[tuple[Any, ...]]


class Load:
    """Connections in threads that come back when their worker dies."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.over = threading.Event()
        self.failures: list[BaseException] = []
        self.threads: list[threading.Thread] = []
        self.rounds = 0

    def start(self, make: Callable[[], Commands], check: Callable[[list[Any]], None]) -> None:
        def body() -> None:
            while not self.over.is_set():
                with suppress(*GONE), Wire(self.port, timeout=10) as wire:
                    self._talk(wire, make, check)

        thread = threading.Thread(target=body, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _talk(self, wire: Wire, make: Callable[[], Commands], check: Callable[[list[Any]], None]) -> None:
        while not self.over.is_set():
            commands = make()
            wire.socket.sendall(b"".join(pack(*c) for c in commands))
            replies = [wire.read() for _ in commands]
            try:
                check(replies)
            except AssertionError as error:
                self.failures.append(error)
                self.over.set()
            self.rounds += 1

    def finish(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self.threads), "a client hangs"
        if self.failures:
            raise self.failures[0]


def kill_workers(server: ShoalServer, load: Load) -> None:
    client = server.client()
    for _ in range(DEATHS):
        if load.over.is_set():
            break
        _, pid = client.execute_command("DEBUG", "WORKER")
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)

        def heir_serves(dead: int = int(pid)) -> bool:
            with suppress(Exception):
                info = client.info("everything")
                return bool(info["workers_ready"] == 2) and all(
                    int(value["pid"]) != dead for name, value in info.items() if name.startswith("worker") and isinstance(value, dict)
                )
            return False

        wait_until(heir_serves, 20)
        time.sleep(random.uniform(0.005, 0.05))
    assert int(client.info("server")["worker_deaths"]) >= min(DEATHS, 1)


@pytest.fixture
def server(start_server: StartServer) -> ShoalServer:
    return start_server(workers=2)


def run(server: ShoalServer, writers: int, write: Callable[[], Commands], read: Commands, check: Callable[[list[Any]], None]) -> None:
    load = Load(server.port)
    for _ in range(writers):
        load.start(write, lambda replies: None)
    load.start(lambda: read, check)
    try:
        kill_workers(server, load)
    finally:
        load.finish()
    assert load.rounds > DEATHS
    with Wire(server.port) as wire:
        check([wire(*command) for command in read])
        for db in range(2):
            wire("SELECT", db)
            assert wire("DBSIZE") == len(wire("KEYS", "*"))


@pytest.mark.slow
def test_mset(server: ShoalServer) -> None:
    keys = [f"k:{i}" for i in range(8)]

    def write() -> Commands:
        value = bytes([97 + random.randrange(26)]) * random.choice([1, 8, 40, 60, 300, 5000, 9000, 40000])
        return [("MSET", *[part for key in random.sample(keys, 8) for part in (key, value)])] * 3

    def check(replies: list[Any]) -> None:
        for values in replies:
            assert len(set(values)) == 1, [v and (v[:1], len(v)) for v in values]
            assert values[0] is None or len(set(values[0])) == 1

    run(server, 3, write, [("MGET", *keys)] * 5, check)


@pytest.mark.slow
def test_transfers_in_transactions(server: ShoalServer) -> None:
    accounts = [f"account:{i}" for i in range(10)]
    with Wire(server.port) as wire:
        wire("MSET", *[part for account in accounts for part in (account, 1000)])

    def write() -> Commands:
        a, b = random.sample(accounts, 2)
        return [("MULTI",), ("DECRBY", a, 7), ("INCRBY", b, 7), ("EXEC",)] * 5

    def check(replies: list[Any]) -> None:
        for values in replies:
            assert sum(map(int, values)) == 10000, values

    run(server, 3, write, [("MGET", *accounts)] * 5, check)


@pytest.mark.slow
def test_rename_and_move_between_databases(server: ShoalServer) -> None:
    """The token is always in exactly one place, with its value and its expiry."""
    places = [f"place:{i}" for i in range(6)]
    token = b"token " * 2000
    with Wire(server.port) as wire:
        wire("SET", places[0], token, "EX", 100000)

    def write() -> Commands:
        return [("RENAMENX", *random.sample(places, 2)) for _ in range(20)] + [("PEXPIRE", random.choice(places), 90000000)]

    def check(replies: list[Any]) -> None:
        for values in replies:
            assert values.count(token) == 1 and values.count(None) == 5

    run(server, 3, write, [("MGET", *places)] * 5, check)
    with Wire(server.port) as wire:
        assert [wire("TTL", place) > 0 for place in places].count(True) == 1


@pytest.mark.slow
def test_values_that_grow_and_shrink(server: ShoalServer) -> None:
    """APPEND, SETRANGE, BITOP and COPY on long values: always whole records."""
    with Wire(server.port) as wire:
        wire("SET", "log", "")

    def write() -> Commands:
        letter = bytes([97 + random.randrange(26)])
        return [("APPEND", "log", b"<" + letter * 98 + b">") for _ in range(20)] + [
            ("COPY", "log", "copy", "REPLACE"),
            ("BITOP", "NOT", "not", "log"),
            *([("SET", "log", "")] if random.random() < 0.05 else []),
        ]

    def check(replies: list[Any]) -> None:
        for value in replies:
            value = value or b""
            assert len(value) % 100 == 0
            for at in range(0, len(value), 100):
                record = value[at : at + 100]
                assert record[:1] == b"<" and record[-1:] == b">" and len(set(record[1:-1])) == 1, record

    run(server, 2, write, [("GET", "log"), ("GET", "copy")], check)
