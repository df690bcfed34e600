"""MIGRATE: to redis-server, to another Shoal, and to a slow, dead or hostile target; keys that change while they are on their way."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import servers
from wire import Error, Wire, pack

from tests.needs import redis_server

NOWHERE = 1  # a port where nobody listens


@pytest.fixture(scope="module", params=["redis", "shoal"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """Another server: a real redis-server, and one of ours."""
    command = [redis_server()] if request.param == "redis" else servers.shoal_server()
    with servers.running(command, tmp_path_factory.mktemp("target")) as found:
        yield found


@pytest.fixture
def there(target: servers.Server) -> Iterator[Wire]:
    with Wire(target.port) as found:
        assert found("FLUSHALL") == "OK"
        yield found


def migrate(wire: Wire, port: int, key: str, *options: object, db: int = 0, ms: int = 5000) -> object:
    return wire("MIGRATE", "127.0.0.1", port, key, db, ms, *options)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_every_type_arrives(client: Wire, there: Wire, target: servers.Server) -> None:
    client("SET", "string", "v", "PX", 100000)
    client("RPUSH", "list", *range(300))
    client("SADD", "set", "a", 1)
    client("HSET", "hash", "f", "v")
    client("ZADD", "zset", 1.5, "m")
    client("XADD", "stream", "1-1", "f", "v")
    names = ["string", "list", "set", "hash", "zset", "stream"]
    before = client("DEBUG", "DIGEST-VALUE", *names)
    assert migrate(client, target.port, "", "KEYS", *names, "missing") == "OK"
    assert client("DBSIZE") == 0
    assert there("DEBUG", "DIGEST-VALUE", *names) == before
    assert 90000 < there("PTTL", "string") <= 100000
    assert there("PTTL", "list") == -1


def test_options(client: Wire, there: Wire, target: servers.Server) -> None:
    client("SET", "k", "new")
    assert migrate(client, target.port, "k", "COPY", db=5) == "OK"
    assert client("GET", "k") == b"new"
    there("SELECT", 5)
    assert there("GET", "k") == b"new"
    assert migrate(client, target.port, "k", db=5) == Error(
        "ERR Target instance replied with error: BUSYKEY Target key name already exists."
    )
    assert client("GET", "k") == b"new"
    assert migrate(client, target.port, "k", "REPLACE", db=5) == "OK"
    assert migrate(client, target.port, "k") == "NOKEY"
    assert migrate(client, target.port, "", "KEYS", "k", "other") == "NOKEY"


def test_of_several_keys_those_arrive_that_can(client: Wire, there: Wire, target: servers.Server) -> None:
    client("MSET", "a", 1, "b", 2, "c", 3)
    there("SET", "b", "is here")
    assert str(migrate(client, target.port, "", "KEYS", "a", "b", "c")).startswith("ERR Target instance replied with error: BUSYKEY")
    assert client("MGET", "a", "b", "c") == [None, b"2", None]
    assert there("MGET", "a", "b", "c") == [b"1", b"is here", b"3"]


def test_a_password(client: Wire, there: Wire, target: servers.Server) -> None:
    there("CONFIG", "SET", "requirepass", "secret")
    try:
        client("SET", "k", "v")
        there("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # a kept connection is known already
        refused = str(migrate(client, target.port, "k"))
        assert refused.startswith("ERR Target instance replied with error: NOAUTH"), refused
        assert "WRONGPASS" in str(migrate(client, target.port, "k", "AUTH", "wrong"))
        assert client("GET", "k") == b"v"
        assert migrate(client, target.port, "k", "AUTH2", "default", "secret") == "OK"
        client("SET", "k2", "v")
        assert migrate(client, target.port, "k2", "AUTH", "secret") == "OK"
    finally:
        there("CONFIG", "SET", "requirepass", "")


def test_a_kept_connection_that_was_cut_is_made_anew(client: Wire, there: Wire, target: servers.Server) -> None:
    client("MSET", "a", 1, "b", 2)
    assert migrate(client, target.port, "a") == "OK"
    there("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert migrate(client, target.port, "b") == "OK"
    assert there("MGET", "a", "b") == [b"1", b"2"]
    assert there("CLIENT", "LIST").count(b"cmd=restore") == 1


def test_in_a_transaction(client: Wire, there: Wire, target: servers.Server) -> None:
    client("SET", "k", "v")
    client("MULTI")
    migrate(client, target.port, "k")
    client("SET", "other", 1)
    assert client("EXEC") == ["OK", "OK"]
    assert client("EXISTS", "k") == 0
    assert there("GET", "k") == b"v"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (["127.0.0.1", 1, "k", 0, "x"], "ERR value is not an integer or out of range"),
        (["127.0.0.1", 1, "k", "x", 10], "ERR value is not an integer or out of range"),
        (["127.0.0.1", 1, "k", 0, 10, "NOPE"], "ERR syntax error"),
        (["127.0.0.1", 1, "k", 0, 10, "AUTH"], "ERR syntax error"),
        (["127.0.0.1", 1, "k", 0, 10, "AUTH2", "x"], "ERR syntax error"),
        (["127.0.0.1", 1, "k", 0, 10, "KEYS", "a"],
         "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"),
        (["127.0.0.1", NOWHERE, "k", 0, 200], "IOERR error or timeout connecting to the client"),
        (["127.0.0.1", "port", "k", 0, 200], "IOERR error or timeout connecting to the client"),
        (["127.0.0.1", 99999, "k", 0, 200], "IOERR error or timeout connecting to the client"),
    ],
)  # fmt: skip
def test_errors(client: Wire, call: list[object], expected: str) -> None:
    client("SET", "k", "v")
    assert client("MIGRATE", *call) == Error(expected)  # type: ignore[arg-type]
    assert client("GET", "k") == b"v"


# ---- a target that the test itself plays ----


class Target:
    """Listens; reads commands and answers what the test says."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(10)
        self.port = self.listener.getsockname()[1]
        self.sockets: list[socket.socket] = []
        self.buffer = b""

    def accept(self) -> None:
        sock, _ = self.listener.accept()
        sock.settimeout(10)
        self.sockets.append(sock)
        self.buffer = b""

    def line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            data = self.sockets[-1].recv(65536)
            assert data
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def command(self) -> list[bytes]:
        words = []
        for _ in range(int(self.line()[1:])):
            n = int(self.line()[1:])
            while len(self.buffer) < n + 2:
                self.buffer += self.sockets[-1].recv(65536)
            words.append(self.buffer[:n])
            self.buffer = self.buffer[n + 2 :]
        return words

    def say(self, text: bytes) -> None:
        self.sockets[-1].sendall(text)

    def up_to_restore(self) -> list[bytes]:
        """Accepts, agrees to SELECT, and returns the RESTORE that follows."""
        self.accept()
        assert self.command()[0] == b"SELECT"
        self.say(b"+OK\r\n")
        return self.command()


@pytest.fixture
def played() -> Iterator[Target]:
    target = Target()
    yield target
    for sock in (*target.sockets, target.listener):
        sock.close()


def test_other_clients_go_on_meanwhile(server: servers.Server, client: Wire, played: Target) -> None:
    """On every worker, and on this very key."""
    client("SET", "k", "v")
    client.send("MIGRATE", "127.0.0.1", played.port, "k", 0, 10000)
    assert played.up_to_restore()[:3] == [b"RESTORE", b"k", b"0"]
    wires = [Wire(server.port) for _ in range(8)]
    for wire in wires:
        assert wire("GET", "k") == b"v"
        wire.close()
    client.send("ECHO", "waits")
    assert client.silent(0.05)
    played.say(b"+OK\r\n")
    assert client.read() == "OK"
    assert client.read() == b"waits"
    assert client("EXISTS", "k") == 0


def test_a_key_that_changes_is_sent_again(server: servers.Server, client: Wire, played: Target) -> None:
    client("SET", "k", "old")
    client.send("MIGRATE", "127.0.0.1", played.port, "k", 0, 10000)
    first = played.up_to_restore()
    with Wire(server.port) as other:
        assert other("APPEND", "k", "+new") == 7
    played.say(b"+OK\r\n")
    second = played.command()
    assert second[1] == b"k" and second[3] != first[3] and second[4:] == [b"REPLACE"]
    played.say(b"+OK\r\n")
    assert client.read() == "OK"
    assert client("EXISTS", "k") == 0
    assert client("RESTORE", "copy", 0, second[3]) == "OK"
    assert client("GET", "copy") == b"old+new"


def test_a_key_that_is_deleted_meanwhile_is_deleted_there(server: servers.Server, client: Wire, played: Target) -> None:
    client("MSET", "k", "v", "other", "w")
    client.send("MIGRATE", "127.0.0.1", played.port, "", 0, 10000, "KEYS", "k", "other")
    played.up_to_restore()
    played.command()
    with Wire(server.port) as other:
        assert other("DEL", "k") == 1
    played.say(b"+OK\r\n+OK\r\n")
    assert played.command() == [b"DEL", b"k"]
    played.say(b":1\r\n")
    assert client.read() == "OK"
    assert client("EXISTS", "k", "other") == 0


def test_a_key_that_never_rests_stays(server: servers.Server, client: Wire, played: Target) -> None:
    client("SET", "k", 0)
    client.send("MIGRATE", "127.0.0.1", played.port, "k", 0, 10000)
    played.accept()
    with Wire(server.port) as other:
        played.command()
        played.say(b"+OK\r\n")
        rounds = 0
        while True:
            played.command()
            other("INCR", "k")
            rounds += 1
            played.say(b"+OK\r\n")
            if not client.silent(0.02):
                break
    assert str(client.read()).startswith("IOERR keys went on changing")
    assert client("GET", "k") == b"%d" % rounds


def test_a_target_that_answers_too_late(client: Wire, played: Target) -> None:
    client("SET", "k", "v")
    for restore, expected in ((False, "reading"), (True, "reading")):
        client.send("MIGRATE", "127.0.0.1", played.port, "k", 0, 150)
        if restore:
            played.up_to_restore()
        else:
            played.accept()
        assert client.read() == Error(f"IOERR error or timeout {expected} to target instance")
        assert client("GET", "k") == b"v"


@pytest.mark.parametrize("answer", [b"", b"+OK", b"\x00\xff garbage\r\n", b"$3\r\nabc\r\n", b"x" * 100000])
def test_a_target_that_breaks_off_or_is_no_redis(client: Wire, played: Target, answer: bytes) -> None:
    client("SET", "k", "v")
    client.send("MIGRATE", "127.0.0.1", played.port, "k", 0, 5000)
    for _ in range(2):  # it is tried twice
        played.up_to_restore()
        played.say(answer)
        played.sockets[-1].close()
    assert str(client.read()).startswith("IOERR error or timeout")
    assert client("GET", "k") == b"v"


def test_a_break_in_the_middle_removes_what_had_arrived(client: Wire, played: Target) -> None:
    client("MSET", "a", 1, "b", 2)
    client.send("MIGRATE", "127.0.0.1", played.port, "", 0, 5000, "KEYS", "a", "b")
    played.up_to_restore()
    played.command()
    played.say(b"+OK\r\n")
    played.sockets[-1].shutdown(socket.SHUT_RDWR)
    assert client.read() == Error("IOERR error or timeout reading to target instance")
    assert client("MGET", "a", "b") == [None, b"2"]


def test_a_client_that_leaves_does_not_stop_it(server: servers.Server, client: Wire, played: Target) -> None:
    client("SET", "k", "v")
    with Wire(server.port) as leaver:
        leaver.send("MIGRATE", "127.0.0.1", played.port, "k", 0, 5000)
        played.up_to_restore()
    played.say(b"+OK\r\n")
    until(lambda: client("EXISTS", "k") == 0)


def test_a_large_value_and_a_slow_reader(client: Wire, played: Target) -> None:
    """The socket takes only parts; what is sent is whole."""
    client("SET", "k", bytes(range(256)) * 40000)
    client.send("MIGRATE", "127.0.0.1", played.port, "k", 0, 10000)
    restore: list[bytes] = []
    thread = threading.Thread(target=lambda: restore.extend(played.up_to_restore()))
    thread.start()
    thread.join(20)
    played.say(b"+OK\r\n")
    assert client.read() == "OK"
    assert client("RESTORE", "copy", 0, restore[3]) == "OK"
    assert client("STRLEN", "copy") == 256 * 40000


def test_its_keys_are_known(client: Wire) -> None:
    keys = ("COMMAND", "GETKEYS", "MIGRATE", "host", 1)
    assert client(*keys, "k", 0, 10, "COPY") == [b"k"]
    assert client(*keys, "", 0, 10, "KEYS", "a", "b") == [b"a", b"b"]
    assert client(*keys, "", 0, 10, "AUTH", "KEYS", "KEYS", "a") == [b"a"]


def test_the_log_has_one_del(tmp_path_factory: pytest.TempPathFactory, played: Target) -> None:
    folder = tmp_path_factory.mktemp("migrate-log")
    command = [*servers.shoal_server(), "--appendonly", "yes", "--appendfsync", "always"]
    with servers.running(command, folder) as server, Wire(server.port) as wire:
        wire("MSET", "a", 1, "b", 2)
        wire.send("MIGRATE", "127.0.0.1", played.port, "", 0, 5000, "KEYS", "a", "b")
        played.up_to_restore()
        played.command()
        played.say(b"+OK\r\n+OK\r\n")
        assert wire.read() == "OK"
        log = b"".join(path.read_bytes() for path in (folder / "appendonlydir").glob("*.incr.aof"))
        assert pack("DEL", "a", "b") in log and b"RESTORE" not in log
