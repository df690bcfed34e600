"""Commands about the server inside MULTI: they show and change what Redis' do at their place in the queue (cext/cmd/afterwards.h).

Each transaction runs here and on redis-server; what is compared is picked out of the replies by `PICK`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from wire import Error, Reply, Wire

TRANSACTIONS = {
    "keys": ["SET a 1", "INFO keyspace", "SET b 1", "INFO keyspace", "DEL a b", "INFO keyspace", "DBSIZE"],
    "expires": ["SET a 1 EX 100", "INFO keyspace", "PERSIST a", "INFO keyspace"],
    "databases": ["SELECT 3", "SET x 1", "INFO keyspace", "MOVE x 0", "INFO keyspace", "FLUSHALL", "INFO keyspace", "SELECT 0"],
    "statistics": ["GET no", "INFO stats", "SET k v", "GET k", "INFO stats", "GET k", "INFO stats"],
    "reset later": ["GET no", "INFO stats", "CONFIG RESETSTAT", "GET no", "GET no", "INFO stats", "GET no"],
    "calls": ["SET k v", "INFO commandstats", "INFO commandstats", "SET k w", "INFO commandstats"],
    "errors": ["SET k v", "INCR k", "INFO errorstats", "LPUSH k x", "INFO errorstats"],
    "histogram": ["CONFIG RESETSTAT", "SET k v", "LATENCY HISTOGRAM set", "SET k v", "SET k v", "LATENCY HISTOGRAM set", "SET k v"],
    "own record": ["CLIENT SETNAME one", "CLIENT INFO", "CLIENT SETNAME two", "SELECT 2", "CLIENT INFO", "SELECT 0", "CLIENT LIST"],
    "settings": [
        "HSET h1 a 1 b 2 c 3", "OBJECT ENCODING h1", "CONFIG SET hash-max-listpack-entries 2", "HSET h2 a 1 b 2 c 3",
        "OBJECT ENCODING h2", "CONFIG SET hash-max-listpack-entries 128", "HSET h3 a 1 b 2 c 3", "OBJECT ENCODING h3",
        "CONFIG GET hash-max-listpack-entries",
    ],
    "policies": [
        "SET k v", "OBJECT FREQ k", "CONFIG SET maxmemory-policy allkeys-lfu", "OBJECT FREQ k", "OBJECT IDLETIME k",
        "CONFIG SET maxmemory-policy noeviction", "OBJECT IDLETIME k",
    ],
    "memory limit": ["CONFIG SET maxmemory 1mb", "SET k v", "CONFIG SET maxmemory 0", "SET k w", "GET k"],
    "several at once": ["CONFIG SET hash-max-listpack-entries 1 zset-max-listpack-entries 1", "ZADD s 1 a 2 b", "OBJECT ENCODING s",
                        "CONFIG SET hash-max-listpack-entries 128 zset-max-listpack-entries 128", "ZADD s2 1 a 2 b", "OBJECT ENCODING s2"],
    "bad setting": ["CONFIG SET hash-max-listpack-entries x", "HSET h a 1", "OBJECT ENCODING h"],
    "slow log": ["SLOWLOG RESET", "DEBUG SLEEP 0.03", "SLOWLOG LEN", "DEBUG SLEEP 0.03", "SLOWLOG LEN", "SLOWLOG RESET",
                 "DEBUG SLEEP 0.03", "SLOWLOG LEN"],
    "saving": ["SET k v", "BGSAVE"],
    "rewriting": ["SET k v", "BGREWRITEAOF", "GET k"],
}  # fmt: skip

FIELDS = re.compile(
    rb"^(?:db\d+:keys=\d+,expires=\d+|keyspace_(?:hits|misses):\d+|cmdstat_(?:set|info|get):calls=\d+|errorstat_\w+:count=\d+)", re.M
)


def pick(command: str, reply: Reply) -> Reply:
    """The part of a reply that both servers must agree on."""
    if isinstance(reply, Error):
        return reply
    if command.startswith("INFO"):
        return sorted(FIELDS.findall(reply))
    if command == "CLIENT INFO" or command == "CLIENT LIST":
        lines = [dict(w.split(b"=", 1) for w in line.split()) for line in reply.splitlines()]
        return [(c[b"name"], c[b"db"], c[b"multi"], c[b"flags"], c[b"cmd"]) for c in lines if b"x" in c[b"flags"]]
    if command.startswith("LATENCY HISTOGRAM"):
        flat = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
        calls = flat[b"set"]
        return calls[b"calls"] if isinstance(calls, dict) else calls[calls.index(b"calls") + 1]
    return reply


@pytest.fixture
def idle(client: Wire, reference: Wire) -> Iterator[tuple[Wire, Wire]]:
    """Both servers, emptied, and not saving."""
    reference("FLUSHALL")
    yield client, reference
    for w in (client, reference):
        deadline = time.monotonic() + 20
        while re.search(rb"(?:bgsave|rewrite)_in_progress:1|rewrite_scheduled:1", w("INFO", "persistence")):
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_in_a_transaction(idle: tuple[Wire, Wire], name: str) -> None:
    found = []
    for w in idle:
        assert w("CONFIG", "RESETSTAT") == "OK"
        assert w("CONFIG", "SET", "slowlog-log-slower-than", 25000) == "OK"
        assert w("MULTI") == "OK"
        for command in TRANSACTIONS[name]:
            assert w(*command.split()) == "QUEUED", command
        replies = w("EXEC")
        found.append([(c, pick(c, r)) for c, r in zip(TRANSACTIONS[name], replies, strict=True)])
    assert found[0] == found[1]


def test_memory_at_its_place(client: Wire) -> None:
    client("MULTI")
    client("INFO", "memory")
    client("SET", "big", b"x" * 3_000_000)
    client("INFO", "memory")
    client("DEL", "big")
    client("INFO", "memory")
    replies = client("EXEC")
    used = [int(re.search(rb"used_memory:(\d+)", r)[1]) for r in replies[::2]]  # type: ignore[index]
    assert used[1] - used[0] >= 3_000_000
    assert used[1] - used[2] >= 3_000_000


def test_a_changed_watched_key_leaves_settings_alone(client: Wire, server: object) -> None:
    with Wire(server.port) as other:  # type: ignore[attr-defined]
        client("WATCH", "w")
        client("MULTI")
        client("CONFIG", "SET", "hash-max-listpack-entries", 1)
        client("SET", "k", "v")
        assert other("SET", "w", 1) == "OK"
        assert client("EXEC") is None
        client("HSET", "h", "a", 1, "b", 2)
        assert client("OBJECT", "ENCODING", "h") == b"listpack"
        assert client("CONFIG", "GET", "hash-max-listpack-entries") in (
            [b"hash-max-listpack-entries", b"128"],
            {b"hash-max-listpack-entries": b"128"},
        )


def test_a_setting_that_cannot_be_applied_goes_back(client: Wire) -> None:
    client("MULTI")
    client("CONFIG", "SET", "hash-max-listpack-entries", 1, "bind", "203.0.113.1")
    client("SET", "k", "v")
    refused, done = client("EXEC")
    assert "Failed to bind" in refused
    assert done == "OK"
    client("HSET", "h", "a", 1, "b", 2)
    assert client("OBJECT", "ENCODING", "h") == b"listpack"


def test_monitors_see_the_order_of_the_queue(client: Wire, server: object) -> None:
    with Wire(server.port) as monitor:  # type: ignore[attr-defined]
        assert monitor("MONITOR") == "OK"
        for line in ("MULTI", "SET a 1", "INFO keyspace", "SET b 1", "EXEC"):
            client(*line.split())
        seen = [re.search(r'\] "(.*?)"', monitor.read())[1].lower() for _ in range(5)]  # type: ignore[index]
    assert seen == ["multi", "set", "info", "set", "exec"]


def test_many_of_them(client: Wire) -> None:
    """Replies stay where they belong, whatever their size."""
    client("MULTI")
    for i in range(100):
        client("SET", f"k{i}", i)
        client("INFO", "keyspace")
        client("GET", f"k{i}")
    replies = client("EXEC")
    for i in range(100):
        status, info, value = replies[3 * i : 3 * i + 3]
        assert (status, value) == ("OK", str(i).encode())
        assert b"keys=%d," % (i + 1) in info
