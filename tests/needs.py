"""Programs that tests compare with. Where one is missing the test is skipped, but in CI (CI is set) it fails: nothing is left out unseen."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def missing(what: str) -> NoReturn:
    """Ends the running test: failed in CI, else skipped."""
    if in_ci():
        pytest.fail(f"{what} is missing; in CI that is a failure")
    pytest.skip(f"{what} is missing")


def redis_server() -> str:
    """The path of a redis-server to compare with (REDIS_SERVER, or the first in PATH)."""
    return os.environ.get("REDIS_SERVER") or shutil.which("redis-server") or missing("redis-server")


def program(name: str) -> str:
    """The path of a program of PATH."""
    return shutil.which(name) or missing(name)
