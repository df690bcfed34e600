"""What a process asks of Linux that Python has no function for: its name, its parent's death, its processors.

Everything here is best effort: a kernel that refuses changes nothing for the server.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """SIGKILL this process when its parent dies; at once if it is dead already."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def set_title(title: str) -> None:
    """What ps and top show: the thread's name, and the place where the kernel keeps our arguments."""
    _libc.prctl(_PR_SET_NAME, title.encode()[:15], 0, 0, 0)
    try:
        with open("/proc/self/stat", "rb") as f:
            fields = f.read().rpartition(b")")[2].split()
        start, end = int(fields[45]), int(fields[46])
    except (OSError, ValueError, IndexError):
        return
    if 0 < start < end:
        size = end - start
        ctypes.memset(start, 0, size)
        data = title.encode()[: size - 1]
        ctypes.memmove(start, data, len(data))


def parse_cpu_list(text: str) -> set[int]:
    """`0,2-5,8-15:2` as a set. ValueError if it is none."""
    cpus: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)(?:-(\d+))?(?::(\d+))?\s*", part)
        if not found:
            raise ValueError(f"{text!r} is not a list of processors")
        first = int(found[1])
        cpus.update(range(first, int(found[2] or first) + 1, max(int(found[3] or 1), 1)))
    return cpus


def pin(text: str) -> None:
    """Stay on these processors; the empty list changes nothing."""
    if text:
        try:
            os.sched_setaffinity(0, parse_cpu_list(text))
        except (OSError, ValueError):
            pass


def set_oom_score(mode: str, value: int, base: int) -> None:
    """oom-score-adj: `relative` adds to the score we were started with."""
    if mode == "no":
        return
    score = max(-1000, min(1000, value + (base if mode in ("yes", "relative") else 0)))
    try:
        with open("/proc/self/oom_score_adj", "w") as f:
            f.write(str(score))
    except OSError:
        pass


def oom_score() -> int:
    try:
        with open("/proc/self/oom_score_adj") as f:
            return int(f.read())
    except (OSError, ValueError):
        return 0


def notify_service_manager(text: str) -> bool:
    """sd_notify: one datagram to systemd, if it started us."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(text.encode(), "\0" + path[1:] if path[0] == "@" else path)
        except OSError:
            return False
    return True
