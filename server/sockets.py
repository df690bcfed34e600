"""Listening sockets, made by the supervisor and inherited by the workers."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shoal import log
from shoal.errors import StartError


@dataclass(frozen=True, slots=True)
class Listener:
    sock: socket.socket
    unix: bool
    address: str = ""
    """As configured: of `bind`, without a leading `-`; or the Unix socket's path."""
    port: int = 0

    @property
    def fd(self) -> int:
        return self.sock.fileno()


class BindError(Exception):
    """An address that cannot be listened on; `address` as configured."""

    def __init__(self, address: str, port: int, error: OSError) -> None:
        super().__init__(f"Could not create server TCP listening socket {address}:{port}: {error.strerror or error}")


_OPTIONAL_ERRORS = {
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
    errno.EPROTONOSUPPORT,
    errno.ESOCKTNOSUPPORT,
    errno.EPFNOSUPPORT,
    errno.ENOPROTOOPT,
}


def _listen_address(address: str, port: int, backlog: int, mark: int, beside: bool) -> socket.socket:
    wild = {"*": ("0.0.0.0", socket.AF_INET), "::*": ("::", socket.AF_INET6)}
    host, family = wild.get(address, (address, socket.AF_INET6 if ":" in address else socket.AF_INET))
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
    sock = socket.socket(found[0][0], socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if found[0][0] == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if beside:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if mark:
            sock.setsockopt(socket.SOL_SOCKET, 36, mark)  # SO_MARK
        sock.bind(found[0][4])
        sock.listen(backlog)
        if beside:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
    except OSError:
        sock.close()
        raise
    return sock


def listen_tcp(
    addresses: Sequence[str], port: int, backlog: int, mark: int = 0, beside: Sequence[Listener] = ()
) -> list[Listener]:
    """One socket for each address; an address with a leading `-` may be missing. Raises BindError, nothing left open.

    `beside` are sockets of ours that will be closed if all goes well: the new ones may share their port for that moment.
    """
    for listener in beside:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made: list[Listener] = []
    for word in addresses if port else ():
        optional, address = word.startswith("-"), word.removeprefix("-")
        try:
            made.append(Listener(_listen_address(address, port, backlog, mark, bool(beside)), False, address, port))
        except OSError as e:
            if optional and e.errno in _OPTIONAL_ERRORS:
                continue
            if optional and isinstance(e, socket.gaierror):
                continue
            for listener in made:
                listener.sock.close()
            for listener in beside:
                listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
            raise BindError(address, port, e) from None
    return made


def listen_unix(path: str, mode: int, backlog: int) -> Listener:
    """A Unix socket; one that a dead server left is removed, one that answers is not."""
    raw = path.encode("latin-1")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        if os.path.exists(raw) and stat.S_ISSOCK(os.stat(raw).st_mode):
            os.unlink(raw)
        sock.bind(raw)
        if mode:
            os.chmod(raw, mode)
        sock.listen(backlog)
    except OSError as e:
        sock.close()
        raise StartError(f"Failed opening Unix socket: bind: {e.strerror or e}") from None
    return Listener(sock, True, path)


def kept(held: Sequence[Listener], wanted: Sequence[str], port: int) -> tuple[list[Listener], list[str]]:
    """Of open TCP sockets, those that a list of addresses still asks for; and the addresses that need new ones."""
    by_address = {(listener.address, listener.port): listener for listener in held if not listener.unix}
    keep, missing = [], []
    for word in wanted:
        listener = by_address.get((word.removeprefix("-"), port))
        if listener is None:
            missing.append(word)
        else:
            keep.append(listener)
    return keep, missing


def open_all(values: dict[str, Any], held: Sequence[Listener] = ()) -> list[Listener]:
    """What the configuration asks for; sockets that are `held` already keep their queue of connections. Raises StartError with the words
    that tools look for; nothing new is left open then."""
    if values["tls-port"]:
        raise StartError("tls-port is set, but this build has no TLS")
    port, path = values["port"], values["unixsocket"]
    made, missing = kept(held, values["bind"] if port else [], port)
    try:
        beside = [listener for listener in held if not listener.unix]
        made += listen_tcp(missing, port, values["tcp-backlog"], values["socket-mark-id"], beside if missing else ())
    except BindError as e:
        log.warning(f"Warning: {e}")
        raise StartError(f"Failed listening on port {port} (tcp), aborting.") from None
    old = next((listener for listener in held if listener.unix and listener.address == path), None)
    if old is not None:
        made.append(old)
    elif path:
        try:
            made.append(listen_unix(path, values["unixsocketperm"], values["tcp-backlog"]))
        except StartError:
            for listener in made:
                if listener not in held:
                    listener.sock.close()
            raise
    if not made:
        raise StartError("Configured to not listen anywhere, exiting.")
    return made


def backlog_limit() -> int:
    try:
        with open("/proc/sys/net/core/somaxconn") as f:
            return int(f.read())
    except (OSError, ValueError):
        return 1 << 30
