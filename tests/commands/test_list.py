"""The commands on lists, in RESP2 and RESP3: replies, errors and edges as Redis 7.2, encodings, and both ends of long lists."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from wire import OK, Error, Wire

Script = Callable[[str], None]


def test_pushing_and_popping(script: Script) -> None:
    script(r"""
        RPUSH l a b c -> 3
        LPUSH l y x -> 5
        LRANGE l 0 -1 -> [b"x", b"y", b"a", b"b", b"c"]
        LPOP l -> b"x"
        RPOP l -> b"c"
        LPOP l 0 -> []
        RPOP l 2 -> [b"b", b"a"]
        LPOP l 10 -> [b"y"]
        EXISTS l -> 0
        LPOP l -> None
        LPOP l 3 -> None
        LPOP l -1 -> ! ERR value is out of range, must be positive
        LPOP l x -> ! ERR value is out of range, must be positive
        LPOP l 1 1 -> ! ERR wrong number of arguments for 'lpop' command
        LPUSHX l a -> 0
        RPUSHX l a -> 0
        EXISTS l -> 0
        RPUSH l 1 -> 1
        RPUSHX l 2 3 -> 3
        LPUSHX l 0 -> 4
        LRANGE l 0 -1 -> [b"0", b"1", b"2", b"3"]
    """)


def test_reading(script: Script) -> None:
    script(r"""
        RPUSH l a b c d e -> 5
        LLEN l -> 5
        LLEN none -> 0
        LINDEX l 0 -> b"a"
        LINDEX l -1 -> b"e"
        LINDEX l 5 -> None
        LINDEX l -6 -> None
        LINDEX none x -> None
        LINDEX l x -> ! ERR value is not an integer or out of range
        LINDEX l -9223372036854775808 -> None
        LRANGE l 1 3 -> [b"b", b"c", b"d"]
        LRANGE l -2 100 -> [b"d", b"e"]
        LRANGE l -100 1 -> [b"a", b"b"]
        LRANGE l 3 1 -> []
        LRANGE l -9223372036854775808 9223372036854775807 -> [b"a", b"b", b"c", b"d", b"e"]
        LRANGE none 0 -1 -> []
        LRANGE l x 1 -> ! ERR value is not an integer or out of range
    """)


def test_changing_in_the_middle(script: Script) -> None:
    script(r"""
        RPUSH l a b c b a -> 5
        LINSERT l BEFORE b x -> 6
        LINSERT l after c y -> 7
        LINSERT l AFTER none y -> -1
        LINSERT none AFTER a y -> 0
        LINSERT l BESIDE a y -> ! ERR syntax error
        LRANGE l 0 -1 -> [b"a", b"x", b"b", b"c", b"y", b"b", b"a"]
        LSET l 0 A -> "OK"
        LSET l -1 Z -> "OK"
        LSET l 7 x -> ! ERR index out of range
        LSET l -8 x -> ! ERR index out of range
        LSET none 0 x -> ! ERR no such key
        LREM l 1 b -> 1
        LREM l 0 none -> 0
        LREM none 0 a -> 0
        LREM l -9223372036854775808 a -> ! ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
        LRANGE l 0 -1 -> [b"A", b"x", b"c", b"y", b"b", b"Z"]
        LTRIM l 1 -2 -> "OK"
        LRANGE l 0 -1 -> [b"x", b"c", b"y", b"b"]
        LTRIM l 5 10 -> "OK"
        EXISTS l -> 0
        RPUSH l a a a b a a -> 6
        LREM l -2 a -> 2
        LRANGE l 0 -1 -> [b"a", b"a", b"a", b"b"]
        LREM l 0 a -> 3
        LREM l 0 b -> 1
        EXISTS l -> 0
    """)


def test_positions(script: Script) -> None:
    script(r"""
        RPUSH l a b c 1 2 3 c c -> 8
        LPOS l c -> 2
        LPOS l c RANK 2 -> 6
        LPOS l c RANK -1 -> 7
        LPOS l c COUNT 0 -> [2, 6, 7]
        LPOS l c COUNT 2 RANK -1 -> [7, 6]
        LPOS l c COUNT 0 MAXLEN 3 -> [2]
        LPOS l 1 MAXLEN 3 -> None
        LPOS l none -> None
        LPOS l none COUNT 1 -> []
        LPOS none c -> None
        LPOS none c COUNT 1 -> []
        LPOS l c RANK 0 -> ! ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list
        LPOS l c COUNT -1 -> ! ERR COUNT can't be negative
        LPOS l c MAXLEN x -> ! ERR MAXLEN can't be negative
        LPOS l c RANK -9223372036854775808 -> ! ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
        LPOS l c FOO 1 -> ! ERR syntax error
        LPOS l c COUNT -> ! ERR syntax error
    """)


def test_moving(script: Script) -> None:
    script(r"""
        RPUSH a 1 2 3 -> 3
        LMOVE a b LEFT RIGHT -> b"1"
        LMOVE a b right left -> b"3"
        RPOPLPUSH a a -> b"2"
        LRANGE b 0 -1 -> [b"3", b"1"]
        RPOPLPUSH a b -> b"2"
        EXISTS a -> 0
        LMOVE a b LEFT LEFT -> None
        LMOVE a b UP LEFT -> ! ERR syntax error
        LMOVE b b LEFT RIGHT -> b"2"
        LRANGE b 0 -1 -> [b"3", b"1", b"2"]
        SET s x -> "OK"
        LMOVE b s LEFT LEFT -> ! WRONGTYPE Operation against a key holding the wrong kind of value
        LLEN b -> 3
        LMPOP 2 none b LEFT -> [b"b", [b"3"]]
        LMPOP 1 b RIGHT COUNT 5 -> [b"b", [b"2", b"1"]]
        LMPOP 1 b RIGHT -> None
        LMPOP 0 b RIGHT -> ! ERR numkeys should be greater than 0
        LMPOP 9223372036854775807 b RIGHT -> ! ERR syntax error
        LMPOP 1 b RIGHT COUNT 0 -> ! ERR count should be greater than 0
        LMPOP 1 b RIGHT COUNT 1 COUNT 1 -> ! ERR syntax error
        LMPOP 1 b -> ! ERR wrong number of arguments for 'lmpop' command
    """)


def test_encodings_change_both_ways(client: Wire) -> None:
    kept = client("CONFIG", "GET", "list-max-listpack-size")
    size = kept[b"list-max-listpack-size"] if isinstance(kept, dict) else kept[1]
    try:
        assert client("CONFIG", "SET", "list-max-listpack-size", 10) == OK
        for n in range(1, 11):
            client("RPUSH", "l", n)
            assert client("OBJECT", "ENCODING", "l") == b"listpack"
        client("RPUSH", "l", 11)
        assert client("OBJECT", "ENCODING", "l") == b"quicklist"
        client("LTRIM", "l", 0, 4)
        assert client("OBJECT", "ENCODING", "l") == b"listpack"
        assert client("CONFIG", "SET", "list-max-listpack-size", -1) == OK
        client("DEL", "l")
        client("RPUSH", "l", "x" * 4096)
        assert client("OBJECT", "ENCODING", "l") == b"quicklist"
        client("LSET", "l", 0, "x")
        assert client("OBJECT", "ENCODING", "l") == b"listpack"
    finally:
        client("CONFIG", "SET", "list-max-listpack-size", size)


@pytest.mark.parametrize("size", [-2, -1, 7, 0])
def test_long_lists_against_a_python_list(client: Wire, size: int) -> None:
    r = random.Random(size)
    model: list[bytes] = []
    try:
        assert client("CONFIG", "SET", "list-max-listpack-size", size) == OK
        for step in range(1500):
            value = r.choice([b"%d" % r.randrange(100), b"v" * r.randrange(300), b"w" * 5000, b"e%d" % step])
            kind = r.randrange(12)
            if kind < 3:
                assert client("RPUSH", "l", value, value) == len(model) + 2
                model += [value, value]
            elif kind < 6:
                assert client("LPUSH", "l", value, b"last") == len(model) + 2
                model[:0] = [b"last", value]
            elif kind == 6 and model:
                i = r.randrange(-len(model), len(model))
                assert client("LSET", "l", i, value) == OK
                model[i] = value
            elif kind == 7 and model:
                pivot = r.choice(model)
                i = model.index(pivot)
                assert client("LINSERT", "l", "AFTER", pivot, value) == len(model) + 1
                model.insert(i + 1, value)
            elif kind == 8:
                n = r.randrange(6)
                got = client("LPOP", "l", n)
                assert (got or []) == model[:n]
                del model[:n]
            elif kind == 9:
                n = r.randrange(6)
                got = client("RPOP", "l", n)
                assert (got or []) == model[-n:][::-1] if n else not got
                del model[max(0, len(model) - n) :]
            elif kind == 10 and model:
                gone = r.choice(model)
                n = model.count(gone)
                assert client("LREM", "l", 0, gone) == n
                model = [v for v in model if v != gone]
            elif kind == 11 and r.randrange(10) == 0:
                assert client("LTRIM", "l", 5, -5) == OK
                model = model[5:-4] if len(model) > 9 else []
            if step % 50 == 0:
                assert client("LRANGE", "l", 0, -1) == model
                i = r.randrange(len(model) + 1)
                assert client("LINDEX", "l", i) == (model[i] if i < len(model) else None)
        assert client("LRANGE", "l", 0, -1) == model
    finally:
        client("CONFIG", "SET", "list-max-listpack-size", -2)


def test_large_elements(client: Wire) -> None:
    values = [b"a" * 100_000, b"b" * 3_000_000, b"c"]
    assert client("RPUSH", "l", *values) == 3
    assert client("LRANGE", "l", 0, -1) == values
    assert client("LPOS", "l", values[1]) == 1
    assert client("LMOVE", "l", "m", "LEFT", "LEFT") == values[0]
    assert client("LREM", "l", 0, values[1]) == 1
    assert client("LRANGE", "l", 0, -1) == [b"c"]
    assert client("LRANGE", "m", 0, -1) == values[:1]


def test_wrong_type(client: Wire) -> None:
    client("SET", "s", "text")
    for command in ("LPUSH s a", "RPUSHX s a", "LPOP s", "RPOP s 2", "LLEN s", "LINDEX s 0", "LRANGE s 0 1", "LSET s 0 x", "LREM s 0 x",
                    "LTRIM s 0 1", "LPOS s x", "LINSERT s BEFORE a b", "LMOVE s d LEFT LEFT", "RPOPLPUSH s d", "LMPOP 1 s LEFT",
                    "BLPOP none s 0", "BLMOVE s d LEFT LEFT 0", "BLMPOP 0 2 none s LEFT"):  # fmt: skip
        reply = client(*command.split())
        assert isinstance(reply, Error) and reply.code == "WRONGTYPE", command
