"""Set commands over the socket: replies in both protocols, encodings, errors in Redis 7.2's words, large sets against Python's sets."""

from __future__ import annotations

import random

from wire import Error, Wire

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NOTINT = "ERR value is not an integer or out of range"


def members(reply) -> set[bytes]:
    found = list(reply)
    assert len(found) == len(set(found))
    return set(found)


def test_members(script):
    script(
        rf"""
        SADD s a b a -> 2
        SADD s c b -> 1
        SCARD s -> 3
        SISMEMBER s a -> 1
        SISMEMBER s x -> 0
        SMISMEMBER s a x c -> [1, 0, 1]
        SMISMEMBER none a b -> [0, 0]
        SREM s a x -> 1
        SREM none a -> 0
        SREM s b c -> 2
        EXISTS s -> 0
        SET str x -> "OK"
        SADD str a -> ! {WRONGTYPE}
        SREM str a -> ! {WRONGTYPE}
        SMEMBERS str -> ! {WRONGTYPE}
        SCARD str -> ! {WRONGTYPE}
        SINTER none str -> ! {WRONGTYPE}
        SUNIONSTORE d none str -> ! {WRONGTYPE}
        SPOP str -> ! {WRONGTYPE}
        SSCAN str 0 -> ! {WRONGTYPE}
        """
    )


def test_encodings(client: Wire):
    def encoding(key: str) -> bytes:
        return client("OBJECT", "ENCODING", key)

    client("SADD", "s", *range(512))
    assert encoding("s") == b"intset"
    client("SADD", "s", 512)
    assert encoding("s") == b"hashtable"
    client("SADD", "t", 1, 2, 3)
    assert encoding("t") == b"intset"
    client("SADD", "t", "a")
    assert encoding("t") == b"listpack"
    client("SADD", "t", "x" * 64)
    assert encoding("t") == b"listpack"
    client("SADD", "t", "x" * 65)
    assert encoding("t") == b"hashtable"
    client("SADD", "u", *[f"m{i}" for i in range(128)])
    assert encoding("u") == b"listpack"
    client("SADD", "u", "m128")
    assert encoding("u") == b"hashtable"
    client("SADD", "v", *[f"m{i}" for i in range(129)])
    assert encoding("v") == b"hashtable"
    client("SINTERSTORE", "d", "u", "v")
    assert encoding("d") == b"hashtable"
    client("SDIFFSTORE", "d", "s", "none")
    assert encoding("d") == b"hashtable"
    client("SUNIONSTORE", "d", "none", "t")
    assert encoding("d") == b"hashtable"
    client("SINTERSTORE", "d", "s", "t")
    assert encoding("d") == b"intset"


def test_smove(script):
    script(
        r"""
        SADD a 1 2 -> 2
        SADD b x -> 1
        SMOVE a b 1 -> 1
        SMOVE a b 9 -> 0
        SMOVE none b 9 -> 0
        SMISMEMBER b 1 x -> [1, 1]
        SMOVE a a 2 -> 1
        SMOVE a a 7 -> 0
        SMOVE a c 2 -> 1
        EXISTS a -> 0
        SISMEMBER c 2 -> 1
        SADD a x -> 1
        SMOVE a b x -> 1
        SCARD b -> 2
        """
    )


def test_algebra_against_python(client: Wire):
    rnd = random.Random(1)
    for _ in range(120):
        sets = []
        client("FLUSHALL")
        for name in "abc":
            kind = rnd.choice([lambda n: b"%d" % n, lambda n: b"m%d" % n, lambda n: b"m%d" % n if n % 2 else b"%d" % n])
            chosen = {kind(rnd.randrange(rnd.choice([5, 50, 900]))) for _ in range(rnd.choice([0, 3, 40, 700]))}
            sets.append(chosen)
            if chosen:
                client("SADD", name, *chosen)
        a, b, c = sets
        for command, want in (("SINTER", a & b & c), ("SUNION", a | b | c), ("SDIFF", a - b - c)):
            assert members(client(command, "a", "b", "c")) == want
            assert client(command + "STORE", "d", "a", "b", "c") == len(want)
            assert members(client("SMEMBERS", "d")) == want
            assert client("EXISTS", "d") == bool(want)
        assert client("SINTERCARD", 3, "a", "b", "c") == len(a & b & c)
        assert client("SINTERCARD", 2, "a", "b", "LIMIT", 2) == min(2, len(a & b))
        assert client("SINTERSTORE", "a", "a", "b") == len(a & b)
        assert members(client("SMEMBERS", "a")) == a & b


def test_sintercard_errors(script):
    script(
        r"""
        SINTERCARD 0 a -> ! ERR numkeys should be greater than 0
        SINTERCARD x a -> ! ERR numkeys should be greater than 0
        SINTERCARD 2 a -> ! ERR Number of keys can't be greater than number of args
        SINTERCARD 1 a LIMIT -> ! ERR syntax error
        SINTERCARD 1 a LIMIT -1 -> ! ERR LIMIT can't be negative
        SINTERCARD 1 a FOO 1 -> ! ERR syntax error
        """
    )


def test_random_members(client: Wire):
    rnd = random.Random(2)
    for size in (3, 100, 1000):
        everything = {b"m%d" % i for i in range(size)}
        client("SADD", "s", *everything)
        for count in (1, size // 3 + 1, size - 1, size, size + 5):
            got = client("SRANDMEMBER", "s", count)
            assert isinstance(got, list) and len(got) == min(count, size)
            assert members(got) <= everything
        assert len(client("SRANDMEMBER", "s", -3 * size)) == 3 * size
        assert client("SRANDMEMBER", "s") in everything
        left = set(everything)
        while left:
            got = members(client("SPOP", "s", rnd.randrange(1, size // 2 + 2)))
            assert got <= left and got
            left -= got
            assert members(client("SMEMBERS", "s")) == left
        assert client("EXISTS", "s") == 0


def test_every_member_is_picked(client: Wire):
    client("SADD", "s", *[f"m{i}" for i in range(200)])
    assert len({client("SRANDMEMBER", "s") for _ in range(3000)}) == 200


def test_random_edges(script):
    script(
        rf"""
        SRANDMEMBER none -> None
        SRANDMEMBER none 3 -> []
        SPOP none -> None
        SADD s a -> 1
        SRANDMEMBER s 0 -> []
        SRANDMEMBER s x -> ! {NOTINT}
        SRANDMEMBER s -9223372036854775808 -> ! ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
        SPOP s -1 -> ! ERR value is out of range, must be positive
        SPOP s x -> ! ERR value is out of range, must be positive
        SPOP s 1 2 -> ! ERR syntax error
        SRANDMEMBER s 1 2 -> ! ERR syntax error
        SPOP s -> b"a"
        EXISTS s -> 0
        """
    )


def test_scan_sees_all_that_stays(client: Wire):
    stay = {b"stay%d" % i for i in range(1500)}
    client("SADD", "s", *stay)
    seen: set[bytes] = set()
    cursor, step = b"0", 0
    while True:
        cursor, found = client("SSCAN", "s", cursor, "COUNT", 20)
        seen |= set(found)
        client("SADD", "s", *[f"new{step}:{i}" for i in range(40)])
        if step > 3:
            client("SREM", "s", *[f"new{step - 3}:{i}" for i in range(40)])
        step += 1
        if cursor == b"0":
            break
    assert stay <= seen
    assert set(client("SSCAN", "s", 0, "COUNT", 100000, "MATCH", "stay1?")[1]) == {b"stay1%d" % i for i in range(10)}
    assert client("SSCAN", "none", 0) == [b"0", []]
    assert client("SSCAN", "s", "x") == Error("ERR invalid cursor")
    assert client("SSCAN", "s", 0, "COUNT", 0) == Error("ERR syntax error")


def test_a_large_set_goes_quickly(client: Wire):
    for i in range(0, 200000, 1000):
        client("SADD", "s", *[f"member:{j}" for j in range(i, i + 1000)])
    assert client("SCARD", "s") == 200000
    assert client("DEL", "s") == 1
    assert client("EXISTS", "s") == 0
    assert client("SADD", "s", "a") == 1
