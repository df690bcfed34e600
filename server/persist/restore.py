"""`shoal restore`: a data folder from a backup, or from the log of another data folder as it was at some moment.

What is restored is put together in a folder beside the target and gets its names there at the end, so a failure leaves everything as it
was. Of a log, files are copied, the last increment only up to the last batch that was committed by the wanted moment: transactions are
whole, and the bytes are those of the log, so redis-server loads them as well. Sources are never changed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import orjson

from shoal import engine
from shoal.persist import loading, moments
from shoal.persist.backup import AOF, DESCRIPTION, RDB, Backup, backups, compare, describe, summed
from shoal.persist.logfiles import OpenLog, base_moment, find, open_log
from shoal.persist.manifest import LogFile, LogFolder, Manifest, sync_folder
from shoal.persist.place import BackupError, Place

_PIECE = 1 << 20
_RECORD, _SHM = "shoal.segment", "/dev/shm"
_DUMP = "dump.rdb"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the administrator asks for."""

    source: str
    """A folder or URL of backups, one backup, a data folder, an appendonlydir or a manifest."""
    target: str
    """The data folder to make."""
    to_ms: int = 0
    """The moment; 0: the last."""
    name: str = ""
    """Of a backup; "": the last, or the one that has the moment."""
    format: str = ""
    """rdb or aof; "": as the source is."""
    force: bool = False
    """What is in the way is kept as NAME.before."""


@dataclass(slots=True)
class Restored:
    kind: str
    moment: int
    """Of the last change in it, ms; 0: not known."""
    lsn: int = 0
    notes: list[str] = field(default_factory=list)


def restore(wish: Wish) -> Restored:
    """BackupError, ManifestError, EngineError, OSError: nothing was changed then."""
    _may_be_filled(wish)
    with _beside(wish.target) as folder:
        done = _from_files(wish, folder) or _from_backup(wish, folder)
        if wish.format and wish.format != done.kind:
            done.kind = _convert(folder, done.kind)
        _install(folder, wish)
    return done


def _from_files(wish: Wish, folder: str) -> Restored | None:
    """From the log or the snapshot of a data folder; None: the source is none."""
    source = wish.source
    if "://" in source or wish.name or os.path.exists(os.path.join(source, DESCRIPTION)):
        return None
    if log := find(source):
        return _from_log(open_log(log), folder, wish.to_ms)
    path = os.path.join(source, _DUMP) if os.path.isdir(source) else source
    return _from_snapshot(path, folder, wish.to_ms) if os.path.isfile(path) else None


def _from_snapshot(path: str, folder: str, to_ms: int) -> Restored:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = engine.rdb_head(fd)
        if head is None:
            raise BackupError(f"{path} is no snapshot and no append only file")
        if to_ms and to_ms != head.cut_ms:
            raise BackupError(f"{path} is a snapshot of {moments.show(head.cut_ms)}: no other moment can be restored from it")
        _copy(fd, os.fstat(fd).st_size, os.path.join(folder, _DUMP))
        return Restored(RDB, head.cut_ms, head.lsn)
    finally:
        os.close(fd)


# --- from a backup ----------------------------------------------------------------------------------------------------


def _from_backup(wish: Wish, folder: str) -> Restored:
    place, name = Place(wish.source), wish.name
    if not name and place.exists(DESCRIPTION):
        whole = Place(os.path.dirname(os.path.abspath(wish.source)) if place.fs is None else place.url.rpartition("/")[0])
        place, name = whole, os.path.basename(place.url if place.fs is not None else os.path.abspath(wish.source))
    chosen = _choose(place, name, wish.to_ms)
    _fetch(place, chosen, folder)
    if chosen.kind == RDB:
        return Restored(RDB, chosen.time_ms, chosen.lsn)
    log = find(folder)
    if log is None:
        raise BackupError(f"{place.path(chosen.name)} has no manifest of an append only file")
    if not wish.to_ms:
        return Restored(AOF, chosen.time_ms, chosen.lsn)
    opened = open_log(log)
    try:
        return _cut(opened, _plan(opened, wish.to_ms, chosen.time_ms))
    finally:
        opened.close()


def _choose(place: Place, name: str, to_ms: int) -> Backup:
    if name:
        found = [b for b in [describe(place, name)] if b is not None]
    else:
        found = backups(place)
    if not found:
        raise BackupError(f"there is no backup {name or 'at all'} in {place.url}")
    if not to_ms:
        return found[-1]
    with_it = [b for b in found if b.first_ms <= to_ms <= b.time_ms]
    if with_it:
        return with_it[-1]
    ranges = [f"{moments.show(b.first_ms)} to {moments.show(b.time_ms)}  {b.name}" for b in found if b.kind == AOF]
    ranges += [f"{moments.show(b.time_ms)} alone (a snapshot)  {b.name}" for b in found if b.kind == RDB]
    raise BackupError(
        f"no backup in {place.url} holds {moments.show(to_ms)}. There are:\n  " + "\n  ".join(sorted(ranges))
        + "\n--name NAME without --to restores the last moment of one."
    )


def _fetch(place: Place, backup: Backup, folder: str) -> None:
    """Every file, checked while it is copied."""
    for part in backup.files:
        path = os.path.join(folder, part.name)
        os.makedirs(os.path.dirname(path), 0o750, exist_ok=True)
        with place.open(f"{backup.name}/{part.name}", "rb") as source, open(path, "xb") as out:
            problem = compare(part, *summed(source, out))
            out.flush()
            os.fsync(out.fileno())
        if problem:
            raise BackupError(f"{place.path(backup.name)} is damaged: {problem}. Nothing was changed.")


# --- from a log -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Plan:
    """Which files of a log, and how much of the last one."""

    files: int
    good: int
    lsn: int
    moment: int
    notes: list[str]


def _from_log(opened: OpenLog, folder: str, to_ms: int) -> Restored:
    try:
        plan = _plan(opened, to_ms)
        path = os.path.join(folder, opened.folder.folder)
        os.makedirs(path, 0o750)
        for i, (file, fd) in enumerate(opened.files[: plan.files]):
            size = plan.good if i == plan.files - 1 else os.fstat(fd).st_size
            _copy(fd, size, os.path.join(path, file.name))
        LogFolder(folder, opened.folder.folder, opened.folder.name).write(_only(opened.manifest, opened.files[: plan.files]))
        return Restored(AOF, plan.moment, plan.lsn, plan.notes)
    finally:
        opened.close()


def _cut(opened: OpenLog, plan: _Plan) -> Restored:
    """The same in place: the files are copies already."""
    for file, _ in opened.files[plan.files :]:
        os.unlink(opened.folder.file_path(file))
    last = opened.folder.file_path(opened.files[plan.files - 1][0])
    with open(last, "r+b") as f:
        f.truncate(plan.good)
        os.fsync(f.fileno())
    opened.folder.write(_only(opened.manifest, opened.files[: plan.files]))
    return Restored(AOF, plan.moment, plan.lsn, plan.notes)


def _only(manifest: Manifest, files: list[tuple[LogFile, int]]) -> Manifest:
    named = {file.name for file, _ in files}
    return Manifest(manifest.base, tuple(f for f in manifest.incrs if f.name in named))


def _plan(opened: OpenLog, to_ms: int, end_ms: int = 0) -> _Plan:
    """end_ms: the log is known to be complete up to then; 0: up to its last batch."""
    files = opened.files
    if not files:
        raise BackupError(f"{opened.folder.manifest_path} names no files")
    base = base_moment(files[0][1]) if opened.manifest.base else None
    first = last = base.cut_ms if base else 0
    lsn, cut = base.lsn if base else 0, False
    notes: list[str] = []
    plan = _Plan(1 if opened.manifest.base else 0, os.fstat(files[0][1]).st_size, lsn, last, notes)
    for i, (file, fd) in enumerate(files):
        if opened.manifest.base and not i:
            continue
        scan = engine.aof_scan(fd, 0, to_ms)
        first = first or scan.first_ms
        if scan.verdict == engine.DAMAGED or (scan.verdict == engine.TORN and any(os.fstat(f).st_size for _, f in files[i + 1 :])):
            last = max(last, scan.time_ms)
            where = f"{opened.folder.file_path(file)} is damaged at byte {scan.at}: {scan.why}"
            raise BackupError(f"{where}. {_range(first, last)} can be restored with --to.")
        if scan.good or not scan.cut or not plan.files:
            plan.files, plan.good = i + 1, scan.good
            plan.lsn, plan.moment = scan.lsn or plan.lsn, scan.time_ms or plan.moment
        last = max(last, scan.time_ms)
        cut = scan.cut
        if cut:
            break
        if scan.verdict == engine.TORN:
            torn = scan.bytes - scan.good
            notes.append(f"{file.name} has a torn end ({scan.why}): {torn} bytes that were never acknowledged are left out")
    last = max(last, end_ms)
    if to_ms and (not first or to_ms < first or (to_ms > last and not cut)):
        last = max(last, *(engine.aof_scan(fd).time_ms for file, fd in files if file != opened.manifest.base))
        where = "before its base" if first and to_ms < first else "after its end"
        what = f"{moments.show(to_ms)} is {where}" if first else "it does not tell when its commands were written (aof-timestamp-enabled)"
        raise BackupError(f"{opened.folder.manifest_path}: {what}. {_range(first, last)} can be restored.")
    return plan


def _range(first: int, last: int) -> str:
    return f"{moments.show(first)} to {moments.show(last)}" if first else "Nothing"


def _copy(fd: int, size: int, path: str) -> None:
    with open(path, "xb") as out:
        at = 0
        while at < size and (piece := os.pread(fd, min(_PIECE, size - at), at)):
            out.write(piece)
            at += len(piece)
        out.flush()
        os.fsync(out.fileno())
    if at != size:
        raise BackupError(f"{os.path.basename(path)} became shorter while it was copied")


# --- the other form ---------------------------------------------------------------------------------------------------


def _convert(folder: str, kind: str) -> str:
    if kind == RDB:
        log = LogFolder(folder, "appendonlydir", "appendonly.aof")
        base = log.base(1, True)
        os.makedirs(log.path, 0o750)
        os.rename(os.path.join(folder, _DUMP), log.file_path(base))
        incr = log.create_incr(1)
        log.write(Manifest(base, (incr,)))
        return AOF
    log_folder = find(folder)
    assert log_folder is not None
    opened = open_log(log_folder)
    try:
        loading.load_log(opened)
    finally:
        opened.close()
    loading.save(os.path.join(folder, _DUMP))
    shutil.rmtree(log_folder.path)
    return RDB


# --- putting it in its place ------------------------------------------------------------------------------------------


def _may_be_filled(wish: Wish) -> None:
    """A server must neither be running there, nor come back to what a killed one left in shared memory."""
    try:
        fd = os.open(os.path.join(wish.target, _RECORD), os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        data = os.read(fd, 4096)
        name = str(orjson.loads(data).get("segment", "")).lstrip("/") if data.strip() else ""
    except BlockingIOError:
        raise BackupError(f"a running server has {wish.target}: stop it, or restore into another folder") from None
    finally:
        os.close(fd)
    if name and os.path.exists(os.path.join(_SHM, name)):
        raise BackupError(
            f"the dataset that a killed server left in shared memory would be served in {wish.target}, not what is restored there: "
            f"`shoal memory drop {name}` first, or restore into another folder"
        )


@contextmanager
def _beside(target: str) -> Iterator[str]:
    target = os.path.abspath(target)
    folder = f"{target}.restoring-{os.getpid()}"
    os.makedirs(folder, 0o750)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _install(folder: str, wish: Wish) -> None:
    os.makedirs(wish.target, 0o750, exist_ok=True)
    names = sorted(os.listdir(folder))
    in_the_way = [n for n in (_DUMP, *names) if os.path.exists(os.path.join(wish.target, n))]
    if (other := find(wish.target)) and other.folder not in in_the_way and other.dir == os.path.abspath(wish.target):
        in_the_way.append(other.folder)
    in_the_way = sorted(set(in_the_way))
    if in_the_way and not wish.force:
        raise BackupError(f"{', '.join(in_the_way)} in {wish.target} would be replaced; --force keeps them as NAME.before")
    for name in in_the_way:
        kept = os.path.join(wish.target, f"{name}.before")
        if os.path.isdir(kept):
            shutil.rmtree(kept)
        os.rename(os.path.join(wish.target, name), kept)
    for name in names:
        os.rename(os.path.join(folder, name), os.path.join(wish.target, name))
    sync_folder(wish.target)
