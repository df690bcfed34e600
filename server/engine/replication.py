"""Replication: who follows, and the persistence process' cuts for them."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.engine.binding import ERR_LEN, checked, ffi, lib, text

REPLICA_WAITS, REPLICA_SAVES, REPLICA_SENDS, REPLICA_ONLINE = 1, 2, 3, 4
"""enum replica_state of cext/shm/backlog.h."""


@dataclass(frozen=True, slots=True)
class Replication:
    """See struct engine_replication."""

    on: bool
    id: str
    end: int
    first: int
    replicas: int
    wanted: int
    done: int


def replication() -> Replication:
    r = ffi.new("struct engine_replication *")
    lib.engine_replication(r)
    return Replication(bool(r.on), text(r.id), int(r.end), int(r.first), int(r.replicas), int(r.wanted), int(r.done))


@dataclass(frozen=True, slots=True)
class Replica:
    """See struct engine_replica; lag in milliseconds."""

    client_id: int
    ack: int
    state: int
    port: int
    lag: int
    ip: str


def replicas() -> list[Replica]:
    found: list[Replica] = []
    row = ffi.new("struct engine_replica *")
    i = int(lib.engine_replica_next(0))
    while i != 0xFFFFFFFF:
        if lib.engine_replica_get(i, row):
            found.append(Replica(int(row.client_id), int(row.ack), int(row.state), int(row.port), int(row.lag_ms), text(row.ip)))
        i = int(lib.engine_replica_next(i + 1))
    return found


def snapshot_begin_replicas(pool_bytes: int, spill_folder: str) -> int:
    """Take the cut for all replicas that have asked; its number. Raises EngineError, also with the number in vain."""
    err = ffi.new("char[]", ERR_LEN)
    number = ffi.new("uint64_t *")
    checked(lib.engine_snapshot_begin_replicas(pool_bytes, spill_folder.encode("latin-1"), number, err, ERR_LEN), err)
    return int(number[0])


def replica_file(number: int, fd: int) -> bool:
    """Send the file of a cut to whom it is for; fd -1: there is none. False: not everybody could be reached yet."""
    return int(lib.engine_replica_file(number, fd)) == 0


def replicas_abandon() -> None:
    lib.engine_replicas_abandon()


def replication_off() -> None:
    lib.engine_replication_off()
