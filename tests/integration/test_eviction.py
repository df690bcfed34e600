"""maxmemory: every policy keeps to the limit, removes what it may, and says so."""

from __future__ import annotations

import time

import pytest
import redis

from tests.conftest import StartServer

ROOM = 2 << 20  # bytes above what the server uses when it is empty


def fill(client: redis.Redis, prefix: str, count: int, ttl: int = 0) -> tuple[int, int]:
    """SETs keys of 1 KB; how many were stored and how many refused for memory."""
    stored = refused = 0
    for start in range(0, count, 200):
        pipe = client.pipeline(transaction=False)
        for i in range(start, min(start + 200, count)):
            pipe.set(f"{prefix}:{i}", "x" * 1000, ex=ttl or None)
        for reply in pipe.execute(raise_on_error=False):
            if isinstance(reply, redis.ResponseError):
                assert str(reply).startswith("command not allowed when used memory > 'maxmemory'"), reply
                refused += 1
            else:
                stored += 1
    return stored, refused


def limit(client: redis.Redis, policy: str) -> int:
    top = int(client.info("memory")["used_memory"]) + ROOM
    client.config_set("maxmemory", top)
    client.config_set("maxmemory-policy", policy)
    return top


def used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_allkeys(start_server: StartServer, policy: str) -> None:
    client = start_server().client()
    top = limit(client, policy)
    assert fill(client, "k", 6000) == (6000, 0)
    assert used(client) <= top + 200_000
    stats = client.info("stats")
    assert 6000 - client.dbsize() == stats["evicted_keys"] > 2000


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"])
def test_volatile_keys_only(start_server: StartServer, policy: str) -> None:
    client = start_server().client()
    top = limit(client, policy)
    assert fill(client, "stays", 500) == (500, 0)
    assert fill(client, "goes", 5000, ttl=1000) == (5000, 0)
    assert used(client) <= top + 200_000
    assert client.exists(*[f"stays:{i}" for i in range(500)]) == 500
    stored, refused = fill(client, "more", 5000)
    assert refused and stored < 3000, (stored, refused)
    assert not list(client.scan_iter("goes:*", count=1000))
    assert client.get("stays:1") == "x" * 1000
    assert client.delete("stays:1") == 1


def test_noeviction_refuses_writes_only(start_server: StartServer) -> None:
    client = start_server().client()
    limit(client, "noeviction")
    stored, refused = fill(client, "k", 5000)
    assert stored > 500 and refused > 1000
    assert client.info("stats")["evicted_keys"] == 0
    assert client.get("k:1") and client.delete("k:1")
    assert fill(client, "more", 50)[1] > 0  # what the deletion freed is used up
    with pytest.raises(redis.ResponseError, match=r"OOM|maxmemory"):
        client.lpush("list", "x")
    pipe = client.pipeline(transaction=True)
    pipe.set("a", "b")
    with pytest.raises(redis.ResponseError, match="used memory > 'maxmemory'"):
        pipe.execute()
    client.config_set("maxmemory", 0)
    assert client.set("a", "b")


def test_lru_keeps_what_is_used(start_server: StartServer) -> None:
    client = start_server("--maxmemory-samples", "10").client()
    fill(client, "old", 600)
    hot = [f"old:{i}" for i in range(0, 600, 6)]
    limit(client, "allkeys-lru")
    time.sleep(2.1)  # the clock of accesses counts seconds
    client.mget(hot)
    fill(client, "new", 2250)
    kept_hot = client.exists(*hot) / len(hot)
    cold = [f"old:{i}" for i in range(600) if i % 6]
    kept_cold = client.exists(*cold) / len(cold)
    assert kept_hot > kept_cold + 0.3, (kept_hot, kept_cold)
