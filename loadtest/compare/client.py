"""A blocking connection that costs the load generator little: pipelines of ready-made bytes."""

from __future__ import annotations

import socket
from typing import Any


def encode(*words: bytes | str | int) -> bytes:
    """One command."""
    raw = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in raw)


class Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.socket.close()

    def read(self) -> Any:
        line = self.stream.readline()
        if not line:
            raise EOFError("the server closed the connection")
        head, rest = line[:1], line[1:-2]
        if head == b"$":
            size = int(rest)
            return None if size < 0 else self.stream.read(size + 2)[:-2]
        if head == b"*":
            return [self.read() for _ in range(int(rest))]
        if head == b"-":
            raise RuntimeError(rest.decode(errors="replace"))
        return int(rest) if head == b":" else rest

    def __call__(self, *words: bytes | str | int) -> Any:
        self.socket.sendall(encode(*words))
        return self.read()

    def pipeline(self, commands: list[bytes]) -> None:
        """Encoded commands whose replies are one line each; an error is raised."""
        self.socket.sendall(b"".join(commands))
        for _ in commands:
            line = self.stream.readline()
            if not line or line.startswith(b"-"):
                raise RuntimeError(line.decode(errors="replace"))

    def info(self) -> dict[str, str]:
        text = self("INFO", "everything").decode(errors="replace")
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
