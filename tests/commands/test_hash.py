"""The commands on hashes, in RESP2 and RESP3: replies, errors and edges as Redis 7.2, encodings, fields that expire as Redis 7.4."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from wire import OK, QUEUED, Error, Wire

Script = Callable[[str], None]
LIMIT = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"


def pairs(reply: object) -> dict[bytes, bytes]:
    """HGETALL's reply in either protocol."""
    if isinstance(reply, dict):
        return reply
    assert isinstance(reply, list)
    return dict(zip(reply[::2], reply[1::2], strict=True))


def test_storing_and_reading(script: Script) -> None:
    script(r"""
        HSET h a 1 b two -> 2
        HSET h b 2 c 3 -> 1
        HMSET h d 4 -> "OK"
        HSETNX h a 9 -> 0
        HSETNX h e 5 -> 1
        HGET h a -> b"1"
        HGET h none -> None
        HGET none a -> None
        HMGET h a none e -> [b"1", None, b"5"]
        HMGET none a b -> [None, None]
        HLEN h -> 5
        HSTRLEN h b -> 1
        HSTRLEN h none -> 0
        HEXISTS h a -> 1
        HEXISTS h none -> 0
        HKEYS h -> [b"a", b"b", b"c", b"d", b"e"]
        HVALS h -> [b"1", b"2", b"3", b"4", b"5"]
        HKEYS none -> []
        HDEL h a none b -> 2
        HDEL none a -> 0
        HDEL h c d e -> 3
        EXISTS h -> 0
        HSET h a -> ! ERR wrong number of arguments for 'hset' command
        HSET h a 1 b -> ! ERR wrong number of arguments for 'hset' command
        HMSET h a 1 b -> ! ERR wrong number of arguments for 'hmset' command
    """)


def test_numbers(script: Script) -> None:
    script(r"""
        HINCRBY h n 5 -> 5
        HINCRBY h n -7 -> -2
        HSET h text x big 9223372036854775807 space " 1" float 1.5 -> 4
        HINCRBY h text 1 -> ! ERR hash value is not an integer
        HINCRBY h space 1 -> ! ERR hash value is not an integer
        HINCRBY h float 1 -> ! ERR hash value is not an integer
        HINCRBY h big 1 -> ! ERR increment or decrement would overflow
        HINCRBY h n x -> ! ERR value is not an integer or out of range
        HINCRBYFLOAT h float 0.25 -> b"1.75"
        HINCRBYFLOAT h n 3.0e3 -> b"2998"
        HINCRBYFLOAT h new -0.1 -> b"-0.1"
        HINCRBYFLOAT h text 1 -> ! ERR hash value is not a float
        HINCRBYFLOAT h n x -> ! ERR value is not a valid float
        HINCRBYFLOAT h n inf -> ! ERR value is NaN or Infinity
        HGET h n -> b"2998"
    """)


def test_all_fields(client: Wire) -> None:
    assert pairs(client("HGETALL", "h")) == {}
    expected = {b"f%d" % i: b"v%d" % i for i in range(2000)}
    for n in (10, 2000):
        some = dict(list(expected.items())[:n])
        client("HSET", "h", *(w for item in some.items() for w in item))
        assert client("OBJECT", "ENCODING", "h") == (b"listpack" if n == 10 else b"hashtable")
        assert pairs(client("HGETALL", "h")) == some
        assert sorted(client("HKEYS", "h")) == sorted(some)
        assert sorted(client("HVALS", "h")) == sorted(some.values())


def test_encodings(client: Wire) -> None:
    client("HSET", "a", "f", "x" * 64)
    assert client("OBJECT", "ENCODING", "a") == b"listpack"
    client("HSET", "a", "f", "x" * 65)
    assert client("OBJECT", "ENCODING", "a") == b"hashtable"
    client("HSET", "a", "f", "x")
    assert client("OBJECT", "ENCODING", "a") == b"hashtable"
    for i in range(512):
        client("HSET", "b", i, i)
    assert client("OBJECT", "ENCODING", "b") == b"listpack"
    client("HINCRBY", "b", "one more", 1)
    assert client("OBJECT", "ENCODING", "b") == b"hashtable"
    assert client("HLEN", "b") == 513


@pytest.mark.parametrize("n", [100, 3000])
def test_scan_sees_every_field(client: Wire, n: int) -> None:
    expected = {b"f%d" % i: b"%d" % i for i in range(n)}
    client("HSET", "h", *(w for item in expected.items() for w in item))
    found: dict[bytes, bytes] = {}
    cursor = b"0"
    while True:
        cursor, items = client("HSCAN", "h", cursor, "COUNT", 7)
        found.update(pairs(items))
        if cursor == b"0":
            break
    assert found == expected
    cursor, items = client("HSCAN", "h", 0, "MATCH", "f1*", "COUNT", 100000)
    assert cursor == b"0"
    assert pairs(items) == {k: v for k, v in expected.items() if k.startswith(b"f1")}


def test_scan_errors(script: Script) -> None:
    script(r"""
        HSCAN none 0 -> [b"0", []]
        HSCAN none 0 COUNT x -> [b"0", []]
        HSCAN none x -> ! ERR invalid cursor
        HSET h a 1 -> 1
        HSCAN h 0 COUNT 0 -> ! ERR syntax error
        HSCAN h 0 COUNT 0 COUNT 5 -> ! ERR syntax error
        HSCAN h 0 COUNT x -> ! ERR value is not an integer or out of range
        HSCAN h 0 FOO -> ! ERR syntax error
    """)


@pytest.mark.parametrize("n", [20, 5000])
def test_random_fields(client: Wire, n: int) -> None:
    expected = {b"f%d" % i: b"%d" % i for i in range(n)}
    client("HSET", "h", *(w for item in expected.items() for w in item))
    assert client("HRANDFIELD", "h") in expected
    for count in (1, 5, n // 2, n, n + 10):
        got = client("HRANDFIELD", "h", count)
        assert len(got) == len(set(got)) == min(count, n)
        assert set(got) <= set(expected)
    got = client("HRANDFIELD", "h", -3 * n)
    assert len(got) == 3 * n and set(got) <= set(expected)
    with_values = client("HRANDFIELD", "h", 10, "WITHVALUES")
    found = dict(with_values) if client.resp == 3 else pairs(with_values)
    assert len(found) == 10 and found.items() <= expected.items()


def test_random_field_errors(script: Script) -> None:
    script(rf"""
        HRANDFIELD none -> None
        HRANDFIELD none 5 -> []
        HSET h a 1 -> 1
        HRANDFIELD h 0 -> []
        HRANDFIELD h x -> ! {LIMIT.replace(LIMIT, "ERR value is not an integer or out of range")}
        HRANDFIELD h -9223372036854775808 -> ! {LIMIT}
        HRANDFIELD h -9223372036854775807 WITHVALUES -> ! ERR value is out of range
        HRANDFIELD h 1 FOO -> ! ERR syntax error
        HRANDFIELD h 1 WITHVALUES x -> ! ERR syntax error
    """)


def test_wrong_type(client: Wire) -> None:
    client("SET", "s", "text")
    for command in ("HSET s f v", "HMSET s f v", "HSETNX s f v", "HGET s f", "HMGET s f", "HDEL s f", "HLEN s", "HSTRLEN s f", "HEXISTS s f",
                    "HKEYS s", "HVALS s", "HGETALL s", "HINCRBY s f 1", "HINCRBYFLOAT s f 1", "HSCAN s 0", "HRANDFIELD s", "HRANDFIELD s 1",
                    "HEXPIRE s 1 FIELDS 1 f", "HTTL s FIELDS 1 f", "HPERSIST s FIELDS 1 f"):  # fmt: skip
        reply = client(*command.split())
        assert isinstance(reply, Error) and reply.code == "WRONGTYPE", command


# ---- fields that expire ----


def test_times(script: Script) -> None:
    script(r"""
        HSET h a 1 b 2 c 3 -> 3
        HEXPIRE h 1000 FIELDS 2 a none -> [1, -2]
        HTTL h FIELDS 3 a b none -> [1000, -1, -2]
        OBJECT ENCODING h -> b"listpackex"
        HEXPIRE h 1000 XX FIELDS 2 a b -> [1, 0]
        HEXPIRE h 2000 NX FIELDS 2 a b -> [0, 1]
        HEXPIRE h 500 GT FIELDS 3 a b c -> [0, 0, 0]
        HEXPIRE h 500 lt FIELDS 3 a b c -> [1, 1, 1]
        HPEXPIREAT h 4102444800123 FIELDS 1 a -> [1]
        HPEXPIRETIME h FIELDS 1 a -> [4102444800123]
        HEXPIRETIME h FIELDS 1 a -> [4102444801]
        HPERSIST h FIELDS 3 a a none -> [1, -1, -2]
        HSET h b 4 -> 0
        HTTL h FIELDS 1 b -> [-1]
        HINCRBY h c 1 -> 4
        HTTL h FIELDS 1 c -> [500]
        HEXPIREAT h 1 FIELDS 2 a c -> [2, 2]
        HKEYS h -> [b"b"]
        HEXPIRE h 0 FIELDS 1 b -> [2]
        EXISTS h -> 0
        HEXPIRE none 1 FIELDS 2 a b -> [-2, -2]
        HTTL none FIELDS 1 a -> [-2]
        HPERSIST none FIELDS 1 a -> [-2]
        HSET h a 1 -> 1
        HEXPIRE h -1 FIELDS 1 a -> ! ERR invalid expire time, must be >= 0
        HEXPIRE h 9223372036854775807 FIELDS 1 a -> ! ERR invalid expire time in 'hexpire' command
        HEXPIRE h 1 FIELDS 2 a -> ! ERR The `numfields` parameter must match the number of arguments
        HEXPIRE h 1 FOO 1 a -> ! ERR Mandatory argument FIELDS is missing or not at the right position
        HEXPIRE h 1 FIELDS 0 a -> ! ERR Parameter `numFields` should be greater than 0
        HTTL h FIELDS 0 a -> ! ERR Number of fields must be a positive integer
    """)


@pytest.mark.parametrize("n", [5, 1000])
def test_expired_fields_are_gone(client: Wire, n: int) -> None:
    fields = [f"f{i}" for i in range(n)]
    client("HSET", "h", *(w for f in fields for w in (f, "v")))
    assert client("HPEXPIRE", "h", 30, "FIELDS", n - 2, *fields[2:]) == [1] * (n - 2)
    assert client("HPEXPIRE", "h", 100000, "FIELDS", 1, fields[1]) == [1]
    time.sleep(0.04)
    assert client("HGET", "h", fields[2]) is None
    assert client("HMGET", "h", *fields[:3]) == [b"v", b"v", None]
    assert sorted(client("HKEYS", "h")) == [b"f0", b"f1"]
    assert pairs(client("HGETALL", "h")) == {b"f0": b"v", b"f1": b"v"}
    assert pairs(client("HSCAN", "h", 0, "COUNT", 100000)[1]) == {b"f0": b"v", b"f1": b"v"}
    assert sorted(client("HRANDFIELD", "h", 10)) == [b"f0", b"f1"]
    assert client("HEXISTS", "h", fields[2]) == 0
    assert client("HDEL", "h", fields[3]) == 0
    assert client("HSET", "h", fields[4], "new") == 1
    assert client("HINCRBY", "h", fields[2], 1) == 1
    assert client("HTTL", "h", "FIELDS", 2, fields[2], fields[4]) == [-1, -1]
    deadline = time.monotonic() + 10
    while client("HLEN", "h") != 4:  # a large hash is left to the active expiry
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert sorted(client("HKEYS", "h")) == [b"f0", b"f1", b"f2", b"f4"]


def test_the_last_field_takes_the_key_with_it(client: Wire) -> None:
    client("HSET", "h", "a", 1, "b", 2)
    client("HSET", "other", "a", 1)
    assert client("HPEXPIRE", "h", 20, "FIELDS", 2, "a", "b") == [1, 1]
    assert client("RENAME", "h", "h2") == OK
    assert client("COPY", "h2", "h3") == 1
    deadline = time.monotonic() + 10
    while client("DBSIZE") != 1:  # nobody looks at them
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert client("HSET", "h2", "c", 3) == 1


def test_watchers_see_fields_expire(client: Wire, server: object) -> None:
    client("HSET", "h", "a", 1, "b", 2)
    assert client("HPEXPIRE", "h", 20, "FIELDS", 1, "a") == [1]
    assert client("WATCH", "h") == OK
    deadline = time.monotonic() + 10
    while client("HLEN", "h") != 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert client("MULTI") == OK
    assert client("PING") == QUEUED
    assert client("EXEC") is None


def test_fields_with_a_time_at_once(script: Script) -> None:
    script(r"""
        HSETEX h FIELDS 1 a 1 -> 1
        HSETEX h FNX FIELDS 2 a 2 b 2 -> 0
        HSETEX h FXX FIELDS 2 a 2 b 2 -> 0
        HSETEX h FXX PXAT 2000000000000 FIELDS 1 a 3 -> 1
        HPEXPIRETIME h FIELDS 1 a -> [2000000000000]
        HSETEX h KEEPTTL FIELDS 1 a 4 -> 1
        HPEXPIRETIME h FIELDS 1 a -> [2000000000000]
        HSETEX h EXAT 2000000001 FNX FIELDS 2 x 1 y 2 -> 1
        HEXPIRETIME h FIELDS 2 x y -> [2000000001, 2000000001]
        HSETEX h FIELDS 1 a 5 -> 1
        HTTL h FIELDS 1 a -> [-1]
        HMGET h a x y -> [b"5", b"1", b"2"]
        HSETEX h EX 100 PX 5 FIELDS 1 a 5 -> ! ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified
        HSETEX h EX 100 KEEPTTL FIELDS 1 a 5 -> ! ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified
        HSETEX h FNX FXX FIELDS 1 a 5 -> ! ERR Only one of FXX or FNX arguments can be specified
        HSETEX h foo FIELDS 1 a 5 -> ! ERR unknown argument: foo
        HSETEX h FIELDS 2 a 5 -> ! ERR wrong number of arguments for 'hsetex' command
        HSETEX h FIELDS 1 a 5 b 6 -> ! ERR wrong number of arguments for 'hsetex' command
        HSETEX h FIELDS 0 a 5 -> ! ERR invalid number of fields
        HSETEX h EX x FIELDS 1 a 5 -> ! ERR value is not an integer or out of range
        HSETEX h EX -1 FIELDS 1 a 5 -> ! ERR invalid expire time, must be >= 0
        HSETEX h EX 9223372036854775807 FIELDS 1 a 5 -> ! ERR invalid expire time in 'hsetex' command
        HSETEX h PXAT 1 FIELDS 2 a 5 none 6 -> 1
        HKEYS h -> [b"x", b"y"]
        HSETEX h PXAT 1 FIELDS 2 x 5 y 6 -> 1
        EXISTS h -> 0
        HSETEX none FXX FIELDS 1 a 5 -> 0
        HSETEX none PX 0 FIELDS 1 a 5 -> 1
        EXISTS none -> 0
        SET s 1 -> "OK"
        HSETEX s FIELDS 1 a 5 -> ! WRONGTYPE Operation against a key holding the wrong kind of value
    """)
