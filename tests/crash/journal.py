"""Clients that journal outside of the server what was acknowledged, and the check of a dataset against the journal.

Each writer counts rounds. A round is one MULTI of many kinds of keys, all of which tell its number, then an MSET of several keys with
the number, outside of a transaction. So from any dataset follows which round it holds, and whether it holds it whole: values that are
torn, half transactions, wrong expiry times, elements lost or doubled fail the check.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import redis

GROUP = 8
KEPT = 60
"""Elements of the list."""
EXPIRES_BASE = 4102444800000
"""Milliseconds: the year 2100."""
GONE = (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, OSError)

_SIZES = (1, 3, 10, 40, 200, 700, 2000)


def value(number: int) -> str:
    """Self-describing: the number, so often that the length follows from it."""
    return f"{number:012d}" * _SIZES[number % len(_SIZES)]


class Writer(threading.Thread):
    """One client that comes back when its connection ends."""

    def __init__(self, port: int, number: int, noted: Callable[[Writer], None] | None = None, patient: bool = False) -> None:
        super().__init__(daemon=True)
        self.port, self.number, self.noted = port, number, noted
        self.patient = patient
        """Errors of the server (MISCONF) are waited out."""
        self.sent = self.acked = self.group_sent = self.group_acked = 0
        self.refused = 0
        self.unsure: set[int] = set()
        """Rounds that were sent and not answered: they may have had their effect."""
        self.longest = 0.0
        """Seconds that the slowest round took, with all its attempts."""
        self.stopping = False
        self.problem: BaseException | None = None
        self._may_go, self._rests = threading.Event(), threading.Event()
        self._may_go.set()

    def key(self, name: str) -> str:
        return f"{name}:{self.number}"

    def run(self) -> None:
        begun = time.monotonic()
        try:
            while not self.stopping:
                with contextlib.suppress(*GONE):
                    client = redis.Redis("127.0.0.1", self.port, socket_timeout=10, retry=None, db=self.number % 3)
                    with contextlib.closing(client):
                        while not self.stopping:
                            self._rest()
                            self._round(client)
                            self.longest = max(self.longest, time.monotonic() - begun)
                            begun = time.monotonic()
                time.sleep(0.005)
        except BaseException as e:
            self.problem = e

    def _rest(self) -> None:
        if not self._may_go.is_set():
            self._rests.set()
            self._may_go.wait()
            self._rests.clear()

    def pause(self) -> None:
        """Between two rounds; it may wait for a server that is not there."""
        self._may_go.clear()

    def wait_paused(self, seconds: float = 30.0) -> None:
        assert self._rests.wait(seconds), "a client hangs"

    def go_on(self) -> None:
        self._may_go.set()

    def _round(self, client: redis.Redis) -> None:
        n = self.sent + 1
        self.sent = n
        self.unsure.add(n)
        pipe = client.pipeline(transaction=True)
        pipe.set(self.key("a"), value(n)).set(self.key("b"), value(n))
        pipe.rpush(self.key("list"), n).ltrim(self.key("list"), -KEPT, -1)
        pipe.set(self.key("t"), n, pxat=EXPIRES_BASE + n)
        pipe.hset(self.key("hash"), mapping={"n": n, f"f{n % 5}": value(n % 3)})
        pipe.zadd(self.key("zset"), {f"m{n % 9}": n})
        if n % 2:
            pipe.delete(self.key("odd"))
        else:
            pipe.sadd(self.key("odd"), n % 7, "x" * (n % 300))
        done = self._done(pipe.execute)
        self.unsure.discard(n)
        if not done:
            self.sent -= 1
            return
        self.acked = n
        if self.noted:
            self.noted(self)
        self.group_sent = n
        if not self._done(lambda: client.mset({self.key(f"g{i}"): value(n) for i in range(GROUP)})):
            return
        self.group_acked = n
        if self.noted:
            self.noted(self)

    def _done(self, call: Callable[[], Any]) -> bool:
        """False: the server refused it, so it had no effect."""
        try:
            call()
        except redis.ResponseError as e:
            if not self.patient or not any(word in str(e) for word in ("MISCONF", "EXECABORT", "LOADING")):
                raise
            self.refused += 1
            time.sleep(0.01)
            return False
        return True

    def check(self, port: int, least: int, group_least: int) -> int:
        """Of a server that holds some state of this writer's keys: at least those rounds, whole; the round that it holds."""
        client = redis.Redis("127.0.0.1", port, socket_timeout=20, db=self.number % 3, decode_responses=True)
        with contextlib.closing(client):
            pipe = client.pipeline(transaction=False)
            pipe.mget(self.key("a"), self.key("b"), self.key("t")).pexpiretime(self.key("t"))
            pipe.lrange(self.key("list"), 0, -1).hget(self.key("hash"), "n").zscore(self.key("zset"), "m0")
            pipe.exists(self.key("odd")).ttl(self.key("a")).mget([self.key(f"g{i}") for i in range(GROUP)])
            pipe.zcard(self.key("zset"))
            (a, b, t), expires, listed, counted, score, odd, a_ttl, group, members = pipe.execute()
        n = int(listed[-1]) if listed else 0
        who = f"writer {self.number}, round {n}"
        assert least <= n <= self.sent, f"{who}: {least} was acknowledged, {self.sent} sent"
        numbers = [int(x) for x in listed]
        wanted = [x for x in range(numbers[0] if numbers else 1, n + 1) if x in numbers or x not in self.unsure]
        assert numbers == wanted and (len(numbers) == KEPT or not numbers or numbers[0] <= 1 + len(self.unsure)), f"{who}: elements lost or doubled: {listed}"
        whole = (value(n), value(n), str(n), EXPIRES_BASE + n, str(n), -1) if n else (None, None, None, -2, None, -2)
        assert (a, b, t, expires, counted, a_ttl) == whole, f"{who}: half a transaction, a torn value or a wrong expiry"
        assert odd == (n > 0 and n % 2 == 0), f"{who}: a key is there that was deleted, or not there"
        ninth = [x for x in numbers if x % 9 == 0]
        if len(numbers) == KEPT:
            assert members == 9 and score == ninth[-1], f"{who}: the sorted set has {members} members, {score}"
        held = {int(g[:12]) if g else 0 for g in group}
        assert len(held) == 1, f"{who}: half an MSET: {held}"
        m = held.pop()
        assert group_least <= m <= self.group_sent, f"{who}: of the MSETs {group_least} was acknowledged, {m} found"
        assert group == [value(m) if m else None] * GROUP, f"{who}: a torn value"
        return n

    def check_acked(self, port: int) -> None:
        self.check(port, self.acked, self.group_acked)


def pause(writers: list[Writer]) -> None:
    for w in writers:
        w.pause()
    for w in writers:
        w.wait_paused()


def stop(writers: list[Writer]) -> None:
    for w in writers:
        w.stopping = True
        w.go_on()
    for w in writers:
        w.join(30)
        assert not w.is_alive(), "a client hangs"
    for w in writers:
        if w.problem:
            raise w.problem
