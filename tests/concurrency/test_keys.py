"""Many clients on the same keys: every command is atomic, whichever worker runs it, and however many stripes it needs."""

from __future__ import annotations

import random
from typing import Any

import pytest
from crowd import Crowd
from wire import Wire


def all_integers(replies: list[Any]) -> None:
    assert all(isinstance(reply, int) for reply in replies), replies


def test_counters_lose_nothing(wire: Wire, crowd: Crowd) -> None:
    keys = [f"counter:{i}" for i in range(5)]
    for client in range(6):
        rnd = random.Random(client)
        crowd.repeat(lambda n, rnd=rnd: [("INCR", rnd.choice(keys)) for _ in range(100)], all_integers, rounds=60)
    crowd.finish(crowd.threads)
    assert sum(map(int, wire("MGET", *keys))) == 6 * 60 * 100


@pytest.mark.parametrize("sizes", [(8, 60), (40, 300), (100, 20000), (8000, 9000)], ids=["small", "around embstr", "up to long", "inline or not"])
def test_mset_is_never_seen_half(wire: Wire, crowd: Crowd, sizes: tuple[int, int]) -> None:
    keys = [f"k:{i}" for i in range(8)]
    wire("MSET", *[part for key in keys for part in (key, b"start")])

    def write(n: int, client: int) -> list[tuple[Any, ...]]:
        value = bytes([97 + (n + client) % 26]) * random.randint(*sizes)
        order = random.sample(keys, len(keys))
        return [("MSET", *[part for key in order for part in (key, value)])]

    def check(replies: list[Any]) -> None:
        for values in replies:
            assert len(set(values)) == 1 and len(set(values[0])) <= (5 if values[0] == b"start" else 1), values

    for client in range(3):
        crowd.repeat(lambda n, client=client: write(n, client), lambda replies: None, rounds=400)
    busy = list(crowd.threads)
    for _ in range(2):
        crowd.repeat(lambda n: [("MGET", *keys)] * 5, check)
    crowd.finish(busy)


def test_values_are_never_torn_without_the_lock(wire: Wire, crowd: Crowd) -> None:
    """GET may read while another worker overwrites in place, moves or frees the value."""

    def write(n: int) -> list[tuple[Any, ...]]:
        size = random.choice([1, 5, 30, 60, 61, 200, 5000, 9000, 40000])
        return [("SET", "k", bytes([97 + random.randrange(26)]) * size), ("DEL", "k")] if n % 7 == 0 else [
            ("SET", "k", bytes([97 + random.randrange(26)]) * size) for _ in range(5)
        ]

    def check(replies: list[Any]) -> None:
        assert all(reply is None or len(set(reply)) == 1 for reply in replies)

    for _ in range(2):
        crowd.repeat(write, lambda replies: None, rounds=500)
    busy = list(crowd.threads)
    for _ in range(2):
        crowd.repeat(lambda n: [("GET", "k")] * 20, check)
    crowd.finish(busy)


def test_setnx_excludes(wire: Wire, crowd: Crowd) -> None:
    rounds, clients = 40, 4

    def work(mine: Wire) -> None:
        for _ in range(rounds):
            while mine("SETNX", "lock", "held") == 0:
                pass
            value = int(mine("GET", "plain") or 0)
            mine("SET", "plain", value + 1)
            assert mine("DEL", "lock") == 1

    for _ in range(clients):
        crowd.run(work)
    crowd.finish(crowd.threads)
    assert wire("GET", "plain") == b"%d" % (rounds * clients)


def test_append_keeps_every_record_whole(wire: Wire, crowd: Crowd) -> None:
    for client in range(4):
        crowd.repeat(lambda n, client=client: [("APPEND", "log", b"<%d:%06d>" % (client, n * 20 + i)) for i in range(20)], all_integers, rounds=50)
    crowd.finish(crowd.threads)
    records = wire("GET", "log")[1:-1].split(b"><")
    assert len(records) == 4 * 50 * 20
    for client in range(4):
        assert [r for r in records if r.startswith(b"%d:" % client)] == [b"%d:%06d" % (client, i) for i in range(1000)]


def test_renamed_key_is_always_in_one_place(wire: Wire, crowd: Crowd) -> None:
    places = [f"place:{i}" for i in range(10)]
    wire("SET", places[0], "token")

    def check(replies: list[Any]) -> None:
        for values in replies:
            assert values.count(b"token") == 1 and values.count(None) == 9, values

    for _ in range(3):
        crowd.repeat(lambda n: [(random.choice(["RENAME", "RENAMENX"]), *random.sample(places, 2)) for _ in range(50)], lambda r: None, rounds=60)
    busy = list(crowd.threads)
    crowd.repeat(lambda n: [("MGET", *places)] * 10, check)
    crowd.finish(busy)


def test_copy_and_bitop_see_whole_values(wire: Wire, crowd: Crowd) -> None:
    wire("SET", "source", b"a" * 1000)

    def check(replies: list[Any]) -> None:
        for reply in replies:
            assert not isinstance(reply, bytes) or len(set(reply)) == 1

    for _ in range(2):
        crowd.repeat(lambda n: [("SET", "source", bytes([97 + random.randrange(26)]) * random.choice([1000, 9000]))], check, rounds=500)
    busy = list(crowd.threads)
    crowd.repeat(lambda n: [("COPY", "source", "copy", "REPLACE"), ("GET", "copy"), ("BITOP", "NOT", "not", "source"), ("GET", "not")] * 3, check)
    crowd.finish(busy)


def test_transfers_keep_the_sum(wire: Wire, crowd: Crowd) -> None:
    accounts = [f"account:{i}" for i in range(12)]
    wire("MSET", *[part for account in accounts for part in (account, 1000)])

    def transfer(n: int) -> list[tuple[Any, ...]]:
        a, b = random.sample(accounts, 2)
        amount = random.randint(1, 50)
        return [("MULTI",), ("DECRBY", a, amount), ("INCRBY", b, amount), ("EXEC",)] * 10

    def check(replies: list[Any]) -> None:
        for values in replies:
            assert sum(map(int, values)) == 12000, values

    for _ in range(3):
        crowd.repeat(transfer, lambda replies: None, rounds=80)
    busy = list(crowd.threads)
    crowd.repeat(lambda n: [("MGET", *accounts)] * 10, check)
    crowd.finish(busy)


def test_watch_detects_every_change(wire: Wire, crowd: Crowd) -> None:
    """Compare and set by WATCH: each success raises the number by one, so none may be lost."""
    rounds, clients = 40, 4

    def work(mine: Wire) -> None:
        done = 0
        while done < rounds:
            mine("WATCH", "n")
            value = int(mine("GET", "n") or 0)
            mine("MULTI")
            mine("SET", "n", value + 1)
            done += mine("EXEC") is not None

    for _ in range(clients):
        crowd.run(work)
    crowd.finish(crowd.threads)
    assert wire("GET", "n") == b"%d" % (rounds * clients)


def test_scan_and_keys_see_what_stays(wire: Wire, crowd: Crowd) -> None:
    stay = {b"stay:%d" % i for i in range(1000)}
    wire("MSET", *[part for key in stay for part in (key, b"v")])

    def churn(n: int, client: int) -> list[tuple[Any, ...]]:
        names = [b"come:%d:%d" % (client, i) for i in range(500)]
        return [("MSET", *[part for name in names for part in (name, b"v")]), ("DEL", *names)]

    def walk(mine: Wire) -> None:
        for _ in range(4):
            seen: set[bytes] = set()
            cursor: Any = b"0"
            while True:
                cursor, part = mine("SCAN", cursor, "COUNT", 100)
                seen.update(part)
                if cursor == b"0":
                    break
            assert stay <= seen
            assert stay <= set(mine("KEYS", "*")) and len(mine("KEYS", "stay:*")) == 1000

    crowd.run(walk)
    busy = list(crowd.threads)
    for client in range(2):
        crowd.repeat(lambda n, client=client: churn(n, client), lambda replies: None)
    crowd.finish(busy)


def test_swapdb_changes_all_keys_at_once(wire: Wire, crowd: Crowd) -> None:
    keys = [f"k:{i}" for i in range(10)]
    for db in (0, 1):
        wire("SELECT", db)
        wire("MSET", *[part for key in keys for part in (key, db)])

    def check(replies: list[Any]) -> None:
        for reply in replies:
            assert reply == "OK" or len(set(reply)) == 1, reply

    crowd.repeat(lambda n: [("SWAPDB", 0, 1)] * 5, check, rounds=100)
    busy = list(crowd.threads)
    for _ in range(2):
        crowd.repeat(lambda n: [("MGET", *keys)] * 10, check)
    crowd.finish(busy)


def test_flush_leaves_a_sound_table(wire: Wire, crowd: Crowd) -> None:
    for client in range(2):
        crowd.repeat(
            lambda n, client=client: [("SET", f"k:{client}:{n}:{i}", "v" * (i * 40), *(["EX", 100] if i % 3 else [])) for i in range(100)],
            lambda replies: None,
            rounds=60,
        )
    busy = list(crowd.threads)
    crowd.repeat(lambda n: [("FLUSHALL",), ("DBSIZE",), ("RANDOMKEY",)], lambda replies: None)
    crowd.finish(busy)
    assert wire("DBSIZE") == len(wire("KEYS", "*"))
    assert wire("FLUSHALL") == "OK"
    assert wire("DBSIZE") == 0 and wire("KEYS", "*") == []
