"""Many clients at once, in threads with pipelines."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from wire import Wire, pack

Step = Callable[[int], list[tuple[Any, ...]]]
Check = Callable[[list[Any]], None]


class Crowd:
    """Clients in threads. Each sends pipelines, so that both workers are busy with one at any time, and checks their replies."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []
        self.over = threading.Event()

    def run(self, work: Callable[[Wire], None]) -> None:
        """`work` in a thread with a connection of its own."""

        def body() -> None:
            try:
                with Wire(self.port, timeout=30) as wire:
                    work(wire)
            except BaseException as error:
                self.failures.append(error)

        thread = threading.Thread(target=body, daemon=True)
        self.threads.append(thread)
        thread.start()

    def repeat(self, step: Step, check: Check, rounds: int = 0) -> None:
        """Pipelines of `step(round)` again and again, `rounds` times or until the others are done."""

        def work(wire: Wire) -> None:
            n = 0
            while (n < rounds) if rounds else not self.over.is_set():
                commands = step(n)
                wire.socket.sendall(b"".join(pack(*c) for c in commands))
                check([wire.read() for _ in commands])
                n += 1

        self.run(work)

    def finish(self, busy: list[threading.Thread], seconds: float = 60) -> None:
        """Waits for the `busy` ones, ends the others, and fails with the first failure of any."""
        deadline = time.monotonic() + seconds
        for thread in busy:
            thread.join(max(0.1, deadline - time.monotonic()))
        self.over.set()
        for thread in self.threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self.threads), "a client hangs"
        if self.failures:
            raise self.failures[0]
