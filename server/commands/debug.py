"""DEBUG subcommands that look at no key. Those that do, and SLEEP, are C (cext/cmd/cmd_debug.c), which hands the rest over."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from shoal import engine, log
from shoal.commands import persistence
from shoal.commands.registry import command, word
from shoal.commands.server_state import ServerState
from shoal.engine import NO_REPLY, Call
from shoal.kinds import parse_memory
from shoal.replies import OK, CommandError, Push, Reply, Set, Status, Verbatim, encode

Handler = Callable[[ServerState, Call], Reply]

_HELP = (
    ("CHANGE-REPL-ID", "Give the dataset a new replication id."),
    ("CRASH-AND-RECOVER", "Kill this worker; its heir takes over."),
    ("DIGEST", "Fingerprint of the dataset."),
    ("DIGEST-VALUE <key> [<key> ...]", "Fingerprint of values."),
    ("ERROR <string>", "Answer this error."),
    ("LOG <message>", "Write a line to the log."),
    ("OBJECT <key>", "Internals of a value."),
    ("PANIC", "Crash this worker as a broken invariant would."),
    ("PROTOCOL <type>", "Answer a value of this type: string, integer, double, null, array, set, map, attrib, push, verbatim, "
     "true, false, bignum."),
    ("SET-SKIP-CHECKSUM-VALIDATION (0|1)", "RESTORE does not look at a payload's checksum when 1."),
    ("QUICKLIST-PACKED-THRESHOLD <size>", "Size from which an element has a list node of its own."),
    ("LOADAOF", "Write the append-only file out, empty the dataset and load it from there."),
    ("RELOAD [NOSAVE]", "Save the snapshot, empty the dataset and load it again."),
    ("SEGFAULT", "Crash this worker with SIGSEGV."),
    ("SET-ACTIVE-EXPIRE <0|1>", "Switch the background expiry off or on."),
    ("SLEEP <seconds>", "Stop all workers for a while."),
    ("STRINGMATCH-LEN <length> <pattern>", "Run the pattern against a string of a's."),
    ("WORKER", "Slot and process id of the worker that serves this connection."),
)  # fmt: skip


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _error(state: ServerState, call: Call) -> Reply:
    raise CommandError(_text(call.args[2]), code="")


def _log(state: ServerState, call: Call) -> Reply:
    log.warning(f"DEBUG LOG: {_text(call.args[2])}")
    return OK


def _crash(number: int) -> Handler:
    def crash(state: ServerState, call: Call) -> Reply:
        log.warning(f"DEBUG {_text(call.args[1])} asked for by a client")
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return OK

    return crash


def _packed_threshold(state: ServerState, call: Call) -> Reply:
    try:
        size = parse_memory(_text(call.args[2]))
    except ValueError:
        raise CommandError("argument must be a memory value") from None
    engine.setting_set("<quicklist-packed-threshold>", size or 1 << 30)
    return OK


_PROTOCOL: dict[str, Callable[[], Reply]] = {
    "string": lambda: "Hello World",
    "integer": lambda: 12345,
    "double": lambda: 3.141,
    "null": lambda: None,
    "array": lambda: [0, 1, 2],
    "set": lambda: Set([0, 1, 2]),
    "map": lambda: {0: False, 1: True, 2: False},
    "push": lambda: Push(["server-cpu-usage", 42]),
    "verbatim": lambda: Verbatim(b"This is a verbatim\nstring"),
    "true": lambda: True,
    "false": lambda: False,
}


def _protocol(state: ServerState, call: Call) -> Reply:
    name = word(call.args[2])
    if name == "bignum":
        digits = b"1234567999999999999999999999999999999"
        call.raw(b"(" + digits + b"\r\n" if call.resp == 3 else encode(digits))
        return NO_REPLY
    if name == "attrib":
        attribute = encode({"key-popularity": ["key:123", 90]}, 3).replace(b"%", b"|", 1) if call.resp == 3 else b""
        call.raw(attribute + encode("Some real reply following the attribute", call.resp))
        return NO_REPLY
    if name not in _PROTOCOL:
        raise CommandError(
            "Wrong protocol type name. Please use one of the following: "
            "string|integer|double|null|array|set|map|attrib|push|verbatim|true|false"
        )
    return _PROTOCOL[name]()


def _worker(state: ServerState, call: Call) -> Reply:
    return [state.child.slot, os.getpid()]


def _accept(state: ServerState, call: Call) -> Reply:
    return OK


def _help(state: ServerState, call: Call) -> Reply:
    lines = ["DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for usage, summary in _HELP:
        lines += [usage, "    " + summary]
    return [Status(line) for line in lines]


def _pause_cron(state: ServerState, call: Call) -> Reply:
    """The supervisor's work by the clock rests; what a signal asks for waits with it."""
    if call.args[2] not in (b"0", b"1"):
        raise CommandError("value is not an integer or out of range")
    state.child.ask({"op": "pause_cron", "on": call.args[2] == b"1"})
    return OK


_SUBCOMMANDS: dict[str, tuple[int, Handler]] = {
    "help": (2, _help),
    "error": (3, _error),
    "log": (3, _log),
    "segfault": (2, _crash(signal.SIGSEGV)),
    "panic": (2, _crash(signal.SIGABRT)),
    "crash-and-recover": (0, _crash(signal.SIGKILL)),
    "quicklist-packed-threshold": (3, _packed_threshold),
    "protocol": (3, _protocol),
    "worker": (2, _worker),
    "reload": (0, persistence.reload),
    "loadaof": (2, persistence.loadaof),
    "pause-cron": (3, _pause_cron),
    # Switches of Redis' own tests that change nothing here.
    "change-repl-id": (2, _accept),
    "set-disable-deny-scripts": (3, _accept),
    "replybuffer": (4, _accept),
    "config-rewrite-force-all": (2, _accept),
}
"""Number of arguments (0: any) and function."""


@command("debug")
def debug(state: ServerState, call: Call) -> Reply:
    name = word(call.args[1])
    if name not in _SUBCOMMANDS:
        raise CommandError(
            f"unknown subcommand or wrong number of arguments for '{_text(call.args[1])}'. Try DEBUG HELP."
        )
    count, handler = _SUBCOMMANDS[name]
    if count and len(call.args) != count:
        raise CommandError(
            f"unknown subcommand or wrong number of arguments for '{_text(call.args[1])}'. Try DEBUG HELP."
        )
    return handler(state, call)
