"""HyperLogLogs: the same replies and the same bytes as redis-server, sparse and dense."""

from __future__ import annotations

import random

from wire import Error, Wire

CORRUPT = "INVALIDOBJ Corrupted HLL object detected"
NOT_HLL = "WRONGTYPE Key is not a valid HyperLogLog string value."


def same(client: Wire, reference: Wire, *args: object) -> object:
    ours, theirs = client(*args), reference(*args)
    assert ours == theirs, args
    return ours


def test_bytes_are_redis_own(client: Wire, reference: Wire):
    rng = random.Random(7)
    reference("FLUSHALL")
    for key, elements in [("a", 5), ("b", 1200), ("c", 30000)]:
        for start in range(0, elements, 400):
            batch = [rng.randrange(10**9) for _ in range(min(400, elements - start))]
            same(client, reference, "PFADD", key, *batch)
        same(client, reference, "GET", key)
        same(client, reference, "PFDEBUG", "ENCODING", key)
        same(client, reference, "PFCOUNT", key)
        same(client, reference, "GETRANGE", key, 8, 15)  # the cached count
    same(client, reference, "PFCOUNT", "a", "b", "c", "none")
    for into, *sources in [("d", "a", "b"), ("e", "a", "c"), ("a", "b"), ("f",)]:
        assert same(client, reference, "PFMERGE", into, *sources) == "OK"
        same(client, reference, "GET", into)
    same(client, reference, "PFDEBUG", "DECODE", "b")
    same(client, reference, "PFDEBUG", "GETREG", "d")
    same(client, reference, "PFDEBUG", "TODENSE", "f")
    same(client, reference, "PFDEBUG", "DECODE", "f")
    same(client, reference, "GET", "f")


def test_small_answers(client: Wire):
    assert client("PFADD", "h") == 1
    assert client("PFADD", "h") == 0
    assert client("PFADD", "h", "a", "b", "a") == 1
    assert client("PFADD", "h", "b") == 0
    assert client("PFCOUNT", "h") == 2
    assert client("PFCOUNT", "none") == 0
    assert client("OBJECT", "ENCODING", "h") == b"raw"


def test_cached_count(client: Wire):
    client("PFADD", "h", "a", "b", "c")
    assert client("GETRANGE", "h", 15, 15) == b"\x80"
    client("PFCOUNT", "h")
    assert client("GETRANGE", "h", 8, 15) == (3).to_bytes(8, "little")
    client("PFADD", "h", "a")
    assert client("GETRANGE", "h", 15, 15) == b"\x00"
    client("PFADD", "h", "1")
    assert client("GETRANGE", "h", 15, 15) == b"\x80"
    client("MULTI")
    client("PFADD", "h", "2")
    client("PFCOUNT", "h")
    assert client("EXEC") == [1, 5]


def test_what_is_none(client: Wire):
    client("SET", "s", "HYLL")
    client("SET", "i", "12")
    client("SADD", "l", "x")
    for key in "s", "i":
        for args in (
            ("PFADD", key, "x"),
            ("PFCOUNT", key),
            ("PFCOUNT", key, "none"),
            ("PFMERGE", "to", key),
            ("PFDEBUG", "GETREG", key),
        ):
            reply = client(*args)
            assert isinstance(reply, Error) and reply == NOT_HLL, args
    assert str(client("PFADD", "l", "x")).startswith("WRONGTYPE Operation against")
    assert client("PFDEBUG", "ENCODING", "none") == "ERR The specified key does not exist"


def test_made_up_values(client: Wire):
    client("PFADD", "h", "a", "b", "c")
    client("APPEND", "h", "hello")
    assert client("PFCOUNT", "h") == CORRUPT
    client("SET", "h", b"HYLL\x01" + b"\0" * 11 + b"\x41")
    assert client("PFCOUNT", "h") in (0, CORRUPT)
    assert client("PFADD", "h", "x") == CORRUPT
    client("SET", "h", b"HYLL\x01\0\0\0" + b"\xff" * 8 + b"\xff" * 60)
    assert client("PFMERGE", "to", "h") == CORRUPT
    client("SET", "h", b"HYLL\x00" + b"\0" * 12298)
    assert client("PFADD", "h", "x") == NOT_HLL


def test_selftest(client: Wire):
    assert client("PFSELFTEST") == "OK"
