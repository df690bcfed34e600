"""Process kinds: one row each. The supervisor starts, stops and restarts by these rows and knows no kind by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shoal import engine
from shoal.workers import backup, client, keeper, logwriter, persistence
from shoal.workers.child import Child

BOOT_FAILED = 3
"""Exit status of a child that could not begin its work."""

MAX_BOOT_FAILURES = 3
"""So many in a row stop the server."""


@dataclass(frozen=True, slots=True)
class ProcessKind:
    name: str
    title: str
    """What ps shows, with the slot's number filled in."""
    main: Callable[[Child], None]
    slot_kind: int
    """The engine's word for it; 0 takes no slot."""
    per_worker: bool
    """As many as the setting `workers` says; else one."""
    place: int
    """Its slot: so many behind the workers'; 0 for workers themselves and for those without a slot."""
    grace: float
    """Seconds between being told to stop and SIGKILL; 0: its death costs nothing."""
    on_demand: bool = False
    """Started when it is wanted, one at a time; it ends by itself and has no heir."""


KINDS = (
    ProcessKind("worker", "worker {slot}", client.main, engine.KIND_WORKER, True, 0, 5.0),
    ProcessKind("persistence", "persistence", persistence.main, engine.KIND_PERSISTENCE, False, 1, 10.0),
    ProcessKind("log writer", "log writer", logwriter.main, engine.KIND_LOG_WRITER, False, 2, 10.0),
    ProcessKind("keeper", "keeper", keeper.main, 0, False, 0, 0.0),
    ProcessKind("backup", "backup", backup.main, 0, False, 0, 1.0, on_demand=True),
)

BACKUP = KINDS[-1]
