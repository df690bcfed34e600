"""Points in time as people write them, cron expressions, and what a retention policy keeps."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest

from shoal.kinds import Cron, Keep
from shoal.persist import moments, retention
from shoal.persist.schedule import next_time

NOON = 1769860800000
"""2026-01-31 12:00:00 UTC"""


@pytest.fixture(params=["UTC0", "Europe/Berlin", "EST5"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-01-31 12:00:00Z", NOON),
        ("2026-01-31T12:00:00.5 UTC", NOON + 500),
        ("2026-01-31 13:00+01:00", NOON),
        ("2026-01-31 07:00:00.0019-0500", NOON + 1),
        ("1769860800", NOON),
        ("1769860800.25", NOON + 250),
    ],
)
def test_moments_with_a_zone(zone: str, text: str, ms: int) -> None:
    assert moments.parse(text) == ms


def test_moments_without_a_zone_are_local(zone: str) -> None:
    hours = {"UTC0": 0, "Europe/Berlin": 1, "EST5": -5}[zone]
    if hours == 1 and time.timezone != -3600:
        pytest.skip("this machine has no zone files")
    assert moments.parse("2026-01-31 12:00:00") == NOON - hours * 3600_000
    assert moments.parse(moments.show(NOON + 123)) == NOON + 123
    assert moments.from_iso(moments.iso(NOON + 7)) == NOON + 7


@pytest.mark.parametrize("text", ["", "noon", "2026-01-31", "2026-13-31 12:00", "1769860800000", "2026-01-31 12:00:00 CET"])
def test_moments_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"wanted|month"):
        moments.parse(text)


def test_cron_expressions(zone: str) -> None:
    assert next_time("", NOON / 1000) == 0
    assert next_time("30 * * * *", NOON / 1000) == NOON / 1000 + 1800
    assert next_time("@hourly", NOON / 1000) == NOON / 1000 + 3600
    at = datetime.fromtimestamp(next_time("0 3 * * *", NOON / 1000))
    assert (at.hour, at.minute) == (3, 0)
    kind = Cron()
    assert kind.parse(["0", "3", "*", "*", "*"]) == kind.parse(["0 3 * * *"]) == "0 3 * * *"
    assert kind.parse([""]) == "" and kind.lines("x", "") == []
    for wrong in (["61 * * * *"], ["* * *"], ["hourly"], ["* * * * * * *"]):
        with pytest.raises(ValueError, match="cron"):
            kind.parse(wrong)


def test_the_words_of_a_policy() -> None:
    kind = Keep()
    value = kind.parse(["hourly 48 daily 30"])
    assert value == [["hourly", 48], ["daily", 30]]
    assert kind.show(value) == "hourly 48 daily 30" and kind.parse([""]) == []
    for wrong in (["hourly"], ["yearly", "1"], ["daily", "0"], ["daily", "x"]):
        with pytest.raises(ValueError, match="backup-keep"):
            kind.parse(wrong)


def test_retention_keeps_hours_days_and_the_last() -> None:
    now = datetime(2026, 6, 30, 12, 30, tzinfo=timezone.utc)
    ms = int(now.timestamp() * 1000)
    times = {f"b{i}": int((now - timedelta(minutes=20 * i)).timestamp() * 1000) for i in range(3 * 24 * 40)}
    removed = retention.to_prune(times, [("hourly", 48), ("daily", 30)], ms)
    kept = set(times) - set(removed)

    def label(name: str, form: str) -> str:
        return datetime.fromtimestamp(times[name] / 1000, timezone.utc).strftime(form)

    def young(names: object, hours: int) -> set[str]:
        return {n for n in names if ms - times[n] <= hours * 3600_000}

    assert {label(n, "%d%H") for n in young(kept, 48)} == {label(n, "%d%H") for n in young(times, 48)}
    assert {label(n, "%m%d") for n in kept} == {label(n, "%m%d") for n in young(times, 30 * 24)}
    assert "b0" in kept and len(kept) < 49 + 31 + 2
    assert removed[0] == "b2879"  # the oldest first
    assert retention.to_prune({"a": 0}, [("hourly", 1)], ms) == []
    assert retention.to_prune(times, [], ms) == []
