"""The server's processes: forked, watched, buried, replaced by their heirs. Owned by the supervisor.

A child whose death is not expected gets an heir on the same slot; a place whose processes die before they are ready, several times in a
row, ends the server. The supervisor hears of the deaths (`on_death`) after what the child said last.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from shoal import engine, log, messages, sockets
from shoal.config import Config
from shoal.processes import BOOT_FAILED, KINDS, MAX_BOOT_FAILURES, ProcessKind
from shoal.workers.child import Channels, Child


@dataclass(slots=True)
class Running:
    """A child that lives."""

    kind: ProcessKind
    slot: int
    pid: int
    control: socket.socket
    ready: bool = False
    muted: bool = False
    """Its control socket is at its end."""
    kill_at: float = 0.0
    """Monotonic time of SIGKILL once it was told to stop."""

    @property
    def title(self) -> str:
        return self.kind.title.format(slot=self.slot)


class Children:
    """Those that live, by pid."""

    def __init__(
        self, config: Config, executable: str, selector: selectors.DefaultSelector, on_message: Callable[[Running, dict[str, Any]], None]
    ) -> None:
        self.config, self.executable, self.selector, self.on_message = config, executable, selector, on_message
        self.workers: int = config["workers"]
        self.running: dict[int, Running] = {}
        self.boot_failures: dict[tuple[str, int], int] = {}
        self.channels: dict[int, Channels] = {}
        self.listeners: list[sockets.Listener] = []
        """What workers accept from."""
        self.segment_fd = -1

    def __bool__(self) -> bool:
        return bool(self.running)

    def __iter__(self) -> Iterator[Running]:
        return iter(list(self.running.values()))

    def of(self, name: str) -> Running | None:
        """The first of a kind."""
        return next((c for c in self.running.values() if c.kind.name == name), None)

    def tell_workers(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        for child in self:
            if child.kind.per_worker:
                messages.send(child.control, message, fds or ())

    # --- birth

    def make_channels(self) -> None:
        """What workers reach each other by; it outlives them."""
        for slot in range(1, self.workers + 1):
            receive, send = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self.channels[slot] = Channels(receive.detach(), send.detach(), event)

    def start_all(self) -> None:
        """Every process that a server has all the time."""
        for kind in KINDS:
            if kind.on_demand:
                continue
            if kind.per_worker:
                for slot in range(1, self.workers + 1):
                    self.start(kind, slot)
            else:
                self.start(kind, self.workers + kind.place if kind.place else 0)

    def start(self, kind: ProcessKind, slot: int) -> None:
        """Fork a child; the heir of a dead one is started by the same call."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._main(kind, slot, theirs, parent)
        theirs.close()
        ours.setblocking(False)
        child = Running(kind, slot, pid, ours)
        self.running[pid] = child
        self.selector.register(ours, selectors.EVENT_READ, child)

    def _main(self, kind: ProcessKind, slot: int, control: socket.socket, parent: int) -> None:
        """In the child, and never comes back."""
        status = BOOT_FAILED
        title = kind.title.format(slot=slot)
        try:
            self.selector.close()
            for other in self.running.values():
                other.control.close()
            if not kind.per_worker:
                for listener in self.listeners:
                    listener.sock.close()  # else it would stay open here when CONFIG SET closes it
            child = Child(
                kind.name, slot, title, parent, control, self.config, self.listeners, self.channels, self.executable, self.segment_fd
            )
            child.begin()
            kind.main(child)
            status = 0
        except engine.EngineError as e:
            log.warning(f"{title}: {e}")
        except BaseException:
            log.warning(f"{title}: {traceback.format_exc()}")
        finally:
            sys.stdout.flush()
            os._exit(status)

    # --- what they say

    def hear(self, child: Running) -> None:
        try:
            while child.pid in self.running and (got := messages.receive(child.control)) is not None:
                message, fds = got
                for fd in fds:
                    os.close(fd)
                self.on_message(child, message)
        except messages.Closed:
            # It is dying: SIGCHLD says the rest. Until then its socket would keep the loop busy.
            self.selector.unregister(child.control)
            child.muted = True

    # --- death

    def reap(self) -> Iterator[tuple[int, Running | None, int]]:
        """Everybody who has died: pid, child (None: no child of a kind) and exit code, negative for a signal."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self.running.get(pid)
            if child is not None:
                if not child.muted:
                    self.hear(child)  # what it said at its end
                del self.running[pid]
                if not child.muted:
                    self.selector.unregister(child.control)
                child.control.close()
            yield pid, child, os.waitstatus_to_exitcode(status)

    def replace(self, child: Running, code: int) -> str:
        """Start the heir of one that died unexpectedly; or why there is no sense in it any more."""
        how = f"by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"with status {code}"
        log.warning(f"The {child.title} (pid {child.pid}) ended {how}; its heir is being started")
        if child.kind.slot_kind:
            engine.count_death(child.kind.slot_kind)
        place = (child.kind.name, child.slot)
        self.boot_failures[place] = 0 if child.ready else self.boot_failures.get(place, 0) + 1
        if self.boot_failures[place] >= MAX_BOOT_FAILURES:
            return f"The {child.title} could not start {MAX_BOOT_FAILURES} times in a row, giving up. See the log above."
        self.start(child.kind, child.slot)
        return ""

    def is_ready(self, child: Running) -> None:
        child.ready = True
        self.boot_failures[(child.kind.name, child.slot)] = 0

    def workers_ready(self) -> bool:
        return all(c.ready for c in self if c.kind.per_worker)

    # --- the end

    def stop(self) -> None:
        """Tell all to stop; those that do not are killed when their grace is over."""
        for child in self:
            messages.send(child.control, {"op": "stop"})
            child.kill_at = time.monotonic() + child.kind.grace

    def seconds_to_kill(self) -> float | None:
        """Until the next grace is over."""
        waits = [max(c.kill_at - time.monotonic(), 0.0) for c in self if c.kill_at]
        return min(waits) if waits else None

    def kill_overdue(self) -> None:
        now = time.monotonic()
        for child in self:
            if child.kill_at and now >= child.kill_at:
                if child.kind.grace:
                    log.warning(f"The {child.title} (pid {child.pid}) did not stop, killing it")
                os.kill(child.pid, signal.SIGKILL)
                child.kill_at = 0.0

    def kill(self) -> None:
        for child in self:
            os.kill(child.pid, signal.SIGKILL)

    def bury(self) -> None:
        """All are gone, or must go now."""
        self.kill()
        for pid in self.running:
            os.waitpid(pid, 0)
        self.running.clear()
