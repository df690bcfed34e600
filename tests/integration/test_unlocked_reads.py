"""GET reads without the stripe's lock (cext/keyspace/optimistic.h): no torn, mixed or stale value is ever seen.

Values describe themselves: the key's number, a counter that only grows, and as many letters derived from both as the length says.
Writers in one connection each own their keys, so a reader also sees that counters never go back.
"""

from __future__ import annotations

import multiprocessing
import random
import time

import redis

from tests.conftest import StartServer

KEYS = 24
SECONDS = 4.0


def value(key: int, count: int) -> bytes:
    n = (key * 7919 + count * 104729) % 1500 if count % 5 else 8000
    return b"%d:%d:%d:" % (key, count, n) + bytes([97 + (key + count) % 26]) * n


def check(key: int, got: bytes) -> int:
    words = got.split(b":", 3)
    count = int(words[1])
    assert int(words[0]) == key and got == value(key, count), f"key {key}: {got[:80]!r} ({len(got)} bytes)"
    return count


def write(port: int, first: int) -> None:
    with redis.Redis("127.0.0.1", port) as r:
        end, count, rnd = time.monotonic() + SECONDS, 0, random.Random(first)
        while time.monotonic() < end:
            count += 1
            pipe = r.pipeline(transaction=False)
            for key in range(first, KEYS, 2):
                pipe.set(f"k{key}", value(key, count))
                if rnd.random() < 0.2:
                    pipe.delete(f"filler{key}").set(f"filler{key}", b"f" * rnd.randrange(2000))
                if rnd.random() < 0.1:
                    pipe.expire(f"k{key}", 100)
            pipe.execute()


def read(port: int, failures: multiprocessing.Queue[str]) -> None:
    last = [0] * KEYS
    with redis.Redis("127.0.0.1", port) as r:
        end, n = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            pipe = r.pipeline(transaction=False)
            for key in range(KEYS):
                pipe.get(f"k{key}")
            for key, got in enumerate(pipe.execute()):
                try:
                    if got is None:
                        assert not last[key], f"key {key} has gone"
                        continue
                    count = check(key, got)
                    assert count >= last[key], f"key {key} went back from {last[key]} to {count}"
                    last[key] = count
                    n += 1
                except (AssertionError, ValueError, IndexError) as e:
                    failures.put(str(e))
                    return
        if not n:
            failures.put("nothing was read")


def test_no_torn_values(start_server: StartServer) -> None:
    server = start_server(workers=2)
    failures: multiprocessing.Queue[str] = multiprocessing.Queue()
    tasks = [multiprocessing.Process(target=write, args=(server.port, first)) for first in (0, 1)]
    tasks += [multiprocessing.Process(target=read, args=(server.port, failures)) for _ in range(3)]
    for t in tasks:
        t.start()
    for t in tasks:
        t.join()
    assert failures.empty(), failures.get()
    assert all(t.exitcode == 0 for t in tasks)
