"""The shared segment's name and life: where it is recorded, who may take it over, when it goes.

`<dir>/shoal.segment` holds the segment's name and the server's pid as JSON. Its lock (flock) is held by the supervisor and
inherited by its children, so a second server on the folder is refused for as long as anybody of the first one lives. The
segment itself is locked likewise, so that `shoal memory list` can tell an orphan.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import posix_ipc

from shoal import engine, log, process
from shoal.errors import StartError
from shoal.kinds import format_memory
from shoal.persist import memory_check, state

RECORD = "shoal.segment"
PREFIX = "shoal-"
SHM = "/dev/shm"
INITIAL_BYTES = 16 << 20
"""Committed at the start; the keeper adds to it ahead of need."""

_GRACE_SECONDS = 10.0
"""How long a start waits for the last processes of a killed server to be gone."""


@dataclass(slots=True)
class Record:
    """The locked file of a data folder."""

    fd: int
    folder: str

    def read(self) -> dict[str, Any]:
        data = os.pread(self.fd, 4096, 0)
        try:
            found = orjson.loads(data) if data else {}
        except orjson.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) else {}

    def inode(self) -> int:
        """Tells a folder that was renamed from one that was copied."""
        return os.fstat(self.fd).st_ino

    def name_segment(self, segment: str) -> None:
        """It is ours, and this folder's. Written over what is there, which a full disk takes, and never shorter: a start that fails here
        must not forget the memory that the last instance left. Raises StartError."""
        data = orjson.dumps({"pid": os.getpid(), "segment": segment, "inode": self.inode()})
        data = data.ljust(os.fstat(self.fd).st_size - 1, b" ") + b"\n"
        try:
            at = 0
            while at < len(data):
                at += os.pwrite(self.fd, data[at:], at)
        except OSError as e:
            raise StartError(f"Can't write {RECORD} in the data directory '{self.folder}': {e.strerror}") from None

    def remove(self) -> None:
        os.unlink(os.path.join(self.folder.encode("latin-1"), RECORD.encode()))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def lock_folder(folder: str, grace: float = _GRACE_SECONDS, held: int = -1) -> Record:
    """Raises StartError naming the server that has it. `held`: the record, locked already (an upgrade in place)."""
    path = os.path.join(folder.encode("latin-1"), RECORD.encode())
    if held >= 0:
        os.set_inheritable(held, False)
        if _same_file(held, path):
            return Record(held, folder)
        os.close(held)
    deadline = time.monotonic() + grace
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise StartError(f"Can't write to the data directory '{folder}': {e.strerror}") from None
        record = Record(fd, folder)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = record.read().get("pid", 0)
            os.close(fd)
            if (pid and _alive(pid)) or time.monotonic() > deadline:
                raise StartError(
                    f"Another server (pid {pid}) is using the data directory '{folder}'. "
                    "Stop it, or give this one another --dir."
                ) from None
            time.sleep(0.02)
            continue
        if _same_file(fd, path):
            return record
        os.close(fd)  # removed by a server that ended between our open and our lock


def _same_file(fd: int, path: bytes) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def available_bytes() -> int:
    """Free bytes of /dev/shm."""
    s = os.statvfs(SHM)
    return s.f_bavail * s.f_frsize


def total_bytes() -> int:
    s = os.statvfs(SHM)
    return s.f_blocks * s.f_frsize


def check_room(maxmemory: int) -> None:
    """A configured maxmemory that /dev/shm cannot hold is said now, not when it is full."""
    total = total_bytes()
    remedy = f"mount -o remount,size={{size}} {SHM} (docker: --shm-size={{size}}; kubernetes: an emptyDir of medium Memory)"
    if maxmemory > total:
        size = format_memory((maxmemory // 8 * 9 + (1 << 20)) >> 20 << 20).rstrip("b")
        raise StartError(
            f"maxmemory is {format_memory(maxmemory)}, but {SHM} holds only {total >> 20}mb. Make it larger: "
            f"{remedy.format(size=size)}, or lower maxmemory."
        )
    if total < 256 << 20:
        log.warning(
            f"WARNING: {SHM} holds only {total >> 20}mb, which limits the dataset. Make it larger: {remedy.format(size='1g')}"
        )


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the layout of a segment depends on."""

    databases: int
    workers: int
    clients_max: int


class Segment:
    """The mapped segment of this instance."""

    def __init__(self, record: Record, name: str, fd: int, kept: bool) -> None:
        self.record, self.name, self.fd, self.kept = record, name, fd, kept

    def move(self, folder: str) -> None:
        """Be recorded in another folder from now on. Raises StartError when another server has it."""
        if os.path.samefile(folder.encode("latin-1"), self.record.folder.encode("latin-1")):
            return
        record = lock_folder(folder, 0.0)
        record.name_segment(self.name)
        self.record.remove()
        os.close(self.record.fd)
        self.record = record

    def end(self, keep: bool) -> None:
        """After all children have stopped: the segment goes unless it is to be kept."""
        engine.segment_unmap()
        if not keep:
            posix_ipc.unlink_shared_memory(self.name)
            self.record.remove()
        os.close(self.fd)


def open_segment(record: Record, parameters: Parameters, keep_memory: bool, held: int = -1) -> Segment:
    """Take over what the last instance left if it fits, else make a new one. What does not fit is removed, unless it is somebody else's.
    `held`: its descriptor, locked already (an upgrade in place)."""
    content = record.read()
    old = content.get("segment", "")
    if old and content.get("inode") not in (None, record.inode()):
        log.warning(f"The memory that {RECORD} names belongs to another data directory (this is a copy of it?); it is not taken over")
    elif old:
        try:
            kept = _take_over(record, old, parameters, keep_memory, held)
            if kept is not None:
                return kept
            posix_ipc.unlink_shared_memory(old)
        except BlockingIOError:
            log.warning(f"The memory {old} that {RECORD} names is used by a running server; it is not taken over")
        except posix_ipc.ExistentialError:
            pass
    return _create(record, parameters)


def begin_anew(old: Segment, parameters: Parameters) -> Segment:
    """A new segment in place of one that cannot be trusted."""
    engine.segment_unmap()
    os.close(old.fd)
    posix_ipc.unlink_shared_memory(old.name)
    return _create(old.record, parameters)


def misfit(fd: int, parameters: Parameters) -> str:
    """Map a segment that another instance has made; or why it cannot be used, and it is not mapped. Changes nothing in it."""
    try:
        engine.segment_map(fd)
    except engine.EngineError as e:
        return str(e)
    have = Parameters(engine.word("databases"), engine.word("workers"), engine.word("clients_max"))
    if not engine.word("loaded"):
        why = "its dataset was never loaded to the end"
    elif (
        have.databases != parameters.databases or have.workers < parameters.workers or have.clients_max < parameters.clients_max
    ):
        why = "it was made for other settings (databases, workers, maxclients)"
    elif damaged := _known_damage():
        why = f"it is known to be damaged ({damaged})"
    else:
        return ""
    engine.segment_unmap()
    return why


def _known_damage() -> str:
    """What the check of the last instance has found; "" if nothing."""
    try:
        found = state.read().check_damages
        return memory_check.describe(found[0]) if found else ""
    except (ValueError, TypeError, KeyError):
        return "its state cannot be read"


def _take_over(record: Record, name: str, parameters: Parameters, keep_memory: bool, held: int) -> Segment | None:
    """What a killed instance left is newer than any file, so it is taken whatever `keep-memory` says; what a clean stop left only
    if it is to be kept. Raises BlockingIOError when a running server has it."""
    try:
        fd = held if held >= 0 else posix_ipc.SharedMemory(name).fd
    except posix_ipc.ExistentialError:
        return None
    os.set_inheritable(fd, False)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise
    why = misfit(fd, parameters)
    if why:
        log.warning(f"The memory that the last instance left cannot be taken over: {why}")
    elif engine.word("clean") and not keep_memory:
        engine.segment_unmap()
    else:
        record.name_segment(name)
        return Segment(record, name, fd, True)
    os.close(fd)
    return None


_TRIAL_SECONDS = 60
"""A list that leads back into itself would never end."""


def repair(workers: int) -> int:
    """Of memory that was taken over: the slots that dead processes left, and the map of the arena. Returns how many were in the middle of
    something. Raises EngineError with what is wrong.

    Whoever follows a damaged offset dies of it. So a process of its own goes first and does all of it; every step may be repeated.
    """
    receive, send = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        process.die_with_parent(parent)
        signal.alarm(_TRIAL_SECONDS)
        os.write(send, _try_repair(workers).encode()[:1000])
        os._exit(0)
    os.close(send)
    with open(receive, "rb") as answer:
        said = answer.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not said.isdigit():
        raise engine.EngineError(said or f"whoever looks at it dies by {signal.Signals(-code).name if code < 0 else 'itself'}")
    engine.instance_begin(secrets.token_hex(20), workers)
    return int(said)


def _try_repair(workers: int) -> str:
    """A number, or what is wrong."""
    try:
        repaired = engine.instance_begin(secrets.token_hex(20), workers)
        engine.check(keys=False)
        for db in range(engine.word("databases")):
            engine.db_size(db)
    except engine.EngineError as e:
        return str(e)
    return str(repaired)


def _create(record: Record, parameters: Parameters) -> Segment:
    digest = hashlib.sha256(record.folder.encode("latin-1")).hexdigest()[:8]
    name = f"/{PREFIX}{digest}-{secrets.token_hex(4)}"
    memory = posix_ipc.SharedMemory(name, posix_ipc.O_CREX, mode=0o600)
    fd = memory.fd
    os.set_inheritable(fd, False)
    # Recorded first: a server killed between here and there leaves nothing that nobody knows of.
    try:
        record.name_segment(name)
    except StartError:
        os.close(fd)
        posix_ipc.unlink_shared_memory(name)
        raise
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        p = parameters
        os.ftruncate(fd, engine.segment_size(0, p.databases, p.workers, p.clients_max))
        engine.segment_create(fd, 0, INITIAL_BYTES, p.databases, p.workers, p.clients_max)
    except (OSError, engine.EngineError) as e:
        os.close(fd)
        posix_ipc.unlink_shared_memory(name)
        raise StartError(
            f"Can't make the shared memory segment: {e}. {SHM} has {available_bytes() >> 20}mb free of "
            f"{total_bytes() >> 20}mb; make it larger: mount -o remount,size=1g {SHM} (docker: --shm-size=1g)"
        ) from None
    return Segment(record, name, fd, False)


@dataclass(frozen=True, slots=True)
class Found:
    """A segment in /dev/shm."""

    name: str
    bytes: int
    in_use: bool


def all_segments() -> Iterator[Found]:
    """Every segment of this machine that we may open."""
    for entry in sorted(os.listdir(SHM)):
        if not entry.startswith(PREFIX):
            continue
        try:
            fd = os.open(os.path.join(SHM, entry), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            in_use = False
        except BlockingIOError:
            in_use = True
        size = os.fstat(fd).st_blocks * 512
        os.close(fd)
        yield Found(entry, size, in_use)
