"""`shoal backup`, `backups`, `restore`."""

from __future__ import annotations

import os
import time

from shoal import engine
from shoal.admin.connection import Connection, Failure, keys_of
from shoal.persist import backup as b
from shoal.persist import moments, restore, retention
from shoal.persist.manifest import LogFolder
from shoal.persist.place import BackupError, Place

_LOG_ON = "0"
"""aof_pending_rewrite: no base is missing."""


class OverConnection:
    """A running server on this machine (see shoal.persist.backup.Source)."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        names = ("dir", "dbfilename", "appenddirname", "appendfilename")
        self.names = {name: connection.setting(name) for name in names}
        if not os.path.isdir(self.names["dir"]):
            raise Failure(f"the server's folder {self.names['dir']} is not on this machine")

    def facts(self) -> b.Facts:
        info, names = self.connection.info(), self.names
        log_on = info["aof_enabled"] == "1" and info["aof_pending_rewrite"] == _LOG_ON
        written = [int(info[f"aof_written_{what}"]) if log_on else 0 for what in ("lsn", "file", "bytes")]
        return b.Facts(
            names["dir"], names["dbfilename"], LogFolder(names["dir"], names["appenddirname"], names["appendfilename"]), log_on,
            int(info["aof_last_lsn"]) if log_on else 0, engine.LogPosition(*written), keys_of(info), info["run_id"],
        )  # fmt: skip

    def save(self) -> None:
        before = int(self.connection.info()["rdb_saves"])
        self._begin()
        while True:
            info = self.connection.info()
            if info["rdb_bgsave_in_progress"] == "0" and int(info["rdb_saves"]) > before:
                return
            if info["rdb_bgsave_in_progress"] == "0" and info["rdb_last_bgsave_status"] != "ok":
                raise BackupError("the server could not save; its log says why")
            time.sleep(0.05)

    def _begin(self) -> None:
        while True:
            try:
                self.connection.call("BGSAVE")
                return
            except Failure as e:
                if "in progress" not in str(e):
                    raise
            time.sleep(0.2)


def backup(connection: Connection, url: str) -> int:
    """Make one, in the place given or in that of the server's own backups."""
    place = Place(url or connection.setting("backup-place"))
    if not place.root.strip("/"):
        raise Failure("where to? Name a folder or URL, or set backup-place")
    done = b.create(place, OverConnection(connection))
    print(f"{place.path(done.name)}  {done.kind}  {done.bytes} bytes  {done.keys} keys  LSN {done.lsn}")
    return 0


def _line(one: b.Backup) -> str:
    span = moments.show(one.time_ms) if one.kind == b.RDB else f"{moments.show(one.first_ms)} to {moments.show(one.time_ms)}"
    return f"{one.name}  {one.kind}  {span}  {one.bytes} bytes  {one.keys} keys"


def list_backups(url: str) -> int:
    for one in b.backups(Place(url)):
        print(_line(one))
    return 0


def verify(url: str) -> int:
    """Exit status 1 when one is damaged."""
    place, status = Place(url), 0
    for one in b.backups(place):
        problem = b.verify(place, one)
        status |= bool(problem)
        print(f"{one.name}  {problem or 'ok'}")
    return int(status)


def prune(url: str, keep: str, dry_run: bool) -> int:
    place, now = Place(url), moments.now()
    try:
        policy = retention.parse(keep.split())
    except ValueError as e:
        raise Failure(str(e)) from None
    for name in [*b.to_prune(place, policy, now), *b.unfinished(place, now)]:
        if not dry_run:
            b.remove(place, name)
        print(f"{name}  {'would be removed' if dry_run else 'removed'}")
    return 0


def restore_command(wish: restore.Wish) -> int:
    done = restore.restore(wish)
    for note in done.notes:
        print(f"Note: {note}")
    when = f" as of {moments.show(wish.to_ms)}" if wish.to_ms else ""
    last = f", last change {moments.show(done.moment)}" if done.moment else ""
    how = "--appendonly yes" if done.kind == b.AOF else "--appendonly no (the default)"
    print(f"{wish.target} is the dataset{when}{last}, LSN {done.lsn}. Start the server in that folder with {how}.")
    return 0
