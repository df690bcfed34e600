"""The rows of commands.def, and what C knows of a call's keys."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from shoal.engine.binding import c_strings, ffi, lib, text

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
        fields: dict[str, Any] = {ours: text(getattr(raw, theirs)) for ours, theirs in _ROW_TEXTS.items()}
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
        found.append(text(raw.fullname))
    return found


def command_find(args: Sequence[bytes]) -> int:
    """Index of the row that a call would run; -1: none."""
    argv, lens, _keep = c_strings(args)
    return int(lib.engine_command_find(len(args), argv, lens))


def command_keys(index: int, args: Sequence[bytes]) -> list[tuple[int, int]] | None:
    """Positions and flags of the keys of a call; None: invalid arguments."""
    argv, lens, _keep = c_strings(args)
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
        found.append(text(name))
    return found
