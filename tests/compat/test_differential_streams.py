"""Random commands on streams and consumer groups, to Shoal with two workers and to redis-server: every reply must be the same.

Ids are given or follow from given ones, so that both servers make the same; what tells times (idle, seen-time) is compared by its form. Small
nodes (stream-node-max-entries) make trimming, deleting and reading cross them often. Where Redis 7.2 answers otherwise than the peer,
`equal` names the case. SHOAL_DIFFERENTIAL_EXAMPLES sets how many examples are run.
"""

from __future__ import annotations

from typing import Any

from differences import allowed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_differential import EXAMPLES, Command, Pair, call, some, word

KEYS = [b"x", b"y", b"str"]
GROUPS = [b"g", b"h"]
key = st.sampled_from([b"x", b"x", b"x", b"y", b"y", b"str", b"none"])
group = st.sampled_from([b"g", b"g", b"g", b"h", b"nogroup"])
consumer = st.sampled_from([b"alice", b"bob", b"carol"])
new_id = st.one_of(
    st.integers(1, 40).map(lambda n: b"%d-*" % n),
    st.tuples(st.integers(0, 40), st.integers(0, 3)).map(lambda p: b"%d-%d" % p),
    st.sampled_from([b"18446744073709551615-18446744073709551615", b"0-0", b"x", b"1-", b"-1", b"5", b"1-x", b"18446744073709551616-1", b""]),
)
some_id = st.one_of(
    st.tuples(st.integers(0, 40), st.integers(0, 2)).map(lambda p: b"%d-%d" % p),
    st.tuples(st.integers(0, 40), st.integers(0, 2)).map(lambda p: b"%d-%d" % p),
    st.integers(0, 40).map(lambda n: b"%d" % n),
    st.sampled_from([b"x", b"-", b"+", b"$", b"", b"1-x", b"18446744073709551615-18446744073709551615"]),
)
bound = st.one_of(some_id, some_id.map(lambda i: b"(" + i), st.sampled_from([b"-", b"+", b"-", b"+"]))
count = st.sampled_from([b"1", b"2", b"3", b"10", b"0", b"-1", b"x", b"9223372036854775807"])
pair_of = st.tuples(st.sampled_from([b"f", b"g", b"other", b""]), st.one_of(st.integers(-5, 300).map(lambda n: b"%d" % n), st.sampled_from([b"text", b"", b"v" * 100])))
trim = st.one_of(
    st.tuples(word("MAXLEN", "maxlen"), count),
    st.tuples(word("MAXLEN", "MINID"), word("=", "~"), count),
    st.tuples(word("MINID"), some_id),
    st.tuples(word("MAXLEN", "MINID"), word("~", "="), count, word("LIMIT"), count),
    word("NOMKSTREAM", "MAXLEN", "FOO").map(lambda w: (w,)),
)
block = st.tuples(word("BLOCK"), st.sampled_from([b"5", b"1", b"-1", b"x"]))
read_option = st.one_of(st.tuples(word("COUNT", "count"), count), block, word("NOACK", "FOO").map(lambda w: (w,)))


@st.composite
def streams(draw: st.DrawFn, ids: st.SearchStrategy[bytes]) -> tuple[bytes, ...]:
    """STREAMS, keys and ids, seldom with one too few."""
    keys = draw(st.lists(st.sampled_from([b"x", b"y", b"x", b"str", b"none"]), min_size=1, max_size=2))
    words = [b"STREAMS", *keys, *(draw(ids) for _ in keys)]
    return tuple(words[: draw(st.sampled_from([len(words)] * 9 + [len(words) - 1]))])


after = st.one_of(some_id, st.sampled_from([b"0", b"$", b"0", b"+"]))
group_after = st.one_of(st.just(b">"), st.just(b">"), st.just(b">"), some_id, st.sampled_from([b"0", b"0", b"$"]))
claim_option = st.one_of(
    st.tuples(word("IDLE", "RETRYCOUNT", "TIME"), st.sampled_from([b"0", b"7", b"1000", b"-1", b"x"])), st.tuples(word("LASTID"), some_id),
    word("FORCE", "JUSTID", "FOO").map(lambda w: (w,)),
)  # fmt: skip
min_idle = st.sampled_from([b"0", b"0", b"100000", b"-1", b"x"])

COMMANDS = st.one_of(
    call("XADD", key, new_id, some(pair_of, 1, 3)), call("XADD", key, new_id, some(pair_of, 1, 3)), call("XADD", key, new_id, some(pair_of, 1, 2)),
    call("XADD", key, some(trim, 1, 2), new_id, some(pair_of, 1, 2)), call("XADD", key, new_id, some(consumer, 0, 3)),
    call("XLEN", key), call("XRANGE", key, bound, bound, some(st.tuples(word("COUNT", "FOO"), count), 0, 1)),
    call("XREVRANGE", key, bound, bound, some(st.tuples(word("COUNT"), count), 0, 1)), call("XRANGE", key, st.just(b"-"), st.just(b"+")),
    call("XDEL", key, some(some_id, 1, 3)), call("XDEL", key, some(some_id, 1, 3)), call("XTRIM", key, some(trim, 1, 2)),
    call("XSETID", key, some_id, some(st.one_of(st.tuples(word("ENTRIESADDED"), count), st.tuples(word("MAXDELETEDID"), some_id)), 0, 2)),
    call("XREAD", some(read_option, 0, 2), streams(after)), call("XREAD", some(st.tuples(word("COUNT"), count), 0, 1), streams(after)),
    call("XGROUP CREATE", key, group, after, some(st.one_of(word("MKSTREAM", "FOO").map(lambda w: (w,)), st.tuples(word("ENTRIESREAD"), count)), 0, 2)),
    call("XGROUP CREATE", key, group, after, st.just(b"MKSTREAM")), call("XGROUP SETID", key, group, after, some(st.tuples(word("ENTRIESREAD"), count), 0, 1)),
    call("XGROUP DESTROY", key, group), call("XGROUP CREATECONSUMER", key, group, consumer), call("XGROUP DELCONSUMER", key, group, consumer),
    call("XREADGROUP GROUP", group, consumer, some(read_option, 0, 2), streams(group_after)),
    call("XREADGROUP GROUP", group, consumer, some(st.tuples(word("COUNT"), count), 0, 1), streams(group_after)),
    call("XREADGROUP GROUP", group, consumer, streams(st.just(b">"))), call("XREADGROUP GROUP", group, consumer, streams(st.just(b"0"))),
    call("XACK", key, group, some(some_id, 1, 3)), call("XPENDING", key, group), call("XPENDING", key, group, bound, bound, count, some(consumer, 0, 1)),
    call("XPENDING", key, group, word("IDLE", "FOO"), min_idle, bound, bound, count, some(consumer, 0, 1)),
    call("XCLAIM", key, group, consumer, min_idle, some(some_id, 1, 3), some(claim_option, 0, 2)),
    call("XAUTOCLAIM", key, group, consumer, min_idle, bound, some(st.one_of(st.tuples(word("COUNT"), count), word("JUSTID", "FOO").map(lambda w: (w,))), 0, 2)),
    call("XINFO STREAM", key), call("XINFO STREAM", key, word("FULL", "FOO"), some(st.tuples(word("COUNT"), count), 0, 1)),
    call("XINFO GROUPS", key), call("XINFO CONSUMERS", key, group),
)  # fmt: skip
OTHERS = st.one_of(
    call("DEL", key), call("SET", st.just(b"str"), st.just(b"v")), call("COPY", key, key, some(word("REPLACE"), 0, 1)), call("RENAME", key, key),
    call("TYPE", key), call("OBJECT ENCODING", key), call("EXPIRE", key, st.just(b"1000")), call("MULTI"), call("EXEC"), call("EXEC"),
)  # fmt: skip
NODES = st.fixed_dictionaries({
    "stream-node-max-entries": st.sampled_from([100, 2, 3, 5]),
    "stream-node-max-bytes": st.sampled_from([4096, 4096, 150]),
})  # fmt: skip
STEPS = st.lists(st.tuples(st.integers(0, 2), st.lists(st.one_of(COMMANDS, COMMANDS, COMMANDS, OTHERS), min_size=1, max_size=6)), max_size=30)

TIMES = (b"idle", b"inactive", b"seen-time", b"active-time")
INTERNAL = (b"radix-tree-keys", b"radix-tree-nodes")
"""Of XINFO STREAM: how Redis' tree looks is not how ours does."""


def plain(reply: Any) -> Any:
    """Without the type characters; maps and lists of pairs are the same."""
    kind, value = reply
    if isinstance(value, list):
        return [plain(item) for item in value]
    return kind, value


def fields(items: list[Any]) -> dict[Any, Any]:
    return {items[i][1]: items[i + 1] for i in range(0, len(items), 2)}


def without_times(command: Command, reply: Any) -> Any:
    """Replies that tell how long ago something was: only that they tell it."""
    name = tuple(w.upper() for w in command[:2])
    if reply[0] == "-" or not isinstance(reply[1], list):
        return reply
    value = plain(reply)
    if name[0] == b"XPENDING" and len(command) > 3:
        return [(item[0], item[1], item[3]) for item in value]
    if name == (b"XINFO", b"CONSUMERS"):
        return [tuple((k, v) for k, v in fields(item).items() if k not in TIMES) for item in value]
    if name == (b"XINFO", b"STREAM"):
        return known(value)
    return reply


def known(value: Any) -> Any:
    """XINFO STREAM, also FULL: no times, nothing of the tree."""
    if not isinstance(value, list):
        return value
    if len(value) > 1 and isinstance(value[0], tuple) and value[0][0] == "$" and len(value) % 2 == 0:
        found = fields(value)
        if b"name" in found or b"length" in found:
            return {k: pending(known(v)) if k in (b"pending", b"pel") else known(v) for k, v in found.items() if k not in TIMES and k not in INTERNAL}
    return [known(item) for item in value]


def pending(entries: Any) -> Any:
    """Entries of a pending list: id, perhaps the consumer, a time, a count."""
    if not isinstance(entries, list):
        return entries
    return [[part for i, part in enumerate(entry) if i != len(entry) - 2] if isinstance(entry, list) else entry for entry in entries]


def equal(command: Command, ours: Any, theirs: Any) -> bool:
    return bool(without_times(command, ours) == without_times(command, theirs)) or allowed(command, ours, theirs)


def with_consumers(batch: list[Command]) -> list[Command]:
    """From 7.2 on XREADGROUP, XCLAIM and XAUTOCLAIM make their consumer even when there is nothing for it, so it is there before."""
    found: list[Command] = []
    for command in batch:
        keys: tuple[bytes, ...] = ()
        if command[0] in (b"XCLAIM", b"XAUTOCLAIM"):
            keys, who = command[1:2], command[2:4]
        elif command[0] == b"XREADGROUP":
            keys, who = command[command.index(b"STREAMS") + 1 :][:2], command[2:4]
        found += [(b"XGROUP", b"CREATECONSUMER", key, *who) for key in keys]
        found.append(command)
    return found


class Streams(Pair):
    """A connection to each."""

    def check(self, command: Command, ours: Any, theirs: Any) -> None:
        name = command[0].upper()
        if name == b"EXEC" and ours[0] == theirs[0] == "*" and ours[1] is not None and theirs[1] is not None:
            assert len(ours[1]) == len(theirs[1]) == len(self.queued), (self.queued, ours, theirs)
            for queued, a, b in zip(self.queued, ours[1], theirs[1], strict=True):
                assert equal(queued, a, b), (queued, a, b)
        else:
            assert equal(command, ours, theirs), (command, ours, theirs)
        if theirs == ("+", b"QUEUED"):
            self.queued.append(command)
        elif name in (b"EXEC", b"DISCARD", b"MULTI"):
            self.queued = [] if theirs[0] != "-" or b"EXECABORT" in theirs[1] else self.queued


def compare_all(pair: Streams) -> None:
    for name in KEYS:
        for words in (
            (b"XRANGE", name, b"-", b"+"), (b"XINFO", b"STREAM", name, b"FULL", b"COUNT", b"0"), (b"XINFO", b"GROUPS", name),
            *((b"XINFO", b"CONSUMERS", name, g) for g in GROUPS), *((b"XPENDING", name, g, b"-", b"+", b"1000") for g in GROUPS),
            (b"DEBUG", b"DIGEST-VALUE", name),
        ):  # fmt: skip
            pair.check(words, *pair.both(*words))


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(nodes=NODES, plan=STEPS)
def test_replies_on_streams_are_the_same(pair: tuple[int, int], nodes: dict[str, int], plan: list[tuple[int, list[Command]]]) -> None:
    pairs = [Streams(pair, resp) for resp in (2, 2, 3)]
    try:
        pairs[0].both("FLUSHALL")
        for name, value in nodes.items():
            assert pairs[0].both("CONFIG", "SET", name, value) == (("+", b"OK"), ("+", b"OK"))
        for which, batch in plan:
            pairs[which].run(with_consumers(batch))
        for p in pairs:
            p.check((b"DISCARD",), *p.both("DISCARD"))
        compare_all(pairs[0])
    finally:
        for p in pairs:
            p.close()
