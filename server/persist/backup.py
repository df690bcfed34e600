"""Backups: consistent copies of the dataset with checksums, in a folder or (with the extra `s3`) wherever fsspec reaches.

A backup is a folder `shoal-<UTC time>` that a server could be started in, and in it, written last, `backup.json` with the SHA-256 and size
of every file: without it a backup is unfinished and is neither listed nor restored. With the append-only file on, it is a copy of base and
increments up to one LSN, from which every moment since the base can be restored; else it is a snapshot that the server is asked for. Who
makes one: `shoal backup` (over a connection) and the server by its schedule (shoal.workers.backup); both tell through a Source. Neither
stops anybody: bytes up to a mark that the log writer has set never change.
"""

from __future__ import annotations

import calendar
import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, Any, Protocol

import orjson

from shoal import __version__, engine
from shoal.persist import moments, retention
from shoal.persist.logfiles import OpenLog, base_moment, open_files
from shoal.persist.manifest import LogFolder, Manifest, ManifestError
from shoal.persist.place import BackupError, Place

DESCRIPTION = "backup.json"
RDB, AOF = "rdb", "aof"

_PREFIX = "shoal-"
_TIME = "%Y%m%dT%H%M%S"
_PIECE = 1 << 20
_LOG_SECONDS = 60.0
"""How long what is committed may take to reach the log's file."""
_UNFINISHED_MS = 24 * 3600 * 1000
"""A backup without description is no longer being made after that."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a backup."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Backup:
    name: str
    kind: str
    """rdb or aof."""
    first: str
    """The first moment that can be restored: the cut of its snapshot. UTC, ISO 8601, as `time`."""
    time: str
    """The last one."""
    lsn: int
    keys: int
    server: str
    """run_id of the server it came from."""
    version: str
    files: tuple[Part, ...]

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.files)

    @property
    def first_ms(self) -> int:
        return moments.from_iso(self.first)

    @property
    def time_ms(self) -> int:
        return moments.from_iso(self.time)


@dataclass(frozen=True, slots=True)
class Facts:
    """Of a running server, at one moment."""

    folder: str
    dbfilename: str
    log: LogFolder
    log_on: bool
    """Its log is complete: base and increments are the dataset."""
    lsn: int
    """Given out so far."""
    written: engine.LogPosition
    """What the log writer has in its file."""
    keys: int
    server: str


class Source(Protocol):
    """A running server, as seen by whoever makes a backup of it."""

    def facts(self) -> Facts: ...

    def save(self) -> None:
        """A snapshot of now in its dbfilename. Raises BackupError."""


# --- making -----------------------------------------------------------------------------------------------------------


class _Writer:
    """Copies files into a backup's folder and remembers what they are."""

    def __init__(self, place: Place, name: str, interrupt: Callable[[], None]) -> None:
        self.place, self.name, self.interrupt = place, name, interrupt
        self.parts: list[Part] = []

    def copy(self, fd: int, size: int, name: str) -> None:
        digest, at = hashlib.sha256(), 0
        with self.place.open(f"{self.name}/{name}", "wb") as target:
            while at < size:
                self.interrupt()
                piece = os.pread(fd, min(_PIECE, size - at), at)
                if not piece:
                    raise BackupError(f"{name} became shorter while it was copied")
                digest.update(piece)
                target.write(piece)
                at += len(piece)
        self.parts.append(Part(name, size, digest.hexdigest()))

    def put(self, data: bytes, name: str) -> None:
        with self.place.open(f"{self.name}/{name}", "wb") as target:
            target.write(data)
        self.parts.append(Part(name, len(data), hashlib.sha256(data).hexdigest()))


def create(place: Place, source: Source, interrupt: Callable[[], None] = lambda: None) -> Backup:
    """Make one. `interrupt` is called now and then and may raise. BackupError, OSError, or what fsspec's file system raises."""
    begun = moments.now()
    facts = source.facts()
    name = f"{_PREFIX}{time.strftime(_TIME, time.gmtime(begun / 1000))}.{begun % 1000:03d}Z"
    writer = _Writer(place, name, interrupt)
    try:
        backup = _of_log(writer, source, facts, begun) if facts.log_on else _of_snapshot(writer, source)
        with place.open(f"{name}/{DESCRIPTION}", "wb") as f:
            f.write(orjson.dumps(asdict(backup), option=orjson.OPT_INDENT_2) + b"\n")
    except BaseException:
        with suppress(Exception):  # what went wrong first is what counts; `unfinished` finds what is left
            remove(place, name)
        raise
    return backup


def _of_snapshot(writer: _Writer, source: Source) -> Backup:
    source.save()
    facts = source.facts()
    fd = os.open(os.path.join(facts.folder, facts.dbfilename), os.O_RDONLY | os.O_CLOEXEC)
    try:  # held open: the next save replaces it
        head = engine.rdb_head(fd)
        if head is None:
            raise BackupError(f"{facts.dbfilename} is no RDB file")
        writer.copy(fd, os.fstat(fd).st_size, "dump.rdb")
    finally:
        os.close(fd)
    moment = moments.iso(head.cut_ms)
    return Backup(writer.name, RDB, moment, moment, head.lsn, facts.keys, facts.server, __version__, tuple(writer.parts))


def _of_log(writer: _Writer, source: Source, begun: Facts, begun_ms: int) -> Backup:
    opened, facts = _capture(source, begun.lsn)
    try:
        last, folder = facts.written, facts.log
        base = base_moment(opened.files[0][1])
        first_ms = base.cut_ms if base else 0
        for file, fd in opened.files:
            size = last.bytes if file.name == folder.incr(last.file).name else os.fstat(fd).st_size
            writer.copy(fd, size, f"{folder.folder}/{file.name}")
    finally:
        opened.close()
    writer.put(os.fsencode(opened.manifest.text()), f"{folder.folder}/{folder.name}.manifest")
    first = moments.iso(min(first_ms, begun_ms) or begun_ms)
    return Backup(
        writer.name, AOF, first, moments.iso(begun_ms), last.lsn, facts.keys, facts.server, __version__, tuple(writer.parts)
    )


def _capture(source: Source, lsn: int) -> tuple[OpenLog, Facts]:
    """Open the files that hold everything up to that LSN, as they are named at one moment; with what was written then."""
    deadline = time.monotonic() + _LOG_SECONDS
    while time.monotonic() < deadline:
        facts = source.facts()
        if facts.log_on and facts.written.lsn >= lsn and facts.written.file:
            try:
                manifest = _up_to(facts.log, facts.written.file)
                if manifest is not None:
                    return open_files(facts.log, manifest), facts
            except (FileNotFoundError, ManifestError):
                pass  # a rewrite has just replaced it
        time.sleep(0.01)
    raise BackupError("the append only file does not follow what is written; the server's log says why")


def _up_to(folder: LogFolder, seq: int) -> Manifest | None:
    """The manifest without increments behind that one; None: it does not name that one."""
    manifest = folder.read()
    name = folder.incr(seq).name
    if manifest is None or not manifest.files or all(f.name != name for f in manifest.incrs):
        return None
    return Manifest(manifest.base, tuple(f for f in manifest.incrs if f.seq <= seq))


# --- what is there ----------------------------------------------------------------------------------------------------


def backups(place: Place) -> list[Backup]:
    """Finished backups, oldest first."""
    found = [describe(place, name) for name in place.folders() if name.startswith(_PREFIX)]
    return sorted((b for b in found if b is not None), key=lambda b: (b.time, b.name))


def describe(place: Place, name: str) -> Backup | None:
    """None: it is unfinished."""
    try:
        with place.open(f"{name}/{DESCRIPTION}", "rb") as f:
            return _parse(f.read())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError) as e:
        raise BackupError(f"{place.path(name)}/{DESCRIPTION} is no description of a backup: {e}") from None


def _parse(data: bytes) -> Backup:
    fields: dict[str, Any] = orjson.loads(data)
    parts = tuple(Part(**p) for p in fields.pop("files"))
    for part in parts:
        if part.name.startswith("/") or ".." in part.name.split("/"):
            raise ValueError(f"a file outside: {part.name}")
    return Backup(files=parts, **fields)


def unfinished(place: Place, now_ms: int) -> list[str]:
    """Folders of backups that were begun more than a day ago and have no description."""
    found = []
    for name in place.folders():
        try:
            begun = time.strptime(name.removeprefix(_PREFIX).partition(".")[0], _TIME)
        except ValueError:
            continue
        if now_ms - calendar.timegm(begun) * 1000 > _UNFINISHED_MS and not place.exists(f"{name}/{DESCRIPTION}"):
            found.append(name)
    return found


def verify(place: Place, backup: Backup) -> str:
    """"" or what is wrong with it."""
    for part in backup.files:
        try:
            with place.open(f"{backup.name}/{part.name}", "rb") as f:
                problem = compare(part, *summed(f, None))
        except OSError as e:
            problem = f"{part.name} cannot be read: {e.strerror or e}"
        if problem:
            return problem
    return ""


def remove(place: Place, name: str) -> None:
    """The description first: a backup half removed is no backup."""
    place.remove_folder(name, DESCRIPTION)


def summed(source: IO[bytes], target: IO[bytes] | None) -> tuple[int, str]:
    """Bytes and SHA-256 of what is read, copied to the target."""
    digest, size = hashlib.sha256(), 0
    while piece := source.read(_PIECE):
        digest.update(piece)
        size += len(piece)
        if target is not None:
            target.write(piece)
    return size, digest.hexdigest()


def compare(part: Part, size: int, digest: str) -> str:
    if size != part.bytes:
        return f"{part.name} has {size} bytes instead of {part.bytes}"
    return "" if digest == part.sha256 else f"{part.name} has another checksum: it is damaged"


def to_prune(place: Place, policy: retention.Policy, now_ms: int) -> list[str]:
    return retention.to_prune({b.name: b.time_ms for b in backups(place)}, policy, now_ms)
