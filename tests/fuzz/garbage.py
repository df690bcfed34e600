"""Input for a server that no client would send: valid calls of every command, then damaged in every way.

A stream of bytes is a pipeline of calls in RESP and inline form, with values that are at the limits of what commands take, mutated
(bits, pieces cut out, doubled or exchanged, lengths that lie) and sent in pieces. `Fuzzer` is deterministic for a seed.
"""

from __future__ import annotations

import contextlib
import random
import socket

import calls
from wire import pack

from shoal.commands import table, usage

LEFT_OUT = {
    "shutdown", "migrate", "debug", "monitor", "wait", "waitaof", "failover", "replicaof", "slaveof", "sync", "psync",
    "config|set", "config|rewrite", "client|pause", "client|kill", "bgsave", "save", "bgrewriteaof",
}  # fmt: skip
"""They end, hold or leave the server, by design."""

NUMBERS = ("0", "-1", "1", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "4294967296", "2147483648",
           "-0", "1e400", "nan", "inf", "-inf", "1.5", "00", "+1", " 1", "65536", "1000000")  # fmt: skip
WORDS = ("", "k0", "k1", "k2", "*", "[", "(1", "[a", "-", "+", "$", ">", "0-1", "9999-9999", "LIMIT", "COUNT", "GET", "BY", "WITHSCORES", "\xff" * 40)
KEYS = ("k0", "k1", "k2", "k3", "k4")


def seeds() -> list[list[str]]:
    """Valid calls, each part of every command's tree at least once."""
    found: list[list[str]] = []
    for name, row in table.rows().items():
        if name not in LEFT_OUT and name.split("|")[0] not in LEFT_OUT:
            found += calls.variants(name, usage.parse(row.usage))
    return found


class Fuzzer:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seeds = seeds()

    def call(self) -> list[str]:
        words = list(self.random.choice(self.seeds))
        for i in range(1, len(words)):
            chance = self.random.random()
            if chance < 0.12:
                words[i] = self.random.choice(NUMBERS)
            elif chance < 0.2:
                words[i] = self.random.choice(WORDS)
            elif chance < 0.3:
                words[i] = self.random.choice(KEYS)
            elif chance < 0.33:
                words[i] = "x" * self.random.choice((1, 63, 64, 65, 4095, 70_000))
        if self.random.random() < 0.1:
            words.insert(self.random.randrange(len(words)) + 1, self.random.choice(WORDS + NUMBERS))
        if self.random.random() < 0.1 and len(words) > 1:
            del words[self.random.randrange(1, len(words))]
        return words

    def pipeline(self) -> bytes:
        """Some calls; one in three pipelines is damaged."""
        parts = []
        for _ in range(self.random.randint(1, 12)):
            words = self.call()
            if self.random.random() < 0.1:
                parts.append(" ".join(words).encode("latin-1") + b"\r\n")
            else:
                parts.append(pack(*(w.encode("latin-1") for w in words)))
        raw = b"".join(parts)
        return self.damage(raw) if self.random.random() < 0.33 else raw

    def damage(self, raw: bytes) -> bytes:
        data = bytearray(raw)
        for _ in range(self.random.randint(1, 4)):
            at, n = self.random.randrange(len(data) + 1), self.random.randint(1, 40)
            match self.random.randrange(7):
                case 0 if at < len(data):
                    data[at] ^= 1 << self.random.randrange(8)
                case 1:
                    del data[at : at + n]
                case 2:
                    data[at:at] = data[at : at + n]
                case 3:
                    data[at:at] = self.random.randbytes(n)
                case 4:
                    head = self.random.choice((b"*", b"$"))
                    data[at:at] = head + self.random.choice(NUMBERS).encode() + b"\r\n"
                case 5:
                    place = data.find(self.random.choice((b"*", b"$")), at)
                    if place >= 0:
                        data[place + 1 : place + 2] = self.random.choice((b"99", b"-1", b"", b"0", b"536870912", b"1048577"))
                case 6:
                    del data[at:]
        return bytes(data)

    def attack(self, port: int, pipelines: int) -> None:
        """One connection: pipelines in pieces; whatever the server says is read and thrown away."""
        with socket.create_connection(("127.0.0.1", port), 10) as s, contextlib.suppress(ConnectionError, TimeoutError):
            s.settimeout(0.02)
            if self.random.random() < 0.5:
                s.sendall(b"HELLO 3\r\n")
            for _ in range(pipelines):
                raw = self.pipeline()
                cut = self.random.randrange(len(raw) + 1)
                for piece in (raw[:cut], raw[cut:]) if self.random.random() < 0.3 else (raw,):
                    s.settimeout(5)
                    s.sendall(piece)
                s.settimeout(0.02 if self.random.random() < 0.05 else 0.001)
                with contextlib.suppress(TimeoutError, BlockingIOError):
                    if not s.recv(1 << 20):
                        return
