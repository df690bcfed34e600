"""Which backups stay: the newest of each hour for so many hours, of each day for so many days, likewise weeks and months.

The setting `backup-keep` and `shoal backups prune --keep` are such a policy in words: `hourly 48 daily 30`. Without one everything stays;
the newest backup always does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone

Policy = list[tuple[str, int]]
"""Pairs of a unit and how many of it."""

_UNITS: dict[str, tuple[timedelta, Callable[[datetime], object]]] = {
    "hourly": (timedelta(hours=1), lambda t: t.strftime("%Y%m%d%H")),
    "daily": (timedelta(days=1), lambda t: t.date()),
    "weekly": (timedelta(weeks=1), lambda t: t.isocalendar()[:2]),
    "monthly": (timedelta(days=31), lambda t: (t.year, t.month)),
}


def parse(words: Sequence[str]) -> Policy:
    """ValueError says what is wrong."""
    if len(words) % 2:
        raise ValueError("backup-keep wants pairs such as: hourly 48 daily 30")
    policy: Policy = []
    for unit, count in zip(words[::2], words[1::2], strict=True):
        if unit.lower() not in _UNITS:
            raise ValueError(f"backup-keep knows {', '.join(_UNITS)}, not {unit}")
        if not count.isdecimal() or not 1 <= int(count) <= 100000:
            raise ValueError(f"backup-keep {unit} wants a number of at least 1")
        policy.append((unit.lower(), int(count)))
    return policy


def to_prune(times: dict[str, int], policy: Policy, now_ms: int) -> list[str]:
    """Of backups by name and time (ms), those that the policy does not keep, oldest first. Hours and days are those of UTC."""
    if not policy or not times:
        return []
    by_time = sorted(times, key=lambda name: (times[name], name))
    keep = {by_time[-1]}
    for unit, count in policy:
        length, label = _UNITS[unit]
        newest: dict[object, str] = {}
        for name in by_time:
            if now_ms - times[name] <= count * length.total_seconds() * 1000:
                newest[label(datetime.fromtimestamp(times[name] / 1000, timezone.utc))] = name
        keep |= set(newest.values())
    return [name for name in by_time if name not in keep]


