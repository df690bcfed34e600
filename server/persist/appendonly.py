"""The append-only file as the persistence process sees it: loading it, rewriting it, putting it right after a disk failure.

The log writer process appends to the current increment and to nothing else; which file that is, and what the manifest says, is decided
here. Steps of a rewrite (a death between any two leaves a manifest that loads everything):

1. an empty increment is made; unless the log is only starting, the manifest gets it;
2. the cut: under all stripes the snapshot begins and the log is told to go on in the new file;
3. the base is written from the snapshot, forced to the disk, renamed;
4. the log writer has ended the old file (forced to the disk) and is in the new one;
5. the manifest names the new base and the new increment; what was before is history, and removed.

A log that was off, or whose file failed, starts so, too, but its increment is in no manifest before step 5: what the old manifest
names stays what a restart loads.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shoal import engine, log
from shoal.config import Config
from shoal.engine import EngineError
from shoal.persist import temporary
from shoal.persist.manifest import LogFile, LogFolder, Manifest, ManifestError, sync_folder
from shoal.persist.state import SaveState

COMPRESS, CHECKSUM, AOF_BASE = 1, 2, 4
LOG_OFF, LOG_ON, LOG_STARTING = 0, 1, 2
"""Word log_state."""

_SWITCH_SECONDS = 60.0
_RETRY_SECONDS = 1.0
_PROBE_BYTES = 4096


class LoadError(Exception):
    """The dataset cannot be loaded; the server must not start."""


@dataclass(slots=True)
class _Rewrite:
    """One that is under way."""

    incr: LogFile | None
    """None: the log is off, and only a base is made, as Redis does."""
    starting: bool


class AppendOnly:
    def __init__(self, config: Config, state: SaveState) -> None:
        self.config = config
        self.state = state
        self.folder = LogFolder(_text(config["dir"]), _text(config["appenddirname"]), _text(config["appendfilename"]))
        self.last_try = 0.0
        self.running: _Rewrite | None = None

    # --- loading

    def load(self, progress: Callable[[int], None]) -> None:
        """Read all files of the manifest into the empty keyspace and let the log go on behind them."""
        try:
            manifest = self.folder.adopt_old_file(self.folder.read())
            if manifest is not None:
                progress(self.folder.size(manifest))
            self._go_on(manifest, self._load_files(manifest or Manifest()))
        except ManifestError as e:
            raise LoadError(str(e)) from None
        except OSError as e:
            raise LoadError(f"Can't open or create the append only file {e.filename}: {e.strerror}") from None

    def exists(self) -> bool:
        return os.path.exists(self.folder.manifest_path)

    def reload(self) -> None:
        """DEBUG LOADAOF: the log itself goes on where it is."""
        try:
            self._load_files(self.folder.read() or Manifest())
        except ManifestError as e:
            raise LoadError(str(e)) from None

    def _load_files(self, manifest: Manifest) -> int:
        """The last LSN that the files tell of."""
        files = manifest.files
        lsn = 0
        for i, file in enumerate(files):
            began = time.monotonic()
            rest_empty = all(_size(self.folder.file_path(f)) == 0 for f in files[i + 1 :])
            found = self._load_one(file, rest_empty and self.config["aof-load-truncated"])
            lsn = max(lsn, found.lsn)
            kind = "base" if file is manifest.base else "incr"
            log.notice(f"DB loaded from {kind} file {file.name}: {time.monotonic() - began:.3f} seconds")
            self.state.loaded_keys += found.keys
            if found.torn:
                self._cut(file, found)
        return lsn

    def _load_one(self, file: LogFile, allow_torn: bool) -> engine.LoadedLog:
        path = self.folder.file_path(file)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as e:
            raise LoadError(
                f"Fatal error: can't open the append log file {path} for reading: {e.strerror}. The manifest "
                f"{self.folder.manifest_path} names it: put it back, or restore a backup."
            ) from None
        try:
            return engine.aof_load(fd, file.name, allow_torn)
        except EngineError as e:
            raise LoadError(str(e)) from None
        finally:
            os.close(fd)

    def _cut(self, file: LogFile, found: engine.LoadedLog) -> None:
        log.warning(f"!!! Warning: short read while loading the AOF file {file.name}!!!")
        log.warning(f"!!! Truncating the AOF {file.name} at offset {found.good} ({found.bytes - found.good} bytes go) !!!")
        os.truncate(self.folder.file_path(file), found.good)
        log.warning(f"AOF {file.name} loaded anyway because aof-load-truncated is enabled")

    def _go_on(self, manifest: Manifest | None, lsn: int) -> None:
        """Open the last increment, or make one; make what is missing."""
        made = manifest or Manifest()
        if not made.files:
            base = self.folder.base(made.last_base + 1, self.config["aof-use-rdb-preamble"])
            log.notice(f"Creating AOF base file {base.name} on server start")
            self._write_base(base)
            made = Manifest(base, (), made.history)
        last = made.incrs[-1] if made.incrs else None
        if last is None or last.name != self.folder.incr(last.seq).name:
            last = self.folder.create_incr(made.last_incr + 1)
            log.notice(f"Creating AOF incr file {last.name} on server start")
            made = made.with_incr(last)
        else:
            log.notice(f"Opening AOF incr file {last.name} on server start")
        if made != manifest:
            self.folder.write(made)
        made = self._collect(made)
        self._note_sizes(made, True)
        try:
            engine.log_resume(last.seq, _size(self.folder.file_path(last)), lsn)
        except EngineError as e:
            raise LoadError(str(e)) from None

    def _note_sizes(self, manifest: Manifest, base: bool) -> None:
        engine.set_word("log_older_bytes", self.folder.size(manifest, but_last=True))
        if base:
            engine.set_word("log_base_bytes", self.folder.size(manifest))

    def _collect(self, manifest: Manifest) -> Manifest:
        """Remove history, unless DEBUG has asked to keep it."""
        if self.config["aof-disable-auto-gc"]:
            return manifest
        try:
            left, names = self.folder.drop_history(manifest)
        except OSError as e:
            log.warning(f"History files of the append only file cannot be removed ({e.strerror}): the next rewrite tries again")
            return manifest
        for name in names:
            log.notice(f"Removing the history file {name} in the background")
        return left

    # --- after memory was taken over

    def take_over(self) -> None:
        """The segment has the dataset; the log is as the last instance left it."""
        state = engine.word("log_state")
        if not self.config["appendonly"]:
            if state != LOG_OFF:
                engine.log_off()
        elif state == LOG_OFF:
            self.start()
            engine.set_word("log_rewriting", 0)
        else:
            engine.commit_rings()

    # --- rewriting

    def start(self) -> str:
        """CONFIG SET appendonly yes."""
        problem = self.begin()
        return problem or self.finish()

    def stop(self) -> None:
        """CONFIG SET appendonly no."""
        engine.log_off()
        deadline = time.monotonic() + _SWITCH_SECONDS
        while engine.log_position().file and time.monotonic() < deadline:
            time.sleep(0.002)

    def begin(self) -> str:
        """Steps 1 and 2; "" or what went wrong.

        The word log_rewriting is cleared by the supervisor when it hears of the end: who sees it gone may ask for more.
        """
        self.last_try = time.monotonic()
        self.state.aof_since = time.time()
        self.state.publish()
        engine.set_word("log_rewriting", 1)
        try:
            self.running = self._begin()
        except (OSError, EngineError, ManifestError) as e:
            return self._end(e)
        return ""

    def _begin(self) -> _Rewrite:
        engine.set_word("save_cancel", 0)
        starting = engine.word("log_state") != LOG_ON or engine.word("log_failed") != 0
        if not self.config["appendonly"]:
            engine.snapshot_begin(self.config["snapshot-preimage-memory"], self.config["dir"])
            return _Rewrite(None, False)
        manifest = self.folder.read() or Manifest()
        incr = self.folder.create_incr(max(manifest.last_incr, engine.log_position().file) + 1)
        log.notice(f"Creating AOF incr file {incr.name} on background rewrite")
        if not starting:
            self.folder.write(manifest.with_incr(incr))
        engine.set_word("log_hold_syncs", int(self.config["no-appendfsync-on-rewrite"]))
        engine.snapshot_begin(self.config["snapshot-preimage-memory"], self.config["dir"], incr.seq)
        self.state.aof_cut_us = engine.snapshot().cut_us
        return _Rewrite(incr, starting)

    def finish(self) -> str:
        """Steps 3 to 5; "" or what went wrong."""
        assert self.running is not None
        try:
            self._finish(self.running)
        except (OSError, EngineError, ManifestError) as e:
            return self._end(e)
        return self._end(None)

    def _finish(self, running: _Rewrite) -> None:
        manifest = self.folder.read() or Manifest()
        base = self.folder.base(manifest.last_base + 1, self.config["aof-use-rdb-preamble"])
        self._write_base(base, begun=True)
        if running.incr is None:
            self.folder.write(manifest.base_alone(base))
            self._collect(manifest.base_alone(base))
            return
        self._wait_for_switch(running.incr)
        if running.starting and running.incr not in manifest.incrs:
            manifest = manifest.with_incr(running.incr)
        done = manifest.after_rewrite(base, running.incr)
        self.folder.write(done)
        engine.log_base_done()
        done = self._collect(done)
        self._note_sizes(done, True)
        if running.starting:
            self._remove_strays(done)

    def _wait_for_switch(self, incr: LogFile) -> None:
        deadline = time.monotonic() + _SWITCH_SECONDS
        while engine.word("log_next_file") or engine.log_position().file != incr.seq:
            if engine.word("log_failed"):
                raise EngineError("the append only file cannot be written")
            if engine.word("log_state") == LOG_OFF:
                raise EngineError("the append only file was switched off")
            if time.monotonic() > deadline:
                raise EngineError("the log writer does not change files")
            time.sleep(0.002)
        if engine.word("log_failed"):  # it has changed, but cannot open the new one
            raise EngineError("the append only file cannot be written")

    def _write_base(self, base: LogFile, begun: bool = False) -> None:
        """A file beside, forced to the disk, renamed. `begun`: the snapshot is there already."""
        os.makedirs(self.folder.path, 0o755, exist_ok=True)
        unfinished = temporary.base(self.folder.dir)
        fd = -1
        try:
            fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            if not begun:
                engine.snapshot_begin(self.config["snapshot-preimage-memory"], self.config["dir"])
            if base.name.endswith(".rdb"):
                engine.rdb_save(fd, AOF_BASE | CHECKSUM | (COMPRESS if self.config["rdbcompression"] else 0))
            else:
                engine.resp_base_save(fd)
            self.state.aof_cow_bytes = engine.snapshot().preimage_bytes
            engine.snapshot_end()
            os.fsync(fd)
            fd, closing = -1, fd  # closed, whatever close() says
            os.close(closing)
            os.rename(unfinished, os.path.join(self.folder.path, base.name))
            sync_folder(self.folder.path)
        except (OSError, EngineError):
            _remove(unfinished)
            raise
        finally:
            if fd >= 0:
                os.close(fd)
            engine.snapshot_abandon()

    def _remove_strays(self, manifest: Manifest) -> None:
        """Increments of earlier starts that failed are in no manifest."""
        last = manifest.incrs[-1].seq
        named = {f.name for f in [*manifest.files, *manifest.history]}
        for seq in range(max(last - 100, 1), last):
            name = self.folder.incr(seq).name
            if name not in named and os.path.exists(os.path.join(self.folder.path, name)):
                log.notice(f"Removing the temp incr aof file {name} in the background")
                _remove(os.path.join(self.folder.path, name))

    def _end(self, problem: Exception | None) -> str:
        state = self.state
        engine.snapshot_abandon()
        engine.set_word("log_hold_syncs", 0)
        if state.aof_since:
            state.aof_last_seconds = int(time.time() - state.aof_since)
        state.aof_since, state.aof_last_ok = 0.0, problem is None
        self.running = None
        text = ""
        if problem is None:
            state.aof_rewrites += 1
            state.aof_failures = 0
            log.notice("Background AOF rewrite finished successfully")
        else:
            state.aof_failures += 1
            text = f"{problem.strerror}" if isinstance(problem, OSError) and problem.strerror else str(problem)
            log.warning(f"Background AOF rewrite terminated: {text}")
        state.publish()
        return text

    def died(self) -> None:
        """The persistence process died in a rewrite: its heir says so."""
        self._end(EngineError("the persistence process died"))

    # --- by the clock

    def wanted(self) -> bool:
        """Is a rewrite due: by growth, to put the log right, or because it should be on and is not (who was to start it has died)?"""
        if not self.config["appendonly"] or time.monotonic() - self.last_try < _RETRY_SECONDS:
            return False
        if engine.word("log_failed") or engine.word("log_state") != LOG_ON:
            return self._disk_takes()
        return self._grown() and not self.state.check_damaged

    def _disk_takes(self) -> bool:
        """Would it be in vain to take a cut? A few bytes are written and forced to the disk where the log's files are."""
        self.last_try = time.monotonic()
        probe = temporary.probe(self.folder.path, self.folder.name)
        try:
            os.makedirs(self.folder.path, 0o755, exist_ok=True)
            fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                if os.write(fd, bytes(_PROBE_BYTES)) != _PROBE_BYTES:
                    return False
                os.fsync(fd)
            finally:
                try:
                    os.close(fd)
                finally:
                    os.unlink(probe)
        except OSError:
            return False
        return True

    def _grown(self) -> bool:
        percentage = self.config["auto-aof-rewrite-percentage"]
        size = current_size()
        if not percentage or size <= self.config["auto-aof-rewrite-min-size"] or (
            self.state.aof_failures >= 3 and time.monotonic() - self.last_try < 60 * min(self.state.aof_failures - 2, 60)
        ):
            return False
        base = max(engine.word("log_base_bytes"), 1)
        growth = size * 100 // base - 100
        if growth < percentage:
            return False
        log.notice(f"Starting automatic rewriting of AOF on {growth}% growth")
        return True


def current_size() -> int:
    """Bytes of all files that a start would load."""
    return engine.word("log_older_bytes") + engine.log_position().bytes


def _text(value: Any) -> str:
    return os.fsdecode(str(value).encode("latin-1"))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
