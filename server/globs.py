"""Redis' glob patterns: `*`, `?`, `[a-z]`, `[^a]`, `\\x`.

For names of commands, settings and the like; keys are matched in C (cext/base/glob.c).
"""

from __future__ import annotations

import functools
import re


@functools.lru_cache(maxsize=256)
def _compiled(pattern: bytes, nocase: bool) -> re.Pattern[bytes]:
    out: list[bytes] = []
    i, n = 0, len(pattern)
    while i < n:
        c = pattern[i : i + 1]
        if c == b"*":
            out.append(b".*")
        elif c == b"?":
            out.append(b".")
        elif c == b"[":
            part, i = _class(pattern, i + 1)
            out.append(part)
            continue
        elif c == b"\\" and i + 1 < n:
            i += 1
            out.append(re.escape(pattern[i : i + 1]))
        else:
            out.append(re.escape(c))
        i += 1
    return re.compile(b"".join(out), re.S | (re.I if nocase else 0))


def _class(pattern: bytes, i: int) -> tuple[bytes, int]:
    """A bracket expression from behind its `[`: as a regular expression, and the position behind it."""
    negated = pattern[i : i + 1] == b"^"
    i += negated
    members: set[int] = set()
    n = len(pattern)
    while i < n and pattern[i : i + 1] != b"]":
        if pattern[i : i + 1] == b"\\" and i + 1 < n:
            i += 1
            members.add(pattern[i])
        elif pattern[i + 1 : i + 2] == b"-" and i + 2 < n:
            low, high = sorted((pattern[i], pattern[i + 2]))
            members.update(range(low, high + 1))
            i += 2
        else:
            members.add(pattern[i])
        i += 1
    if negated:
        members = set(range(256)) - members
    if not members:
        return b"(?!)", i + 1
    return b"[" + b"".join(b"\\x%02x" % m for m in sorted(members)) + b"]", i + 1


def glob_match(pattern: bytes, text: bytes, nocase: bool = False) -> bool:
    """Whether the whole text matches."""
    return _compiled(pattern, nocase).fullmatch(text) is not None
