"""Snapshots and RDB files: saving and loading, in the persistence process."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.engine.binding import ERR_LEN, checked, ffi, lib


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Facts of the running or last snapshot; see struct engine_snapshot."""

    lsn: int
    cut_ms: int
    cut_us: int
    keys: int
    preimage_bytes: int
    spilled_bytes: int
    dirty: int


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """What was read from an RDB file; see struct engine_rdb."""

    keys: int
    expired: int
    bytes: int
    created: int
    used_memory: int
    version: int
    aof_base: bool
    empty: int


def snapshot_begin(pool_bytes: int, spill_folder: str, log_file: int = 0) -> None:
    """Take the cut; the log goes on in increment `log_file` from there. Raises EngineError when there is no memory for it."""
    err = ffi.new("char[]", ERR_LEN)
    folder = spill_folder.encode("latin-1")
    if log_file:
        checked(lib.engine_snapshot_begin_log(pool_bytes, folder, log_file, err, ERR_LEN), err)
    else:
        checked(lib.engine_snapshot_begin(pool_bytes, folder, err, ERR_LEN), err)


def snapshot_end() -> None:
    lib.engine_snapshot_end()


def snapshot_abandon() -> None:
    lib.engine_snapshot_abandon()


def snapshot() -> Snapshot:
    s = ffi.new("struct engine_snapshot *")
    lib.engine_snapshot_get(s)
    return Snapshot(s.lsn, s.cut_ms, s.cut_us, s.keys, s.preimage_bytes, s.spilled_bytes, s.dirty)


def rdb_save(fd: int, flags: int) -> None:
    """Write the running snapshot. Raises EngineError."""
    err = ffi.new("char[]", ERR_LEN)
    checked(lib.engine_rdb_save(fd, flags, err, ERR_LEN), err)


def resp_base_save(fd: int) -> None:
    """Write the running snapshot as the commands that make it. Raises EngineError."""
    err = ffi.new("char[]", ERR_LEN)
    checked(lib.engine_resp_base_save(fd, err, ERR_LEN), err)


LOADER_DIED = "a loading process died"
"""How rdb_load and aof_load complain when it may be worth another try, on an empty keyspace."""


def rdb_load(fd: int, flags: int) -> LoadedFile:
    """Read a file into the keyspace. Raises EngineError with the offset of what is wrong."""
    err = ffi.new("char[]", ERR_LEN)
    out = ffi.new("struct engine_rdb *")
    checked(lib.engine_rdb_load(fd, flags, out, err, ERR_LEN), err)
    return LoadedFile(
        out.keys, out.expired, out.bytes, out.created_s, out.used_mem, out.version, bool(out.aof_base), out.empty
    )


def progress_begin(total: int) -> None:
    lib.engine_progress_begin(total)


def flush_all() -> int:
    """Empty all databases; how many keys there were."""
    return int(lib.engine_flush_all())


def lazy_step(items: int) -> bool:
    """Free values that wait for it; whether more wait."""
    return bool(lib.engine_lazy_step(items))
