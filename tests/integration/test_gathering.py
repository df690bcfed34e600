"""A worker with many busy clients waits a moment for more of them (gather-us); with few it never does."""

from __future__ import annotations

import socket
import time

from tests.conftest import ShoalServer, StartServer

PING = b"*1\r\n$4\r\nPING\r\n"


def keep_busy(server: ShoalServer, clients: int, seconds: float, until_waits: bool) -> int:
    """All clients send, then all are answered, again and again; how often the server has waited for more of them."""
    sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(clients)]
    admin = server.client()
    before = admin.info("stats")["gather_waits"]
    for s in sockets:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.settimeout(10)
    end, waits = time.monotonic() + seconds, 0
    while time.monotonic() < end and not (until_waits and waits):
        for _ in range(500):
            for s in sockets:
                s.sendall(PING)
            for s in sockets:
                assert s.recv(16) == b"+PONG\r\n"
        waits = admin.info("stats")["gather_waits"] - before
    for s in sockets:
        s.close()
    return int(waits)


def test_few_clients_never_wait_for_others(start_server: StartServer) -> None:
    server = start_server(workers=1)
    for clients in (1, 2, 4):
        assert keep_busy(server, clients, 0.4, until_waits=False) == 0


def test_many_clients_are_gathered_unless_it_is_switched_off(start_server: StartServer) -> None:
    server = start_server(workers=1)
    assert keep_busy(server, 24, 30, until_waits=True) > 0
    server.client().config_set("gather-us", 0)
    assert keep_busy(server, 24, 0.5, until_waits=False) == 0
