"""One backup, made by the schedule: a process of its own, so nothing else waits for a slow place.

Started by the supervisor when one is due; it has no slot and touches no keys. It asks for a snapshot where the append-only file is off,
copies files, removes what `backup-keep` does not keep, tells the supervisor how it went and ends. Killed or told to stop in the middle, an
unfinished backup is left, which is none; one that is made a day later removes it.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from shoal import engine
from shoal.config import Config
from shoal.persist import backup, moments
from shoal.persist.manifest import LogFolder
from shoal.persist.place import BackupError, Place
from shoal.workers.child import Child

_LOG_ON = 1
_SAVE_SECONDS = 24 * 3600.0
_AGAIN_SECONDS = 1.0


class Stopped(Exception):
    """The supervisor said so."""


def _text(value: Any) -> str:
    return os.fsdecode(str(value).encode("latin-1"))


def _keys(config: Config) -> int:
    return sum(engine.db_size(db) for db in range(config["databases"]))


class OfChild:
    """The server that this process belongs to (see shoal.persist.backup.Source)."""

    def __init__(self, child: Child) -> None:
        self.child = child

    def facts(self) -> backup.Facts:
        config = self.child.config
        config.refresh()
        folder = _text(config["dir"])
        log = LogFolder(folder, _text(config["appenddirname"]), _text(config["appendfilename"]))
        log_on = bool(config["appendonly"]) and engine.word("log_state") == _LOG_ON
        lsn = engine.word("lsn")
        return backup.Facts(
            folder, _text(config["dbfilename"]), log, log_on, lsn, engine.log_position(), _keys(config), engine.run_id()
        )

    def save(self) -> None:
        while True:
            error = str(self.child.ask({"op": "save", "wait": True}, _SAVE_SECONDS).get("error") or "")
            if not error:
                return
            if "in progress" not in error:
                raise BackupError(f"the server could not save: {error}")
            self.interrupt()
            time.sleep(_AGAIN_SECONDS)

    def interrupt(self) -> None:
        """Between two pieces of a file."""
        if any(message.get("op") == "stop" for message, _ in self.child.take()):
            raise Stopped


def _make(child: Child) -> dict[str, Any]:
    config = child.config
    place = Place(_text(config["backup-place"]), within=_text(config["dir"]))
    source = OfChild(child)
    done = backup.create(place, source, source.interrupt)
    policy = [(str(unit), int(count)) for unit, count in config["backup-keep"]]
    now = moments.now()
    old = [*backup.to_prune(place, policy, now), *backup.unfinished(place, now)] if policy else []
    for name in old:
        source.interrupt()
        backup.remove(place, name)
    return {"name": done.name, "bytes": done.bytes, "removed": len(old), "error": ""}


def main(child: Child) -> None:
    child.control.settimeout(0)
    try:
        told = _make(child)
    except Stopped:
        return
    except OSError as e:
        told = {"error": f"{e.filename or ''}: {e.strerror or e}".removeprefix(": ")}
    except BackupError as e:
        told = {"error": str(e)}
    except Exception as e:  # whatever fsspec's file systems raise: it is the place's word, not a bug's
        told = {"error": f"{type(e).__name__}: {e}"}
    child.tell({"op": "backup_ended", **told})
    sys.stdout.flush()
