"""What a peer answers otherwise than Redis 7.2, which Shoal follows: each row names it with its reason. Any other difference is a fault."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PEER = os.environ.get("SHOAL_DIFFERENTIAL_PEER", "redis-7.0")

Command = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    peers: tuple[str, ...]
    reason: str
    is_it: Callable[[Command, Any, Any], bool]
    """Of a command, our reply and theirs, both as (kind, value)."""


def _bits_of_nothing(command: Command, ours: Any, theirs: Any) -> bool:
    return command[0] in (b"BITCOUNT", b"BITPOS") and ours[0] == "-" and theirs[0] == ":" and theirs[1] in (b"0", b"-1")


def _long_embstr(command: Command, ours: Any, theirs: Any) -> bool:
    return command[:2] == (b"OBJECT", b"ENCODING") and ours[1] == b"embstr" and theirs[1] == b"raw"


def _unbalanced_streams(command: Command, ours: Any, theirs: Any) -> bool:
    words = b"ERR Unbalanced '" + command[0].lower() + b"' list of streams"
    return (
        ours[0] == theirs[0] == "-"
        and ours[1].startswith(b"ERR Unbalanced XREAD list")
        and bool(theirs[1].startswith(words))
    )


def _last_entry(command: Command, ours: Any, theirs: Any) -> bool:
    return (
        command[0] == b"XREAD"
        and b"+" in command
        and ours == ("-", b"ERR Invalid stream ID specified as stream command argument")
    )


DIFFERENCES = [
    Difference(
        ("redis-7.0",),
        "7.0 answered 0 (or -1) for a key that does not exist before it looked at the other arguments",
        _bits_of_nothing,
    ),
    Difference(
        ("redis-8.2", "valkey-9.1"),
        "a short text stands together with its key, which leaves less room for it: embstr ends below 44 letters",
        _long_embstr,
    ),
    Difference(
        ("redis-8.2", "valkey-9.1"),
        "from 7.4 on the error about unbalanced streams names the command and the IDs that it takes",
        _unbalanced_streams,
    ),
    Difference(("redis-8.2", "valkey-9.1"), "from 7.4 on XREAD takes + as an ID", _last_entry),
]


def allowed(command: Command, ours: Any, theirs: Any) -> bool:
    return any(PEER in row.peers and row.is_it(command, ours, theirs) for row in DIFFERENCES)
