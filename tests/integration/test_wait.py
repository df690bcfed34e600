"""WAIT and WAITAOF: what they answer, how they wait, and how the waiting ends."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, wait_until

ON = ("--appendonly", "yes", "--save", "", "--keep-memory", "no")
OFF_ERROR = "WAITAOF cannot be used when numlocal is set but appendonly is disabled"


@pytest.fixture
def logged(start_server: StartServer) -> ShoalServer:
    return start_server(*ON)


def waiting(server: ShoalServer, *words: object) -> Callable[[], object]:
    """Sends a command that waits; the result of the call is its reply."""
    connection = server.client().connection_pool.get_connection()
    connection.send_command(*words)
    wait_until(lambda: server.client().info("clients")["blocked_clients"] == 1, what="blocked")
    return connection.read_response


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("WAIT", "a", 0), "value is not an integer or out of range"),
        (("WAIT", 1, -1), "timeout is negative"),
        (("WAIT", 1, "1.5"), "timeout is not an integer or out of range"),
        (("WAIT", 1, 2**63 - 1), "timeout is out of range"),
        (("WAITAOF", 2, 0, 0), "value is out of range, value must between 0 and 1"),
        (("WAITAOF", "a", 0, 0), "value is not an integer or out of range"),
        (("WAITAOF", 0, -1, 0), "value is out of range, must be positive"),
        (("WAITAOF", 0, 0, -1), "timeout is negative"),
        (("WAITAOF", 0, 0, "x"), "timeout is not an integer or out of range"),
        (("WAITAOF", 1, 0, 0), OFF_ERROR),
    ],
)
def test_wrong_arguments(client: redis.Redis, words: tuple[object, ...], error: str) -> None:
    with pytest.raises(redis.ResponseError, match=error):
        client.execute_command(*words)


def test_nobody_acknowledges_where_there_are_no_replicas(client: redis.Redis) -> None:
    client.set("a", 1)
    assert client.execute_command("WAIT", 0, 0) == 0
    assert client.execute_command("WAITAOF", 0, 0, 0) == [0, 0]
    began = time.monotonic()
    assert client.execute_command("WAIT", 1, 80) == 0
    assert client.execute_command("WAITAOF", 0, 1, 80) == [0, 0]
    assert time.monotonic() - began >= 0.16
    pipe = client.pipeline(transaction=True)
    pipe.execute_command("WAIT", 1, 0)
    pipe.execute_command("WAITAOF", 0, 1, 0)
    assert pipe.execute() == [0, [0, 0]]


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_a_write_is_on_the_disk_then(logged: ShoalServer, policy: str) -> None:
    client = logged.client()
    client.config_set("appendfsync", policy)
    for n in range(3):
        pipe = client.pipeline(transaction=False)
        pipe.set("a", n)
        pipe.execute_command("WAITAOF", 1, 0, 0)
        assert pipe.execute() == [True, [1, 0]]
        info = client.info("persistence")
        assert info["aof_synced_lsn"] == info["aof_last_lsn"]


def test_without_fsync_nothing_is_promised_before_a_rewrite(logged: ShoalServer) -> None:
    client = logged.client()
    client.config_set("appendfsync", "no")
    client.set("a", 1)
    assert client.execute_command("WAITAOF", 1, 0, 100) == [0, 0]
    client.bgrewriteaof()
    assert client.execute_command("WAITAOF", 1, 0, 20000) == [1, 0]


def test_who_waits_holds_nobody_up(logged: ShoalServer) -> None:
    client = logged.client()
    replies = [waiting(logged, "WAIT", 1, 0)]
    identity = next(c["id"] for c in client.client_list() if "b" in c["flags"])
    assert client.set("a", 1)
    assert client.client_unblock(identity)
    assert replies[0]() == 0
    reply = waiting(logged, "WAITAOF", 1, 1, 0)
    identity = next(c["id"] for c in client.client_list() if "b" in c["flags"])
    assert client.client_unblock(identity, error=True)
    with pytest.raises(redis.ResponseError, match="UNBLOCKED"):
        reply()
    waiting(logged, "WAIT", 1, 0)
    identity = next(c["id"] for c in client.client_list() if "b" in c["flags"])
    client.client_kill_filter(_id=identity)
    wait_until(lambda: client.info("clients")["blocked_clients"] == 0)
    assert client.execute_command("WAIT", 0, 0) == 0


def test_switching_the_log_off_ends_the_waiting(logged: ShoalServer) -> None:
    client = logged.client()
    reply = waiting(logged, "WAITAOF", 1, 1, 0)
    client.config_set("appendonly", "no")
    with pytest.raises(redis.ResponseError, match=OFF_ERROR):
        reply()


def test_switching_it_on_counts_when_the_base_is_there(start_server: StartServer) -> None:
    server = start_server("--save", "", "--keep-memory", "no")
    client = server.client()
    client.set("a", 1)
    client.config_set("appendonly", "yes")
    assert client.execute_command("WAITAOF", 1, 0, 20000) == [1, 0]
    server.process.kill()
    server.process.wait()
    server.remove_memory()
    assert start_server(*ON, folder=server.folder).client().get("a") == "1"
