"""Memory that collections need: data sets, each in a fresh server, measured empty and full.

Shapes are chosen so that redis-server 8.2 and valkey-server 9.1 show the figures that the goals were set against. Names with numbers at
their end share their beginnings, as names in real data often do; the `-random` shapes share nothing, and say what that is worth.
"""

from __future__ import annotations

import random
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator

from loadtest.compare.client import Connection, encode
from loadtest.compare.report import Results
from loadtest.compare.servers import Server, Spec, running

SUMMARY = "memory that came with five data sets of collections, MiB"
MIB = 1 << 20
BATCH_BYTES = 1 << 17
SETTLE_SECONDS = 20.0
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def hashes() -> Iterator[bytes]:
    """100,000 hashes of 10 fields `fieldJ` with values `value:NNNNN`."""
    for n in range(100_000):
        pairs = [w for j in range(10) for w in (f"field{j}", f"value:{(n * 10 + j) % 100_000}")]
        yield encode("HSET", f"hash:{n}", *pairs)


def hashes_random() -> Iterator[bytes]:
    """100,000 hashes of 10 fields with different names and values of 10 random letters."""
    fields = ["name", "mail", "age", "city", "zip", "street", "phone", "state", "country", "login"]
    dice = random.Random(3)
    for n in range(100_000):
        yield encode("HSET", f"hash:{n}", *(w for f in fields for w in (f, "".join(dice.choices(_LETTERS, k=10)))))


def lists() -> Iterator[bytes]:
    """20,000 lists of 100 elements `element:NN`."""
    for n in range(20_000):
        yield encode("RPUSH", f"list:{n}", *(f"element:{j}" for j in range(100)))


def lists_random() -> Iterator[bytes]:
    """20,000 lists of 100 elements of 10 random letters."""
    dice = random.Random(4)
    for n in range(20_000):
        letters = dice.choices(_LETTERS, k=1000)
        yield encode("RPUSH", f"list:{n}", *("".join(letters[j : j + 10]) for j in range(0, 1000, 10)))


def zsets() -> Iterator[bytes]:
    """2,000 sorted sets of 1,000 members `member:NNNNNNN` with scores of 16 digits."""
    dice = random.Random(1)
    for n in range(2_000):
        yield encode("ZADD", f"zset:{n}", *(w for j in range(1_000) for w in (repr(dice.random() * 1000), f"member:{n * 1000 + j}")))


def zset() -> Iterator[bytes]:
    """One sorted set of 1,000,000 members `member:NNNNNN`."""
    dice = random.Random(2)
    for n in range(0, 1_000_000, 100):
        yield encode("ZADD", "zset", *(w for j in range(n, n + 100) for w in (repr(dice.random() * 1e6), f"member:{j}")))


def one_set() -> Iterator[bytes]:
    """One set of 1,000,000 members `member:NNNNNN`."""
    for n in range(0, 1_000_000, 100):
        yield encode("SADD", "set", *(f"member:{j}" for j in range(n, n + 100)))


CASES: dict[str, Callable[[], Iterator[bytes]]] = {
    "hashes": hashes,
    "lists": lists,
    "zsets": zsets,
    "zset": zset,
    "set": one_set,
    "hashes-random": hashes_random,
    "lists-random": lists_random,
}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--lines", default=",".join(CASES), help="which of " + ", ".join(CASES))


def fill(connection: Connection, commands: Iterator[bytes]) -> None:
    batch: list[bytes] = []
    size = 0
    for command in commands:
        batch.append(command)
        size += len(command)
        if size >= BATCH_BYTES:
            connection.pipeline(batch)
            batch, size = [], 0
    connection.pipeline(batch)


def settled_bytes(server: Server) -> int:
    """Memory once it has stood still for a second and a half: rehashing and freeing in the background are over."""
    start = since = time.monotonic()
    last = server.memory_bytes()
    while time.monotonic() - since < 1.5 and time.monotonic() - start < SETTLE_SECONDS:
        time.sleep(0.25)
        now = server.memory_bytes()
        if abs(now - last) > 64 << 10:
            last, since = now, time.monotonic()
    return last


def measure(server: Server, commands: Iterator[bytes]) -> tuple[float, float]:
    """Growth from empty to full in MiB: of the memory of the processes (PSS), and of what the server says it uses (used_memory)."""
    with Connection(server.port) as connection:
        said = int(connection.info()["used_memory"])
    empty = settled_bytes(server)
    with Connection(server.port) as connection:
        fill(connection, commands)
    full = settled_bytes(server)
    with Connection(server.port) as connection:
        return (full - empty) / MIB, (int(connection.info()["used_memory"]) - said) / MIB


def run(options: Namespace, specs: list[Spec]) -> Results:
    results = Results(("MiB", "MiB used_memory"), judged="MiB")
    for _ in range(options.rounds):
        for name in options.lines.split(","):
            for spec in specs:
                with running(spec) as server:
                    results.add(name, spec.name, measure(server, CASES[name]()))
    return results
