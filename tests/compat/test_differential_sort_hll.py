"""Random SORT, HyperLogLog and DUMP/RESTORE commands, to Shoal with two workers and to redis-server: every reply must be the same.

HyperLogLogs must be equal byte by byte (GET), sparse and dense. A value that one server has dumped is restored by the other.
SHOAL_DIFFERENTIAL_EXAMPLES sets how many examples are run.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_differential import EXAMPLES, Command, Pair, call, some, word

KEYS = [b"l", b"s", b"z", b"h1", b"h2", b"h3", b"str", b"dst"]
sortable = st.sampled_from([b"l", b"l", b"l", b"s", b"z", b"z", b"str", b"none", b"h1"])
hll = st.sampled_from([b"h1", b"h1", b"h2", b"h3", b"str", b"none", b"l"])
element = st.sampled_from([b"1", b"2", b"3", b"10", b"-4", b"2.5", b"inf", b"b", b"a", b"B", b"", b"9"])
numbers = st.integers(-20, 20).map(lambda n: b"%d" % n)
number = st.sampled_from([b"0", b"1", b"2", b"5", b"-1", b"x", b"100"])
pattern = st.sampled_from([b"w_*", b"w_*", b"nosort", b"hash_*->f", b"hash_*->", b"*", b"w_1", b"none_*", b"#"])
option = st.one_of(
    st.tuples(word("BY"), pattern), st.tuples(word("GET", "get"), pattern), st.tuples(word("GET"), st.just(b"#")),
    st.tuples(word("LIMIT"), number, number), word("ASC", "DESC", "ALPHA", "ALPHA", "FOO", "BY").map(lambda w: (w,)),
)  # fmt: skip
many = st.tuples(st.integers(0, 3000), st.sampled_from([1, 5, 60, 400])).map(lambda p: tuple(b"e%d" % i for i in range(p[0], p[0] + p[1])))

COMMANDS = st.one_of(
    call("RPUSH", st.just(b"l"), some(numbers, 1, 8)), call("RPUSH", st.just(b"l"), some(element, 1, 3)), call("SADD", st.just(b"s"), some(numbers, 1, 8)),
    call("ZADD", st.just(b"z"), some(st.tuples(numbers, numbers), 1, 5)), call("DEL", st.sampled_from(KEYS)),
    call("SET", st.sampled_from([b"w_1", b"w_2", b"w_3", b"w_-4", b"w_10", b"w_b"]), element), call("HSET", st.sampled_from([b"hash_1", b"hash_2", b"hash_a"]), st.just(b"f"), element),
    call("SORT", sortable, some(option, 0, 3)), call("SORT", sortable, some(option, 0, 3)), call("SORT_RO", sortable, some(option, 0, 3)),
    call("SORT", sortable, some(option, 0, 2), word("STORE"), st.just(b"dst")), call("SORT_RO", sortable, word("STORE"), st.just(b"dst")),
    call("LRANGE", st.just(b"dst"), st.just(b"0"), st.just(b"-1")),
)  # fmt: skip
HLLS = st.one_of(
    call("PFADD", hll, some(element, 0, 3)), call("PFADD", hll, many), call("PFADD", hll, many), call("PFCOUNT", some(hll, 1, 3)), call("PFCOUNT", hll),
    call("PFMERGE", hll, some(hll, 0, 3)), call("GET", hll), call("STRLEN", hll), call("PFDEBUG", word("ENCODING", "DECODE", "TODENSE", "GETREG", "FOO"), hll),
    call("SET", st.just(b"str"), element), call("SETRANGE", st.sampled_from([b"h2", b"h3"]), st.sampled_from([b"0", b"4", b"15", b"16", b"20"]), st.sampled_from([b"X", b"\x00", b"HYLL", b"\xff"])),
    call("DEL", hll), call("COPY", hll, hll),
)  # fmt: skip


def unsteady(command: Command) -> bool:
    """SORT of equal weights, and of sets that nothing sorts: their order is not defined. PFDEBUG GETREG is long and tells what GET does."""
    return command[0] in (b"SORT", b"SORT_RO") and (b"BY" in command or b"ALPHA" not in command or command[1] != b"l")


def items(reply: Any) -> Any:
    return sorted(map(str, reply[1])) if reply[0] == "*" and reply[1] is not None else reply


def compare(command: Command, ours: Any, theirs: Any) -> None:
    if unsteady(command) and b"LIMIT" in command and ours[0] == theirs[0] == "*":
        assert len(ours[1]) == len(theirs[1]), (command, ours, theirs)
    elif unsteady(command):
        assert items(ours) == items(theirs), (command, ours, theirs)
    else:
        assert ours == theirs, (command, ours, theirs)


def run(pair: Pair, command: Command) -> None:
    compare(command, *pair.both(*command))
    if b"STORE" in command and unsteady(command):
        pair.both("DEL", "dst")


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=st.lists(st.tuples(st.integers(0, 1), COMMANDS), max_size=60))
def test_sort(pair: tuple[int, int], plan: list[tuple[int, Command]]) -> None:
    pairs = [Pair(pair, resp) for resp in (2, 3)]
    try:
        pairs[0].both("FLUSHALL")
        for which, command in plan:
            run(pairs[which], command)
    finally:
        for p in pairs:
            p.close()


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(limit=st.sampled_from([3000, 200, 20]), plan=st.lists(st.tuples(st.integers(0, 1), HLLS), max_size=40))
def test_hyperloglogs_are_the_same_bytes(pair: tuple[int, int], limit: int, plan: list[tuple[int, Command]]) -> None:
    pairs = [Pair(pair, resp) for resp in (2, 3)]
    try:
        pairs[0].both("FLUSHALL")
        pairs[0].both("CONFIG", "SET", "hll-sparse-max-bytes", limit)
        for which, command in plan:
            run(pairs[which], command)
        for key in KEYS:
            compare((b"GET", key), *pairs[0].both("GET", key))
    finally:
        for p in pairs:
            p.close()


@settings(max_examples=EXAMPLES // 3, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=st.lists(st.one_of(COMMANDS, HLLS), min_size=5, max_size=40))
def test_dumped_here_restored_there(pair: tuple[int, int], plan: list[Command]) -> None:
    p = Pair(pair, 2)
    try:
        p.both("FLUSHALL")
        for command in plan:
            p.both(*command)
        p.both("DEL", "dst")  # what SORT leaves of equal elements is not defined
        for key in KEYS:
            ours, theirs = p.both("DUMP", key)
            assert (ours[1] is None) == (theirs[1] is None), key
            if theirs[1] is None:
                continue
            p.ours.send("RESTORE", key, 0, theirs[1], "REPLACE")
            p.theirs.send("RESTORE", key, 0, ours[1], "REPLACE")
            assert p.ours.read() == p.theirs.read() == "OK", key
        assert p.both("DEBUG", "DIGEST")[0] == p.both("DEBUG", "DIGEST")[1]
    finally:
        p.close()
