"""Fixtures of the comparison tests: Shoal and a real server side by side for the whole run.

That is Debian's redis-server; SHOAL_DIFFERENTIAL_PEER names another one of tests/peers.py (redis-8.2, valkey-9.1).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "commands"))

import servers

from tests import peers


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The ports of a running Shoal and of the running peer."""
    path = str(peers.binary(os.environ.get("SHOAL_DIFFERENTIAL_PEER", "redis-7.0")))
    with (
        servers.running(servers.shoal_server(), tmp_path_factory.mktemp("shoal")) as ours,
        servers.running([path], tmp_path_factory.mktemp("redis")) as theirs,
    ):
        yield ours.port, theirs.port
