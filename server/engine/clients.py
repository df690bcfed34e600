"""The clients of all workers, as their records in the segment say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shoal.engine.binding import ffi, lib


@dataclass(frozen=True, slots=True)
class Client:
    id: int
    slot: int
    flags: int
    db: int
    resp: int
    command: int
    watches: int
    fd: int
    subscriptions: int
    pattern_subscriptions: int
    shard_subscriptions: int
    multi: int
    age_ms: int
    idle_ms: int
    query_bytes: int
    query_free: int
    argv_bytes: int
    multi_bytes: int
    reply_bytes: int
    output_list_bytes: int
    output_list_length: int
    net_in: int
    net_out: int
    commands: int
    user: bytes
    name: bytes
    lib_name: bytes
    lib_version: bytes
    addr: bytes
    laddr: bytes


_NO_RECORD = 2**32 - 1
_CLIENT_TEXTS = {"user", "name", "lib_name", "lib_version", "addr", "laddr"}


def client(record: int) -> Client | None:
    row = ffi.new("struct engine_client *")
    if lib.engine_client_get(record, row) != 1:
        return None
    values: dict[str, Any] = {
        name: ffi.string(getattr(row, name)) if name in _CLIENT_TEXTS else int(getattr(row, name))
        for name in Client.__slots__
    }
    return Client(**values)


def clients() -> list[Client]:
    """Of all workers, oldest first."""
    found: list[Client] = []
    record = lib.engine_client_next(0)
    while record != _NO_RECORD:
        if (c := client(record)) is not None:
            found.append(c)
        record = lib.engine_client_next(record + 1)
    return sorted(found, key=lambda c: c.id)


def client_count() -> int:
    return int(lib.engine_clients())


def client_kill(client_id: int) -> int:
    return int(lib.engine_client_kill(client_id))


def clients_check() -> None:
    """Close the largest connections if all of them hold more than maxmemory-clients."""
    lib.engine_clients_check()


def client_unblock(client_id: int, error: bool) -> bool:
    """Ends the waiting of a client in BLPOP and the like; False: it does not wait."""
    return bool(lib.engine_client_unblock(client_id, int(error)))


def client_answer(client_id: int, data: bytes) -> bool:
    """The reply (RESP) of a command that went on by itself; False: its client has gone."""
    return bool(lib.engine_client_answer(client_id, data, len(data)))


def pause(what: int, until_ms: int) -> None:
    lib.engine_pause(what, until_ms)
