"""The settings of a running server: one copy in the segment, read by all processes.

The truth is a JSON blob in the segment, replaced as a whole by compare-and-swap on its version; what C reads is beside it as
numbers. Whoever changes settings writes the blob, then the numbers, then tells the supervisor what only it can apply (sockets,
save points); if that fails, everything goes back. Every process rereads the blob when its version has moved.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from shoal import engine, settings, users
from shoal.configfile import parse_words, rewrite
from shoal.replies import CommandError
from shoal.settings import LOOKUP, ROWS, Setting

ApplyHook = Callable[[list[str]], str]
"""Told the names of changed rows that have an `apply`; answers "" or why it cannot be done."""


class Config:
    """This process's view of the settings."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = settings.defaults()
        self.configured = self.values
        """What command line and files said at the start."""
        self.file = ""
        self.version = 0
        self._planned = self.values

    def __getitem__(self, name: str) -> Any:
        """The present value, whoever has set it."""
        if self.version:
            self.refresh()
        return self.values[name]

    # --- the shared copy

    def publish(self, values: dict[str, Any], file: str) -> None:
        """Put the first set of values into the segment (supervisor, before it forks)."""
        self.values, self.file = values, file
        while True:
            _, version = engine.blob_read(engine.BLOB_CONFIG)
            if self._write(values, version):
                break
        self._write_numbers(None)

    def refresh(self) -> bool:
        """Reread if somebody changed something; True if so."""
        if engine.blob_version(engine.BLOB_CONFIG) == self.version:
            return False
        data, version = engine.blob_read(engine.BLOB_CONFIG)
        if not data:
            return False
        shared = orjson.loads(data)
        self.values, self.file, self.version = shared["values"], shared["file"], version
        return True

    def _write(self, values: dict[str, Any], expect: int) -> bool:
        data = orjson.dumps({"file": self.file, "values": values})
        if not engine.blob_write(engine.BLOB_CONFIG, data, expect):
            return False
        self.values = values
        self.version = engine.blob_version(engine.BLOB_CONFIG)
        return True

    def _write_numbers(self, names: set[str] | None) -> None:
        """Bring the numbers that C reads up to date. Two writers may cross here, so the newer blob is looked at again."""
        while True:
            version = engine.blob_version(engine.BLOB_CONFIG)
            self.refresh()
            for name, value in settings.numbers(self.values).items():
                if names is None or name.partition(".")[0] in names:
                    engine.setting_set(name, min(value, 2**63 - 1))
            if names is None or "requirepass" in names:
                users.set_default_password(self.values["requirepass"].encode("latin-1"))
            if engine.blob_version(engine.BLOB_CONFIG) == version:
                return

    # --- commands

    def get(self, patterns: Sequence[str]) -> dict[str, str]:
        """Names, aliases included, and values that match any of the patterns."""
        self.refresh()
        found: dict[str, str] = {}
        for pattern in patterns:
            lowered = pattern.lower()
            if not any(c in lowered for c in "*?["):
                names = [lowered] if lowered in LOOKUP else []
            else:
                names = [
                    n
                    for n, row in LOOKUP.items()
                    if not row.hidden and engine.glob_match(lowered.encode("latin-1"), n.encode())
                ]
            for name in names:
                row = LOOKUP[name]
                found.setdefault(name, row.kind.show(self.values[row.name]))
        return found

    def set(self, pairs: Sequence[tuple[str, str]], local: bool, apply: ApplyHook) -> None:
        """All of the pairs or none. Raises CommandError with Redis' words."""
        rows = _checked_rows(pairs, self.values, self._may_protected(local))
        while True:
            self.refresh()
            old = self.values
            new = _merged(pairs, rows, old)
            if self._write(new, self.version):
                break
        changed = [row for row in rows if new[row.name] != old[row.name]]
        self._write_numbers({row.name for row in changed})
        asked = [row.name for row in changed if row.apply]
        problem = apply(asked) if asked else ""
        if problem:
            self._restore({row.name: old[row.name] for row in changed})
            name, _, reason = problem.partition(": ")
            raise _failed(name, reason)

    def follow(self, target: str) -> None:
        """REPLICAOF: the setting that CONFIG SET cannot change."""
        self._restore({"replicaof": target})

    def plan(self, pairs: Sequence[tuple[str, str]], local: bool, first: bool) -> dict[str, int]:
        """The numbers that set() will change for C; unless `first`, after the plans before it. Raises as set() does."""
        self.refresh()
        old = self.values if first else self._planned
        new = _merged(pairs, _checked_rows(pairs, old, self._may_protected(local)), old)
        before = settings.numbers(old)
        self._planned = new
        return {
            name: min(value, 2**63 - 1) for name, value in settings.numbers(new).items() if value != before.get(name)
        }

    def renumber(self) -> None:
        """Write all numbers that C reads anew from the settings."""
        self._write_numbers(None)

    def _may_protected(self, local: bool) -> bool:
        allowed = self.values["enable-protected-configs"]
        return bool(allowed == "yes" or (allowed == "local" and local))

    def _restore(self, old: dict[str, Any]) -> None:
        while True:
            self.refresh()
            if self._write({**self.values, **old}, self.version):
                break
        self._write_numbers(set(old))

    def rewrite(self) -> None:
        """CONFIG REWRITE: a new file beside the old one, then renamed over it."""
        self.refresh()
        if not self.file:
            raise CommandError("The server is running without a config file")
        try:
            try:
                with open(self.file.encode("latin-1"), "rb") as f:
                    old = f.read().decode("latin-1")
            except FileNotFoundError:
                old = ""
            _replace_file(self.file, rewrite(old, self.values, ROWS))
        except OSError as e:
            raise CommandError(f"Rewriting config file: {e.strerror}") from None


def _checked_rows(pairs: Sequence[tuple[str, str]], values: dict[str, Any], may_protected: bool) -> list[Setting]:
    rows: list[Setting] = []
    for name, text in pairs:
        row = LOOKUP.get(name.lower())
        if row is None:
            raise CommandError(f"Unknown option or number of arguments for CONFIG SET - '{name}'")
        if row.fixed and not (row.ours and text == row.kind.show(values[row.name])):
            raise _failed(name, "can't set immutable config")
        if row.not_loading and not engine.word("serving"):
            raise CommandError("Redis is loading the dataset in memory", code="LOADING")
        if row.protected and not may_protected:
            raise _failed(name, "can't set protected config")
        if row in rows:
            raise _failed(name, "duplicate parameter")
        rows.append(row)
    return rows


def _merged(pairs: Sequence[tuple[str, str]], rows: Sequence[Setting], old: dict[str, Any]) -> dict[str, Any]:
    new = dict(old)
    for (name, text), row in zip(pairs, rows, strict=True):
        try:
            new[row.name] = row.kind.merge(old[row.name], parse_words(row, [text]), True)
        except ValueError as e:
            raise _failed(name, str(e).replace("{name}", row.name)) from None
    return new


def _failed(name: str, reason: str) -> CommandError:
    return CommandError(f"CONFIG SET failed (possibly related to argument '{name}') - {reason}")


def _replace_file(path: str, text: str) -> None:
    """Write beside, force to the disk, rename, force the folder: the file is whole at any moment."""
    raw = path.encode("latin-1")
    folder = os.path.dirname(raw) or b"."
    fd, temporary = tempfile.mkstemp(prefix=os.path.basename(raw) + b"-", suffix=b".tmp", dir=folder)
    try:
        with os.fdopen(fd, "wb") as f:
            f.write(text.encode("latin-1"))
            f.flush()
            os.fchmod(f.fileno(), 0o644 & ~_umask())
            os.fsync(f.fileno())
        os.rename(temporary, raw)
    except OSError:
        os.unlink(temporary)
        raise
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
