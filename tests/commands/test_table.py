"""Every row of cext/commands.def, over the socket: arity, unknown subcommands, WRONGTYPE, COMMAND, GETKEYS.

What is expected follows from the row alone, or is what redis-server answers to the same words.
"""

from __future__ import annotations

from typing import Any

import calls
import pytest
from wire import Error, Set, Wire

from shoal.commands import table, usage

ROWS = table.rows()
NAMES = sorted(ROWS)
CONTAINERS = sorted(table.children())

NEWER = {"wait", "blmove", "blpop", "brpop", "brpoplpush", "bzpopmax", "bzpopmin"}
"""Their flags changed between Redis 7.0 and 7.2."""

NEWER_ARITY = {"command|getkeys", "command|getkeysandflags", "zrank", "zrevrank"}
NEWER_KEYS = {"sinterstore"}
NOT_BOTH = {"migrate"}
"""Their tree permits a key and a list of keys in one call, they do not."""

MAKE = {
    "string": ["SET", "{}", "x"],
    "list": ["RPUSH", "{}", "x"],
    "hash": ["HSET", "{}", "f", "1"],
    "set": ["SADD", "{}", "x"],
    "zset": ["ZADD", "{}", "1", "m"],
    "stream": ["XADD", "{}", "1-1", "f", "v"],
}
"""How to make a key of each type."""

MAKE = {kind: make for kind, make in MAKE.items() if make[0].lower() in ROWS}

TYPE_OF_GROUP = {
    "string": "string",
    "bitmap": "string",
    "hyperloglog": "string",
    "list": "list",
    "hash": "hash",
    "set": "set",
    "sorted-set": "zset",
    "geo": "zset",
    "stream": "stream",
}

NO_WRONGTYPE = {"mget", "setnx", "msetnx", "set", "pfselftest", "pfdebug"}
"""Commands that take keys of any type: they reply null, or only ask whether the key exists, or have no data key."""

ALSO_SETS = {name for name in ROWS if ROWS[name].group == "sorted-set" and "store" in name} | {
    "zunion",
    "zinter",
    "zdiff",
    "zintercard",
}
"""Their sources may be sets too."""


def plain(reply: Any) -> Any:
    """Order does not count in sets and maps, and RESP2 has none."""
    if isinstance(reply, dict):
        return {str(k): plain(v) for k, v in reply.items()}
    if isinstance(reply, Set):
        return sorted((plain(item) for item in reply), key=str)
    if isinstance(reply, list):
        return [plain(item) for item in reply]
    return reply


def words(reply: list[Any]) -> set[str]:
    return {str(word) for word in reply}


# ---- arity and names ----


def wrong_arity_calls(row: table.Row) -> list[list[str]]:
    """Too few arguments, and too many where their number is fixed."""
    name = row.fullname.split("|")
    need = abs(row.arity)
    few = [*name, *["x"] * max(0, need - 1 - len(name))]
    found = [few] if len(name) < need else []
    if row.arity > 0:
        found.append([*name, *["x"] * (need + 1 - len(name))])
    if row.fullname in CONTAINERS:
        return [name] if need > 1 else []
    return found


@pytest.mark.parametrize("name", NAMES)
def test_wrong_number_of_arguments(wire: Wire, name: str) -> None:
    for call in wrong_arity_calls(ROWS[name]):
        start = "EXECABORT Transaction discarded because of: " if name == "exec" else "ERR "
        assert wire(*call) == Error(f"{start}wrong number of arguments for '{name}' command")


@pytest.mark.parametrize("name", CONTAINERS)
def test_unknown_subcommand(wire: Wire, name: str) -> None:
    expected = Error(f"ERR unknown subcommand 'NoSuch'. Try {name.upper()} HELP.")
    assert wire(name, "NoSuch") == expected
    assert wire(name.upper(), "NoSuch", "x", "y") == expected


def test_unknown_command(wire: Wire) -> None:
    start = "ERR unknown command 'NoSuch', with args beginning with: "
    assert wire("NoSuch") == Error(start)
    assert wire("NoSuch", "a", "b c") == Error(start + "'a' 'b c' ")
    assert wire("NoSuch", "a\r\nb") == Error(start + "'a  b' ")
    assert wire("No" * 100, "x" * 200) == Error(
        f"ERR unknown command '{'No' * 64}', with args beginning with: '{'x' * 128}' "
    )
    assert wire("") == Error("ERR unknown command '', with args beginning with: ")


@pytest.mark.parametrize("name", ["get", "GET", "gEt"])
def test_names_have_no_case(wire: Wire, name: str) -> None:
    assert wire(name, "nothing-here") is None
    assert isinstance(wire(name + "x", "k"), Error)


@pytest.mark.parametrize("name", CONTAINERS)
def test_help_names_every_subcommand(wire: Wire, name: str) -> None:
    lines = wire(name, "HELP")
    assert lines[0].startswith(name.upper() + " <subcommand>")
    heads = {line.split(" ", 1)[0] for line in lines if not line.startswith("    ")}
    assert {row.name.upper() for row in table.children()[name]} <= heads


# ---- types ----


def wrong_type_calls(row: table.Row) -> list[tuple[list[str], str]]:
    """The shortest call with one of its keys in a wrong type, for each key that the row reads; with the type."""
    type_wanted = TYPE_OF_GROUP.get(row.group)
    args = usage.parse(row.usage)
    if type_wanted is None or row.name in NO_WRONGTYPE:
        return []
    kinds = [spec.split()[1] for spec in row.keys.split("; ")] if row.keys else []
    keys = calls.Keys()
    calls._sequence(args, row.fullname, keys, False)
    found = []
    for i in range(keys.used):
        if kinds[min(i, len(kinds) - 1)] == "OW":
            continue
        for kind in MAKE:
            if kind == type_wanted or (kind == "set" and row.fullname in ALSO_SETS):
                continue
            names = [f"t:{kind}" if j == i else f"t:{type_wanted}" for j in range(keys.used)]
            found.append((calls.minimal(row.fullname, args, names), kind))
    return found


@pytest.fixture
def typed(wire: Wire) -> Wire:
    """A key of every type, t:string and so on."""
    for kind, make in MAKE.items():
        wire("DEL", f"t:{kind}")
        reply = wire(*[word.format(f"t:{kind}") for word in make])
        assert not isinstance(reply, Error), reply
    return wire


@pytest.mark.parametrize("name", [name for name in NAMES if wrong_type_calls(ROWS[name])])
def test_wrong_type(typed: Wire, name: str) -> None:
    for call, kind in wrong_type_calls(ROWS[name]):
        reply = typed(*call)
        assert isinstance(reply, Error), (call, kind, reply)
        if name == "lcs":
            assert reply == "ERR The specified keys must contain string values"
        else:
            assert reply.code == "WRONGTYPE", (call, kind, reply)


# ---- COMMAND ----


def test_count_and_list(wire: Wire) -> None:
    top = {name for name in NAMES if "|" not in name}
    assert wire("COMMAND", "COUNT") == len(top)
    assert {reply[0].decode() for reply in wire("COMMAND")} == top
    assert {name.decode() for name in wire("COMMAND", "LIST")} == set(NAMES)


def test_list_by_filter(wire: Wire) -> None:
    def listed(*args: str) -> set[str]:
        return {name.decode() for name in wire("COMMAND", "LIST", "FILTERBY", *args)}

    assert listed("ACLCAT", "transaction") == {"multi", "exec", "discard", "watch", "unwatch"}
    assert listed("aclcat", "NoSuch") == set()
    assert listed("PATTERN", "config|*") == {row.fullname for row in table.children()["config"]}
    assert listed("PATTERN", "GE[T]") == {"get"}
    assert listed("MODULE", "x") == set()
    for bad in (["x"], ["FILTERBY", "x", "y"], ["FILTERBY", "PATTERN"], ["FILTERBY", "PATTERN", "a", "b"]):
        assert wire("COMMAND", "LIST", *bad) == Error("ERR syntax error")


def test_info_of_unknown_names(wire: Wire) -> None:
    assert wire("COMMAND", "INFO", "NoSuch", "config|NoSuch") == [None, None]
    assert plain(wire("COMMAND", "DOCS", "NoSuch")) in ({}, [])


@pytest.mark.parametrize("name", NAMES)
def test_info_is_that_of_redis(wire: Wire, reference: Wire, name: str) -> None:
    ours, theirs = wire("COMMAND", "INFO", name)[0], reference("COMMAND", "INFO", name)[0]
    if theirs is None:
        pytest.skip("not in this redis-server")
    assert ours[0] == theirs[0]
    if name not in NEWER_ARITY:
        assert ours[1] == theirs[1]
    assert ours[3:6] == theirs[3:6]
    if name not in NEWER:
        assert words(ours[2]) == words(theirs[2])
        assert words(ours[6]) == words(theirs[6])
    if name not in NEWER_KEYS:
        notes = "notes", b"notes"
        specs = [without(plain(reply[8]), notes) for reply in (ours, theirs)]
        assert sorted(map(repr, specs[0])) == sorted(map(repr, specs[1]))  # in RESP3 a set, whose order the notes have decided


def without(value: Any, names: tuple[Any, ...]) -> Any:
    """Maps (and RESP2's lists of pairs) without these names; flags, which are sets, in one order."""
    if isinstance(value, dict):
        return {k: without(v, names) for k, v in value.items() if k not in map(str, names)}
    if isinstance(value, list):
        items = [without(item, names) for item in value]
        while any(name in items[:-1:2] for name in names):
            at = next(i for i in range(0, len(items) - 1, 2) if items[i] in names)
            del items[at : at + 2]
        return sorted(items) if items and all(isinstance(item, str) for item in items) else items
    return value


@pytest.mark.parametrize("name", NAMES)
def test_docs(wire: Wire, name: str) -> None:
    row = ROWS[name]
    reply = wire("COMMAND", "DOCS", name)
    (key, docs) = next(iter(reply.items())) if wire.resp == 3 else reply
    fields = docs if wire.resp == 3 else dict(zip(docs[::2], docs[1::2], strict=True))
    assert key == name.encode()
    assert fields[b"summary"].decode() == row.summary
    assert fields[b"since"].decode() == row.since
    assert fields[b"group"].decode() == row.group
    assert len(fields.get(b"arguments", [])) == len(usage.parse(row.usage))
    assert (b"deprecated_since" in fields) == bool(row.deprecated_since)
    subcommands = fields.get(b"subcommands", [])
    assert len(subcommands) == len(table.children().get(name, [])) * (1 if wire.resp == 3 else 2)


# ---- keys ----

BAD_KEYS = [
    "mset a b c",
    "sort a by store get store store x",
    "sort a store",
    "config get x",
    "config nope x",
    "nope x",
    "memory usage",
    "bitfield k overflow wrap get u8 0",
    "bitfield k get u8",
    "bitfield k overflow",
    "xread streams a b",
    "xread count 1 streams a b c",
    "xreadgroup group streams c streams a 0",
    "zunion 3 a b",
    "zunion 0 a",
    "zunion x a",
    "zunion -1 a",
    "zunionstore d 0 a",
    "lmpop 1 a left",
    "lmpop 2 a left",
    "bzmpop 0 5 a min",
    "sintercard 99999999999999999999 a",
    "georadius k 1 1 1 km STORE",
    "georadius k 1 1 1 km STORE a STOREDIST b",
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nope", "Invalid command specified"),
        ("ping", "The command has no key arguments"),
        ("get", "Invalid number of arguments specified for command"),
        ("object", "The command has no key arguments"),
    ],
)
def test_keys_of_a_name_alone(wire: Wire, name: str, expected: str) -> None:
    for subcommand in ("GETKEYS", "GETKEYSANDFLAGS"):
        assert wire("COMMAND", subcommand, name) == Error(f"ERR {expected}")


@pytest.mark.parametrize("line", BAD_KEYS)
def test_keys_of_unusual_calls(wire: Wire, reference: Wire, line: str) -> None:
    call = line.split()
    if not wire("COMMAND", "INFO", call[0])[0] and call[0] != "nope":
        pytest.skip("not built")
    for subcommand in ("GETKEYS", "GETKEYSANDFLAGS"):
        assert plain(wire("COMMAND", subcommand, *call)) == plain(reference("COMMAND", subcommand, *call))


@pytest.mark.parametrize("name", [name for name in NAMES if ROWS[name].has_keys])
def test_keys_of_every_form(wire: Wire, reference: Wire, name: str) -> None:
    row = ROWS[name]
    if reference("COMMAND", "INFO", name)[0] is None:
        pytest.skip("not in this redis-server")
    for call in calls.variants(name, usage.parse(row.usage)):
        for subcommand in ("GETKEYS", "GETKEYSANDFLAGS"):
            if subcommand == "GETKEYSANDFLAGS" and name in NEWER_KEYS:
                continue
            ours = wire("COMMAND", subcommand, *call)
            assert name in NOT_BOTH or not isinstance(ours, Error), (call, ours)
            theirs = reference("COMMAND", subcommand, *call)
            if isinstance(theirs, Error) and (name in NEWER_ARITY or name == "pfmerge"):
                continue  # PFMERGE's sources may be left out, but Redis' GETKEYS does not know
            assert plain(ours) == plain(theirs), call
