"""What a background save costs: seconds, memory, the slowest write meanwhile; and what a restart costs."""

from __future__ import annotations

import os
import random
import threading
import time
from argparse import ArgumentParser, Namespace

from loadtest.compare.client import Connection, encode
from loadtest.compare.report import Results
from loadtest.compare.servers import Server, Spec, running

SUMMARY = "a background save beside 20,000 writes a second: seconds, memory, latency; then a restart"
SAVE_LIMIT_SECONDS = 300.0
KEY_BYTES = 16
SETTLE_SECONDS = 4.0
"""Of writing before the save, for the latency without one."""
_BATCH = 2000


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--keys", type=int, default=4_000_000)
    parser.add_argument("--size", type=int, default=256, help="bytes of a value")


class Writers:
    """20,000 SETs a second in pipelines, and one connection that times single SETs, until stopped."""

    def __init__(self, port: int, keys: int, value: bytes) -> None:
        self.port, self.keys, self.value = port, keys, value
        self.phase = "before"
        self.seconds: dict[str, list[float]] = {"before": [], "during": []}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._load, self._probe)]
        for thread in self._threads:
            thread.start()

    def _set(self, dice: random.Random) -> bytes:
        return encode("SET", b"key:%012d" % dice.randrange(self.keys), self.value)

    def _load(self) -> None:
        dice = random.Random(2)
        with Connection(self.port) as connection:
            while not self._stop.is_set():
                begun = time.monotonic()
                connection.pipeline([self._set(dice) for _ in range(100)])
                self._stop.wait(max(0.0, 0.005 - (time.monotonic() - begun)))

    def _probe(self) -> None:
        dice = random.Random(1)
        with Connection(self.port) as connection:
            while not self._stop.is_set():
                command = self._set(dice)
                begun = time.perf_counter()
                connection.pipeline([command])
                self.seconds[self.phase].append(time.perf_counter() - begun)
                self._stop.wait(0.0005)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def fill(connection: Connection, keys: int, value: bytes) -> None:
    for first in range(0, keys, _BATCH):
        numbers = range(first, min(keys, first + _BATCH))
        connection.pipeline([encode("SET", b"key:%012d" % i, value) for i in numbers])


def save(server: Server, connection: Connection) -> tuple[float, int]:
    """Seconds of a BGSAVE, and the largest memory seen meanwhile."""
    begun, peak = time.monotonic(), 0
    connection("BGSAVE")
    while time.monotonic() - begun < SAVE_LIMIT_SECONDS:
        time.sleep(0.1)
        peak = max(peak, server.memory_bytes())
        info = connection.info()
        if info["rdb_bgsave_in_progress"] == "0":
            if info["rdb_last_bgsave_status"] != "ok":
                raise RuntimeError("the save failed")
            return time.monotonic() - begun, peak
    raise RuntimeError("the save did not end")


def restart(spec: Spec, server: Server, keys: int) -> float:
    """Seconds until a server that was stopped answers again, with all keys."""
    folder = str(server.log.parent)
    server.stop()
    again = Server(spec, folder)
    try:
        with Connection(again.port) as connection:
            found = connection("DBSIZE")
        if found != keys:
            raise RuntimeError(f"{spec.name}: {found} keys after a restart, not {keys}")
    finally:
        again.kill()
    return again.start_seconds


def measure(spec: Spec, keys: int, size: int) -> tuple[float, ...]:
    value = os.urandom((size + 1) // 2).hex().encode()[:size]
    with running(spec) as server:
        with Connection(server.port) as connection:
            empty = server.memory_bytes()
            fill(connection, keys, value)
            overhead = (server.memory_bytes() - empty) / keys - size - KEY_BYTES
            writers = Writers(server.port, keys, value)
            time.sleep(SETTLE_SECONDS)
            before, writers.phase = server.memory_bytes(), "during"
            seconds, peak = save(server, connection)
            writers.stop()
        start_seconds = restart(spec, server, keys)
        written = sum(f.stat().st_size for f in server.log.parent.rglob("*.rdb"))
    slowest = max(writers.seconds["during"]) * 1e3
    return overhead, seconds, (peak - before) / 2**20, slowest, written / 2**20, start_seconds


def run(options: Namespace, specs: list[Spec]) -> Results:
    figures = ("bytes/key above key+value", "save s", "save +MiB", "slowest write ms", "file MiB", "restart s")
    results = Results(figures, judged="save s")
    for _ in range(options.rounds):
        for spec in specs:
            results.add(f"{options.keys} x {options.size} B", spec.name, measure(spec, options.keys, options.size))
    return results
