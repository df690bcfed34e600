"""Shoal as a primary: redis-server as its replica, and the raw stream behind SYNC and PSYNC."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import redis

from tests import needs
from tests.conftest import ShoalServer, StartServer, wait_until
from tests.peers import Peer, StartPeer, start_peer

__all__ = ["start_peer"]


# --- helpers ----------------------------------------------------------------------------------------------------------


def follow(start_peer: StartPeer, server: ShoalServer, folder: Path, *options: str, name: str = "redis-7.0") -> Peer:
    """A real server that is the replica of ours, in step with it."""
    peer = start_peer(name, folder, "--replicaof", f"127.0.0.1 {server.port}", "--appendonly", "no", *options)
    wait_until(lambda: link_is_up(peer), 20, "the replica is in step")
    return peer


def link_is_up(peer: Peer) -> bool:
    return bool(peer.client.info("replication")["master_link_status"] == "up")


def pid_of(client: redis.Redis, title: str) -> int:
    """Process id of a child of the server: `worker1`, or what its title in ps says."""
    if title.startswith("worker"):
        return int(client.info("clients")[title]["pid"])
    parent = int(client.info("server")["process_id"])
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if title in Path(f"/proc/{child}/cmdline").read_text():
            return int(child)
    raise AssertionError(f"there is no process {title}")


def in_step(client: redis.Redis, peer: Peer) -> None:
    """Everything that was written is on the replica, and nothing else."""
    client.incr("in-step")
    wait_until(lambda: client.execute_command("WAIT", 1, 2000) == 1, 20, "the replica acknowledges")
    ours = client.info("replication")["master_repl_offset"]
    wait_until(lambda: peer.client.info("replication")["slave_repl_offset"] >= ours, 10, "the same offset")
    ours, theirs = client.execute_command("DEBUG", "DIGEST"), peer.client.execute_command("DEBUG", "DIGEST")
    assert ours == theirs
    assert client.info("keyspace").keys() == peer.client.info("keyspace").keys()


def write_at_random(clients: list[redis.Redis], rnd: random.Random, calls: int) -> None:
    """Commands of every type, from several connections."""
    for n in range(calls):
        c, k, v = rnd.choice(clients), f"{rnd.randrange(40)}", f"value {n}"
        commands: list[list[object]] = [
            ["SET", "s" + k, v], ["APPEND", "s" + k, v], ["SET", "s" + k, v, "EX", 1000], ["INCRBYFLOAT", "f" + k, "1.5"], ["INCR", "i" + k],
            ["SETRANGE", "s" + k, 5, v], ["SETBIT", "b" + k, n, 1], ["BITFIELD", "b" + k, "INCRBY", "u8", "#3", 7], ["PFADD", "p" + k, v],
            ["RPUSH", "l" + k, v, v], ["LPOP", "l" + k], ["LINSERT", "l" + k, "BEFORE", v, "x"], ["RPOPLPUSH", "l" + k, "l0"], ["LTRIM", "l" + k, 0, 20],
            ["HSET", "h" + k, v, n, "a", n], ["HINCRBYFLOAT", "h" + k, "f", "0.25"], ["HDEL", "h" + k, "a"], ["SADD", "e" + k, n, v], ["SPOP", "e" + k],
            ["SMOVE", "e" + k, "e0", v], ["SUNIONSTORE", "e1", "e" + k, "e2"], ["ZADD", "z" + k, n, v], ["ZINCRBY", "z" + k, "2.5", v], ["ZPOPMIN", "z" + k],
            ["ZUNIONSTORE", "z0", 2, "z" + k, "z1"], ["GEOADD", "g" + k, 13.3, 38.1, v], ["XADD", "x" + k, "MAXLEN", "~", 50, "*", "f", v],
            ["XGROUP", "CREATE", "x" + k, "group", "0", "MKSTREAM"], ["XREADGROUP", "GROUP", "group", "c", "COUNT", 2, "STREAMS", "x" + k, ">"],
            ["EXPIRE", "s" + k, 5000], ["PERSIST", "s" + k], ["DEL", "l" + k], ["UNLINK", "h" + k], ["RENAME", "s" + k, "s0"], ["COPY", "z" + k, "z2"],
            ["GETDEL", "i" + k], ["GETEX", "s" + k, "PERSIST"], ["MOVE", "s" + k, 1], ["SORT", "l" + k, "ALPHA", "STORE", "l2"],
        ]  # fmt: skip
        try:
            if n % 20 == 0:
                with c.pipeline(transaction=True) as pipe:
                    for command in rnd.sample(commands[:6], 3):
                        pipe.execute_command(*command)
                    pipe.execute()
            else:
                c.execute_command(*rnd.choice(commands))
        except redis.ResponseError:
            pass


def writers(server: ShoalServer) -> list[redis.Redis]:
    """Connections in two databases, on all workers."""
    return [server.client(db=i % 2) for i in range(6)]


class Stream:
    """A connection that reads what a replica would."""

    def __init__(self, server: ShoalServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), 10)
        self.file = self.socket.makefile("rb")

    def send(self, *args: object) -> None:
        words = [str(a).encode() for a in args]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def line(self) -> bytes:
        """The next one that is not empty: those tell to wait."""
        while (line := self.file.readline()) == b"\n":
            continue
        return line.strip()

    def rdb(self) -> bytes:
        head = self.line()
        assert head[:1] == b"$", head
        return self.file.read(int(head[1:]))

    def full(self) -> tuple[str, int]:
        """PSYNC from the beginning: id and offset."""
        self.send("PSYNC", "?", -1)
        word, ident, offset = self.line().split()
        assert word == b"+FULLRESYNC"
        assert self.rdb()[:9] == b"REDIS0010"
        return ident.decode(), int(offset)

    def command(self) -> list[bytes]:
        """The next one that is no PING."""
        while True:
            head = self.file.readline()
            assert head[:1] == b"*", head
            words = [self.file.read(int(self.file.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:]))]
            if words != [b"PING"]:
                return words

    def close(self) -> None:
        self.file.close()
        self.socket.close()


# --- the stream -------------------------------------------------------------------------------------------------------


def test_the_stream_behind_sync(shoal: ShoalServer) -> None:
    client = shoal.client()
    client.set("before", 1)
    stream = Stream(shoal)
    stream.socket.sendall(b"SYNC\r\n")
    assert b"before" in stream.rdb()
    client.set("a", 1)
    client.sadd("set", "one")
    client.spop("set")
    with client.pipeline(transaction=True) as pipe:
        pipe.set("b", 2).get("b").incr("a").execute()
    other = shoal.client(db=3)
    other.expire("nothing", 10)
    other.psetex("soon", 30, "x")
    wait_until(lambda: other.get("soon") is None, 5)
    client.swapdb(0, 3)
    client.flushall()
    assert [stream.command() for _ in range(9)] == [
        [b"SELECT", b"0"], [b"SET", b"a", b"1"], [b"SADD", b"set", b"one"], [b"SREM", b"set", b"one"],
        [b"MULTI"], [b"SET", b"b", b"2"], [b"INCRBY", b"a", b"1"], [b"EXEC"], [b"SELECT", b"3"],
    ]  # fmt: skip
    assert stream.command()[:3:2] == [b"SET", b"x"]
    assert stream.command()[1:] == [b"soon"]
    assert [stream.command() for _ in range(3)] == [[b"SELECT", b"0"], [b"SWAPDB", b"0", b"3"], [b"FLUSHALL"]]
    stream.close()


def test_offsets_count_bytes_and_psync_goes_on(start_server: StartServer) -> None:
    server = start_server("--repl-ping-replica-period", "3600")
    client = server.client()
    stream = Stream(server)
    stream.send("REPLCONF", "listening-port", 1234, "ip-address", "10.0.0.1", "capa", "eof", "capa", "psync2")
    assert stream.line() == b"+OK"
    ident, offset = stream.full()
    client.set("key", "value")
    text = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n"
    assert stream.file.read(len(text)) == text
    info = client.info("replication")
    assert info["master_replid"] == ident and info["master_repl_offset"] == offset + len(text)
    assert info["slave0"]["ip"] == "10.0.0.1" and info["slave0"]["port"] == 1234 and info["slave0"]["state"] == "online"
    stream.send("REPLCONF", "ACK", offset + len(text))
    wait_until(lambda: client.info("replication")["slave0"]["offset"] == offset + len(text))
    assert client.execute_command("ROLE") == ["master", offset + len(text), [["10.0.0.1", "1234", str(offset + len(text))]]]
    stream.close()
    client.set("key", "more")
    again = Stream(server)
    again.send("REPLCONF", "capa", "psync2")
    assert again.line() == b"+OK"
    again.send("PSYNC", ident, offset + len(text) + 1)
    assert again.line() == f"+CONTINUE {ident}".encode()
    assert again.command() == [b"SET", b"key", b"more"]
    again.close()
    for wrong in [("0" * 40, offset + 1), (ident, offset + 1000000), (ident, "x")]:
        other = Stream(server)
        other.send("PSYNC", *wrong)
        assert other.line().startswith(b"+FULLRESYNC " + ident.encode())
        other.close()
    stats = client.info("stats")
    assert (stats["sync_full"], stats["sync_partial_ok"], stats["sync_partial_err"]) == (4, 1, 3)


def test_what_is_older_than_the_backlog_needs_everything(start_server: StartServer) -> None:
    server = start_server("--repl-backlog-size", "16kb")
    client = server.client()
    stream = Stream(server)
    ident, offset = stream.full()
    client.set("key", "x" * 40000)
    assert stream.command() and len(stream.command()[2]) == 40000
    stream.close()
    end = client.info("replication")["master_repl_offset"]
    for start, answer in [(offset + 1, b"+FULLRESYNC"), (end - 16384, b"+FULLRESYNC"), (end - 16384 + 1, b"+CONTINUE")]:
        other = Stream(server)
        other.send("PSYNC", ident, start)
        assert other.line().split()[0] == answer, (start, end)
        other.close()


def test_a_replica_that_says_other_things_is_closed(shoal: ShoalServer) -> None:
    client = shoal.client()
    stream = Stream(shoal)
    stream.full()
    wait_until(lambda: client.info("replication")["connected_slaves"] == 1)
    stream.send("GET", "key")
    assert stream.file.read() == b""
    stream.close()
    wait_until(lambda: client.info("replication")["connected_slaves"] == 0)
    for words, error in [
        (("REPLCONF", "listening-port"), "syntax error"),
        (("REPLCONF", "listening-port", "x"), "value is not an integer"),
        (("REPLCONF", "what", "1"), "Unrecognized REPLCONF option: what"),
        (("REPLICAOF", "127.0.0.1", "x"), "Invalid master port"),
    ]:
        with pytest.raises(redis.ResponseError, match=error):
            client.execute_command(*words)
    assert client.execute_command("REPLICAOF", "NO", "ONE") == "OK"


def test_a_replica_that_stops_reading_is_closed_and_nobody_waits_for_it(start_server: StartServer) -> None:
    server = start_server("--client-output-buffer-limit", "replica 4mb 0 0")
    client = server.client()
    stream = Stream(server)
    stream.full()
    for _ in range(20):
        client.set("key", "x" * 1_000_000)
    wait_until(lambda: client.info("replication")["connected_slaves"] == 0, 10, "it is closed")
    assert "overcoming of output buffer limits" in server.log()
    stream.close()


def test_min_replicas(start_server: StartServer, start_peer: StartPeer, tmp_path: Path) -> None:
    server = start_server("--min-replicas-to-write", "1", "--min-replicas-max-lag", "3")
    client = server.client()
    with pytest.raises(redis.ResponseError, match="NOREPLICAS"):
        client.set("a", 1)
    peer = follow(start_peer, server, tmp_path / "replica")
    wait_until(lambda: client.info("replication")["min_slaves_good_slaves"] == 1, 5)
    client.set("a", 1)
    peer.stop()

    def refused() -> bool:
        try:
            client.set("a", 2)
        except redis.ResponseError as e:
            return "NOREPLICAS" in str(e)
        return False

    wait_until(refused, 10)
    assert client.get("a") in ("1", "2")


# --- a real replica ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "appendonly"), [("redis-7.0", "no"), ("redis-8.2", "yes"), ("valkey-9.1", "no")])
def test_a_real_replica_follows(
    start_server: StartServer, start_peer: StartPeer, tmp_path: Path, name: str, appendonly: str
) -> None:
    server = start_server("--appendonly", appendonly)
    clients, rnd = writers(server), random.Random(7)
    client = clients[0]
    write_at_random(clients, rnd, 500)
    peer = follow(start_peer, server, tmp_path / "replica", name=name)
    in_step(client, peer)
    write_at_random(clients, rnd, 1500)
    client.set("large", "x" * 20_000_000)
    client.rpush("long", *["y" * 1000] * 5000)
    in_step(client, peer)
    client.flushall()
    write_at_random(clients, rnd, 300)
    client.swapdb(0, 1)
    in_step(client, peer)
    if name == "redis-7.0":  # the log may come and go meanwhile
        client.config_set("appendonly", "yes")
        write_at_random(clients, rnd, 200)
        wait_until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0, 20)
        write_at_random(clients, rnd, 200)
        client.config_set("appendonly", "no")
        write_at_random(clients, rnd, 200)
        in_step(client, peer)
        client.execute_command("DEBUG", "RELOAD")
        in_step_again(client, peer)
    assert peer.client.info("replication")["master_replid"] == client.info("replication")["master_replid"]


def in_step_again(client: redis.Redis, peer: Peer) -> None:
    """After the connection was broken."""
    wait_until(lambda: link_is_up(peer), 20)
    wait_until(lambda: client.info("replication")["connected_slaves"] == 1, 20)
    in_step(client, peer)


@pytest.mark.parametrize("appendonly", ["no", "yes"])
def test_deaths_of_our_processes(start_server: StartServer, start_peer: StartPeer, tmp_path: Path, appendonly: str) -> None:
    """A worker's and the log writer's cost no full synchronisation; nobody's loses a write."""
    server = start_server("--appendonly", appendonly)
    client, rnd = server.client(retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 100)), random.Random(11)
    peer = follow(start_peer, server, tmp_path / "replica")
    fulls = client.info("stats")["sync_full"]
    for round_, victim in enumerate(["log writer", "worker1", "worker2", "log writer", "persistence", "worker1"]):
        write_at_random(writers(server), rnd, 150)
        os.kill(pid_of(client, victim), signal.SIGKILL)
        acknowledged = 0
        for n in range(150):
            try:
                server.client(db=n % 2).set(f"{round_} {n}", n)
                acknowledged += 1
            except redis.ConnectionError:
                continue
        assert acknowledged > 100
        server.close_clients()
        in_step_again(client, peer)
    assert client.info("stats")["sync_full"] == fulls, server.log()


def test_death_of_the_saver_in_a_synchronisation(start_server: StartServer, start_peer: StartPeer, tmp_path: Path) -> None:
    server = start_server("--rdb-key-save-delay", "2000")
    clients = writers(server)
    write_at_random(clients, random.Random(5), 1000)
    peer = start_peer("redis-7.0", tmp_path / "replica", "--replicaof", f"127.0.0.1 {server.port}")
    wait_until(lambda: clients[0].info("replication").get("slave0", {}).get("state") == "wait_bgsave", 10)
    time.sleep(0.2)
    os.kill(pid_of(clients[0], "persistence"), signal.SIGKILL)
    wait_until(lambda: "could not be made" in server.log(), 10)
    clients[0].config_set("rdb-key-save-delay", 0)
    write_at_random(clients, random.Random(6), 200)
    in_step_again(clients[0], peer)


def test_everything_is_killed_and_the_replica_goes_on(start_server: StartServer, start_peer: StartPeer, tmp_path: Path) -> None:
    server = start_server()
    peer = follow(start_peer, server, tmp_path / "replica")
    write_at_random(writers(server), random.Random(3), 200)
    server.close_clients()
    server.process.kill()
    server.process.wait()
    again = start_server(folder=server.folder, port=server.port)
    client = again.client()
    client.set("after", 1)
    in_step_again(client, peer)
    assert client.info("stats")["sync_full"] == 0 and client.info("stats")["sync_partial_ok"] == 1


def test_the_stream_ends_when_nobody_follows(start_server: StartServer) -> None:
    server = start_server("--repl-backlog-ttl", "1")
    client = server.client()
    stream = Stream(server)
    ident, _ = stream.full()
    assert client.info("replication")["repl_backlog_active"] == 1
    stream.close()
    wait_until(lambda: client.info("replication")["repl_backlog_active"] == 0, 10)
    assert client.info("replication")["master_replid"] != ident
    client.set("a", 1)
    stream = Stream(server)
    stream.full()
    client.set("a", 2)
    assert [stream.command(), stream.command()] == [[b"SELECT", b"0"], [b"SET", b"a", b"2"]]
    stream.close()


def test_redis_cli_gets_the_file(shoal: ShoalServer, tmp_path: Path) -> None:
    shoal.client().set("key", "value")
    target = tmp_path / "copy.rdb"
    done = subprocess.run(
        [needs.program("redis-cli"), "-p", str(shoal.port), "--rdb", str(target)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert target.read_bytes()[:9] == b"REDIS0010" and re.search(rb"key\x05value", target.read_bytes())
