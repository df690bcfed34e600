"""The keeper: commits more of the arena ahead of need, so that no worker ever waits for the kernel's zeroing of pages.

Started by the supervisor, one of it. Told to stop by a control message. An unexpected end costs nothing but the time until its
heir is there; a worker that runs out of memory meanwhile waits for it.
"""

from __future__ import annotations

import time

from shoal import engine, log
from shoal.workers.child import Child

_RETRY_SECONDS = 0.2
_WORDS_EVERY = 60.0
_WAIT_MS = 500


def main(child: Child) -> None:
    child.control.settimeout(0)
    said = -_WORDS_EVERY
    while not any(message["op"] == "stop" for message, _ in child.take()):
        if not engine.grow_wait(_WAIT_MS):
            continue
        if engine.segment_grow() < 0:
            if time.monotonic() - said >= _WORDS_EVERY:
                said = time.monotonic()
                log.warning("Shared memory is full: writes that need more get -OOM. Make /dev/shm larger.")
            time.sleep(_RETRY_SECONDS)
