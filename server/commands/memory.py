"""MEMORY STATS, DOCTOR, MALLOC-STATS, PURGE. MEMORY USAGE is C."""

from __future__ import annotations

from shoal import engine
from shoal.commands.client import FLAG_REPLICA, memory_of
from shoal.commands.info import private_bytes
from shoal.commands.registry import command
from shoal.commands.server_state import ServerState
from shoal.engine import Call
from shoal.replies import OK, Reply, Verbatim

_ROOM = 5 << 20
"""Below this the doctor has nothing to examine."""


@command("memory|stats")
def stats(state: ServerState, call: Call) -> Reply:
    m = engine.memory()
    clients = engine.clients()
    databases = range(state.config["databases"])
    sizes = {db: engine.db_size(db) for db in databases}
    keys = sum(sizes.values())
    peak = state.peak()
    tables = m.overhead
    overhead, arena = tables + m.startup, m.used - m.startup
    dataset = max(m.used - overhead, 0)
    private = private_bytes()
    segment = state.segment_bytes()
    resident = segment + private
    reply: dict[str, Reply] = {
        "peak.allocated": peak,
        "total.allocated": m.used,
        "startup.allocated": m.startup,
        "replication.backlog": 0,
        "clients.slaves": sum(memory_of(c) for c in clients if c.flags & FLAG_REPLICA),
        "clients.normal": sum(memory_of(c) for c in clients if not c.flags & FLAG_REPLICA),
        "cluster.links": 0,
        "aof.buffer": 0,
        "lua.caches": 0,
        "functions.caches": 0,
    }
    for db, size in sizes.items():
        if size:
            share = tables * size // max(keys, 1)
            reply[f"db.{db}"] = {"overhead.hashtable.main": share, "overhead.hashtable.expires": 0}
    reply |= {
        "overhead.total": overhead,
        "keys.count": keys,
        "keys.bytes-per-key": arena // keys if keys else 0,
        "dataset.bytes": dataset,
        "dataset.percentage": 100.0 * dataset / arena if arena else 0.0,
        "peak.percentage": 100.0 * m.used / peak if peak else 0.0,
        "allocator.allocated": arena,
        "allocator.active": m.committed,
        "allocator.resident": m.committed,
        "allocator-fragmentation.ratio": m.committed / arena if arena else 1.0,
        "allocator-fragmentation.bytes": m.committed - arena,
        "allocator-rss.ratio": 1.0,
        "allocator-rss.bytes": 0,
        "rss-overhead.ratio": resident / m.committed if m.committed else 1.0,
        "rss-overhead.bytes": resident - m.committed,
        "fragmentation": resident / m.used if m.used else 1.0,
        "fragmentation.bytes": resident - m.used,
        "segment.committed": segment,
        "processes.private": private,
    }
    return reply


@command("memory|doctor")
def doctor(state: ServerState, call: Call) -> Reply:
    m = engine.memory()
    if m.used - m.startup < _ROOM:
        return Verbatim(b"The dataset is nearly empty: there is nothing to examine yet.\n")
    found: list[str] = []
    peak = state.peak()
    if peak > m.used * 3 // 2:
        found.append(
            f"The dataset was {peak / m.used:.1f} times as large as it is now. Its pages stay committed; new keys reuse them."
        )
    pages = engine.word("pages_total") or 1
    if engine.word("pages_free") * 2 > pages and m.committed > 64 << 20:
        found.append(
            "More than half of the committed memory is free pages, for the same reason or after many deletions."
        )
    if engine.word("grow_failed"):
        found.append("/dev/shm is full: writes that need more memory are answered -OOM. Make it larger.")
    limit = state.config["maxmemory"]
    if limit and m.used > limit * 9 // 10:
        found.append("The dataset is above 90 % of maxmemory.")
    heavy = [c for c in engine.clients() if memory_of(c) > 1 << 20]
    if heavy:
        found.append(f"{len(heavy)} clients hold more than 1mb of buffers each; see CLIENT LIST, tot-mem.")
    text = "".join(f"- {line}\n" for line in found) or "Nothing is wrong with the memory.\n"
    return Verbatim(text.encode())


@command("memory|malloc-stats")
def malloc_stats(state: ServerState, call: Call) -> Reply:
    m = engine.memory()
    lines = [f"{name}:{engine.word(name)}" for name in ("arena_size", "arena_committed", "pages_total", "pages_used")]
    lines += [
        f"pages_free:{engine.word('pages_free')}",
        f"used:{m.used}",
        f"tables:{m.overhead}",
        f"segment:{state.segment_bytes()}",
    ]
    lines += [f"slot_{s.index}:pid={s.pid},used={s.used_bytes}" for s in engine.slots() if s.pid]
    return Verbatim(("\n".join(lines) + "\n").encode())


@command("memory|purge")
def purge(state: ServerState, call: Call) -> Reply:
    """Free pages are reused, never hoarded outside of the arena: there is nothing to give back."""
    return OK
