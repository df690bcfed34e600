"""Control messages between the supervisor and its children: JSON objects over SOCK_SEQPACKET pairs, with descriptors.

A message has `op`; one that wants an answer has `id`, and its answer has `re` with the same number.
"""

from __future__ import annotations

import array
import socket
from collections.abc import Sequence
from typing import Any

import orjson

MAX_BYTES = 64 << 10
MAX_FDS = 64


def send(sock: socket.socket, message: dict[str, Any], fds: Sequence[int] = ()) -> bool:
    """False when the other side is gone or does not read; nothing is raised."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    try:
        sock.sendmsg([orjson.dumps(message)], ancillary, socket.MSG_NOSIGNAL)
    except OSError:
        return False
    return True


class Closed(Exception):
    """The other side is gone."""


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next message and its descriptors; None when there is none now. Raises Closed at the end."""
    fds = array.array("i")
    try:
        data, ancillary, _, _ = sock.recvmsg(MAX_BYTES, socket.CMSG_SPACE(MAX_FDS * fds.itemsize))
    except (BlockingIOError, InterruptedError, TimeoutError):
        return None
    except OSError:
        raise Closed from None
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    if not data:
        raise Closed
    return orjson.loads(data), list(fds)
