"""Libraries that do real work with the data types, unchanged, on a Shoal of several workers: cachelib, django-redis, walrus, pottery.

Used here is what needs commands alone. Left out, as they send Lua scripts: walrus' rate limits, locks, autocomplete and queries of ranges,
django-redis' locks, pottery's NextId, Redlock and synchronize.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis
import servers

# What the libraries call is deprecated in redis-py, and pottery says which of its own methods read everything.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Doing an O")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with servers.running(servers.shoal_server(), tmp_path_factory.mktemp("libraries")) as server:
        yield server.port


@pytest.fixture
def client(port: int) -> Iterator[redis.Redis]:
    with redis.Redis("127.0.0.1", port) as found:
        found.flushall()
        yield found


def test_cachelib(client: redis.Redis, port: int) -> None:
    from cachelib import RedisCache

    cache = RedisCache("127.0.0.1", port, key_prefix="c:", default_timeout=100)
    assert cache.set("a", {"x": [1, 2]}) and cache.get("a") == {"x": [1, 2]}
    assert not cache.add("a", 1) and cache.add("b", 1)
    assert 90 < client.ttl("c:a") <= 100
    assert set(cache.set_many({"m1": 1, "m2": "two"})) == {"m1", "m2"}
    assert cache.get_many("m1", "m2", "none") == [1, "two", None]
    assert cache.get_dict("m1", "none") == {"m1": 1, "none": None}
    assert cache.inc("m1", 5) == 6 and cache.dec("m1", 2) == 4
    assert cache.has("b") and cache.delete("b") and not cache.has("b")
    assert set(cache.delete_many("m1", "m2")) == {"m1", "m2"}
    client.set("other", 1)
    assert cache.clear() and client.keys() == [b"other"]


def test_django_redis(client: redis.Redis, port: int) -> None:
    from django.conf import settings

    caches_of = {
        name: {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"redis://127.0.0.1:{port}/{db}", "KEY_PREFIX": "d", "OPTIONS": options}
        for name, db, options in (
            ("default", 1, {}),
            ("json", 2, {"SERIALIZER": "django_redis.serializers.json.JSONSerializer",
                         "COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"}),
        )
    }  # fmt: skip
    if settings.configured:
        settings.CACHES = caches_of
    else:
        settings.configure(CACHES=caches_of)
    from django.core.cache import caches

    for name in ("default", "json"):
        cache = caches[name]
        cache.set("a", {"b": [1, 2.5, None]}, timeout=100)
        assert cache.get("a") == {"b": [1, 2.5, None]}
        assert 90 < cache.ttl("a") <= 100 and cache.persist("a") and cache.ttl("a") is None
        assert not cache.add("a", 1) and cache.expire("a", 50) and cache.touch("a", 60)
        cache.set_many({f"k{i}": i for i in range(200)})
        assert cache.get_many([f"k{i}" for i in range(200)]) == {f"k{i}": i for i in range(200)}
        cache.set("n", 5)
        assert cache.incr("n", 3) == 8 and cache.decr("n") == 7
        assert sorted(cache.keys("k1?")) == [f"k1{i}" for i in range(10)]
        assert len(list(cache.iter_keys("k*"))) == 200
        assert cache.delete_pattern("k*") == 200
        assert cache.get_or_set("made", lambda: "x" * 1000, 100) == "x" * 1000
        assert cache.incr_version("made") == 2 and cache.get("made", version=2) == "x" * 1000
        cache.clear()
        assert cache.get("a") is None


def test_walrus_containers(client: redis.Redis, port: int) -> None:
    from walrus import Database

    db = Database("127.0.0.1", port)
    h = db.Hash("h")
    h.update(name="shoal", size="1")
    h.incr("size", 4)
    assert h["name"] == b"shoal" and h.as_dict() == {b"name": b"shoal", b"size": b"5"} and "nope" not in h
    numbers = db.List("l")
    numbers.extend(range(10))
    assert list(numbers[2:5]) == [b"2", b"3", b"4"] and numbers.popright() == b"9" and len(numbers) == 9
    a, b = db.Set("a"), db.Set("b")
    a.add(*"abc")
    b.add(*"bcd")
    assert a & b == {b"b", b"c"} and a | b == {b"a", b"b", b"c", b"d"} and a - b == {b"a"}
    scores = db.ZSet("z")
    scores.add({"x": 1, "y": 2.5, "w": 0})
    assert scores.score("x") == 1.0 and scores.rank("y") == 2 and scores[:2] == [b"w", b"x"]
    array = db.HyperLogLog("hll")
    array.add(*range(1000))
    assert abs(len(array) - 1000) < 50
    bits = db.bit_field("bf")
    assert bits.incrby("u8", 0, 200).set("u4", 8, 9).get("u8", 0).execute() == [200, 0, 200]


def test_walrus_streams(client: redis.Redis, port: int) -> None:
    from walrus import Database

    db = Database("127.0.0.1", port)
    stream = db.Stream("s")
    ids = [stream.add({"n": i}) for i in range(20)]
    assert len(stream) == 20 and [i for i, _ in stream.range(ids[3], ids[5])] == ids[3:6]
    group = db.consumer_group("workers", ["s", "t"])
    group.create()
    group.set_id("0")
    got = group.read(count=5)
    assert [i for i, _ in got[0][1]] == ids[:5]
    assert group.s.ack(*ids[:3]) == 3
    assert len(group.s.pending()) == 2
    assert group.s.claim(*ids[3:5], min_idle_time=0)
    waiting: list[object] = []
    reader = threading.Thread(target=lambda: waiting.extend(db.consumer_group("late", ["t"]).read(count=1, block=5000) or []))
    late = db.consumer_group("late", ["t"])
    late.create(mkstream=True)
    late.set_id("$")
    reader.start()
    while not client.info("clients")["blocked_clients"]:
        pass
    db.Stream("t").add({"k": "v"})
    reader.join(10)
    assert waiting and waiting[0][1][0][1] == {b"k": b"v"}  # type: ignore[index]


def test_walrus_models(client: redis.Redis, port: int) -> None:
    from walrus import Database, IntegerField, Model, TextField

    db = Database("127.0.0.1", port)

    class Person(Model):  # type: ignore[misc]
        __database__ = db
        name = TextField(primary_key=True)
        city = TextField(index=True)
        age = IntegerField(index=True)

    for name, city, age in (("ann", "rome", 30), ("bob", "oslo", 40), ("cid", "rome", 50)):
        Person.create(name=name, city=city, age=age)
    assert sorted(p.name for p in Person.query(Person.city == "rome")) == ["ann", "cid"]
    assert [p.name for p in Person.query((Person.city == "rome") & (Person.age == 50))] == ["cid"]
    assert sorted(p.name for p in Person.query((Person.city == "oslo") | (Person.age == 30))) == ["ann", "bob"]
    Person.load("ann").delete()
    assert sorted(p.name for p in Person.all()) == ["bob", "cid"]


def test_walrus_cache_and_graph(client: redis.Redis, port: int) -> None:
    from walrus import Database

    db = Database("127.0.0.1", port)
    cache = db.cache("cache", default_timeout=100)
    calls: list[int] = []

    @cache.cached()  # type: ignore[untyped-decorator]
    def square(n: int) -> int:
        calls.append(n)
        return n * n

    assert [square(3), square(3), square(4)] == [9, 9, 16] and calls == [3, 4]
    graph = db.graph("g")
    graph.store_many([("ann", "likes", "bob"), ("ann", "likes", "cid"), ("bob", "likes", "cid")])
    assert {row["o"] for row in graph.query(s="ann", p="likes")} == {"bob", "cid"}


def test_pottery_containers(client: redis.Redis) -> None:
    from pottery import HyperLogLog, RedisCounter, RedisDeque, RedisDict, RedisList, RedisSet

    d = RedisDict({"a": 1}, redis=client, key="dict")
    d.update({"b": [1, 2], "c": None})
    assert dict(d) == {"a": 1, "b": [1, 2], "c": None} and d.pop("a") == 1 and len(d) == 2
    numbers = RedisList([5, 3, 1], redis=client, key="list")
    numbers.append(4)
    numbers.insert(1, 9)
    numbers.sort()
    assert list(numbers) == [1, 3, 4, 5, 9] and numbers[1:4:2] == [3, 5]
    del numbers[0]
    assert numbers.index(9) == 3
    s = RedisSet("abcd", redis=client, key="set")
    other = RedisSet("cdef", redis=client, key="other")
    assert "a" in s and "z" not in s
    s.difference_update(other)
    assert set(s) == set("ab")
    s.update(other)
    assert set(s) == set("abcdef")
    queue = RedisDeque("abc", redis=client, key="deque", maxlen=4)
    queue.append("d")
    queue.append("e")
    queue.rotate(1)
    assert list(queue) == ["e", "b", "c", "d"] and queue.popleft() == "e"
    counter = RedisCounter("mississippi", redis=client, key="counter")
    counter["s"] += 3
    assert counter["s"] == 7 and counter.most_common(1) == [("s", 7)] and counter["z"] == 0
    hll = HyperLogLog(redis=client, key="hll")
    hll.update([f"word-{i}" for i in range(1000)])
    assert abs(len(hll) - 1000) < 50


def test_pottery_queue_and_bloom_filter(client: redis.Redis) -> None:
    from pottery import BloomFilter, RedisSimpleQueue

    bloom = BloomFilter(num_elements=100, false_positives=0.01, redis=client, key="bloom")
    bloom.update({"rate", "limit"})
    assert "rate" in bloom and "nothing of the kind" not in bloom
    assert list(bloom.contains_many("rate", "nothing of the kind")) == [True, False]
    queue = RedisSimpleQueue(redis=client, key="queue")
    for i in range(3):
        queue.put(i)
    assert [queue.get() for _ in range(3)] == [0, 1, 2] and queue.empty()
    got: list[object] = []
    reader = threading.Thread(target=lambda: got.append(queue.get(timeout=10)))
    reader.start()
    queue.put("late")
    reader.join(20)
    assert got == ["late"]
