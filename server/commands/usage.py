"""The argument tree of a command, read from its usage text (last column of cext/commands.def, legend there).

`parse("key value [condition: NX | XX] [EX seconds]")` gives what COMMAND DOCS shows under "arguments". Called by
`command` for DOCS and HELP, and by the table-driven tests, which generate calls from the trees.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TYPES = ("string", "integer", "double", "key", "pattern", "unix-time")

WORD_TYPES = {
    word: kind
    for kind, words in {
        "key": "destination destkey dst key key1 key2 newkey source sourcekey src storedistkey storekey",
        "integer": "bit bits client-id count cursor db decrement destination-db end entries-added entriesread frequency"
        " increment index index1 index2 len limit maxage milliseconds min-match-len ms num-matches numfields numkeys"
        " numlocal numreplicas offset port protover rank seconds start stop ttl version weight",
        "double": "height latitude longitude radius score timeout width",
        "pattern": "by-pattern get-pattern pattern",
        "unix-time": "unix-time-milliseconds unix-time-seconds",
    }.items()
    for word in words.split()
}
"""Types of the words that are not strings, unless the usage says otherwise."""

_TOKENS = re.compile(r"\s*(\.\.\.|[\[\]()|]|[^\s\[\]()|.]+(?:\.[^\s\[\]()|.]+)*)")
_MARKS = ("...", "[", "]", "(", ")", "|")
EMPTY = '""'
"""The literal that stands for an argument without a letter."""

_LITERAL = re.compile(r"[A-Z][A-Z0-9-]*|[*$=~]|\"\"")


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument, or a group of them (`oneof`, `block`)."""

    name: str
    kind: str
    display: str = ""
    key_spec: int = -1
    token: str = ""
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False
    deprecated_since: str = ""
    arguments: tuple[Arg, ...] = ()

    @property
    def flags(self) -> list[str]:
        return [flag for flag in ("optional", "multiple", "multiple_token") if getattr(self, flag)]


class UsageError(ValueError):
    """A usage text that does not follow the legend."""


@dataclass(slots=True)
class _Parser:
    """Recursive descent over the words of one usage text."""

    words: list[str]
    at: int = 0
    next_key: int = 0

    def peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def take(self, wanted: str = "") -> str:
        word = self.peek()
        if not word or (wanted and word != wanted):
            raise UsageError(f"{word or 'the end'!r} where {wanted or 'a word'!r} is needed")
        self.at += 1
        return word

    def accept(self, wanted: str) -> bool:
        found = self.peek() == wanted
        self.at += found
        return found

    def sequence(self, closing: str) -> tuple[Arg, ...]:
        """Arguments up to `closing` or a bar, neither of which is taken."""
        found = []
        while self.peek() not in (closing, "|"):
            found.append(self.item())
        return tuple(found)

    def item(self) -> Arg:
        word = self.take()
        if word in "[(":
            return self.group(word, "")
        if word in _MARKS:
            raise UsageError(f"{word!r} where an argument is needed")
        name, literal = _split_literal(word)
        if not literal:
            return self.argument(word, "")
        following = self.peek()
        if following == "(":
            self.take()
            return self.group("(", literal, name)
        if following and following not in _MARKS and not _split_literal(following)[1]:
            return self.argument(self.take(), literal)
        return Arg(name, "pure-token", name, token=literal)

    def argument(self, word: str, token: str) -> Arg:
        """`name/display:type#spec!version`, all but the name left out as a rule."""
        word, _, deprecated = word.partition("!")
        word, _, spec = word.partition("#")
        stem, colon, kind = word.rpartition(":")
        if not colon or kind not in TYPES:
            stem, kind = word, ""
        name, _, display = stem.partition("/")
        kind = kind or WORD_TYPES.get(name, "string")
        key_spec = int(spec) if spec else self.next_key if kind == "key" else -1
        if kind == "key":
            self.next_key = key_spec + 1
        multiple = self.accept("...")
        return Arg(name, kind, display or name, key_spec, token, False, multiple, False, deprecated)

    def group(self, opening: str, token: str, default: str = "") -> Arg:
        """What stands in brackets, whose opening one is taken already."""
        closing = "]" if opening == "[" else ")"
        name = default
        if self.peek().endswith(":"):
            name = self.take()[:-1]
        choices = [self.sequence(closing)]
        while self.accept("|"):
            choices.append(self.sequence(closing))
        self.take(closing)
        return _closed(choices, opening == "[", self.accept("..."), name, token)


def _split_literal(word: str) -> tuple[str, str]:
    """Name and text of a literal; the text is empty if the word is none."""
    name, _, text = word.partition("=")
    if text and name:
        return name, text
    return (word.lower(), word) if _LITERAL.fullmatch(word) else (word, "")


def _closed(choices: list[tuple[Arg, ...]], optional: bool, repeated: bool, name: str, token: str) -> Arg:
    """The argument that a bracketed group stands for."""
    single = choices[0][0] if len(choices) == 1 and len(choices[0]) == 1 else None
    if single and not name:
        again = repeated and bool(single.token) and single.kind != "pure-token"
        return Arg(
            single.name,
            single.kind,
            single.display,
            single.key_spec,
            single.token,
            optional or single.optional,
            repeated or single.multiple,
            again or single.multiple_token,
            single.deprecated_since,
            single.arguments,
        )
    if len(choices) == 1:
        return Arg(name, "block", name, -1, token, optional, repeated, False, "", choices[0])
    alternatives = tuple(c[0] if len(c) == 1 else Arg("", "block", "", arguments=c) for c in choices)
    return Arg(name, "oneof", name, -1, token, optional, repeated, False, "", alternatives)


def parse(usage: str) -> tuple[Arg, ...]:
    """The arguments of a usage text; raises UsageError if it is not well formed."""
    parser = _Parser(_TOKENS.findall(usage))
    found = parser.sequence("")
    if parser.peek():
        raise UsageError(f"{parser.peek()!r} is outside of brackets")
    return found


def plain(usage: str) -> str:
    """The usage text for people: without names, types and numbers of key specs."""
    text = re.sub(r"(?<=[\[(])[a-z][a-z0-9-]*: ", "", usage)
    text = re.sub(r"(?<![^\s\[(])[a-z][a-z0-9-]*[=/](?=[^\s])", "", text)
    return re.sub(rf"(?:(?::(?:{'|'.join(TYPES)}))?(?:#\d)?(?:![0-9.]+)?)(?=[\s\])|.]|$)", "", text)
