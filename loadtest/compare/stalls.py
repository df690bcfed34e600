"""How long large removals make other clients wait: values of a million elements, taken away whole or in part.

While one connection removes, two threads read one key each as fast as they can, over several connections so that every worker serves
some: the value's own key (what waits there waits for its stripe) and one of another stripe. Shown is the longest reply of each while the
removal ran and shortly after. On a machine with few cores some milliseconds of it are the scheduler's: compare with the other server.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loadtest.compare.client import Connection, encode
from loadtest.compare.report import Results
from loadtest.compare.servers import Server, Spec, running

SUMMARY = "the longest wait of other clients while a value of a million elements is removed, ms"
CHUNK = 1000
AFTER_SECONDS = 0.3
"""The readers go on for so long after the reply: freeing in the background must not be felt either."""


def _chunks(command: str, make: Callable[[int], tuple[str, ...]], elements: int) -> Iterator[bytes]:
    for n in range(0, elements, CHUNK):
        yield encode(command, "value", *(word for j in range(n, n + CHUNK) for word in make(j)))


def _set(elements: int) -> Iterator[bytes]:
    return _chunks("SADD", lambda j: (f"member:{j}",), elements)


def _hash(elements: int) -> Iterator[bytes]:
    return _chunks("HSET", lambda j: (f"field:{j}", f"value:{j}"), elements)


def _zset(elements: int) -> Iterator[bytes]:
    return _chunks("ZADD", lambda j: (str(j), f"member:{j}"), elements)


def _list(elements: int) -> Iterator[bytes]:
    return _chunks("RPUSH", lambda j: (f"element:{j}",), elements)


def _stream(elements: int) -> Iterator[bytes]:
    return (encode("XADD", "value", "*", "field", j) for j in range(elements))


def _fill(connection: Connection, commands: Iterator[bytes]) -> None:
    while batch := list(itertools.islice(commands, 100)):
        connection.socket.sendall(b"".join(batch))
        for _ in batch:
            connection.read()


@dataclass(frozen=True, slots=True)
class Removal:
    make: Callable[[int], Iterator[bytes]]
    words: str
    """{last_but_ten}, {hundredth}: ranks."""
    probe: str


LINES = {
    "del-set": Removal(_set, "DEL value", "SCARD value"),
    "unlink-hash": Removal(_hash, "UNLINK value", "HLEN value"),
    "expire-zset": Removal(_zset, "PEXPIRE value 1", "ZCARD value"),
    "set-over-list": Removal(_list, "SET value x", "TYPE value"),
    "flushall": Removal(_set, "FLUSHALL ASYNC", "SCARD value"),
    "sinterstore": Removal(_set, "SINTERSTORE value value few", "SCARD value"),
    "zremrange-most": Removal(_zset, "ZREMRANGEBYRANK value 0 {last_but_ten}", "ZCARD value"),
    "zremrange-part": Removal(_zset, "ZREMRANGEBYRANK value 0 {hundredth}", "ZCARD value"),
    "ltrim": Removal(_list, "LTRIM value 0 9", "LLEN value"),
    "xtrim": Removal(_stream, "XTRIM value MAXLEN 10", "XLEN value"),
}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--lines", default=",".join(LINES), help="which of " + ", ".join(LINES))
    parser.add_argument("--elements", type=int, default=1_000_000)


class Reader:
    """Sends one command again and again, in turn over connections to several workers, and remembers the longest reply."""

    def __init__(self, port: int, words: list[str]) -> None:
        self.connections = [Connection(port) for _ in range(4)]
        self.words, self.longest = words, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _read(self) -> None:
        while not self._stop.is_set():
            for connection in self.connections:
                begun = time.perf_counter()
                try:
                    connection(*self.words)
                except RuntimeError:  # the value has another type now
                    pass
                self.longest = max(self.longest, time.perf_counter() - begun)

    def stop(self) -> float:
        """The longest reply in milliseconds."""
        self._stop.set()
        self._thread.join()
        for connection in self.connections:
            connection.__exit__()
        return self.longest * 1000


def measure(server: Server, removal: Removal, elements: int) -> tuple[float, float, float]:
    """Milliseconds: the removal's own reply, the longest wait at its stripe, the longest elsewhere."""
    with Connection(server.port) as connection:
        _fill(connection, removal.make(elements))
        connection("SADD", "few", "member:1", "member:2")
        connection("SET", "elsewhere", "x")
        places = {"last_but_ten": elements - 11, "hundredth": elements // 100}
        readers = [Reader(server.port, words.split()) for words in (removal.probe, "GET elsewhere")]
        for reader in readers:
            reader.start()
        time.sleep(0.2)
        for reader in readers:
            reader.longest = 0.0
        begun = time.perf_counter()
        connection(*removal.words.format(**places).split())
        own = (time.perf_counter() - begun) * 1000
        time.sleep(AFTER_SECONDS)
        same, other = (reader.stop() for reader in readers)
    return own, same, other


def run(options: Namespace, specs: list[Spec]) -> Results:
    sys.setswitchinterval(0.0002)  # the threads here are not to wait for each other
    results = Results(("ms own reply", "ms same key", "ms other key"), judged="ms same key")
    for _ in range(options.rounds):
        for name in options.lines.split(","):
            for spec in specs:
                with running(spec) as server:
                    results.add(name, spec.name, measure(server, LINES[name], options.elements))
    return results
