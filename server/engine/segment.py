"""The shared segment as a whole: its making, its words, its process slots, and the settings and blobs in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shoal.engine.binding import ERR_LEN, EngineError, checked, ffi, lib, text

BLOB_CONFIG = 0
BLOB_STATE = 1
BLOB_USERS = 2
BLOB_OBSERVATION = 3
BLOB_BACKUP = 4
"""enum blob_id of cext/shm/layout.h; the last two are ours alone (LATENCY RESET; shoal.persist.schedule)."""

KIND_SUPERVISOR, KIND_WORKER, KIND_LOG_WRITER, KIND_PERSISTENCE = 1, 2, 3, 4


def segment_size(arena: int, databases: int, workers: int, clients: int) -> int:
    """Bytes of the sparse file."""
    return int(lib.engine_segment_size(arena, databases, workers, clients))


def segment_create(fd: int, arena: int, initial: int, databases: int, workers: int, clients: int) -> None:
    err = ffi.new("char[]", ERR_LEN)
    checked(lib.engine_segment_create(fd, arena, initial, databases, workers, clients, err, ERR_LEN), err)


def segment_map(fd: int) -> None:
    err = ffi.new("char[]", ERR_LEN)
    checked(lib.engine_segment_map(fd, err, ERR_LEN), err)


def layout_fingerprint() -> str:
    """Of the memory that this software makes and takes over."""
    return f"{int(lib.engine_layout_fingerprint()):016x}"


def segment_unmap() -> None:
    lib.engine_segment_unmap()


def segment_grow() -> int:
    """1 grew, 0 as large as it may become, -1 shared memory is full."""
    return int(lib.engine_segment_grow())


def grow_wait(ms: int) -> bool:
    """Sleeps until somebody needs the arena to grow."""
    return bool(lib.engine_grow_wait(ms))


def check(keys: bool = True) -> None:
    """Integrity of the arena, and of every key. Raises EngineError with what is wrong."""
    err = ffi.new("char[]", ERR_LEN)
    checked(lib.engine_check(int(keys), err, ERR_LEN), err)


def commit_rings() -> bool:
    return int(lib.engine_commit_rings()) == 0


def instance_begin(run_id: str, workers: int) -> int:
    """Returns how many slots of an earlier instance had to be repaired."""
    return int(lib.engine_instance_begin(run_id.encode(), workers))


def instance_end(clean: bool) -> None:
    lib.engine_instance_end(int(clean))


def count_death(kind: int) -> None:
    lib.engine_count_death(kind)


def deaths(kind: int) -> int:
    """Of processes of a kind, in this instance."""
    return word(f"deaths.{kind}")


_NO_WORD = -(2**63)


def word(name: str) -> int:
    """A word of the segment's header; see engine.h for the names."""
    value = int(lib.engine_word(name.encode()))
    if value == _NO_WORD:
        raise KeyError(name)
    return value


def set_word(name: str, value: int) -> None:
    if lib.engine_set_word(name.encode(), value) != 0:
        raise KeyError(name)


def run_id() -> str:
    return text(lib.engine_run_id())


@dataclass(frozen=True, slots=True)
class Slot:
    index: int
    pid: int
    kind: int
    ready: bool
    clients: int
    started_ms: int
    births: int
    loop_epoch: int
    status: int
    used_bytes: int


def slots() -> Iterator[Slot]:
    row = ffi.new("struct engine_slot *")
    for i in range(lib.engine_slots()):
        if lib.engine_slot_get(i, row) == 0:
            yield Slot(
                row.index, row.pid, row.kind, bool(row.ready), row.clients, row.started_ms, row.births, row.loop_epoch,
                row.status, row.used_bytes,
            )  # fmt: skip


def slot(index: int) -> Slot | None:
    return next((s for s in slots() if s.index == index), None)


def setting_names() -> list[str]:
    return [text(lib.engine_setting_name(i)) for i in range(lib.engine_setting_count())]


def setting_index(name: str) -> int:
    return int(lib.engine_setting_index(name.encode()))


def setting_get(name: str) -> int:
    return int(lib.engine_setting_get(setting_index(name)))


def setting_set(name: str, value: int) -> bool:
    """False when C has no such setting."""
    index = setting_index(name)
    if index >= 0:
        lib.engine_setting_set(index, value)
    return index >= 0


def blob_version(which: int) -> int:
    return int(lib.engine_blob_version(which))


def blob_read(which: int) -> tuple[bytes, int]:
    """The bytes and their version."""
    version = ffi.new("uint64_t *")
    cap = 64 << 10
    while True:
        buf = ffi.new("char[]", cap)
        size = int(lib.engine_blob_read(which, buf, cap, version))
        if size <= cap:
            return bytes(ffi.buffer(buf, size)), int(version[0])
        cap = size


def blob_write(which: int, data: bytes, expect: int) -> bool:
    """False when somebody else wrote since version `expect`."""
    result = int(lib.engine_blob_write(which, data, len(data), expect))
    if result == -2:
        raise EngineError("too large for the shared segment")
    return result == 0
