"""The grammar of redis.conf and of the command line.

`parse` turns text into values by the rows of `settings`; whatever is wrong becomes a ConfigError that knows its line. Called
by the supervisor at start and by CONFIG REWRITE (which needs the lines as they were).
"""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from shoal import REDIS_VERSION
from shoal.kinds import quote
from shoal.settings import DEPRECATED, LOOKUP, Setting, defaults

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "a": "\a"}
_SPACE = " \t\n\r\v\f\0"
UNSUPPORTED = {
    "loadmodule": "Modules are not supported",
    "user": "'user' lines are not supported yet; use requirepass",
}
MAX_INCLUDES = 64


class ConfigError(Exception):
    """A line that cannot be used. `line` counts from 1 in the text that was parsed."""

    def __init__(self, line: int, text: str, reason: str) -> None:
        super().__init__(reason)
        self.line, self.text, self.reason = line, text, reason

    def report(self) -> str:
        """The words that redis-server prints before it gives up."""
        return (
            f"\n*** FATAL CONFIG FILE ERROR (Redis {REDIS_VERSION}) ***\n"
            f"Reading the configuration file, at line {self.line}\n>>> '{self.text}'\n{self.reason}\n"
        )


class ConfigOpenError(Exception):
    """A configuration file that cannot be read; its text is the whole message."""


def split_words(line: str) -> list[str] | None:
    r"""Words of a line: plain, 'single' (only \' is special) or "double" quoted (\n \r \t \b \a \xhh). None: unbalanced."""
    words: list[str] = []
    i, n = 0, len(line)
    while True:
        while i < n and line[i] in _SPACE:
            i += 1
        if i >= n:
            return words
        word: list[str] = []
        while i < n and line[i] not in _SPACE:
            if line[i] not in "\"'":
                word.append(line[i])
                i += 1
                continue
            after = _quoted(line, i, word)
            if after < 0:
                return None
            i = after
            break
        words.append("".join(word))


def _quoted(line: str, start: int, word: list[str]) -> int:
    """Adds a quoted part to `word`; the position behind it, or -1."""
    mark, i, n = line[start], start + 1, len(line)
    while i < n:
        c = line[i]
        if c == mark:
            return i + 1 if i + 1 >= n or line[i + 1] in _SPACE else -1
        if c == "\\" and i + 1 < n:
            if mark == "'":
                if line[i + 1] == "'":
                    word.append("'")
                    i += 2
                    continue
            elif line[i + 1] == "x" and _is_hex(line[i + 2 : i + 4]):
                word.append(chr(int(line[i + 2 : i + 4], 16)))
                i += 4
                continue
            else:
                word.append(_ESCAPES.get(line[i + 1], line[i + 1]))
                i += 2
                continue
        word.append(c)
        i += 1
    return -1


def _is_hex(text: str) -> bool:
    return len(text) == 2 and all(c in "0123456789abcdefABCDEF" for c in text)


def parse_words(row: Setting, args: Sequence[str]) -> list[str]:
    """The words a row's kind takes; a lone word of a setting of several is split at spaces."""
    if row.kind.multi:
        if len(args) == 1:
            return split_words(args[0]) or [""]
        return list(args)
    if len(args) != 1:
        raise ValueError("wrong number of arguments")
    return list(args)


@dataclass(slots=True)
class Loaded:
    """What reading the configuration has found so far."""

    values: dict[str, Any] = field(default_factory=defaults)
    seen: set[str] = field(default_factory=set)
    includes: int = 0
    renames: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Pairs of `rename-command`; carried out when they are read."""
    standard_input: str | None = None
    """What was read from it."""


def read_text(path: str) -> str:
    """A file's text, Latin-1 decoded so that no byte is lost."""
    try:
        with open(path.encode("latin-1"), "rb") as f:
            return f.read().decode("latin-1")
    except OSError as e:
        raise ConfigOpenError(f"Fatal error, can't open config file '{path}': {e.strerror}") from None


def parse(text: str, into: Loaded) -> None:
    """Apply every line. Raises ConfigError or ConfigOpenError."""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(" \t\r\n")
        if not line or line[0] == "#":
            continue
        try:
            _directive(line, into)
        except ValueError as e:
            raise ConfigError(number, line, str(e)) from None


def _directive(line: str, into: Loaded) -> None:
    words = split_words(line)
    if words is None:
        raise ValueError("Unbalanced quotes in configuration line")
    if not words:
        return
    name, args = words[0].lower(), words[1:]
    if name == "include" and len(args) == 1:
        _include(args[0], into)
        return
    if name == "rename-command" and len(args) == 2:
        into.renames.append((args[0].encode("latin-1"), args[1].encode("latin-1")))
        _rename(*into.renames[-1])
        return
    if name in UNSUPPORTED and args:
        raise ValueError(UNSUPPORTED[name])
    if name in DEPRECATED and len(args) == 1:
        return
    row = LOOKUP.get(name)
    if row is None:
        raise ValueError("Bad directive or wrong number of arguments")
    if not args and not row.kind.multi:
        raise ValueError("wrong number of arguments")
    try:
        args = parse_words(row, args)
        into.values[row.name] = row.kind.merge(into.values[row.name], args, row.name not in into.seen)
    except ValueError as e:
        raise ValueError(str(e).replace("{name}", row.name)) from None
    into.seen.add(row.name)
    if row.name == "dir":
        os.chdir(into.values["dir"].encode("latin-1"))


def _rename(old: bytes, new: bytes) -> None:
    """In the table that all processes will inherit. Imported here: only this directive needs the engine."""
    from shoal import engine

    engine.command_rename(old, new)


def _include(pattern: str, into: Loaded) -> None:
    """Read a file, or all files of a pattern (none is fine then)."""
    into.includes += 1
    if into.includes > MAX_INCLUDES:
        raise ConfigOpenError(f"Fatal error, too many include directives, the last one is '{pattern}'")
    paths = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
    for path in paths:
        parse(read_text(path), into)


@dataclass(frozen=True, slots=True)
class Invocation:
    """What the command line says: a file (absolute), whether standard input is read too, and options as text."""

    file: str
    stdin: bool
    options: str


def command_line(argv: Sequence[str]) -> Invocation:
    """Arguments after the program's name, as redis-server 7 takes them: `[file] [--name value...]... [-]`."""
    args = [os.fsencode(a).decode("latin-1") for a in argv]
    file = ""
    start = 0
    if args and not args[0].startswith("-"):
        file = os.path.join(os.fsencode(os.getcwd()).decode("latin-1"), args[0])
        start = 1
    stdin, options = False, ""
    option_may_follow = True
    for i in range(start, len(args)):
        arg = args[i]
        last = i == len(args) - 1
        if arg == "-" and last:
            stdin = True
        elif option_may_follow and arg.startswith("--"):
            options += ("\n" if options else "") + arg[2:] + " "
            option_may_follow = len(split_words(arg) or []) != 1
            if arg.lower() == "--save" and (last or args[i + 1].startswith("--")):
                # `--save --port 1` and a final `--save` mean an empty value, as they did before Redis 7.
                options += '""'
                option_may_follow = True
        else:
            options += quote(arg) + " "
            option_may_follow = True
    return Invocation(file, stdin, options)


def load(call: Invocation) -> Loaded:
    """Defaults, then the file, then standard input, then options; the last word wins."""
    loaded = Loaded()
    parts = []
    if call.file:
        parts.append(read_text(call.file))
    if call.stdin:
        loaded.standard_input = sys.stdin.buffer.read().decode("latin-1")
        parts.append(loaded.standard_input)
    if call.options:
        parts.append(call.options)
    parse("\n".join(part.rstrip("\n") if part is not parts[-1] else part for part in parts), loaded)
    if loaded.values["port"] == 0 and loaded.values["tls-port"] == 0 and not loaded.values["unixsocket"]:
        pass  # as Redis: legal, if useless
    loaded.values["dir"] = os.fsencode(os.getcwd()).decode("latin-1")
    return loaded


SIGNATURE = "# Generated by CONFIG REWRITE"


def rewrite(old: str, values: dict[str, Any], rows: Sequence[Setting]) -> str:
    """The text of a configuration file with `values` in it: comments and order stay, changed lines are replaced in place,
    settings that differ from their default and have no line are added at the end."""
    lines = old.split("\n") if old else []
    if lines and lines[-1] == "":
        lines.pop()
    places: dict[str, list[int]] = {}
    signed = False
    for i, raw in enumerate(lines):
        line = raw.strip(" \t\r\n")
        signed = signed or line == SIGNATURE
        if not line or line[0] == "#":
            continue
        words = split_words(line)
        if not words:
            lines[i] = "# ??? " + line
            continue
        row = LOOKUP.get(words[0].lower())
        if row is not None:
            places.setdefault(row.name, []).append(i)
    dropped: set[int] = set()
    for row in rows:
        have = places.get(row.name, [])
        value = values[row.name]
        # Without lines of its own, a setting at its default is not mentioned.
        new = row.kind.lines(row.name, value) if have or value != row.default else []
        for i, text in zip(have, new, strict=False):
            lines[i] = text
        dropped.update(have[len(new) :])
        for text in new[len(have) :]:
            if not signed:
                lines += ["", SIGNATURE] if lines else [SIGNATURE]
                signed = True
            lines.append(text)
    kept: list[str] = []
    for i, line in enumerate(lines):
        if i in dropped or (line == "" and kept and kept[-1] == ""):
            continue
        kept.append(line)
    return "\n".join(kept) + "\n"
