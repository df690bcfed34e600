"""COMMAND and its subcommands, and the HELP subcommand of every container: all from the rows of cext/commands.def.

Each function takes the whole argument vector, arity already checked, and returns a reply (shoal.replies).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from shoal import engine
from shoal.commands import table
from shoal.replies import CommandError, Reply, Set, Status

Argv = Sequence[bytes]
Function = Callable[[Argv], Reply]


def _top_rows() -> list[table.Row]:
    return [row for row in table.rows().values() if not row.container]


def command(argv: Argv) -> Reply:
    return [table.info(row) for row in _top_rows()]


def count(argv: Argv) -> Reply:
    return len(_top_rows())


def info(argv: Argv) -> Reply:
    if len(argv) == 2:
        return command(argv)
    found = [table.find_name(name) for name in argv[2:]]
    return [table.info(row) if row else None for row in found]


def docs(argv: Argv) -> Reply:
    found = _top_rows() if len(argv) == 2 else [table.find_name(name) for name in argv[2:]]
    return {row.fullname: table.docs(row) for row in found if row}


def _in_category(name: bytes) -> list[table.Row]:
    wanted = name.decode("utf-8", "replace").lower()
    return [row for row in table.rows().values() if wanted in row.categories]


def _matching(pattern: bytes) -> list[table.Row]:
    return [row for row in table.rows().values() if engine.glob_match(pattern, row.fullname.encode(), nocase=True)]


_FILTERS: dict[bytes, Callable[[bytes], list[table.Row]]] = {
    b"module": lambda name: [],
    b"aclcat": _in_category,
    b"pattern": _matching,
}


def list_names(argv: Argv) -> Reply:
    if len(argv) == 2:
        return [row.fullname for row in table.rows().values()]
    if len(argv) != 5 or argv[2].lower() != b"filterby" or argv[3].lower() not in _FILTERS:
        raise CommandError("syntax error")
    return [row.fullname for row in _FILTERS[argv[3].lower()](argv[4])]


def _keys_of(argv: Argv) -> list[tuple[int, int]]:
    """Position and flags of the keys of the call that follows COMMAND GETKEYS."""
    call = argv[2:]
    row = table.find(call)
    if row is None:
        raise CommandError("Invalid command specified")
    if not row.has_keys:
        raise CommandError("The command has no key arguments")
    if not row.arity_fits(len(call)):
        raise CommandError("Invalid number of arguments specified for command")
    keys = engine.command_keys(row.index, call)
    if not keys and not row.flag_bits & table.NO_MANDATORY_KEYS:
        raise CommandError("Invalid arguments specified for command")
    return keys or []


def getkeys(argv: Argv) -> Reply:
    return [argv[2 + place] for place, _ in _keys_of(argv)]


def getkeysandflags(argv: Argv) -> Reply:
    return [
        [argv[2 + place], Set(Status(word) for word in table.key_flag_words(flags))] for place, flags in _keys_of(argv)
    ]


def _help(container: str, argv: Argv) -> Reply:
    return table.help_lines(container)


FUNCTIONS: dict[str, Function] = {
    "command": command,
    "command|count": count,
    "command|docs": docs,
    "command|getkeys": getkeys,
    "command|getkeysandflags": getkeysandflags,
    "command|info": info,
    "command|list": list_names,
}
"""Functions of this module by the row's full name, for the registry; `help_functions` gives those of HELP."""


def help_functions() -> dict[str, Function]:
    """A function for every HELP row."""
    names = [row.container for row in table.rows().values() if row.container and row.name == "help"]
    return {f"{container}|help": functools.partial(_help, container) for container in names}
