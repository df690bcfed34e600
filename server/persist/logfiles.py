"""Append-only files on the disk as the administrator's tool sees them: what they hold and up to when, opened so that a running server may
rewrite its log meanwhile.

Nothing is loaded here (see shoal.engine.aof_scan) and nothing is changed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from shoal import engine
from shoal.persist.manifest import LogFile, LogFolder, Manifest, ManifestError

MANIFEST = ".manifest"
_TRIES = 20


def find(path: str) -> LogFolder | None:
    """The log in a data folder, in an appendonlydir, or of a manifest; None: there is none."""
    path = os.path.abspath(path)
    if path.endswith(MANIFEST) and os.path.isfile(path):
        folder = os.path.dirname(path)
        return LogFolder(os.path.dirname(folder), os.path.basename(folder), os.path.basename(path).removesuffix(MANIFEST))
    if not os.path.isdir(path):
        return None
    below = [os.path.join(path, name) for name in sorted(os.listdir(path)) if not name.endswith(".before")]
    for folder in [path, *(p for p in below if os.path.isdir(p))]:
        for name in sorted(os.listdir(folder)):
            if name.endswith(MANIFEST) and not name.startswith("temp-"):
                return LogFolder(os.path.dirname(folder), os.path.basename(folder), name.removesuffix(MANIFEST))
    return None


@dataclass(slots=True)
class OpenLog:
    """All files of one manifest, held open: what a rewrite removes can still be read."""

    folder: LogFolder
    manifest: Manifest
    files: list[tuple[LogFile, int]]
    """With their descriptors."""

    def close(self) -> None:
        for _, fd in self.files:
            os.close(fd)
        self.files = []


def open_files(folder: LogFolder, manifest: Manifest) -> OpenLog:
    """FileNotFoundError: one is not there (any more)."""
    opened = OpenLog(folder, manifest, [])
    try:
        for file in manifest.files:
            opened.files.append((file, os.open(folder.file_path(file), os.O_RDONLY | os.O_CLOEXEC)))
    except OSError:
        opened.close()
        raise
    return opened


def open_log(folder: LogFolder) -> OpenLog:
    """ManifestError, or OSError; a file that a rewrite has removed in between is none."""
    for _ in range(_TRIES):
        manifest = folder.read()
        if manifest is None:
            raise ManifestError(f"There is no manifest {folder.manifest_path}")
        try:
            return open_files(folder, manifest)
        except FileNotFoundError as e:
            if folder.read() == manifest:
                raise ManifestError(
                    f"{e.filename} is missing, which the manifest {folder.manifest_path} names: put it back, or restore a backup"
                ) from None
    raise ManifestError(f"{folder.manifest_path} changes all the time")


def base_moment(fd: int) -> engine.RdbHead | None:
    """When and at which LSN a base was cut; None: it does not say."""
    head = engine.rdb_head(fd)
    if head is None:
        scan = engine.aof_scan(fd)
        head = engine.RdbHead(scan.lsn, scan.time_ms, 0)
    return head if head.cut_ms else None
