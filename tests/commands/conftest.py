"""Fixtures of the command tests: one server of ours and one redis-server for the whole run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import servers
from wire import Wire


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A running Shoal."""
    with servers.running(servers.shoal_server(), tmp_path_factory.mktemp("shoal")) as found:
        yield found


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A running redis-server; skips where there is none."""
    path = servers.redis_server()
    if path is None:
        pytest.skip("no redis-server to compare with")
    with servers.running([path], tmp_path_factory.mktemp("redis")) as found:
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
