"""What all processes know of saves and loads: one JSON blob in the segment.

Written by the persistence process alone; read by INFO, LASTSAVE and `shoal status`. Running progress is beside it, in the header's
words progress_done and progress_total.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

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
