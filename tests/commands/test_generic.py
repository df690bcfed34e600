"""Keys of any type: deleting, renaming, copying, expiring, walking, databases, OBJECT, DEBUG."""

from __future__ import annotations

import time
from typing import Any

import pytest
from wire import Status, Wire

NOT_INT = "ERR value is not an integer or out of range"
BAD_DB = "ERR DB index is out of range"


def scan(client: Wire, *options: str | int) -> list[bytes]:
    """A whole SCAN; the same key may come twice."""
    keys, cursor = [], b"0"
    while True:
        cursor, part = client("SCAN", cursor, *options)
        keys += part
        if cursor == b"0":
            return keys


def test_del_exists_touch_type(script):
    script(
        """
        MSET a 1 b 2 c 3 -> "OK"
        EXISTS a b none a -> 3
        TOUCH a b none -> 2
        DEL a none a -> 1
        UNLINK b c -> 2
        EXISTS a b c -> 0
        TYPE none -> "none"
        SET s x -> "OK"
        TYPE s -> "string"
        DEL -> ! ERR wrong number of arguments for 'del' command
        """
    )


def test_type_is_a_status(client: Wire):
    assert client("TYPE", "none") == Status("none")


def test_rename(script):
    script(
        """
        RENAME none x -> ! ERR no such key
        RENAME none none -> ! ERR no such key
        SET a 1 EX 100 -> "OK"
        SET b 2 -> "OK"
        RENAME a b -> "OK"
        GET b -> b"1"
        TTL b -> 100
        EXISTS a -> 0
        RENAME b b -> "OK"
        RENAMENX b b -> 0
        SET a 3 -> "OK"
        RENAMENX a b -> 0
        RENAMENX a z -> 1
        GET z -> b"3"
        TTL z -> -1
        RENAMENX none z -> ! ERR no such key
        """
    )


@pytest.mark.parametrize("size", [1, 44, 45, 300, 8192, 8193, 100000])
def test_rename_copy_move_keep_the_value(client: Wire, size: int):
    value = bytes(i * 7 % 251 for i in range(size))
    client("SET", "a", value)
    client("APPEND", "a", "!")
    encoding = client("OBJECT", "ENCODING", "a")
    assert client("RENAME", "a", "a longer name than before, to change the size") == "OK"
    assert client("COPY", "a longer name than before, to change the size", "b") == 1
    assert client("MOVE", "b", 5) == 1
    client("SELECT", 5)
    assert client("GET", "b") == value + b"!"
    assert client("OBJECT", "ENCODING", "b") == encoding
    client("SELECT", 0)
    assert client("DBSIZE") == 1
    assert client("GET", "a longer name than before, to change the size") == value + b"!"


def test_copy(script):
    script(
        f"""
        COPY none b -> 0
        SET a 1 EX 100 -> "OK"
        COPY a a -> ! ERR source and destination objects are the same
        COPY a b -> 1
        TTL b -> 100
        COPY a b -> 0
        SET a new -> "OK"
        COPY a b REPLACE -> 1
        GET b -> b"new"
        TTL b -> -1
        APPEND b er -> 5
        GET a -> b"new"
        COPY a a DB 3 -> 1
        COPY a a DB 3 -> 0
        COPY a a DB 3 REPLACE -> 1
        COPY a b DB x -> ! {NOT_INT}
        COPY a b DB 16 -> ! {BAD_DB}
        COPY a b DB -1 -> ! {BAD_DB}
        COPY a b FOO -> ! ERR syntax error
        COPY a b DB -> ! ERR syntax error
        SELECT 3 -> "OK"
        GET a -> b"new"
        SELECT 0 -> "OK"
        """
    )


def test_move(script):
    script(
        f"""
        MOVE none 1 -> 0
        SET a 1 EX 100 -> "OK"
        MOVE a 0 -> ! ERR source and destination objects are the same
        MOVE a x -> ! {NOT_INT}
        MOVE a 16 -> ! {BAD_DB}
        MOVE a 1 -> 1
        EXISTS a -> 0
        SET a 2 -> "OK"
        MOVE a 1 -> 0
        SELECT 1 -> "OK"
        GET a -> b"1"
        TTL a -> 100
        SELECT 0 -> "OK"
        """
    )


def test_swapdb_and_flush(script):
    script(
        f"""
        SET a zero -> "OK"
        SELECT 1 -> "OK"
        SET a one -> "OK"
        SWAPDB 0 1 -> "OK"
        GET a -> b"zero"
        SWAPDB 1 1 -> "OK"
        GET a -> b"zero"
        SWAPDB 0 7 -> "OK"
        SELECT 7 -> "OK"
        GET a -> b"one"
        SWAPDB x 1 -> ! ERR invalid first DB index
        SWAPDB 1 x -> ! ERR invalid second DB index
        SWAPDB 0 16 -> ! {BAD_DB}
        SWAPDB -1 0 -> ! {BAD_DB}
        FLUSHDB -> "OK"
        DBSIZE -> 0
        FLUSHDB FOO -> ! ERR syntax error
        FLUSHALL SYNC ASYNC -> ! ERR syntax error
        SELECT 1 -> "OK"
        DBSIZE -> 1
        FLUSHALL ASYNC -> "OK"
        DBSIZE -> 0
        FLUSHALL SYNC -> "OK"
        SELECT 0 -> "OK"
        """
    )


# ---- times to live ----


def test_expire_and_ttl(script):
    script(
        """
        EXPIRE none 10 -> 0
        TTL none -> -2
        PTTL none -> -2
        EXPIRETIME none -> -2
        PEXPIRETIME none -> -2
        PERSIST none -> 0
        SET k v -> "OK"
        TTL k -> -1
        PTTL k -> -1
        EXPIRETIME k -> -1
        PERSIST k -> 0
        EXPIRE k 100 -> 1
        TTL k -> 100
        PEXPIRE k 200000 -> 1
        TTL k -> 200
        EXPIREAT k 4102444800 -> 1
        EXPIRETIME k -> 4102444800
        PEXPIRETIME k -> 4102444800000
        PEXPIREAT k 4102444800999 -> 1
        EXPIRETIME k -> 4102444801
        PEXPIRETIME k -> 4102444800999
        PERSIST k -> 1
        TTL k -> -1
        """
    )


def test_expire_conditions(script):
    script(
        """
        SET k v -> "OK"
        EXPIRE k 100 XX -> 0
        EXPIRE k 100 GT -> 0
        EXPIRE k 100 NX -> 1
        EXPIRE k 200 NX -> 0
        EXPIRE k 50 GT -> 0
        EXPIRE k 200 gt -> 1
        EXPIRE k 300 LT -> 0
        EXPIRE k 150 LT XX -> 1
        TTL k -> 150
        PERSIST k -> 1
        EXPIRE k 100 LT -> 1
        TTL k -> 100
        EXPIRE k 10 NX XX -> ! ERR NX and XX, GT or LT options at the same time are not compatible
        EXPIRE k 10 NX GT -> ! ERR NX and XX, GT or LT options at the same time are not compatible
        EXPIRE k 10 GT LT -> ! ERR GT and LT options at the same time are not compatible
        EXPIRE k 10 FOO -> ! ERR Unsupported option FOO
        EXPIRE k 10 NX FOO -> ! ERR Unsupported option FOO
        """
    )


@pytest.mark.parametrize("command", ["EXPIRE", "EXPIREAT", "PEXPIRE", "PEXPIREAT"])
def test_expire_in_the_past_deletes(script, command: str):
    script(
        f"""
        SET k v -> "OK"
        {command} k -1 -> 1
        EXISTS k -> 0
        SET k v -> "OK"
        {command} k 0 -> 1
        EXISTS k -> 0
        DBSIZE -> 0
        """
    )


def test_expire_overflow(script):
    script(
        f"""
        SET k v -> "OK"
        EXPIRE k x -> ! {NOT_INT}
        EXPIRE k 9223372036854775807 -> ! ERR invalid expire time in 'expire' command
        EXPIRE k 9223372036854775 -> ! ERR invalid expire time in 'expire' command
        EXPIRE k -9223372036854775807 -> ! ERR invalid expire time in 'expire' command
        PEXPIRE k 9223372036854775807 -> ! ERR invalid expire time in 'pexpire' command
        EXPIREAT k 9223372036854775807 -> ! ERR invalid expire time in 'expireat' command
        PEXPIREAT k 9223372036854775807 -> 1
        PEXPIRETIME k -> 9223372036854775807
        EXISTS k -> 1
        """
    )


def test_expired_keys_are_nowhere(client: Wire):
    client("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    try:
        client("MSET", "a", 1, "b", 2, "c", 3, "stay", 4)
        for key in "abc":
            client("PEXPIRE", key, 1)
        time.sleep(0.02)
        assert client("EXISTS", "a", "b", "c", "stay") == 1
        assert client("KEYS", "*") == [b"stay"]
        assert scan(client) == [b"stay"]
        assert client("RANDOMKEY") == b"stay"
        assert client("RENAME", "a", "x") == "ERR no such key"
        assert client("COPY", "b", "x") == 0
        assert client("DEL", "c") == 0
        assert client("TYPE", "b") == "none"
        assert client("SET", "b", "new", "NX") == "OK"
        assert client("TTL", "b") == -1
    finally:
        client("DEBUG", "SET-ACTIVE-EXPIRE", 1)


def test_walks_delete_the_expired_keys_that_they_meet(client: Wire):
    client("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    try:
        for key in range(50):
            client("SET", f"walked:{key}", "v", "PX", 1)
        time.sleep(0.02)
        assert client("DBSIZE") == 50
        assert scan(client) == []
        assert client("DBSIZE") == 0
        client("SET", "picked", "v", "PX", 1)
        time.sleep(0.02)
        assert client("RANDOMKEY") is None
        assert client("DBSIZE") == 0
    finally:
        client("DEBUG", "SET-ACTIVE-EXPIRE", 1)


def test_active_expiry_removes_unread_keys(client: Wire):
    for i in range(500):
        client("SET", f"gone:{i}", "v", "PX", 1 + i % 50)
        client("SET", f"stay:{i}", "v", "EX", 1000)
    deadline = time.monotonic() + 5
    while client("DBSIZE") != 500 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client("DBSIZE") == 500


# ---- walking ----


def test_keys(client: Wire):
    client("MSET", "key_x", 1, "key_y", 2, "foo_a", 3, "foo*b", 4, "[z]", 5)
    assert sorted(client("KEYS", "*")) == [b"[z]", b"foo*b", b"foo_a", b"key_x", b"key_y"]
    assert sorted(client("KEYS", "foo*")) == [b"foo*b", b"foo_a"]
    assert client("KEYS", "foo_a") == [b"foo_a"]
    assert client("KEYS", "FOO_A") == []
    assert client("KEYS", "foo[*]b") == [b"foo*b"]
    assert client("KEYS", r"\[z\]") == [b"[z]"]
    assert client("KEYS", "key_?") and len(client("KEYS", "key_[xy]")) == 2
    assert client("KEYS", "none*") == []
    assert client("KEYS", "") == []


def test_scan_sees_all_that_stays(client: Wire):
    stay = {b"stay:%d" % i for i in range(2000)}
    client("MSET", *[part for key in stay for part in (key, b"v")])
    seen, cursor, round_ = set(), b"0", 0
    while True:
        cursor, part = client("SCAN", cursor, "COUNT", 50)
        seen.update(part)
        round_ += 1
        if round_ % 2:
            client("MSET", *[part for i in range(400) for part in (b"new:%d:%d" % (round_, i), b"v")])
        else:
            client("DEL", *[b"new:%d:%d" % (round_ - 1, i) for i in range(400)])
        if cursor == b"0":
            break
    assert stay <= seen


@pytest.mark.parametrize("count", [1, 10, 1000])
def test_scan_options(client: Wire, count: int):
    client("MSET", *[part for i in range(1000) for part in (f"key:{i}", "v")])
    assert len(set(scan(client, "COUNT", count))) == 1000
    assert len(set(scan(client, "COUNT", count, "MATCH", "key:1??"))) == 100
    assert len(set(scan(client, "COUNT", count, "TYPE", "string"))) == 1000
    assert len(set(scan(client, "COUNT", count, "TYPE", "STRING"))) == 1000
    assert scan(client, "COUNT", count, "TYPE", "hash") == []
    assert scan(client, "COUNT", count, "TYPE", "nosuchtype") == []


def test_scan_errors(script):
    script(
        f"""
        SCAN 0 -> [b"0", []]
        SCAN x -> ! ERR invalid cursor
        SCAN 18446744073709551616 -> ! ERR invalid cursor
        SCAN 0 COUNT 0 -> ! ERR syntax error
        SCAN 0 COUNT 0 COUNT 5 -> ! ERR syntax error
        SCAN 0 COUNT x -> ! {NOT_INT}
        SCAN 0 COUNT -> ! ERR syntax error
        SCAN 0 FOO 1 -> ! ERR syntax error
        """
    )


def test_randomkey_and_dbsize(client: Wire):
    assert client("RANDOMKEY") is None
    client("MSET", "foo", 1, "bar", 2, "baz", 3)
    assert {client("RANDOMKEY") for _ in range(200)} == {b"foo", b"bar", b"baz"}
    assert client("DBSIZE") == 3


# ---- looking inside ----


def test_object(client: Wire):
    client("SET", "k", "v")
    assert client("OBJECT", "ENCODING", "none") is None
    assert client("OBJECT", "REFCOUNT", "none") is None
    assert client("OBJECT", "IDLETIME", "none") is None
    assert client("OBJECT", "REFCOUNT", "k") == 1
    assert client("OBJECT", "IDLETIME", "k") in (0, 1)
    assert str(client("OBJECT", "FREQ", "k")).startswith("ERR An LFU maxmemory policy is not selected, access frequency not tracked.")
    assert client("OBJECT", "FOO", "k") == "ERR unknown subcommand 'FOO'. Try OBJECT HELP."


def test_memory_usage(client: Wire):
    assert client("MEMORY", "USAGE", "none") is None
    client("SET", "n", 1)
    client("SET", "s", "x" * 64)
    client("SET", "big", "x" * 100000)
    number, short, big = (client("MEMORY", "USAGE", key) for key in ("n", "s", "big"))
    assert 16 < number <= 48
    assert 64 + 1 < short <= 64 + 1 + 32
    assert 100000 < big < 120000
    assert client("MEMORY", "USAGE", "s", "SAMPLES", 0) == short
    assert client("MEMORY", "USAGE", "s", "SAMPLES", -1) == "ERR syntax error"
    assert client("MEMORY", "USAGE", "s", "FOO", 1) == "ERR syntax error"
    assert client("MEMORY", "USAGE", "s", "SAMPLES") == "ERR syntax error"


def test_debug_digest(client: Wire):
    zero = "0" * 40
    assert client("DEBUG", "DIGEST") == zero
    client("SET", "a", "5")
    assert client("DEBUG", "DIGEST-VALUE", "a", "none") == ["f8c2498ca74cdde7d02de23246736a661485b50e", zero]
    assert client("DEBUG", "DIGEST") == "bfab6e2862454f4c6eec0fb25b3e9455169af58c"
    before = client("DEBUG", "DIGEST")
    client("EXPIRE", "a", 100)
    assert client("DEBUG", "DIGEST") != before
    client("PERSIST", "a")
    assert client("DEBUG", "DIGEST") == before


def test_debug_object_sleep_stringmatch(client: Wire):
    assert client("DEBUG", "OBJECT", "none") == "ERR no such key"
    client("SET", "k", 300)
    assert " encoding:int serializedlength:3 " in client("DEBUG", "OBJECT", "k")
    start = time.monotonic()
    assert client("DEBUG", "SLEEP", 0.05) == "OK"
    assert time.monotonic() - start >= 0.05
    assert client("DEBUG", "STRINGMATCH-LEN", 100000, "a*" * 20 + "b") == 0
    assert client("DEBUG", "STRINGMATCH-LEN", 10, "a*a") == 1


def test_debug_sleep_stops_all_workers(client: Wire, server: Any):
    others = [Wire(server.port) for _ in range(8)]
    for _ in range(5):  # again if this machine was so slow that the sleep began behind the pings
        client.send("DEBUG", "SLEEP", 0.4)
        time.sleep(0.15)
        asked, waits = time.monotonic(), []
        for other in others:
            other.send("PING")
        for other in others:
            assert other.read() == "PONG"
            waits.append(time.monotonic() - asked)
        assert client.read() == "OK"
        if min(waits) > 0.2:
            break
    for other in others:
        other.close()
    assert min(waits) > 0.2


def test_time(client: Wire):
    seconds, micros = map(int, client("TIME"))
    assert abs(seconds + micros / 1e6 - time.time()) < 5
    assert 0 <= micros < 1_000_000
