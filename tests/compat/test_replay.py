"""The append-only file of random commands gives the same dataset again: to Shoal (DEBUG LOADAOF) and to redis-server.

What is logged are effects (SPOP as SREM, EXPIRE as PEXPIREAT ...), so this finds a command whose record does something else than the
command did. In some examples the file is rewritten while the commands go on, with a base in RDB or in commands. Datasets are compared by DEBUG DIGEST.
SHOAL_REPLAY_EXAMPLES sets how many examples are run.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_differential import COMMANDS, Command
from test_differential_list_hash import HASHES, LISTS
from test_differential_sets import GEO_COMMANDS, OTHER_COMMANDS, SET_COMMANDS, ZSET_COMMANDS
from wire import Error, Wire

from tests.needs import redis_server

EXAMPLES = int(os.environ.get("SHOAL_REPLAY_EXAMPLES", "12"))
STREAMS = st.sampled_from([
    (b"XADD", b"x", b"*", b"f", b"v"), (b"XADD", b"x", b"MAXLEN", b"3", b"*", b"f", b"v", b"g", b"w"), (b"XADD", b"w", b"5-*", b"f", b"v"),
    (b"XTRIM", b"x", b"MAXLEN", b"2"), (b"XDEL", b"w", b"5-0"), (b"XGROUP", b"CREATE", b"x", b"g", b"0", b"MKSTREAM"),
    (b"XREADGROUP", b"GROUP", b"g", b"alice", b"COUNT", b"2", b"STREAMS", b"x", b">"), (b"XSETID", b"w", b"9-9"),
    (b"XREADGROUP", b"GROUP", b"g", b"bob", b"NOACK", b"STREAMS", b"x", b">"), (b"XAUTOCLAIM", b"x", b"g", b"bob", b"0", b"0"),
    (b"XGROUP", b"CREATECONSUMER", b"x", b"g", b"carol"), (b"XGROUP", b"DELCONSUMER", b"x", b"g", b"alice"),
])  # fmt: skip
NOT_HERE = (b"DEBUG", b"MEMORY", b"OBJECT", b"SCAN", b"KEYS", b"CONFIG", b"SUBSCRIBE")


def suits(command: Command) -> bool:
    """Commands that wait would stop the only client, those that look inside change nothing."""
    return command[0].upper() not in NOT_HERE and not command[0].upper().startswith((b"BL", b"BR", b"BZ"))


def lasting(command: Command) -> Command:
    """Nothing may run out of time between two digests."""
    name = command[0].upper()
    if name in (b"PSETEX", b"PEXPIRE") or b"PX" in command or b"px" in command:
        return tuple(b"100000000" if word in (b"1000", b"5000", b"100000", b"100") else word for word in command)
    return command


any_command = st.one_of(COMMANDS, SET_COMMANDS, ZSET_COMMANDS, GEO_COMMANDS, OTHER_COMMANDS, LISTS, HASHES, STREAMS).map(lasting)
plans = st.lists(any_command, min_size=60, max_size=200)


@pytest.fixture(scope="module")
def logging_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    folder = tmp_path_factory.mktemp("shoal-aof")
    with servers.running([*servers.shoal_server(), "--appendonly", "yes", "--appendfsync", "always"], folder) as found:
        yield found


def digest_of_redis(path: str, appendonlydir: Path, folder: Path) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copytree(appendonlydir, folder / "appendonlydir")
    with servers.running([path, "--appendonly", "yes"], folder) as server, Wire(server.port) as wire:
        return str(wire("DEBUG", "DIGEST"))


def wait_for_rewrite(wire: Wire) -> None:
    deadline = time.monotonic() + 30
    while True:
        info = wire("INFO", "persistence")
        if b"aof_rewrite_in_progress:0" in info and b"aof_rewrite_scheduled:0" in info:
            assert b"aof_last_bgrewrite_status:ok" in info
            return
        assert time.monotonic() < deadline, "the rewrite does not end"
        time.sleep(0.01)


@settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(plan=plans, rewrite_at=st.one_of(st.none(), st.integers(0, 100)), preamble=st.booleans())
def test_what_is_logged_gives_the_same_dataset(
    logging_server: servers.Server, tmp_path_factory: pytest.TempPathFactory, plan: list[Command], rewrite_at: int | None,
    preamble: bool,
) -> None:
    path = redis_server()
    with Wire(logging_server.port, timeout=30) as wire, Wire(logging_server.port, timeout=30) as other:
        assert other("FLUSHALL") == "OK"
        assert other("CONFIG", "SET", "aof-use-rdb-preamble", "yes" if preamble else "no") == "OK"
        for i, command in enumerate(plan):
            if i == rewrite_at:
                assert not isinstance(other("BGREWRITEAOF"), Error)
            if suits(command):
                wire(*command)
        wire("DISCARD")
        wait_for_rewrite(other)
        before = other("DEBUG", "DIGEST")
        assert digest_of_redis(path, logging_server.folder / "appendonlydir", tmp_path_factory.mktemp("redis") / "data") == before
        assert other("DEBUG", "LOADAOF") == "OK"
        assert other("DEBUG", "DIGEST") == before
