"""Strings: SET with all its options, counters, substrings, LCS. Words and edge cases are Redis 7.2's."""

from __future__ import annotations

import time
from typing import Any

import pytest
from wire import Wire

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NOT_INT = "ERR value is not an integer or out of range"
YEAR_2100 = 4102444800


def test_set_and_get(script):
    script(
        r"""
        GET k -> None
        SET k v -> "OK"
        GET k -> b"v"
        SET k "" -> "OK"
        GET k -> b""
        SET "" empty -> "OK"
        GET "" -> b"empty"
        SET k "\x00\xff\r\n" -> "OK"
        GET k -> b"\x00\xff\r\n"
        set K upper -> "OK"
        GeT K -> b"upper"
        """
    )


def test_null_is_typed_by_protocol(client: Wire):
    client.send("MGET", "none")
    while client.buffer.count(b"\r\n") < 2:
        client.more()
    assert client.buffer == (b"*1\r\n_\r\n" if client.resp == 3 else b"*1\r\n$-1\r\n")


@pytest.mark.parametrize("size", [0, 1, 7, 43, 44, 45, 100, 127, 128, 1000, 8191, 8192, 8193, 32768, 40000, 1 << 20])
def test_sizes_replace_each_other(client: Wire, size: int):
    for other in (0, 1, 44, 45, 300, 8192, 8193, 100000):
        for n in (size, other, size):
            value = bytes([n % 251]) * n
            assert client("SET", "k", value) == "OK"
            assert client("GET", "k") == value
            assert client("STRLEN", "k") == n


def test_encodings(client: Wire):
    for value, encoding in [
        ("0", b"int"), ("-1", b"int"), ("9223372036854775807", b"int"), ("-9223372036854775808", b"int"),
        ("9223372036854775808", b"embstr"), ("01", b"embstr"), ("-0", b"embstr"), (" 1", b"embstr"), ("1.0", b"embstr"),
        ("", b"embstr"), ("x" * 44, b"embstr"), ("x" * 45, b"raw"), ("x" * 9000, b"raw"),
    ]:  # fmt: skip
        client("SET", "k", value)
        assert client("OBJECT", "ENCODING", "k") == encoding, value
        assert client("GET", "k") == value.encode()


def test_set_options(script):
    script(
        r"""
        SET k 1 NX -> "OK"
        SET k 2 NX -> None
        GET k -> b"1"
        SET k 3 XX -> "OK"
        SET none 3 XX -> None
        EXISTS none -> 0
        SET k 4 GET -> b"3"
        SET fresh 1 GET -> None
        GET fresh -> b"1"
        SET k 5 NX GET -> b"4"
        GET k -> b"4"
        SET k 6 xx get -> b"4"
        SET other 1 NX GET -> None
        GET other -> b"1"
        SET k 7 EX 100 -> "OK"
        TTL k -> 100
        SET k 8 KEEPTTL -> "OK"
        TTL k -> 100
        SET k 9 -> "OK"
        TTL k -> -1
        SET k v PX 100000 NX -> None
        SET k v PX 100000 XX GET -> b"9"
        TTL k -> 100
        SET k v EXAT 4102444800 -> "OK"
        EXPIRETIME k -> 4102444800
        SET k v PXAT 4102444800123 -> "OK"
        PEXPIRETIME k -> 4102444800123
        """
    )


@pytest.mark.parametrize(
    "options",
    ["NX XX", "XX NX", "EX", "EX 1 PX 1", "EX 1 EXAT 1", "KEEPTTL EX 1", "EX 1 KEEPTTL", "PXAT 1 PX 1", "foo", "GET foo",
     "PERSIST", "EX 1 PERSIST", "10", "EX abc PX 1"],
)  # fmt: skip
def test_set_refuses_option_syntax(script, options: str):
    script(f"SET k v {options} -> ! ERR syntax error\nEXISTS k -> 0")


@pytest.mark.parametrize("option", ["EX", "PX", "EXAT", "PXAT"])
def test_set_refuses_bad_times(script, option: str):
    script(
        f"""
        SET k v {option} 0 -> ! ERR invalid expire time in 'set' command
        SET k v {option} -1 -> ! ERR invalid expire time in 'set' command
        SET k v {option} abc -> ! {NOT_INT}
        SET k v {option} 9223372036854775808 -> ! {NOT_INT}
        EXISTS k -> 0
        """
    )


def test_set_refuses_overflowing_times(script):
    script(
        """
        SET k v EX 9223372036854775807 -> ! ERR invalid expire time in 'set' command
        SET k v EX 9223372036854775 -> ! ERR invalid expire time in 'set' command
        SET k v PX 9223372036854775807 -> ! ERR invalid expire time in 'set' command
        SET k v EXAT 9223372036854775807 -> ! ERR invalid expire time in 'set' command
        SETEX k 9223372036854775807 v -> ! ERR invalid expire time in 'setex' command
        PSETEX k 9223372036854775807 v -> ! ERR invalid expire time in 'psetex' command
        GETEX k EX 9223372036854775807 -> None
        SET k v -> "OK"
        GETEX k EX 9223372036854775807 -> ! ERR invalid expire time in 'getex' command
        """
    )


def test_setex_psetex_setnx_getset_getdel(script):
    script(
        f"""
        SETEX k 100 v -> "OK"
        TTL k -> 100
        SETEX k 0 v -> ! ERR invalid expire time in 'setex' command
        SETEX k x v -> ! {NOT_INT}
        PSETEX k 100000 w -> "OK"
        TTL k -> 100
        GET k -> b"w"
        SETNX k z -> 0
        SETNX n z -> 1
        GETSET n y -> b"z"
        GETSET k x -> b"w"
        TTL k -> -1
        GETSET none x -> None
        GETDEL none -> b"x"
        GETDEL none -> None
        """
    )


def test_getex(script):
    script(
        """
        GETEX k -> None
        SET k v -> "OK"
        GETEX k EX 100 -> b"v"
        TTL k -> 100
        GETEX k -> b"v"
        TTL k -> 100
        GETEX k PERSIST -> b"v"
        TTL k -> -1
        GETEX k PXAT 4102444800123 -> b"v"
        PEXPIRETIME k -> 4102444800123
        GETEX k EX 1 PERSIST -> ! ERR syntax error
        GETEX k KEEPTTL -> ! ERR syntax error
        GETEX k NX -> ! ERR syntax error
        GETEX k EX -> ! ERR syntax error
        GETEX k EX 0 -> ! ERR invalid expire time in 'getex' command
        GETEX k EXAT 1 -> b"v"
        EXISTS k -> 0
        """
    )


def test_several_keys(script):
    script(
        """
        MSET a 1 b two c 3 -> "OK"
        MGET a b none c -> [b"1", b"two", None, b"3"]
        MSET a 1 a 2 -> "OK"
        GET a -> b"2"
        MSETNX a 9 z 9 -> 0
        EXISTS z -> 0
        MSETNX y 1 z 2 -> 1
        MGET y z y -> [b"1", b"2", b"1"]
        MSET a -> ! ERR wrong number of arguments for 'mset' command
        MSET a 1 b -> ! ERR wrong number of arguments for 'mset' command
        MSETNX a 1 b -> ! ERR wrong number of arguments for 'msetnx' command
        MGET -> ! ERR wrong number of arguments for 'mget' command
        """
    )


def test_many_keys_at_once(client: Wire):
    pairs = {b"key:%d" % i: b"value:%d" % (i * 7) for i in range(3000)}
    assert client("MSET", *[part for pair in pairs.items() for part in pair]) == "OK"
    assert client("MGET", *pairs) == list(pairs.values())
    assert client("EXISTS", *pairs) == 3000
    assert client("DEL", *pairs, *pairs) == 3000
    assert client("DBSIZE") == 0


def test_counters(script):
    script(
        f"""
        INCR n -> 1
        INCR n -> 2
        INCRBY n 40 -> 42
        DECR n -> 41
        DECRBY n 41 -> 0
        INCRBY n -5 -> -5
        GET n -> b"-5"
        OBJECT ENCODING n -> b"int"
        INCRBY n x -> ! {NOT_INT}
        INCRBY n 1.5 -> ! {NOT_INT}
        INCRBY n " 1" -> ! {NOT_INT}
        SET n 9223372036854775807 -> "OK"
        INCR n -> ! ERR increment or decrement would overflow
        GET n -> b"9223372036854775807"
        DECRBY n -1 -> ! ERR increment or decrement would overflow
        SET n -9223372036854775808 -> "OK"
        DECR n -> ! ERR increment or decrement would overflow
        INCRBY n -1 -> ! ERR increment or decrement would overflow
        DECRBY m -9223372036854775808 -> ! ERR decrement would overflow
        SET n abc -> "OK"
        INCR n -> ! {NOT_INT}
        SET n "" -> "OK"
        INCR n -> ! {NOT_INT}
        SET n " 11" -> "OK"
        INCR n -> ! {NOT_INT}
        SET n 1 EX 100 -> "OK"
        INCR n -> 2
        TTL n -> 100
        APPEND t 4 -> 1
        APPEND t 1 -> 2
        OBJECT ENCODING t -> b"raw"
        INCR t -> 42
        OBJECT ENCODING t -> b"int"
        """
    )


def test_incrbyfloat(script):
    script(
        """
        INCRBYFLOAT f 1.5 -> b"1.5"
        INCRBYFLOAT f 1.5 -> b"3"
        OBJECT ENCODING f -> b"embstr"
        INCRBYFLOAT f -5 -> b"-2"
        INCRBYFLOAT f 5.0e3 -> b"4998"
        SET f 10.50 -> "OK"
        INCRBYFLOAT f 0.1 -> b"10.6"
        SET f 17179869184 -> "OK"
        INCRBYFLOAT f 1.5 -> b"17179869185.5"
        SET f abc -> "OK"
        INCRBYFLOAT f 1 -> ! ERR value is not a valid float
        INCRBYFLOAT g abc -> ! ERR value is not a valid float
        INCRBYFLOAT g "1 " -> ! ERR value is not a valid float
        EXISTS g -> 0
        SET f 1 EX 100 -> "OK"
        INCRBYFLOAT f 1 -> b"2"
        TTL f -> 100
        SET f 1.1e4932 -> "OK"
        INCRBYFLOAT f 1.1e4932 -> ! ERR increment would produce NaN or Infinity
        """
    )


def test_append_and_strlen(client: Wire):
    assert client("APPEND", "k", "") == 0
    assert client("EXISTS", "k") == 1
    whole = b""
    for i in range(400):
        part = bytes([i % 256]) * (i % 97)
        whole += part
        assert client("APPEND", "k", part) == len(whole)
    assert client("GET", "k") == whole
    assert client("STRLEN", "k") == len(whole)
    assert client("OBJECT", "ENCODING", "k") == b"raw"
    assert client("STRLEN", "none") == 0
    client("SET", "n", "12345")
    assert client("STRLEN", "n") == 5


def test_append_keeps_the_expiry(script):
    script('SET k v EX 100 -> "OK"\nAPPEND k w -> 2\nTTL k -> 100\nSETRANGE k 5 x -> 6\nTTL k -> 100')


def test_setrange(script):
    script(
        rf"""
        SETRANGE k 0 "" -> 0
        EXISTS k -> 0
        SETRANGE k 3 abc -> 6
        GET k -> b"\x00\x00\x00abc"
        SETRANGE k 4 XY -> 6
        GET k -> b"\x00\x00\x00aXY"
        SETRANGE k 0 "" -> 6
        SETRANGE k -1 x -> ! ERR offset is out of range
        SETRANGE k x x -> ! {NOT_INT}
        SETRANGE k 536870912 x -> ! ERR string exceeds maximum allowed size (proto-max-bulk-len)
        SETRANGE k 9223372036854775807 x -> ! ERR string exceeds maximum allowed size (proto-max-bulk-len)
        SET n 1234 -> "OK"
        SETRANGE n 1 9 -> 4
        OBJECT ENCODING n -> b"raw"
        GET n -> b"1934"
        SETRANGE far 10000 end -> 10003
        STRLEN far -> 10003
        GETRANGE far 9998 -1 -> b"\x00\x00end"
        """
    )


def test_getrange(script):
    script(
        f"""
        SET k "Hello World" -> "OK"
        GETRANGE k 0 3 -> b"Hell"
        GETRANGE k 0 -1 -> b"Hello World"
        GETRANGE k -4 -1 -> b"orld"
        GETRANGE k 5 3 -> b""
        GETRANGE k -1 -5 -> b""
        GETRANGE k 5 5000 -> b" World"
        GETRANGE k -5000 10000 -> b"Hello World"
        GETRANGE k 0 9223372036854775807 -> b"Hello World"
        GETRANGE k -9223372036854775808 0 -> b"H"
        GETRANGE none 0 -1 -> b""
        SUBSTR k 0 4 -> b"Hello"
        SET n 12345 -> "OK"
        GETRANGE n 1 2 -> b"23"
        GETRANGE k a 1 -> ! {NOT_INT}
        SET e "" -> "OK"
        GETRANGE e 0 -1 -> b""
        """
    )


def pairs(reply: Any) -> dict[bytes, Any]:
    """A map, also in its RESP2 form."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def test_lcs(client: Wire):
    client("MSET", "a", "ohmytext", "b", "mynewtext")
    assert client("LCS", "a", "b") == b"mytext"
    assert client("LCS", "a", "b", "LEN") == 6
    assert pairs(client("LCS", "a", "b", "IDX")) == {b"matches": [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], b"len": 6}
    found = pairs(client("LCS", "a", "b", "IDX", "MINMATCHLEN", 4, "WITHMATCHLEN"))
    assert found == {b"matches": [[[4, 7], [5, 8], 4]], b"len": 6}
    assert client("LCS", "a", "none") == b""
    assert client("LCS", "a", "none", "LEN") == 0
    assert client("LCS", "a", "a") == b"ohmytext"
    assert client("LCS", "a", "b", "LEN", "IDX") == "ERR If you want both the length and indexes, please just use IDX."
    assert client("LCS", "a", "b", "FOO") == "ERR syntax error"
    assert client("LCS", "a", "b", "MINMATCHLEN") == "ERR syntax error"
    assert client("LCS", "a", "b", "IDX", "MINMATCHLEN", "x") == NOT_INT


def test_lcs_refuses_too_large_tables(client: Wire):
    client("SET", "a", b"x" * 20000)
    reply = client("LCS", "a", "a")
    assert reply == "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"


def test_keys_expire(client: Wire):
    client("SET", "k", "v", "PX", 30)
    client("SET", "keep", "v", "PX", 60000)
    assert client("GET", "k") == b"v"
    time.sleep(0.05)
    assert client("GET", "k") is None
    assert client("SET", "k", "w", "XX") is None
    assert client("INCR", "k") == 1
    assert client("TTL", "k") == -1
    assert client("GET", "keep") == b"v"


def test_set_in_the_past_is_gone_at_once(script):
    script('SET k v PXAT 1 -> "OK"\nGET k -> None\nEXISTS k -> 0\nTTL k -> -2')
