"""Calls made up from the argument tree of a command (shoal.commands.usage): valid ones, with every part of the tree.

What a word of the tree needs to be a valid value is in `WORDS`; the rest follows from its type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shoal.commands.usage import Arg

TYPES = {"integer": "1", "double": "1.5", "unix-time": "9999999999", "pattern": "*", "string": "x"}

WORDS = {
    "encoding": "u8",
    "unix-time-milliseconds": "9999999999999",
    "id": "0-1",
    "start": "0",
    "end": "1",
    "lastid": "0-1",
    "last-id": "9-1",
    "threshold": "10",
    "destination-db": "1",
    "min-idle-time": "0",
    "protover": "2",
    "limit": "1",
    "sha1": "0" * 40,
    "timeout": "0.01",
    "value": "1",
    "member": "m",
    "longitude": "10",
    "latitude": "20",
}

LEX_RANGE = {"min": "[a", "max": "[z", "start": "[a", "stop": "[z"}
"""For the commands that compare names."""


def _value(arg: Arg, command: str, key: str) -> str:
    if arg.kind == "key":
        return key
    if "lex" in command and arg.name in LEX_RANGE:
        return LEX_RANGE[arg.name]
    if arg.name in ("numkeys", "numfields"):
        return "1"
    if arg.name in ("min", "max", "start", "stop") and arg.kind == "string" and command.startswith("z"):
        return "1"
    return WORDS.get(arg.name, TYPES.get(arg.kind, "x"))


class Keys:
    """Names for the keys of a call, in order: k0, k1, ..."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.names = names
        self.used = 0

    def next(self) -> str:
        self.used += 1
        return self.names[self.used - 1] if self.used <= len(self.names) else f"k{self.used - 1}"


def _words(arg: Arg, command: str, keys: Keys, optional: bool) -> list[str]:
    token = [arg.token] if arg.token else []
    if arg.kind == "pure-token":
        return token
    if arg.kind == "oneof":
        return token + _words(arg.arguments[0], command, keys, optional)
    if arg.kind == "block":
        return token + _sequence(arg.arguments, command, keys, optional)
    return [*token, _value(arg, command, keys.next() if arg.kind == "key" else "")]


def _sequence(args: Sequence[Arg], command: str, keys: Keys, optional: bool) -> list[str]:
    words: list[str] = []
    for arg in args:
        if optional or not arg.optional:
            words += _words(arg, command, keys, optional)
    return words


def minimal(fullname: str, args: Sequence[Arg], names: Sequence[str] = ()) -> list[str]:
    """The shortest valid call, with these keys."""
    return [*fullname.split("|"), *_sequence(args, fullname, Keys(names), False)]


def variants(fullname: str, args: Sequence[Arg]) -> Iterator[list[str]]:
    """The shortest call, one with each optional argument, one with each alternative, one with each repetition."""
    name = fullname.split("|")
    base = [a for a in args if not a.optional]
    yield [*name, *_sequence(base, fullname, Keys(), False)]
    for arg in args:
        if arg.optional:
            chosen = [a for a in args if not a.optional or a is arg]
            keys = Keys()
            words: list[str] = []
            for a in chosen:
                words += _words(a, fullname, keys, a is arg)
            yield [*name, *words]
        for choice in arg.arguments if arg.kind == "oneof" else ():
            keys = Keys()
            words = []
            for a in args:
                if a is arg:
                    words += ([a.token] if a.token else []) + _words(choice, fullname, keys, True)
                elif not a.optional:
                    words += _words(a, fullname, keys, False)
            yield [*name, *words]
        if arg.multiple:
            keys = Keys()
            words = []
            for a in args:
                for _ in range(3 if a is arg else 0 if a.optional else 1):
                    words += _words(a, fullname, keys, False)
            yield [*name, *words]
