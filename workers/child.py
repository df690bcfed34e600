"""What every child process has from its birth: its place, its control socket, the settings.

Made by the supervisor just before the fork; `begin` runs first in the child. A child ignores SIGTERM and SIGINT (they reach the
whole process group): it stops when the supervisor says so, or when the supervisor is gone (SIGKILL by the kernel, or the end of
its control socket, whichever comes first).
"""

from __future__ import annotations

import os
import signal
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from shoal import messages, process
from shoal.config import Config
from shoal.sockets import Listener


@dataclass(slots=True)
class Channels:
    """Of one worker slot, kept by the supervisor over a worker's death: hand-over socket pair and wake-up eventfd."""

    receive: int
    send: int
    event: int


@dataclass(slots=True)
class Child:
    """Who this process is."""

    kind: str
    slot: int
    """Slot in the segment; 0 when it has none."""
    title: str
    supervisor: int
    control: socket.socket
    config: Config
    listeners: list[Listener]
    channels: dict[int, Channels]
    """Of all worker slots."""
    executable: str = ""
    segment_fd: int = -1
    stopping: bool = False
    _next_id: int = 0
    _deferred: list[tuple[dict[str, Any], list[int]]] = field(default_factory=list)

    def begin(self) -> None:
        """Make this process its own: signals, name, death with the parent."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        process.die_with_parent(self.supervisor)
        if self.config["set-proc-title"]:
            process.set_title(f"shoal: {self.title}")
        if self.kind == "worker":
            process.pin(self.config["server_cpulist"])
        process.set_oom_score(self.config["oom-score-adj"], self.config["oom-score-adj-values"][0], process.oom_score())

    def ask(self, message: dict[str, Any], seconds: float = 10.0) -> dict[str, Any]:
        """Ask the supervisor and wait for its answer; what else it says meanwhile is kept for `take`."""
        self._next_id += 1
        wanted = self._next_id
        self.control.settimeout(seconds)
        try:
            if not messages.send(self.control, {**message, "id": wanted}):
                return {"error": "the supervisor does not answer"}
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                got = messages.receive(self.control)
                if got is None:
                    break
                if got[0].get("re") == wanted:
                    return got[0]
                self._deferred.append(got)
                if got[0].get("op") == "stop":
                    return {}  # nobody will answer any more
            return {"error": "the supervisor does not answer"}
        except messages.Closed:
            os._exit(1)
        finally:
            self.control.settimeout(0)

    def has_deferred(self) -> bool:
        return bool(self._deferred)

    def tell(self, message: dict[str, Any]) -> None:
        messages.send(self.control, message)

    def take(self) -> list[tuple[dict[str, Any], list[int]]]:
        """All messages that are there. The supervisor's end ends this process."""
        found, self._deferred = self._deferred, []
        try:
            while (got := messages.receive(self.control)) is not None:
                found.append(got)
        except messages.Closed:
            os._exit(1)
        return found
