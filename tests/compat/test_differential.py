"""Random commands over several connections, to Shoal with two workers and to redis-server: every reply must be the same.

An example is a list of steps; a step sends one or more commands (then as a pipeline) over one of three connections, two in RESP2 and one
in RESP3, and compares each reply as it is on the wire. At the end the whole dataset is compared: keys, encodings, expiries, DEBUG DIGEST.

What cannot be equal is compared by a rule of its own (`RULES`): remaining times within two seconds, KEYS and SCAN without
order, RANDOMKEY and MEMORY USAGE by whether there is an answer. DBSIZE, MEMORY USAGE and DEBUG DIGEST-VALUE of
redis-server see keys whose time is over but which nobody has looked at since: from then on only their errors are compared.
Where the peer's version speaks otherwise than Redis 7.2, a row of `differences.py` names the case.
SHOAL_DIFFERENTIAL_EXAMPLES sets how many examples are run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from differences import allowed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire import Wire, pack

Command = tuple[bytes, ...]
EXAMPLES = int(os.environ.get("SHOAL_DIFFERENTIAL_EXAMPLES", "300"))
DATABASES = 3
YEAR_2100 = b"4102444800"

# ---- what is sent ----

KEYS = [b"a", b"b", b"c", b"d", b"a key of some length, so that it is moved around", b""]
NUMBERS = [b"0", b"1", b"-1", b"2", b"7", b"10", b"-9", b"100", b"9223372036854775807", b"-9223372036854775808"]
NOT_NUMBERS = [b"x", b"", b"1.5", b" 1", b"9223372036854775808", b"+1", b"01"]
VALUES = [
    *NUMBERS, *NOT_NUMBERS, b"hello", b"3.0e3", b"-0", b"1e400", b"0.1", b"nan", b"inf", b"\x00\xff\x80", b"\xff" * 9,
    b"x" * 43, b"x" * 44, b"x" * 45, b"y" * 300, b"z" * 8192, b"z" * 8193, b"w" * 20000,
]  # fmt: skip

key = st.sampled_from(KEYS)
value = st.one_of(st.sampled_from(VALUES), st.binary(max_size=24), st.integers(-1000, 1000).map(lambda n: b"%d" % n))
number = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.sampled_from(NOT_NUMBERS))
index = st.one_of(st.integers(-30, 30).map(lambda n: b"%d" % n), number)
offset = st.sampled_from([b"0", b"1", b"5", b"43", b"200", b"8190", b"9000", b"-1", b"x", b"536870912", b"9223372036854775807"])
bit_offset = st.one_of(
    st.integers(0, 200).map(lambda n: b"%d" % n), st.sampled_from([b"80000", b"-1", b"x", b"4294967296", b"#1"])
)
# also milliseconds: long enough that no example outlasts them
seconds = st.sampled_from([b"100000", b"500000", b"10000000", b"100000", b"0", b"-1", b"x", b"9223372036854775807"])
unix_time = st.sampled_from([YEAR_2100, YEAR_2100 + b"000", b"1", b"0", b"-1", b"x"])
database = st.sampled_from([b"0", b"1", b"2", b"2", b"1", b"16", b"-1", b"x"])
pattern = st.sampled_from([b"*", b"a*", b"?", b"[a-c]", b"a", b"", b"[^a]", b"\\a", b"*of*"])


def word(*texts: str) -> st.SearchStrategy[bytes]:
    return st.sampled_from([text.encode() for text in texts])


def call(name: str, *args: st.SearchStrategy[Any]) -> st.SearchStrategy[Command]:
    """A command; an argument may be bytes or a tuple of several."""

    def flat(parts: tuple[Any, ...]) -> Command:
        words: list[bytes] = name.encode().split()
        for part in parts:
            words += part if isinstance(part, tuple | list) else [part]
        return tuple(words)

    return st.tuples(*args).map(flat)


def some(strategy: st.SearchStrategy[Any], low: int = 0, high: int = 3) -> st.SearchStrategy[tuple[bytes, ...]]:
    return st.lists(strategy, min_size=low, max_size=high).map(
        lambda parts: tuple(w for part in parts for w in (part if isinstance(part, tuple) else (part,)))
    )


set_option = st.one_of(
    word("NX", "XX", "GET", "KEEPTTL", "get", "nx", "PERSIST", "FOO", "EX").map(lambda w: (w,)),
    st.tuples(word("EX", "PX"), seconds),
    st.tuples(word("EXAT", "PXAT"), unix_time),
)
getex_option = st.one_of(word("PERSIST", "EX", "KEEPTTL").map(lambda w: (w,)), st.tuples(word("EX", "px"), seconds),
                         st.tuples(word("EXAT", "PXAT"), unix_time))  # fmt: skip
condition = word("NX", "XX", "GT", "LT", "gt", "FOO")
bit = word("0", "1", "1", "0", "2", "x")
field = st.sampled_from([b"u1", b"u8", b"i8", b"u63", b"i64", b"i5", b"u64", b"i65", b"u0", b"x"])
field_offset = st.sampled_from([b"0", b"1", b"7", b"#0", b"#3", b"100", b"-1", b"#-1", b"x", b"5000"])
field_op = st.one_of(
    st.tuples(word("GET"), field, field_offset),
    st.tuples(word("SET", "INCRBY", "incrby"), field, field_offset, number),
    st.tuples(word("OVERFLOW"), word("WRAP", "SAT", "FAIL", "FOO")),
    st.tuples(word("FOO")),
)
copy_option = st.one_of(word("REPLACE", "FOO", "DB").map(lambda w: (w,)), st.tuples(word("DB"), database))
lcs_option = st.one_of(
    word("LEN", "IDX", "WITHMATCHLEN", "FOO").map(lambda w: (w,)), st.tuples(word("MINMATCHLEN"), word("0", "2", "-1", "x"))
)
range_unit = some(word("BYTE", "BIT", "bit", "FOO"), 0, 1)

COMMANDS = st.one_of(
    call("SET", key, value), call("SET", key, value), call("SET", key, value, some(set_option)), call("GET", key), call("GET", key),
    call("SETNX", key, value), call("SETEX", key, seconds, value), call("PSETEX", key, seconds, value),
    call("GETSET", key, value), call("GETDEL", key), call("GETEX", key, some(getex_option, 0, 2)),
    call("MSET", some(st.tuples(key, value), 1, 4)), call("MSETNX", some(st.tuples(key, value), 1, 3)), call("MSET", some(value, 1, 4)),
    call("MGET", some(key, 1, 5)), call("APPEND", key, value), call("STRLEN", key), call("SETRANGE", key, offset, value),
    call("GETRANGE", key, index, index), call("SUBSTR", key, index, index),
    call("INCR", key), call("DECR", key), call("INCRBY", key, number), call("DECRBY", key, number), call("INCRBYFLOAT", key, value),
    call("LCS", key, key, some(lcs_option)),
    call("SETBIT", key, bit_offset, bit), call("GETBIT", key, bit_offset),
    call("BITCOUNT", key), call("BITCOUNT", key, index, index, range_unit), call("BITCOUNT", key, index),
    call("BITPOS", key, bit, some(index, 0, 2)), call("BITPOS", key, bit, index, index, range_unit),
    call("BITOP", word("AND", "OR", "XOR", "NOT", "not", "FOO"), key, some(key, 1, 3)),
    call("BITFIELD", key, some(field_op, 0, 4)), call("BITFIELD_RO", key, some(field_op, 0, 3)),
    call("DEL", some(key, 1, 3)), call("UNLINK", some(key, 1, 3)), call("EXISTS", some(key, 1, 4)), call("TOUCH", some(key, 1, 3)),
    call("TYPE", key), call("TTL", key), call("PTTL", key), call("EXPIRETIME", key), call("PEXPIRETIME", key), call("PERSIST", key),
    call("EXPIRE", key, seconds, some(condition, 0, 2)), call("PEXPIRE", key, seconds, some(condition, 0, 2)),
    call("EXPIREAT", key, unix_time, some(condition, 0, 2)), call("PEXPIREAT", key, unix_time, some(condition, 0, 2)),
    call("RENAME", key, key), call("RENAMENX", key, key), call("COPY", key, key, some(copy_option, 0, 2)), call("MOVE", key, database),
    call("SELECT", database), call("SWAPDB", database, database), call("FLUSHDB", some(word("SYNC", "ASYNC", "FOO"), 0, 1)),
    call("KEYS", pattern), call("RANDOMKEY"), call("DBSIZE"), call("SCAN", word("0", "x", "0"), some(word("COUNT", "1", "TYPE"), 0, 2)),
    call("OBJECT ENCODING", key), call("OBJECT REFCOUNT", key), call("OBJECT FREQ", key), call("OBJECT", key, key),
    call("MEMORY USAGE", key, some(word("SAMPLES", "0", "-1", "x"), 0, 2)), call("DEBUG DIGEST-VALUE", some(key, 1, 2)),
    call("PING"), call("ECHO", value), call("GET"), call("SET", key), call("NOSUCHCOMMAND", value), st.just((b"",)),
    call("MULTI"), call("MULTI"), call("EXEC"), call("EXEC"), call("DISCARD"), call("WATCH", some(key, 1, 2)), call("UNWATCH"),
)  # fmt: skip

FULL_SCAN = (b"<scan>",)
EXPIRE_NOW = b"<expire>"
connection = st.integers(0, 2)
steps = st.lists(
    st.one_of(
        st.tuples(connection, COMMANDS.map(lambda c: [c])),
        st.tuples(connection, COMMANDS.map(lambda c: [c])),
        st.tuples(connection, st.lists(COMMANDS, min_size=2, max_size=8)),
        st.tuples(connection, st.just([FULL_SCAN])),
        st.tuples(connection, key.map(lambda k: [(EXPIRE_NOW, k)])),
    ),
    max_size=40,
)

# ---- how replies are compared ----


def exact(wire: Wire) -> Any:
    """One reply as (type character, value); nulls keep their type."""
    line = wire._line()
    kind, rest = chr(line[0]), line[1:]
    if kind == "$":
        return kind, None if rest == b"-1" else wire._bytes(int(rest))
    if kind in "*~>%":
        count = int(rest) * (2 if kind == "%" else 1)
        return kind, None if count < 0 else [exact(wire) for _ in range(count)]
    return kind, rest


def same(ours: Any, theirs: Any) -> bool:
    return bool(ours == theirs)


def near(tolerance: int) -> Callable[[Any, Any], bool]:
    def compare(ours: Any, theirs: Any) -> bool:
        if ours[0] != ":" or theirs[0] != ":":
            return same(ours, theirs)
        a, b = int(ours[1]), int(theirs[1])
        return a == b if min(a, b) < 0 else abs(a - b) <= tolerance

    return compare


def unordered(ours: Any, theirs: Any) -> bool:
    if ours[0] != theirs[0] or not isinstance(ours[1], list) or not isinstance(theirs[1], list):
        return same(ours, theirs)
    return sorted(ours[1]) == sorted(theirs[1])


def same_kind(ours: Any, theirs: Any) -> bool:
    if ours[0] == "-" or theirs[0] == "-":
        return same(ours, theirs)
    return ours[0] == theirs[0] and (ours[1] is None) == (theirs[1] is None)


def same_errors(ours: Any, theirs: Any) -> bool:
    return same(ours, theirs) if "-" in (ours[0], theirs[0]) else True


SEE_EXPIRED = (b"DBSIZE", b"MEMORY", b"DEBUG")
RULES: dict[bytes, Callable[[Any, Any], bool]] = {
    b"TTL": near(2),
    b"PTTL": near(2000),
    b"EXPIRETIME": near(2),
    b"PEXPIRETIME": near(2000),
    b"KEYS": unordered,
    b"SCAN": same_kind,
    b"RANDOMKEY": same_kind,
    b"MEMORY": same_kind,
}


class Pair:
    """One connection to each server."""

    expired = False  # has a key's time run out in this example?

    def __init__(self, ports: tuple[int, int], resp: int) -> None:
        self.ours, self.theirs = (Wire(port, resp, timeout=20) for port in ports)
        self.queued: list[Command] = []

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()

    def both(self, *args: str | bytes | int) -> tuple[Any, Any]:
        self.ours.send(*args)
        self.theirs.send(*args)
        return exact(self.ours), exact(self.theirs)

    def check(self, command: Command, ours: Any, theirs: Any) -> None:
        name = command[0].upper()
        if name == b"EXEC" and ours[0] == theirs[0] == "*" and ours[1] is not None and theirs[1] is not None:
            assert len(ours[1]) == len(theirs[1]) == len(self.queued), (self.queued, ours, theirs)
            for queued, a, b in zip(self.queued, ours[1], theirs[1], strict=True):
                self.compare(queued, a, b)
        else:
            self.compare(command, ours, theirs)
        if theirs == ("+", b"QUEUED"):
            self.queued.append(command)
        elif name in (b"EXEC", b"DISCARD", b"MULTI"):
            self.queued = [] if theirs[0] != "-" or b"EXECABORT" in theirs[1] else self.queued

    @staticmethod
    def compare(command: Command, ours: Any, theirs: Any) -> None:
        rule = RULES.get(command[0].upper(), same)
        if Pair.expired and command[0].upper() in SEE_EXPIRED:
            rule = same_errors
        assert rule(ours, theirs) or allowed(command, ours, theirs), (command, ours, theirs)

    def run(self, commands: list[Command]) -> None:
        self.ours.socket.sendall(b"".join(pack(*c) for c in commands))
        self.theirs.socket.sendall(b"".join(pack(*c) for c in commands))
        for command in commands:
            self.check(command, exact(self.ours), exact(self.theirs))

    def expire(self, name: bytes) -> None:
        """The key's time is over, and none of the servers has looked at it since."""
        self.check((b"PEXPIRE", name, b"1"), *self.both("PEXPIRE", name, 1))
        time.sleep(0.003)
        Pair.expired = True

    def scan(self) -> None:
        found = [scan_all(wire) for wire in (self.ours, self.theirs)]
        assert found[0] == found[1]


def scan_all(wire: Wire) -> set[bytes] | Any:
    keys: set[bytes] = set()
    cursor: Any = b"0"
    while True:
        wire.send("SCAN", cursor, "COUNT", 3)
        reply = exact(wire)
        if reply[0] != "*":
            return reply
        cursor = reply[1][0][1]
        keys.update(item[1] for item in reply[1][1][1])
        if cursor == b"0":
            return keys


def compare_datasets(pair: Pair) -> None:
    for db in range(DATABASES):
        assert pair.both("SELECT", db) == (("+", b"OK"), ("+", b"OK"))
        pair.check((b"EXISTS",), *pair.both("EXISTS", *KEYS))  # redis-server counts what is over until somebody looks at it
        ours, theirs = pair.both("KEYS", "*")
        assert unordered(ours, theirs), (db, ours, theirs)
        for item in theirs[1]:
            for command in (b"GET", b"OBJECT ENCODING", b"PTTL"):
                words = (*command.split(), item[1])
                pair.compare(words, *pair.both(*words))
    ours, theirs = pair.both("DEBUG", "DIGEST")
    assert ours == theirs


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=steps)
def test_every_reply_is_the_same(pair: tuple[int, int], plan: list[tuple[int, list[Command]]]) -> None:
    pairs = [Pair(pair, resp) for resp in (2, 2, 3)]
    try:
        pairs[0].both("FLUSHALL")
        Pair.expired = False
        for which, commands in plan:
            p = pairs[which]
            in_multi = bool(p.both("PING")[1] == ("+", b"QUEUED"))
            if in_multi:
                p.queued.append((b"PING",))
            if commands == [FULL_SCAN]:
                if not in_multi:
                    p.scan()
            elif commands[0][0] == EXPIRE_NOW:
                if not in_multi:  # queued, its millisecond would begin with EXEC and end anywhere
                    p.expire(commands[0][1])
            else:
                p.run(commands)
        for p in pairs:
            p.check((b"DISCARD",), *p.both("DISCARD"))
        compare_datasets(pairs[0])
    finally:
        for p in pairs:
            p.close()
