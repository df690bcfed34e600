"""The log writer: appends what all workers have committed to the append-only file, with one write and one fdatasync for everybody.

Started by the supervisor, one of it, on a slot of its own, whether the log is on or not. The work is C (cext/log/logwriter.h); this
loop hears the supervisor a few times a second and writes what C has to say into the log. Told to stop, it goes on until the workers
have ended and everything is on the disk. Killed at any instruction, its heir cuts the file where the shared mark says and goes on
there; replies that wait for the disk wait a moment longer, nothing else happens.
"""

from __future__ import annotations

import os
import time

from shoal import engine, log
from shoal.workers.child import Child

_SLICE_MS = 100
_GRACE_SECONDS = 8.0


def _workers_live() -> bool:
    return any(s.kind in (engine.KIND_WORKER, engine.KIND_PERSISTENCE) and s.pid and _lives(s.pid) for s in engine.slots())


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _speak() -> None:
    level, words = engine.log_words()
    if words:
        (log.warning if level > 1 else log.notice)(words)


def main(child: Child) -> None:
    config = child.config
    folder = os.path.join(os.fsdecode(config["dir"].encode("latin-1")), os.fsdecode(config["appenddirname"].encode("latin-1")))
    child.control.settimeout(0)
    engine.worker_start(child.slot, engine.KIND_LOG_WRITER)
    for slot, channels in child.channels.items():
        engine.worker_fds(slot, channels.receive, channels.send, channels.event)
    engine.log_begin(folder, os.fsdecode(config["appendfilename"].encode("latin-1")))
    child.tell({"op": "ready", "slot": child.slot})
    while not any(message["op"] == "stop" for message, _ in child.take()):
        engine.log_run(_SLICE_MS)
        _speak()
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline and (_workers_live() or not engine.log_drained()):
        engine.log_run(2)
    _speak()
    engine.log_end()
    engine.worker_end()
