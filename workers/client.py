"""A worker: serves its share of the clients, all keys.

Started by the supervisor on a slot of its own. It enters C once (`engine.serve`) and comes back for Python commands, control
messages and a timer. Killed at any instruction, its heir repairs the slot and takes over the listening sockets and the queue of
connections handed to it; its own clients are disconnected.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from shoal import engine, log
from shoal.commands import config, registry
from shoal.commands.server_state import ServerState
from shoal.dialogue import TICK_MS
from shoal.engine import Call
from shoal.replies import Reply
from shoal.sockets import Listener
from shoal.workers.child import Child

STOP = 1
"""Reason of engine.stop: the supervisor said so."""


class Worker:
    """One worker process."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.state = ServerState(child)
        self.folder: str = child.config["dir"]
        self.commands = registry.Commands(self.state)
        self.log_fd = -1

    def run(self) -> None:
        child = self.child
        child.control.setblocking(False)
        engine.worker_start(child.slot, engine.KIND_WORKER)
        for slot, channels in child.channels.items():
            engine.worker_fds(slot, channels.receive, channels.send, channels.event)
        for listener in child.listeners:
            engine.add_listener(listener.fd, listener.unix)
        self.state.dialogues.also(child.control.fileno())
        engine.set_control(self.state.dialogues.fileno())
        engine.callbacks(self.on_command, self.on_control, self.on_tick, self.on_stage)
        child.config.renumber()  # whom we inherit from may have died in a transaction that changes settings
        self.apply_settings()
        child.tell({"op": "ready", "slot": child.slot})
        engine.serve()
        engine.worker_end()

    def on_command(self, call: Call) -> Reply:
        try:
            return self.commands.run(call)
        finally:
            if self.child.has_deferred():
                # The command asked the supervisor, which said other things before its answer.
                self.on_control()

    def on_stage(self, call: Call, first: bool) -> dict[str, int]:
        """What a CONFIG SET in a transaction will change of the numbers that C reads."""
        return config.planned(self.state, call, first)

    def on_control(self) -> None:
        self.state.dialogues.ready()
        for message, fds in self.child.take():
            self.handle(message, fds)

    def handle(self, message: dict[str, Any], fds: list[int]) -> None:
        op = message.get("op")
        if op == "stop":
            self.child.stopping = True
            engine.stop(STOP)
        elif op == "listen":
            self.listen(fds, message["unix"])
        elif op == "settings":
            self.apply_settings()
        elif "re" not in message:  # an answer that came too late is nobody's any more
            log.warning(f"Unknown control message: {op}")

    def listen(self, fds: list[int], unix: list[bool]) -> None:
        """Other listening sockets instead of those we have."""
        old = self.child.listeners
        self.child.listeners = [Listener(socket.socket(fileno=fd), u) for fd, u in zip(fds, unix, strict=True)]
        for listener in self.child.listeners:
            listener.sock.setblocking(False)
            os.set_inheritable(listener.fd, False)
            engine.add_listener(listener.fd, listener.unix)
        for listener in old:
            engine.remove_listener(listener.fd)
            listener.sock.close()

    def on_tick(self) -> None:
        if self.state.config.refresh():
            self.apply_settings()
        self.state.dialogues.expire()
        self.state.migrate_connections.expire()
        engine.tick_every(TICK_MS if len(self.state.dialogues) else 1000)
        self.state.tick()

    def apply_settings(self) -> None:
        """What this process itself does by the settings."""
        self.state.config.refresh()
        log.set_level(self.state.config["loglevel"])
        self.log_from_c()
        if self.state.config["dir"] != self.folder:
            self.folder = self.state.config["dir"]
            os.chdir(self.folder.encode("latin-1"))

    def log_from_c(self) -> None:
        """Lines that C writes go where ours go."""
        old, self.log_fd = self.log_fd, log.descriptor()
        engine.log_to(self.log_fd, log.level, log.role)
        if old >= 0:
            os.close(old)


def main(child: Child) -> None:
    Worker(child).run()
