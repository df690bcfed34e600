"""Types of settings: how a value is read from words, checked, shown, and written back to a file.

A value is something JSON can hold: bool, int, str or a list. Text is Latin-1 decoded bytes, so any byte survives.
Called by the rows of `settings`. Error words are Redis' own; `ValueError` carries them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Value = Any
"""bool, int, str or list: whatever the kind's `parse` answers."""

UNITS = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1024,
    "m": 1000**2,
    "mb": 1024**2,
    "g": 1000**3,
    "gb": 1024**3,
}


def parse_memory(text: str) -> int:
    """Bytes of `100`, `64mb`, `1gb`... (`k` is 1000, `kb` is 1024)."""
    found = re.fullmatch(r"(\d+)([a-zA-Z]*)", text)
    if not found or found[2].lower() not in UNITS:
        raise ValueError("argument must be a memory value")
    size = int(found[1]) * UNITS[found[2].lower()]
    if size >= 1 << 64:
        raise ValueError("argument must be a memory value")
    return size


def format_memory(size: int) -> str:
    """The shortest exact way to write a size in a file."""
    for unit in ("gb", "mb", "kb"):
        if size and size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]}{unit}"
    return str(size)


def quote(text: str) -> str:
    """The word as the grammar of redis.conf writes it, in double quotes."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\a": "\\a", "\b": "\\b"}
    body = "".join(escapes.get(c) or (c if " " <= c <= "~" else f"\\x{ord(c):02x}") for c in text)
    return f'"{body}"'


@dataclass(frozen=True, slots=True)
class Kind:
    """One word, as it is. The base of all kinds."""

    @property
    def multi(self) -> bool:
        """Whether a directive takes any number of words."""
        return False

    def parse(self, args: Sequence[str]) -> Value:
        return args[0]

    def merge(self, old: Value, args: Sequence[str], first: bool) -> Value:
        """The value after one more directive in a file; `first` when it is the file's first of this name."""
        return self.parse(args)

    def show(self, value: Value) -> str:
        """For CONFIG GET."""
        return str(value)

    def lines(self, name: str, value: Value) -> list[str]:
        """For CONFIG REWRITE: the directives that stand for the value."""
        return [f"{name} {quote(self.show(value))}"]

    def numbers(self, name: str, value: Value) -> dict[str, int]:
        """What goes to the settings array of the segment, by its names in cext/settings.def."""
        return {}


@dataclass(frozen=True, slots=True)
class Str(Kind):
    """One word. With `optional`, the empty word means "not set" and is not written to a file."""

    optional: bool = True

    def lines(self, name: str, value: Value) -> list[str]:
        return [] if self.optional and value == "" else [f"{name} {quote(value)}"]


@dataclass(frozen=True, slots=True)
class Bare(Kind):
    """A file's name without a folder."""

    def parse(self, args: Sequence[str]) -> Value:
        if "/" in args[0]:
            raise ValueError("{name} can't be a path, just a filename")
        if not args[0]:
            raise ValueError("{name} can't be empty")
        return args[0]


TITLE_VARIABLES = ("title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file")


@dataclass(frozen=True, slots=True)
class Title(Kind):
    """A template of a process title: text with {variables}."""

    def parse(self, args: Sequence[str]) -> Value:
        if any(part not in TITLE_VARIABLES for part in re.findall(r"\{([^}]*)(?:\}|$)", args[0])):
            raise ValueError("template format is invalid or contains unknown variables")
        return args[0]


@dataclass(frozen=True, slots=True)
class Bool(Kind):
    def parse(self, args: Sequence[str]) -> Value:
        if args[0].lower() not in ("yes", "no"):
            raise ValueError("argument must be 'yes' or 'no'")
        return args[0].lower() == "yes"

    def show(self, value: Value) -> str:
        return "yes" if value else "no"

    def lines(self, name: str, value: Value) -> list[str]:
        return [f"{name} {self.show(value)}"]

    def numbers(self, name: str, value: Value) -> dict[str, int]:
        return {name: int(value)}


@dataclass(frozen=True, slots=True)
class Int(Kind):
    low: int = 0
    high: int = 2**31 - 1

    def parse(self, args: Sequence[str]) -> Value:
        if not re.fullmatch(r"-?(0|[1-9]\d*)", args[0]) or args[0] == "-0":
            raise ValueError("argument couldn't be parsed into an integer")
        return self.check(int(args[0]))

    def check(self, value: int) -> int:
        if not self.low <= value <= self.high:
            raise ValueError(f"argument must be between {self.low} and {self.high} inclusive")
        return value

    def lines(self, name: str, value: Value) -> list[str]:
        return [f"{name} {self.show(value)}"]

    def numbers(self, name: str, value: Value) -> dict[str, int]:
        return {name: min(value, 2**63 - 1)}


@dataclass(frozen=True, slots=True)
class Octal(Int):
    def parse(self, args: Sequence[str]) -> Value:
        try:
            value = int(args[0], 8)
        except ValueError:
            raise ValueError("argument couldn't be parsed as an octal number") from None
        if not self.low <= value <= self.high:
            raise ValueError(f"argument must be between {self.low:o} and {self.high:o} inclusive")
        return value

    def show(self, value: Value) -> str:
        return f"{value:o}"

    def numbers(self, name: str, value: Value) -> dict[str, int]:
        return {}


@dataclass(frozen=True, slots=True)
class Memory(Int):
    """Bytes with an optional unit. A negative `low` also permits negative plain numbers (list-max-listpack-size)."""

    high: int = 2**63 - 1

    def parse(self, args: Sequence[str]) -> Value:
        return self.check(parse_memory(args[0]))

    def lines(self, name: str, value: Value) -> list[str]:
        return [f"{name} {format_memory(value) if value > 0 else value}"]


@dataclass(frozen=True, slots=True)
class MemoryOrPercent(Memory):
    """Bytes, or `5%`, which is kept as -5."""

    low: int = -100

    def parse(self, args: Sequence[str]) -> Value:
        if args[0].endswith("%"):
            if not re.fullmatch(r"\d+%", args[0]):
                raise ValueError("argument must be a memory or percent value")
            if int(args[0][:-1]) > -self.low:
                raise ValueError(f"percentage argument must be less or equal to {-self.low}")
            return -int(args[0][:-1])
        try:
            return self.check(parse_memory(args[0]))
        except ValueError as e:
            raise ValueError(str(e).replace("a memory value", "a memory or percent value")) from None

    def show(self, value: Value) -> str:
        return f"{-value}%" if value < 0 else str(value)

    def lines(self, name: str, value: Value) -> list[str]:
        return [f"{name} {self.show(value) if value < 0 else format_memory(value)}"]


@dataclass(frozen=True, slots=True)
class Enum(Kind):
    """One of some words; `numbers` is the word's place in `names` unless `codes` says otherwise."""

    names: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()
    synonyms: tuple[tuple[str, str], ...] = ()

    def parse(self, args: Sequence[str]) -> Value:
        word = dict(self.synonyms).get(args[0].lower(), args[0].lower())
        if word not in self.names:
            raise ValueError("argument(s) must be one of the following: " + ", ".join(self.names))
        return word

    def lines(self, name: str, value: Value) -> list[str]:
        return [f"{name} {value}"]

    def numbers(self, name: str, value: Value) -> dict[str, int]:
        place = self.names.index(value)
        return {name: self.codes[place] if self.codes else place}


@dataclass(frozen=True, slots=True)
class EnumSet(Enum):
    """Several of some words; the first name is the empty set."""

    @property
    def multi(self) -> bool:
        return True

    def parse(self, args: Sequence[str]) -> Value:
        chosen = [Enum.parse(self, [word]) for word in args or [""]]
        if self.names[0] in chosen and len(chosen) > 1:
            chosen = [word for word in chosen if word != self.names[0]]
        if {"save", "nosave"} <= set(chosen):
            raise ValueError("'save' and 'nosave' can't be used together")
        return [n for n in self.names if n in chosen]

    def show(self, value: Value) -> str:
        return " ".join(value)

    def lines(self, name: str, value: Value) -> list[str]:
        return [f"{name} {self.show(value)}"]

    def numbers(self, name: str, value: Value) -> dict[str, int]:
        return {}


@dataclass(frozen=True, slots=True)
class Words(Kind):
    """Any number of words, between `low` and `high`."""

    low: int = 0
    high: int = 16
    too_many: str = "wrong number of arguments"

    @property
    def multi(self) -> bool:
        return True

    def parse(self, args: Sequence[str]) -> Value:
        words = [w for w in args if w != ""]
        if not self.low <= len(words) <= self.high:
            raise ValueError(self.too_many)
        return words

    def show(self, value: Value) -> str:
        return " ".join(str(v) for v in value)

    def lines(self, name: str, value: Value) -> list[str]:
        return [f"{name} {self.show(value)}" if value else f'{name} ""']


@dataclass(frozen=True, slots=True)
class Percentiles(Words):
    """Numbers between 0 and 100, each once."""

    def parse(self, args: Sequence[str]) -> Value:
        values: list[float] = []
        for word in Words.parse(self, args):
            try:
                number = float(word)
            except ValueError:
                raise ValueError("Invalid latency-tracking-info-percentiles parameters") from None
            if not 0 <= number <= 100:
                raise ValueError("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
            values.append(number)
        return values

    def show(self, value: Value) -> str:
        return " ".join(f"{v:.10g}" for v in value)


@dataclass(frozen=True, slots=True)
class OomValues(Words):
    low: int = 3
    high: int = 3

    def parse(self, args: Sequence[str]) -> Value:
        if len(args) != 3:
            raise ValueError("wrong number of arguments")
        try:
            values = [int(w) for w in args]
        except ValueError:
            raise ValueError("Invalid oom-score-adj-values, elements must be between -2000 and 2000.") from None
        if not all(-2000 <= v <= 2000 for v in values):
            raise ValueError("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
        return values


@dataclass(frozen=True, slots=True)
class Save(Kind):
    """Save points: seconds and changes, pair after pair. In a file they add up, and `save ""` clears them."""

    @property
    def multi(self) -> bool:
        return True

    def parse(self, args: Sequence[str]) -> Value:
        words = [] if list(args) == [""] else list(args)
        if len(words) % 2 or not all(re.fullmatch(r"\d+", w) for w in words):
            raise ValueError("Invalid save parameters")
        points = [[int(words[i]), int(words[i + 1])] for i in range(0, len(words), 2)]
        if any(seconds < 1 for seconds, _ in points):
            raise ValueError("Invalid save parameters")
        return points

    def merge(self, old: Value, args: Sequence[str], first: bool) -> Value:
        new = self.parse(args)
        return new if first or not new else [*old, *new]

    def show(self, value: Value) -> str:
        return " ".join(f"{seconds} {changes}" for seconds, changes in value)

    def lines(self, name: str, value: Value) -> list[str]:
        return [f"{name} {seconds} {changes}" for seconds, changes in value] or [f'{name} ""']


@dataclass(frozen=True, slots=True)
class Cron(Kind):
    """A cron expression, quoted or not; the empty word is none."""

    @property
    def multi(self) -> bool:
        return True

    def parse(self, args: Sequence[str]) -> Value:
        from croniter import croniter

        words = " ".join(args).split()
        text = " ".join(words)
        if text and not (len(words) in (1, 5, 6) and croniter.is_valid(text)):
            raise ValueError("a cron expression is wanted: minute hour day month weekday [second], or @hourly, @daily, @weekly, @monthly")
        return text

    def lines(self, name: str, value: Value) -> list[str]:
        return [f"{name} {value}"] if value else []


@dataclass(frozen=True, slots=True)
class Keep(Kind):
    """What shoal.persist.retention keeps: pairs of a unit and a number; the empty word keeps everything."""

    @property
    def multi(self) -> bool:
        return True

    def parse(self, args: Sequence[str]) -> Value:
        from shoal.persist.retention import parse

        return [list(pair) for pair in parse(" ".join(args).split())]

    def show(self, value: Value) -> str:
        return " ".join(f"{unit} {count}" for unit, count in value)

    def lines(self, name: str, value: Value) -> list[str]:
        return [f"{name} {self.show(value)}"] if value else []


CLIENT_CLASSES = ("normal", "slave", "pubsub")


@dataclass(frozen=True, slots=True)
class OutputLimits(Kind):
    """`class hard soft seconds`, for one or more classes; classes that are not named keep their limits."""

    @property
    def multi(self) -> bool:
        return True

    def parse(self, args: Sequence[str]) -> Value:
        if len(args) % 4 or not args:
            raise ValueError("Wrong number of arguments in buffer limit configuration.")
        limits: dict[str, list[int]] = {}
        for i in range(0, len(args), 4):
            name = {"replica": "slave"}.get(args[i].lower(), args[i].lower())
            if name not in CLIENT_CLASSES:
                raise ValueError("Invalid client class specified in buffer limit configuration.")
            try:
                limits[name] = [parse_memory(args[i + 1]), parse_memory(args[i + 2]), int(args[i + 3])]
            except ValueError:
                limits[name] = [-1]
            if min(limits[name]) < 0:
                raise ValueError("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
        return limits

    def merge(self, old: Value, args: Sequence[str], first: bool) -> Value:
        return {**old, **self.parse(args)}

    def show(self, value: Value) -> str:
        return " ".join(f"{c} {value[c][0]} {value[c][1]} {value[c][2]}" for c in CLIENT_CLASSES)

    def lines(self, name: str, value: Value) -> list[str]:
        shown = {"slave": "replica"}
        return [
            f"{name} {shown.get(c, c)} {format_memory(value[c][0])} {format_memory(value[c][1])} {value[c][2]}"
            for c in CLIENT_CLASSES
        ]

    def numbers(self, name: str, value: Value) -> dict[str, int]:
        fields = ("hard", "soft", "seconds")
        return {f"{name}.{c}.{f}": value[c][i] for c in CLIENT_CLASSES for i, f in enumerate(fields)}


EVENT_BITS = {"K": 1, "E": 2, "g": 4, "$": 8, "l": 16, "s": 32, "h": 64, "z": 128}
EVENT_BITS |= {"x": 256, "e": 512, "t": 1024, "m": 2048, "d": 8192, "n": 16384}
ALL_EVENTS = "g$lshzxetd"


@dataclass(frozen=True, slots=True)
class Events(Kind):
    """Classes of keyspace notifications, one letter each; kept as Redis writes them."""

    def parse(self, args: Sequence[str]) -> Value:
        if set(args[0]) - set(EVENT_BITS) - {"A"}:
            raise ValueError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        bits = 0
        for letter in args[0].replace("A", ALL_EVENTS):
            bits |= EVENT_BITS[letter]
        return self.letters(bits)

    @staticmethod
    def letters(bits: int) -> str:
        every = sum(EVENT_BITS[c] for c in ALL_EVENTS)
        out = "A" if bits & every == every else "".join(c for c in "g$lshzxetd" if bits & EVENT_BITS[c])
        if bits & every != every and bits & EVENT_BITS["n"]:
            out += "n"
        out += "".join(c for c in "KEm" if bits & EVENT_BITS[c])
        if bits & every == every and bits & EVENT_BITS["n"]:
            out += "n"
        return out

    def numbers(self, name: str, value: Value) -> dict[str, int]:
        bits = 0
        for letter in value.replace("A", ALL_EVENTS):
            bits |= EVENT_BITS[letter]
        return {name: bits}


@dataclass(frozen=True, slots=True)
class Folder(Kind):
    """A folder that exists; kept as an absolute path. A file's directive is taken relative to where we stand then."""

    def parse(self, args: Sequence[str]) -> Value:
        if not args[0]:
            raise ValueError("No such file or directory")
        path = os.path.abspath(args[0].encode("latin-1"))
        if not os.path.isdir(path):
            raise ValueError("Not a directory" if os.path.exists(path) else "No such file or directory")
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise ValueError("Permission denied")
        return path.decode("latin-1")


@dataclass(frozen=True, slots=True)
class HostPort(Kind):
    """`replicaof host port` or `replicaof no one`; kept as `host port` or the empty word."""

    @property
    def multi(self) -> bool:
        return True

    def parse(self, args: Sequence[str]) -> Value:
        if [w.lower() for w in args] in (["no", "one"], [""]):
            return ""
        if len(args) != 2:
            raise ValueError("wrong number of arguments")
        if not re.fullmatch(r"\d{1,5}", args[1]) or not 0 < int(args[1]) < 65536:
            raise ValueError("Invalid master port")
        return f"{args[0]} {args[1]}"

    def lines(self, name: str, value: Value) -> list[str]:
        return [f"{name} {value}"] if value else []

    def numbers(self, name: str, value: Value) -> dict[str, int]:
        return {name: int(bool(value))}
