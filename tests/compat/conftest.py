"""Fixtures of the comparison tests: Shoal and a real redis-server side by side for the whole run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "commands"))

import servers

from tests.needs import redis_server


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The ports of a running Shoal and of a running redis-server."""
    path = redis_server()
    with (
        servers.running(servers.shoal_server(), tmp_path_factory.mktemp("shoal")) as ours,
        servers.running([path], tmp_path_factory.mktemp("redis")) as theirs,
    ):
        yield ours.port, theirs.port
