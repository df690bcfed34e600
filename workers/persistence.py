"""The persistence process: loads dump.rdb at the start and writes it from cuts, beside the running workers.

Started by the supervisor, one of it, on the slot behind the workers'. It forks nothing and holds no lock longer than a cut. Asked to
save by the supervisor (SAVE, BGSAVE, SHUTDOWN, DEBUG RELOAD) and by its own clock (the setting `save`). A stop while a save runs
cancels the save.

Memory that was taken over from an earlier instance is checked beside all that (shoal.persist.memory_check).

When it is killed, the running save fails and is reported by its heir, which first ends the snapshot that was left running; a half
loaded dataset is never served: the heir loads anew.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Callable
from typing import Any

from shoal import engine, log
from shoal.engine import EngineError
from shoal.persist import state as save_state
from shoal.persist import temporary
from shoal.persist.appendonly import AppendOnly, LoadError
from shoal.persist.memory_check import MemoryCheck
from shoal.persist.primary import Primary
from shoal.persist.replicas import Replicas
from shoal.workers.child import Child

COMPRESS, CHECKSUM, AOF_BASE, DROP_EXPIRED = 1, 2, 4, 16
"""Flags of engine.rdb_save and engine.rdb_load."""

FLUSHED = 2
"""Bit of word save_cancel: FLUSHALL was called."""

_TICK_SECONDS = 0.1
_IDLE_TICK_SECONDS = 0.2
"""Where neither dying values, a check nor a primary want more: each look around costs half a millisecond of processor time."""
_RETRY_SECONDS = 5
"""After a failed save, so long until the next try by a save point (as Redis)."""
_LAZY_ITEMS = 20000
_TEMPORARY = re.compile(r"temp-(rewriteaof-bg-)?\d+\.(rdb|aof)")
"""Names of files before they are whole."""


class Persistence:
    def __init__(self, child: Child) -> None:
        self.child = child
        self.config = child.config
        self.state = save_state.read()
        self.last_try = 0.0
        self.aof = AppendOnly(self.config, self.state)
        self.replicas = Replicas(self.config)
        self.check = MemoryCheck(self.config, child.control.fileno())
        self.primary = Primary(self.config, self.replace_dataset)

    def run(self) -> None:
        child = self.child
        child.control.settimeout(0)
        engine.worker_start(child.slot, engine.KIND_PERSISTENCE)
        for slot, channels in child.channels.items():
            engine.worker_fds(slot, channels.receive, channels.send, channels.event)
        engine.snapshot_abandon()
        engine.replicas_abandon()
        self.remove_leftovers()
        engine.set_word("log_hold_syncs", 0)
        engine.set_word("log_rewriting", 0)
        for name in temporary.sweep(os.path.dirname(self.path())):
            log.notice(f"Removing the unfinished file {name}")
        if self.state.saving_since:
            self.finish(False, "the persistence process died")
        if self.state.aof_since:
            self.aof.died()
        if not engine.word("serving"):
            self.start()
        child.tell({"op": "ready", "slot": child.slot})
        more_to_free = True
        while not child.stopping:
            reads, writes = self.primary.waiting()
            idle = not (more_to_free or reads or writes or self.state.check_status == "running" or self.config["replicaof"])
            select.select([child.control, *reads], writes, [], _IDLE_TICK_SECONDS if idle else _TICK_SECONDS)
            for message, _ in child.take():
                self.handle(message)
            self.config.refresh()
            self.mark_failure()
            self.by_the_clock()
            if engine.word("serving") and not child.stopping and self.aof.wanted():
                self.busy(self.aof.start)
            elif not self.config["appendonly"] and engine.word("log_enabled"):
                self.busy(self.aof.stop)  # who was to do it has died
            if engine.word("serving") and not child.stopping and self.replicas.wanted():
                self.busy(self.replicas.synchronise)
            self.replicas.by_the_clock()
            if engine.word("serving") and not child.stopping:
                self.primary.step()
            more_to_free = engine.lazy_step(_LAZY_ITEMS)
            if engine.word("serving") and not child.stopping:
                self.check.step(self.state, self.path())
        engine.worker_end()

    def remove_leftovers(self) -> None:
        """Half-written files of those who had our place and died. Nobody else writes such files here."""
        folder = os.fsdecode(self.config["dir"].encode("latin-1"))
        for name in os.listdir(folder):
            if _TEMPORARY.fullmatch(name):
                log.notice(f"Removing {name}, which a dead process left")
                _remove(os.path.join(folder, name))

    # --- loading

    def start(self) -> None:
        """The first persistence process of an instance decides what is served."""
        kept = engine.word("kept_memory")
        self.state = self.aof.state = save_state.SaveState(last_save=int(time.time()))
        if kept:
            # What has changed since the last save is not known any more: a save point will save it.
            self.state.dirty_at_save = -1
            self.check.begin(self.state)
            self.state.publish()
            self.aof.take_over()
        else:
            self.empty()
            try:
                if self.config["appendonly"]:
                    self.load_aof()
                else:
                    self.load()
            except LoadError as e:
                self.child.tell({"op": "load_failed", "error": str(e)})
                while True:
                    select.select([self.child.control], [], [])
                    if any(m["op"] == "stop" for m, _ in self.child.take()):
                        os._exit(0)
        self.child.tell({"op": "loaded"})

    def empty(self) -> None:
        """Drop what a load left that did not come to its end, at once."""
        if any(engine.db_size(db) for db in range(self.config["databases"])):
            log.warning("The dataset is half loaded: it is dropped, and loaded anew")
            engine.flush_all()
        while engine.lazy_step(_LAZY_ITEMS):
            continue

    def path(self) -> str:
        return os.path.join(os.fsdecode(self.config["dir"].encode("latin-1")), self.config["dbfilename"])

    def load(self) -> None:
        """Read dump.rdb, if there is one, into the empty keyspace."""
        try:
            fd = os.open(self.path(), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self.state.publish()
            return
        except OSError as e:
            raise LoadError(f"Fatal error: can't open the RDB file {self.path()} for reading: {e.strerror}") from None
        flags = DROP_EXPIRED | (CHECKSUM if self.config["rdbchecksum"] else 0)
        try:
            self.read(fd, flags)
        except EngineError as e:
            raise LoadError(
                f"The RDB file {self.path()} cannot be loaded: {e}. It was not changed. redis-check-rdb tells more; "
                "put a good copy in its place, or move it away to start empty. Terminating server after rdb file reading failure."
            ) from None
        finally:
            os.close(fd)

    def read(self, fd: int, flags: int) -> None:
        """An RDB file into the empty keyspace. Raises EngineError."""
        began = time.monotonic()
        size = os.fstat(fd).st_size
        self.state.loading_since, self.state.loading_bytes = time.time(), size
        self.state.publish()
        engine.progress_begin(size)
        log_fd = log.descriptor()
        engine.log_to(log_fd, log.level, log.role)
        try:
            try:
                found = engine.rdb_load(fd, flags)
            except EngineError as e:
                if not str(e).startswith(engine.LOADER_DIED) or engine.word("serving"):
                    raise
                log.warning(f"Loading failed: {e}")
                self.empty()
                found = engine.rdb_load(fd, flags)
        finally:
            engine.log_to(-1, log.level, log.role)
            if log_fd >= 0:
                os.close(log_fd)
            self.state.loading_since = 0.0
        self.state.loaded_keys, self.state.loaded_expired = found.keys, found.expired
        self.state.dirty_at_save = engine.stats().get("dirty", 0)
        self.state.publish()
        log.notice(
            f"Done loading RDB, keys loaded: {found.keys}, keys expired: {found.expired}, empty keys skipped: {found.empty}."
        )
        log.notice(f"DB loaded from disk: {time.monotonic() - began:.3f} seconds")

    def replace_dataset(self, fd: int) -> None:
        """By an RDB file of our primary; keys whose time is over stay until it deletes them. Raises EngineError; then there is no key."""
        self.child.tell({"op": "saving", "on": True})
        for name in ("loaded", "kept_memory", "serving"):
            engine.set_word(name, 0)  # who dies in here leaves a dataset that is nobody's
        engine.set_word("save_cancel", 0)
        try:
            engine.flush_all()
            self.read(fd, CHECKSUM if self.config["rdbchecksum"] else 0)
        except EngineError:
            engine.flush_all()
            raise
        finally:
            if engine.word("log_enabled"):
                self.aof.start()  # the log does not know of what came from the file
            engine.set_word("loaded", 1)
            engine.set_word("serving", 1)
            self.child.tell({"op": "saving", "on": False})

    def load_aof(self, reload: bool = False) -> None:
        """Read the append-only file into the empty keyspace."""
        began = time.monotonic()
        self.state.loaded_keys = self.state.loaded_expired = 0

        def total(size: int) -> None:
            self.state.loading_since, self.state.loading_bytes = time.time(), size
            self.state.publish()
            engine.progress_begin(size)

        try:
            if reload:
                self.aof.reload()
            else:
                self.aof.load(total)
        finally:
            self.state.loading_since = 0.0
        self.state.dirty_at_save = engine.stats().get("dirty", 0)
        self.state.publish()
        log.notice(f"DB loaded from append only file: {time.monotonic() - began:.3f} seconds")

    def busy(self, work: Callable[[], object]) -> None:
        """Work that nobody has asked for, with the supervisor knowing of it."""
        self.child.tell({"op": "saving", "on": True})
        work()
        self.child.tell({"op": "saving", "on": False})

    # --- saving

    def save(self, foreground: bool = False) -> str:
        """Write dump.rdb; "" or what went wrong. foreground: somebody waits for it and hears of a failure, so writes go on."""
        problem = self.begin(foreground)
        return problem or self.write(foreground)

    def begin(self, foreground: bool = False) -> str:
        """Take the cut."""
        engine.set_word("save_cancel", 0)
        self.last_try = time.monotonic()
        try:
            engine.snapshot_begin(self.config["snapshot-preimage-memory"], self.config["dir"])
        except EngineError as e:
            return self.finish(False, str(e), foreground)
        cut = engine.snapshot()
        engine.progress_begin(cut.keys)
        self.dirty_at_cut = cut.dirty
        self.state.saving_since, self.state.cut_us = time.time(), cut.cut_us
        self.state.publish()
        return ""

    def write(self, foreground: bool = False) -> str:
        """From the cut to dump.rdb: a temporary file, fsync, rename, fsync of the folder."""
        folder = os.path.dirname(self.path()) or "."
        unfinished = temporary.snapshot(folder, os.getppid() if foreground else os.getpid())
        flags = (COMPRESS if self.config["rdbcompression"] else 0) | (CHECKSUM if self.config["rdbchecksum"] else 0)
        problem = ""
        fd = -1
        try:
            fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            try:
                engine.rdb_save(fd, flags)
            finally:
                self.state.last_cow_bytes = engine.snapshot().preimage_bytes
                engine.snapshot_end()
            os.fsync(fd)
            fd, closing = -1, fd  # closed, whatever close() says
            os.close(closing)
            os.rename(unfinished, self.path())
            _sync_folder(folder)
        except EngineError as e:
            problem = f"Write error saving DB on disk: {e}"
        except OSError as e:
            problem = f"Error saving DB on disk: {e.strerror}"
        finally:
            if fd >= 0:
                os.close(fd)
            engine.snapshot_abandon()
            if problem:
                _remove(unfinished)
        return self.finish(not problem, problem, foreground)

    def finish(self, ok: bool, problem: str, foreground: bool = False) -> str:
        state = self.state
        if state.saving_since:
            state.last_seconds = int(time.time() - state.saving_since)
        state.saving_since = 0.0
        if not ok and engine.word("save_cancel") & FLUSHED:
            log.notice("The save was ended by FLUSHALL")
            state.publish()
            return problem
        if foreground and not ok:
            log.warning(problem)
            state.publish()
            return problem
        state.last_ok = ok
        if ok:
            state.last_save, state.saves, state.dirty_at_save = int(time.time()), state.saves + 1, self.dirty_at_cut
            log.notice("DB saved on disk")
        else:
            log.warning(f"Background saving error: {problem}")
        self.mark_failure()
        state.publish()
        return problem

    def mark_failure(self) -> None:
        """Writes are refused after a failed save if there are save points (and stop-writes-on-bgsave-error, which C reads)."""
        engine.write_error(1, not self.state.last_ok and bool(self.config["save"]))

    def by_the_clock(self) -> None:
        """The setting `save`."""
        if not engine.word("serving") or self.child.stopping:
            return
        if self.config["save"] and engine.word("save_cancel") & FLUSHED:
            engine.set_word("save_cancel", 0)
            log.notice("FLUSHALL. Saving...")
            self.save()  # as a part of FLUSHALL: who asks for something now waits for it and is not refused
            return
        if self.state.check_damaged:
            return
        changes = self.state.changes()
        elapsed = time.time() - self.state.last_save
        may_try = self.state.last_ok or time.monotonic() - self.last_try > _RETRY_SECONDS
        for seconds, needed in self.config["save"]:
            if changes >= needed and elapsed > seconds and may_try:
                log.notice(f"{needed} changes in {seconds} seconds. Saving...")
                self.busy(self.save)
                return

    # --- what others ask for

    def handle(self, message: dict[str, Any]) -> None:
        match message.get("op"):
            case "stop":
                self.child.stopping = True
            case "save":
                error = self.begin(message["wait"])
                if not message["wait"]:
                    self.answer(message, error)
                if not error:
                    error = self.write(message["wait"])
                self.child.tell({"op": "saving", "on": False})  # before the answer: who gets it may save again at once
                if message["wait"]:
                    self.answer(message, error)
            case "rewrite":
                error = self.aof.begin()
                self.answer(message, error)
                if not error:
                    self.aof.finish()
                self.child.tell({"op": "saving", "on": False})
            case "appendonly":
                self.config.refresh()
                self.apply_appendonly()
                self.child.tell({"op": "saving", "on": False})
            case "reload":
                error = self.reload(message)
                self.child.tell({"op": "saving", "on": False})
                self.answer(message, error)

    def answer(self, message: dict[str, Any], error: str) -> None:
        self.child.tell({"op": "answer", "to": message["token"], "error": error})

    def apply_appendonly(self) -> None:
        """CONFIG SET appendonly: as it is now, whatever was asked for in between."""
        wanted, on = self.config["appendonly"], bool(engine.word("log_enabled"))
        if wanted and not on:
            self.aof.start()
        elif on and not wanted:
            self.aof.stop()

    def reload_aof(self) -> str:
        """DEBUG LOADAOF: what was logged is written first."""
        deadline = time.monotonic() + 10
        while engine.word("log_enabled") and engine.log_position().lsn < engine.word("lsn"):
            if time.monotonic() > deadline:
                return "The append only file cannot be written"
            time.sleep(0.001)
        if not self.aof.exists():
            return "There is no append only file"
        engine.flush_all()
        self.replicas.forget()
        try:
            self.load_aof(reload=True)
        except LoadError as e:
            log.warning(str(e))
            return "Error trying to load the AOF files, check server logs"
        return ""

    def reload(self, message: dict[str, Any]) -> str:
        """DEBUG RELOAD: save, empty, load. The supervisor has paused the clients."""
        if message.get("log"):
            return self.reload_aof()
        if message["save"] and (problem := self.save(foreground=True)):
            return f"Error trying to save the DB: {problem}"
        if message["flush"]:
            engine.flush_all()
        self.replicas.forget()
        try:
            self.load()
        except LoadError as e:
            log.warning(str(e))
            return "Error trying to load the RDB dump, check server logs"
        if engine.word("log_enabled") and not message["save"]:
            self.aof.start()  # the log does not know of what came from the file
        return ""


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def main(child: Child) -> None:
    Persistence(child).run()
