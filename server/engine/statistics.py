"""What the engine counts: statistics, times of commands, errors, memory, the slow log."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from shoal.engine.binding import ffi, lib, text


def stat_names() -> list[str]:
    return [text(lib.engine_stat_name(i)) for i in range(lib.engine_stat_count())]


def stats() -> dict[str, int]:
    """All counters' sums, by their C names in lower case and by their names in INFO."""
    found: dict[str, int] = {}
    for i in range(lib.engine_stat_count()):
        total = int(lib.engine_stat_total(i))
        found[text(lib.engine_stat_name(i))] = total
        field = text(lib.engine_stat_field(i))
        if field:
            found[field] = total
    return found


def stat_slot(slot_index: int, name: str) -> int:
    names = stat_names()
    return int(lib.engine_stat_slot(slot_index, names.index(name))) if name in names else 0


def log_to(fd: int, level: int, role: str) -> None:
    """Where C writes its lines of the log; fd -1: nowhere."""
    lib.engine_log_to(fd, level, role.encode())


def stat_gauge(name: str, value: int) -> None:
    """A number of this process that stands among the counters."""
    lib.engine_stat_gauge(stat_names().index(name), value)


def stats_reset() -> None:
    lib.engine_stats_reset()


@dataclass(frozen=True, slots=True)
class CommandStats:
    calls: int
    usec: int
    rejected: int
    failed: int


def command_stats(index: int) -> CommandStats:
    row = ffi.new("struct engine_command_stats *")
    lib.engine_command_stats(index, row)
    return CommandStats(int(row.calls), int(row.usec), int(row.rejected), int(row.failed))


def errors() -> dict[str, int]:
    """Error replies by code."""
    cap = 256
    raw = ffi.new("struct engine_error[]", cap)
    count = int(lib.engine_errors(raw, cap))
    return {text(raw[i].code): int(raw[i].count) for i in range(count)}


@functools.cache
def time_bucket_ends() -> list[int]:
    """First nanosecond behind each bucket of run times."""
    return [int(lib.engine_time_bucket_end(i)) for i in range(lib.engine_time_buckets())]


def command_times(index: int) -> list[int]:
    """Calls of a command by bucket of run time."""
    count = int(lib.engine_time_buckets())
    raw = ffi.new("uint64_t[]", count)
    lib.engine_command_times(index, raw)
    return list(raw)


def command_times_reset(index: int) -> None:
    lib.engine_command_times_reset(index)


@dataclass(frozen=True, slots=True)
class Memory:
    used: int
    startup: int
    committed: int
    arena_size: int
    overhead: int
    segment: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in the whole server: values to be freed, clients with a limit of time, keys that clients wait for."""

    lazy_objects: int
    timeouts: int
    blocking_keys: int
    blocking_keys_nokey: int


def waiting() -> Waiting:
    row = ffi.new("struct engine_waiting *")
    lib.engine_waiting(row)
    return Waiting(int(row.lazy_objects), int(row.timeouts), int(row.blocking_keys), int(row.blocking_keys_nokey))


def memory() -> Memory:
    row = ffi.new("struct engine_memory *")
    lib.engine_memory(row)
    return Memory(
        max(int(row.used), 0),
        int(row.startup),
        int(row.committed),
        int(row.arena_size),
        int(row.overhead),
        int(row.segment),
    )


def memory_peak(reset: bool = False) -> int:
    """Most bytes of the dataset that any worker has seen; `reset`: begins anew."""
    return int(lib.engine_memory_peak(int(reset)))


def db_size(db: int) -> int:
    return int(lib.engine_db_size(db))


def db_expires(db: int) -> int:
    return int(lib.engine_db_expires(db))


@dataclass(frozen=True, slots=True)
class Slow:
    """An entry of the slow log (kind 0) or a latency event (kind 1)."""

    id: int
    time: int
    usec: int
    kind: int
    address: bytes
    name: bytes
    args: tuple[bytes, ...]


def slow_entries() -> list[Slow]:
    """Of all slots, newest first."""
    found: list[Slow] = []
    head = int(ffi.sizeof("struct engine_slow"))
    for index in range(lib.engine_slots()):
        need = int(lib.engine_slow_read(index, ffi.NULL, 0))
        if not need:
            continue
        cap = need + (64 << 10)
        buf = ffi.new("char[]", cap)
        size = min(int(lib.engine_slow_read(index, buf, cap)), cap)
        raw = bytes(ffi.buffer(buf, size))
        place = 0
        while place + head <= size:
            entry = ffi.new("struct engine_slow *")
            ffi.memmove(entry, raw[place : place + head], head)
            if entry.size < head:
                break
            strings, at = [], place + head
            for _ in range(entry.argc + 2):
                n = int.from_bytes(raw[at : at + 4], "little")
                strings.append(raw[at + 4 : at + 4 + n])
                at += 4 + n
            found.append(
                Slow(int(entry.id), entry.time_s, entry.usec, entry.kind, strings[0], strings[1], tuple(strings[2:]))
            )
            place += int(entry.size)
    return sorted(found, key=lambda e: -e.id)


def slow_next() -> int:
    return int(lib.engine_slow_next())
