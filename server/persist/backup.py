"""Backups: consistent copies of the dataset with checksums, in a folder or (with the extra `s3`) wherever fsspec reaches.

A backup is one file, `<prefix>-<UTC time>.rdb`, and beside it `<the same>.json` with its size, SHA-256, time and key count. The description
is written last, so a backup without one is unfinished and is neither listed nor restored. Called by the administrator's tool, which
asks the server to save and copies the file while the server goes on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import IO, Any

import orjson

PREFIX = "shoal"
_PIECE = 1 << 20
_TIME = "%Y%m%dT%H%M%SZ"


class BackupError(Exception):
    """What is wrong, for the user."""


@dataclass(frozen=True, slots=True)
class Backup:
    name: str
    """Of the RDB file, without folder."""
    time: str
    """UTC, ISO 8601."""
    bytes: int
    sha256: str
    keys: int
    server: str
    """run_id of the server it came from."""

    def when(self) -> datetime:
        return datetime.fromisoformat(self.time)


class Place:
    """Where backups are: a folder, or a URL that fsspec knows (s3://bucket/path)."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/") or "/"
        self.fs: Any = None
        if "://" in url:
            try:
                import fsspec
            except ImportError:
                raise BackupError("URLs need the extra: pip install 'shoal[s3]'") from None
            self.fs, self.root = fsspec.core.url_to_fs(self.url)
        else:
            self.root = self.url

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    @contextmanager
    def open(self, name: str, mode: str) -> Iterator[IO[bytes]]:
        if self.fs is not None:
            with self.fs.open(self.path(name), mode) as f:
                yield f
            return
        if mode == "rb":
            with open(self.path(name), "rb") as f:
                yield f
            return
        # Whole or not at all: a temporary name until the bytes are on disk.
        os.makedirs(self.root, mode=0o750, exist_ok=True)
        temporary = self.path(f".{name}.{os.getpid()}")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "wb") as f:
                yield f
                f.flush()
                os.fsync(f.fileno())
            os.rename(temporary, self.path(name))
            folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise

    def names(self) -> list[str]:
        if self.fs is None:
            return sorted(os.listdir(self.root)) if os.path.isdir(self.root) else []
        self.fs.invalidate_cache()
        if not self.fs.exists(self.root):
            return []
        return sorted(os.path.basename(p) for p in self.fs.ls(self.root, detail=False))

    def remove(self, name: str) -> None:
        if self.fs is not None:
            self.fs.rm_file(self.path(name))
        else:
            os.unlink(self.path(name))


def _copy(source: IO[bytes], target: IO[bytes] | None) -> tuple[int, str]:
    """Bytes and SHA-256 of what was read."""
    digest, size = hashlib.sha256(), 0
    while piece := source.read(_PIECE):
        digest.update(piece)
        size += len(piece)
        if target is not None:
            target.write(piece)
    return size, digest.hexdigest()


def create(place: Place, rdb: str, keys: int, server: str, prefix: str = PREFIX) -> Backup:
    """Copy a saved file to the place. The file may be replaced meanwhile (it is held open)."""
    now = datetime.now(timezone.utc)
    name = f"{prefix}-{now.strftime(_TIME)}.rdb"
    with open(rdb, "rb") as source, place.open(name, "wb") as target:
        size, digest = _copy(source, target)
    backup = Backup(name, now.isoformat(timespec="seconds"), size, digest, keys, server)
    with place.open(name + ".json", "wb") as f:
        f.write(orjson.dumps(asdict(backup), option=orjson.OPT_INDENT_2) + b"\n")
    return backup


def backups(place: Place) -> list[Backup]:
    """Finished backups, oldest first."""
    found = []
    names = place.names()
    for name in names:
        if not name.endswith(".rdb.json") or name.removesuffix(".json") not in names:
            continue
        with place.open(name, "rb") as f:
            try:
                backup = Backup(**orjson.loads(f.read()))
            except (orjson.JSONDecodeError, TypeError) as e:
                raise BackupError(f"{place.path(name)} is no description of a backup: {e}") from None
        if backup.name != name.removesuffix(".json"):
            raise BackupError(f"{place.path(name)} describes another file, {backup.name}")
        found.append(backup)
    return sorted(found, key=lambda b: b.time)


def verify(place: Place, backup: Backup) -> str:
    """"" or what is wrong with it."""
    try:
        with place.open(backup.name, "rb") as f:
            size, digest = _copy(f, None)
    except OSError as e:
        return f"cannot be read: {e.strerror or e}"
    if size != backup.bytes:
        return f"has {size} bytes instead of {backup.bytes}"
    return "" if digest == backup.sha256 else "has another checksum: it is damaged"


def to_prune(found: list[Backup], hourly: int, daily: int, now: datetime) -> list[Backup]:
    """What a policy does not keep: the newest of each hour for `hourly` hours, the newest of each day for `daily` days, always the last."""
    keep: set[str] = {found[-1].name} if found else set()
    for hours, limit, form in ((hourly, timedelta(hours=hourly), "%Y%m%d%H"), (daily, timedelta(days=daily), "%Y%m%d")):
        newest: dict[str, Backup] = {}
        for backup in found:
            if hours and now - backup.when() <= limit:
                newest[backup.when().strftime(form)] = backup
        keep |= {b.name for b in newest.values()}
    return [b for b in found if b.name not in keep]


def remove(place: Place, backup: Backup) -> None:
    """The description first: a backup half removed is no backup."""
    place.remove(backup.name + ".json")
    place.remove(backup.name)


def restore(place: Place, backup: Backup, target: str, force: bool) -> None:
    """Put the backup's file at `target`, checked while it is copied; what was there is kept as <target>.before."""
    if os.path.exists(target) and not force:
        raise BackupError(f"{target} is there already; --force keeps it as {os.path.basename(target)}.before")
    temporary = f"{target}.{os.getpid()}"
    try:
        with place.open(backup.name, "rb") as source, open(os.open(temporary, os.O_WRONLY | os.O_CREAT, 0o640), "wb") as out:
            size, digest = _copy(source, out)
            out.flush()
            os.fsync(out.fileno())
        if (size, digest) != (backup.bytes, backup.sha256):
            raise BackupError(f"{place.path(backup.name)} is damaged: its checksum is wrong. Nothing was changed.")
        if os.path.exists(target):
            shutil.move(target, f"{target}.before")
        os.rename(temporary, target)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
