"""kill -9 at every step of a rewrite: a process dies before, or after, its n-th call that changes the folder, for n = 1, 2, ... until the
rewrite gets through. The steps are those of disktrace.c: each write, fsync, open, rename, unlink, truncate of base, increments, manifest.

After each death the server must recover by itself, and whatever was acknowledged must be in memory and in the files alone (appendfsync
always); redis-check-aof must accept them. `make test` takes every few steps; SHOAL_KILL_STEPS=all takes all.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from checker import FileChecker, redis_accepts
from journal import Writer, pause, stop
from tracing import Tracer

from tests.conftest import ShoalServer, StartServer, wait_until

ALL = os.environ.get("SHOAL_KILL_STEPS") == "all"
STRIDE = 1 if ALL else 6
OPTIONS = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--auto-aof-rewrite-percentage", "0"]


class Ground:
    """A traced server with writers, and a checker of its files."""

    def __init__(self, start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.start_server, self.folder = start_server, tmp_path / "traced"
        self.checker = FileChecker(start_server, tmp_path / "checker")
        self.tracer = Tracer(tmp_path, self.folder, monkeypatch.setenv)
        self.server: ShoalServer = start_server(*OPTIONS, folder=self.folder)
        self.writers = [Writer(self.server.port, i, patient=True) for i in range(2)]
        for w in self.writers:
            w.start()
        self.deaths = 0

    def steps(self, who: str, everything: bool = False) -> Iterator[int]:
        """Numbers of steps to die at, armed; ends when a rewrite got through."""
        n = random.randint(1, STRIDE)
        while True:
            self.tracer.arm(who, n, after=random.random() < 0.5, everything=everything)
            yield n
            n += random.randint(1, 2 * STRIDE - 1)

    def rewrite(self) -> bool:
        """Whether it got through."""
        client = self.server.client(retry=None, socket_timeout=10)
        try:
            before = client.info("persistence")["aof_rewrites"]
            client.bgrewriteaof()
            wait_until(lambda: self.tracer.killed or client.info("persistence")["aof_rewrites"] > before, 20, "the rewrite ends")
        except redis.RedisError as e:
            if "already in progress" in str(e):
                return False  # the heir has one under way
            wait_until(lambda: self.tracer.killed, 20, "the process dies")
        self.deaths += self.tracer.killed
        self.tracer.disarm()
        return not self.tracer.killed

    def writes_go_on(self) -> None:
        before = [w.acked for w in self.writers]
        wait_until(lambda: all(w.acked > b + 1 for w, b in zip(self.writers, before, strict=True)), 30, "writes go on")

    def tidy(self) -> None:
        """A whole rewrite: the next one has as many steps as the last."""
        self.tracer.disarm()
        self.tracer.set(killed=0)
        client = self.server.client()
        wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], 30, "the heir is done")
        wait_until(self.rewrite, 30, "a rewrite gets through")

    def check(self) -> None:
        pause(self.writers)
        redis_accepts(self.folder)
        self.checker.load_copy(self.folder)
        for w in self.writers:
            w.check_acked(self.checker.port)
            w.check_acked(self.server.port)
            w.go_on()
        self.tidy()

    def start_again(self) -> None:
        self.server.process.wait(20)
        self.server.close_clients()
        self.server = self.start_server(*OPTIONS, folder=self.folder, port=self.server.port)

    def finish(self) -> None:
        stop(self.writers)
        self.tracer.set(killed=0)
        assert self.rewrite(), self.server.log()
        assert self.server.stop() == 0
        for name in os.listdir(self.folder):
            assert not name.startswith("temp-"), f"{name} is left"
        self.checker.load_copy(self.folder)
        for w in self.writers:
            w.check_acked(self.checker.port)


@pytest.fixture
def ground(start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    return Ground(start_server, tmp_path, monkeypatch)


@pytest.mark.parametrize("who", ["persistence", "log writer"])
def test_a_process_dies_at_each_step(ground: Ground, who: str) -> None:
    reached = []
    for n in ground.steps(who):
        through = ground.rewrite()
        reached.append(ground.tracer.last)
        if not through:
            ground.writes_go_on()
            ground.check()
        if through or (who == "log writer" and n > 24):  # it writes all the time: a rewrite is some calls among many
            break
    print(f"{who}: {ground.deaths} deaths, the last at call {n}; {', '.join(reached)}")
    assert ground.deaths >= (8 if ALL else 1)
    info = ground.server.client().info("server")
    assert info["deaths_" + who.replace(" ", "_")] == ground.deaths
    ground.finish()


@pytest.mark.parametrize("who", ["persistence", "log writer"])
def test_everything_dies_at_each_step(ground: Ground, who: str) -> None:
    for n in ground.steps(who, everything=True):
        if ground.rewrite():
            break
        ground.server.process.wait(20)
        ground.checker.load_copy(ground.folder)  # as if shared memory were gone, too
        least = [(w.acked, w.group_acked) for w in ground.writers]
        for w, (acked, group) in zip(ground.writers, least, strict=True):
            w.check(ground.checker.port, acked, group)
        ground.start_again()
        ground.writes_go_on()
        ground.check()
        if who == "log writer" and n > 24:
            break
    print(f"everything, at the calls of the {who}: {ground.deaths} deaths, the last at call {n}")
    assert ground.deaths >= (8 if ALL else 1)
    ground.finish()


def _switch_on(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.ResponseError):  # its heir may not be ready yet
        return bool(client.config_set("appendonly", "yes"))
    return False


@pytest.mark.parametrize("who", ["persistence", "log writer"])
def test_a_process_dies_while_the_log_is_switched_on(ground: Ground, who: str) -> None:
    """CONFIG SET appendonly no and yes: the old files stay what a restart loads until the new base is on the disk."""
    client = ground.server.client()
    for n in ground.steps(who):
        before = client.info("persistence")["aof_rewrites"]
        client.config_set("appendonly", "no")
        wait_until(lambda: client.info("persistence")["aof_enabled"] == 0 and not client.info("persistence")["aof_rewrite_in_progress"], 20)
        wait_until(functools.partial(_switch_on, client), 20)

        def over(before: int = before) -> bool:
            info = client.info("persistence")
            return bool(ground.tracer.killed or (info["aof_rewrites"] > before and not info["aof_rewrite_in_progress"]))

        wait_until(over, 30, "the log is on, or a process died")
        through = not ground.tracer.killed
        ground.deaths += ground.tracer.killed
        ground.tidy()  # a rewrite that gets through says that the log is on
        ground.writes_go_on()
        ground.check()
        if through or n > 24:
            break
    assert ground.deaths >= (4 if ALL else 1)
    ground.finish()
