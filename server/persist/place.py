"""Where backups are: a folder, or a URL that fsspec knows (s3://bucket/path).

Below it each backup has a folder of its own. Whatever the place, a file is whole or not there: in a folder it is written under
another name, forced to the disk and renamed; object stores give that by themselves.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from shoal.persist.manifest import sync_folder


class BackupError(Exception):
    """What is wrong, for the user."""


class Place:
    def __init__(self, url: str, within: str = "") -> None:
        """within: the folder to which a relative one belongs."""
        self.url = url.rstrip("/") or "/"
        self.fs: Any = None
        if "://" in url:
            try:
                import fsspec
            except ImportError:
                raise BackupError("URLs need the extra: pip install 'shoal[s3]'") from None
            try:
                self.fs, self.root = fsspec.core.url_to_fs(self.url)
            except (ImportError, ValueError) as e:
                raise BackupError(f"{url}: {e}") from None
        else:
            self.root = self.url = os.path.join(within, self.url)

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    @contextmanager
    def open(self, name: str, mode: str) -> Iterator[IO[bytes]]:
        """"rb" or "wb"; a name may have folders in it."""
        if self.fs is not None:
            with self.fs.open(self.path(name), mode) as f:
                yield f
        elif mode == "rb":
            with open(self.path(name), "rb") as f:
                yield f
        else:
            with whole_file(self.path(name)) as f:
                yield f

    def folders(self) -> list[str]:
        """Names of what lies directly below."""
        if self.fs is None:
            return sorted(os.listdir(self.root)) if os.path.isdir(self.root) else []
        self.fs.invalidate_cache()
        if not self.fs.exists(self.root):
            return []
        return sorted(os.path.basename(p.rstrip("/")) for p in self.fs.ls(self.root, detail=False))

    def exists(self, name: str) -> bool:
        return bool(self.fs.exists(self.path(name))) if self.fs is not None else os.path.exists(self.path(name))

    def remove_folder(self, name: str, first: str) -> None:
        """With everything in it; `first` is removed before the rest."""
        if self.fs is not None:
            if self.fs.exists(self.path(f"{name}/{first}")):
                self.fs.rm_file(self.path(f"{name}/{first}"))
            if self.fs.exists(self.path(name)):
                self.fs.rm(self.path(name), recursive=True)
            return
        if not os.path.exists(self.path(name)):
            return
        if os.path.exists(self.path(f"{name}/{first}")):
            os.unlink(self.path(f"{name}/{first}"))
            try:
                sync_folder(self.path(name))
            finally:
                shutil.rmtree(self.path(name))
            return
        shutil.rmtree(self.path(name))


def _make_folders(path: str) -> None:
    """All that are missing, for owner and group alone."""
    if not os.path.isdir(path):
        _make_folders(os.path.dirname(path) or ".")
        try:
            os.mkdir(path, 0o750)
        except FileExistsError:
            if not os.path.isdir(path):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None


@contextmanager
def whole_file(path: str) -> Iterator[IO[bytes]]:
    """A file that gets its name when all bytes are on the disk; OSError."""
    folder = os.path.dirname(path) or "."
    _make_folders(folder)
    temporary = os.path.join(folder, f".{os.path.basename(path)}.{os.getpid()}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640), "wb") as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.rename(temporary, path)
        sync_folder(folder)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
