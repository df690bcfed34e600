"""Points in time as an administrator writes and reads them. In the program they are milliseconds since 1970, UTC."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone

FORMS = "'2026-01-31 12:00:00', with a fraction, 'Z' or an offset such as '+02:00' if wanted (else local time), or seconds since 1970"

_LATEST_SECONDS = 10**11
"""Larger numbers are milliseconds, by mistake."""


def parse(text: str) -> int:
    """ValueError says what is wanted. The fraction is cut to milliseconds."""
    words = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", words):
        seconds, _, fraction = words.partition(".")
        if int(seconds) >= _LATEST_SECONDS:
            raise ValueError(f"{text}: a time in seconds is wanted, not milliseconds")
        return int(seconds) * 1000 + int(fraction[:3].ljust(3, "0"))
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?)(?:[.,](\d+))? ?(Z|UTC|[+-]\d\d:?\d\d)?", words, re.IGNORECASE)
    if not found:
        raise ValueError(f"{text}: a time is wanted: {FORMS}")
    day, clock, fraction, zone = found.groups()
    if zone and zone.upper() in ("Z", "UTC"):
        zone = "+00:00"
    elif zone and ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    try:
        moment = datetime.fromisoformat(f"{day} {clock}{zone or ''}")
        return int(moment.timestamp()) * 1000 + int((fraction or "0")[:3].ljust(3, "0"))
    except (ValueError, OverflowError, OSError) as e:
        raise ValueError(f"{text}: {e}") from None


def show(ms: int) -> str:
    """Local time with its offset: what `parse` reads again."""
    return datetime.fromtimestamp(ms / 1000).astimezone().isoformat(sep=" ", timespec="milliseconds")


def iso(ms: int) -> str:
    """UTC, for files."""
    return datetime.fromtimestamp(ms / 1000, timezone.utc).isoformat(timespec="milliseconds")


def from_iso(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def now() -> int:
    return time.time_ns() // 1_000_000
