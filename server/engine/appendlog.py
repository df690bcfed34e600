"""The append-only file: the log writer's loop, loading, and where the log stands."""

from __future__ import annotations

import os
from dataclasses import dataclass

from shoal.engine.binding import ERR_LEN, EngineError, checked, ffi, lib


def log_begin(folder: str, name: str) -> None:
    lib.engine_log_begin(os.fsencode(folder), os.fsencode(name))


def log_run(ms: int) -> None:
    """The log writer's work, for so long."""
    lib.engine_log_run(ms)


def log_drained() -> bool:
    return bool(lib.engine_log_drained())


def log_end() -> None:
    lib.engine_log_end()


def log_words() -> tuple[int, str]:
    """What the log writer has to say: 0 nothing, 1 a notice, 2 a warning."""
    buf = ffi.new("char[]", ERR_LEN)
    level = int(lib.engine_log_words(buf, ERR_LEN))
    return level, ffi.string(buf).decode("utf-8", "replace")


def log_resume(file: int, size: int, lsn: int) -> None:
    """Logging is on from here, into that increment."""
    if lib.engine_log_resume(file, size, lsn) != 0:
        raise EngineError("no shared memory for the log")


def log_base_done() -> None:
    lib.engine_log_base_done()


def log_off() -> None:
    lib.engine_log_off()


def write_error(bit: int, on: bool) -> None:
    """Why writes are refused: 1 a save failed, 2 the log cannot be written."""
    lib.engine_write_error(bit, int(on))


@dataclass(frozen=True, slots=True)
class LogPosition:
    """The last LSN in the files, and the increment's number (0: none is open) and length."""

    lsn: int
    file: int
    bytes: int


def log_position() -> LogPosition:
    row = ffi.new("struct engine_log *")
    lib.engine_log_get(row)
    return LogPosition(int(row.lsn), int(row.file), int(row.bytes))


@dataclass(frozen=True, slots=True)
class LoadedLog:
    """What was read from an AOF; see struct engine_aof."""

    bytes: int
    good: int
    commands: int
    keys: int
    lsn: int
    preamble: bool
    torn: bool


def aof_load(fd: int, name: str, allow_torn: bool) -> LoadedLog:
    """Execute a file's commands. Raises EngineError with file and offset of what is wrong."""
    err = ffi.new("char[]", ERR_LEN)
    out = ffi.new("struct engine_aof *")
    checked(lib.engine_aof_load(fd, os.fsencode(name), int(allow_torn), out, err, ERR_LEN), err)
    return LoadedLog(out.bytes, out.good, out.commands, out.keys, out.lsn, bool(out.preamble), bool(out.torn))
