"""DUMP and RESTORE: payloads of every type and encoding go both ways between Shoal and redis-server; bad ones are refused."""

from __future__ import annotations

import random
import time

import pytest
from wire import Error, Wire

BAD = "ERR DUMP payload version or checksum are wrong"
FORMAT = "ERR Bad data format"


def long_list(n: int, size: int) -> list[str]:
    return [f"element-{i}-" + "x" * size for i in range(n)]


# key, commands that make the value, the command that shows all of it
VALUES: dict[str, tuple[list[list[object]], list[object]]] = {
    "int": ([["SET", "int", 12345]], ["GET", "int"]),
    "bigint": ([["SET", "bigint", -9223372036854775808]], ["GET", "bigint"]),
    "int8": ([["SET", "int8", -7]], ["GET", "int8"]),
    "int16": ([["SET", "int16", 30000]], ["GET", "int16"]),
    "embstr": ([["SET", "embstr", b"\x00\xffbinary"]], ["GET", "embstr"]),
    "empty": ([["SET", "empty", ""]], ["GET", "empty"]),
    "raw": ([["SET", "raw", "ab" * 100]], ["GET", "raw"]),
    "long": ([["SET", "long", "some text " * 5000]], ["GET", "long"]),
    "noise": ([["SET", "noise", random.Random(1).randbytes(70000)]], ["GET", "noise"]),
    "hll": ([["PFADD", "hll", *range(1000)]], ["GET", "hll"]),
    "smalllist": ([["RPUSH", "smalllist", 1, 2, "three", -4, "", 1 << 40]], ["LRANGE", "smalllist", 0, -1]),
    "list": ([["RPUSH", "list", *long_list(500, 50)], ["LPUSH", "list", *range(2000)]], ["LRANGE", "list", 0, -1]),
    "biglist": ([["RPUSH", "biglist", "y" * 20000, "z", "w" * 9000]], ["LRANGE", "biglist", 0, -1]),
    "intset": ([["SADD", "intset", 5, 1, -70000, 1 << 40]], ["SMEMBERS", "intset"]),
    "smallset": ([["SADD", "smallset", "a", "b", 17, ""]], ["SMEMBERS", "smallset"]),
    "set": ([["SADD", "set", *long_list(300, 5), *range(100)]], ["SMEMBERS", "set"]),
    "longset": ([["SADD", "longset", "m" * 300, "n"]], ["SMEMBERS", "longset"]),
    "smallzset": (
        [["ZADD", "smallzset", 1, "a", 1.5, "b", "-inf", "c", 1e20, "d", 7, "12"]],
        ["ZRANGE", "smallzset", 0, -1, "WITHSCORES"],
    ),
    "zset": (
        [["ZADD", "zset", *[x for i in range(500) for x in (i / 8, f"m{i}")]], ["ZADD", "zset", "inf", "last"]],
        ["ZRANGE", "zset", 0, -1, "WITHSCORES"],
    ),
    "smallhash": ([["HSET", "smallhash", "f", "v", "n", 12, "", "", "x", "y" * 60]], ["HGETALL", "smallhash"]),
    "hash": ([["HSET", "hash", *[x for i in range(700) for x in (f"f{i}", i)]]], ["HGETALL", "hash"]),
    "longhash": ([["HSET", "longhash", "f" * 300, "v" * 700, "g", "h"]], ["HGETALL", "longhash"]),
    "stream": (
        [
            *[["XADD", "stream", f"{i}-{i}", "field", i, "other", f"text{i}"] for i in range(1, 350)],
            ["XADD", "stream", "1000-1", "different", "fields"],
            ["XDEL", "stream", "5-5", "200-200"],
            ["XGROUP", "CREATE", "stream", "group", "0"],
            ["XGROUP", "CREATE", "stream", "unread", "$"],
            ["XREADGROUP", "GROUP", "group", "alice", "COUNT", 40, "STREAMS", "stream", ">"],
            ["XREADGROUP", "GROUP", "group", "bob", "COUNT", 7, "STREAMS", "stream", ">"],
            ["XACK", "stream", "group", "1-1", "44-44"],
        ],
        ["XRANGE", "stream", "-", "+"],
    ),
}  # fmt: skip


NEWER = ("smallset", "smalllist", "biglist")  # Redis 7.2 keeps these otherwise than 7.0


def order(value: object) -> object:
    """Sets and hashes have no order of their own."""
    if isinstance(value, dict):
        return sorted(value.items(), key=repr)
    return sorted(value, key=repr) if isinstance(value, (list, set)) else value


def fill(wire: Wire, name: str) -> object:
    commands, show = VALUES[name]
    for command in commands:
        reply = wire(*command)
        assert not isinstance(reply, Error), (command[:2], reply)
    return order(wire(*show))


@pytest.mark.parametrize("name", VALUES)
def test_exchange(client: Wire, reference: Wire, name: str):
    reference("FLUSHALL")
    show = VALUES[name][1]
    value = fill(client, name)
    payload = client("DUMP", name)
    assert reference("RESTORE", name, 0, payload) == "OK"
    assert order(reference(*show)) == value
    theirs = reference("DUMP", name)
    assert client("RESTORE", name, 0, theirs, "REPLACE") == "OK"
    assert order(client(*show)) == value
    if name == "stream":
        for args in (["XINFO", "GROUPS", "stream"], ["XPENDING", "stream", "group"], ["XLEN", "stream"]):
            assert client(*args) == reference(*args)
        ours = client("XPENDING", "stream", "group", "-", "+", 100)
        assert [x[:2] + x[3:] for x in ours] == [x[:2] + x[3:] for x in reference("XPENDING", "stream", "group", "-", "+", 100)]
        return
    assert client("OBJECT", "ENCODING", name) == reference("OBJECT", "ENCODING", name) or name in NEWER


def test_round_trip_of_fields_that_expire(client: Wire):
    client("HSET", "h", *[x for i in range(5) for x in (f"f{i}", "v")])
    client("HPEXPIRE", "h", 100000, "FIELDS", 2, "f1", "f3")
    client("HSET", "big", *[x for i in range(800) for x in (f"f{i}", "v" * 70)])
    client("HPEXPIRE", "big", 200000, "FIELDS", 2, "f1", "f3")
    for key in "h", "big":
        before = client("HPEXPIRETIME", key, "FIELDS", 3, "f1", "f2", "f3")
        payload = client("DUMP", key)
        value = order(client("HGETALL", key))
        assert client("RESTORE", key, 0, payload, "REPLACE") == "OK"
        assert client("HPEXPIRETIME", key, "FIELDS", 3, "f1", "f2", "f3") == before
        assert order(client("HGETALL", key)) == value


def test_options(client: Wire):
    client("SET", "k", "v")
    payload = client("DUMP", "k")
    assert client("DUMP", "none") is None
    assert client("RESTORE", "k", 0, payload) == "BUSYKEY Target key name already exists."
    assert client("RESTORE", "k", 0, payload, "REPLACE") == "OK"
    assert client("TTL", "k") == -1
    assert client("RESTORE", "t", 5000, payload) == "OK"
    assert 4000 < client("PTTL", "t") <= 5000
    later = int(time.time() * 1000) + 90000
    assert client("RESTORE", "a", later, payload, "ABSTTL") == "OK"
    assert client("PEXPIRETIME", "a") == later
    assert client("RESTORE", "k", 1, payload, "ABSTTL", "REPLACE") == "OK"
    assert client("EXISTS", "k") == 0
    assert client("RESTORE", "i", 0, payload, "IDLETIME", 1000) == "OK"
    assert client("OBJECT", "IDLETIME", "i") >= 1000
    for args, error in [
        ((-1, payload), "ERR Invalid TTL value, must be >= 0"),
        (("x", payload), "ERR value is not an integer or out of range"),
        ((0, payload, "IDLETIME", -1), "ERR Invalid IDLETIME value, must be >= 0"),
        ((0, payload, "FREQ", 256), "ERR Invalid FREQ value, must be >= 0 and <= 255"),
        ((0, payload, "FREQ", 1, "IDLETIME", 1), "ERR syntax error"),
        ((0, payload, "NONSENSE"), "ERR syntax error"),
        ((0, b""), BAD),
        ((0, payload[:-1]), BAD),
        ((0, payload[:3] + b"?" + payload[4:]), BAD),
        ((0, b"...some garbage..."), BAD),
    ]:
        reply = client("RESTORE", "new", *args)
        assert isinstance(reply, Error) and reply == error, args


def crc64(data: bytes) -> int:
    crc = 0
    for byte in data:
        for bit in range(8):
            carry = (crc >> 63) ^ (byte >> bit & 1)
            crc = (crc << 1 & (1 << 64) - 1) ^ (0xAD93D23594C935A9 if carry else 0)
    return int(f"{crc:064b}"[::-1], 2)


def test_damaged_payloads_are_refused_or_harmless(client: Wire):
    """Payloads with a right checksum and wrong contents."""
    rng = random.Random(3)
    names = ["smalllist", "intset", "smallzset", "smallhash", "embstr", "smallset"]
    for name in names:
        fill(client, name)
    client("XADD", "stream", "1-1", "a", "b")
    client("XGROUP", "CREATE", "stream", "g", "0")
    client("XREADGROUP", "GROUP", "g", "c", "STREAMS", "stream", ">")
    show = {name: VALUES[name][1] for name in names} | {"stream": ["XINFO", "STREAM", "stream", "FULL"]}
    for name, command in show.items():
        payload = client("DUMP", name)
        for _ in range(150):
            body = bytearray(payload[:-8])
            for _ in range(rng.randrange(1, 4)):
                body[rng.randrange(len(body) - 2)] = rng.randrange(256)
            reply = client("RESTORE", name, 0, bytes(body) + crc64(body).to_bytes(8, "little"), "REPLACE")
            assert reply in ("OK", FORMAT), (name, reply)
            client(*command)
        client("DEL", name)
    assert client("PING") == "PONG"


def text(s: bytes) -> bytes:
    return bytes([len(s)]) + s


def valkey_hash(fields: list[tuple[bytes, bytes, int]]) -> bytearray:
    """A payload of Valkey 9: type 22, in which each field has its time (-1 none) behind its value; version 80."""
    body = bytearray(b"\x16") + bytes([len(fields)])
    for field, value, ms in fields:
        body += text(field) + text(value) + ms.to_bytes(8, "little", signed=True)
    return body + (80).to_bytes(2, "little")


def test_hashes_of_valkey_with_times(client: Wire) -> None:
    def restore(body: bytes) -> object:
        return client("RESTORE", "v", 0, bytes(body) + crc64(body).to_bytes(8, "little"), "REPLACE")

    body = valkey_hash([(b"a", b"1", -1), (b"b", b"two", 2_000_000_000_000), (b"c", b"3", -1)])
    assert restore(body) == "OK"
    assert client("HPEXPIRETIME", "v", "FIELDS", 3, "a", "b", "c") == [-1, 2_000_000_000_000, -1]
    assert client("HMGET", "v", "a", "b", "c") == [b"1", b"two", b"3"]
    assert restore(valkey_hash([(b"a", b"1", -2)])) == Error(FORMAT)
    assert restore(valkey_hash([(b"a", b"1", -1), (b"a", b"2", -1)])) == Error(FORMAT)
    assert restore(valkey_hash([(b"a", b"1", 1 << 60)])) == Error(FORMAT)
    as_redis = body[:-2] + (12).to_bytes(2, "little")  # there 22 is a form of before the release of 7.4
    assert restore(as_redis) == Error(FORMAT)
    assert restore(body[:-2] + (79).to_bytes(2, "little")) == Error(BAD)
    rnd = random.Random(7)
    for _ in range(300):
        broken = bytearray(body)
        for _ in range(rnd.randint(1, 3)):
            broken[rnd.randrange(1, len(body) - 2)] = rnd.randrange(256)
        assert restore(broken[: rnd.randint(3, len(broken) - 2)] + body[-2:]) in ("OK", Error(FORMAT))
    assert client("PING") == "PONG"
