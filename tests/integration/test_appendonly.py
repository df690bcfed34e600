"""The append-only file over the socket: exchange with redis-server, torn and damaged files, switching on and off, disks that fail."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, free_port, wait_until
from tests.faults import Faults
from tests.needs import program, redis_server

ON = ("--appendonly", "yes", "--save", "", "--enable-debug-command", "yes", "--keep-memory", "no")


def fill(client: redis.Redis) -> None:
    """Some of every type that is written in more than one way."""
    client.mset({f"s{i}": "v" * i for i in range(200)})
    client.incr("n")
    client.set("ttl", "x", ex=10000)
    client.rpush("list", *range(500))
    client.hset("hash", mapping={f"f{i}": i for i in range(300)})
    client.sadd("set", *range(100), "word")
    client.zadd("zset", {f"m{i}": i / 3 for i in range(300)})
    pipe = client.pipeline(transaction=True)
    pipe.set("a", 1).rpush("list", "tail").delete("s7")
    pipe.execute()
    client.select(3)
    client.set("other", "db")
    client.select(0)


def digest(client: redis.Redis) -> str:
    return str(client.execute_command("DEBUG", "DIGEST"))


def written(client: redis.Redis) -> None:
    wait_until(lambda: client.info("persistence")["aof_written_lsn"] == client.info("persistence")["aof_last_lsn"])


def rewritten(client: redis.Redis) -> None:
    wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], 20)


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[object]:
    running: list[subprocess.Popen[bytes]] = []

    def start(folder: Path) -> redis.Redis:
        port = free_port()
        options = ["--port", str(port), "--dir", str(folder), "--appendonly", "yes", "--save", "", "--enable-debug-command", "yes"]
        running.append(subprocess.Popen([redis_server(), *options], stdout=subprocess.DEVNULL))
        client = redis.Redis("127.0.0.1", port, decode_responses=True)

        def up() -> bool:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.BusyLoadingError):
                return False

        wait_until(up)
        return client

    yield start
    for p in running:
        p.kill()
        p.wait()


@pytest.mark.parametrize("rewrite", [False, True])
def test_files_go_both_ways(start_server: StartServer, start_redis: object, rewrite: bool) -> None:
    shoal = start_server(*ON, "--aof-timestamp-enabled", "yes")
    client = shoal.client()
    fill(client)
    if rewrite:
        client.bgrewriteaof()
        rewritten(client)
        client.append("s1", "more")
    want = digest(client)
    assert shoal.stop() == 0
    theirs = start_redis(shoal.folder)  # type: ignore[operator]
    assert digest(theirs) == want
    theirs.rpush("list", "from redis")
    theirs.set("ttl", "y", keepttl=True)
    want = digest(theirs)
    theirs.shutdown()
    again = start_server(*ON, folder=shoal.folder)
    assert digest(again.client()) == want


def commands_of(path: Path) -> list[list[bytes]]:
    """What an AOF of commands holds; annotations are passed over."""
    found, data = [], path.read_bytes()
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        line, at = data[at : end - 1], end + 1
        if line.startswith(b"#"):
            continue
        assert line.startswith(b"*"), line
        words = []
        for _ in range(int(line[1:])):
            end = data.index(b"\n", at)
            size = int(data[at + 1 : end - 1])
            words.append(data[end + 1 : end + 1 + size])
            at = end + 1 + size + 2
        found.append(words)
    return found


def test_a_base_in_commands(start_server: StartServer) -> None:
    server = start_server(*ON, "--aof-use-rdb-preamble", "no", "--aof-timestamp-enabled", "yes")
    client = server.client()
    assert (server.folder / "appendonlydir" / "appendonly.aof.1.base.aof").exists()
    fill(client)
    client.rpush("long", "x" * 300000, b"\r\n", "")
    client.hset("times", mapping={"keeps": 1, "goes": 2})
    client.execute_command("HPEXPIREAT", "times", 4000000000000, "FIELDS", 1, "goes")
    for i in range(150):
        client.xadd("stream", {"n": i} if i % 3 else {"n": i, "three": "yes"})
    client.xtrim("stream", maxlen=120)
    client.xgroup_create("stream", "group", 0)
    client.xreadgroup("group", "alice", {"stream": ">"}, count=7)
    client.xgroup_createconsumer("stream", "group", "bob")
    client.xgroup_create("empty", "group", 0, mkstream=True)
    client.expireat("zset", 4000000000)
    client.bgrewriteaof()
    rewritten(client)
    base = server.folder / "appendonlydir" / "appendonly.aof.2.base.aof"
    assert {p.name for p in base.parent.glob("*.base.*")} == {base.name}
    assert base.read_bytes().startswith(b"#TS:") and base.read_bytes().splitlines()[-1].startswith(b"#BATCH lsn=")
    sizes = {words[0]: 0 for words in commands_of(base)}
    for words in commands_of(base):
        sizes[words[0]] = max(sizes[words[0]], len(words))
    assert sizes[b"RPUSH"] == sizes[b"SADD"] == 66 and sizes[b"HSET"] == sizes[b"ZADD"] == 130
    manifest = str(base.with_name("appendonly.aof.manifest"))
    subprocess.run([program("redis-check-aof"), manifest], check=True, capture_output=True)

    def state() -> list[object]:
        pending = [(p["message_id"], p["times_delivered"]) for p in client.xpending_range("stream", "group", "-", "+", 20, "alice")]
        assert len(pending) == 7
        names = [c["name"] for c in client.xinfo_consumers("stream", "group")]
        times = [client.execute_command("HPEXPIRETIME", "times", "FIELDS", 2, "keeps", "goes"), client.expiretime("zset"), client.ttl("ttl") > 9000]
        return [digest(client), pending, names, times, client.xinfo_groups("stream"), client.xinfo_stream("empty")]

    want = state()
    assert client.execute_command("DEBUG", "LOADAOF")
    assert state() == want


def incr_file(server: ShoalServer) -> Path:
    return max(server.folder.glob("appendonlydir/*.incr.aof"))


def test_a_torn_end_is_cut_or_refused(start_server: StartServer) -> None:
    server = start_server(*ON)
    client = server.client()
    for i in range(50):
        client.set("k", i)
        if i == 40:
            written(client)
    assert server.stop() == 0
    path = incr_file(server)
    with open(path, "ab") as f:
        f.write(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nto")
    refused = start_server(*ON, "--aof-load-truncated", "no", folder=server.folder, wait=False)
    assert refused.process.wait(20) == 1
    assert "Unexpected end of file reading the append only file" in refused.log()
    again = start_server(*ON, folder=server.folder)
    assert again.client().get("k") == "49"


def test_damage_in_the_middle_is_refused_with_its_place(start_server: StartServer) -> None:
    server = start_server(*ON)
    client = server.client()
    for i in range(30):
        client.set("k", f"value{i}")
        written(client)
    assert server.stop() == 0
    path = incr_file(server)
    data = bytearray(path.read_bytes())
    at = data.index(b"value7")
    data[at] ^= 1
    path.write_bytes(data)
    refused = start_server(*ON, folder=server.folder, wait=False)
    assert refused.process.wait(20) == 1
    said = refused.log()
    assert "Bad file format reading the append only file" in said and path.name in said and "at byte" in said
    assert path.read_bytes() == data, "the file was changed"


def test_a_missing_file_is_named(start_server: StartServer) -> None:
    server = start_server(*ON)
    server.client().set("a", 1)
    assert server.stop() == 0
    path = incr_file(server)
    path.unlink()
    refused = start_server(*ON, folder=server.folder, wait=False)
    assert refused.process.wait(20) == 1
    assert path.name in refused.log() and "No such file or directory" in refused.log()


def test_half_a_transaction_at_the_end_goes_as_a_whole(start_server: StartServer, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    (folder / "appendonlydir").mkdir(parents=True)
    (folder / "appendonlydir" / "appendonly.aof.1.incr.aof").write_bytes(
        b"*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\n1\r\n*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\n2\r\n"
    )
    (folder / "appendonlydir" / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    server = start_server(*ON, folder=folder)
    assert server.client().get("a") == "1"


def test_a_single_old_file_is_adopted(start_server: StartServer, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "appendonly.aof").write_bytes(b"*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\n1\r\n")
    server = start_server(*ON, folder=folder)
    assert server.client().get("a") == "1"
    assert (folder / "appendonlydir" / "appendonly.aof").exists() and not (folder / "appendonly.aof").exists()


def test_switching_on_and_off_at_run_time(start_server: StartServer) -> None:
    server = start_server("--save", "", "--keep-memory", "no")
    client = server.client()
    client.mset({f"k{i}": i for i in range(1000)})
    client.config_set("appendonly", "yes")
    wait_until(lambda: client.info("persistence")["aof_rewrites"] > 0, 20, "the first base")
    rewritten(client)
    client.set("after", 1)
    client.config_set("appendonly", "no")
    wait_until(lambda: not client.info("persistence")["aof_enabled"])
    client.set("unlogged", 1)
    bases = client.info("persistence")["aof_rewrites"]
    client.config_set("appendonly", "yes")
    wait_until(lambda: client.info("persistence")["aof_rewrites"] > bases, 20, "the second base")
    rewritten(client)
    client.set("last", 1)
    assert server.stop() == 0
    again = start_server(*ON, folder=server.folder)
    assert again.client().dbsize() == 1003


def test_a_stop_waits_for_the_first_base(start_server: StartServer) -> None:
    server = start_server("--save", "", "--keep-memory", "no")
    client = server.client()
    client.execute_command("DEBUG", "POPULATE", 300000, "k", 100)
    client.config_set("appendonly", "yes")
    assert server.stop() == 0
    again = start_server(*ON, folder=server.folder)
    assert again.client().dbsize() == 300000


def test_no_cut_is_taken_while_the_disk_fails(start_server: StartServer, faults: Faults) -> None:
    server = start_server(*ON, "--appendfsync", "everysec")
    client = server.client()
    faults.set("call=write err=ENOSPC path=*/appendonlydir/*")
    wait_until(lambda: "MISCONF" in _try(client), what="writes are refused")
    failures = client.info("persistence")["aof_rewrites_consecutive_failures"]
    time.sleep(2.5)  # two tries
    assert client.info("persistence")["aof_rewrites_consecutive_failures"] == failures
    assert not list(server.folder.glob("appendonlydir/*probe*"))
    faults.lift()
    wait_until(lambda: _try(client) == "", 20, "writes resume")


def test_growth_rewrites_by_itself(start_server: StartServer) -> None:
    server = start_server(*ON, "--auto-aof-rewrite-min-size", "100kb", "--auto-aof-rewrite-percentage", "100")
    client = server.client()
    wait_until(lambda: client.set("k", "x" * 10000) and client.info("persistence")["aof_rewrites"] > 0, 20)
    assert client.info("persistence")["aof_last_bgrewrite_status"] == "ok"


def test_a_read_waits_for_what_it_tells_but_others_do_not(start_server: StartServer, faults: Faults) -> None:
    server = start_server(*ON, "--appendfsync", "always")
    writer, reader = server.client(), server.client()
    reader.set("other", 1)
    faults.set("call=sync ms=700 path=*.incr.aof")
    connection = writer.connection_pool.get_connection()
    connection.send_command("SET", "slow", "1")
    time.sleep(0.1)
    began = time.monotonic()
    assert reader.get("other") == "1"
    assert time.monotonic() - began < 0.3
    assert reader.get("slow") == "1"
    assert time.monotonic() - began > 0.3
    assert connection.read_response() == "OK"
    faults.lift()


@pytest.mark.parametrize("fault", ["call=write err=ENOSPC path=*/appendonlydir/*", "call=sync err=EIO path=*.incr.aof", "call=write short=10 path=*.incr.aof"])
def test_a_failing_disk_refuses_writes_and_heals(start_server: StartServer, faults: Faults, fault: str) -> None:
    server = start_server(*ON, "--appendfsync", "always")
    client, other = server.client(), server.client(socket_timeout=30)
    client.set("a", 1)
    faults.set(fault)
    if "short" in fault:
        client.set("b", 2)  # a short write is continued
        faults.set("call=write err=EIO path=*.incr.aof")
    connection = other.connection_pool.get_connection()
    connection.send_command("SET", "waits", "1")
    wait_until(lambda: client.info("persistence")["aof_last_write_status"] == "err" or "MISCONF" in _try(client))
    assert client.get("a") == "1"
    faults.lift()
    wait_until(lambda: _try(client) == "", 20, "writes resume")
    assert connection.read_response() == "OK"
    assert server.stop() == 0
    again = start_server(*ON, folder=server.folder)
    assert again.client().get("waits") == "1" and again.client().get("a") == "1"


def test_a_failing_disk_with_several_fdatasyncs_in_flight(start_server: StartServer, faults: Faults) -> None:
    server = start_server(*ON, "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0")
    client = server.client()
    faults.set("call=sync ms=40 path=*.incr.aof")
    for i in range(4):
        client.set("slow", i)
    before = client.info("persistence")
    writers = [server.client(socket_timeout=30).connection_pool.get_connection() for _ in range(12)]
    for turn in range(8):  # at distances of a fraction of an fdatasync, so that no two wait for the same one
        faults.set("call=sync ms=40 path=*.incr.aof" + (" err=EIO" if turn > 5 else ""))
        writers[turn].send_command("SET", f"w{turn}", "1")
        time.sleep(0.012)
    wait_until(lambda: client.info("persistence")["aof_last_write_status"] == "err", 20, "the failure is seen")
    faults.lift()
    wait_until(lambda: _try(client) == "", 20, "writes resume")
    assert [w.read_response() for w in writers[:6]] == ["OK"] * 6
    told = []
    for w in writers[6:8]:
        with contextlib.suppress(redis.ResponseError):  # MISCONF: it came after the failure
            told.append(w.read_response())
    after = client.info("persistence")
    assert after["aof_fsyncs"] > before["aof_fsyncs"] and after["aof_last_write_status"] == "ok"
    assert server.stop() == 0
    again = start_server(*ON, folder=server.folder)
    assert again.client().exists(*[f"w{turn}" for turn in range(6 + len(told))]) == 6 + len(told)


def test_a_stop_while_the_disk_fails_keeps_what_was_acknowledged(start_server: StartServer, faults: Faults) -> None:
    """The file lacks it, so the memory stays, whatever keep-memory says."""
    server = start_server(*ON, "--appendfsync", "everysec")
    client = server.client()
    faults.set("call=write err=ENOSPC path=*/appendonlydir/*")
    acknowledged = 0
    with pytest.raises(redis.ResponseError, match="MISCONF"):
        while True:
            acknowledged = client.incr("count")
    assert acknowledged
    assert server.stop() == 0 and "stays in shared memory" in server.log()
    faults.lift()
    again = start_server(*ON, folder=server.folder)
    client = again.client()
    assert "Took over the memory" in again.log() and client.get("count") == str(acknowledged)
    wait_until(lambda: _try(client) == "", 20, "writes resume")
    assert again.stop() == 0 and "stays in shared memory" not in again.log()
    assert start_server(*ON, folder=server.folder).client().get("count") == str(acknowledged)


def _try(client: redis.Redis) -> str:
    try:
        client.set("try", 1)
    except redis.ResponseError as e:
        return str(e)
    return ""


def test_a_rewrite_while_the_log_is_off_makes_a_base_and_logs_nothing(start_server: StartServer) -> None:
    server = start_server("--save", "", "--keep-memory", "no")
    client = server.client()
    with pytest.raises(redis.ResponseError, match="no append only file"):
        client.execute_command("DEBUG", "LOADAOF")
    client.set("a", 1)
    client.bgrewriteaof()
    rewritten(client)
    client.set("a", 2)
    files = sorted(p.name for p in (server.folder / "appendonlydir").iterdir())
    assert files == ["appendonly.aof.1.base.rdb", "appendonly.aof.manifest"]
    assert client.execute_command("DEBUG", "LOADAOF") == "OK" and client.get("a") == "1"
    client.set("a", 3)
    client.config_set("appendonly", "yes")
    wait_until(lambda: client.info("persistence")["aof_rewrites"] == 2, 20)
    rewritten(client)
    client.set("b", 4)
    assert server.stop() == 0
    assert start_server(*ON, folder=server.folder).client().mget("a", "b") == ["3", "4"]
