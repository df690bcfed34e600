"""The processes of a server under test, by what they are, and ending them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from tests.conftest import ShoalServer, wait_until


def children(server: ShoalServer) -> dict[int, str]:
    """Pids and what ps shows, without "shoal: "."""
    found = {}
    with contextlib.suppress(OSError):
        for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                title = Path(f"/proc/{pid}/cmdline").read_bytes().strip(b"\0").decode()
                found[int(pid)] = title.removeprefix("shoal: ")
    return found


def pids(server: ShoalServer, kind: str) -> list[int]:
    return [pid for pid, title in children(server).items() if title.startswith(kind)]


def end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def end_everything(server: ShoalServer, supervisor_first: bool = True) -> None:
    """kill -9 of each of them; shared memory stays."""
    server.close_clients()
    below = list(children(server))
    for pid in [server.pid, *below] if supervisor_first else [*below, server.pid]:
        end(pid)
    server.process.wait()
    wait_until(lambda: not any(_runs(pid) for pid in below), 10, "all are gone")


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False
