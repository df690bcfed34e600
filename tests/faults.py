"""A disk that fails on demand, call by call and file by file: servers under tests/crash/faultdisk.c, whose head comment has the rules."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.preload import compile_library

_RULES = 4096


class Faults:
    """Set up before the server starts; what is set here counts at once."""

    def __init__(self, place: Path, setenv: Callable[[str, str], None]) -> None:
        rules, self._hits = place / "faults", place / "fault-hits"
        rules.write_bytes(bytes(_RULES))
        self._hits.touch()
        with open(rules, "r+b") as f:
            self._map = mmap.mmap(f.fileno(), _RULES)
        self.library = compile_library("faultdisk", place)
        setenv("LD_PRELOAD", str(self.library))
        setenv("FAULTDISK", str(rules))
        setenv("FAULTDISK_HITS", str(self._hits))

    def set(self, *rules: str) -> None:
        """These and no others."""
        data = "\n".join(rules).encode()
        assert 0 < len(data) < _RULES
        self.lift()
        self._map[1:_RULES] = data[1:].ljust(_RULES - 1, b"\0")
        self._map[0:1] = data[:1]  # from here on

    def lift(self) -> None:
        self._map[0] = 0

    def forget(self) -> None:
        """What was hit so far."""
        self._hits.write_text("")

    def hits(self) -> list[tuple[str, str, str]]:
        """Kind of call, function, path: of each call that a rule has fitted."""
        return [(kind, function, path) for kind, function, path in (line.split(" ", 2) for line in self._hits.read_text().splitlines())]


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Faults:
    """For servers that are started from here on."""
    return Faults(tmp_path, monkeypatch.setenv)
