"""Snapshots and restarts over the socket: SAVE, BGSAVE, save points, loading, DEBUG RELOAD, memory taken over, disks that fail."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, free_port, wait_until
from tests.faults import Faults

SOME = {
    "text": "a value",
    "number": "12345",
    "negative": "-9223372036854775808",
    "long": "abcdefgh" * 5000,
    "binary": "".join(chr(i) for i in range(128)),
    "empty": "",
}


def digest(client: Any) -> str:
    return str(client.execute_command("DEBUG", "DIGEST"))


def fill(client: Any) -> None:
    client.mset(SOME)
    client.set("fleeting", "x", px=10_000_000)
    client.sadd("numbers", *range(300))
    client.sadd("words", "a", "b", "c")
    client.zadd("scores", {f"member:{i}": i / 3 for i in range(300)})
    client.zadd("small scores", {"a": 1, "b": 2.5})
    client.xadd("stream", {"field": "value"}, id="1-1")
    client.hset("hash", mapping={f"field:{i}": f"value:{i}" for i in range(300)})
    client.hset("small hash", mapping={"a": "1", "b": "2"})
    other = client.client()
    other.execute_command("SELECT", 9)
    other.set("in another database", "y")
    other.close()


def children(server: ShoalServer) -> dict[str, int]:
    found = {}
    for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split():
        name = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode().removeprefix("shoal: ")
        found[name] = int(pid)
    return found


def kill_all(server: ShoalServer) -> None:
    pids = [server.pid, *children(server).values()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    server.process.wait()


def test_a_clean_stop_saves_and_the_next_start_loads(start_server: StartServer) -> None:
    first = start_server("--save", "3600 1")
    fill(first.client())
    before, expires = digest(first.client()), first.client().pexpiretime("fleeting")
    first.close_clients()
    assert first.stop() == 0
    assert not (first.folder / "shoal.segment").exists()
    second = start_server(folder=first.folder)
    assert digest(second.client()) == before
    assert second.client().pexpiretime("fleeting") == expires
    assert second.client().hget("hash", "field:299") == "value:299"
    assert second.client().info("persistence")["rdb_last_load_keys_loaded"] == len(SOME) + 9


def test_shutdown_nosave_saves_nothing(start_server: StartServer) -> None:
    server = start_server("--save", "3600 1")
    server.client().set("a", "1")
    with pytest.raises(redis.ConnectionError):
        server.client().execute_command("SHUTDOWN", "NOSAVE")
    server.process.wait(20)
    assert not (server.folder / "dump.rdb").exists()


def test_save_bgsave_and_lastsave(start_server: StartServer) -> None:
    server = start_server("--save", "")
    client = server.client()
    fill(client)
    assert client.info("persistence")["rdb_changes_since_last_save"] > 0
    assert client.save()
    info = client.info("persistence")
    assert info["rdb_changes_since_last_save"] == 0
    assert info["rdb_saves"] == 1
    assert abs(client.info("persistence")["rdb_last_save_time"] - time.time()) < 5
    assert client.lastsave()
    client.set("more", "x")
    assert client.execute_command("BGSAVE") in (True, "Background saving started")
    wait_until(lambda: client.info("persistence")["rdb_saves"] == 2, what="the second save")
    with pytest.raises(redis.ResponseError, match="syntax error"):
        client.execute_command("BGSAVE", "LATER")


@pytest.mark.parametrize("compression", ["yes", "no"])
def test_redis_server_loads_our_file_and_we_load_its(start_server: StartServer, tmp_path: Path, compression: str) -> None:
    ours = start_server("--rdbcompression", compression)
    fill(ours.client())
    ours.client().save()
    checked = subprocess.run(["redis-check-rdb", ours.folder / "dump.rdb"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    shutil.copy(ours.folder / "dump.rdb", theirs / "dump.rdb")
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(theirs), "--enable-debug-command", "yes"],
        stdout=subprocess.DEVNULL,
    )
    try:
        client = redis.Redis("127.0.0.1", port, decode_responses=True)

        def loaded() -> bool:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.BusyLoadingError):
                return False

        wait_until(loaded)
        assert digest(client) == digest(ours.client())
        client.set("from the other side", "z")
        client.save()
        expected = digest(client)
        client.close()
    finally:
        process.terminate()
        process.wait(20)
    back = tmp_path / "back"
    back.mkdir()
    shutil.copy(theirs / "dump.rdb", back / "dump.rdb")
    again = start_server(folder=back)
    assert digest(again.client()) == expected


def test_save_points(start_server: StartServer) -> None:
    server = start_server("--save", "1 10")
    client = server.client()
    saves = client.info("persistence")["rdb_saves"]
    for i in range(20):
        client.set(f"k{i}", "v")
    wait_until(lambda: client.info("persistence")["rdb_saves"] > saves, 15, "a save by the clock")


def test_debug_reload_keeps_everything(start_server: StartServer) -> None:
    client = start_server().client()
    fill(client)
    before = digest(client)
    assert client.execute_command("DEBUG", "RELOAD")
    assert digest(client) == before
    client.set("not saved", "x")
    client.execute_command("DEBUG", "RELOAD", "NOSAVE")
    assert digest(client) == before


def test_a_damaged_file_is_refused_and_left_alone(start_server: StartServer) -> None:
    first = start_server("--save", "3600 1")
    fill(first.client())
    first.close_clients()
    first.stop()
    path = first.folder / "dump.rdb"
    good = path.read_bytes()
    random.seed(7)
    for damaged in (good[: len(good) // 2], good[:40] + bytes([good[40] ^ 0x55]) + good[41:], b"nonsense" + good, good[:-3]):
        path.write_bytes(damaged)
        server = start_server(folder=first.folder, wait=False)
        assert server.process.wait(20) == 1
        assert "cannot be loaded" in server.log()
        assert path.read_bytes() == damaged
    path.write_bytes(good)
    assert start_server(folder=first.folder).client().get("text") == "a value"


def test_killed_all_at_once_the_dataset_is_there_again(start_server: StartServer) -> None:
    server = start_server("--save", "")
    fill(server.client())
    before = digest(server.client())
    server.close_clients()
    kill_all(server)
    again = start_server("--save", "", folder=server.folder)
    assert digest(again.client()) == before
    again.close_clients()
    kill_all(again)
    third = start_server("--save", "", folder=server.folder)
    assert digest(third.client()) == before


def test_keep_memory_outlives_a_clean_stop(start_server: StartServer) -> None:
    server = start_server("--save", "", "--keep-memory", "yes")
    fill(server.client())
    before = digest(server.client())
    server.close_clients()
    assert server.stop() == 0
    again = start_server("--save", "", "--keep-memory", "yes", folder=server.folder)
    assert digest(again.client()) == before


def test_killed_under_load_no_acknowledged_write_is_lost(start_server: StartServer) -> None:
    """Clients journal what was acknowledged; everything is killed at a random moment; each key is at or after its last acknowledged value."""
    folder = None
    acknowledged: dict[int, int] = {}
    for round_ in range(3):
        server = start_server("--save", "", folder=folder)
        folder = server.folder
        reader = server.client()
        for key, value in acknowledged.items():
            found = int(reader.get(f"counter:{key}") or 0)
            assert value <= found <= value + 1, (round_, key)

        def write(key: int, server: ShoalServer = server) -> None:
            client = server.client()
            value = int(client.get(f"counter:{key}") or 0)
            try:
                while True:
                    value += 1
                    client.set(f"counter:{key}", value)
                    acknowledged[key] = value
            except redis.ConnectionError:
                return

        threads = [threading.Thread(target=write, args=(key,)) for key in range(6)]
        for t in threads:
            t.start()
        time.sleep(0.5 + random.random())
        kill_all(server)
        for t in threads:
            t.join(20)
        server.close_clients()
    assert len(acknowledged) == 6


def test_the_persistence_process_killed_in_a_save(start_server: StartServer) -> None:
    server = start_server("--save", "")
    client = server.client()
    for i in range(100):
        client.mset({f"key:{i}:{j}": "x" * 500 for j in range(500)})
    client.save()
    good = (server.folder / "dump.rdb").read_bytes()
    client.execute_command("BGSAVE")
    pid = children(server)["persistence"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: children(server).get("persistence", pid) != pid, what="its heir")
    assert (server.folder / "dump.rdb").read_bytes() == good or client.info("persistence")["rdb_saves"] >= 1

    def saved() -> bool:
        try:
            return bool(client.save())
        except redis.ResponseError:
            return False

    wait_until(saved, 15, "a save by the heir")
    client.set("after", "1")
    assert not list(server.folder.glob("temp-*.rdb")) or len(list(server.folder.glob("temp-*.rdb"))) == 1
    server.close_clients()
    assert server.stop() == 0


def test_a_save_that_fails_refuses_writes_until_one_succeeds(start_server: StartServer) -> None:
    server = start_server("--save", "3600 1")
    client = server.client()
    client.set("a", "1")
    target = server.folder / "dump.rdb"
    target.mkdir()  # rename onto a folder fails, also for root
    with pytest.raises(redis.ResponseError):
        client.save()
    client.set("a", "2")  # who called SAVE has heard of it
    client.bgsave()
    wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
    with pytest.raises(redis.ResponseError, match="MISCONF"):
        client.set("a", "3")
    assert client.get("a") == "2"
    assert client.info("persistence")["rdb_last_bgsave_status"] == "err"
    target.rmdir()
    client.save()
    assert client.set("a", "3")
    assert client.info("persistence")["rdb_last_bgsave_status"] == "ok"


def test_killed_all_in_the_middle_of_commands_of_many_keys(start_server: StartServer) -> None:
    """Each MSET gives all keys of a group one value: after a death of everything no group is half changed."""
    folder = None
    groups = [[f"group:{g}:{i}" for i in range(40)] for g in range(4)]
    for round_ in range(4):
        server = start_server("--save", "", folder=folder)
        folder = server.folder
        reader = server.client()
        for names in groups:
            assert len(set(reader.mget(names))) == 1, (round_, names[0])

        def write(names: list[str], server: ShoalServer = server, round_: int = round_) -> None:
            client = server.client()
            value = 0
            try:
                while True:
                    pipe = client.pipeline(transaction=False)
                    for _ in range(20):
                        value += 1
                        pipe.mset(dict.fromkeys(names, f"{round_}:{value}" * random.randrange(1, 60)))
                    pipe.execute()
            except redis.ConnectionError:
                return

        threads = [threading.Thread(target=write, args=(names,)) for names in groups]
        for t in threads:
            t.start()
        time.sleep(0.4 + random.random() / 2)
        kill_all(server)
        for t in threads:
            t.join(20)
        server.close_clients()


def slow_save(client: Any) -> None:
    """A BGSAVE that would take a minute."""
    client.mset({f"key{i}": "x" for i in range(600)})
    client.config_set("rdb-key-save-delay", 100_000)
    client.bgsave()
    wait_until(lambda: client.info("persistence")["current_save_keys_processed"] > 2)


def test_flushall_ends_a_running_save(start_server: StartServer) -> None:
    server = start_server("--save", "")
    client = server.client()
    slow_save(client)
    info = client.info("persistence")
    assert info["current_save_keys_total"] == 600 and info["current_save_keys_processed"] < 600
    client.flushall()
    wait_until(lambda: not client.info("persistence")["rdb_bgsave_in_progress"], 5)
    info = client.info("persistence")
    assert info["rdb_last_bgsave_status"] == "ok" and info["rdb_saves"] == 0 and not (server.folder / "dump.rdb").exists()
    client.config_set("rdb-key-save-delay", 0)
    client.set("a", 1)
    client.config_set("save", "3600 1")
    client.flushall()  # with save points the empty dataset is saved
    wait_until(lambda: client.info("persistence")["rdb_saves"] == 1)
    assert client.info("persistence")["rdb_changes_since_last_save"] == 0


def test_a_shutdown_that_saves_can_be_aborted(start_server: StartServer) -> None:
    server = start_server("--save", "3600 1")
    client, other = server.client(), server.client()
    with pytest.raises(redis.ResponseError, match="No shutdown in progress"):
        client.execute_command("SHUTDOWN", "ABORT")
    client.mset({f"key{i}": "x" for i in range(600)})
    client.config_set("rdb-key-save-delay", 100_000)
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: list(server.folder.glob("temp-*.rdb")))
    assert other.execute_command("SHUTDOWN", "ABORT")
    wait_until(lambda: not list(server.folder.glob("temp-*.rdb")))
    client.set("still", "here")
    assert "Shutdown manually aborted" in server.log()
    client.config_set("rdb-key-save-delay", 0)
    server.close_clients()
    assert server.stop() == 0
    assert start_server(folder=server.folder).client().get("still") == "here"


def test_unfinished_files_do_not_stay(start_server: StartServer) -> None:
    server = start_server("--save", "")
    slow_save(server.client())
    [left] = server.folder.glob("temp-*.rdb")
    os.kill(children(server)["persistence"], signal.SIGKILL)
    wait_until(lambda: not left.exists())  # its heir
    client = server.client()
    wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
    client.config_set("stop-writes-on-bgsave-error", "no")
    wait_until(lambda: children(server).get("persistence"))
    slow_save(client)
    server.close_clients()
    kill_all(server)
    assert list(server.folder.glob("temp-*.rdb"))
    again = start_server("--save", "3600 1", folder=server.folder)
    assert not list(server.folder.glob("temp-*.rdb"))
    again.client().config_set("rdb-key-save-delay", 100_000)
    again.close_clients()
    again.process.send_signal(signal.SIGINT)
    wait_until(lambda: list(server.folder.glob("temp-*.rdb")))
    again.process.send_signal(signal.SIGINT)  # does not wait for the save
    assert again.process.wait(10) == 0
    assert not list(server.folder.glob("temp-*.rdb"))


def test_the_spill_file_on_a_full_disk(start_server: StartServer, faults: Faults) -> None:
    """Pre-images that find no room end the save; no writer fails, and the next save is good. Also: MISCONF only with save points."""
    server = start_server("--save", "", "--snapshot-preimage-memory", "1mb", "--rdb-key-save-delay", "100")
    client = server.client()
    names = [f"key:{i}" for i in range(20_000)]
    client.mset(dict.fromkeys(names, "a" * 1000))
    faults.set("call=write err=ENOSPC path=*/#*")  # a file without a name
    client.bgsave()
    began = time.monotonic()
    for i in range(0, len(names), 500):
        client.mset(dict.fromkeys(names[i : i + 500], "b" * 1000))
    assert time.monotonic() - began < 20
    wait_until(lambda: not client.info("persistence")["rdb_bgsave_in_progress"], 30, "the save's end")
    assert client.info("persistence")["rdb_last_bgsave_status"] == "err"
    assert "pre-image" in server.log()
    assert not (server.folder / "dump.rdb").exists()
    assert client.set("written", "still")
    client.config_set("save", "3600 1000000")
    wait_until(lambda: _refused(client), 10, "MISCONF")
    client.config_set("stop-writes-on-bgsave-error", "no")
    assert not _refused(client)
    faults.lift()
    client.config_set("rdb-key-save-delay", "0")
    before = digest(client)
    client.save()
    client.execute_command("DEBUG", "RELOAD", "NOSAVE")
    assert digest(client) == before


def _refused(client: redis.Redis) -> bool:
    try:
        client.set("another", "x")
    except redis.ResponseError as e:
        return str(e).startswith("MISCONF")
    return False


def test_a_value_that_needs_a_newer_version(start_server: StartServer) -> None:
    """The number in front of the file and its sum are put right at the end."""
    server = start_server("--save", "")
    client = server.client()
    client.mset({f"key:{i}": "x" * 500 for i in range(20_000)})
    client.save()
    assert (server.folder / "dump.rdb").read_bytes()[:9] == b"REDIS0010"
    client.hset("hash", mapping={f"f:{i}": "v" for i in range(200)})
    client.hpexpire("hash", 100_000_000, "f:1")
    before = digest(client)
    client.save()
    assert (server.folder / "dump.rdb").read_bytes()[:9] == b"REDIS0012"
    client.execute_command("DEBUG", "RELOAD", "NOSAVE")  # with the checksum
    assert digest(client) == before
    assert 0 < client.hpttl("hash", "f:1")[0] <= 100_000_000
