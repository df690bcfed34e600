"""maxmemory-clients: the largest connections of all workers are closed when all of them hold too much."""

from __future__ import annotations

import contextlib
import socket

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, wait_until

MB = 1 << 20


@pytest.fixture
def server(start_server: StartServer) -> ShoalServer:
    return start_server("--maxmemory-clients", "6mb", workers=2)


def half_sent(server: ShoalServer, size: int) -> socket.socket:
    """A connection that has sent half of a command with a value of so many bytes."""
    s = socket.create_connection(("127.0.0.1", server.port))
    s.settimeout(10)
    with contextlib.suppress(ConnectionError):
        s.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % size + b"x" * (size // 2))
    return s


def closed(s: socket.socket) -> bool:
    s.settimeout(0.05)
    try:
        return s.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def evicted(server: ShoalServer) -> int:
    return int(server.client().info("stats")["evicted_clients"])


def test_the_largest_goes_whichever_worker_serves_it(server: ShoalServer) -> None:
    small = [half_sent(server, MB // 2) for _ in range(4)]
    large = half_sent(server, 3 * MB)
    wait_until(lambda: len(server.client().client_list()) >= 6)
    assert evicted(server) == 0
    more = [half_sent(server, MB) for _ in range(2)]
    wait_until(lambda: closed(large), what="the largest is closed")
    assert evicted(server) == 1
    assert not any(closed(s) for s in small + more)
    assert "Evicting client: id=" in server.log()
    for s in [*small, *more, large]:
        s.close()


def test_a_queue_of_multi_counts(server: ShoalServer) -> None:
    client = server.client(decode_responses=False, retry=None, single_connection_client=True)
    client.execute_command("MULTI")
    with contextlib.suppress(redis.ConnectionError):
        for _ in range(10):
            client.execute_command("SET", "k", b"x" * MB)
    wait_until(lambda: evicted(server) == 1)


def test_output_that_is_not_read_counts(server: ShoalServer) -> None:
    server.client().set("v", "x" * 100_000)
    s = socket.create_connection(("127.0.0.1", server.port))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with contextlib.suppress(OSError):
        s.settimeout(3)
        for _ in range(300):
            s.sendall(b"GET v\r\n")
    wait_until(lambda: evicted(server) == 1)
    s.close()


def test_no_evict_protects_and_a_lower_limit_acts_at_once(server: ShoalServer) -> None:
    protected = half_sent(server, 10)
    protected.sendall(b"xxxxx\r\nCLIENT NO-EVICT on\r\n*1\r\n$3000000\r\n" + b"x" * 1_000_000)
    assert protected.recv(100).startswith(b"+OK")
    plain = half_sent(server, 2 * MB)
    wait_until(lambda: len(server.client().client_list()) >= 3)
    server.client().config_set("maxmemory-clients", "4mb")
    wait_until(lambda: closed(plain))
    assert not closed(protected)
    protected.close()
    plain.close()


def test_a_percentage_is_of_maxmemory(start_server: StartServer) -> None:
    server = start_server("--maxmemory", "100mb", "--maxmemory-clients", "5%")
    s = half_sent(server, 8 * MB)
    wait_until(lambda: closed(s))
    s.close()
    assert server.client().config_set("maxmemory", 0)
    s = half_sent(server, 8 * MB)
    wait_until(lambda: any(int(c["qbuf"]) > MB for c in server.client().client_list()))
    assert not closed(s)
    s.close()


def test_the_peak_is_of_all_workers(start_server: StartServer) -> None:
    server = start_server(workers=2)
    clients = [server.client(single_connection_client=True) for _ in range(4)]
    clients[0].set("v", "x" * 5_000_000)
    peaks = {c.info("memory")["used_memory_peak"] for c in clients}
    assert len(peaks) == 1 and peaks.pop() > 5_000_000
    clients[1].delete("v")
    clients[2].config_resetstat()
    wait_until(lambda: clients[3].info("memory")["used_memory_peak"] < 5_000_000)
