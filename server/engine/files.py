"""Persistent files judged without loading them, for the administrator's tool."""

from __future__ import annotations

import os
from dataclasses import dataclass

from shoal.engine.binding import ERR_LEN, ffi, lib, text

WHOLE, TORN, DAMAGED = 0, 1, 2
"""Verdicts on an append-only file."""


@dataclass(frozen=True, slots=True)
class LogScan:
    """What an append-only file holds, without loading it; see struct engine_aof_scan."""

    bytes: int
    good: int
    at: int
    commands: int
    lsn: int
    first_ms: int
    time_ms: int
    verdict: int
    cut: bool
    why: str


def aof_scan(fd: int, start: int = 0, until_ms: int = 0) -> LogScan:
    """Judge the file as it stood at that moment (0: as it is). OSError."""
    why = ffi.new("char[]", ERR_LEN)
    out = ffi.new("struct engine_aof_scan *")
    if lib.engine_aof_scan(fd, start, until_ms, out, why, ERR_LEN) != 0:
        raise OSError(ffi.errno, os.strerror(ffi.errno))
    return LogScan(
        out.bytes,
        out.good,
        out.at,
        out.commands,
        out.lsn,
        out.first_ms,
        out.time_ms,
        out.verdict,
        bool(out.cut),
        text(why),
    )


@dataclass(frozen=True, slots=True)
class RdbHead:
    """What an RDB file says of its cut; 0: nothing."""

    lsn: int
    cut_ms: int
    version: int


def rdb_head(fd: int) -> RdbHead | None:
    """None: it does not begin like an RDB file."""
    out = ffi.new("struct engine_rdb_head *")
    return RdbHead(out.lsn, out.cut_ms, out.version) if lib.engine_rdb_head(fd, out) == 0 else None
