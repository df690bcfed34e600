"""kill -9 of workers while they run EXEC: a transaction is whole or absent, and what was acknowledged stays."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time

import redis

from tests.conftest import ShoalServer, StartServer, wait_until

KILLS = 30
CLIENTS = 5
ACCOUNTS = [f"account:{i}" for i in range(12)]
START_BALANCE = 1000


class Teller:
    """Moves money between two accounts with WATCH and EXEC, and counts its transfers in the same transaction."""

    def __init__(self, server: ShoalServer, name: int) -> None:
        self.server, self.counter = server, f"transfers:{name}"
        self.random = random.Random(name)
        self.acknowledged = self.unknown = self.refused = 0
        self.problem: BaseException | None = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        client = self.server.client()
        try:
            while not self.stop.is_set():
                sent = False
                try:
                    with client.pipeline() as p:
                        giver, taker = self.random.sample(ACCOUNTS, 2)
                        p.watch(giver, taker)
                        balances = [int(b or 0) for b in (p.get(giver), p.get(taker))]
                        amount = self.random.randint(1, 50)
                        p.multi()
                        p.set(giver, balances[0] - amount)
                        p.set(taker, balances[1] + amount)
                        p.incr(self.counter)
                        sent = True
                        p.execute()
                        self.acknowledged += 1
                except redis.WatchError:
                    self.refused += 1
                except (redis.ConnectionError, redis.TimeoutError):
                    self.unknown += sent
                    time.sleep(0.01)
        except BaseException as e:
            self.problem = e


def total(client: redis.Redis) -> int:
    with client.pipeline(transaction=True) as p:
        p.mget(ACCOUNTS)
        return sum(int(b) for b in p.execute()[0])


def test_transactions_are_whole_or_absent(start_server: StartServer) -> None:
    server = start_server(workers=2)
    client = server.client()
    client.mset(dict.fromkeys(ACCOUNTS, START_BALANCE))
    tellers = [Teller(server, i) for i in range(CLIENTS)]
    for teller in tellers:
        teller.thread.start()
    choose = random.Random(7)
    kills = 0
    try:
        while kills < KILLS:
            time.sleep(choose.uniform(0.02, 0.15))
            with contextlib.suppress(redis.ConnectionError, redis.TimeoutError, ProcessLookupError):
                workers = [w for name, w in client.info("clients").items() if name.startswith("worker")]
                victim = choose.choice(workers)
                os.kill(int(victim["pid"]), signal.SIGKILL)
                kills += 1
            with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
                assert total(client) == START_BALANCE * len(ACCOUNTS)
    finally:
        for teller in tellers:
            teller.stop.set()
        for teller in tellers:
            teller.thread.join()
    for teller in tellers:
        assert teller.problem is None, teller.problem
        assert teller.acknowledged > 0
    wait_until(lambda: client.info("server")["workers_ready"] == 2)
    assert total(client) == START_BALANCE * len(ACCOUNTS)
    for teller in tellers:
        counted = int(client.get(teller.counter) or 0)
        assert teller.acknowledged <= counted <= teller.acknowledged + teller.unknown
