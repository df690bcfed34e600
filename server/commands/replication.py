"""REPLICAOF, ROLE, and what INFO tells of replication. SYNC and PSYNC are C (cext/cmd/cmd_replication.c)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shoal import engine, log
from shoal.commands.registry import command, word
from shoal.commands.server_state import ServerState
from shoal.config import Config
from shoal.engine import Call
from shoal.replies import OK, CommandError, Reply, Status

_STATES = {
    engine.REPLICA_WAITS: "wait_bgsave",
    engine.REPLICA_SAVES: "wait_bgsave",
    engine.REPLICA_SENDS: "send_bulk",
    engine.REPLICA_ONLINE: "online",
}


_LINKS = ("connect", "connect", "connecting", "sync", "connected")
"""By engine.Link.state."""


@command("replicaof", "slaveof")
def replicaof(state: ServerState, call: Call) -> Reply:
    before = state.config["replicaof"]
    if word(call.args[1]) == "no" and word(call.args[2]) == "one":
        engine.link_forget()
        state.config.follow("")
        if before:
            log.notice("MASTER MODE enabled (user request)")
        return OK
    host, port = call.args[1].decode("latin-1"), call.args[2].decode("latin-1")
    if not re.fullmatch(r"\d{1,5}", port) or int(port) > 65535 or not host or set(host) & set(" \r\n\0") or len(host) > 255:
        raise CommandError("Invalid master port" if host else "Invalid master host")
    target = f"{host} {int(port)}"
    if target.lower() == before.lower():
        return Status("OK Already connected to specified master")
    if not before:
        engine.link_forget()  # what was written here meanwhile is in no primary's stream
    state.config.follow(target)
    log.notice(f"REPLICAOF {host}:{port} enabled (user request)")
    return OK


@command("role")
def role(state: ServerState, call: Call) -> Reply:
    if target := state.config["replicaof"]:
        host, _, port = target.rpartition(" ")
        link = engine.link()
        return ["slave", host, int(port), _LINKS[link.state], link.offset if link.valid else -1]
    online = [r for r in engine.replicas() if r.state == engine.REPLICA_ONLINE]
    return ["master", engine.replication().end, [[r.ip, str(r.port), str(r.ack)] for r in online]]


def _following(config: Config, link: engine.Link) -> Iterator[tuple[str, object]]:
    """The fields of a replica."""
    host, _, port = config["replicaof"].rpartition(" ")
    up, offset = link.state == engine.LINK_CONNECTED, link.offset if link.valid else 0
    yield "master_host", host
    yield "master_port", port
    yield "master_link_status", "up" if up else "down"
    yield "master_last_io_seconds_ago", link.heard // 1000 if up else -1
    yield "master_sync_in_progress", int(link.state == engine.LINK_SYNC)
    yield "slave_read_repl_offset", offset
    yield "slave_repl_offset", offset
    if not up:
        yield "master_link_down_since_seconds", link.down // 1000
    yield "slave_priority", config["replica-priority"]
    yield "slave_read_only", int(config["replica-read-only"])
    yield "replica_announced", int(config["replica-announced"])


def facts(config: Config) -> Iterator[tuple[str, object]]:
    """The fields of INFO's section."""
    now, link = engine.replication(), engine.link()
    replicas = engine.replicas()
    follows = bool(config["replicaof"])
    backlog_size, min_replicas, max_lag = (config[n] for n in ("repl-backlog-size", "min-replicas-to-write", "min-replicas-max-lag"))
    yield "role", "slave" if follows else "master"
    if follows:
        yield from _following(config, link)
    yield "connected_slaves", len(replicas)
    if min_replicas and max_lag:
        yield "min_slaves_good_slaves", sum(
            r.state == engine.REPLICA_ONLINE and r.lag <= max_lag * 1000 for r in replicas
        )
    for i, r in enumerate(replicas):
        lag = r.lag // 1000 if r.state == engine.REPLICA_ONLINE else 0
        yield f"slave{i}", f"ip={r.ip},port={r.port},state={_STATES.get(r.state, '')},offset={r.ack},lag={lag}"
    yield "master_failover_state", "no-failover"
    yield "master_replid", link.id if follows and link.valid else now.id
    yield "master_replid2", "0" * 40
    yield "master_repl_offset", link.offset if follows and link.valid else now.end
    yield "second_repl_offset", -1
    yield "repl_backlog_active", int(now.on)
    yield "repl_backlog_size", backlog_size
    yield "repl_backlog_first_byte_offset", now.first + 1 if now.on else 0
    yield "repl_backlog_histlen", now.end - now.first if now.on else 0
