"""Random commands on sets, sorted sets and positions, to Shoal with two workers and to redis-server: every reply must be the same.

The steps and the comparison are those of test_differential.py; here the commands are other ones. Replies without an order are compared as
such; of random members only form and number are compared, and the keys they were taken from are then removed. The encodings of sets are
those of Redis 7.2, so they are compared where the peer has them.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_differential import EXAMPLES, Command, Pair, call, some, unordered, word

KEYS = [b"s", b"t", b"z", b"y", b"g", b"str", b"lex"]
LONG = b"a member that is longer than sixty-four bytes, so that it fits into no listpack at all"
key = st.sampled_from(KEYS[:-1])
set_key = st.sampled_from([b"s", b"t", b"s", b"t", b"s", b"t", b"z", b"str", b"none"])
zset_key = st.sampled_from([b"z", b"y", b"z", b"y", b"z", b"y", b"s", b"str", b"none"])
lex_key = st.sampled_from([b"lex"] * 6 + [b"str", b"none"])  # all scores equal: else what a range of names holds is not defined
geo_key = st.sampled_from([b"g", b"g", b"g", b"z", b"str", b"none"])
member = st.one_of(
    st.integers(0, 12).map(lambda n: b"%d" % n),
    st.sampled_from([b"a", b"b", b"c", b"aa", b"", b"-1", b"70000", b"9223372036854775807", b"\xff\x00", b"01", LONG]),
    st.integers(0, 400).map(lambda n: b"m%d" % n),
)
many_members = st.one_of(
    st.integers(1, 700).map(lambda n: tuple(b"%d" % i for i in range(n))),
    st.integers(1, 200).map(lambda n: tuple(b"m%d" % i for i in range(n))),
)
score = st.one_of(
    st.integers(-5, 5).map(lambda n: b"%d" % n),
    st.sampled_from([b"1.5", b"-0", b"inf", b"-inf", b"+inf", b"1e3", b"0.1", b"3.0", b"1e300", b"9007199254740993", b"x", b"nan", b""]),
    st.floats(-1000, 1000, allow_nan=False).map(lambda f: repr(f).encode()),
)
number = st.sampled_from([b"0", b"1", b"2", b"3", b"-1", b"-2", b"10", b"x", b"9223372036854775807", b"-9223372036854775808"])
small = st.sampled_from([b"0", b"1", b"2", b"3", b"5", b"x", b"-1"])
bound = st.one_of(
    score, score.map(lambda s: b"(" + s), st.sampled_from([b"-inf", b"+inf", b"(1", b"(", b"abc", b"(nan", b"1e400"])
)
lex = st.one_of(
    member.map(lambda m: b"[" + m), member.map(lambda m: b"(" + m), st.sampled_from([b"-", b"+", b"-", b"+", b"[", b"(", b"x", b""])
)
limit = st.tuples(word("LIMIT"), number, number)
with_scores = word("WITHSCORES").map(lambda w: (w,))
range_option = st.one_of(word("REV", "BYSCORE", "WITHSCORES", "rev", "FOO").map(lambda w: (w,)), limit)
add_option = some(word("NX", "XX", "GT", "LT", "CH", "INCR", "ch"), 0, 2)
pair_of = st.tuples(score, member)
pairs_many = st.integers(1, 200).map(lambda n: tuple(w for i in range(n) for w in (b"%d" % (i % 17), b"m%d" % i)))


def counted(strategy: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[bytes, ...]]:
    """numkeys and keys, seldom with a wrong number."""
    return st.tuples(st.lists(strategy, min_size=1, max_size=3), st.sampled_from([0, 0, 0, 0, 0, 0, 1, -1])).map(
        lambda p: (b"%d" % (len(p[0]) + p[1]), *p[0])
    )


any_key = st.one_of(set_key, zset_key)
combine = some(
    st.one_of(
        st.tuples(word("WEIGHTS"), score), st.tuples(word("WEIGHTS"), score, score), st.tuples(word("AGGREGATE"), word("SUM", "MIN", "MAX", "X")),
        with_scores,
    ),
    0, 2,
)  # fmt: skip
longitude = st.sampled_from([b"13.361389", b"15.087269", b"0", b"179.99", b"-179.99", b"2.5", b"181", b"x"])
latitude = st.sampled_from([b"38.115556", b"37.502669", b"0", b"85.05", b"-85.05", b"10.5", b"86"])
place = st.sampled_from([b"Palermo", b"Catania", b"p1", b"p2", b"p3", b"p4"])
unit = st.sampled_from([b"m", b"km", b"ft", b"mi", b"KM", b"xx"])
distance = st.sampled_from([b"0", b"100", b"200", b"5000", b"20000", b"-1", b"x", b"1.5"])
origin = st.one_of(st.tuples(word("FROMMEMBER"), place), st.tuples(word("FROMLONLAT"), longitude, latitude))
shape = st.one_of(st.tuples(word("BYRADIUS"), distance, unit), st.tuples(word("BYBOX"), distance, distance, unit))
order = word("ASC", "DESC")
geo_option = st.one_of(
    word("WITHDIST", "WITHHASH", "WITHCOORD", "FOO").map(lambda w: (w,)), st.tuples(word("COUNT"), small), st.tuples(word("COUNT"), small, word("ANY"))
)
store_option = st.one_of(st.tuples(word("STORE", "STOREDIST"), key), order.map(lambda w: (w,)))

SET_COMMANDS = st.one_of(
    call("SADD", set_key, some(member, 1, 4)), call("SADD", set_key, some(member, 1, 4)), call("SADD", set_key, many_members),
    call("SREM", set_key, some(member, 1, 4)), call("SREM", set_key, many_members), call("SMOVE", set_key, set_key, member),
    call("SISMEMBER", set_key, member), call("SMISMEMBER", set_key, some(member, 1, 3)), call("SCARD", set_key), call("SMEMBERS", set_key),
    call("SINTER", some(set_key, 1, 3)), call("SUNION", some(set_key, 1, 3)), call("SDIFF", some(set_key, 1, 3)),
    call("SINTERSTORE", set_key, some(set_key, 1, 3)), call("SUNIONSTORE", set_key, some(set_key, 1, 3)),
    call("SDIFFSTORE", set_key, some(set_key, 1, 3)), call("SINTERCARD", counted(set_key), some(st.tuples(word("LIMIT"), small), 0, 1)),
    call("SRANDMEMBER", set_key, some(small, 0, 1)), call("SPOP", set_key, some(small, 0, 1)),
    call("SSCAN", set_key, word("0", "x", "0"), some(st.tuples(word("MATCH", "COUNT"), word("m*", "1000", "0")), 0, 2)),
)  # fmt: skip
ZSET_COMMANDS = st.one_of(
    call("ZADD", zset_key, add_option, some(pair_of, 1, 4)), call("ZADD", zset_key, add_option, some(pair_of, 1, 4)),
    call("ZADD", zset_key, pairs_many), call("ZADD", zset_key, some(word("NX", "INCR"), 0, 2), some(member, 1, 2)),
    call("ZINCRBY", zset_key, score, member), call("ZREM", zset_key, some(member, 1, 4)), call("ZCARD", zset_key),
    call("ZSCORE", zset_key, member), call("ZMSCORE", zset_key, some(member, 1, 3)), call("ZRANK", zset_key, member),
    call("ZREVRANK", zset_key, member), call("ZCOUNT", zset_key, bound, bound), call("ZLEXCOUNT", lex_key, lex, lex),
    call("ZRANGE", zset_key, number, number, some(range_option, 0, 2)), call("ZRANGE", zset_key, bound, bound, st.just(b"BYSCORE"), some(range_option, 0, 2)),
    call("ZADD", st.just(b"lex"), some(st.tuples(st.just(b"0"), member), 1, 6)), call("ZADD", st.just(b"lex"), some(st.tuples(st.just(b"0"), member), 1, 6)),
    call("ZRANGE", lex_key, lex, lex, st.just(b"BYLEX"), some(range_option, 0, 2)),
    call("ZREVRANGE", zset_key, number, number, some(with_scores, 0, 1)), call("ZRANGEBYSCORE", zset_key, bound, bound, some(range_option, 0, 2)),
    call("ZREVRANGEBYSCORE", zset_key, bound, bound, some(range_option, 0, 2)), call("ZRANGEBYLEX", lex_key, lex, lex, some(limit, 0, 1)),
    call("ZREVRANGEBYLEX", lex_key, lex, lex, some(limit, 0, 1)), call("ZRANGESTORE", zset_key, zset_key, number, number, some(range_option, 0, 2)),
    call("ZRANGESTORE", zset_key, zset_key, bound, bound, st.just(b"BYSCORE"), some(range_option, 0, 2)),
    call("ZREMRANGEBYRANK", zset_key, number, number), call("ZREMRANGEBYSCORE", zset_key, bound, bound),
    call("ZREMRANGEBYLEX", lex_key, lex, lex), call("ZPOPMIN", zset_key, some(small, 0, 1)), call("ZPOPMAX", zset_key, some(small, 0, 1)),
    call("ZMPOP", counted(zset_key), word("MIN", "MAX", "X"), some(st.tuples(word("COUNT"), small), 0, 1)),
    call("ZRANDMEMBER", zset_key, some(small, 0, 1), some(with_scores, 0, 1)),
    call("ZUNION", counted(any_key), combine), call("ZINTER", counted(any_key), combine), call("ZDIFF", counted(any_key), some(with_scores, 0, 1)),
    call("ZUNIONSTORE", zset_key, counted(any_key), combine), call("ZINTERSTORE", zset_key, counted(any_key), combine),
    call("ZDIFFSTORE", zset_key, counted(any_key)), call("ZINTERCARD", counted(any_key), some(st.tuples(word("LIMIT"), small), 0, 1)),
    call("ZSCAN", zset_key, word("0", "x", "0"), some(st.tuples(word("MATCH", "COUNT"), word("m*", "1000", "0")), 0, 2)),
)  # fmt: skip
GEO_COMMANDS = st.one_of(
    call("GEOADD", geo_key, add_option, some(st.tuples(longitude, latitude, place), 1, 3)),
    call("GEOADD", geo_key, some(st.tuples(longitude, latitude, place), 1, 3)),
    call("GEODIST", geo_key, place, place, some(unit, 0, 2)), call("GEOHASH", geo_key, some(place, 0, 3)), call("GEOPOS", geo_key, some(place, 0, 3)),
    call("GEOSEARCH", geo_key, origin, shape, order, some(geo_option, 0, 3)), call("GEOSEARCH", geo_key, origin, order, some(geo_option, 0, 2)),
    call("GEOSEARCH", geo_key, shape, some(geo_option, 0, 2), order), call("GEOSEARCHSTORE", key, geo_key, origin, shape, some(word("STOREDIST", "ASC"), 0, 1)),
    call("GEORADIUS", geo_key, longitude, latitude, distance, unit, order, some(geo_option, 0, 2)),
    call("GEORADIUS", geo_key, longitude, latitude, distance, unit, some(store_option, 0, 2)),
    call("GEORADIUS_RO", geo_key, longitude, latitude, distance, unit, order, some(st.one_of(geo_option, store_option), 0, 2)),
    call("GEORADIUSBYMEMBER", geo_key, place, distance, unit, order, some(geo_option, 0, 2)),
    call("GEORADIUSBYMEMBER", geo_key, place, distance, unit, some(store_option, 0, 2)),
    call("GEORADIUSBYMEMBER_RO", geo_key, place, distance, unit, order, some(geo_option, 0, 2)),
)  # fmt: skip
OTHER_COMMANDS = st.one_of(
    call("DEL", key), call("TYPE", key), call("OBJECT ENCODING", key), call("COPY", key, key), call("RENAME", key, key),
    call("SET", st.just(b"str"), st.just(b"x")), call("EXPIRE", key, st.just(b"1000")), call("TTL", key),
)  # fmt: skip
commands = st.one_of(SET_COMMANDS, ZSET_COMMANDS, ZSET_COMMANDS, GEO_COMMANDS, OTHER_COMMANDS)
steps = st.lists(st.tuples(st.integers(0, 2), st.lists(commands, min_size=1, max_size=6)), max_size=30)

UNORDERED = (b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"SSCAN")
RANDOM = (b"SRANDMEMBER", b"SPOP", b"ZRANDMEMBER")


def same_shape(ours: Any, theirs: Any) -> bool:
    if ours[0] != theirs[0] or isinstance(ours[1], list) != isinstance(theirs[1], list):
        return False
    return len(ours[1]) == len(theirs[1]) if isinstance(ours[1], list) else (ours[1] is None) == (theirs[1] is None) or ours == theirs


def scan_members(reply: Any, width: int) -> Any:
    """The members of a whole scan, in order of their names."""
    if reply[0] != "*":
        return reply
    items = [item[1] for item in reply[1][1][1]]
    return sorted(tuple(items[i : i + width]) for i in range(0, len(items), width))


_peer: list[tuple[int, ...]] = []


def old_peer(pair: Pair | None = None) -> bool:
    """Is the peer older than Redis 7.2? Asked once."""
    if pair and not _peer:
        _, theirs = pair.both("INFO", "server")
        version = theirs[1].split(b"redis_version:")[1].split()[0]
        _peer.append(tuple(int(part) for part in version.split(b".")[:2]))
    return bool(_peer) and _peer[0] < (7, 2)


def as_numbers(reply: Any) -> Any:
    """Fractions by their value: before 7.2 scores had seventeen digits, from 8.0 on degrees have fewer."""
    if isinstance(reply, tuple):
        return tuple(as_numbers(part) for part in reply)
    if isinstance(reply, list):
        return [as_numbers(part) for part in reply]
    if isinstance(reply, bytes) and (b"." in reply or b"e" in reply or len(reply) > 16):
        try:
            return float(reply)
        except ValueError:
            return reply
    return reply


def equal(command: Command, ours: Any, theirs: Any) -> bool:
    name = command[0].upper()
    if name in RANDOM:
        return same_shape(ours, theirs)
    if name in (b"SSCAN", b"ZSCAN"):
        if ours[0] == "*" and b"COUNT" not in command:
            return bool(theirs[0] == "*")  # a table is given part by part
        return bool(scan_members(ours, 1 if name == b"SSCAN" else 2) == scan_members(theirs, 1 if name == b"SSCAN" else 2))
    if name == b"OBJECT" and old_peer():
        return bool(ours[0] == theirs[0])  # before 7.2 other sets were compact
    return unordered(ours, theirs) if name in UNORDERED else bool(as_numbers(ours) == as_numbers(theirs))


def run(pair: Pair, batch: list[Command]) -> None:
    for command in batch:
        ours, theirs = pair.both(*command)
        assert equal(command, ours, theirs), (command, ours, theirs)
        if command[0] == b"SPOP" and theirs[0] != "-":
            pair.both("DEL", command[1])


def compare_all(pair: Pair) -> None:
    for name in KEYS:
        questions = [(b"TYPE", name), (b"SMEMBERS", name), (b"ZRANGE", name, b"0", b"-1", b"WITHSCORES")]
        if old_peer():  # later ones print scores otherwise in digests
            questions.append((b"DEBUG", b"DIGEST-VALUE", name))
        for words in questions:
            ours, theirs = pair.both(*words)
            assert equal(words, ours, theirs), (words, ours, theirs)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=steps)
def test_replies_on_sets_are_the_same(pair: tuple[int, int], plan: list[tuple[int, list[Command]]]) -> None:
    pairs = [Pair(pair, resp) for resp in (2, 2, 3)]
    try:
        pairs[0].both("FLUSHALL")
        old_peer(pairs[0])
        for which, batch in plan:
            run(pairs[which], batch)
        compare_all(pairs[0])
    finally:
        for p in pairs:
            p.close()

