"""kill -9 at random moments, with the append-only file on: what was acknowledged is there afterwards.

Writers journal every acknowledged write outside of the server. Each has keys of its own and writes rising numbers, a pair of them in
one MULTI, so three things are checked at the end: no acknowledged number is missing, no key holds a number that was never sent (a torn
value), and the two keys of a pair are equal (no half transaction).
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
from checker import redis_accepts
from processes import end, pids

from tests.conftest import ShoalServer, StartServer, wait_until
from tests.faults import Faults

WRITERS = 4
ROUNDS = 6


@dataclass
class Writer(threading.Thread):
    """One client; `acked` and `sent` are the journal."""

    port: int
    number: int
    sent: int = 0
    acked: int = 0
    stopping: bool = False
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        while not self.stopping:
            with contextlib.suppress(redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, OSError):
                self.session()
            time.sleep(0.01)

    def session(self) -> None:
        client = redis.Redis("127.0.0.1", self.port, socket_timeout=5, retry=None)
        with contextlib.closing(client):
            while not self.stopping:
                self.sent += 1
                value = f"{self.sent:012d}" * (1 + self.sent % 40)
                pipe = client.pipeline(transaction=True)
                pipe.set(f"a{self.number}", value)
                pipe.set(f"b{self.number}", value)
                pipe.rpush(f"list{self.number}", self.sent)
                pipe.execute()
                self.acked = self.sent

    def check(self, client: redis.Redis) -> None:
        a, b = client.get(f"a{self.number}"), client.get(f"b{self.number}")
        assert a == b, f"half a transaction: {a!r} {b!r}"
        listed = [int(x) for x in client.lrange(f"list{self.number}", 0, -1)]
        assert listed == sorted(set(listed)), "an element twice or out of order"
        last = listed[-1] if listed else 0
        assert self.acked <= last <= self.sent, f"acknowledged {self.acked}, found {last}, sent {self.sent}"
        assert a == (f"{last:012d}" * (1 + last % 40) if last else None), "a torn value"


def kill(server: ShoalServer, kind: str) -> None:
    targets = pids(server, kind)
    if targets:
        end(random.choice(targets))


@pytest.mark.parametrize("fsync", ["always", "everysec"])
@pytest.mark.parametrize("victim", ["log writer", "worker", "persistence", "mixed"])
def test_a_killed_process_loses_nothing(start_server: StartServer, fsync: str, victim: str) -> None:
    _kill_under_load(start_server, fsync, victim)


@pytest.mark.parametrize("victim", ["log writer", "mixed"])
def test_deaths_with_several_fdatasyncs_in_flight(start_server: StartServer, faults: Faults, victim: str) -> None:
    faults.set("call=sync ms=8 path=*.incr.aof")
    _kill_under_load(start_server, "always", victim)


def _kill_under_load(start_server: StartServer, fsync: str, victim: str) -> None:
    server = start_server("--appendonly", "yes", "--appendfsync", fsync, "--save", "", "--auto-aof-rewrite-percentage", "0")
    writers = [Writer(server.port, i) for i in range(WRITERS)]
    for w in writers:
        w.start()
    for _ in range(ROUNDS):
        time.sleep(random.uniform(0.05, 0.4))
        kind = victim if victim != "mixed" else random.choice(["log writer", "worker", "persistence"])
        with contextlib.suppress(redis.RedisError):
            if kind == "persistence" or random.random() < 0.3:
                server.client().bgrewriteaof()
        kill(server, kind)
    before = [w.acked for w in writers]
    wait_until(lambda: all(w.acked > b for w, b in zip(writers, before, strict=True)), 20, "writes go on")
    for w in writers:
        w.stopping = True
    for w in writers:
        w.join(20)
    client = server.client()
    for w in writers:
        w.check(client)
    assert server.stop() == 0
    redis_accepts(server.folder)
    again = start_server(
        "--appendonly", "yes", "--save", "", "--keep-memory", "no", folder=server.folder, port=server.port
    )  # from the files alone
    for w in writers:
        w.check(again.client())


@pytest.mark.parametrize(("fsync", "keep"), [("always", "yes"), ("always", "no"), ("everysec", "yes")])
def test_everything_killed_loses_nothing(start_server: StartServer, tmp_path: Path, fsync: str, keep: str) -> None:
    folder = tmp_path / "data"
    options = ["--appendonly", "yes", "--appendfsync", fsync, "--save", "", "--keep-memory", keep]
    server = start_server(*options, folder=folder)
    writers = [Writer(server.port, i) for i in range(WRITERS)]
    for w in writers:
        w.start()
    for n in range(4):
        before = [w.acked for w in writers]
        wait_until(lambda before=before: all(w.acked > b for w, b in zip(writers, before, strict=True)), 20, "writes go on")
        time.sleep(random.uniform(0.05, 0.3))
        if n % 2:
            with contextlib.suppress(redis.RedisError):
                server.client().bgrewriteaof()
        server.process.kill()
        server.process.wait()
        server.close_clients()
        server = start_server(*options, folder=folder, port=server.port)
    for w in writers:
        w.stopping = True
    for w in writers:
        w.join(20)
    for w in writers:
        w.check(server.client())
    assert server.stop() == 0
    redis_accepts(folder)
