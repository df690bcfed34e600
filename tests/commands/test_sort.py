"""SORT over the socket: numbers and texts, patterns, limits, storing, all three types, errors in Redis 7.2's words."""

from __future__ import annotations

import random

from wire import Wire

NOT_A_NUMBER = "ERR One or more scores can't be converted into double"


def test_numbers_and_texts(script):
    script(
        rf"""
        RPUSH l 3 1 10 2 -> 4
        SORT l -> [b"1", b"2", b"3", b"10"]
        SORT l DESC -> [b"10", b"3", b"2", b"1"]
        SORT l ALPHA -> [b"1", b"10", b"2", b"3"]
        SORT l LIMIT 1 2 -> [b"2", b"3"]
        SORT l LIMIT -5 2 -> [b"1", b"2"]
        SORT l LIMIT 9 2 -> []
        SORT l LIMIT 2 -1 -> [b"3", b"10"]
        SORT_RO l DESC LIMIT 0 1 -> [b"10"]
        SORT none -> []
        RPUSH t b a 1.5 -> 3
        SORT t -> ! {NOT_A_NUMBER}
        SORT t ALPHA DESC -> [b"b", b"a", b"1.5"]
        SET str x -> "OK"
        SORT str -> ! WRONGTYPE Operation against a key holding the wrong kind of value
        SORT l FOO -> ! ERR syntax error
        SORT l LIMIT 1 -> ! ERR syntax error
        SORT l LIMIT x 1 -> ! ERR value is not an integer or out of range
        SORT_RO l STORE d -> ! ERR syntax error
        """
    )


def test_patterns(script):
    script(
        rf"""
        RPUSH l a b c -> 3
        MSET w_a 3 w_b 1 w_c 2 o_a x o_c z -> "OK"
        HSET h_a n 1 t A -> 2
        HSET h_b n 3 t B -> 2
        HSET h_c n 2 -> 1
        SORT l BY w_* -> [b"b", b"c", b"a"]
        SORT l BY w_* GET o_* -> [None, b"z", b"x"]
        SORT l BY w_* DESC GET # GET o_* -> [b"a", b"x", b"c", b"z", b"b", None]
        SORT l BY h_*->n GET h_*->t -> [b"A", None, b"B"]
        SORT l BY none_* -> [b"a", b"b", b"c"]
        SORT l BY nosort -> [b"a", b"b", b"c"]
        SORT l BY nosort DESC LIMIT 0 2 -> [b"c", b"b"]
        SORT l BY o_* -> ! {NOT_A_NUMBER}
        SORT l BY o_* ALPHA -> [b"b", b"a", b"c"]
        SORT l BY w_* GET constant -> [None, None, None]
        SORT l BY w_* GET h_* -> [None, None, None]
        """
    )


def test_storing(script):
    script(
        r"""
        SADD s 3 1 2 -> 3
        MSET o_1 one o_3 three -> "OK"
        SORT s STORE d -> 3
        LRANGE d 0 -1 -> [b"1", b"2", b"3"]
        TYPE d -> "list"
        SORT s GET # GET o_* STORE s -> 6
        LRANGE s 0 -1 -> [b"1", b"one", b"2", b"", b"3", b"three"]
        SORT none STORE d -> 0
        EXISTS d -> 0
        SADD t b a -> 2
        SORT t BY nosort STORE d -> 2
        LRANGE d 0 -1 -> [b"a", b"b"]
        """
    )


def test_sorted_sets(script):
    script(
        r"""
        ZADD z 1 5 2 4 3 9 -> 3
        SORT z -> [b"4", b"5", b"9"]
        SORT z BY nosort -> [b"5", b"4", b"9"]
        SORT z BY nosort DESC LIMIT 0 2 -> [b"9", b"4"]
        SORT z BY nosort LIMIT 1 1 -> [b"4"]
        """
    )


def test_many(client: Wire):
    rnd = random.Random(6)
    weights = {b"%d" % i: rnd.random() for i in range(2000)}
    client("SADD", "s", *weights)
    for name, weight in weights.items():
        client("SET", b"w_" + name, repr(weight))
    ordered = sorted(weights, key=lambda name: weights[name])
    assert client("SORT", "s", "BY", "w_*") == ordered
    assert client("SORT", "s", "BY", "w_*", "DESC", "LIMIT", 10, 20) == ordered[::-1][10:30]
    assert client("SORT", "s") == [b"%d" % i for i in range(2000)]
