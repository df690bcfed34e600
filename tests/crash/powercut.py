"""Power cuts from a trace: what a disk may hold when the machine stops at some point of it.

`Disk` replays the records that disktrace.c wrote, up to a point, and makes images. What was forced to the disk by then (an fsync that
had come back, for what was done before it began) is in every image. Of the rest anything may be missing: whole writes, pages of
writes in any order, everything behind some byte, new names, removals, renames; `Loss` says how one image chooses. A rename within a folder
happens or does not; the name a file has is safe only when its folder was forced to the disk.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_HEAD = struct.Struct("<IIQQqqIIQ")
_MAGIC = 0x4B534944
PAGE = 4096


@dataclass(frozen=True, slots=True)
class Record:
    kind: str
    """C created, W written, T cut, B and S fsync begun and done (a: its thread; b: of a folder; failed), R renamed, U unlinked, D folder made, M a mark of a client."""
    time: float
    """Monotonic seconds."""
    inode: int
    a: int
    b: int
    name: str
    name2: str
    data: bytes


def read_trace(path: Path) -> list[Record]:
    raw = path.read_bytes()
    found, at = [], 0
    while at < len(raw):
        magic, kind, time_ns, inode, a, b, n1, n2, n3 = _HEAD.unpack_from(raw, at)
        assert magic == _MAGIC, f"the trace is damaged at byte {at}"
        at += _HEAD.size
        name, name2, data = raw[at : at + n1], raw[at + n1 : at + n1 + n2], raw[at + n1 + n2 : at + n1 + n2 + n3]
        at += n1 + n2 + n3
        found.append(Record(chr(kind), time_ns / 1e9, inode, a, b, os.fsdecode(name), os.fsdecode(name2), data))
    return found


def mark(fd: int, time_ns: int, data: bytes) -> None:
    """Append a client's mark to a trace that is being written."""
    os.write(fd, _HEAD.pack(_MAGIC, ord("M"), time_ns, 0, 0, 0, 0, 0, len(data)) + data)


@dataclass(slots=True)
class _Change:
    """A write, or (data None) a cut to `at` bytes."""

    at: int
    data: bytes | None

    def apply(self, content: bytearray) -> None:
        if self.data is None:
            if len(content) > self.at:
                del content[self.at :]
            else:
                content.extend(bytes(self.at - len(content)))
            return
        if len(content) < self.at:
            content.extend(bytes(self.at - len(content)))
        content[self.at : self.at + len(self.data)] = self.data


@dataclass(eq=False, slots=True)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    changes: list[_Change] = field(default_factory=list)
    """Not known to be on the disk."""
    forced: int = 0
    """Changes before those."""

    def made(self) -> int:
        """Changes so far: an fsync that begins now forces so many, whatever others are in flight."""
        return self.forced + len(self.changes)

    def force(self, upto: int) -> None:
        while self.forced < upto:
            self.changes.pop(0).apply(self.durable)
            self.forced += 1


@dataclass(eq=False, slots=True)
class _Naming:
    """A change of one folder: `path` names `file` (None: nothing, FOLDER: a folder), and `gone` names nothing."""

    folder: str
    path: str
    file: _File | str | None
    gone: str = ""
    after: _Naming | None = None
    """The other half of a rename between folders, without which this half cannot be."""


FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Loss:
    """How one image chooses among what was not forced to the disk."""

    data: str
    """drop, keep, prefix (all up to a byte), pages (any pages; the rest zeroes or beyond the end)."""
    names: str
    """drop, keep, prefix, subset."""


LOSSES = [Loss(d, n) for d in ("drop", "keep", "prefix", "pages") for n in ("drop", "keep", "prefix", "subset")]


class Disk:
    """The state behind the records seen so far."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.files: dict[int, _File] = {}
        self.live: dict[str, _File | str] = {}
        self.durable: dict[str, _File | str] = {}
        self.pending: list[_Naming] = []
        self.syncing: dict[int, tuple[_File, int] | _Naming | None] = {}
        """What the fsync that a thread is in will have forced: of a file so many changes, of folders everything up to a naming."""
        self._apply: dict[str, Callable[[Record], None]] = {
            "C": self._create, "W": self._write, "T": self._cut, "B": self._begin_sync, "S": self._end_sync,
            "R": self._rename, "U": self._unlink, "D": self._mkdir, "M": lambda r: None,
        }  # fmt: skip

    def see(self, record: Record) -> None:
        self._apply[record.kind](record)

    def _name(self, naming: _Naming) -> None:
        self.pending.append(naming)
        _carry_out(self.live, naming)

    def _create(self, r: Record) -> None:
        self.files[r.inode] = made = _File()
        self._name(_Naming(os.path.dirname(r.name), r.name, made))

    def _mkdir(self, r: Record) -> None:
        self._name(_Naming(os.path.dirname(r.name), r.name, FOLDER))

    def _unlink(self, r: Record) -> None:
        self._name(_Naming(os.path.dirname(r.name), r.name, None))

    def _rename(self, r: Record) -> None:
        file = self.live[r.name]
        source, target = os.path.dirname(r.name), os.path.dirname(r.name2)
        made = _Naming(target, r.name2, file, r.name if source == target else "")
        self._name(made)
        if source != target:
            self._name(_Naming(source, r.name, None, after=made))

    def _write(self, r: Record) -> None:
        self.files[r.inode].changes.append(_Change(r.a, r.data))

    def _cut(self, r: Record) -> None:
        self.files[r.inode].changes.append(_Change(r.a, None))

    def _begin_sync(self, r: Record) -> None:
        if r.b:
            self.syncing[r.a] = self.pending[-1] if self.pending else None
        else:
            self.syncing[r.a] = self.files[r.inode], self.files[r.inode].made()

    def _end_sync(self, r: Record) -> None:
        last = self.syncing.pop(r.a)
        if r.b:
            return
        if isinstance(last, tuple):
            last[0].force(last[1])
            return
        if last is None or last not in self.pending:
            return
        upto = self.pending.index(last) + 1
        for naming in [p for p in self.pending[:upto] if p.folder == r.name]:
            _carry_out(self.durable, naming)
            self.pending.remove(naming)

    # --- images

    def image(self, loss: Loss, rnd: random.Random) -> dict[str, bytes]:
        """Files by path below the root; those in a folder that is not there are not there either."""
        names = dict(self.durable)
        done: set[int] = set()
        chosen = self._chosen(loss.names, rnd)
        for naming in chosen:
            if naming.after is None or naming.after not in self.pending or id(naming.after) in done:
                _carry_out(names, naming)
                done.add(id(naming))
        content: dict[int, bytes] = {}
        found = {}
        for path, file in names.items():
            folder = os.path.dirname(path)
            if isinstance(file, str) or (folder != self.root and names.get(folder) != FOLDER):
                continue
            if id(file) not in content:
                content[id(file)] = _content(file, loss.data, rnd)
            found[os.path.relpath(path, self.root)] = content[id(file)]
        return found

    def _chosen(self, how: str, rnd: random.Random) -> list[_Naming]:
        match how:
            case "drop":
                return []
            case "keep":
                return self.pending
            case "prefix":
                return self.pending[: rnd.randint(0, len(self.pending))]
        return [p for p in self.pending if rnd.random() < 0.5]


def _carry_out(names: dict[str, _File | str], naming: _Naming) -> None:
    if naming.gone:
        names.pop(naming.gone, None)
    if naming.file is None:
        names.pop(naming.path, None)
    else:
        names[naming.path] = naming.file


def _content(file: _File, how: str, rnd: random.Random) -> bytes:
    if how == "drop" or not file.changes:
        return bytes(file.durable)
    content = bytearray(file.durable)
    if how == "keep":
        chosen = list(file.changes)
    elif how == "prefix":
        chosen = file.changes[: rnd.randint(0, len(file.changes))]
        if chosen and chosen[-1].data:
            last, data = chosen[-1], chosen[-1].data
            n = rnd.randint(0, len(data))
            if rnd.random() < 0.5:  # a page of the file is the unit of most disks
                n = max(0, (last.at + n) // PAGE * PAGE - last.at)
            chosen = [*chosen[:-1], _Change(last.at, data[:n])]
    else:
        chosen = [page for change in file.changes for page in _pages(change) if rnd.random() < 0.5]
    for change in chosen:
        change.apply(content)
    if how == "pages" and rnd.random() < 0.5:  # the length was written, the bytes were not
        full = bytearray(file.durable)
        for change in file.changes:
            change.apply(full)
        content.extend(bytes(max(0, len(full) - len(content))))
    return bytes(content)


def _pages(change: _Change) -> Iterator[_Change]:
    if change.data is None:
        yield change
        return
    at = 0
    while at < len(change.data):
        n = PAGE - (change.at + at) % PAGE
        yield _Change(change.at + at, change.data[at : at + n])
        at += n


def points(records: list[Record], count: int, rnd: random.Random) -> list[int]:
    """Where to cut (so many records have happened): around everything that is not a write, and anywhere."""
    special = [i + d for i, r in enumerate(records) if r.kind in "CRUDT" for d in (0, 1, 2)]
    special = [i for i in special if i <= len(records)]
    rnd.shuffle(special)
    chosen = set(special[: count // 2])
    while len(chosen) < min(count, len(records)):
        chosen.add(rnd.randint(1, len(records)))
    return sorted(chosen)
