"""Connections to other servers that MIGRATE keeps for ten seconds after their use, as Redis does; each worker has its own."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from shoal import engine

KEPT_SECONDS = 10.0
KEPT_MAX = 64

Address = tuple[bytes, bytes]
"""Host and port as the client wrote them."""


@dataclass(slots=True)
class Connection:
    """To one other server."""

    sock: socket.socket
    address: Address
    db: int = -1
    used: float = 0.0
    unread: bytes = b""

    def close(self) -> None:
        self.sock.close()


class Connections:
    """Kept ones, of this worker; the one that was used last is the last."""

    def __init__(self) -> None:
        self.kept: dict[Address, Connection] = {}

    def take(self, address: Address) -> Connection | None:
        found = self.kept.pop(address, None)
        self.tell()
        return found

    def give(self, connection: Connection) -> None:
        connection.used = time.monotonic()
        while len(self.kept) >= KEPT_MAX or connection.address in self.kept:
            self.drop(connection.address if connection.address in self.kept else next(iter(self.kept)))
        self.kept[connection.address] = connection
        self.tell()

    def drop(self, address: Address) -> None:
        self.kept.pop(address).close()
        self.tell()

    def expire(self) -> None:
        now = time.monotonic()
        for address in [a for a, c in self.kept.items() if now - c.used > KEPT_SECONDS]:
            self.drop(address)

    def tell(self) -> None:
        engine.stat_gauge("migrate_sockets", len(self.kept))
