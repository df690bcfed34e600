"""What Python commands of one worker know about the server, and whom they ask."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from shoal import engine
from shoal.config import Config
from shoal.connections import Connections
from shoal.dialogue import Dialogues

if TYPE_CHECKING:
    from shoal.workers.child import Child


SAMPLES = 16


class Rate:
    """A counter's growth per second over the last samples."""

    __slots__ = ("points",)

    def __init__(self) -> None:
        self.points: list[tuple[float, int]] = []

    def add(self, now: float, value: int) -> None:
        if self.points and value < self.points[-1][1]:
            self.points.clear()  # CONFIG RESETSTAT
        self.points.append((now, value))
        del self.points[:-SAMPLES]

    def per_second(self) -> float:
        if len(self.points) < 2:
            return 0.0
        (t0, v0), (t1, v1) = self.points[0], self.points[-1]
        return (v1 - v0) / (t1 - t0) if t1 > t0 else 0.0


class ServerState:
    """One for each worker process."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.config: Config = child.config
        self.sampled = 0.0
        self.dialogues = Dialogues()
        self.migrate_connections = Connections()
        self.rates = {"COMMANDS": Rate(), "NET_IN": Rate(), "NET_OUT": Rate()}

    def ask_supervisor(self, message: dict[str, Any]) -> dict[str, Any]:
        return self.child.ask(message)

    def apply(self, names: list[str]) -> str:
        """Tell the supervisor of changed settings; "" or `name: reason`."""
        answer = self.ask_supervisor({"op": "apply", "names": names})
        return str(answer.get("error") or "")

    def segment_bytes(self) -> int:
        """Memory that the whole segment really has."""
        return os.fstat(self.child.segment_fd).st_blocks * 512

    def peak(self) -> int:
        """Most bytes of the dataset that any worker has seen."""
        return engine.memory_peak()

    def reset_peaks(self) -> None:
        engine.memory_peak(reset=True)

    def tick(self) -> None:
        """Called by the worker's timer: samples for instantaneous values, once a second however often it is called."""
        now = time.monotonic()
        if now - self.sampled < 0.9:
            return
        self.sampled = now
        stats = engine.stats()
        for name, rate in self.rates.items():
            rate.add(now, stats.get(name.lower(), 0))
        engine.memory_peak()
