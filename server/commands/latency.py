"""LATENCY: events that took longer than latency-monitor-threshold, in all workers; and the histograms of commands."""

from __future__ import annotations

import time
from collections.abc import Sequence

import orjson

from shoal import engine
from shoal.commands.registry import command, word
from shoal.commands.server_state import ServerState
from shoal.engine import Call, Slow
from shoal.replies import CommandError, Reply, Verbatim

HISTORY = 160
"""Samples kept for each event; several in one second count as the worst of them."""

_ADVICE = {
    "command": "Look at SLOWLOG for the commands; avoid those that visit many elements at once, or give them smaller values.",
    "fast-command": "Even cheap commands were late: the machine may be overcommitted, swapping, or paused by its host.",
    "expire-cycle": "Many keys expire at the same moment: spread their times.",
    "eviction-cycle": "Eviction is busy: raise maxmemory, or lower maxmemory-eviction-tenacity.",
    "aof-write": "The disk is slow or busy; see appendfsync and no-appendfsync-on-rewrite.",
}
_BARS = "_o#"
_GRAPH_ROWS = 4


def _forgotten() -> tuple[dict[str, int], int]:
    """Ids below which an event's samples are forgotten (LATENCY RESET), and the blob's version."""
    data, version = engine.blob_read(engine.BLOB_OBSERVATION)
    return (orjson.loads(data) if data else {}), version


def _events() -> dict[bytes, list[Slow]]:
    """Samples by event, oldest first."""
    first, _ = _forgotten()
    end = engine.word("latency_next")
    found: dict[bytes, list[Slow]] = {}
    for e in reversed(engine.slow_entries()):
        if e.kind == 1 and e.args and e.id < end and e.id >= first.get(e.args[0].decode("latin-1"), 0):
            found.setdefault(e.args[0], []).append(e)
    return found


def _history(samples: Sequence[Slow]) -> list[tuple[int, int]]:
    """Second and milliseconds, oldest first."""
    worst: dict[int, int] = {}
    for sample in samples:
        worst[sample.time] = max(worst.get(sample.time, 0), sample.usec // 1000)
    return sorted(worst.items())[-HISTORY:]


@command("latency|latest")
def latest(state: ServerState, call: Call) -> Reply:
    reply = []
    for name, samples in sorted(_events().items()):
        history = _history(samples)
        reply.append([name, history[-1][0], history[-1][1], max(ms for _, ms in history)])
    return reply


@command("latency|history")
def history_(state: ServerState, call: Call) -> Reply:
    return [list(point) for point in _history(_events().get(call.args[2], []))]


@command("latency|reset")
def reset(state: ServerState, call: Call) -> Reply:
    while True:
        first, version = _forgotten()
        events = _events()
        names = [n for n in (call.args[2:] or list(events)) if n in events]
        first |= {n.decode("latin-1"): engine.word("latency_next") for n in names}
        if engine.blob_write(engine.BLOB_OBSERVATION, orjson.dumps(first), version):
            return len(names)


def _histogram(index: int) -> Reply:
    """Calls, and how many took at most so many microseconds, for powers of two."""
    times = engine.command_times(index)
    counts: dict[Reply, Reply] = {}
    seen, bound = 0, 1
    for count, end in zip(times, engine.time_bucket_ends(), strict=True):
        while end > bound * 1024:
            bound *= 2
        seen += count
        if count:
            counts[bound] = seen
    return {"calls": sum(times), "histogram_usec": counts}


@command("latency|histogram")
def histogram(state: ServerState, call: Call) -> Reply:
    """Of the named commands (a container stands for its subcommands), or of all that were called."""
    names = engine.command_names()
    wanted = {word(a) for a in call.args[2:]}
    chosen = [i for i, n in enumerate(names) if not wanted or n in wanted or n.partition("|")[0] in wanted]
    return {names[i]: _histogram(i) for i in chosen if any(engine.command_times(i))}


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds / size)}{unit}"
    return f"{int(seconds)}s"


@command("latency|graph")
def graph(state: ServerState, call: Call) -> Reply:
    """Columns of bars, one for each sample, with the age of the sample written downwards below."""
    name = call.args[2]
    history = _history(_events().get(name, []))
    if not history:
        raise CommandError(f"No samples available for event '{name.decode('latin-1')}'")
    values = [ms for _, ms in history]
    low, high = min(values), max(values)
    now = time.time()
    lines = [f"{name.decode('latin-1')} - high {high} ms, low {low} ms (all time high {high} ms)", "-" * 80]
    steps = _GRAPH_ROWS * len(_BARS)
    heights = [1 + (v - low) * (steps - 1) // max(high - low, 1) for v in values]
    for row in reversed(range(_GRAPH_ROWS)):
        cells = []
        for height in heights:
            part = height - row * len(_BARS)
            cells.append(" " if part <= 0 else _BARS[min(part, len(_BARS)) - 1])
        lines.append("".join(cells).rstrip())
    ages = [_ago(now - t) for t, _ in history]
    lines += [""] + ["".join(a[i] if i < len(a) else " " for a in ages).rstrip() for i in range(max(map(len, ages)))]
    return Verbatim(("\n".join(lines) + "\n").encode())


@command("latency|doctor")
def doctor(state: ServerState, call: Call) -> Reply:
    if not state.config["latency-monitor-threshold"]:
        return Verbatim(
            b"Latency is not being monitored. Say CONFIG SET latency-monitor-threshold <milliseconds> to begin; "
            b"it costs next to nothing.\n"
        )
    events = _events()
    if not events:
        return Verbatim(b"No event has been slower than latency-monitor-threshold. All is well.\n")
    lines = [f"{len(events)} kinds of events were slower than {state.config['latency-monitor-threshold']} ms.", ""]
    for name, samples in sorted(events.items()):
        history = _history(samples)
        values = [ms for _, ms in history]
        mean = sum(values) / len(values)
        deviation = sum(abs(v - mean) for v in values) / len(values)
        every = (history[-1][0] - history[0][0]) / max(len(history) - 1, 1)
        text = name.decode("latin-1")
        lines.append(
            f"- {text}: {len(values)} spikes, average {mean:.0f} ms, mean deviation {deviation:.0f} ms, "
            f"one in {every:.0f} seconds, worst {max(values)} ms."
        )
        if text in _ADVICE:
            lines.append(f"  {_ADVICE[text]}")
    return Verbatim(("\n".join(lines) + "\n").encode())
