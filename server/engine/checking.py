"""The check of every key and value beside writers, in the persistence process; see cext/snap/check.h."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shoal.engine.binding import ERR_LEN, checked, ffi, lib

_REPORTED = 64
"""Damages that one slice tells of; more are counted only."""
_END = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Damage:
    """A key, or when it has none a stripe's table; see struct engine_damage."""

    db: int
    stripe: int
    key: bytes | None
    """At most its first 128 bytes."""
    key_bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class CheckSlice:
    """What one slice has looked at; see struct engine_check_slice."""

    place: int | None
    """Where to go on; None: all is done."""
    stripes: int
    """How many there are in all databases."""
    keys: int
    cut_us: int
    preimage_bytes: int
    damaged: int
    damages: tuple[Damage, ...]


def check_slice(pool_bytes: int, spill_folder: str, place: int, stripes: int, ms: int, wake_fd: int) -> CheckSlice:
    """Look at up to so many stripes for so long, from `place` on. Raises EngineError when there is no memory for the cut."""
    err = ffi.new("char[]", ERR_LEN)
    found = ffi.new("struct engine_damage[]", _REPORTED)
    s = ffi.new("struct engine_check_slice *", {"place": place, "stripes": stripes, "ms": ms, "wake_fd": wake_fd})
    folder = spill_folder.encode("latin-1")
    checked(lib.engine_check_slice(pool_bytes, folder, s, found, _REPORTED, err, ERR_LEN), err)
    damages = tuple(_damage(found[i]) for i in range(min(s.damaged, _REPORTED)))
    return CheckSlice(
        None if s.place == _END else int(s.place), s.stripes_all, s.keys, s.cut_us, s.preimage_bytes, s.damaged, damages
    )


def check_key(db: int, key: bytes) -> Damage | None:
    """Is this key, of at most 128 bytes, damaged now?"""
    found = ffi.new("struct engine_damage *")
    return _damage(found) if lib.engine_check_key(db, key, len(key), found) else None


def _damage(d: Any) -> Damage:
    key = bytes(ffi.buffer(d.key, min(d.key_bytes, 128))) if d.has_key else None
    return Damage(d.db, d.stripe, key, d.key_bytes, ffi.string(d.why).decode("ascii", "replace"))
