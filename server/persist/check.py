"""`shoal check`: is a snapshot file, or a segment that a server left, sound? Called by the administrator's tool.

A file is loaded into a small segment of its own in anonymous memory, by the very code that a server loads with. A segment is mapped,
what its dead processes left half done is repaired as the next start would, and its page map and every key are looked at.
"""

from __future__ import annotations

import fcntl
import os

from shoal import engine
from shoal.engine import EngineError

_CHECKSUM, _DEEP = 2, 8
_SEGMENT_SPARE = 256 << 20
_SEGMENT_FACTOR = 12
"""A file may unfold to so many times its size (LZF, listpacks that become tables)."""


def check_rdb(path: str) -> str:
    """What is in the file; raises EngineError or OSError with what is wrong and where."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        arena = os.fstat(fd).st_size * _SEGMENT_FACTOR + _SEGMENT_SPARE
        memory = os.memfd_create("shoal-check", os.MFD_CLOEXEC)
        os.ftruncate(memory, engine.segment_size(arena, 16384, 1, 1))
        engine.segment_create(memory, arena, 16 << 20, 16384, 1, 1)
        engine.instance_begin("0" * 40, 1)
        while engine.segment_grow() > 0:
            pass
        found = engine.rdb_load(fd, _CHECKSUM | _DEEP)
        engine.check()
    finally:
        os.close(fd)
    return f"RDB version {found.version}: {found.keys} keys, {found.bytes} bytes, sound"


def check_segment(name: str) -> str:
    """Raises EngineError with what is wrong."""
    fd = os.open(os.path.join("/dev/shm", name.lstrip("/")), os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise EngineError("a running server has it") from None
    engine.segment_map(fd)
    if not engine.word("loaded"):
        raise EngineError("its server was killed before the dataset was loaded")
    repaired = engine.instance_begin("0" * 40, engine.word("workers"))
    engine.check()
    keys = sum(engine.db_size(db) for db in range(engine.word("databases")))
    return f"{keys} keys, {repaired} interrupted processes repaired, sound"
