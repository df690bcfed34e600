"""kill -9 of the supervisor at moments of an upgrade in place: what was acknowledged is there at the next start."""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import pytest
import redis

from tests.conftest import ShoalServer, StartServer

ROUNDS = int(os.environ.get("SHOAL_UPGRADE_KILLS", "6"))


class Writer(threading.Thread):
    """Counts up in a key, over every interruption."""

    def __init__(self, server: ShoalServer, first: int) -> None:
        super().__init__()
        self.port, self.acknowledged, self.done = server.port, first, threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            try:
                client = redis.Redis("127.0.0.1", self.port, socket_timeout=20)
                while not self.done.is_set():
                    client.set("counter", self.acknowledged + 1)
                    self.acknowledged += 1
            except redis.ConnectionError:
                time.sleep(0.01)


@pytest.mark.parametrize("appendonly", ["no", "yes"])
def test_the_next_start_takes_the_memory_over(start_server: StartServer, appendonly: str) -> None:
    options = ["--save", "", "--appendonly", appendonly]
    server = start_server(*options)
    server.client().mset({f"key:{i}": i for i in range(1000)})
    written = 0
    for _ in range(ROUNDS // 2):
        writer = Writer(server, written)
        writer.start()
        server.process.send_signal(signal.SIGUSR2)
        time.sleep(random.uniform(0, 1.0))
        server.process.kill()
        server.process.wait()
        writer.done.set()
        writer.join()
        written = writer.acknowledged
        server.close_clients()
        server = start_server(*options, folder=server.folder, port=server.port)
        assert "Took over the memory" in server.log()
        client = server.client()
        assert client.dbsize() >= 1000 and int(client.get("counter") or 0) in (written, written + 1)
