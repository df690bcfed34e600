"""Full synchronisations of replicas, as the persistence process sees them: one cut and one file for all that wait.

A replica's worker has counted its request in the segment; this process looks there ten times a second. It takes a cut, with which the
stream for these replicas begins (and is switched on, if nobody followed it before), writes an unlinked RDB file of it and sends the
descriptor to the workers. A failure, like our death, closes the replicas' connections: they ask again.

The stream costs the writers something, so it is switched off when no replica has been there for repl-backlog-ttl seconds.
"""

from __future__ import annotations

import os
import tempfile
import time

from shoal import engine, log
from shoal.config import Config
from shoal.engine import EngineError

COMPRESS, CHECKSUM, FOR_REPLICAS = 1, 2, 8
"""Flags of engine.rdb_save."""

_SEND_SECONDS = 5.0


class Replicas:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.last_seen = time.monotonic()

    def wanted(self) -> bool:
        now = engine.replication()
        return now.wanted > now.done

    def synchronise(self) -> None:
        """A cut, its file, and off it goes."""
        engine.set_word("save_cancel", 0)
        asked = engine.replication().wanted
        log.notice("Starting the snapshot for replicas")
        fd = -1
        try:
            asked = engine.snapshot_begin_replicas(self.config["snapshot-preimage-memory"], self.config["dir"])
            engine.progress_begin(engine.snapshot().keys)
            fd = unlinked(os.fsdecode(self.config["dir"].encode("latin-1")))
            flags = FOR_REPLICAS | (COMPRESS if self.config["rdbcompression"] else 0)
            engine.rdb_save(fd, flags | (CHECKSUM if self.config["rdbchecksum"] else 0))
            engine.snapshot_end()
            self._send(asked, fd)
            log.notice("The snapshot for replicas is on its way")
        except (EngineError, OSError) as e:
            log.warning(f"The snapshot for replicas failed: {e}")
            engine.replica_file(asked, -1)
        finally:
            engine.snapshot_abandon()
            if fd >= 0:
                os.close(fd)

    def _send(self, number: int, fd: int) -> None:
        deadline = time.monotonic() + _SEND_SECONDS
        while not engine.replica_file(number, fd):
            if time.monotonic() > deadline:
                raise EngineError("a worker does not take it")
            time.sleep(0.01)

    def by_the_clock(self) -> None:
        """The setting repl-backlog-ttl."""
        now = time.monotonic()
        state = engine.replication()
        if not state.on or state.replicas or not self.config["repl-backlog-ttl"]:
            self.last_seen = now
        elif now - self.last_seen > self.config["repl-backlog-ttl"]:
            log.notice(f"Replication backlog freed after {self.config['repl-backlog-ttl']} seconds without connected replicas.")
            engine.replication_off()

    def forget(self) -> None:
        """The dataset is replaced by something that the stream does not tell of: replicas begin anew."""
        if engine.replication().on:
            engine.replication_off()


def unlinked(folder: str) -> int:
    """A file without a name, so that nobody's death leaves one behind."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        fd, path = tempfile.mkstemp(dir=folder, prefix="temp-repl-", suffix=".rdb")
        os.unlink(path)
        return fd
