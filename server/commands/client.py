"""CLIENT LIST, INFO, KILL, PAUSE, UNPAUSE, UNBLOCK: commands that look at or act on connections of all workers.

They work on the client records of the segment (cext/shm/client_record.h), which every worker keeps for its
connections. What concerns the calling connection alone is C (cext/cmd/cmd_client.c).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence

from shoal import engine, users
from shoal.commands import table
from shoal.commands.registry import command, integer
from shoal.commands.server_state import ServerState
from shoal.engine import Call, Client
from shoal.replies import OK, CommandError, Reply, Verbatim

FLAG_MULTI, FLAG_BLOCKED, FLAG_DIRTY, FLAG_CLOSE_AFTER_REPLY, FLAG_CLOSE_ASAP, FLAG_UNIX = (1 << i for i in range(6))
FLAG_NO_EVICT, FLAG_NO_TOUCH, FLAG_MONITOR, FLAG_PUBSUB, FLAG_TRACKING, FLAG_REPLICA, FLAG_READONLY, FLAG_PRIMARY = (
    1 << i for i in range(6, 14)
)

_LETTERS = (
    (FLAG_MONITOR, b"O"),
    (FLAG_REPLICA, b"S"),
    (FLAG_PRIMARY, b"M"),
    (FLAG_PUBSUB, b"P"),
    (FLAG_MULTI, b"x"),
    (FLAG_BLOCKED, b"b"),
    (FLAG_TRACKING, b"t"),
    (FLAG_DIRTY, b"d"),
    (FLAG_CLOSE_AFTER_REPLY, b"c"),
    (FLAG_CLOSE_ASAP, b"A"),
    (FLAG_UNIX, b"U"),
    (FLAG_READONLY, b"r"),
    (FLAG_NO_EVICT, b"e"),
    (FLAG_NO_TOUCH, b"T"),
)
"""Flags in the order of CLIENT LIST."""

_FIXED_MEMORY = 1024
"""Bytes of one connection's own structures."""

_TYPES = (b"normal", b"master", b"replica", b"pubsub")


@functools.cache
def _command_names() -> list[str]:
    return list(table.rows())


def _flags(c: Client) -> bytes:
    return b"".join(letter for flag, letter in _LETTERS if c.flags & flag) or b"N"


def memory_of(c: Client) -> int:
    parts = (c.query_bytes, c.query_free, c.argv_bytes, c.multi_bytes, c.reply_bytes, c.output_list_bytes)
    return _FIXED_MEMORY + sum(parts)


def line(c: Client) -> bytes:
    """One connection as CLIENT LIST shows it, without a line feed."""
    name = _command_names()[c.command - 1] if c.command else "NULL"
    fields: tuple[tuple[bytes, bytes | int], ...] = (
        (b"id", c.id),
        (b"addr", c.addr),
        (b"laddr", c.laddr),
        (b"fd", c.fd),
        (b"name", c.name),
        (b"age", c.age_ms // 1000),
        (b"idle", c.idle_ms // 1000),
        (b"flags", _flags(c)),
        (b"db", c.db),
        (b"sub", c.subscriptions),
        (b"psub", c.pattern_subscriptions),
        (b"ssub", c.shard_subscriptions),
        (b"multi", c.multi),
        (b"qbuf", c.query_bytes),
        (b"qbuf-free", c.query_free),
        (b"argv-mem", c.argv_bytes),
        (b"multi-mem", c.multi_bytes),
        (b"rbs", c.reply_bytes),
        (b"rbp", c.reply_bytes),
        (b"obl", 0),
        (b"oll", c.output_list_length),
        (b"omem", c.output_list_bytes),
        (b"tot-mem", memory_of(c)),
        (b"events", b"rw" if c.output_list_length else b"r"),
        (b"cmd", name.encode()),
        (b"user", c.user or b"default"),
        (b"redir", -1),
        (b"resp", c.resp),
        (b"lib-name", c.lib_name),
        (b"lib-ver", c.lib_version),
    )
    return b" ".join(name + b"=" + (value if isinstance(value, bytes) else b"%d" % value) for name, value in fields)


def _type_of(c: Client) -> bytes:
    if c.flags & FLAG_PRIMARY:
        return b"master"
    if c.flags & FLAG_REPLICA and not c.flags & FLAG_MONITOR:
        return b"replica"
    return b"pubsub" if c.flags & FLAG_PUBSUB else b"normal"


def _type(name: bytes) -> bytes:
    lower = name.lower()
    if lower == b"slave":
        return b"replica"
    if lower not in _TYPES:
        raise CommandError(f"Unknown client type '{name.decode('latin-1')}'")
    return lower


# --- LIST and INFO ----------------------------------------------------------------------------------------------------


def _selected(args: Sequence[bytes]) -> list[Client]:
    if not args:
        return engine.clients()
    word = args[0].lower()
    if word == b"type" and len(args) == 2:
        wanted = _type(args[1])
        return [c for c in engine.clients() if _type_of(c) == wanted]
    if word == b"id" and len(args) >= 2:
        ids = [integer(text, "Invalid client ID") for text in args[1:]]
        by_id = {c.id: c for c in engine.clients()}
        return [by_id[i] for i in ids if i in by_id]
    raise CommandError("syntax error")


@command("client|list")
def client_list(state: ServerState, call: Call) -> Reply:
    return Verbatim(b"".join(line(c) + b"\n" for c in _selected(call.args[2:])))


@command("client|info")
def client_info(state: ServerState, call: Call) -> Reply:
    own = call.client
    return Verbatim(line(own) + b"\n" if own else b"")


# --- KILL -------------------------------------------------------------------------------------------------------------

_Test = Callable[[Client], bool]


def _by_id(text: bytes) -> _Test:
    error = "client-id should be greater than 0"
    wanted = integer(text, error)
    if wanted <= 0:
        raise CommandError(error)
    return lambda c: c.id == wanted


def _by_type(text: bytes) -> _Test:
    wanted = _type(text)
    return lambda c: _type_of(c) == wanted


def _by_user(text: bytes) -> _Test:
    if text.decode("latin-1") not in users.names():
        raise CommandError(f"No such user '{text.decode('latin-1')}'")
    return lambda c: (c.user or b"default") == text


_TESTS: dict[bytes, Callable[[bytes], _Test]] = {
    b"id": _by_id,
    b"type": _by_type,
    b"addr": lambda text: lambda c: c.addr == text,
    b"laddr": lambda text: lambda c: c.laddr == text,
    b"user": _by_user,
}


def _filters(args: Sequence[bytes]) -> tuple[list[_Test], bool]:
    """What a connection must fulfil, and whether the caller's own is left alone."""
    if len(args) % 2:
        raise CommandError("syntax error")
    tests: list[_Test] = []
    skip_me = True
    for word, text in zip(args[::2], args[1::2], strict=True):
        if word.lower() == b"skipme":
            if text.lower() not in (b"yes", b"no"):
                raise CommandError("syntax error")
            skip_me = text.lower() == b"yes"
        elif word.lower() in _TESTS:
            tests.append(_TESTS[word.lower()](text))
        else:
            raise CommandError("syntax error")
    return tests, skip_me


_GONE_SECONDS = 0.05
"""How long KILL waits for workers to close what it named. A worker that is busy for longer does it when it gets there."""


def _wait_until_gone(ids: set[int]) -> None:
    """As in Redis, what was killed is not listed and executes nothing any more when KILL answers."""
    deadline = time.monotonic() + _GONE_SECONDS
    while time.monotonic() < deadline and any(c.id in ids for c in engine.clients()):
        time.sleep(0.0002)


def evict_clients() -> None:
    """After a change of maxmemory-clients or maxmemory: as in Redis, those over the limit are gone when CONFIG SET answers."""
    before = {c.id for c in engine.clients() if not c.flags & FLAG_CLOSE_ASAP}
    engine.clients_check()
    _wait_until_gone(before & {c.id for c in engine.clients() if c.flags & FLAG_CLOSE_ASAP})


def _kill(call: Call, tests: Sequence[_Test], skip_me: bool) -> int:
    """Closes what fulfils all tests; the caller's own connection after its reply. How many."""
    killed = 0
    elsewhere: set[int] = set()
    own = call.client
    for c in engine.clients():
        if not all(test(c) for test in tests):
            continue
        if c.id == call.client_id:
            if not skip_me:
                call.close(after_reply=True)
                killed += 1
        elif engine.client_kill(c.id) != 0:
            killed += 1
            if own is None or c.slot != own.slot:
                elsewhere.add(c.id)
    if elsewhere:
        _wait_until_gone(elsewhere)
    return killed


@command("client|kill")
def client_kill(state: ServerState, call: Call) -> Reply:
    args = call.args[2:]
    if len(args) > 1:
        return _kill(call, *_filters(args))
    if not _kill(call, [lambda c: c.addr == args[0]], skip_me=False):
        raise CommandError("No such client")
    return OK


def _too_many(call: Call) -> CommandError:
    name = call.args[1].decode("latin-1")
    return CommandError(f"unknown subcommand or wrong number of arguments for '{name}'. Try CLIENT HELP.")


# --- PAUSE ------------------------------------------------------------------------------------------------------------

PAUSE_NONE, PAUSE_WRITE, PAUSE_ALL = range(3)


@command("client|pause")
def client_pause(state: ServerState, call: Call) -> Reply:
    """A pause that is under way is never made shorter or weaker."""
    what = PAUSE_ALL
    if len(call.args) > 4:
        raise _too_many(call)
    if len(call.args) == 4:
        modes = {b"write": PAUSE_WRITE, b"all": PAUSE_ALL}
        if call.args[3].lower() not in modes:
            raise CommandError("CLIENT PAUSE mode must be WRITE or ALL")
        what = modes[call.args[3].lower()]
    now = time.time_ns() // 1_000_000
    timeout = integer(call.args[2], "timeout is not an integer or out of range")
    if timeout < 0:
        raise CommandError("timeout is negative")
    if timeout > 2**63 - 1 - now:
        raise CommandError("timeout is out of range")
    until = now + timeout
    running_until = engine.word("pause_until_ms")
    if engine.word("clients_paused") != PAUSE_NONE and running_until > now:
        what, until = max(what, engine.word("clients_paused")), max(until, running_until)
    engine.pause(what, until)
    return OK


@command("client|unpause")
def client_unpause(state: ServerState, call: Call) -> Reply:
    engine.pause(PAUSE_NONE, 0)
    return OK


# --- UNBLOCK ----------------------------------------------------------------------------------------------------------


@command("client|unblock")
def client_unblock(state: ServerState, call: Call) -> Reply:
    client_id = integer(call.args[2])
    if len(call.args) > 4:
        raise _too_many(call)
    if len(call.args) == 4 and call.args[3].lower() not in (b"timeout", b"error"):
        raise CommandError("CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    error = len(call.args) == 4 and call.args[3].lower() == b"error"
    return int(client_id > 0 and engine.client_unblock(client_id, error))
