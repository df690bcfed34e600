"""COMMAND and COMMAND DOCS beside redis-server 8.2, for every command and subcommand that both have.

Compared are arity, flags, key positions, ACL categories, tips, key specifications and the tree of arguments. 8.2 says of these commands
what 7.2 says but for options that are newer, which `NEWER` takes out of its answer. Summaries and complexities are in words of our own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import StartServer
from tests.peers import StartPeer, start_peer  # noqa: F401

Tree = list[dict[str, Any]]

NEWER = {
    "bitop": {"diff", "diff1", "andor", "one"},  # 8.2
    "client|kill": {"maxage"},  # 7.4
    "hscan": {"novalues"},  # 7.4
    "xadd": {"condition"},  # 8.2: KEEPREF, DELREF, ACKED
    "xtrim": {"condition"},
}
"""Names of arguments that Redis 7.2 does not have, by the command's full name."""

UNTOLD = {"since"}
"""Since when a single argument has been there is not told here."""

COLUMNS = ("name", "arity", "flags", "first key", "last key", "step", "categories", "tips", "key specifications")
SETS = {"flags", "categories", "tips"}


def tables(client: redis.Redis) -> tuple[dict[str, list[Any]], dict[str, dict[str, Any]]]:
    """Rows of COMMAND and of COMMAND DOCS by full name, as the wire has them in RESP3."""
    connection = client.connection_pool.get_connection()
    rows: dict[str, list[Any]] = {}
    docs: dict[str, dict[str, Any]] = {}

    def add_row(row: list[Any]) -> None:
        rows[row[0]] = row
        for child in row[9] or ():
            add_row(child)

    def add_docs(found: dict[str, dict[str, Any]]) -> None:
        for name, row in found.items():
            docs[name] = row
            add_docs(row.get("subcommands") or {})

    try:
        connection.send_command("COMMAND")
        for row in connection.read_response():
            add_row(row)
        connection.send_command("COMMAND", "DOCS")
        add_docs(connection.read_response())
    finally:
        client.connection_pool.release(connection)
    return rows, docs


def column(name: str, row: list[Any]) -> Any:
    found = row[COLUMNS.index(name)]
    if name in SETS:
        return sorted(found)
    if name == "key specifications":  # flags are a set; notes are words for people
        return [{k: sorted(v) if k == "flags" else v for k, v in spec.items() if k != "notes"} for spec in found]
    return found


def arguments(command: str, tree: Tree) -> Tree:
    """Without what is newer than 7.2 and what is not told."""
    newer = NEWER.get(command, set())
    kept = []
    for arg in tree:
        if arg["name"] in newer:
            continue
        shown = {k: sorted(v) if k == "flags" else v for k, v in arg.items() if k not in UNTOLD}
        if "arguments" in shown:
            shown["arguments"] = arguments(command, shown["arguments"])
        kept.append(shown)
    return kept


def test_commands_describe_themselves_as_in_redis(
    start_server: StartServer, start_peer: StartPeer, tmp_path: Path  # noqa: F811
) -> None:
    ours = redis.Redis(port=start_server("--save", "").port, protocol=3, decode_responses=True)
    theirs = redis.Redis(port=start_peer("redis-8.2", tmp_path / "peer").port, protocol=3, decode_responses=True)
    our_rows, our_docs = tables(ours)
    their_rows, their_docs = tables(theirs)
    both = sorted(our_rows.keys() & their_rows.keys())
    assert len(both) > 280, "the comparison is of hardly anything"
    wrong = [
        f"{command}, {name}: {a!r} here, {b!r} there"
        for command in both
        for name in COLUMNS
        if (a := column(name, our_rows[command])) != (b := column(name, their_rows[command]))
    ]
    wrong += [
        f"{command}, arguments: {a!r} here, {b!r} there"
        for command in both
        if (a := arguments(command, our_docs[command].get("arguments", [])))
        != (b := arguments(command, their_docs[command].get("arguments", [])))
    ]
    for key in ("group", "since", "deprecated_since"):
        wrong += [
            f"{command}, {key}: {a!r} here, {b!r} there"
            for command in both
            if (a := our_docs[command].get(key)) != (b := their_docs[command].get(key))
        ]
    if wrong:
        pytest.fail("\n".join(wrong))
