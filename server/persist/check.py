"""`shoal check`: is a snapshot file, an append-only file, or a segment that a server left, sound? Called by the administrator's tool.

Files are judged without loading them, then loaded into a segment of this process alone. A segment is mapped, what its dead processes left
half done is repaired as the next start would, and its page map and every key are looked at.
"""

from __future__ import annotations

import fcntl
import os

from shoal import engine
from shoal.engine import EngineError
from shoal.persist import loading, moments
from shoal.persist.logfiles import OpenLog, base_moment, find, open_log
from shoal.persist.manifest import LogFile, LogFolder, Manifest, ManifestError

_SHM = "/dev/shm"


def check(name: str) -> str:
    """What is there; raises EngineError, ManifestError or OSError with what is wrong, where, and what to do."""
    if not os.path.exists(name) and os.path.exists(os.path.join(_SHM, name.lstrip("/"))):
        return _segment(name)
    log = find(name)
    if log is not None:
        return _log(open_log(log), os.path.abspath(name))
    if os.path.isdir(name):
        raise ManifestError("there is no append only file in it (no .manifest); name a dump.rdb itself")
    return _file(name)


def _file(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    start = os.pread(fd, 5, 0)
    if start.startswith((b"*", b"#")) or (path.endswith(".aof") and engine.rdb_head(fd) is not None):
        folder = os.path.dirname(os.path.abspath(path))
        alone = LogFile(os.path.basename(path), 1, "i")
        log = LogFolder(os.path.dirname(folder), os.path.basename(folder), alone.name)
        return _log(OpenLog(log, Manifest(None, (alone,)), [(alone, fd)]), path)
    try:
        loading.prepare(os.fstat(fd).st_size)
        found = engine.rdb_load(fd, loading.CHECKSUM)
        engine.check()
        rest = os.fstat(fd).st_size - found.bytes
    except EngineError as e:
        raise EngineError(f"{e}. A server will not load it: put a good copy in its place, or `shoal restore` a backup") from None
    finally:
        os.close(fd)
    more = f", and {rest} bytes behind its end" if rest else ""
    return f"RDB version {found.version}: {found.keys} keys, {found.bytes} bytes{more}, sound"


def _log(opened: OpenLog, path: str) -> str:
    """All files of a log, in order."""
    try:
        first, last, lsn = _judge(opened, path)
        keys = loading.load_log(opened)
        engine.check()
        count, size = len(opened.files), sum(os.fstat(fd).st_size for _, fd in opened.files)
    finally:
        opened.close()
    span = f", {moments.show(first)} to {moments.show(last)}" if first else ""
    return f"append only file: {count} file{'s' * (count != 1)}, {size} bytes, {keys} keys, LSN {lsn}{span}, sound"


def _judge(opened: OpenLog, path: str) -> tuple[int, int, int]:
    """First and last moment, last LSN. Says where it is torn or damaged, and what to do."""
    first = last = lsn = 0
    for i, (file, fd) in enumerate(opened.files):
        where = opened.folder.file_path(file)
        if i == 0 and (head := engine.rdb_head(fd)) is not None:
            first = last = head.cut_ms
            lsn = head.lsn
            continue  # loading tells
        if i == 0 and opened.manifest.base and (base := base_moment(fd)):
            first = last = base.cut_ms
        scan = engine.aof_scan(fd)
        first, last, lsn = first or scan.first_ms, max(last, scan.time_ms), max(lsn, scan.lsn)
        is_last = all(os.fstat(f).st_size == 0 for _, f in opened.files[i + 1 :])
        if scan.verdict == engine.WHOLE:
            continue
        span = f" Whole up to {moments.show(last)}" if first else f" {scan.good} bytes are whole"
        if scan.verdict == engine.TORN and is_last:
            raise EngineError(
                f"{where} has a torn end at byte {scan.at}: {scan.why}.{span}; the {scan.bytes - scan.good} bytes from byte {scan.good} on "
                "were never acknowledged. A start with aof-load-truncated yes cuts them off; nothing else is lost"
            )
        help_ = f"`shoal restore {path} --to '{moments.show(last)}'` brings that back" if first else "redis-check-aof --fix cuts it there"
        raise EngineError(f"{where} is damaged at byte {scan.at}: {scan.why}.{span}: {help_}, or restore a backup; keep the file")
    return first, last, lsn


def _segment(name: str) -> str:
    """Raises EngineError with what is wrong."""
    fd = os.open(os.path.join(_SHM, name.lstrip("/")), os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise EngineError("a running server has it: `shoal status` tells of that") from None
    try:
        engine.segment_map(fd)
        if not engine.word("loaded"):
            raise EngineError("its server was killed before the dataset was loaded: the next start loads its files")
        repaired = engine.instance_begin("0" * 40, engine.word("workers"))
        engine.check()
    except EngineError as e:
        raise EngineError(f"{e}. The next start drops it and loads the files; `shoal memory drop {name}` does it now") from None
    keys = sum(engine.db_size(db) for db in range(engine.word("databases")))
    return f"{keys} keys, {repaired} interrupted processes repaired, sound"
