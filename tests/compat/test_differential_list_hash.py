"""Random commands on lists and hashes, to Shoal with two workers and to redis-server: every reply must be the same.

As test_differential.py (whose machinery it uses), with small limits of encodings, so that values change theirs often. REDIS_SERVER names the
peer: one of 7.2 or later also compares encodings of lists, one of 7.4 or later the times of fields.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from differences import allowed
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_differential import Command, Pair, call, some, word

EXAMPLES = int(os.environ.get("SHOAL_DIFFERENTIAL_EXAMPLES", "300"))
PHASES = [Phase.generate, Phase.shrink] if "SHOAL_DIFFERENTIAL_SHRINK" in os.environ else [Phase.generate]

KEYS = [b"a", b"b", b"c"]
ELEMENTS = [
    b"x",
    b"y",
    b"z",
    b"1",
    b"-5",
    b"300",
    b"70000",
    b"9223372036854775807",
    b"",
    b"01",
    b"1.5",
    b"\x00\xff",
    b"long" * 20,
    b"e" * 400,
]
FIELDS = [b"f1", b"f2", b"f3", b"f4", b"f5", b"f6", b"7", b"", b"a field of more than ten bytes", b"g" * 70]
FAR = [b"4102444800", b"4102444801", b"4202444800", b"0", b"-1", b"1", b"x", b"9223372036854775807", b"281474976710655"]

key = st.one_of(st.sampled_from(KEYS), st.sampled_from(KEYS[:1]))
element = st.one_of(st.sampled_from(ELEMENTS), st.sampled_from(ELEMENTS[:4]), st.binary(max_size=90))
field = st.one_of(st.sampled_from(FIELDS), st.sampled_from(FIELDS[:6]))
index = st.one_of(
    st.integers(-12, 12).map(lambda n: b"%d" % n),
    st.sampled_from([b"x", b"9223372036854775807", b"-9223372036854775808", b""]),
)
small = st.integers(-12, 12).map(lambda n: b"%d" % n)  # redis-server cuts LSET's index to 32 bits
count = st.one_of(
    st.integers(-3, 6).map(lambda n: b"%d" % n),
    st.sampled_from([b"x", b"9223372036854775807", b"-9223372036854775808"]),
)
end = word("LEFT", "RIGHT", "left", "FOO")
number = st.one_of(
    st.integers(-20, 20).map(lambda n: b"%d" % n),
    st.sampled_from([b"9223372036854775807", b"x", b"1.5", b"3.0e3", b"nan", b"inf"]),
)
seconds = st.sampled_from([b"1000", b"5000", b"100000", b"0", b"-1", b"x", b"9223372036854775807"])
lpos_option = st.one_of(
    st.tuples(word("RANK", "COUNT", "MAXLEN", "rank", "FOO"), count), word("RANK").map(lambda w: (w,))
)
timeout = st.sampled_from([b"0.01", b"0.02", b"-1", b"x", b"0.01"])
fields = st.lists(field, min_size=1, max_size=3).map(lambda f: (b"FIELDS", b"%d" % len(f), *f))
bad_fields = st.sampled_from(
    [
        (b"FIELDS", b"0"),
        (b"FIELDS", b"2", b"f1"),
        (b"FIELDS", b"x", b"f1"),
        (b"FOO", b"1", b"f1"),
        (b"FIELDS", b"1", b"f1", b"f2"),
    ]
)
condition = some(word("NX", "XX", "GT", "LT", "gt"), 0, 1)


def sane(command: Command) -> bool:
    """Redis 7.0 takes the one count that has no negative, 7.2 and Shoal refuse it."""
    return b"-9223372036854775808" not in command[2:]


LISTS = st.one_of(
    call("LPUSH", key, some(element, 1, 6)), call("RPUSH", key, some(element, 1, 6)), call("RPUSH", key, some(element, 1, 12)),
    call("LPUSHX", key, some(element, 1, 2)), call("RPUSHX", key, some(element, 1, 2)),
    call("LPOP", key), call("RPOP", key), call("LPOP", key, count), call("RPOP", key, count), call("LPOP", key, count, count),
    call("LLEN", key), call("LINDEX", key, index), call("LRANGE", key, index, index), call("LRANGE", key, st.just(b"0"), st.just(b"-1")),
    call("LSET", key, small, element), call("LINSERT", key, word("BEFORE", "AFTER", "FOO"), element, element),
    call("LREM", key, count, element).filter(sane), call("LTRIM", key, index, index), call("LPOS", key, element, some(lpos_option, 0, 3)).filter(sane),
    call("LMOVE", key, key, end, end), call("RPOPLPUSH", key, key), call("LMPOP", word("1", "2", "0", "x", "2"), some(key, 1, 2), end),
    call("LMPOP", st.just(b"2"), key, key, end, word("COUNT", "FOO"), count),
    call("BLPOP", some(key, 1, 2), timeout), call("BRPOP", key, timeout), call("BLMOVE", key, key, end, end, timeout),
    call("BRPOPLPUSH", key, key, timeout), call("BLMPOP", timeout, word("1", "2"), some(key, 1, 2), end, some(st.tuples(word("COUNT"), count), 0, 1)),
)  # fmt: skip
HASHES = st.one_of(
    call("HSET", key, some(st.tuples(field, element), 1, 4)), call("HSET", key, some(st.tuples(field, element), 1, 8)),
    call("HSET", key, some(element, 1, 3)), call("HMSET", key, some(st.tuples(field, element), 1, 3)), call("HMSET", key, field, field, field),
    call("HSETNX", key, field, element), call("HGET", key, field), call("HMGET", key, some(field, 1, 4)), call("HDEL", key, some(field, 1, 4)),
    call("HLEN", key), call("HSTRLEN", key, field), call("HEXISTS", key, field), call("HGETALL", key), call("HKEYS", key), call("HVALS", key),
    call("HINCRBY", key, field, number), call("HINCRBYFLOAT", key, field, number), call("HRANDFIELD", key, some(count, 0, 1)),
    call("HRANDFIELD", key, count, word("WITHVALUES", "FOO")), call("HSCAN", key, word("0", "x", "0"), some(st.tuples(word("COUNT", "MATCH"), word("1000", "*", "0", "f*", "x")), 0, 2)),
)  # fmt: skip
TIMES = st.one_of(
    call("HEXPIRE", key, seconds, condition, fields), call("HPEXPIRE", key, seconds, condition, fields),
    call("HEXPIREAT", key, st.sampled_from(FAR), condition, fields), call("HPEXPIREAT", key, st.sampled_from(FAR), condition, fields),
    call("HTTL", key, fields), call("HEXPIRETIME", key, fields), call("HPERSIST", key, fields), call("HEXPIRE", key, seconds, bad_fields),
    call("HTTL", key, bad_fields), call("HPERSIST", key, bad_fields), call("HPEXPIRETIME", key, fields),
)  # fmt: skip
OTHERS = st.one_of(
    call("DEL", key), call("SET", key, st.just(b"text")), call("COPY", key, key, some(word("REPLACE"), 0, 1)), call("RENAME", key, key),
    call("TYPE", key), call("OBJECT ENCODING", key), call("OBJECT ENCODING", key), call("MULTI"), call("EXEC"), call("EXEC"), call("EXPIRE", key, st.just(b"1000")),
)  # fmt: skip
LIMITS = st.fixed_dictionaries({
    "list-max-listpack-size": st.sampled_from([-2, -1, 1, 3, 5, 128]),
    "hash-max-listpack-entries": st.sampled_from([512, 4, 0]),
    "hash-max-listpack-value": st.sampled_from([64, 10]),
})  # fmt: skip


def plans(*kinds: st.SearchStrategy[Command]) -> st.SearchStrategy[Any]:
    command = st.one_of(*kinds, *kinds, OTHERS)
    return st.lists(st.tuples(st.integers(0, 2), st.lists(command, min_size=1, max_size=6)), max_size=40)


class Compared(Pair):
    """A connection to each; hashes are compared without order, random picks by their number."""

    version = 0
    field_times = False

    def check(self, command: Command, ours: Any, theirs: Any) -> None:
        name = command[0].upper()
        if name == b"EXEC" and ours[0] == theirs[0] == "*" and ours[1] is not None and theirs[1] is not None:
            assert len(ours[1]) == len(theirs[1]) == len(self.queued), (self.queued, ours, theirs)
            for queued, a, b in zip(self.queued, ours[1], theirs[1], strict=True):
                self.equal(queued, a, b)
        else:
            self.equal(command, ours, theirs)
        if theirs == ("+", b"QUEUED"):
            self.queued.append(command)
        elif name in (b"EXEC", b"DISCARD", b"MULTI"):
            self.queued = [] if theirs[0] != "-" or b"EXECABORT" in theirs[1] else self.queued

    def equal(self, command: Command, ours: Any, theirs: Any) -> None:
        name = command[0].upper()
        if name == b"OBJECT" and self.version < 0x070200:
            return
        if name in (b"HGETALL", b"HKEYS", b"HVALS", b"HSCAN") and ours[0] == theirs[0] and ours[0] in "*%":
            ours, theirs = canonical(name, ours), canonical(name, theirs)
        if name == b"HRANDFIELD" and ours[0] != "-" and theirs[0] != "-":
            assert ours[0] == theirs[0], (command, ours, theirs)
            if ours[0] == "*":
                assert len(ours[1]) == len(theirs[1]), (command, ours, theirs)
            return
        if name in (b"HTTL",) and ours[0] == theirs[0] == "*":
            for a, b in zip(ours[1], theirs[1], strict=True):
                assert abs(int(a[1]) - int(b[1])) <= 1, (command, ours, theirs)
            return
        if name in (b"HEXPIRETIME", b"HPEXPIRETIME") and ours[0] == theirs[0] == "*":
            for a, b in zip(ours[1], theirs[1], strict=True):
                assert abs(int(a[1]) - int(b[1])) <= (2 if name == b"HEXPIRETIME" else 2000), (command, ours, theirs)
            return
        assert ours == theirs or allowed(command, ours, theirs), (command, ours, theirs)


def canonical(name: bytes, reply: Any) -> Any:
    if name == b"HSCAN":
        return reply[1][0], canonical(b"HGETALL", reply[1][1])
    items = reply[1]
    if name == b"HGETALL":
        return reply[0], sorted((str(items[i]), str(items[i + 1])) for i in range(0, len(items), 2))
    return reply[0], sorted(map(str, items))


def compare(ports: tuple[int, int], limits: dict[str, int], plan: list[tuple[int, list[Command]]]) -> None:
    pairs = [Compared(ports, resp) for resp in (2, 2, 3)]
    try:
        pairs[0].both("FLUSHALL")
        for name, value in limits.items():
            assert pairs[0].both("CONFIG", "SET", name, value) == (("+", b"OK"), ("+", b"OK"))
        for which, commands in plan:
            pairs[which].run(commands)
        for p in pairs:
            p.check((b"DISCARD",), *p.both("DISCARD"))
        for k in KEYS:
            for command in ((b"TYPE", k), (b"OBJECT", b"ENCODING", k), (b"LRANGE", k, b"0", b"-1"), (b"HGETALL", k)):
                pairs[0].equal(command, *pairs[0].both(*command))
    finally:
        for p in pairs:
            p.close()


@pytest.fixture(scope="module")
def peers(pair: tuple[int, int]) -> tuple[int, int]:
    """The two servers; what the peer can is noted."""
    probe = Compared(pair, 2)
    info = probe.both("INFO", "server")[1][1].decode()
    words = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    major, minor = (int(n) for n in words["redis_version"].split(".")[:2])
    Compared.version = major << 16 | minor << 8
    Compared.field_times = (major, minor) >= (7, 4) and "valkey_version" not in words
    probe.close()
    return pair


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(limits=LIMITS, plan=plans(LISTS))
def test_lists(peers: tuple[int, int], limits: dict[str, int], plan: Any) -> None:
    compare(peers, limits, plan)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(limits=LIMITS, plan=plans(HASHES))
def test_hashes(peers: tuple[int, int], limits: dict[str, int], plan: Any) -> None:
    compare(peers, limits, plan)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(limits=LIMITS, plan=plans(HASHES, TIMES))
def test_times_of_fields(peers: tuple[int, int], limits: dict[str, int], plan: Any) -> None:
    if not Compared.field_times:
        pytest.skip("this redis-server has no HEXPIRE")
    compare(peers, limits, plan)
