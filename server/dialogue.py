"""Talks with other servers that commands hold beside the worker's clients.

A dialogue is a generator: it does what its non-blocking socket permits, yields a `Wait` for more, and returns a reply. `run` drives
one to its end, stopping the process meanwhile (inside EXEC, where nothing else may happen); `Dialogues` drives any number of them from
the worker's loop: its epoll descriptor is the worker's control descriptor, so a readable socket ends the sleep of `engine.serve`.
"""

from __future__ import annotations

import select
import socket
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from shoal import engine, log
from shoal.replies import CommandError

T = TypeVar("T")

TICK_MS = 50
"""How exactly a dialogue's time runs out."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What a dialogue waits for; after `seconds` without it, TimeoutError is thrown into it."""

    sock: socket.socket
    events: int
    """select.EPOLLIN, select.EPOLLOUT."""
    seconds: float


Dialogue = Generator[Wait, None, T]


def run(dialogue: Dialogue[T]) -> T:
    """Drive one dialogue to its end."""
    try:
        wait = next(dialogue)
        while True:
            poll = select.poll()
            poll.register(wait.sock, wait.events)
            if poll.poll(wait.seconds * 1000):
                wait = dialogue.send(None)
            else:
                wait = dialogue.throw(TimeoutError())
    except StopIteration as end:
        value: T = end.value
        return value


@dataclass(slots=True)
class _Running:
    dialogue: Dialogue[Any]
    done: Callable[[Any], None]
    deadline: float = 0.0
    fd: int = -1


class Dialogues:
    """Those of one worker."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self._running: dict[int, _Running] = {}

    def __len__(self) -> int:
        return len(self._running)

    def fileno(self) -> int:
        return self.epoll.fileno()

    def also(self, fd: int) -> None:
        """Another descriptor that ends the sleep; whoever registers it looks at it himself."""
        self.epoll.register(fd, select.EPOLLIN)

    def start(self, dialogue: Dialogue[T], done: Callable[[T], None]) -> None:
        """`done` gets its value: at once, if it never waits."""
        self._go_on(_Running(dialogue, done), lambda: next(dialogue))
        if self._running:
            engine.tick_every(TICK_MS)

    def ready(self) -> None:
        """Goes on with those whose sockets are ready."""
        for fd, _events in self.epoll.poll(0):
            running = self._running.get(fd)
            if running is not None:
                self._leave(running)
                self._go_on(running, lambda d=running.dialogue: d.send(None))  # type: ignore[misc]

    def expire(self) -> None:
        """Ends the patience of those that have waited too long."""
        now = time.monotonic()
        for running in [r for r in self._running.values() if r.deadline <= now]:
            self._leave(running)
            self._go_on(running, lambda d=running.dialogue: d.throw(TimeoutError()))  # type: ignore[misc]

    def _leave(self, running: _Running) -> None:
        del self._running[running.fd]
        self.epoll.unregister(running.fd)

    def _go_on(self, running: _Running, step: Callable[[], Wait]) -> None:
        try:
            wait = step()
        except StopIteration as end:
            running.done(end.value)
            return
        except CommandError as e:
            running.done(e)
            return
        except Exception:
            log.warning(f"Python command failed: {traceback.format_exc()}")
            running.done(CommandError("internal error"))
            return
        running.fd = wait.sock.fileno()
        running.deadline = time.monotonic() + wait.seconds
        self._running[running.fd] = running
        self.epoll.register(running.fd, wait.events)
