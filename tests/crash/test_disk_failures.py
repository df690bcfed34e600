"""Each call on each file fails in each way: a table (disktable.py), and what the user sees while it fails, when the disk is well again, and
after a restart from the files alone.

For every row: the fault is switched on; the server is made to use the file (the row's `act`), reads go on, the failure is told where a
user looks for it, or is without effect where nobody has to know; the fault is lifted, and the server works again by itself; everything is
killed, shared memory dropped, and the next start has, from the files, all that clients have journalled as acknowledged. A row whose fault
was not met fails.

`make test` takes the files that disktable.py calls quick, one error of each call, with one kill for each file; SHOAL_DISK_FAULTS=all
(make disk-faults) every row by itself.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from checker import redis_accepts
from disktable import FILES, File, Row, rows
from journal import Writer, pause, stop
from processes import end, end_everything, pids

from tests.conftest import ShoalServer, StartServer, wait_until
from tests.faults import Faults
from tests.needs import program

ALL = os.environ.get("SHOAL_DISK_FAULTS") == "all"
LOG = ("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--auto-aof-rewrite-percentage", "0")
DUMP = ("--save", "3600 1000000")
STARTED_BY_HAND = ("switch_on", "save", "spill", "start_dump")
"""Acts on a server whose log is off."""
HEALS = 15.0
"""Seconds; tries are one apart, those of a save point five."""
WORDS = {
    "ENOSPC": "No space left on device", "EIO": "Input/output error", "EDQUOT": "Disk quota exceeded", "EROFS": "Read-only file system",
    "EACCES": "Permission denied", "EMFILE": "Too many open files",
}  # fmt: skip


class Ground:
    """A server on the faulty disk, with writers."""

    def __init__(self, start_server: StartServer, tmp_path: Path, faults: Faults, act: str) -> None:
        self.start_server, self.faults, self.folder, self.place = start_server, faults, tmp_path / "data", tmp_path / "copies"
        self.log_on = act not in STARTED_BY_HAND
        self.configuration = tmp_path / "data" / "server.conf"
        self.folder.mkdir()
        self.configuration.write_text("# mine\nmaxclients 500\n")
        self.options = [str(self.configuration), *(LOG if self.log_on else DUMP)]
        if act == "talk":
            self.options += ["--logfile", str(self.folder / "server.log")]
        if act == "spill":
            self.options += ["--snapshot-preimage-memory", "1mb"]
        self.server: ShoalServer = self.begin()
        self.client = self.server.client()
        self.client.set("innocent", "x")
        self.writers = [Writer(self.server.port, i, patient=True) for i in range(2)]
        for w in self.writers:
            w.start()
        self.writes_go_on()

    def begin(self, wait: bool = True, port: int = 0) -> ShoalServer:
        server = self.start_server(*self.options, folder=self.folder, port=port, wait=False)
        if wait:
            wait_until(lambda: server.process.poll() is not None or self.ready(server), 30, "ready")
            assert server.process.poll() is None, self.told(server)
        return server

    def ready(self, server: ShoalServer) -> bool:
        return "Ready to accept connections" in self.told(server)

    def told(self, server: ShoalServer) -> str:
        other = self.folder / "server.log"
        return server.log() + (other.read_text(errors="replace") if other.exists() else "")

    def info(self, name: str) -> object:
        return self.client.info("persistence")[name]

    def acked(self) -> list[int]:
        return [w.acked for w in self.writers]

    def writes_go_on(self, seconds: float = HEALS) -> None:
        before = self.acked()

        def on() -> bool:
            for w in self.writers:
                if w.problem:
                    raise w.problem
            return all(w.acked > b + 1 for w, b in zip(self.writers, before, strict=True))

        wait_until(on, seconds, "writes go on")

    def refused(self) -> bool:
        try:
            self.client.set("try", 1)
        except redis.ResponseError as e:
            return str(e).startswith("MISCONF")
        return False

    def reads_go_on(self) -> None:
        began = time.monotonic()
        assert self.client.get("innocent") == "x"
        assert time.monotonic() - began < 5

    def idle(self) -> None:
        wait_until(lambda: not any(self.info(name) for name in ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")), 30, "nothing runs")

    # --- a row

    def suffer(self, row: Row) -> None:
        self.faults.forget()
        act: Callable[[Row], None] = getattr(self, row.file.act)
        try:
            act(row)
        finally:
            self.faults.lift()
        hits = [kind for kind, _, _ in self.faults.hits()]
        assert row.call in hits, f"{row}: the fault was not met"
        self.client.close()
        self.client = self.server.client()
        self.idle()
        if self.log_on:
            wait_until(lambda: self.info("aof_last_write_status") == "ok", HEALS, "the log is well")
        self.writes_go_on()

    def fault(self, row: Row) -> None:
        self.faults.set(row.rule)

    def healed(self) -> None:
        """By itself."""
        self.faults.lift()
        wait_until(lambda: self.info("aof_last_write_status") == "ok" and not self.refused(), HEALS, "writes resume")

    # --- the log

    def log(self, row: Row) -> None:
        self.fault(row)
        if row.harmless:
            self.writes_go_on()
            self.reads_go_on()
            assert self.info("aof_last_write_status") == "ok"
            return
        wait_until(lambda: self.info("aof_last_write_status") == "err", HEALS, "the failure is told")
        wait_until(self.refused, HEALS, "writes are refused")
        self.reads_go_on()
        self.healed()

    def log_everysec(self, row: Row) -> None:
        self.client.config_set("appendfsync", "everysec")
        self.log(row)

    def cut(self, row: Row) -> None:
        """The writer is killed in the middle of a batch, its heir cannot cut the file where it was whole."""
        self.faults.set("call=write short=40 ms=150 path=*.incr.aof who=log", "call=sync ms=1 path=*.incr.aof who=log")
        wait_until(lambda: sum(kind == "write" for kind, _, _ in self.faults.hits()) >= 2, 10, "a batch is being written")
        self.fault(row)
        end(pids(self.server, "log writer")[0])
        if row.harmless:
            self.writes_go_on()
            return
        wait_until(lambda: self.info("aof_last_write_status") == "err", HEALS, "the failure is told")
        self.reads_go_on()
        self.healed()

    def probe(self, row: Row) -> None:
        """The log fails; then only what would find out that the disk is well again."""
        self.faults.set("call=write err=ENOSPC path=*.incr.aof")
        wait_until(self.refused, HEALS, "writes are refused")
        self.fault(row)
        wait_until(lambda: row.call in [kind for kind, _, path in self.faults.hits() if "probe" in path], HEALS, "the probe fails")
        self.reads_go_on()
        if not row.harmless and row.call != "unlink":
            assert self.refused()
        self.healed()

    # --- rewrites

    def rewrite(self, row: Row) -> None:
        before = int(str(self.info("aof_rewrites")))
        self.fault(row)
        went = self._rewrite()
        self.reads_go_on()
        if row.harmless:
            assert went, self.told(self.server)[-1500:]
        else:
            assert not went and self.info("aof_rewrites") == before
            assert WORDS[row.error] in self.told(self.server)
        assert self.info("aof_last_write_status") == "ok"
        self.writes_go_on()
        self.faults.lift()
        assert self._rewrite(), self.told(self.server)[-1500:]

    def _rewrite(self) -> bool:
        """Whether it was good; its failure is told by the reply or by INFO."""
        try:
            self.client.bgrewriteaof()
        except redis.ResponseError as e:
            assert self.info("aof_last_bgrewrite_status") == "err", e
        self.idle()
        return self.info("aof_last_bgrewrite_status") == "ok"

    def rewrite_commands(self, row: Row) -> None:
        self.client.config_set("aof-use-rdb-preamble", "no")
        self.rewrite(row)

    def switch(self, row: Row) -> None:
        """The log writer cannot go on in the new file."""
        self.fault(row)
        went = self._rewrite()
        assert went == row.harmless
        self.reads_go_on()
        if not row.harmless:
            assert self.info("aof_last_write_status") == "err"
        self.healed()
        assert self._rewrite(), self.told(self.server)[-1500:]

    def switch_on(self, row: Row) -> None:
        """CONFIG SET appendonly yes; the disk takes it later."""
        self.fault(row)
        self.client.config_set("appendonly", "yes")
        time.sleep(0.3)
        wait_until(lambda: row.call in [kind for kind, _, _ in self.faults.hits()], HEALS, "it tries")
        self.reads_go_on()
        self.writes_go_on()
        self.faults.lift()
        wait_until(lambda: self.info("aof_enabled") == 1 and self.info("aof_last_bgrewrite_status") == "ok", HEALS, "the log is on")
        self.idle()
        wait_until(lambda: (self.folder / "appendonlydir" / "appendonly.aof.manifest").exists(), HEALS, "the manifest")
        self.client.config_set("appendfsync", "always")
        self.writes_go_on()
        self.client.config_set("appendonly", "no")
        self.idle()
        subprocess.run(["rm", "-r", str(self.folder / "appendonlydir")], check=True)

    # --- dump.rdb

    def save(self, row: Row) -> None:
        self.fault(row)
        if row.harmless:
            assert self.client.save()
            return
        with pytest.raises(redis.ResponseError):
            self.client.save()
        self.writes_go_on()  # who asked has heard it
        self._background_save()
        assert self.info("rdb_last_bgsave_status") == "err"
        wait_until(self.refused, 5, "MISCONF")
        self.reads_go_on()
        self._dump_is_whole()
        self.faults.lift()
        if ALL:
            self.client.config_set("save", "1 1")  # a save point tries by itself
        else:
            self._background_save()
        wait_until(lambda: self.info("rdb_last_bgsave_status") == "ok" and not self.refused(), HEALS, "writes resume")
        self.client.config_set("save", "3600 1000000")
        self._dump_is_whole()

    def _background_save(self) -> None:
        with contextlib.suppress(redis.ResponseError):  # told at once, too, when not even the file could be made
            self.client.bgsave()
        self.idle()

    def _dump_is_whole(self) -> None:
        if (self.folder / "dump.rdb").exists():
            done = subprocess.run([program("redis-check-rdb"), self.folder / "dump.rdb"], capture_output=True, text=True, env={})
            assert done.returncode == 0, done.stdout

    def spill(self, row: Row) -> None:
        names = [f"big:{i}" for i in range(10000)]
        pipe = self.client.pipeline(transaction=False)
        for i in range(0, len(names), 1000):
            pipe.mset(dict.fromkeys(names[i : i + 1000], "a" * 1000))
        pipe.execute()
        self.fault(row)
        self.client.config_set("rdb-key-save-delay", "200")
        self.client.bgsave()
        for i in range(0, len(names), 500):
            with contextlib.suppress(redis.ResponseError):  # MISCONF: the save has failed already
                self.client.mset(dict.fromkeys(names[i : i + 500], "b" * 1000))
        wait_until(lambda: not self.info("rdb_bgsave_in_progress"), 30, "the save's end")
        self.reads_go_on()
        assert self.info("rdb_last_bgsave_status") == ("ok" if row.harmless else "err")
        self.faults.lift()
        self.client.config_set("rdb-key-save-delay", "0")
        wait_until(lambda: self._saved(), HEALS, "saves again")

    def _saved(self) -> bool:
        self._background_save()
        return self.info("rdb_last_bgsave_status") == "ok"

    # --- the rest

    def config(self, row: Row) -> None:
        old = self.configuration.read_text()
        self.client.config_set("maxclients", str(random.randint(100, 400)))
        self.fault(row)
        if row.harmless:
            assert self.client.config_rewrite()
        else:
            with pytest.raises(redis.ResponseError, match=f"Rewriting config file: {WORDS[row.error]}"):
                self.client.config_rewrite()
            if "folder" not in row.file.name:
                assert self.configuration.read_text() == old
        self.faults.lift()
        assert not list(self.folder.glob("*.tmp"))
        assert self.client.config_rewrite()
        assert self.configuration.read_text() != old

    def backup(self, row: Row) -> None:
        def run() -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "shoal.cli", "-p", str(self.server.port), "backup", str(self.place)]
            return subprocess.run(command, capture_output=True, text=True, timeout=60)

        there = set(os.listdir(self.place)) if self.place.exists() else set()
        self.fault(row)
        done = run()
        if row.harmless:
            assert done.returncode == 0, done.stderr
            return
        assert done.returncode == 2 and WORDS[row.error] in done.stderr, (done.returncode, done.stdout, done.stderr)
        self.reads_go_on()
        self.writes_go_on()
        self.faults.lift()
        assert not self.place.exists() or set(os.listdir(self.place)) == there
        done = run()
        assert done.returncode == 0, done.stderr

    def start_dump(self, row: Row) -> None:
        pause(self.writers)
        assert self.client.save()
        self.start(row)

    def start(self, row: Row) -> None:
        """Files that cannot be read: the start is refused and changes nothing."""
        self.kill()
        files = {p: p.read_bytes() for p in self.folder.rglob("*") if p.suffix in (".rdb", ".aof", ".manifest")}
        self.fault(row)
        server = self.begin(wait=row.harmless, port=self.server.port)
        if row.harmless:
            self.server, self.client = server, server.client()
            return
        assert server.process.wait(30) != 0
        assert WORDS[row.error] in server.log() and "Traceback" not in server.log(), server.log()
        assert files == {p: p.read_bytes() for p in self.folder.rglob("*") if p.suffix in (".rdb", ".aof", ".manifest")}
        self.faults.lift()
        self.server = self.begin(port=self.server.port)
        self.client = self.server.client()
        self.holds_what_was_acknowledged()

    def talk(self, row: Row) -> None:
        """The server's own log: nobody waits for it, nobody fails for it."""
        self.fault(row)
        self.client.config_set("loglevel", "debug")
        assert self._rewrite()
        self.writes_go_on()
        self.reads_go_on()

    # --- the end of it

    def kill(self) -> None:
        """Everything, and shared memory is gone."""
        end_everything(self.server)
        self.server.remove_memory()

    def holds_what_was_acknowledged(self) -> None:
        pause(self.writers)
        for w in self.writers:
            w.check_acked(self.server.port)
            w.go_on()

    def kill_and_compare(self) -> None:
        everysec = self.client.config_get("appendfsync")["appendfsync"] == "everysec" and self.log_on
        pause(self.writers)
        if everysec:  # processes die, the machine does not
            wait_until(lambda: self.info("aof_pending_bio_fsync") == 0, 10)
        for w in self.writers:
            w.check_acked(self.server.port)
        if not self.log_on:
            assert self.client.save()
        self.kill()
        for w in self.writers:
            w.go_on()
        if self.log_on:
            redis_accepts(self.folder)
        self._dump_is_whole()
        self.server = self.begin(port=self.server.port)
        assert "Took over" not in self.told(self.server)
        self.client = self.server.client()
        self.holds_what_was_acknowledged()


def groups() -> Iterator[object]:
    for file in FILES:
        every = list(rows(file))
        if ALL:
            yield from (pytest.param([row], id=str(row)) for row in every)
        elif file.quick:
            first = [next(r) for _, r in itertools.groupby(every, key=lambda row: row.call)]
            yield pytest.param(first, id=file.name)


@pytest.mark.parametrize("chosen", list(groups()))
def test_a_failing_disk(chosen: list[Row], start_server: StartServer, tmp_path: Path, faults: Faults) -> None:
    ground = Ground(start_server, tmp_path, faults, chosen[0].file.act)
    for row in chosen:
        ground.suffer(row)
    ground.kill_and_compare()
    stop(ground.writers)
    assert ground.server.stop() == 0


def test_the_table_has_no_empty_row() -> None:
    assert len({f.name for f in FILES}) == len(FILES)
    assert all(isinstance(f, File) and hasattr(Ground, f.act) for f in FILES)


def test_no_call_of_the_engine_goes_past_the_faults(faults: Faults) -> None:
    """What the C module imports of libc's calls on files, the library stands before."""
    from shoal import _engine  # type: ignore[attr-defined]  # built from cext: mypy has no stub of it

    named = re.compile(
        r"\b(_*(open|creat|fopen|p?write|p?writev|p?read|p?readv|f?data?sync|fsync|f?truncate|f?allocate|posix_fallocate|rename|unlink|link|mkdir|"
        r"rmdir|sendfile|copy_file_range|close)(at|64|2|v2|_2|64_2)*)\b"
    )

    def symbols(library: str, kind: str) -> set[str]:
        text = subprocess.run(["nm", "-D", kind, library], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}).stdout
        return {m.group(1) for m in (named.search(line.split()[-1].split("@")[0]) for line in text.splitlines()) if m}

    used = symbols(str(_engine.__file__), "--undefined-only")
    assert {"write", "pwrite", "fdatasync"} <= used
    assert used <= symbols(str(faults.library), "--defined-only")
