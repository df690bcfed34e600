"""A RESP client that loses nothing: it tells errors, statuses, sets, maps and both nulls apart.

For tests that compare replies exactly. Replies: bytes (bulk), int, float, bool, list, None, and the classes below; a
bulk null and a null array of RESP2 are both None, told apart by `Wire.raw`.
"""

from __future__ import annotations

import socket
from typing import Any


class Status(str):
    """`+text`"""


class Error(str):
    """`-text`"""

    @property
    def code(self) -> str:
        return self.split(" ", 1)[0]


class Set(list[Any]):
    """`~`"""


class Map(list[Any]):
    """`%`, as a list of pairs."""


class Push(list[Any]):
    """`>`"""


class Verbatim(bytes):
    """`=`, with its three-letter form in front."""


Reply = Any


def pack(*args: str | bytes | int) -> bytes:
    """A command as an array of bulk strings."""
    words = [a if isinstance(a, bytes) else str(a).encode() for a in args]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


class Wire:
    """One connection."""

    def __init__(self, port: int, resp: int = 2, timeout: float = 10.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.buffer = b""
        self.resp = resp
        if resp == 3:
            self("HELLO", "3")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __call__(self, *args: str | bytes | int) -> Reply:
        """Sends one command and reads its reply. Errors are returned, not raised."""
        self.send(pack(*args))
        return self.read()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def close(self) -> None:
        self.socket.close()

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _bytes(self, n: int) -> bytes:
        while len(self.buffer) < n + 2:
            self._more()
        data, self.buffer = self.buffer[:n], self.buffer[n + 2 :]
        return data

    def _scalar(self, kind: bytes, rest: bytes) -> Reply:
        if kind == b"+":
            return Status(rest.decode("latin-1"))
        if kind == b"-":
            return Error(rest.decode("latin-1"))
        if kind in b":(":
            return int(rest)
        if kind == b",":
            return float(rest)
        if kind == b"#":
            return rest == b"t"
        if kind == b"_":
            return None
        if kind == b"$":
            return None if rest == b"-1" else self._bytes(int(rest))
        if kind == b"=":
            return Verbatim(self._bytes(int(rest)))
        raise ValueError(f"no RESP: {kind + rest!r}")

    def read(self) -> Reply:
        """The next reply or push message; attributes are skipped."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"|":
            for _ in range(2 * int(rest)):
                self.read()
            return self.read()
        if kind not in (b"*", b"~", b"%", b">"):
            return self._scalar(kind, rest)
        if rest == b"-1":
            return None
        if kind == b"%":
            return Map((self.read(), self.read()) for _ in range(int(rest)))
        items = [self.read() for _ in range(int(rest))]
        return {b"*": list, b"~": Set, b">": Push}[kind](items)
