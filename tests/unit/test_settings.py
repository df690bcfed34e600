"""shoal.settings and shoal.kinds: the rows, the sample configuration, what C is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from shoal import settings
from shoal.configfile import Loaded, parse
from shoal.kinds import Events, format_memory, parse_memory, quote
from shoal.settings import BY_NAME, LOOKUP, ROWS, defaults, numbers, sample

ROOT = Path(__file__).parents[2]
DEF_ROWS = re.findall(r'^SETTING\((\w+), "([^"]+)", (-?\d+)\)', (ROOT / "cext/settings.def").read_text(), re.M)


def test_sample_configuration_is_generated() -> None:
    assert (ROOT / "shoal.conf").read_text() == sample(), "run `make conf`"


def test_sample_configuration_shows_the_defaults() -> None:
    lines = [line[2:] for line in sample().splitlines() if line.startswith("# ")]
    directives = [x for x in lines if x.split()[0] in LOOKUP and not x.endswith(".")]
    assert {x.split()[0] for x in directives} == {row.name for row in ROWS if not row.hidden}
    loaded = Loaded()
    parse("\n".join(x for x in directives if not x.startswith(("dir ", "workers "))), loaded)
    assert loaded.values == defaults()


@pytest.mark.parametrize(("c_name", "name", "default"), DEF_ROWS, ids=[row[1] for row in DEF_ROWS])
def test_numbers_of_c_have_a_row_with_the_same_default(c_name: str, name: str, default: str) -> None:
    assert c_name == c_name.lower()
    if not name.startswith("<"):
        assert numbers(defaults())[name] == int(default)


def test_names_are_unique() -> None:
    names = [name for row in ROWS for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_value_survives_being_written_and_read(row: settings.Setting) -> None:
    loaded = Loaded()
    value: Any = row.default
    if row.name == "dir":
        return
    parse("\n".join(row.kind.lines(row.name, value)), loaded)
    assert loaded.values[row.name] == value


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1", 1), ("1b", 1), ("1k", 1000), ("1kb", 1024), ("2MB", 2 << 20), ("3m", 3000000), ("1Gb", 1 << 30)],
)
def test_memory_units(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "kb", "1tb", "-1", "1.5gb", "1 kb", "99999999999999999999"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="argument must be a memory value"):
        parse_memory(text)


def test_sizes_are_written_exactly() -> None:
    for size in (0, 1, 1000, 1024, 1536, 5 << 20, 7 << 30, (1 << 30) + 1):
        assert parse_memory(format_memory(size)) == size


def test_quoted_words_are_read_back() -> None:
    from shoal.configfile import split_words

    word = "".join(map(chr, range(256)))
    assert split_words(quote(word)) == [word]


@pytest.mark.parametrize(
    ("given", "shown", "bits"),
    [("", "", 0), ("KEA", "AKE", 3 | 10236 & ~2048), ("Ex", "xE", 258), ("gK$", "g$K", 13), ("AKEm", "AKEm", None)],
)
def test_event_classes(given: str, shown: str, bits: int | None) -> None:
    kind = Events()
    value = kind.parse([given])
    assert value == shown
    if bits is not None:
        assert kind.numbers("x", value) == {"x": bits}


@pytest.mark.parametrize(
    ("name", "args", "problem"),
    [
        ("maxmemory", ["10xb"], "argument must be a memory value"),
        ("appendonly", ["maybe"], "argument must be 'yes' or 'no'"),
        ("port", ["abc"], "argument couldn't be parsed into an integer"),
        ("port", ["70000"], "argument must be between 0 and 65535 inclusive"),
        ("unixsocketperm", ["789"], "argument couldn't be parsed as an octal number"),
        ("unixsocketperm", ["7777"], "argument must be between 0 and 777 inclusive"),
        ("maxmemory-clients", ["200%"], "percentage argument must be less or equal to 100"),
        ("maxmemory-clients", ["x%"], "argument must be a memory or percent value"),
        ("loglevel", ["loud"], "argument(s) must be one of the following: debug, verbose, notice, warning"),
        ("save", ["1"], "Invalid save parameters"),
        ("client-output-buffer-limit", ["a", "b"], "Wrong number of arguments in buffer limit configuration."),
        ("client-output-buffer-limit", ["king", "1", "1", "1"], "Invalid client class specified in buffer limit"),
        ("notify-keyspace-events", ["Q"], "Invalid event class character."),
        ("oom-score-adj-values", ["1"], "wrong number of arguments"),
        ("dbfilename", ["a/b"], "{name} can't be a path, just a filename"),
    ],
)
def test_bad_values(name: str, args: list[str], problem: str) -> None:
    with pytest.raises(ValueError) as found:
        BY_NAME[name].kind.parse(args)
    assert problem in str(found.value)


def test_limits_of_classes_that_are_not_named_stay() -> None:
    kind = BY_NAME["client-output-buffer-limit"].kind
    old = BY_NAME["client-output-buffer-limit"].default
    new = kind.merge(old, ["replica", "1mb", "2mb", "3"], True)
    assert new["slave"] == [1 << 20, 2 << 20, 3]
    assert new["pubsub"] == old["pubsub"]
