"""What all processes know of saves and loads: one JSON blob in the segment.

Written by the persistence process alone; read by INFO, LASTSAVE and `shoal status`. Running progress is beside it, in the header's
words progress_done and progress_total.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import orjson

from shoal import engine


@dataclass(slots=True)
class SaveState:
    saving_since: float = 0.0
    """Wall clock; 0 when no save is running."""
    last_save: int = 0
    """Unix time of the last good save, or of the start."""
    last_ok: bool = True
    last_seconds: int = -1
    saves: int = 0
    dirty_at_save: int = 0
    """The counter of changes at the last good save's cut."""
    last_cow_bytes: int = 0
    cut_us: int = 0
    loading_since: float = 0.0
    """Wall clock; 0 when nothing is being loaded."""
    loading_bytes: int = 0
    loaded_keys: int = 0
    loaded_expired: int = 0

    aof_since: float = 0.0
    """Wall clock; 0 when no rewrite is running."""
    aof_last_seconds: int = -1
    aof_last_ok: bool = True
    aof_rewrites: int = 0
    aof_failures: int = 0
    """In a row."""
    aof_cow_bytes: int = 0
    aof_cut_us: int = 0

    check_status: str = "none"
    """Of all keys of memory that was taken over: none (it was not), running, sound, damaged."""
    check_since: float = 0.0
    """Wall clock of its begin."""
    check_seconds: float = -1.0
    """From begin to end; -1 before the end."""
    check_place: int = 0
    """Stripe with which it goes on, counted through all databases."""
    check_places: int = 0
    check_tries: int = 0
    """How many processes have begun with that stripe and not come back."""
    check_keys: int = 0
    check_damaged: int = 0
    check_cut_us: int = 0
    """The longest of its cuts."""
    check_cow_bytes: int = 0
    """The most pre-images of one of its slices."""
    check_damages: list[dict[str, Any]] = field(default_factory=list)
    """The first of them: db, stripe, key (latin-1, None: the stripe's table), whole (the key is), why."""

    def publish(self) -> None:
        while not engine.blob_write(
            engine.BLOB_STATE, orjson.dumps(asdict(self)), engine.blob_version(engine.BLOB_STATE)
        ):
            continue

    def changes(self) -> int:
        """Changes to keys since the last good save."""
        return engine.stats().get("dirty", 0) - self.dirty_at_save


_NAMES = {f.name for f in fields(SaveState)}


def read() -> SaveState:
    data, _ = engine.blob_read(engine.BLOB_STATE)
    found = orjson.loads(data) if data else {}
    return SaveState(**{k: v for k, v in found.items() if k in _NAMES})
