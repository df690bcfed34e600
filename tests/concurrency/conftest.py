"""Fixtures of the concurrency tests: many connections that really run at once, over two workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "commands"))
sys.path.insert(0, str(Path(__file__).parent))

import servers
from crowd import Crowd
from wire import Wire


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    with servers.running(servers.shoal_server(), tmp_path_factory.mktemp("shoal")) as found:
        yield found


@pytest.fixture
def wire(server: servers.Server) -> Iterator[Wire]:
    with Wire(server.port) as found:
        assert found("FLUSHALL") == "OK"
        yield found


@pytest.fixture
def crowd(server: servers.Server, wire: Wire) -> Iterator[Crowd]:
    found = Crowd(server.port)
    yield found
    found.over.set()
    for thread in found.threads:
        thread.join(20)
