"""Python commands by the full name of their row in cext/commands.def.

A module of this package registers its functions with `@command("config|get")`. A function takes the worker's state and the call
and answers a reply (shoal.replies); CommandError becomes an error reply. Called by the worker for every row whose handler is PY.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence

from shoal import engine
from shoal.commands.server_state import ServerState
from shoal.engine import Call
from shoal.replies import CommandError, Reply

Function = Callable[[ServerState, Call], Reply]

MODULES = (
    "acl", "client", "config", "debug", "info", "latency", "lolwut", "memory", "migrate", "persistence", "replication", "server", "slowlog",
)  # fmt: skip
"""Modules that register functions when they are imported."""

_functions: dict[str, Function] = {}


def command(*names: str) -> Callable[[Function], Function]:
    """Registers a function for one or more rows."""

    def register(function: Function) -> Function:
        for name in names:
            assert name not in _functions, name
            _functions[name] = function
        return function

    return register


def _of_arguments(function: Callable[[Sequence[bytes]], Reply]) -> Function:
    return lambda state, call: function(call.args)


class Commands:
    """Runs the functions in one worker."""

    def __init__(self, state: ServerState) -> None:
        self.state = state

    def run(self, call: Call) -> Reply:
        function = functions().get(call.index)
        if function is None:
            name = engine.command_names()[call.index].replace("|", " ").upper()
            raise CommandError(f"{name} is not available in this version of Shoal")
        return function(self.state, call)


@functools.cache
def functions() -> dict[int, Function]:
    """Functions by row index, all modules imported. The supervisor calls it before it forks, so that an heir need not."""
    from shoal.commands import command as table_commands

    for name in MODULES:
        importlib.import_module(f"shoal.commands.{name}")
    found = dict(_functions)
    for name, of_table in {**table_commands.FUNCTIONS, **table_commands.help_functions()}.items():
        found.setdefault(name, _of_arguments(of_table))
    return {i: found[name] for i, name in enumerate(engine.command_names()) if name in found}


def integer(text: bytes, what: str = "value is not an integer or out of range") -> int:
    """A 64-bit integer as Redis reads it: no spaces, no plus sign, no leading zero."""
    try:
        value = int(text)
    except ValueError:
        raise CommandError(what) from None
    if str(value).encode() != text or not -(2**63) <= value < 2**63:
        raise CommandError(what)
    return value


def word(text: bytes) -> str:
    """An option's name, for comparing."""
    return text.decode("latin-1").lower()
