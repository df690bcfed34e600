"""Files loaded into a segment of this process alone, in anonymous memory: how `shoal check` proves them sound, by the very code that a
server loads with, and how `shoal restore --format rdb` makes a snapshot of a log.

A mapped segment is for the life of the process, so each of these functions is called once in a process.
"""

from __future__ import annotations

import os
import threading
import time

from shoal import engine
from shoal.persist.logfiles import OpenLog

CHECKSUM = 2
_COMPRESS = 1
_SPARE = 256 << 20
_FACTOR = 12
"""A file may unfold to so many times its size (LZF, listpacks that become tables)."""
_DATABASES = 16384
_WAIT_MS = 100


def prepare(size: int) -> None:
    """A segment for files of so many bytes together."""
    arena = size * _FACTOR + _SPARE
    memory = os.memfd_create("shoal-check", os.MFD_CLOEXEC)
    os.ftruncate(memory, engine.segment_size(arena, _DATABASES, 1, 1))
    engine.segment_create(memory, arena, 16 << 20, _DATABASES, 1, 1)
    engine.instance_begin("0" * 40, 1)
    engine.worker_start(1, engine.KIND_PERSISTENCE)
    threading.Thread(target=_keeper, daemon=True).start()


def _keeper() -> None:
    """Memory is committed as it is needed (see shoal.workers.keeper); what the files unfold to is not known before."""
    while True:
        if engine.grow_wait(_WAIT_MS) and engine.segment_grow() < 0:
            time.sleep(_WAIT_MS / 1000)


def load_log(opened: OpenLog) -> int:
    """All files, a torn end of the last one allowed; the number of keys. Raises EngineError with file and offset."""
    prepare(sum(os.fstat(fd).st_size for _, fd in opened.files))
    for i, (file, fd) in enumerate(opened.files):
        rest_empty = all(os.fstat(other).st_size == 0 for _, other in opened.files[i + 1 :])
        engine.aof_load(fd, file.name, rest_empty)
    return key_count()


def key_count() -> int:
    return sum(engine.db_size(db) for db in range(_DATABASES))


def save(path: str) -> None:
    """The loaded dataset as an RDB file, forced to the disk. EngineError, OSError."""
    engine.snapshot_begin(_SPARE, os.path.dirname(path) or ".")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        engine.rdb_save(fd, _COMPRESS | CHECKSUM)
        engine.snapshot_end()
        os.fsync(fd)
    finally:
        os.close(fd)
