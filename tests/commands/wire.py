"""A RESP client that loses nothing: it tells errors, statuses, sets, maps and verbatim texts apart.

For tests that compare replies exactly. Replies: bytes (bulk), int, float, bool, list, dict, None, and the classes
below. Errors are values, nothing is retried.
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


class Push(list[Any]):
    """`>`"""


class Verbatim(bytes):
    """`=`, without its three-letter form."""


OK = Status("OK")
QUEUED = Status("QUEUED")
Reply = Any


def pack(*args: str | bytes | int) -> bytes:
    """A command as an array of bulk strings."""
    words = [a if isinstance(a, bytes) else str(a).encode() for a in args]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


class Wire:
    """One connection."""

    def __init__(self, port: int, resp: int = 2, host: str = "127.0.0.1", timeout: float = 10.0) -> None:
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.timeout = timeout
        self.buffer = b""
        self.resp = resp
        if resp == 3:
            assert self("HELLO", 3)[b"proto"] == 3

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __call__(self, *args: str | bytes | int) -> Reply:
        """Sends one command and reads its reply. Errors are returned, not raised."""
        self.send(*args)
        return self.read()

    def send(self, *args: str | bytes | int) -> None:
        self.socket.sendall(pack(*args))

    def close(self) -> None:
        self.socket.close()

    def more(self) -> None:
        """Waits for more bytes of the server."""
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data

    def closed(self, timeout: float = 5) -> bool:
        """Does the server close the connection, without another byte?"""
        self.socket.settimeout(timeout)
        try:
            return not self.buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def silent(self, seconds: float) -> bool:
        """Does nothing arrive for so long?"""
        self.socket.settimeout(seconds)
        try:
            if not self.buffer:
                self.more()
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(self.timeout)

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _bytes(self, n: int) -> bytes:
        while len(self.buffer) < n + 2:
            self.more()
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
            return Verbatim(self._bytes(int(rest))[4:])
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
            return {self.read(): self.read() for _ in range(int(rest))}
        items = [self.read() for _ in range(int(rest))]
        return {b"*": list, b"~": Set, b">": Push}[kind](items)
