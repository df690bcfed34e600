"""Fixtures of the command tests: one server of ours and one redis-server for the whole run."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import servers
from wire import Error, Wire

from tests.needs import redis_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A running Shoal."""
    with servers.running(servers.shoal_server(), tmp_path_factory.mktemp("shoal")) as found:
        yield found


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A running redis-server; skips where there is none, but not in CI."""
    with servers.running([redis_server()], tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def wire(request: pytest.FixtureRequest, server: servers.Server) -> Iterator[Wire]:
    """A connection to Shoal, in RESP2 and in RESP3."""
    with Wire(server.port, request.param) as found:
        yield found


@pytest.fixture
def reference(request: pytest.FixtureRequest, redis: servers.Server) -> Iterator[Wire]:
    """A connection to redis-server in the same protocol as `wire`."""
    resp = request.getfixturevalue("wire").resp if "wire" in request.fixturenames else 2
    with Wire(redis.port, resp) as found:
        yield found


@pytest.fixture
def client(wire: Wire) -> Wire:
    """`wire` on an emptied server."""
    assert wire("FLUSHALL") == "OK"
    return wire


@pytest.fixture
def script(client: Wire) -> Callable[[str], None]:
    """Runs lines of `command args -> reply` on an emptied server. A reply is written in Python ("OK", b"bulk", 3, None, [1, b"x"]);
    after `!` it is the text of an error."""

    def run(text: str) -> None:
        for line in filter(None, map(str.strip, text.splitlines())):
            command, _, expected = line.rpartition(" -> ")
            args = [arg.encode().decode("unicode_escape").encode("latin-1") for arg in shlex.split(command)]
            got = client(*args)
            if expected.startswith("! "):
                assert isinstance(got, Error) and got == expected[2:], f"{command}: {got!r}"
            else:
                assert got == eval(expected), f"{command}: {got!r}, expected {expected}"

    return run
