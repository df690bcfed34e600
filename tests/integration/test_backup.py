"""`shoal backup`, `backups`, `restore`, `check`, `memory`: the administrator's tool against running servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from shoal.persist.backup import Backup, Place, backups, to_prune
from tests.conftest import StartServer


def tool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "shoal.cli", *map(str, words)], capture_output=True, text=True, timeout=60)


def test_backup_and_restore(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--save", "")
    client = server.client()
    client.mset({f"key:{i}": f"value:{i}" for i in range(1000)})
    place = tmp_path / "backups"
    done = tool("-p", str(server.port), "backup", place)
    assert done.returncode == 0, done.stderr
    digest = client.execute_command("DEBUG", "DIGEST")
    client.flushall()
    listed = tool("backups", "list", place)
    assert "1000 keys" in listed.stdout
    assert tool("backups", "verify", place).stdout.strip().endswith("ok")
    other = tmp_path / "restored"
    other.mkdir()
    assert tool("restore", place, "--to", other / "dump.rdb").returncode == 0
    assert start_server(folder=other).client().execute_command("DEBUG", "DIGEST") == digest
    refused = tool("restore", place, "--to", other / "dump.rdb")
    assert refused.returncode == 2
    assert "--force" in refused.stderr


def test_a_damaged_backup_is_found_and_not_restored(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--save", "")
    server.client().set("a", "1")
    assert tool("-p", str(server.port), "backup", tmp_path / "b").returncode == 0
    [one] = backups(Place(str(tmp_path / "b")))
    file = tmp_path / "b" / one.name
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    assert tool("backups", "verify", tmp_path / "b").returncode == 1
    refused = tool("restore", tmp_path / "b", "--to", tmp_path / "dump.rdb")
    assert refused.returncode == 2
    assert "damaged" in refused.stderr
    assert not (tmp_path / "dump.rdb").exists()


def test_unfinished_backups_are_no_backups(tmp_path: Path) -> None:
    (tmp_path / "shoal-20260101T000000Z.rdb").write_bytes(b"half")
    assert backups(Place(str(tmp_path))) == []


def test_retention_keeps_hours_days_and_the_last() -> None:
    now = datetime(2026, 6, 30, 12, 30, tzinfo=timezone.utc)
    every = [
        Backup(f"b{i}", (now - timedelta(minutes=20 * i)).isoformat(), 1, "", 1, "") for i in range(3 * 24 * 40, -1, -1)
    ]
    removed = {b.name for b in to_prune(every, 48, 30, now)}
    kept = [b for b in every if b.name not in removed]
    hours = {b.when().strftime("%Y%m%d%H") for b in every if now - b.when() <= timedelta(hours=48)}
    days = {b.when().strftime("%Y%m%d") for b in every if now - b.when() <= timedelta(days=30)}
    assert {b.when().strftime("%Y%m%d%H") for b in kept if now - b.when() <= timedelta(hours=48)} == hours
    assert {b.when().strftime("%Y%m%d") for b in kept} == days
    assert kept[-1].name == "b0"
    assert len(kept) < len(hours) + len(days) + 2
    assert [b.name for b in to_prune(every[:1], 0, 0, now)] == []


def test_check_tells_sound_files_from_others(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--save", "")
    client = server.client()
    client.hset("h", mapping={str(i): "x" * 100 for i in range(500)})
    client.zadd("z", {str(i): i for i in range(500)})
    client.save()
    file = server.folder / "dump.rdb"
    done = tool("check", file)
    assert done.returncode == 0, done.stdout
    assert "2 keys" in done.stdout
    half = tmp_path / "half.rdb"
    half.write_bytes(file.read_bytes()[:-100])
    done = tool("check", file, half)
    assert done.returncode == 1
    assert "NOT SOUND: at byte" in done.stdout


def test_memory_left_by_a_killed_server(start_server: StartServer) -> None:
    server = start_server("--save", "")
    server.client().set("a", "1")
    server.close_clients()
    name = next(n for n in os.listdir("/dev/shm") if n in (server.folder / "shoal.segment").read_text())
    assert f"{name}  " in tool("memory", "list").stdout
    assert "in use" in next(line for line in tool("memory", "list").stdout.splitlines() if name in line)
    refused = tool("memory", "drop", name)
    assert refused.returncode == 2
    server.stop(signal.SIGKILL)
    checked = tool("check", name)
    assert checked.returncode == 0, checked.stdout
    assert "1 keys" in checked.stdout
    assert tool("memory", "drop", name).returncode == 0
    assert not Path("/dev/shm", name).exists()
