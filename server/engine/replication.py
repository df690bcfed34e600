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


LINK_NONE, LINK_CONNECT, LINK_CONNECTING, LINK_SYNC, LINK_CONNECTED = range(5)
"""enum link_state of cext/shm/replica_link.h."""


@dataclass(frozen=True, slots=True)
class Link:
    """See struct engine_link; times in milliseconds."""

    state: int
    valid: bool
    client_id: int
    offset: int
    heard: int
    down: int
    id: str
    target: str


def link() -> Link:
    r = ffi.new("struct engine_link *")
    lib.engine_link_get(r)
    return Link(
        int(r.state), bool(r.valid), int(r.client_id), int(r.offset), int(r.heard_ms), int(r.down_ms), text(r.id), text(r.target)
    )


def link_forget() -> None:
    """The dataset is not a primary's."""
    lib.engine_link_forget()


def link_close() -> None:
    """The connection to the primary ends, whichever worker has it."""
    lib.engine_link_close()


def link_state(state: int) -> None:
    lib.engine_link_state(state)


def link_begin(replid: str, offset: int) -> None:
    """The dataset is that of a primary's stream up to there."""
    lib.engine_link_begin(replid.encode("latin-1"), offset)


def link_id(replid: str) -> None:
    lib.engine_link_id(replid.encode("latin-1"))


def link_hand_over(fd: int, target: str) -> bool:
    """A worker gets the connection; ours may be closed. False: none takes it now."""
    return int(lib.engine_link_hand_over(fd, target.encode("latin-1"))) == 0
