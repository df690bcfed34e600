"""Connections: protocol errors, pieces, pipelines, sharing among workers, limits, fairness."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, wait_until


def pack(*args: str | bytes | int) -> bytes:
    words = [a if isinstance(a, bytes) else str(a).encode() for a in args]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def connect(server: ShoalServer) -> socket.socket:
    s = socket.create_connection(("127.0.0.1", server.port))
    s.settimeout(10)
    return s


def read_exactly(s: socket.socket, n: int) -> bytes:
    got = bytearray()
    while len(got) < n:
        part = s.recv(min(n - len(got), 1 << 20))
        assert part, f"closed after {len(got)} of {n} bytes: {bytes(got[-100:])!r}"
        got += part
    return bytes(got)


def until_closed(s: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while part := s.recv(1 << 16):
            got += part
    return got


@pytest.fixture
def server(start_server: StartServer) -> Iterator[ShoalServer]:
    yield start_server()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b'SET a "b\r\n', "unbalanced quotes in request"),
        (b"*3000000000\r\n", "invalid multibulk length"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1\r\nfoo\r\n", "expected '$', got 'f'"),
        (b"*1\r\n$-5\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"x" * 70000, "too big inline request"),
        (b"*" + b"1" * 70000, "too big mbulk count string"),
        (b"*1\r\n$" + b"1" * 70000, "too big bulk count string"),
    ],
)
def test_protocol_errors_close_the_connection(server: ShoalServer, sent: bytes, words: str) -> None:
    with connect(server) as s:
        s.sendall(b"PING\r\n" + sent)
        assert until_closed(s) == b"+PONG\r\n-ERR Protocol error: " + words.encode() + b"\r\n"


def test_unauthenticated_clients_may_send_little(start_server: StartServer) -> None:
    server = start_server("--requirepass", "secret")
    for sent, words in ((b"*11\r\n", b"unauthenticated multibulk length"), (b"*1\r\n$16385\r\n", b"unauthenticated bulk length")):
        with connect(server) as s:
            s.sendall(pack("GET", "a") + sent)
            assert until_closed(s) == b"-NOAUTH Authentication required.\r\n-ERR Protocol error: " + words + b"\r\n"
    with connect(server) as s:
        s.sendall(pack("AUTH", "secret") + pack("MSET", *range(20)))
        assert read_exactly(s, 10) == b"+OK\r\n+OK\r\n"


def test_commands_byte_by_byte(server: ShoalServer) -> None:
    with connect(server) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in pack("SET", "pieces", "a\r\nb") + pack("GET", "pieces") + b"PING\r\n":
            s.sendall(bytes([byte]))
        assert read_exactly(s, 22) == b"+OK\r\n$4\r\na\r\nb\r\n+PONG\r\n"


def test_empty_commands_are_nothing(server: ShoalServer) -> None:
    with connect(server) as s:
        s.sendall(b"\r\n*0\r\n*-1\r\n\n   \r\nPING\r\n")
        assert read_exactly(s, 7) == b"+PONG\r\n"


def test_large_values_and_many_arguments(server: ShoalServer) -> None:
    client = server.client(decode_responses=False)
    value = os.urandom(20_000_000)
    assert client.set("large", value)
    assert client.get("large") == value
    many = {f"many:{i}": str(i) for i in range(50_000)}
    assert client.mset(many)
    assert client.mget(list(many)) == [v.encode() for v in many.values()]


def test_room_for_large_arguments_is_kept_until_the_client_is_idle(server: ShoalServer) -> None:
    watcher = server.client()
    with connect(server) as s:
        s.sendall(pack("client", "id"))
        ident = int(s.recv(64)[1:-2])

        def free() -> int:
            return int(watcher.client_list(client_id=[ident])[0]["qbuf-free"])

        for size in (200_000, 90_000, 300_000):
            value = os.urandom(size // 2).hex().encode()
            command = pack("set", "large", value)
            for part in (command[:100], command[100:70_000], command[70_000:]):
                s.sendall(part)
                time.sleep(0.02)
            assert read_exactly(s, 5) == b"+OK\r\n"
            assert watcher.get("large") == value.decode()
        wait_until(lambda: free() >= 200_000, what="kept")
        wait_until(lambda: free() == 0, what="dropped")
        s.sendall(pack("strlen", "large"))
        assert read_exactly(s, 9) == b":300000\r\n"


def test_a_client_may_write_everything_before_it_reads(server: ShoalServer) -> None:
    with connect(server) as s:
        s.sendall(pack("SET", "v", "z" * 1000))
        assert read_exactly(s, 5) == b"+OK\r\n"
        one, n = b"$1000\r\n" + b"z" * 1000 + b"\r\n", 20_000
        s.sendall(pack("GET", "v") * n)
        time.sleep(0.2)
        assert read_exactly(s, len(one) * n) == one * n


def test_long_pipelines_are_answered_in_order(server: ShoalServer) -> None:
    n = 30_000
    with connect(server) as s:
        writer = threading.Thread(target=lambda: [s.sendall(pack("ECHO", str(i) * (i % 40))) for i in range(n)])
        writer.start()
        for i in range(n):
            text = (str(i) * (i % 40)).encode()
            assert read_exactly(s, len(b"$%d\r\n" % len(text)) + len(text) + 2) == b"$%d\r\n%b\r\n" % (len(text), text)
        writer.join()


def test_connections_are_shared_evenly(start_server: StartServer) -> None:
    server = start_server(workers=2)
    socks = [connect(server) for _ in range(50)]
    try:
        wait_until(lambda: sum(worker_sockets(server)) == 50)
        assert all(24 <= n <= 26 for n in worker_sockets(server)), worker_sockets(server)
    finally:
        for s in socks:
            s.close()


def test_ten_thousand_connections(start_server: StartServer) -> None:
    """All are served, evenly, and the server works on beside them."""
    count, (soft, hard) = 10_000, resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 1000:
        pytest.skip(f"the limit of descriptors is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = start_server("--maxclients", str(count + 100), workers=2)
    socks = []
    try:
        for _ in range(count):
            socks.append(connect(server))
        for s in socks:
            s.sendall(b"PING\r\n")
        for s in socks:
            assert read_exactly(s, 7) == b"+PONG\r\n"
        client = server.client()
        info = client.info("everything")
        assert info["connected_clients"] == count + 1
        assert abs(info["worker1"]["clients"] - info["worker2"]["clients"]) <= 2
        assert client.set("a", 1) and len(client.client_list()) == count + 1
    finally:
        for s in socks:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: client.info("clients")["connected_clients"] <= 2)


def worker_sockets(server: ShoalServer) -> list[int]:
    """Established TCP connections of every child of the server."""
    established = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "01" and int(words[1].rpartition(":")[2], 16) == server.port:
            established.add(words[9])
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    found = []
    for child in children:
        links = []
        for fd in Path(f"/proc/{child}/fd").iterdir():
            with contextlib.suppress(OSError):
                links.append(os.readlink(fd))
        count = sum(1 for link in links if link.startswith("socket:[") and link[8:-1] in established)
        if count:
            found.append(count)
    return found


def test_maxclients_counts_all_workers(start_server: StartServer) -> None:
    server = start_server("--maxclients", "10", workers=2)
    socks = [connect(server) for _ in range(10)]
    for s in socks:
        s.sendall(b"PING\r\n")
        assert read_exactly(s, 7) == b"+PONG\r\n"
    with connect(server) as s:
        assert until_closed(s) == b"-ERR max number of clients reached\r\n"
    socks.pop().close()

    def admitted() -> bool:
        with connect(server) as late:
            late.sendall(b"PING\r\n")
            return late.recv(100) == b"+PONG\r\n"

    wait_until(admitted)
    for s in socks:
        s.close()


def test_idle_clients_are_closed(start_server: StartServer) -> None:
    server = start_server("--timeout", "1")
    with connect(server) as s:
        s.sendall(b"PING\r\n")
        assert read_exactly(s, 7) == b"+PONG\r\n"
        start = time.monotonic()
        assert s.recv(1) == b""
        assert 0.5 < time.monotonic() - start < 5


def test_the_output_limit_closes_a_client_that_does_not_read(start_server: StartServer) -> None:
    server = start_server("--client-output-buffer-limit", "normal 1mb 0 0")
    other = server.client()
    other.set("v", "x" * 100_000)
    with connect(server) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.suppress(ConnectionError, TimeoutError):
            s.settimeout(3)
            for _ in range(2000):
                s.sendall(pack("GET", "v"))
        wait_until(lambda: other.info("stats")["client_output_buffer_limit_disconnections"] == 1)
    assert other.ping()


def test_the_query_limit_closes_a_client(start_server: StartServer) -> None:
    server = start_server("--client-query-buffer-limit", "1mb")
    other = server.client()
    with connect(server) as s, contextlib.suppress(ConnectionError):
        s.sendall(b"*2\r\n$3\r\nGET\r\n$10000000\r\n")
        for _ in range(100):
            s.sendall(b"x" * 100_000)
            time.sleep(0.001)
    wait_until(lambda: other.info("stats")["client_query_buffer_limit_disconnections"] == 1)


def test_a_long_pipeline_does_not_starve_others(start_server: StartServer) -> None:
    server = start_server(workers=1)
    server.client().mset({f"k{i}": "x" * 100 for i in range(100)})
    block, stop = pack("MGET", *[f"k{i}" for i in range(100)]) * 2000, threading.Event()

    def drain(s: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while s.recv(1 << 20):
                pass

    def pour(s: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not stop.is_set():
                s.sendall(block)

    with connect(server) as hog, connect(server) as s:
        threads = [threading.Thread(target=f, args=(hog,), daemon=True) for f in (drain, pour)]
        for t in threads:
            t.start()
        time.sleep(0.3)
        times = []
        for _ in range(100):
            start = time.perf_counter()
            s.sendall(b"PING\r\n")
            assert read_exactly(s, 7) == b"+PONG\r\n"
            times.append(time.perf_counter() - start)
        stop.set()
        hog.shutdown(socket.SHUT_RDWR)
    assert sorted(times)[50] < 0.05, sorted(times)[50]


def test_unix_socket(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "s"
    start_server("--unixsocket", str(path), "--unixsocketperm", "700")
    with redis.Redis(unix_socket_path=str(path)) as client:
        assert client.ping()
        assert "U" in client.client_list()[0]["flags"]


def test_no_descriptors_left(start_server: StartServer) -> None:
    """Connections beyond the limit of descriptors are turned away, and the server does not spin."""
    server = start_server("--maxclients", "10000", workers=1)
    client = server.client()
    assert client.ping()
    worker = max(
        int(p) for p in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split() if worker_of(int(p))
    )
    used = len(list(Path(f"/proc/{worker}/fd").iterdir()))
    soft, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (used + 5, hard))
    socks = []
    try:
        for _ in range(30):
            socks.append(connect(server))
        time.sleep(0.3)
        before = cpu_ticks(worker)
        time.sleep(1.0)
        assert cpu_ticks(worker) - before < 20
        assert client.ping()
    finally:
        for s in socks:
            s.close()
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (soft, hard))

    def served() -> bool:
        with connect(server) as s, contextlib.suppress(OSError):
            s.sendall(b"PING\r\n")
            return s.recv(100) == b"+PONG\r\n"
        return False

    wait_until(served)


def worker_of(pid: int) -> bool:
    return b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes() or b"worker" in Path(f"/proc/{pid}/comm").read_bytes()


def cpu_ticks(pid: int) -> int:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def test_an_idle_server_uses_little(start_server: StartServer) -> None:
    server = start_server(workers=2)
    assert server.client().ping()
    pids = [server.pid, *map(int, Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split())]
    before = sum(map(cpu_ticks, pids))
    time.sleep(3)
    assert sum(map(cpu_ticks, pids)) - before <= 3 * os.sysconf("SC_CLK_TCK") // 100 * len(pids) // 2 + 3
