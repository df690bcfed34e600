"""SIGTERM while everybody is busy: clients that write, wait, and stand in MULTI."""

from __future__ import annotations

import contextlib
import threading
import time

import redis

from tests.conftest import StartServer

WRITERS = 10


def test_a_stop_under_load_is_quick_and_loses_nothing(start_server: StartServer) -> None:
    server = start_server("--save", "3600 1", "--keep-memory", "no")
    acknowledged = [0] * WRITERS

    def write(i: int) -> None:
        client = redis.Redis("127.0.0.1", server.port, retry=None, socket_timeout=20)
        with client, contextlib.suppress(redis.ConnectionError):
            while True:
                client.set(f"key:{i}", acknowledged[i] + 1)
                acknowledged[i] += 1

    def wait() -> None:
        client = redis.Redis("127.0.0.1", server.port, retry=None, socket_timeout=30)
        with client, contextlib.suppress(redis.ConnectionError):
            client.blpop("nothing", 0)

    queued = [server.client(single_connection_client=True) for _ in range(3)]
    for client in queued:
        client.execute_command("MULTI")
        client.execute_command("SET", "queued", "x")
    threads = [threading.Thread(target=write, args=(i,)) for i in range(WRITERS)] + [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 15
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert min(acknowledged) > 0
    again = start_server("--keep-memory", "no", folder=server.folder)
    client = again.client()
    for i, count in enumerate(acknowledged):
        assert int(client.get(f"key:{i}")) in (count, count + 1)  # the last may have been done and not answered
    assert client.exists("queued") == 0
