"""Servers under disktrace.c: the library, its control block, the trace."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from pathlib import Path

from tests.preload import compile_library

_WORDS = ("tracing", "count", "kill_at", "after", "all", "killed", "sync_us")
_SIZE = 64

WHO = {"log writer": b"shoal: log writ", "persistence": b"shoal: persiste", "supervisor": b"shoal-server", "": b""}
"""Names of the processes' threads, as far as Linux keeps them."""


class Tracer:
    """Set up before the server starts; what is set here counts at once."""

    def __init__(self, place: Path, folder: Path, setenv: Callable[[str, str], None]) -> None:
        self.file = place / "trace"
        self.file.touch()
        control = place / "control"
        control.write_bytes(bytes(_SIZE))
        with open(control, "r+b") as f:
            self._map = mmap.mmap(f.fileno(), _SIZE)
        setenv("LD_PRELOAD", str(compile_library("disktrace", place)))
        setenv("DISKTRACE_FOLDER", str(folder))
        setenv("DISKTRACE_CONTROL", str(control))
        setenv("DISKTRACE_FILE", str(self.file))

    def __getattr__(self, name: str) -> int:
        if name not in _WORDS:
            raise AttributeError(name)
        return int(struct.unpack_from("<I", self._map, 4 * _WORDS.index(name))[0])

    def set(self, **words: int) -> None:
        for name, number in words.items():
            struct.pack_into("<I", self._map, 4 * _WORDS.index(name), number)

    def arm(self, who: str, at: int, after: bool = False, everything: bool = False) -> None:
        """The process `who` dies at its call number `at` from here on; 0 only counts."""
        self.set(kill_at=0, count=0, killed=0, after=int(after), all=int(everything))
        self._map[32:64] = WHO[who].ljust(32, b"\0")
        self.set(kill_at=at or 0xFFFFFFFF)

    def disarm(self) -> None:
        self.set(kill_at=0)

    @property
    def last(self) -> str:
        """The call at which it died."""
        return bytes(self._map[48:64]).rstrip(b"\0").decode()
