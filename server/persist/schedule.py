"""Backups by the clock: when the next one is due, and what is known of the last ones.

The supervisor owns this: it starts a process of its own for each backup (shoal.workers.backup) when one is due, and writes down how it
ended; INFO and `shoal status` read that from the segment.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import orjson

from shoal import engine, log
from shoal.config import Config

_RETRY_SECONDS = 300.0
"""After one that failed, unless the schedule comes first."""


def next_time(schedule: str, now: float) -> float:
    """Of a cron expression, in local time; 0: there is none."""
    if not schedule:
        return 0.0
    from croniter import croniter  # costs nothing where there is no schedule

    return float(croniter(schedule, datetime.fromtimestamp(now).astimezone()).get_next(float))


@dataclass(slots=True)
class BackupState:
    running_since: float = 0.0
    """Wall clock; 0: none is being made."""
    last_ok: bool = True
    last_error: str = ""
    last_time: int = 0
    """Unix time of the last good one; 0: there was none since the start."""
    last_name: str = ""
    last_bytes: int = 0
    last_seconds: int = -1
    done: int = 0
    failures: int = 0
    """In a row."""
    next_time: float = 0.0
    """Wall clock; 0: none is planned."""

    def publish(self) -> None:
        data = orjson.dumps(asdict(self))
        while not engine.blob_write(engine.BLOB_BACKUP, data, engine.blob_version(engine.BLOB_BACKUP)):
            continue


_NAMES = {f.name for f in fields(BackupState)}


def read() -> BackupState:
    data, _ = engine.blob_read(engine.BLOB_BACKUP)
    found = orjson.loads(data) if data else {}
    return BackupState(**{k: v for k, v in found.items() if k in _NAMES})


class Backups:
    """The supervisor's view."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.state = BackupState()

    def plan(self) -> None:
        """At the start, and when a setting has changed."""
        schedule, place = self.config["backup-schedule"], self.config["backup-place"]
        self.state.next_time = next_time(schedule, time.time()) if place else 0.0
        if schedule and not place:
            log.warning("backup-schedule is set, but backup-place is not: no backups are made")
        self.state.publish()

    def seconds_left(self) -> float | None:
        """Until the next is due; None: none is planned, or one is being made."""
        if not self.state.next_time or self.state.running_since:
            return None
        return max(self.state.next_time - time.time(), 0.0)

    def begun(self) -> None:
        self.state.running_since = time.time()
        self.state.publish()
        log.notice("Backup started")

    def told(self, message: dict[str, Any]) -> None:
        """What the process says at its end."""
        state = self.state
        if message["error"]:
            self._failed(message["error"])
            return
        state.last_ok, state.last_error, state.failures, state.done = True, "", 0, state.done + 1
        state.last_time, state.last_name, state.last_bytes = int(time.time()), message["name"], message["bytes"]
        removed = f", {message['removed']} old ones removed" if message["removed"] else ""
        log.notice(f"Backup {message['name']} finished: {message['bytes']} bytes{removed}")

    def ended(self, heard: bool, how: str) -> None:
        """The process is gone. `heard`: it has said how it went."""
        state = self.state
        if not heard:
            self._failed(f"its process ended {how}")
        state.last_seconds, state.running_since = int(time.time() - state.running_since), 0.0
        self.plan()
        if state.failures and state.next_time:
            state.next_time = min(state.next_time, time.time() + _RETRY_SECONDS)
            state.publish()

    def _failed(self, error: str) -> None:
        self.state.last_ok, self.state.last_error = False, error
        self.state.failures += 1
        log.warning(f"Backup failed: {error}")
