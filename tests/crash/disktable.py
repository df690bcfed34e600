"""Which call fails, how, on which file, and what is done to get there: the rows of test_disk_failures.py.

A row of FILES is a file as the server knows it, at one place in its life; each of its calls is tried with each error. `act` names the
method of test_disk_failures.Ground that makes the server use the file and says what the user has to see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

ERRORS = {
    "open": ("ENOSPC", "EROFS", "EACCES", "EDQUOT", "EIO", "EMFILE"),
    "openread": ("EIO", "EACCES", "EMFILE"),
    "read": ("EIO",),
    "write": ("ENOSPC", "EIO", "EDQUOT", "short=50"),
    "sync": ("EIO", "ENOSPC", "EDQUOT", "ms=200"),
    "truncate": ("EIO", "ENOSPC", "EROFS"),
    "rename": ("ENOSPC", "EIO", "EROFS", "EACCES"),
    "unlink": ("EIO", "EROFS", "EACCES"),
    "mkdir": ("ENOSPC", "EROFS", "EACCES", "EDQUOT", "EIO"),
    "close": ("EIO", "ENOSPC", "EDQUOT"),
}

HARMLESS = ("short=", "ms=")
"""They make a call slower or smaller: nobody has to notice."""

_WHOLE = ("open", "write", "sync", "rename", "close")
"""The calls that make a file which is written beside and renamed."""


@dataclass(frozen=True)
class File:
    name: str
    path: str
    """Of faultdisk's rules."""
    act: str
    calls: tuple[str, ...]
    who: str = ""
    """Whose calls; "" = everybody's."""
    skip: int = 0
    """So many calls succeed first."""
    harmless: tuple[str, ...] = ()
    """Calls whose failure costs nothing at this place."""
    quick: bool = False
    """Also in `make test`."""


FILES = (
    File("the increment", "*.incr.aof", "log", ("write", "sync"), "log", quick=True),
    File("the increment, everysec", "*.incr.aof", "log_everysec", ("write", "sync"), "log"),
    File("the increment of a dead writer", "*.incr.aof", "cut", ("open", "truncate", "sync"), "log"),
    File("the probe", "*.probe.incr.aof", "probe", ("open", "write", "sync", "unlink", "close"), "persist"),
    File("a new increment", "*.incr.aof", "rewrite", ("open", "close"), "persist"),
    File("a new increment, its writer", "*.incr.aof", "switch", ("open", "close"), "log", harmless=("close",), quick=True),
    File("the base", "*/temp-rewriteaof-bg-*", "rewrite", _WHOLE),
    File("the base in commands", "*/temp-rewriteaof-bg-*", "rewrite_commands", ("write", "sync")),
    File("the manifest, new increment", "*/temp-*.manifest", "rewrite", _WHOLE),
    File("the manifest, new base", "*/temp-*.manifest", "rewrite", _WHOLE, skip=1, quick=True),
    File("the manifest, no history", "*/temp-*.manifest", "rewrite", _WHOLE, skip=2, harmless=_WHOLE),
    File("the manifest, reading", "*/appendonly.aof.manifest", "rewrite", ("openread", "read"), "persist"),
    File("the log's folder", "*/appendonlydir/", "rewrite", ("openread", "sync")),
    File("the log's folder, behind the base", "*/appendonlydir/", "rewrite", ("sync",), skip=2),
    File("the folder of the log's folder", "*/data/", "rewrite", ("openread", "sync", "close")),
    File("history", "*/appendonly*.base.rdb", "rewrite", ("unlink",), harmless=("unlink",), quick=True),
    File("the log's first files", "*/appendonlydir/*", "switch_on", ("open", "sync", "rename"), "persist"),
    File("the log's first folder", "*/appendonlydir", "switch_on", ("mkdir",), "persist"),
    File("dump.rdb", "*/temp-[0-9]*.rdb", "save", _WHOLE, quick=True),
    File("the folder of dump.rdb", "*/data/", "save", ("openread", "sync", "close"), "persist"),
    File("the spill file", "*/#*", "spill", ("open", "write", "read")),
    File("the configuration", "*/server.conf*.tmp", "config", _WHOLE),
    File("the configuration, reading", "*/server.conf", "config", ("openread", "read"), "worker"),
    File("the configuration's folder", "*/data/", "config", ("openread", "sync"), "worker"),
    File("a backup", "*/copies/*[!/]", "backup", ("mkdir", *_WHOLE)),
    File("a backup's folders", "*/copies/*/", "backup", ("sync",), quick=True),
    File("what a backup copies", "*/appendonlydir/*.aof", "backup", ("openread", "read"), "py"),
    File("increments at the start", "*/appendonlydir/*.incr.aof", "start", ("openread",)),  # mapped, not read
    File("the base at the start", "*/appendonlydir/*.base.rdb", "start", ("openread", "read")),
    File("the manifest at the start", "*/appendonly.aof.manifest", "start", ("openread", "read")),
    File("dump.rdb at the start", "*/dump.rdb", "start_dump", ("openread", "read"), quick=True),
    File("the memory's record", "*/shoal.segment", "start", ("open", "write"), quick=True),
    File("the server's log", "*/server.log", "talk", ("open", "write", "close"), harmless=("open", "write", "close")),
)


@dataclass(frozen=True)
class Row:
    file: File
    call: str
    error: str

    @property
    def rule(self) -> str:
        f = self.file
        how = self.error if "=" in self.error else f"err={self.error}"
        return f"call={self.call} path={f.path} {how}" + f" who={f.who}" * bool(f.who) + f" skip={f.skip}" * bool(f.skip)

    @property
    def harmless(self) -> bool:
        return self.call in self.file.harmless or self.error.startswith(HARMLESS)

    def __str__(self) -> str:
        return f"{self.file.name}: {self.call} {self.error}"


def rows(file: File) -> Iterator[Row]:
    for call in file.calls:
        for error in ERRORS[call]:
            yield Row(file, call, error)
