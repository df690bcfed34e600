"""engine.glob_match: the patterns of CONFIG GET and COMMAND LIST."""

from __future__ import annotations

import pytest

from shoal.engine import glob_match


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (b"*", b"maxmemory", True),
        (b"max*", b"maxmemory", True),
        (b"m?xmemory", b"maxmemory", True),
        (b"[a-m]axmemory", b"maxmemory", True),
        (b"[^m]axmemory", b"maxmemory", False),
        (b"MAX*", b"maxmemory", False),
        (b"config|*", b"config|get", True),
        (b"", b"", True),
        (b"a" + b"*a" * 30 + b"b", b"a" * 200, False),
    ],
)
def test_glob_match(pattern: bytes, text: bytes, expected: bool) -> None:
    assert glob_match(pattern, text) is expected


def test_without_case() -> None:
    assert glob_match(b"MAX*", b"maxmemory", nocase=True)
