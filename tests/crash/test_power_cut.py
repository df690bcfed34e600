"""Power cuts: from a trace of all that a server under load did to its files, disks are rebuilt on which everything that was not forced
there is missing, torn or out of order; each is loaded and compared with what the clients had been told by then.

`make test` looks at some images; SHOAL_POWER_CUTS=1000 (`make powercuts`) at so many of each policy.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from pathlib import Path

import pytest
import redis
from checker import FileChecker
from journal import Writer, stop
from powercut import LOSSES, Disk, Record, mark, points, read_trace
from tracing import Tracer

from tests.conftest import StartServer, wait_until

IMAGES = int(os.environ.get("SHOAL_POWER_CUTS", "24"))
WRITERS = 3
SECONDS = float(os.environ.get("SHOAL_POWER_CUT_SECONDS", "2.5"))


class Journal:
    """What the clients knew, as marks in the trace."""

    def __init__(self, trace: Path) -> None:
        self.fd = os.open(trace, os.O_WRONLY | os.O_APPEND)
        self.lock = threading.Lock()

    def note(self, w: Writer) -> None:
        mark(self.fd, time.monotonic_ns(), json.dumps(["acked", w.number, w.acked, w.group_acked]).encode())

    def saved(self, rounds: list[list[int]]) -> None:
        """A save that was asked for when the writers were there has ended well."""
        mark(self.fd, time.monotonic_ns(), json.dumps(["saved", rounds]).encode())


def _load(client: redis.Redis, writers: list[Writer], journal: Journal) -> None:
    """Rewrites and saves, one after the other, while the writers write."""
    until = time.monotonic() + SECONDS
    turn = 0
    while time.monotonic() < until or turn < 4:
        turn += 1
        time.sleep(random.choice((0.02, 0.1, 0.6)))
        rounds = [[w.acked, w.group_acked] for w in writers]
        if turn % 2:
            client.bgrewriteaof()
            wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], 20)
            assert client.info("persistence")["aof_last_bgrewrite_status"] == "ok"
        else:
            saves = client.info("persistence")["rdb_saves"]
            client.bgsave()
            wait_until(lambda saves=saves: client.info("persistence")["rdb_saves"] > saves, 20)
            journal.saved(rounds)


def _record(start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: str, sync_us: int) -> tuple[list[Record], list[Writer]]:
    folder = tmp_path / "traced"
    tracer = Tracer(tmp_path, folder, monkeypatch.setenv)
    tracer.set(tracing=1, sync_us=sync_us)
    server = start_server(
        "--appendonly", "yes", "--appendfsync", fsync, "--save", "", "--auto-aof-rewrite-percentage", "0", folder=folder
    )
    for name in ("LD_PRELOAD", "DISKTRACE_FOLDER"):
        monkeypatch.delenv(name)
    journal = Journal(tracer.file)
    writers = [Writer(server.port, i, journal.note) for i in range(WRITERS)]
    for w in writers:
        w.start()
    _load(server.client(), writers, journal)
    stop(writers)
    tracer.set(tracing=0)
    server.process.kill()
    server.process.wait()
    server.remove_memory()
    os.close(journal.fd)
    return read_trace(tracer.file), writers


def _lateness(records: list[Record]) -> float:
    """Seconds by which this machine was too slow to force the log to the disk each second."""
    begun, late = 0.0, 0.0
    last = records[0].time
    for r in records:
        if r.name.endswith(".incr.aof") and r.kind == "B":
            begun = r.time
        elif r.name.endswith(".incr.aof") and r.kind == "S":
            late, last = max(late, r.time - last - 1.0), begun
    return late


def _in_flight(records: list[Record]) -> int:
    """How many fdatasyncs of the log were in flight at once, at most."""
    threads: set[int] = set()
    most = 0
    for r in records:
        if r.name.endswith(".incr.aof") and r.kind in "BS":
            (threads.add if r.kind == "B" else threads.discard)(r.a)
            most = max(most, len(threads))
    return most


@pytest.mark.parametrize(("fsync", "sync_us"), [("always", 0), ("always", 3000), ("everysec", 0), ("no", 0)])
def test_power_cuts(start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: str, sync_us: int) -> None:
    records, writers = _record(start_server, tmp_path, monkeypatch, fsync, sync_us)
    if sync_us:
        assert _in_flight(records) > 1, "on a slow disk several are in flight"
    rnd = random.Random(time.time_ns())
    files = FileChecker(start_server, tmp_path / "checker")
    dumps = FileChecker(start_server, tmp_path / "dumps", appendonly=False)
    disk = Disk(str(tmp_path / "traced"))
    late = _lateness(records)
    assert late < 2, "this machine is too slow to tell"
    acked: list[tuple[float, int, int, int]] = []
    saved = [[0, 0] for _ in writers]
    seen = images = worst_us = 0
    for at in points(records, max(IMAGES // 4, 1), rnd):
        for record in records[seen:at]:
            disk.see(record)
            if record.kind == "M":
                kind, *words = json.loads(record.data)
                if kind == "saved":
                    saved = words[0]
                else:
                    acked.append((record.time, *words))
        seen = at
        now = records[at - 1].time
        until = {"always": now, "everysec": now - 1.0 - late, "no": 0.0}[fsync]
        least = [[0, 0] for _ in writers]
        for when, who, n, m in acked:
            if when <= until:
                least[who] = [n, m]
        for loss in rnd.sample(LOSSES, 4):
            image = disk.image(loss, rnd)
            where = f"{fsync}: cut after {at} of {len(records)} records ({records[at - 1].kind} {records[at - 1].name}), {loss}"
            try:
                files.load(image)
                found = [w.check(files.port, *least[w.number]) for w in writers]
                if images % 3 == 0:
                    dumps.load(image)
                    for w in writers:
                        w.check(dumps.port, *saved[w.number])
            except AssertionError as e:
                _keep(tmp_path / "image", image)
                raise AssertionError(f"{where}: {e}") from e
            images += 1
            if images % (IMAGES // 2) == 0:
                _starts_from(start_server, tmp_path / f"image{images}", image, writers, found)
            for when, who, n, _ in acked:
                if n > found[who]:
                    worst_us = max(worst_us, int((now - when) * 1e6))
    print(f"{fsync}: {images} images of {len(records)} records, {sum(w.acked for w in writers)} transactions; "
          f"the oldest acknowledged write that one of them lost was {worst_us / 1e6:.3f} s old")  # fmt: skip
    assert images >= IMAGES // 2
    if fsync == "always":
        assert worst_us == 0


def _starts_from(start_server: StartServer, folder: Path, image: dict[str, bytes], writers: list[Writer], found: list[int]) -> None:
    """A server that is started there has the same, and goes on."""
    folder.mkdir()
    _keep(folder, image)
    for _ in range(2):
        server = start_server("--appendonly", "yes", "--save", "", folder=folder)
        assert [w.check(server.port, n, 0) for w, n in zip(writers, found, strict=True)] == found
        server.client().incr("starts")
        assert server.stop() == 0


def _keep(place: Path, image: dict[str, bytes]) -> None:
    for path, content in image.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)
