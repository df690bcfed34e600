"""Files that are being written under another name: theirs carry a pid, as Redis' do.

Who finds one whose maker is gone removes it: the persistence process at its start, the supervisor when it has killed everybody. The data
folder is one server's alone, so a name of this form is nobody else's.
"""

from __future__ import annotations

import os
import re

_NAMES = re.compile(r"temp-\d+\.rdb|temp-rewriteaof-bg-\d+\.aof")


def snapshot(folder: str, pid: int) -> str:
    """pid: of who saves, as Redis sees it: the server for SAVE and SHUTDOWN, its child for BGSAVE."""
    return os.path.join(folder, f"temp-{pid}.rdb")


def base(folder: str) -> str:
    return os.path.join(folder, f"temp-rewriteaof-bg-{os.getpid()}.aof")


def probe(folder: str, name: str) -> str:
    """Beside the log's increments, called so that whoever watches their disk watches it too."""
    return os.path.join(folder, f"temp-{name}.probe.incr.aof")


def sweep(folder: str) -> list[str]:
    """Remove what was left unfinished; the names. Nothing may be writing there."""
    found = []
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    for name in names:
        if _NAMES.fullmatch(name):
            try:
                os.unlink(os.path.join(folder, name))
            except OSError:
                continue
            found.append(name)
    return found
