"""shoal.commands.usage: the tree of arguments behind a usage text, and its plain form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shoal.commands.usage import Arg, UsageError, parse, plain

ROWS = sorted((Path(__file__).parents[2] / "cext" / "commands").glob("*.def"))


def shape(args: tuple[Arg, ...]) -> list[object]:
    """Name, kind, literal and flags of each, groups with what is in them."""
    return [(a.name, a.kind, a.token, *a.flags, *([shape(a.arguments)] if a.arguments else [])) for a in args]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ("", []),
        ("key value", [("key", "key", ""), ("value", "string", "")]),
        ("key...", [("key", "key", "", "multiple")]),
        ("[member...]", [("member", "string", "", "optional", "multiple")]),
        ("[REPLACE]", [("replace", "pure-token", "REPLACE", "optional")]),
        ("[change=CH]", [("change", "pure-token", "CH", "optional")]),
        ("[COUNT count]", [("count", "integer", "COUNT", "optional")]),
        ("[GET pattern]...", [("pattern", "pattern", "GET", "optional", "multiple", "multiple_token")]),
        ("[ID client-id...]", [("client-id", "integer", "ID", "optional", "multiple")]),
        (
            "[condition: NX | XX]",
            [("condition", "oneof", "", "optional", [("nx", "pure-token", "NX"), ("xx", "pure-token", "XX")])],
        ),
        (
            "[LIMIT (offset count)]",
            [("limit", "block", "LIMIT", "optional", [("offset", "integer", ""), ("count", "integer", "")])],
        ),
        (
            "(data: key value)...",
            [("data", "block", "", "multiple", [("key", "key", ""), ("value", "string", "")])],
        ),
        (
            "(id-selector: auto-id=* | id)",
            [("id-selector", "oneof", "", [("auto-id", "pure-token", "*"), ("id", "string", "")])],
        ),
        (
            "[operator: equal== | approximately=~] threshold",
            [
                (
                    "operator",
                    "oneof",
                    "",
                    "optional",
                    [("equal", "pure-token", "="), ("approximately", "pure-token", "~")],
                ),
                ("threshold", "string", ""),
            ],
        ),
        (
            "(args: (no-one: NO ONE) | host)",
            [
                (
                    "args",
                    "oneof",
                    "",
                    [
                        ("no-one", "block", "", [("no", "pure-token", "NO"), ("one", "pure-token", "ONE")]),
                        ("host", "string", ""),
                    ],
                )
            ],
        ),
    ],
)
def test_tree(usage: str, expected: list[object]) -> None:
    assert shape(parse(usage)) == expected


def test_key_specs_are_counted_and_can_be_named() -> None:
    source, destination = parse("source destination")
    assert (source.key_spec, destination.key_spec) == (0, 1)
    first, second = parse("key1 key2#0")
    assert (first.key_spec, second.key_spec) == (0, 0)
    key, pattern, store = parse("key [BY by-pattern/pattern#1] [STORE destination#2]")
    assert (key.key_spec, pattern.key_spec, store.key_spec) == (0, 1, 2)
    assert (pattern.name, pattern.display, pattern.kind) == ("by-pattern", "pattern", "pattern")
    assert parse("value")[0].key_spec == -1


def test_a_colon_in_a_word_is_a_type_only_before_one() -> None:
    assert parse("increment:double")[0].kind == "double"
    address = parse("old-format/ip:port!2.8.12")[0]
    assert (address.name, address.display, address.kind) == ("old-format", "ip:port", "string")
    assert address.deprecated_since == "2.8.12"


@pytest.mark.parametrize("usage", ["[key", "key]", "(a | b", "a | b", "key)", "..."])
def test_what_is_not_well_formed_is_refused(usage: str) -> None:
    with pytest.raises(UsageError):
        parse(usage)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ("key [condition: NX | XX] [expiration: EX seconds | KEEPTTL]", "key [NX | XX] [EX seconds | KEEPTTL]"),
        ("key1 key2#0 [LEN]", "key1 key2 [LEN]"),
        ("(data: key value)...", "(key value)..."),
        ("key increment:double", "key increment"),
        ("[BY by-pattern/pattern#1] [sorting=ALPHA]", "[BY pattern] [ALPHA]"),
        ("(filter: old-format/ip:port!2.8.12 | id)", "(ip:port | id)"),
        ("[operator: equal== | approximately=~] n", "[= | ~] n"),
    ],
)
def test_plain(usage: str, expected: str) -> None:
    assert plain(usage) == expected


@pytest.mark.parametrize("path", ROWS, ids=lambda p: p.stem)
def test_every_row_has_a_usage_that_parses(path: Path) -> None:
    text = re.sub(r'"\s*\n\s*"', "", path.read_text())
    usages = re.findall(r'"((?:[^"\\]|\\.)*)"\)\n(?!\s)', re.sub(r"DEPRECATED\(.*\)\n", "", text))
    assert len(usages) == len(re.findall(r"^(?:SUB)?COMMAND\(", text, re.M))
    for usage in usages:
        parse(usage)
