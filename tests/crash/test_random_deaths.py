"""Processes of every kind die at random moments under load, for as long as is asked for; what clients journalled as acknowledged is there.

Victims: a worker, the log writer, the persistence process, the keeper, the supervisor (its children end with it), everything one by one.
Rewrites and saves go on meanwhile. After each few deaths writers pause and the whole journal is compared with the running server; at the
end with a start from the files alone, too. Only run by `make deaths`: SHOAL_DEATH_SECONDS is how long each case runs (ten minutes there), SHOAL_DEATH_SEED
repeats a run's choices, as far as processes do.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
import redis
from checker import redis_accepts
from journal import GONE, Writer, pause, stop
from processes import end, end_everything, pids

from tests.conftest import ShoalServer, StartServer, wait_until

SECONDS = float(os.environ.get("SHOAL_DEATH_SECONDS", "0"))
SEED = int(os.environ.get("SHOAL_DEATH_SEED", "0")) or random.randrange(1, 1 << 31)
WORKERS = (2, 4)
COMPARED_EVERY = 6
VICTIMS = ("worker", "worker", "log writer", "log writer", "persistence", "persistence", "keeper", "supervisor", "everything")


class Run:
    def __init__(self, start_server: StartServer, folder: Path, fsync: str, workers: int) -> None:
        self.chance = random.Random(f"{SEED} {fsync} {workers}")
        self.start_server, self.folder, self.workers = start_server, folder, workers
        self.options = [
            *("--appendonly", "yes", "--appendfsync", fsync, "--save", "3600 100000000", "--auto-aof-rewrite-min-size", "1mb"),
            *("--auto-aof-rewrite-percentage", "100", "--stop-writes-on-bgsave-error", "no"),
        ]
        self.server = start_server(*self.options, folder=folder, workers=workers)
        self.writers = [Writer(self.server.port, i, patient=True) for i in range(4)]
        self.deaths: Counter[str] = Counter()

    def start_again(self) -> None:
        self.server = self.start_server(*self.options, folder=self.folder, port=self.server.port, workers=self.workers)

    def busy(self) -> None:
        """Something that takes a while is begun, mostly."""
        with contextlib.suppress(redis.ResponseError, *GONE):
            client = redis.Redis("127.0.0.1", self.server.port, socket_timeout=10, retry=None)
            with contextlib.closing(client):
                what = self.chance.choice((client.bgrewriteaof, client.bgsave, client.ping))
                what()
        time.sleep(self.chance.choice((0.0, 0.002, 0.02)) * self.chance.random())

    def kill_one(self) -> None:
        victim = self.chance.choice(VICTIMS)
        if victim == "everything":
            end_everything(self.server, supervisor_first=self.chance.random() < 0.5)
        elif victim == "supervisor":
            self.server.close_clients()
            self.server.process.kill()
            self.server.process.wait()
        else:
            found = pids(self.server, victim)
            if not found:
                return  # its heir is not there yet
            end(self.chance.choice(found))
        self.deaths[victim] += 1
        if victim in ("everything", "supervisor"):
            self.start_again()
            assert "Took over the memory" in self.server.log()
        assert self.server.process.poll() is None, self.server.log()[-2000:]

    def writes_go_on(self) -> None:
        before = [w.acked for w in self.writers]
        wait_until(lambda: all(w.acked > b for w, b in zip(self.writers, before, strict=True)) or self.problem(), 30, "writes go on")

    def problem(self) -> bool:
        for w in self.writers:
            if w.problem:
                raise w.problem
        return False

    def compare(self, server: ShoalServer) -> None:
        for w in self.writers:
            w.check_acked(server.port)


@pytest.mark.skipif(not SECONDS, reason="runs for as long as SHOAL_DEATH_SECONDS says: make deaths")
@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_deaths_of_every_kind(start_server: StartServer, tmp_path: Path, fsync: str, workers: int) -> None:
    run = Run(start_server, tmp_path / "data", fsync, workers)
    print(f"SHOAL_DEATH_SEED={SEED}")
    for w in run.writers:
        w.start()
    run.writes_go_on()
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        time.sleep(run.chance.uniform(0.0, 0.25))
        run.busy()
        run.kill_one()
        if sum(run.deaths.values()) % COMPARED_EVERY == 0:
            run.writes_go_on()
            pause(run.writers)
            run.compare(run.server)
            for w in run.writers:
                w.go_on()
    run.writes_go_on()
    pause(run.writers)
    run.compare(run.server)
    print(f"{fsync}, {workers} workers: {dict(run.deaths)}, rounds {[w.acked for w in run.writers]}, slowest {max(w.longest for w in run.writers):.2f} s")
    assert sum(run.deaths.values()) > SECONDS / 2
    assert run.server.stop() == 0
    redis_accepts(run.folder)
    assert not list(run.folder.glob("temp-*"))
    run.start_again()  # from the files alone
    assert "Took over" not in run.server.log()
    run.compare(run.server)
    stop(run.writers)
