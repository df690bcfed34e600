"""Waiting clients under pressure: elements go through chains of BLMOVE, short timeouts and CLIENT UNBLOCK, and none is lost or doubled; commands
over several collections are seen whole."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from crowd import Crowd
from wire import Error, Wire

PRODUCERS, CONSUMERS, EACH = 3, 6, 250


def test_a_chain_with_timeouts_and_unblocks_loses_nothing(wire: Wire, crowd: Crowd) -> None:
    """in -> BLMOVE -> middle -> BLMPOP, BLPOP, BZPOPMIN of another key; consumers are woken for nothing all the time."""
    got: list[bytes] = []
    ids: list[int] = []
    total = PRODUCERS * EACH

    def produce(client: int) -> Any:
        def work(w: Wire) -> None:
            for i in range(EACH):
                assert int(w("RPUSH", "in", f"{client}:{i}")) >= 0

        return work

    def move(w: Wire) -> None:
        ids.append(w("CLIENT", "ID"))
        while len(got) < total:
            reply = w("BLMOVE", "in", "middle", "LEFT", "RIGHT", random.choice(["0.01", "0.1", "1"]))
            assert not isinstance(reply, Error) or reply.code == "UNBLOCKED", reply

    def consume(w: Wire) -> None:
        ids.append(w("CLIENT", "ID"))
        rnd = random.Random()
        while len(got) < total:
            timeout = rnd.choice(["0.01", "0.05", "0.5"])
            if rnd.random() < 0.5:
                reply = w("BLPOP", "other", "middle", timeout)
                found = reply[1:] if isinstance(reply, list) else []
            else:
                reply = w("BLMPOP", timeout, 2, "other", "middle", "LEFT", "COUNT", 3)
                found = reply[1] if isinstance(reply, list) else []
            assert not isinstance(reply, Error) or reply.code == "UNBLOCKED", reply
            got.extend(found)

    def disturb(w: Wire) -> None:
        while len(got) < total:
            if ids:
                w("CLIENT", "UNBLOCK", random.choice(ids), random.choice(["TIMEOUT", "ERROR"]))

    for _ in range(2):
        crowd.run(move)
    for _ in range(CONSUMERS):
        crowd.run(consume)
    crowd.run(disturb)
    for client in range(PRODUCERS):
        crowd.run(produce(client))
    crowd.finish(crowd.threads, 90)
    count = Counter(got)
    assert len(got) == total and max(count.values()) == 1
    assert wire("EXISTS", "in", "middle", "other") == 0
    assert b"blocked_clients:0" in wire("INFO", "clients")


def test_stores_over_collections_are_seen_whole(wire: Wire, crowd: Crowd) -> None:
    """A reader in one transaction, or of one command, sees the source as before or after, never both or half."""
    wire("SADD", "even", *range(0, 200, 2))
    wire("SADD", "odd", *range(1, 200, 2))
    wire("ZADD", "za", *[part for i in range(100) for part in (i, f"a{i}")])
    wire("ZADD", "zb", *[part for i in range(150) for part in (i, f"b{i}")])

    def write(n: int) -> list[tuple[Any, ...]]:
        source = ["even", "odd"][n % 2]
        return [("SUNIONSTORE", "set", source), ("ZUNIONSTORE", "zset", 1, ["za", "zb"][n % 2]), ("SINTERSTORE", "set", source, source),
                ("LPUSH", "left", "x"), ("LMOVE", "left", "right", "LEFT", "LEFT"), ("LMOVE", "right", "left", "LEFT", "LEFT"),
                ("LPOP", "left")]  # fmt: skip

    def wrote(replies: list[Any]) -> None:
        assert not any(isinstance(r, Error) for r in replies), replies

    def read(n: int) -> list[tuple[Any, ...]]:
        return [("SMEMBERS", "set"), ("ZCARD", "zset"), ("ZRANGE", "zset", 0, -1), ("SDIFF", "set", "even", "odd")]

    def check(replies: list[Any]) -> None:
        members, card, names, rest = replies
        assert len({int(m) % 2 for m in members}) <= 1 and len(members) in (0, 100)
        assert card in (0, 100, 150)
        assert len({name[:1] for name in names}) <= 1 and len(names) in (0, 100, 150)
        assert rest == []

    writers = len(crowd.threads)
    for _ in range(2):
        crowd.repeat(write, wrote, rounds=150)
    busy = crowd.threads[writers:]
    for _ in range(3):
        crowd.repeat(read, check)
    crowd.finish(busy)
    assert wire("EXISTS", "left", "right") == 0
