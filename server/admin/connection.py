"""A connection to a running server, and what INFO says. Used by the administrator's tool only."""

from __future__ import annotations

import socket
from typing import Any


class Failure(Exception):
    """What went wrong, for the user."""


class Connection:
    """A RESP2 client of few words."""

    def __init__(self, host: str, port: int, path: str, password: str) -> None:
        try:
            if path:
                self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self.sock.settimeout(10)
                self.sock.connect(path)
            else:
                self.sock = socket.create_connection((host, port), timeout=10)
        except OSError as e:
            raise Failure(f"Could not connect to {path or f'{host}:{port}'}: {e.strerror or e}") from None
        self.file = self.sock.makefile("rb")
        if password:
            self.call("AUTH", password)

    def call(self, *args: str) -> Any:
        parts = [a.encode("utf-8", "surrogateescape") for a in args]
        self.sock.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts))
        return self._read()

    def _read(self) -> Any:
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Failure("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Failure(rest.decode("utf-8", "replace"))
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2].decode("utf-8", "surrogateescape")
        if kind == b"*":
            return None if rest == b"-1" else [self._read() for _ in range(int(rest))]
        raise Failure(f"an answer that is no RESP: {line!r}")

    def info(self) -> dict[str, str]:
        lines = str(self.call("INFO", "everything")).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def setting(self, name: str) -> str:
        found = self.call("CONFIG", "GET", name)
        if not found:
            raise Failure(f"the server has no setting {name}: it is not Shoal")
        return str(found[1])


def keys_of(info: dict[str, str]) -> int:
    """Of all databases."""
    return sum(
        int(text.split(",")[0].partition("=")[2])
        for name, text in info.items()
        if name.startswith("db") and text.startswith("keys=")
    )
