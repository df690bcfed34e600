"""The C data plane, typed. The only module that touches cffi.

Called by the supervisor (segment, instance), by each worker (serve) and by Python commands (`Call`, clients, statistics).
Bytes stay bytes. Nothing here may raise into C: callbacks catch everything.
"""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shoal import log
from shoal._engine import ffi, lib
from shoal.replies import CommandError, Reply, encode

NO_REPLY = object()
"""What a handler answers whose client gets nothing now."""

BLOB_CONFIG = 0
BLOB_STATE = 1
BLOB_USERS = 2
BLOB_OBSERVATION = 3
BLOB_BACKUP = 4
"""enum blob_id of cext/shm/layout.h; the last two are ours alone (LATENCY RESET; shoal.persist.schedule)."""

KIND_SUPERVISOR, KIND_WORKER, KIND_LOG_WRITER, KIND_PERSISTENCE = 1, 2, 3, 4

_ERR_LEN = 512


class EngineError(Exception):
    """What the engine said when it could not do something."""


def _text(pointer: Any) -> str:
    return "" if pointer == ffi.NULL else ffi.string(pointer).decode("latin-1")


def _check(result: int, err: Any) -> int:
    if result < 0:
        raise EngineError(ffi.string(err).decode("utf-8", "replace") or "unknown error")
    return result


# --- the segment ------------------------------------------------------------------------------------------------------


def segment_size(arena: int, databases: int, workers: int, clients: int) -> int:
    """Bytes of the sparse file."""
    return int(lib.engine_segment_size(arena, databases, workers, clients))


def segment_create(fd: int, arena: int, initial: int, databases: int, workers: int, clients: int) -> None:
    err = ffi.new("char[]", _ERR_LEN)
    _check(lib.engine_segment_create(fd, arena, initial, databases, workers, clients, err, _ERR_LEN), err)


def segment_map(fd: int) -> None:
    err = ffi.new("char[]", _ERR_LEN)
    _check(lib.engine_segment_map(fd, err, _ERR_LEN), err)


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
    err = ffi.new("char[]", _ERR_LEN)
    _check(lib.engine_check(int(keys), err, _ERR_LEN), err)


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
    return _text(lib.engine_run_id())


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


# --- settings and blobs -----------------------------------------------------------------------------------------------


def setting_names() -> list[str]:
    return [_text(lib.engine_setting_name(i)) for i in range(lib.engine_setting_count())]


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


# --- statistics -------------------------------------------------------------------------------------------------------


def stat_names() -> list[str]:
    return [_text(lib.engine_stat_name(i)) for i in range(lib.engine_stat_count())]


def stats() -> dict[str, int]:
    """All counters' sums, by their C names in lower case and by their names in INFO."""
    found: dict[str, int] = {}
    for i in range(lib.engine_stat_count()):
        total = int(lib.engine_stat_total(i))
        found[_text(lib.engine_stat_name(i))] = total
        field = _text(lib.engine_stat_field(i))
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
    return {_text(raw[i].code): int(raw[i].count) for i in range(count)}


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
    committed: int
    arena_size: int
    overhead: int
    segment: int


def memory() -> Memory:
    row = ffi.new("struct engine_memory *")
    lib.engine_memory(row)
    return Memory(max(int(row.used), 0), int(row.committed), int(row.arena_size), int(row.overhead), int(row.segment))


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


# --- clients ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Client:
    id: int
    slot: int
    flags: int
    db: int
    resp: int
    command: int
    watches: int
    fd: int
    subscriptions: int
    pattern_subscriptions: int
    shard_subscriptions: int
    multi: int
    age_ms: int
    idle_ms: int
    query_bytes: int
    query_free: int
    argv_bytes: int
    multi_bytes: int
    reply_bytes: int
    output_list_bytes: int
    output_list_length: int
    net_in: int
    net_out: int
    commands: int
    user: bytes
    name: bytes
    lib_name: bytes
    lib_version: bytes
    addr: bytes
    laddr: bytes


_NO_RECORD = 2**32 - 1
_CLIENT_TEXTS = {"user", "name", "lib_name", "lib_version", "addr", "laddr"}


def client(record: int) -> Client | None:
    row = ffi.new("struct engine_client *")
    if lib.engine_client_get(record, row) != 1:
        return None
    values: dict[str, Any] = {
        name: ffi.string(getattr(row, name)) if name in _CLIENT_TEXTS else int(getattr(row, name))
        for name in Client.__slots__
    }
    return Client(**values)


def clients() -> list[Client]:
    """Of all workers, oldest first."""
    found: list[Client] = []
    record = lib.engine_client_next(0)
    while record != _NO_RECORD:
        if (c := client(record)) is not None:
            found.append(c)
        record = lib.engine_client_next(record + 1)
    return sorted(found, key=lambda c: c.id)


def client_count() -> int:
    return int(lib.engine_clients())


def client_kill(client_id: int) -> int:
    return int(lib.engine_client_kill(client_id))


def clients_check() -> None:
    """Close the largest connections if all of them hold more than maxmemory-clients."""
    lib.engine_clients_check()


def client_unblock(client_id: int, error: bool) -> bool:
    """Ends the waiting of a client in BLPOP and the like; False: it does not wait."""
    return bool(lib.engine_client_unblock(client_id, int(error)))


def client_answer(client_id: int, data: bytes) -> bool:
    """The reply (RESP) of a command that went on by itself; False: its client has gone."""
    return bool(lib.engine_client_answer(client_id, data, len(data)))


def pause(what: int, until_ms: int) -> None:
    lib.engine_pause(what, until_ms)


# --- the command table ------------------------------------------------------------------------------------------------


_ROW_TEXTS = {
    "name": "name",
    "fullname": "fullname",
    "container": "container",
    "group": "group",
    "flags": "flag_words",
    "tips": "tips",
    "acl": "acl_words",
    "keys": "keyspec_words",
    "since": "since",
    "complexity": "complexity",
    "summary": "summary",
    "usage": "usage",
    "deprecated_since": "deprecated_since",
    "deprecated_instead": "deprecated_instead",
}


def command_rows() -> Iterator[dict[str, Any]]:
    """Every row of commands.def, as the fields of `commands.table.Row`."""
    raw = ffi.new("struct engine_command *")
    categories = acl_categories()
    for index in range(lib.engine_command_count()):
        lib.engine_command_get(index, raw)
        fields: dict[str, Any] = {ours: _text(getattr(raw, theirs)) for ours, theirs in _ROW_TEXTS.items()}
        fields["index"] = int(raw.index)
        fields["arity"] = int(raw.arity)
        fields["key_range"] = (int(raw.key_first), int(raw.key_last), int(raw.key_step))
        fields["flag_bits"] = int(raw.flags)
        fields["categories"] = tuple(name for i, name in enumerate(categories) if int(raw.acl) >> i & 1)
        yield fields


@functools.cache
def command_names() -> list[str]:
    """Full names of all rows, by index."""
    raw = ffi.new("struct engine_command *")
    found: list[str] = []
    for index in range(lib.engine_command_count()):
        lib.engine_command_get(index, raw)
        found.append(_text(raw.fullname))
    return found


def _argv(args: Sequence[bytes]) -> tuple[Any, Any, list[Any]]:
    keep = [ffi.from_buffer("char[]", a) if a else ffi.new("char[1]") for a in args]
    return ffi.new("const char *[]", keep), ffi.new("size_t[]", [len(a) for a in args]), keep


def command_find(args: Sequence[bytes]) -> int:
    """Index of the row that a call would run; -1: none."""
    argv, lens, _keep = _argv(args)
    return int(lib.engine_command_find(len(args), argv, lens))


def command_keys(index: int, args: Sequence[bytes]) -> list[tuple[int, int]] | None:
    """Positions and flags of the keys of a call; None: invalid arguments."""
    argv, lens, _keep = _argv(args)
    cap = len(args) + 1
    positions, flags = ffi.new("uint32_t[]", cap), ffi.new("uint32_t[]", cap)
    count = int(lib.engine_command_keys(index, len(args), argv, lens, positions, flags, cap))
    return None if count < 0 else [(positions[i], flags[i]) for i in range(min(count, cap))]


def glob_match(pattern: bytes, text: bytes, nocase: bool = False) -> bool:
    """Whether the whole text matches a pattern as that of KEYS."""
    return bool(lib.engine_glob(pattern, len(pattern), text, len(text), nocase))


def command_rename(old: bytes, new: bytes) -> None:
    """`rename-command`, before the first fork; ValueError says why not."""
    result = int(lib.engine_command_rename(old, len(old), new, len(new)))
    if result == -1:
        raise ValueError("No such command in rename-command")
    if result == -2:
        raise ValueError("Target command name already exists")


def acl_categories() -> list[str]:
    found: list[str] = []
    while (name := lib.engine_acl_category(len(found))) != ffi.NULL:
        found.append(_text(name))
    return found


# --- a Python command -------------------------------------------------------------------------------------------------


class Call:
    """One call of a Python command: its arguments and where the reply goes. Valid only while the command runs."""

    __slots__ = ("_c", "args", "index")

    def __init__(self, c: Any) -> None:
        self._c = c
        self.index = int(lib.cmd_index(c))
        size = ffi.new("size_t *")
        self.args: list[bytes] = []
        for i in range(lib.cmd_argc(c)):
            p = lib.cmd_arg(c, i, size)
            self.args.append(bytes(ffi.buffer(p, size[0])) if size[0] else b"")

    @property
    def db(self) -> int:
        return int(lib.cmd_db(self._c))

    @property
    def resp(self) -> int:
        return int(lib.cmd_resp(self._c))

    @property
    def in_exec(self) -> bool:
        return bool(lib.cmd_in_exec(self._c))

    @property
    def client_id(self) -> int:
        return int(lib.cmd_client_id(self._c))

    @property
    def client(self) -> Client | None:
        return client(int(lib.cmd_client_record(self._c)))

    def authenticate(self, user: bytes = b"") -> None:
        lib.cmd_client_authenticate(self._c, user, len(user))

    def away(self) -> None:
        """The command goes on by itself; `client_answer` ends it. Not in EXEC."""
        lib.cmd_client_away(self._c)

    def close(self, after_reply: bool) -> None:
        lib.cmd_client_close(self._c, int(after_reply))

    def reply(self, value: Reply) -> None:
        self.raw(encode(value, self.resp))

    def raw(self, data: bytes) -> None:
        """RESP already."""
        lib.cmd_reply_raw(self._c, data, len(data))

    def error(self, line: str) -> None:
        data = line.replace("\r", " ").replace("\n", " ").encode("utf-8", "surrogateescape")
        lib.cmd_reply_error(self._c, data, len(data))


# --- keys on their way to another server ------------------------------------------------------------------------------


class Transfer:
    """Payloads of keys as of one moment, and their removal; see snap/transfer.h. `end` must be called."""

    def __init__(self, db: int, names: Sequence[bytes], watch: bool) -> None:
        self.names = names
        pointers, lens, _keep = _argv(names)
        self._x = lib.engine_transfer_begin(db, len(names), pointers, lens, int(watch))
        if self._x == ffi.NULL:
            raise CommandError("no memory to move the keys", code="OOM")
        self._p, self._n, self._expire = ffi.new("const char **"), ffi.new("size_t *"), ffi.new("int64_t *")

    def _look(self, i: int) -> int:
        return int(lib.engine_transfer_payload(self._x, i, self._p, self._n, self._expire))

    def here(self, i: int) -> bool:
        """Whether there was such a key."""
        return self._look(i) != 0

    def payload(self, i: int) -> bytes:
        if self._look(i) < 0:
            raise CommandError("the value is too large to be dumped")
        return bytes(ffi.buffer(self._p[0], self._n[0]))

    def expire_ms(self, i: int) -> int:
        """Unix time; 0: it does not expire."""
        self._look(i)
        return int(self._expire[0])

    def arrived(self, i: int) -> None:
        lib.engine_transfer_arrived(self._x, i)

    def end(self) -> list[bool]:
        """Removes what has arrived and was not changed meanwhile: which keys were removed."""
        done = lib.engine_transfer_end(self._x) == 0
        removed = [lib.engine_transfer_removed(self._x, i) == 1 for i in range(len(self.names))]
        lib.engine_transfer_free(self._x)
        if not done:
            raise CommandError("no memory to remove the keys here: they are on both servers now", code="OOM")
        return removed


# --- a worker's life --------------------------------------------------------------------------------------------------

_on_command: Callable[[Call], Any] | None = None
_on_control: Callable[[], None] | None = None
_on_tick: Callable[[], None] | None = None
_on_stage: Callable[[Call, bool], dict[str, int]] | None = None


@ffi.def_extern()  # type: ignore[untyped-decorator]
def py_command(c: Any) -> None:
    """A handler answers a value, which becomes the reply, or NO_REPLY."""
    try:
        call = Call(c)
        try:
            assert _on_command is not None
            value = _on_command(call)
            if value is not NO_REPLY:
                call.reply(value)
        except CommandError as e:
            call.error(e.line)
    except Exception as e:
        log.warning(f"Python command failed: {traceback.format_exc()}")
        data = f"ERR internal error: {type(e).__name__}".encode()
        lib.cmd_reply_error(c, data, len(data))


@ffi.def_extern()  # type: ignore[untyped-decorator]
def py_control() -> None:
    _guarded(_on_control)


@ffi.def_extern()  # type: ignore[untyped-decorator]
def py_tick() -> None:
    _guarded(_on_tick)


def _guarded(function: Callable[[], None] | None) -> None:
    try:
        if function is not None:
            function()
    except Exception:
        log.warning(f"Unexpected error: {traceback.format_exc()}")


@ffi.def_extern()  # type: ignore[untyped-decorator]
def py_stage(c: Any, first: int) -> None:
    try:
        if _on_stage is not None:
            for name, value in _on_stage(Call(c), bool(first)).items():
                index = setting_index(name)
                if index >= 0:
                    lib.engine_stage_setting(index, value)
    except CommandError:
        pass  # it will say so when it runs
    except Exception:
        log.warning(f"Unexpected error: {traceback.format_exc()}")


def callbacks(
    command: Callable[[Call], Any],
    control: Callable[[], None],
    tick: Callable[[], None],
    stage: Callable[[Call, bool], dict[str, int]],
) -> None:
    """What this process does for Python commands, control messages, timers, and a CONFIG SET that waits in a transaction."""
    global _on_command, _on_control, _on_tick, _on_stage
    _on_command, _on_control, _on_tick, _on_stage = command, control, tick, stage
    lib.engine_callbacks(lib.py_command, lib.py_control, lib.py_tick, lib.py_stage)


def worker_start(slot_index: int, kind: int) -> None:
    err = ffi.new("char[]", _ERR_LEN)
    _check(lib.engine_worker_start(slot_index, kind, err, _ERR_LEN), err)


def worker_fds(slot_index: int, receive: int, send: int, event: int) -> None:
    lib.engine_worker_fds(slot_index, receive, send, event)


def add_listener(fd: int, unix: bool) -> None:
    lib.engine_add_listener(fd, int(unix))


def remove_listener(fd: int) -> None:
    lib.engine_remove_listener(fd)


def set_control(fd: int) -> None:
    lib.engine_set_control(fd)


def serve() -> int:
    """Serves until told to stop; the reason."""
    err = ffi.new("char[]", _ERR_LEN)
    return _check(lib.engine_serve(err, _ERR_LEN), err)


def stop(reason: int) -> None:
    lib.engine_stop(reason)


def tick_every(ms: int) -> None:
    lib.engine_tick_every(ms)


def worker_end() -> None:
    lib.engine_worker_end()


# --- snapshots and RDB files (the persistence process) ----------------------------------------------------------------


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
    err = ffi.new("char[]", _ERR_LEN)
    folder = spill_folder.encode("latin-1")
    if log_file:
        _check(lib.engine_snapshot_begin_log(pool_bytes, folder, log_file, err, _ERR_LEN), err)
    else:
        _check(lib.engine_snapshot_begin(pool_bytes, folder, err, _ERR_LEN), err)


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
    err = ffi.new("char[]", _ERR_LEN)
    _check(lib.engine_rdb_save(fd, flags, err, _ERR_LEN), err)


def resp_base_save(fd: int) -> None:
    """Write the running snapshot as the commands that make it. Raises EngineError."""
    err = ffi.new("char[]", _ERR_LEN)
    _check(lib.engine_resp_base_save(fd, err, _ERR_LEN), err)


LOADER_DIED = "a loading process died"
"""How rdb_load and aof_load complain when it may be worth another try, on an empty keyspace."""


def rdb_load(fd: int, flags: int) -> LoadedFile:
    """Read a file into the keyspace. Raises EngineError with the offset of what is wrong."""
    err = ffi.new("char[]", _ERR_LEN)
    out = ffi.new("struct engine_rdb *")
    _check(lib.engine_rdb_load(fd, flags, out, err, _ERR_LEN), err)
    return LoadedFile(out.keys, out.expired, out.bytes, out.created_s, out.used_mem, out.version, bool(out.aof_base), out.empty)


def progress_begin(total: int) -> None:
    lib.engine_progress_begin(total)


def flush_all() -> int:
    """Empty all databases; how many keys there were."""
    return int(lib.engine_flush_all())


def lazy_step(items: int) -> bool:
    """Free values that wait for it; whether more wait."""
    return bool(lib.engine_lazy_step(items))


# --- the append-only file ---------------------------------------------------------------------------------------------


def log_begin(folder: str, name: str) -> None:
    lib.engine_log_begin(os.fsencode(folder), os.fsencode(name))


def log_run(ms: int) -> None:
    """The log writer's work, for so long."""
    lib.engine_log_run(ms)


def log_drained() -> bool:
    return bool(lib.engine_log_drained())


def log_end() -> None:
    lib.engine_log_end()


def log_words() -> tuple[int, str]:
    """What the log writer has to say: 0 nothing, 1 a notice, 2 a warning."""
    buf = ffi.new("char[]", _ERR_LEN)
    level = int(lib.engine_log_words(buf, _ERR_LEN))
    return level, ffi.string(buf).decode("utf-8", "replace")


def log_resume(file: int, size: int, lsn: int) -> None:
    """Logging is on from here, into that increment."""
    if lib.engine_log_resume(file, size, lsn) != 0:
        raise EngineError("no shared memory for the log")


def log_base_done() -> None:
    lib.engine_log_base_done()


def log_off() -> None:
    lib.engine_log_off()


def write_error(bit: int, on: bool) -> None:
    """Why writes are refused: 1 a save failed, 2 the log cannot be written."""
    lib.engine_write_error(bit, int(on))


@dataclass(frozen=True, slots=True)
class LogPosition:
    """The last LSN in the files, and the increment's number (0: none is open) and length."""

    lsn: int
    file: int
    bytes: int


def log_position() -> LogPosition:
    row = ffi.new("struct engine_log *")
    lib.engine_log_get(row)
    return LogPosition(int(row.lsn), int(row.file), int(row.bytes))


@dataclass(frozen=True, slots=True)
class LoadedLog:
    """What was read from an AOF; see struct engine_aof."""

    bytes: int
    good: int
    commands: int
    keys: int
    lsn: int
    preamble: bool
    torn: bool


def aof_load(fd: int, name: str, allow_torn: bool) -> LoadedLog:
    """Execute a file's commands. Raises EngineError with file and offset of what is wrong."""
    err = ffi.new("char[]", _ERR_LEN)
    out = ffi.new("struct engine_aof *")
    _check(lib.engine_aof_load(fd, os.fsencode(name), int(allow_torn), out, err, _ERR_LEN), err)
    return LoadedLog(
        out.bytes, out.good, out.commands, out.keys, out.lsn, bool(out.preamble), bool(out.torn)
    )


# --- files, for the administrator's tool ------------------------------------------------------------------------------

WHOLE, TORN, DAMAGED = 0, 1, 2
"""Verdicts on an append-only file."""


@dataclass(frozen=True, slots=True)
class LogScan:
    """What an append-only file holds, without loading it; see struct engine_aof_scan."""

    bytes: int
    good: int
    at: int
    commands: int
    lsn: int
    first_ms: int
    time_ms: int
    verdict: int
    cut: bool
    why: str


def aof_scan(fd: int, start: int = 0, until_ms: int = 0) -> LogScan:
    """Judge the file as it stood at that moment (0: as it is). OSError."""
    why = ffi.new("char[]", _ERR_LEN)
    out = ffi.new("struct engine_aof_scan *")
    if lib.engine_aof_scan(fd, start, until_ms, out, why, _ERR_LEN) != 0:
        raise OSError(ffi.errno, os.strerror(ffi.errno))
    return LogScan(
        out.bytes, out.good, out.at, out.commands, out.lsn, out.first_ms, out.time_ms, out.verdict, bool(out.cut), _text(why)
    )


@dataclass(frozen=True, slots=True)
class RdbHead:
    """What an RDB file says of its cut; 0: nothing."""

    lsn: int
    cut_ms: int
    version: int


def rdb_head(fd: int) -> RdbHead | None:
    """None: it does not begin like an RDB file."""
    out = ffi.new("struct engine_rdb_head *")
    return RdbHead(out.lsn, out.cut_ms, out.version) if lib.engine_rdb_head(fd, out) == 0 else None
