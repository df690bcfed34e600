"""REPLICAOF, ROLE, and what INFO tells of replication. SYNC and PSYNC are C (cext/cmd/cmd_replication.c)."""

from __future__ import annotations

from collections.abc import Iterator

from shoal import engine
from shoal.commands.registry import command, word
from shoal.commands.server_state import ServerState
from shoal.engine import Call
from shoal.replies import OK, CommandError, Reply

_STATES = {
    engine.REPLICA_WAITS: "wait_bgsave",
    engine.REPLICA_SAVES: "wait_bgsave",
    engine.REPLICA_SENDS: "send_bulk",
    engine.REPLICA_ONLINE: "online",
}


@command("replicaof", "slaveof")
def replicaof(state: ServerState, call: Call) -> Reply:
    if word(call.args[1]) == "no" and word(call.args[2]) == "one":
        return OK
    raise CommandError("This version of Shoal serves replicas, but cannot be one")


@command("role")
def role(state: ServerState, call: Call) -> Reply:
    online = [r for r in engine.replicas() if r.state == engine.REPLICA_ONLINE]
    return ["master", engine.replication().end, [[r.ip, str(r.port), str(r.ack)] for r in online]]


def facts(backlog_size: int, min_replicas: int, max_lag: int) -> Iterator[tuple[str, object]]:
    """The fields of INFO's section."""
    now = engine.replication()
    replicas = engine.replicas()
    yield "role", "master"
    yield "connected_slaves", len(replicas)
    if min_replicas and max_lag:
        yield "min_slaves_good_slaves", sum(
            r.state == engine.REPLICA_ONLINE and r.lag <= max_lag * 1000 for r in replicas
        )
    for i, r in enumerate(replicas):
        lag = r.lag // 1000 if r.state == engine.REPLICA_ONLINE else 0
        yield f"slave{i}", f"ip={r.ip},port={r.port},state={_STATES.get(r.state, '')},offset={r.ack},lag={lag}"
    yield "master_failover_state", "no-failover"
    yield "master_replid", now.id
    yield "master_replid2", "0" * 40
    yield "master_repl_offset", now.end
    yield "second_repl_offset", -1
    yield "repl_backlog_active", int(now.on)
    yield "repl_backlog_size", backlog_size
    yield "repl_backlog_first_byte_offset", now.first + 1 if now.on else 0
    yield "repl_backlog_histlen", now.end - now.first if now.on else 0
