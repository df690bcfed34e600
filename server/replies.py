"""What a Python command may return, and its bytes on the wire.

None (null), bool, int, float, bytes and str (bulk strings), list or tuple (array), dict (map), and the classes below.
RESP2 has no maps, sets, doubles or booleans: there they become arrays of pairs, arrays, bulk strings and 0 or 1, as in
Redis. Used by every module of server/commands; `encode` is called once per call, by the engine's callback.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Reply = Any
"""A value that `encode` takes."""


class Status(str):
    """A simple string: `+OK`."""

    __slots__ = ()


class Set(list[Any]):
    """A RESP3 set, in the order given."""

    __slots__ = ()


class Push(list[Any]):
    """A RESP3 push message."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Text that a client may show as it is; a bulk string in RESP2."""

    text: bytes
    form: bytes = b"txt"


class NullArray:
    """RESP2 tells a null array from a null; RESP3 does not."""


class CommandError(Exception):
    """An error reply: `code` and text. Raised by a command, never seen by C."""

    def __init__(self, text: str, code: str = "ERR") -> None:
        super().__init__(text)
        self.line = f"{code} {text}" if code else text


OK = Status("OK")
NULL_ARRAY = NullArray()


def _line(kind: bytes, text: str) -> bytes:
    """A simple string or an error: line breaks would end it, so they become spaces."""
    body = text.encode("utf-8", "surrogateescape").replace(b"\r", b" ").replace(b"\n", b" ")
    return kind + body + b"\r\n"


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _double(value: float, resp: int) -> bytes:
    raw = repr(value).removesuffix(".0").encode()
    return b",%b\r\n" % raw if resp >= 3 else _bulk(raw)


def _scalar(value: Reply, resp: int, out: list[bytes]) -> bool:
    """Writes anything that is no aggregate; False if `value` is one."""
    if isinstance(value, bytes):
        out.append(_bulk(value))
    elif isinstance(value, Status):
        out.append(_line(b"+", value))
    elif isinstance(value, str):
        out.append(_bulk(value.encode("utf-8", "surrogateescape")))
    elif isinstance(value, bool):
        out.append((b"#t\r\n" if value else b"#f\r\n") if resp >= 3 else b":%d\r\n" % value)
    elif isinstance(value, int):
        out.append(b":%d\r\n" % value)
    elif isinstance(value, float):
        out.append(_double(value, resp))
    elif value is None or isinstance(value, NullArray):
        out.append(b"_\r\n" if resp >= 3 else b"$-1\r\n" if value is None else b"*-1\r\n")
    elif isinstance(value, CommandError):
        out.append(_line(b"-", value.line))
    elif isinstance(value, Verbatim):
        raw = b"%b:%b" % (value.form, value.text)
        out.append(b"=%d\r\n%b\r\n" % (len(raw), raw) if resp >= 3 else _bulk(value.text))
    else:
        return False
    return True


def _write(value: Reply, resp: int, out: list[bytes]) -> None:
    if _scalar(value, resp, out):
        return
    if isinstance(value, dict):
        out.append(b"%%%d\r\n" % len(value) if resp >= 3 else b"*%d\r\n" % (2 * len(value)))
        for key, item in value.items():
            _write(key, resp, out)
            _write(item, resp, out)
        return
    if not isinstance(value, list | tuple):
        raise TypeError(f"{type(value).__name__} is no reply")
    kind = b"~" if isinstance(value, Set) else b">" if isinstance(value, Push) else b"*"
    out.append(b"%b%d\r\n" % (kind if resp >= 3 else b"*", len(value)))
    for item in value:
        _write(item, resp, out)


def encode(value: Reply, resp: int = 2) -> bytes:
    """The bytes of a reply in RESP2 or RESP3; TypeError for a value that is none."""
    out: list[bytes] = []
    _write(value, resp, out)
    return b"".join(out)
