"""What the old software hands to the new one when a server is upgraded in place (SIGUSR2): a JSON text in a memfd.

The environment variable SHOAL_UPGRADE names the descriptor, and the pid it is meant for: the server's own (exec keeps it), or 0 for the
question that is put to the new software before, in a process of its own (`answer`). Settings changed by CONFIG SET are carried over where
the configuration still says what it said when they were changed. What was read from standard input is there again, as standard input.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from shoal.sockets import Listener

VARIABLE = "SHOAL_UPGRADE"


@dataclass(slots=True)
class Handover:
    pid: int
    """Who is to take it; 0: nobody, it is a question."""
    segment: str
    """Name of the shared memory."""
    changed: dict[str, tuple[Any, Any]]
    """Settings that are not as configured: what the configuration said, and what they are."""
    listeners: list[dict[str, Any]] = field(default_factory=list)
    record_fd: int = -1
    """The locked record of the data folder (shoal.segment)."""
    segment_fd: int = -1

    def write(self) -> int:
        """As an inheritable memfd."""
        fd = os.memfd_create("shoal-upgrade", 0)
        os.write(fd, orjson.dumps(asdict(self)))
        return fd

    def sockets(self) -> list[Listener]:
        found = []
        for one in self.listeners:
            sock = socket.socket(fileno=one["fd"])
            os.set_inheritable(sock.fileno(), False)
            found.append(Listener(sock, one["unix"], one["address"], one["port"]))
        return found

    def carry_over(self, values: dict[str, Any]) -> None:
        """What CONFIG SET had changed, into freshly read settings."""
        for name, (configured, now) in self.changed.items():
            if name in values and plain(values[name]) == configured:
                values[name] = now
        if "dir" in self.changed:
            os.chdir(values["dir"].encode("latin-1"))


def plain(value: Any) -> Any:
    """As JSON brings it back: tuples are lists."""
    return orjson.loads(orjson.dumps(value))


def changed(configured: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    pairs = {name: (plain(configured[name]), plain(value)) for name, value in now.items() if name in configured}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def listed(listeners: Sequence[Listener]) -> list[dict[str, Any]]:
    return [{"fd": x.fd, "unix": x.unix, "address": x.address, "port": x.port} for x in listeners]


def receive() -> Handover | None:
    """What was left for this process, once."""
    words = os.environ.pop(VARIABLE, "").split(":")
    if len(words) != 2 or words[0] not in ("0", str(os.getpid())):
        return None
    fd = int(words[1])
    size = os.fstat(fd).st_size
    content = orjson.loads(os.pread(fd, size, 0))
    os.close(fd)
    return Handover(**content)


def environment(pid: int, fd: int) -> dict[str, str]:
    return {**os.environ, VARIABLE: f"{pid}:{fd}"}


def answer(handed: Handover, values: dict[str, Any]) -> None:
    """The new software's answer, as the last line of standard output: it can be imported, its configuration is good, and whether it can
    take over the memory."""
    from shoal import __version__, engine, segment, settings
    from shoal.commands import registry
    from shoal.supervisor import CLIENTS_MIN  # and with it everything that a start imports

    registry.functions()
    parameters = segment.Parameters(values["databases"], values["workers"], max(values["maxclients"], CLIENTS_MIN))
    fd = os.open(os.path.join(segment.SHM, handed.segment.lstrip("/")), os.O_RDWR | os.O_CLOEXEC)
    misfit = segment.misfit(fd, parameters)
    names = {row.name for row in settings.ROWS}
    told = {name: plain(value) for name, value in values.items() if name in names}
    line = orjson.dumps({"shoal": __version__, "layout": engine.layout_fingerprint(), "misfit": misfit, "values": told})
    os.write(1, b"\n" + line + b"\n")
