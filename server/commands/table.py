"""The rows of cext/commands.def as Python sees them, and their parts worked out for COMMAND, ACL and HELP.

The engine hands the rows over once per process; they never change. Called by `command`, by the registry (which needs a
Python function for every row whose handler is PY) and by the table-driven tests.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from shoal import engine
from shoal.commands import usage
from shoal.replies import Reply, Set, Status

OWN_FLAGS = frozenset({"lock_all", "lock_self", "lock_pattern", "syscmd"})
"""Flags that COMMAND INFO does not show."""

MOVABLE_KEYS = 1 << 19
NO_MANDATORY_KEYS = 1 << 15
PYTHON = 1 << 32
"""CMD_MOVABLE_KEYS, CMD_NO_MANDATORY_KEYS and CMD_PYTHON of cext/cmd/command_table.h."""

KEY_FLAGS = ("RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags")
"""Words of the KEY_... bits of cext/cmd/keyspec.h, lowest bit first."""

_PLACE = re.compile(
    r"(?:(\d+)|([A-Z]+)([+-]\d+)|\?)"  # where to begin: index, or keyword and start
    r"(?:\.\.(-?\d+)(?:/(\d+))?(?:/(\d+))?|(#)(?:(\d+),(\d+),(\d+))?|\?)?"  # range, or number of keys
)


@dataclass(frozen=True, slots=True)
class Row:
    """One command or subcommand. Texts are the columns of commands.def."""

    index: int
    name: str
    fullname: str
    container: str
    group: str
    flags: str
    tips: str
    acl: str
    keys: str
    since: str
    complexity: str
    summary: str
    usage: str
    deprecated_since: str
    deprecated_instead: str
    arity: int
    key_range: tuple[int, int, int]
    flag_bits: int
    categories: tuple[str, ...]

    @property
    def shown_flags(self) -> list[str]:
        words = [word for word in self.flags.split() if word not in OWN_FLAGS]
        return [*words, "movablekeys"] if self.flag_bits & MOVABLE_KEYS else words

    @property
    def has_keys(self) -> bool:
        return any("not_key" not in spec for spec in self.keys.split("; ")) if self.keys else False

    def arity_fits(self, argc: int) -> bool:
        return argc == self.arity if self.arity >= 0 else argc >= -self.arity


@functools.cache
def rows() -> dict[str, Row]:
    """All rows by full name ("config|get"), in table order."""
    return {row.fullname: row for row in (Row(**fields) for fields in engine.command_rows())}


@functools.cache
def children() -> dict[str, list[Row]]:
    """The subcommands of each container that has any."""
    found: dict[str, list[Row]] = {}
    for row in rows().values():
        if row.container:
            found.setdefault(row.container, []).append(row)
    return found


@functools.cache
def _by_index() -> list[Row]:
    return list(rows().values())


def find(argv: Sequence[bytes]) -> Row | None:
    """The row for a call: of the subcommand, if argv[0] has any and argv[1] is given."""
    index = engine.command_find(argv)
    return None if index < 0 else _by_index()[index]


def find_name(fullname: bytes) -> Row | None:
    """The row of a full name, any case."""
    return rows().get(fullname.decode("utf-8", "replace").lower())


# ---- key specifications, as COMMAND INFO shows them ----


def _key_spec(text: str) -> dict[str, Reply]:
    place, *words = text.split()
    found = _PLACE.fullmatch(place)
    if not found:
        raise ValueError(f"{text!r} is no key specification")
    index, keyword, start, last, step, limit, number, number_at, first_at, number_step = found.groups()
    begin: dict[str, Reply] = {"type": "unknown", "spec": {}}
    if index:
        begin = {"type": "index", "spec": {"index": int(index)}}
    elif keyword:
        begin = {"type": "keyword", "spec": {"keyword": keyword, "startfrom": int(start)}}
    keys: dict[str, Reply] = {"type": "unknown", "spec": {}}
    if number:
        fields = {"keynumidx": int(number_at or 0), "firstkey": int(first_at or 1), "keystep": int(number_step or 1)}
        keys = {"type": "keynum", "spec": fields}
    elif not place.endswith("?"):
        fields = {"lastkey": int(last or 0), "keystep": int(step or 1), "limit": int(limit or 0)}
        keys = {"type": "range", "spec": fields}
    return {"flags": Set(Status(word) for word in words), "begin_search": begin, "find_keys": keys}


def key_specs(row: Row) -> Set:
    return Set(_key_spec(text) for text in row.keys.split("; ")) if row.keys else Set()


def key_flag_words(bits: int) -> list[str]:
    return [word for i, word in enumerate(KEY_FLAGS) if bits >> i & 1]


# ---- documentation ----


def _argument(arg: usage.Arg) -> dict[str, Reply]:
    shown: dict[str, Reply] = {"name": arg.name, "type": arg.kind}
    if not arg.arguments:
        shown["display_text"] = arg.display
    if arg.key_spec >= 0:
        shown["key_spec_index"] = arg.key_spec
    if arg.token:
        shown["token"] = "" if arg.token == usage.EMPTY else arg.token
    if arg.deprecated_since:
        shown["deprecated_since"] = arg.deprecated_since
    if arg.flags:
        shown["flags"] = Set(Status(flag) for flag in arg.flags)
    if arg.arguments:
        shown["arguments"] = [_argument(a) for a in arg.arguments]
    return shown


@functools.cache
def docs(row: Row) -> dict[str, Reply]:
    """What COMMAND DOCS tells about a row and its subcommands."""
    shown: dict[str, Reply] = {"summary": row.summary, "since": row.since, "group": row.group}
    if row.complexity:
        shown["complexity"] = row.complexity
    words = [word for word, holds in (("deprecated", row.deprecated_since), ("syscmd", "syscmd" in row.flags)) if holds]
    if words:
        shown["doc_flags"] = Set(Status(word) for word in words)
    if row.deprecated_since:
        shown["deprecated_since"] = row.deprecated_since
        shown["replaced_by"] = row.deprecated_instead
    arguments = usage.parse(row.usage)
    if arguments:
        shown["arguments"] = [_argument(a) for a in arguments]
    if row.fullname in children():
        shown["subcommands"] = {child.fullname: docs(child) for child in children()[row.fullname]}
    return shown


def info(row: Row) -> list[Reply]:
    """What COMMAND INFO tells about a row and its subcommands."""
    return [
        row.fullname,
        row.arity,
        Set(Status(word) for word in row.shown_flags),
        *row.key_range,
        Set(Status("@" + name) for name in row.categories),
        Set(row.tips.split()),
        key_specs(row),
        [info(child) for child in children()[row.fullname]] if row.fullname in children() else Set(),
    ]


def help_lines(container: str) -> list[Reply]:
    """The reply of a HELP subcommand, made from the rows of the others."""
    lines = [f"{container.upper()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    top = rows()[container]
    if top.usage or container == "command":
        lines += ["(no subcommand)", "    " + top.summary]
    for row in sorted(children()[container], key=lambda r: (r.name == "help", r.name)):
        lines += [f"{row.name.upper()} {usage.plain(row.usage)}".rstrip(), "    " + row.summary]
    return [Status(line) for line in lines]
