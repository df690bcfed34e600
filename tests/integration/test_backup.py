"""`shoal backup`, `backups`, and the server's own backups by its schedule, in folders."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis

from shoal.persist.backup import Place, backups, unfinished
from tests.conftest import StartServer, wait_until
from tests.faults import Faults

LOG_ON = ("--appendonly", "yes", "--save", "")


def tool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "shoal.cli", *map(str, words)], capture_output=True, text=True, timeout=60)


def digest(client: redis.Redis) -> str:
    return str(client.execute_command("DEBUG", "DIGEST"))


@pytest.mark.parametrize("kind", ["rdb", "aof"])
def test_backup_and_restore(start_server: StartServer, tmp_path: Path, kind: str) -> None:
    server = start_server(*(LOG_ON if kind == "aof" else ("--save", "")))
    client = server.client()
    client.mset({f"key:{i}": f"value:{i}" for i in range(1000)})
    place = tmp_path / "backups"
    done = tool("-p", str(server.port), "backup", place)
    assert done.returncode == 0, done.stderr
    before = digest(client)
    client.flushall()
    listed = tool("backups", "list", place)
    assert f"  {kind}  " in listed.stdout and "1000 keys" in listed.stdout
    assert tool("backups", "verify", place).stdout.strip().endswith("ok")
    other = tmp_path / "restored"
    restored = tool("restore", place, "--into", other)
    assert restored.returncode == 0, restored.stderr
    options = LOG_ON if "--appendonly yes" in restored.stdout else ()
    assert bool(options) == (kind == "aof")
    assert digest(start_server(*options, folder=other).client()) == before


def test_a_backup_while_clients_write_and_the_log_is_rewritten(start_server: StartServer, tmp_path: Path) -> None:
    """Each transaction sets two keys to the same number: whatever moment a backup is of, they are equal; and what was acknowledged
    before it began is in it."""
    server = start_server(*LOG_ON)
    stop = threading.Event()
    told = {"n": 0}

    def write() -> None:
        client = server.client()
        while not stop.is_set():
            n = told["n"] + 1
            client.pipeline(transaction=True).set("a", n).set("b", n).execute()
            told["n"] = n

    writer = threading.Thread(target=write)
    writer.start()
    try:
        client = server.client()
        for i in range(3):
            wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
            client.execute_command("BGREWRITEAOF")
            known = told["n"]
            done = tool("-p", str(server.port), "backup", tmp_path / "b")
            assert done.returncode == 0, done.stderr
            assert tool("restore", tmp_path / "b", "--into", tmp_path / f"r{i}", "--format", "rdb").returncode == 0
            found = start_server(folder=tmp_path / f"r{i}").client().mget("a", "b")
            assert found[0] == found[1] and int(found[0]) >= known
    finally:
        stop.set()
        writer.join()
    # Each is a folder that a server starts in.
    for one in backups(Place(str(tmp_path / "b"))):
        again = start_server(*LOG_ON, folder=tmp_path / "b" / one.name).client()
        assert again.get("a") == again.get("b")


def test_a_damaged_backup_is_found_and_not_restored(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--save", "")
    server.client().set("a", "1")
    assert tool("-p", str(server.port), "backup", tmp_path / "b").returncode == 0
    [one] = backups(Place(str(tmp_path / "b")))
    file = tmp_path / "b" / one.name / "dump.rdb"
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    assert tool("backups", "verify", tmp_path / "b").returncode == 1
    refused = tool("restore", tmp_path / "b", "--into", tmp_path / "r")
    assert refused.returncode == 2
    assert "dump.rdb has another checksum: it is damaged" in refused.stderr
    assert not (tmp_path / "r").exists()
    file.unlink()
    missing = tool("backups", "verify", tmp_path / "b")
    assert missing.returncode == 1 and "cannot be read" in missing.stdout


def test_unfinished_backups_are_no_backups(tmp_path: Path) -> None:
    name = "shoal-20260101T000000.000Z"
    (tmp_path / name).mkdir()
    (tmp_path / name / "dump.rdb").write_bytes(b"half")
    (tmp_path / "something else").write_bytes(b"")
    place = Place(str(tmp_path))
    assert backups(place) == []
    begun = 1767225600_000
    assert unfinished(place, begun + 3600_000) == []  # it may still be being made
    assert unfinished(place, begun + 25 * 3600_000) == [name]
    assert f"{name}  would be removed" in tool("backups", "prune", tmp_path, "--dry-run").stdout
    assert tool("backups", "prune", tmp_path).returncode == 0
    assert [p.name for p in tmp_path.iterdir()] == ["something else"]


def test_a_description_that_points_outside_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shoal-20260101T000000.000Z"
    folder.mkdir()
    part = {"name": "../../etc/passwd", "bytes": 1, "sha256": ""}
    told = {"name": folder.name, "kind": "rdb", "first": "", "time": "", "lsn": 0, "keys": 0, "server": "", "version": "", "files": [part]}
    (folder / "backup.json").write_text(json.dumps(told))
    refused = tool("restore", tmp_path, "--into", tmp_path / "r")
    assert refused.returncode == 2 and "a file outside" in refused.stderr


EACH_SECOND = "* * * * * *"


@pytest.mark.parametrize("kind", ["rdb", "aof"])
def test_the_server_makes_backups_by_its_schedule(start_server: StartServer, tmp_path: Path, kind: str) -> None:
    options = LOG_ON if kind == "aof" else ("--save", "")
    server = start_server(*options, "--backup-place", "backups", "--backup-schedule", EACH_SECOND, "--backup-keep", "hourly 2")
    client = server.client()
    client.set("a", "1")
    wait_until(lambda: client.info("persistence")["backups"] >= 3, 30, "three backups")
    place = Place(str(server.folder / "backups"))
    wait_until(lambda: not client.info("persistence")["backup_in_progress"])
    kept = backups(place)
    assert 1 <= len(kept) <= 2 and kept[-1].kind == kind and kept[-1].keys == 1  # two at an hour's turn
    info = client.info("persistence")
    assert info["backup_last_status"] == "ok" and info["backup_next_time"] >= int(time.time()) - 1
    assert "finished" in server.log()


def test_a_backup_that_fails_is_told(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--save", "", "--enable-protected-configs", "yes")
    client = server.client()
    (server.folder / "file").write_text("")
    client.config_set("backup-place", str(server.folder / "file" / "b"))
    client.config_set("backup-schedule", EACH_SECOND)
    wait_until(lambda: client.info("persistence")["backup_last_status"] == "err", 20)
    info = client.info("persistence")
    assert "Not a directory" in info["backup_last_error"] and info["backups_consecutive_failures"] >= 1
    assert "Backup failed: " in server.log() and client.ping()
    assert "THE LAST ONE FAILED" in tool("-p", str(server.port), "status").stdout
    with pytest.raises(redis.ResponseError, match="cron expression"):
        client.config_set("backup-schedule", "sometimes")
    client.config_set("backup-place", "backups")
    wait_until(lambda: client.info("persistence")["backup_last_status"] == "ok", 20)
    assert client.info("persistence")["backups_consecutive_failures"] == 0


def test_a_full_disk_leaves_nothing_behind(start_server: StartServer, faults: Faults, tmp_path: Path) -> None:
    server = start_server(*LOG_ON, "--backup-place", "copies", "--backup-schedule", EACH_SECOND)
    client = server.client()
    client.set("a", "x" * 100_000)
    wait_until(lambda: client.info("persistence")["backups"] >= 1, 20)
    faults.set("call=write err=ENOSPC path=*/copies/*")
    wait_until(lambda: client.info("persistence")["backup_last_status"] == "err", 20)
    assert "No space left on device" in client.info("persistence")["backup_last_error"]
    client.set("a", "writes go on")
    client.config_set("backup-schedule", "")
    wait_until(lambda: not client.info("persistence")["backup_in_progress"])
    place = Place(str(server.folder / "copies"))
    assert place.folders() == [b.name for b in backups(place)]
    assert (server.folder / "copies").stat().st_mode & 0o777 == 0o750
    refused = tool("-p", str(server.port), "backup", tmp_path / "copies")
    assert refused.returncode == 2 and "No space left on device" in refused.stderr and Place(str(tmp_path / "copies")).folders() == []
    faults.lift()
    client.config_set("backup-schedule", EACH_SECOND)
    wait_until(lambda: client.info("persistence")["backup_last_status"] == "ok", 20)


def test_memory_left_by_a_killed_server(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--save", "")
    server.client().set("a", "1")
    assert tool("-p", str(server.port), "backup", tmp_path / "b").returncode == 0
    server.close_clients()
    name = next(n for n in os.listdir("/dev/shm") if n in (server.folder / "shoal.segment").read_text())
    assert f"{name}  " in tool("memory", "list").stdout
    assert "in use" in next(line for line in tool("memory", "list").stdout.splitlines() if name in line)
    refused = tool("memory", "drop", name)
    assert refused.returncode == 2
    running = tool("restore", tmp_path / "b", "--into", server.folder)
    assert running.returncode == 2 and "a running server has" in running.stderr
    server.stop(signal.SIGKILL)
    checked = tool("check", name)
    assert checked.returncode == 0, checked.stdout
    assert "1 keys" in checked.stdout
    left = tool("restore", tmp_path / "b", "--into", server.folder)
    assert left.returncode == 2 and f"shoal memory drop {name}" in left.stderr
    assert tool("memory", "drop", name).returncode == 0
    assert not Path("/dev/shm", name).exists()
    assert tool("restore", tmp_path / "b", "--into", server.folder, "--force").returncode == 0
