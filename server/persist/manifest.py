"""The manifest of the append-only file: which files it consists of, in Redis 7's grammar.

`<dir>/<appenddirname>/<appendfilename>.manifest` has one line per file: `file <name> seq <number> type <b|i|h>`. One base (b), then
increments (i) in the order of their numbers; history files (h) are no longer needed and are removed when they are found. It is replaced
as a whole: written beside, forced to the disk, renamed, the folder forced to the disk. Used by the persistence process and by `shoal`'s
checks; reads and writes files only.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shoal import log
from shoal.configfile import split_words

BASE, INCR, HISTORY = "b", "i", "h"
_LINE_MAX = 1024


def _quoted(name: str) -> str:
    if name and not any(c in " \t\"'\\" or c < " " for c in name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return f'"{escaped}"'


class ManifestError(Exception):
    """It cannot be read, with Redis' words."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """One line."""

    name: str
    seq: int
    type: str

    def line(self) -> str:
        return f"file {_quoted(self.name)} seq {self.seq} type {self.type}\n"


@dataclass(frozen=True, slots=True)
class Manifest:
    """All lines: base, history, increments."""

    base: LogFile | None = None
    incrs: tuple[LogFile, ...] = ()
    history: tuple[LogFile, ...] = ()

    @property
    def files(self) -> list[LogFile]:
        """Those to load, in order."""
        return [*([self.base] if self.base else []), *self.incrs]

    @property
    def last_base(self) -> int:
        return max((f.seq for f in [*([self.base] if self.base else []), *self.history]), default=0)

    @property
    def last_incr(self) -> int:
        return max((f.seq for f in [*self.incrs, *self.history]), default=0)

    def text(self) -> str:
        """Redis' order: base, history, increments."""
        return "".join(f.line() for f in [*([self.base] if self.base else []), *self.history, *self.incrs])

    def with_incr(self, file: LogFile) -> Manifest:
        return replace(self, incrs=(*self.incrs, file))

    def base_alone(self, base: LogFile) -> Manifest:
        """The new base and no increments; everything older is history."""
        return Manifest(base, (), (*self.history, *(replace(f, type=HISTORY) for f in self.files)))

    def after_rewrite(self, base: LogFile, first: LogFile) -> Manifest:
        """The new base and the increments from `first` on; everything older is history."""
        old = [f for f in self.files if f.type == BASE or f.seq < first.seq]
        kept = tuple(f for f in self.incrs if f.seq > first.seq)
        return Manifest(base, (first, *kept), (*self.history, *(replace(f, type=HISTORY) for f in old)))


def _field(words: Sequence[str], number: int, line: str) -> LogFile:
    name, seq, kind = "", 0, ""
    for key, value in zip(words[::2], words[1::2], strict=True):
        match key.lower():
            case "file":
                name = value
                if "/" in name:
                    raise _wrong("File can't be a path, just a filename", number, line)
            case "seq":
                seq = int(value) if value.isdecimal() else 0
            case "type":
                kind = value[:1]
    if not name or not seq or not kind:
        raise _wrong("Invalid AOF manifest file format", number, line)
    return LogFile(name, seq, kind)


def _wrong(what: str, number: int = 0, line: str = "") -> ManifestError:
    place = f"\nReading the manifest file, at line {number}\n>>> '{line}'" if number else ""
    return ManifestError(f"*** FATAL AOF MANIFEST FILE ERROR ***{place}\n{what}")


def parse(text: str) -> Manifest:
    """Raises ManifestError."""
    found = Manifest()
    if not text:
        raise _wrong("Found an empty AOF manifest")
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if number == len(lines) and not line:
            break
        if line.startswith("#"):
            continue
        if len(line) >= _LINE_MAX or number == len(lines):
            raise _wrong("The AOF manifest file contains too long line", number, line[:_LINE_MAX])
        stripped = line.strip(" \t\r\n")
        words = split_words(stripped) or []
        if len(words) < 6 or len(words) % 2:
            raise _wrong("Invalid AOF manifest file format", number, line)
        found = _add(found, _field(words, number, line), number, line)
    return found


def _add(m: Manifest, f: LogFile, number: int, line: str) -> Manifest:
    match f.type:
        case "b":
            if m.base:
                raise _wrong("Found duplicate base file information", number, line)
            return replace(m, base=f)
        case "h":
            return replace(m, history=(*m.history, f))
        case "i":
            if m.incrs and f.seq <= m.incrs[-1].seq:
                raise _wrong("Found a non-monotonic sequence number", number, line)
            return m.with_incr(f)
    raise _wrong("Unknown AOF file type", number, line)


def sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class LogFolder:
    """Where the files of one log are, and how they are called."""

    dir: str
    """The setting dir."""
    folder: str
    """The setting appenddirname."""
    name: str
    """The setting appendfilename."""

    @property
    def path(self) -> str:
        return os.path.join(self.dir, self.folder)

    @property
    def manifest_path(self) -> str:
        return os.path.join(self.path, self.name + ".manifest")

    def file_path(self, file: LogFile) -> str:
        return os.path.join(self.path, file.name)

    def incr(self, seq: int) -> LogFile:
        return LogFile(f"{self.name}.{seq}.incr.aof", seq, INCR)

    def base(self, seq: int, rdb: bool) -> LogFile:
        return LogFile(f"{self.name}.{seq}.base.{'rdb' if rdb else 'aof'}", seq, BASE)

    def read(self) -> Manifest | None:
        """None: there is no manifest. Raises ManifestError."""
        try:
            with open(self.manifest_path, "rb") as f:
                data = f.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as e:
            raise ManifestError(
                f"Fatal error: can't open the AOF manifest file {self.manifest_path} for reading: {e.strerror}"
            ) from None
        return parse(os.fsdecode(data))

    def write(self, manifest: Manifest) -> None:
        """Replace it; what it names must be on the disk already. OSError."""
        os.makedirs(self.path, 0o755, exist_ok=True)
        sync_folder(self.dir)  # else a power cut may take the folder with all that is in it
        temporary = os.path.join(self.path, f"temp-{self.name}.manifest")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            data = os.fsencode(manifest.text())
            while data:
                data = data[os.write(fd, data) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, self.manifest_path)
        sync_folder(self.path)

    def create_incr(self, seq: int) -> LogFile:
        """An empty file on the disk, not yet in the manifest. OSError."""
        os.makedirs(self.path, 0o755, exist_ok=True)
        file = self.incr(seq)
        fd = os.open(self.file_path(file), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        os.close(fd)
        sync_folder(self.path)
        return file

    def adopt_old_file(self, manifest: Manifest | None) -> Manifest | None:
        """`<dir>/<appendfilename>` of versions before 7 becomes the base, also where that was interrupted. OSError."""
        old, new = os.path.join(self.dir, self.name), os.path.join(self.path, self.name)
        base = LogFile(self.name, 1, BASE)
        wanted = manifest is None or (manifest.files == [base] and not os.path.exists(new))
        if not wanted or not os.path.isfile(old):
            return manifest
        os.makedirs(self.path, 0o755, exist_ok=True)
        made = Manifest(base)
        self.write(made)
        os.rename(old, new)
        sync_folder(self.path)
        sync_folder(self.dir)
        log.notice(f"Successfully migrated an old-style AOF file ({self.name}) into the AOF directory ({self.folder}).")
        return made

    def drop_history(self, manifest: Manifest) -> tuple[Manifest, list[str]]:
        """Remove what is not needed any more; the manifest without it, and the names."""
        names = [f.name for f in manifest.history]
        if not names:
            return manifest, []
        for name in names:
            try:
                os.unlink(os.path.join(self.path, name))
            except FileNotFoundError:
                pass
        left = replace(manifest, history=())
        self.write(left)
        return left, names

    def size(self, manifest: Manifest, but_last: bool = False) -> int:
        """Bytes of the files to load; but_last: without the last increment."""
        files = manifest.files[:-1] if but_last and manifest.incrs else manifest.files
        total = 0
        for f in files:
            try:
                total += os.stat(self.file_path(f)).st_size
            except OSError:
                continue
        return total
