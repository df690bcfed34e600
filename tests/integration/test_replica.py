"""Shoal as a replica: of redis-server, valkey-server and Shoal, in step with them through cuts, deaths and promotion."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, wait_until
from tests.integration.test_replication import pid_of, write_at_random
from tests.peers import NAMES, Peer, StartPeer, start_peer

__all__ = ["start_peer"]

PRIMARIES = (*NAMES, "shoal")
SYNC_SECONDS = 30


# --- helpers ----------------------------------------------------------------------------------------------------------


class Primary:
    """A server to follow, whatever its kind."""

    def __init__(self, port: int) -> None:
        self.port = port

    def client(self, db: int = 0) -> redis.Redis:
        return redis.Redis("127.0.0.1", self.port, db=db, decode_responses=True, socket_timeout=20)


def start_primary(kind: str, start_peer: StartPeer, start_server: StartServer, folder: Path, *options: str) -> Primary:
    if kind == "shoal":
        return Primary(start_server(*options).port)
    peer: Peer = start_peer(kind, folder / "primary", "--repl-diskless-sync-delay", "0", *options)
    return Primary(peer.port)


def follow(server: ShoalServer, primary: Primary) -> redis.Redis:
    client = server.client()
    client.execute_command("REPLICAOF", "127.0.0.1", primary.port)
    link_up(client)
    return client


def link_up(client: redis.Redis) -> None:
    def up() -> bool:
        try:
            return bool(client.info("replication")["master_link_status"] == "up")
        except (redis.BusyLoadingError, redis.ConnectionError):
            return False

    wait_until(up, SYNC_SECONDS, "the link is up")


def in_step(primary: redis.Redis, replica: redis.Redis) -> None:
    """The replica has acknowledged everything, and holds the same."""
    last = str(primary.incr("in-step"))

    def caught_up() -> bool:
        try:
            return bool(replica.get("in-step") == last)
        except redis.ConnectionError:
            return False

    wait_until(caught_up, SYNC_SECONDS, "the last write is here")
    theirs = primary.info("replication")["master_repl_offset"]
    wait_until(lambda: replica.info("replication")["slave_repl_offset"] >= theirs, 20, "the same offset")
    assert primary.execute_command("DEBUG", "DIGEST") == replica.execute_command("DEBUG", "DIGEST")


def link_client(client: redis.Redis) -> dict[str, str]:
    found = [c for c in client.client_list() if "M" in c["flags"]]
    assert len(found) == 1, client.client_list()
    return found[0]


def link_worker(client: redis.Redis) -> int:
    """Process id of the worker that has the link."""
    workers = {k: v for k, v in client.info("clients").items() if k.startswith("worker")}
    assert workers
    fd = int(link_client(client)["fd"])
    port = link_client(client)["laddr"].rpartition(":")[2]
    for worker in workers.values():
        pid = int(worker["pid"])
        if Path(f"/proc/{pid}/fd/{fd}").exists() and _has_socket(pid, fd, int(port)):
            return pid
    raise AssertionError("no worker has the link")


def _has_socket(pid: int, fd: int, port: int) -> bool:
    link = os.readlink(f"/proc/{pid}/fd/{fd}")
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if link == f"socket:[{fields[9]}]":
            return int(fields[1].rpartition(":")[2], 16) == port
    return False


def syncs(client: redis.Redis) -> tuple[int, int]:
    stats = client.info("stats")
    return int(stats["sync_full"]), int(stats["sync_partial_ok"])


class Load:
    """Random writes to a primary until stop()."""

    def __init__(self, primary: Primary, seed: int) -> None:
        self.clients = [primary.client(i % 2) for i in range(4)]
        self.rnd = random.Random(seed)
        self.stopping = threading.Event()
        self.calls = 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        while not self.stopping.is_set():
            write_at_random(self.clients, self.rnd, 50)
            self.calls += 50

    def wrote(self, calls: int) -> None:
        target = self.calls + calls
        wait_until(lambda: self.calls >= target, 30, "the load goes on")

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join()


# --- in step ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PRIMARIES)
def test_dataset_and_stream(kind: str, start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    primary = start_primary(kind, start_peer, start_server, tmp_path)
    source = primary.client()
    write_at_random([primary.client(), primary.client(1)], random.Random(1), 500)
    server = start_server()
    server.client().set("mine", "goes away")
    client = follow(server, primary)
    assert client.get("mine") is None
    in_step(source, client)
    write_at_random([primary.client(), primary.client(1)], random.Random(2), 1500)
    in_step(source, client)
    assert source.execute_command("WAIT", 1, 5000) == 1
    assert client.execute_command("ROLE")[:4] == ["slave", "127.0.0.1", primary.port, "connected"]
    assert syncs(source)[0] == 1


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_both_ways_to_send_the_file(diskless: str, start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    primary = start_primary("redis-7.0", start_peer, start_server, tmp_path, "--repl-diskless-sync", diskless)
    primary.client().execute_command("DEBUG", "POPULATE", 50000, "key", 100)
    client = follow(start_server("--replicaof", f"127.0.0.1 {primary.port}"), primary)
    in_step(primary.client(), client)
    assert client.dbsize() == 50001


def test_password(start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    primary = start_primary("redis-7.0", start_peer, start_server, tmp_path, "--user", "mirror", "on", ">secret", "+psync", "+replconf", "+ping")
    server = start_server("--masteruser", "mirror", "--masterauth", "wrong", "--replicaof", f"127.0.0.1 {primary.port}")
    client = server.client()
    wait_until(lambda: "WRONGPASS" in server.log(), 20, "it is refused")
    assert client.info("replication")["master_link_status"] == "down"
    client.config_set("masterauth", "secret")
    link_up(client)


# --- the way back -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PRIMARIES)
def test_link_cut_under_load(kind: str, start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    primary = start_primary(kind, start_peer, start_server, tmp_path, "--repl-backlog-size", "64mb")
    client = follow(start_server(), primary)
    load = Load(primary, 3)
    try:
        for _ in range(3):
            load.wrote(200)
            client.client_kill_filter(_id=int(link_client(client)["id"]))
            link_up(client)
    finally:
        load.stop()
    in_step(primary.client(), client)
    full, partial = syncs(primary.client())
    assert full == 1 and partial >= 1


@pytest.mark.parametrize("kind", ["redis-7.0", "shoal"])
def test_link_worker_killed_under_load(kind: str, start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    primary = start_primary(kind, start_peer, start_server, tmp_path, "--repl-backlog-size", "64mb")
    server = start_server()
    client = follow(server, primary)
    load = Load(primary, 4)
    try:
        for n in range(4):
            load.wrote(100)
            client = redis.Redis("127.0.0.1", server.port, decode_responses=True, socket_timeout=20)
            os.kill(link_worker(client), signal.SIGKILL)
            wait_until(lambda n=n: syncs(primary.client())[1] > n, SYNC_SECONDS, "it goes on")
            link_up(server.client())
    finally:
        load.stop()
    in_step(primary.client(), server.client())
    assert syncs(primary.client()) == (1, 4)


def test_persistence_process_killed(start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    primary = start_primary("redis-7.0", start_peer, start_server, tmp_path)
    client = follow(start_server(), primary)
    os.kill(pid_of(client, "persistence"), signal.SIGKILL)
    client.client_kill_filter(_id=int(link_client(client)["id"]))
    wait_until(lambda: syncs(primary.client())[1] == 1, SYNC_SECONDS, "its heir makes the link")
    link_up(client)
    in_step(primary.client(), client)


def test_warm_restart_goes_on_where_it_was(start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    primary = start_primary("redis-7.0", start_peer, start_server, tmp_path)
    write_at_random([primary.client()], random.Random(5), 300)
    options = ("--replicaof", f"127.0.0.1 {primary.port}", "--keep-memory", "yes")
    server = start_server(*options, folder=tmp_path / "ours")
    client = server.client()
    link_up(client)
    in_step(primary.client(), client)
    server.stop()
    write_at_random([primary.client()], random.Random(6), 300)
    client = start_server(*options, folder=tmp_path / "ours").client()
    link_up(client)
    in_step(primary.client(), client)
    assert syncs(primary.client()) == (1, 1)


# --- what a replica is ------------------------------------------------------------------------------------------------


def test_read_only(start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    primary = start_primary("redis-7.0", start_peer, start_server, tmp_path)
    client = follow(start_server(), primary)
    with pytest.raises(redis.exceptions.ReadOnlyError, match=r"You can't write against a read only replica\."):
        client.set("k", 1)
    with pytest.raises(redis.ResponseError):
        client.pipeline(transaction=True).get("k").set("k", 1).execute()
    assert client.config_set("replica-read-only", "no")
    assert client.set("k", 1)


def test_stale_data(start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    peer = start_peer("redis-7.0", tmp_path / "primary", "--repl-diskless-sync-delay", "0")
    peer.client.set("k", "v")
    client = follow(start_server(), Primary(peer.port))
    peer.stop()
    wait_until(lambda: client.info("replication")["master_link_status"] == "down", 20, "the link is down")
    assert client.get("k") == "v"
    client.config_set("replica-serve-stale-data", "no")
    with pytest.raises(redis.ResponseError, match="Link with MASTER is down and replica-serve-stale-data is set to 'no'"):
        client.get("k")
    assert client.info("replication")["role"] == "slave"


def test_expiry_is_the_primarys(start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    primary = start_primary("redis-7.0", start_peer, start_server, tmp_path)
    source = primary.client()
    client = follow(start_server(), primary)
    source.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    source.set("short", "v", px=50)
    source.set("long", "v", ex=1000)
    wait_until(lambda: client.dbsize() == 2, 10, "both are here")
    wait_until(lambda: client.get("short") is None, 10, "it is hidden")
    time.sleep(0.5)
    assert client.dbsize() == 2 and client.exists("short") == 0 and client.ttl("long") > 900
    source.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    wait_until(lambda: client.dbsize() == 1, 10, "the primary deletes it")
    in_step(source, client)


def test_transactions_are_atomic(start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    primary = start_primary("redis-7.0", start_peer, start_server, tmp_path)
    source = primary.client()
    source.mset({"a": 0, "b": 0})
    client = follow(start_server(), primary)
    stopping = threading.Event()

    def write() -> None:
        while not stopping.is_set():
            source.pipeline(transaction=True).incr("a").incr("b").execute()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            a, b = client.mget("a", "b")
            assert a == b
    finally:
        stopping.set()
        writer.join()
    in_step(source, client)
    assert int(client.get("a")) > 0


def test_promotion_and_back(start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    primary = start_primary("redis-7.0", start_peer, start_server, tmp_path)
    source = primary.client()
    source.set("k", "v")
    client = follow(start_server(), primary)
    in_step(source, client)
    client.execute_command("REPLICAOF", "NO", "ONE")
    assert client.set("mine", 1) and client.get("k") == "v"
    assert client.info("replication")["role"] == "master" and client.execute_command("ROLE")[0] == "master"
    source.set("k", "later")
    wait_until(lambda: source.info("replication")["connected_slaves"] == 0, 10, "the link is given up")
    assert client.get("k") == "v"
    client.execute_command("REPLICAOF", "127.0.0.1", primary.port)
    link_up(client)
    in_step(source, client)
    assert client.get("mine") is None and syncs(source)[0] == 2


def test_own_log_holds_what_came(start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    primary = start_primary("redis-7.0", start_peer, start_server, tmp_path)
    write_at_random([primary.client()], random.Random(7), 300)
    server = start_server("--appendonly", "yes", folder=tmp_path / "ours")
    client = follow(server, primary)
    write_at_random([primary.client(), primary.client(1)], random.Random(8), 500)
    in_step(primary.client(), client)
    digest = client.execute_command("DEBUG", "DIGEST")
    server.stop()
    again = start_server("--appendonly", "yes", folder=tmp_path / "ours").client()
    assert again.execute_command("DEBUG", "DIGEST") == digest


def test_no_replicas_of_a_replica(start_peer: StartPeer, start_server: StartServer, tmp_path: Path) -> None:
    primary = start_primary("redis-7.0", start_peer, start_server, tmp_path)
    client = follow(start_server(), primary)
    with pytest.raises(redis.ResponseError, match="does not serve replicas while it is a replica"):
        client.execute_command("PSYNC", "?", "-1")


# --- wrong primaries --------------------------------------------------------------------------------------------------

REPLIES = (
    b"",
    b"\0\xff\xfe nonsense\r\n",
    b"x" * 5000,
    b"-ERR what\r\n",
    b"+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC\r\n",
    b"+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " + b"a" * 40 + b" 99999999999999999999999\r\n$5\r\nhello",
    b"+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " + b"a" * 40 + b" 1\r\n$\xb2\r\n",
    b"+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " + b"a" * 40 + b" 1\r\n$9999999999\r\nREDIS",
    b"+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " + b"a" * 40 + b" 1\r\n$20\r\nREDIS0010 is not this",
    b"+PONG\r\n+OK\r\n+OK\r\n+CONTINUE\r\n*1\r\n$-7\r\n\0\0",
)


def test_nonsense_from_the_primary(start_server: StartServer) -> None:
    server = start_server()
    client = server.client()
    client.set("k", "v")
    keeper = pid_of(client, "persistence")
    for reply in REPLIES:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(20)
            client.execute_command("REPLICAOF", "127.0.0.1", listener.getsockname()[1])
            connection, _ = listener.accept()
            with connection, contextlib.suppress(ConnectionError):
                connection.sendall(reply)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    continue
            client.execute_command("REPLICAOF", "NO", "ONE")
    client.execute_command("REPLICAOF", "a..b", 1)
    wait_until(lambda: "No link to MASTER a..b" in server.log(), 20, "a host that is no name")
    client.execute_command("REPLICAOF", "NO", "ONE")
    assert client.set("k", "v2") and client.get("k") == "v2"
    assert pid_of(client, "persistence") == keeper and "ended by" not in server.log()
