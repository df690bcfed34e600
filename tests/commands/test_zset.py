"""Sorted set commands over the socket: replies in both protocols, options, ranges and ranks against a model, errors in Redis 7.2's words."""

from __future__ import annotations

import random
import threading
import time

import pytest
from wire import Error, Wire

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NOTINT = "ERR value is not an integer or out of range"
NOTFLOAT = "ERR value is not a valid float"
MINMAX = "ERR min or max is not a float"
MINMAXLEX = "ERR min or max not valid string range item"


def pairs(wire: Wire, reply) -> list[tuple[bytes, float]]:
    """Members with scores, whatever the protocol nests."""
    if wire.resp == 3:
        return [(name, float(score)) for name, score in reply]
    return [(reply[i], float(reply[i + 1])) for i in range(0, len(reply), 2)]


def test_zadd_options(script):
    script(
        rf"""
        ZADD z 1 a 2 b -> 2
        ZADD z 1 a 3 b -> 0
        ZADD z CH 1 a 4 b 5 c -> 2
        ZADD z NX 9 a 1 n -> 1
        ZADD z XX 9 a 1 m -> 0
        ZADD z GT CH 1 a 10 b -> 1
        ZADD z LT CH 1 a 11 b 12 l -> 2
        ZSCORE z m -> None
        ZADD z NX XX 1 a -> ! ERR XX and NX options at the same time are not compatible
        ZADD z GT LT 1 a -> ! ERR GT, LT, and/or NX options at the same time are not compatible
        ZADD z NX GT 1 a -> ! ERR GT, LT, and/or NX options at the same time are not compatible
        ZADD z INCR 1 a 2 b -> ! ERR INCR option supports a single increment-element pair
        ZADD z 1 a 2 -> ! ERR syntax error
        ZADD z NX CH -> ! ERR syntax error
        ZADD z nan a -> ! {NOTFLOAT}
        ZADD z x a -> ! {NOTFLOAT}
        ZADD none XX 1 a -> 0
        ZADD none XX INCR 1 a -> None
        EXISTS none -> 0
        ZADD z NX INCR 1 a -> None
        ZADD i inf a -> 1
        ZADD i INCR -inf a -> ! ERR resulting score is not a number (NaN)
        ZINCRBY i -inf a -> ! ERR resulting score is not a number (NaN)
        SET str x -> "OK"
        ZADD str 1 a -> ! {WRONGTYPE}
        ZINCRBY str 1 a -> ! {WRONGTYPE}
        ZRANGE str 0 -1 -> ! {WRONGTYPE}
        ZPOPMIN str -> ! {WRONGTYPE}
        ZUNIONSTORE d 2 z str -> ! {WRONGTYPE}
        """
    )


def test_scores_in_both_protocols(client: Wire):
    client("ZADD", "z", "1.5", "a", "3", "b", "-inf", "c", "1e20", "d", "0.1", "e")
    text = {2: [b"1.5", b"3", b"-inf", b"1e+20", b"0.1"], 3: [1.5, 3.0, float("-inf"), 1e20, 0.1]}[client.resp]
    assert client("ZMSCORE", "z", *"abcde", "x") == [*text, None]
    assert client("ZSCORE", "z", "a") == text[0]
    assert client("ZINCRBY", "z", "0.25", "a") == {2: b"1.75", 3: 1.75}[client.resp]
    assert client("ZRANK", "z", "e", "WITHSCORE") == [1, text[4]]
    assert client("ZRANK", "z", "x", "WITHSCORE") is None
    assert client("ZREVRANK", "z", "d") == 0
    assert client("ZRANK", "z", "e", "FOO") == Error("ERR syntax error")
    assert client("ZRANK", "z", "e", "WITHSCORE", "x") == Error("ERR wrong number of arguments for 'zrank' command")


def test_encodings(client: Wire):
    for i in range(128):
        client("ZADD", "z", i, f"m{i}")
    assert client("OBJECT", "ENCODING", "z") == b"listpack"
    client("ZADD", "z", 1, "m128")
    assert client("OBJECT", "ENCODING", "z") == b"skiplist"
    client("ZADD", "y", 1, "x" * 64)
    assert client("OBJECT", "ENCODING", "y") == b"listpack"
    client("ZADD", "y", 1, "x" * 65)
    assert client("OBJECT", "ENCODING", "y") == b"skiplist"
    client("ZRANGESTORE", "d", "z", 0, 9)
    assert client("OBJECT", "ENCODING", "d") == b"listpack"
    client("ZUNIONSTORE", "d", 2, "z", "none")
    assert client("OBJECT", "ENCODING", "d") == b"skiplist"


@pytest.mark.parametrize("size", [30, 1500])
def test_ranges_against_a_model(client: Wire, size: int):
    rnd = random.Random(size)
    model: dict[bytes, float] = {}
    for _ in range(size):
        name, score = b"m%d" % rnd.randrange(size), rnd.choice([rnd.randrange(20), rnd.random() * 20])
        model[name] = float(score)
        client("ZADD", "z", score, name)
    for _ in range(size // 4):
        name = b"m%d" % rnd.randrange(size)
        assert client("ZREM", "z", name) == (model.pop(name, None) is not None)
    ordered = sorted(model.items(), key=lambda item: (item[1], item[0]))
    names = [name for name, _ in ordered]
    for _ in range(150):
        start, stop = rnd.randrange(-size, size), rnd.randrange(-size, size)
        first = max(len(names) + start, 0) if start < 0 else start
        last = len(names) + stop if stop < 0 else stop
        want = names[first : last + 1] if last >= 0 else []
        assert client("ZRANGE", "z", start, stop) == want
        back = names[::-1][first : last + 1] if last >= 0 else []
        assert client("ZREVRANGE", "z", start, stop) == client("ZRANGE", "z", start, stop, "REV") == back
        low, high = sorted((rnd.randrange(21), rnd.randrange(21)))
        inside = [(n, s) for n, s in ordered if low < s <= high]
        assert pairs(client, client("ZRANGEBYSCORE", "z", f"({low}", high, "WITHSCORES")) == inside
        assert client("ZCOUNT", "z", f"({low}", high) == len(inside)
        offset, count = rnd.randrange(5), rnd.randrange(-1, 5)
        part = inside[::-1][offset:] if count < 0 else inside[::-1][offset : offset + count]
        got = client("ZRANGE", "z", high, f"({low}", "BYSCORE", "REV", "LIMIT", offset, count, "WITHSCORES")
        assert pairs(client, got) == part
        name = rnd.choice(names)
        assert client("ZRANK", "z", name) == names.index(name)
    from_rank, to_rank = len(names) // 3, len(names) // 2
    assert client("ZREMRANGEBYRANK", "z", from_rank, to_rank) == to_rank - from_rank + 1
    del ordered[from_rank : to_rank + 1]
    gone = [item for item in ordered if 5 <= item[1] < 9]
    assert client("ZREMRANGEBYSCORE", "z", 5, "(9") == len(gone)
    ordered = [item for item in ordered if item not in gone]
    assert pairs(client, client("ZRANGE", "z", 0, -1, "WITHSCORES")) == ordered
    assert client("ZREMRANGEBYSCORE", "z", "-inf", "+inf") == len(ordered)
    assert client("EXISTS", "z") == 0


@pytest.mark.parametrize("size", [20, 600])
def test_ranges_of_names(client: Wire, size: int):
    rnd = random.Random(size)
    names = sorted({rnd.choice([b"", b"a", b"zz", b"\xff"]) + b"%d" % rnd.randrange(size) for _ in range(size)})
    for name in names:
        client("ZADD", "z", 0, name)
    for _ in range(100):
        low, high = rnd.choice(names), rnd.choice(names)
        inside = [n for n in names if low < n <= high]
        assert client("ZRANGEBYLEX", "z", b"(" + low, b"[" + high) == inside
        assert client("ZREVRANGEBYLEX", "z", b"[" + high, b"(" + low, "LIMIT", 1, 3) == inside[::-1][1:4]
        assert client("ZLEXCOUNT", "z", b"(" + low, b"[" + high) == len(inside)
    assert client("ZLEXCOUNT", "z", "-", "+") == len(names)
    assert client("ZRANGE", "z", "+", "-", "BYLEX") == []
    assert client("ZREMRANGEBYLEX", "z", "-", "(" + "a") == len([n for n in names if n < b"a"])


def test_range_errors(script):
    script(
        rf"""
        ZRANGE z 1 x -> ! {NOTINT}
        ZRANGE z (1 x BYSCORE -> ! {MINMAX}
        ZRANGE z 1 2 BYLEX -> ! {MINMAXLEX}
        ZRANGE z 0 -1 LIMIT 1 2 -> ! ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
        ZRANGE z - + BYLEX WITHSCORES -> ! ERR syntax error, WITHSCORES not supported in combination with BYLEX
        ZRANGE z 0 -1 FOO -> ! ERR syntax error
        ZRANGE z 0 1 BYSCORE BYLEX -> ! ERR syntax error
        ZRANGEBYSCORE z 0 1 REV -> ! ERR syntax error
        ZRANGEBYSCORE z 0 1 LIMIT 0 -> ! ERR syntax error
        ZRANGEBYSCORE z 0 1 LIMIT x 1 -> ! {NOTINT}
        ZRANGESTORE d z 0 -1 WITHSCORES -> ! ERR syntax error
        ZCOUNT z nan 1 -> ! {MINMAX}
        ZREMRANGEBYRANK z a 1 -> ! {NOTINT}
        ZREMRANGEBYLEX z a [b -> ! {MINMAXLEX}
        """
    )


def test_pops(client: Wire):
    client("ZADD", "z", 1, "a", 2, "b", 3, "c", 4, "d", 5, "e")
    two, three = client.resp == 2, client.resp == 3
    assert client("ZPOPMIN", "z") == ([b"a", b"1"] if two else [b"a", 1.0])
    assert client("ZPOPMAX", "z", 2) == ([[b"e", 5.0], [b"d", 4.0]] if three else [b"e", b"5", b"d", b"4"])
    assert client("ZPOPMIN", "z", 0) == client("ZPOPMIN", "none") == client("ZPOPMIN", "none", 3) == []
    assert client("ZPOPMIN", "z", -1) == Error("ERR value is out of range, must be positive")
    assert client("ZPOPMIN", "z", 1, 2) == Error("ERR syntax error")
    assert client("ZMPOP", 2, "none", "z", "MAX", "COUNT", 10) == [b"z", [[b"c", 3.0 if three else b"3"], [b"b", 2.0 if three else b"2"]]]
    assert client("ZMPOP", 1, "z", "MIN") is None
    assert client("EXISTS", "z") == 0
    assert client("ZMPOP", 0, "z", "MIN") == Error("ERR numkeys should be greater than 0")
    assert client("ZMPOP", 1, "z", "MIN", "COUNT", 0) == Error("ERR count should be greater than 0")
    assert client("ZMPOP", 2, "z", "MIN") == Error("ERR syntax error")
    assert client("BZPOPMIN", "z", "x") == Error("ERR timeout is not a float or out of range")
    assert client("BZPOPMIN", "none", "0.01") is None


def test_waiting_pops_are_served_in_order(client: Wire, server):
    served: list[tuple[int, object]] = []

    def wait(number: int, started: threading.Event) -> None:
        with Wire(server.port, client.resp) as own:
            started.set()
            served.append((number, own("BZPOPMIN" if number % 2 else "BZPOPMAX", "a", "z", 10)))

    threads = []
    for number in range(4):
        started = threading.Event()
        threads.append(threading.Thread(target=wait, args=(number, started)))
        threads[-1].start()
        started.wait()
        while blocked(client) < number + 1:
            time.sleep(0.002)
    client("ZADD", "z", 1, "one", 2, "two")
    client("ZADD", "z", 3, "three", 4, "four")
    for thread in threads:
        thread.join()
    score = (lambda n: float(n)) if client.resp == 3 else (lambda n: b"%d" % n)
    assert dict(served) == {0: [b"z", b"two", score(2)], 1: [b"z", b"one", score(1)], 2: [b"z", b"four", score(4)], 3: [b"z", b"three", score(3)]}
    assert client("EXISTS", "z") == 0


def blocked(wire: Wire) -> int:
    """How many clients wait."""
    return int(next(line.split(b":")[1] for line in raw(wire("INFO", "clients")).splitlines() if line.startswith(b"blocked_clients")))


def raw(reply) -> bytes:
    return reply if isinstance(reply, bytes) else str(reply).encode()


def test_algebra_against_python(client: Wire):
    rnd = random.Random(3)
    for _ in range(60):
        client("FLUSHALL")
        sets: list[dict[bytes, float]] = []
        for name in "abc":
            chosen = {b"m%d" % rnd.randrange(200): float(rnd.randrange(10)) for _ in range(rnd.choice([0, 5, 150, 400]))}
            sets.append(chosen)
            for member, score in chosen.items():
                client("ZADD", name, score, member)
        weights = [rnd.randrange(-2, 4) for _ in range(3)]
        for how, fold in (("SUM", sum), ("MIN", min), ("MAX", max)):
            weighed = [{m: s * w for m, s in chosen.items()} for chosen, w in zip(sets, weights, strict=True)]
            union = {m: fold([s[m] for s in weighed if m in s]) for s in weighed for m in s}
            inter = {m: s for m, s in union.items() if all(m in chosen for chosen in sets)}
            for command, want in (("ZUNION", union), ("ZINTER", inter)):
                got = client(command, 3, *"abc", "WEIGHTS", *weights, "AGGREGATE", how, "WITHSCORES")
                ordered = sorted(want.items(), key=lambda item: (item[1], item[0]))
                assert pairs(client, got) == ordered
                assert client(command + "STORE", "d", 3, *"abc", "WEIGHTS", *weights, "AGGREGATE", how) == len(want)
                assert pairs(client, client("ZRANGE", "d", 0, -1, "WITHSCORES")) == ordered
        diff = {m: s for m, s in sets[0].items() if m not in sets[1] and m not in sets[2]}
        assert dict(pairs(client, client("ZDIFF", 3, *"abc", "WITHSCORES"))) == diff
        assert client("ZDIFFSTORE", "a", 3, *"abc") == len(diff)
        assert client("ZINTERCARD", 2, "b", "c", "LIMIT", 3) == min(3, len(sets[1].keys() & sets[2].keys()))


def test_algebra_edges(script):
    script(
        r"""
        ZADD a inf x -> 1
        ZADD b -inf x -> 1
        SADD s x y -> 2
        ZUNIONSTORE d 2 a b -> 1
        ZCOUNT d 0 0 -> 1
        ZUNIONSTORE d 1 a WEIGHTS 0 -> 1
        ZCOUNT d 0 0 -> 1
        ZUNIONSTORE d 2 s s -> 2
        ZCOUNT d 2 2 -> 2
        ZUNION 0 a -> ! ERR at least 1 input key is needed for 'zunion' command
        ZINTERCARD 0 a -> ! ERR at least 1 input key is needed for 'zintercard' command
        ZUNIONSTORE d 3 a b -> ! ERR syntax error
        ZUNIONSTORE d 1 a WEIGHTS x -> ! ERR weight value is not a float
        ZUNIONSTORE d 1 a AGGREGATE FOO -> ! ERR syntax error
        ZUNIONSTORE d 1 a WITHSCORES -> ! ERR syntax error
        ZDIFF 1 a WEIGHTS 1 -> ! ERR syntax error
        ZINTERCARD 1 a LIMIT -1 -> ! ERR LIMIT can't be negative
        ZUNIONSTORE d 1 none -> 0
        EXISTS d -> 0
        """
    )


def test_random_members(client: Wire):
    for size in (5, 400):
        scores = {b"m%d" % i: float(i) for i in range(size)}
        for name, score in scores.items():
            client("ZADD", "z", score, name)
        assert client("ZRANDMEMBER", "z") in scores
        for count in (1, size // 2, size, size + 3):
            got = client("ZRANDMEMBER", "z", count)
            assert len(got) == len(set(got)) == min(count, size)
            found = pairs(client, client("ZRANDMEMBER", "z", count, "WITHSCORES"))
            assert all(scores[name] == score for name, score in found)
        assert len(pairs(client, client("ZRANDMEMBER", "z", -17, "WITHSCORES"))) == 17
    assert client("ZRANDMEMBER", "none") is None
    assert client("ZRANDMEMBER", "none", 3) == client("ZRANDMEMBER", "z", 0) == []
    assert client("ZRANDMEMBER", "z", 1, "FOO") == Error("ERR syntax error")
    assert client("ZRANDMEMBER", "z", -9223372036854775807, "WITHSCORES") == Error("ERR value is out of range")


def test_scan(client: Wire):
    scores = {b"m%d" % i: b"%d" % (i * i) for i in range(1000)}
    for name, score in scores.items():
        client("ZADD", "z", score, name)
    seen, cursor = {}, b"0"
    while True:
        cursor, found = client("ZSCAN", "z", cursor, "COUNT", 7)
        seen.update(zip(found[::2], found[1::2], strict=True))
        if cursor == b"0":
            break
    assert seen == scores
    assert client("ZSCAN", "none", 0) == [b"0", []]


def test_scores_move_members(client: Wire):
    rnd, model = random.Random(5), {}
    for _ in range(4000):
        name, step = b"m%d" % rnd.randrange(300), rnd.choice([-1, 1, 0.5, 1000, -1000])
        model[name] = model.get(name, 0.0) + step
        assert float(client("ZINCRBY", "z", step, name)) == model[name]
    assert pairs(client, client("ZRANGE", "z", 0, -1, "WITHSCORES")) == sorted(model.items(), key=lambda i: (i[1], i[0]))
