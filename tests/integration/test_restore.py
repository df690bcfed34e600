"""`shoal restore --to` and `shoal check`: a point in time from a log, torn and damaged files told with place and remedy, nothing changed."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, wait_until
from tests.integration.test_backup import LOG_ON, digest, tool
from tests.peers import StartPeer


def milliseconds() -> int:
    return time.time_ns() // 1_000_000


def written(client: redis.Redis) -> None:
    wait_until(lambda: client.info("persistence")["aof_written_lsn"] == client.info("persistence")["aof_last_lsn"])


def to(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}"


def history(client: redis.Redis, count: int) -> list[tuple[int, str]]:
    """Transactions, and after each the moment and the digest that belongs to it."""
    found = []
    for n in range(count):
        pipe = client.pipeline(transaction=True)
        pipe.set("n", n).rpush("list", n, n, n).hset("hash", f"f{n}", "x" * n).incrby("sum", n).execute()
        written(client)  # a batch of its own
        time.sleep(0.003)
        found.append((milliseconds(), digest(client)))
        time.sleep(0.003)
    return found


@pytest.fixture
def dated(start_server: StartServer) -> tuple[ShoalServer, list[tuple[int, str]]]:
    """A stopped server's data folder with a log of two increments behind one base, and what it held when."""
    server = start_server(*LOG_ON, "--keep-memory", "no")
    client = server.client()
    client.set("before", "the base")
    client.execute_command("BGREWRITEAOF")
    wait_until(lambda: client.info("persistence")["aof_rewrites"] == 1 and not client.info("persistence")["aof_rewrite_in_progress"])
    moments = history(client, 6)
    assert server.stop() == 0
    return server, moments


def test_every_moment_comes_back_exactly(
    start_server: StartServer, start_peer: StartPeer, dated: tuple[ShoalServer, list[tuple[int, str]]], tmp_path: Path
) -> None:
    server, moments = dated
    for i, (ms, wanted) in enumerate(moments):
        done = tool("restore", server.folder, "--into", tmp_path / f"r{i}", "--to", to(min(ms, moments[-1][0] - 5)))
        if i == len(moments) - 1:
            continue  # after the last batch: it ends there
        assert done.returncode == 0, done.stderr
        if i == 0:
            assert digest(start_server(*LOG_ON, folder=tmp_path / f"r{i}").client()) == wanted
        elif i == 2:
            manifest = next((tmp_path / f"r{i}" / "appendonlydir").glob("*.manifest"))
            subprocess.run(["redis-check-aof", manifest], check=True, capture_output=True)
            assert digest(start_peer("redis-7.0", tmp_path / f"r{i}", "--appendonly", "yes").client) == wanted
    done = tool("restore", server.folder, "--into", tmp_path / "snapshot", "--to", to(moments[3][0]), "--format", "rdb")
    assert done.returncode == 0, done.stderr
    subprocess.run(["redis-check-rdb", tmp_path / "snapshot" / "dump.rdb"], check=True, capture_output=True)
    assert digest(start_server(folder=tmp_path / "snapshot").client()) == moments[3][1]
    assert digest(start_server(*LOG_ON, folder=server.folder).client()) == moments[-1][1], "the source was changed"


def test_moments_outside_are_refused_with_what_there_is(dated: tuple[ShoalServer, list[tuple[int, str]]], tmp_path: Path) -> None:
    server, moments = dated
    before = tool("restore", server.folder, "--into", tmp_path / "r", "--to", "2020-01-01 00:00:00")
    after = tool("restore", server.folder, "--into", tmp_path / "r", "--to", to(moments[-1][0] + 1000))
    for refused, words in (before, "is before its base"), (after, "is after its end"):
        assert refused.returncode == 2 and words in refused.stderr and "can be restored" in refused.stderr
    assert not (tmp_path / "r").exists() and list(tmp_path.glob("r.restoring*")) == []


def test_what_is_in_the_way_is_kept(dated: tuple[ShoalServer, list[tuple[int, str]]], start_server: StartServer) -> None:
    server, moments = dated
    refused = tool("restore", server.folder, "--into", server.folder, "--to", to(moments[2][0]))
    assert refused.returncode == 2 and "--force" in refused.stderr
    done = tool("restore", server.folder, "--into", server.folder, "--to", to(moments[2][0]), "--force")
    assert done.returncode == 0, done.stderr
    assert (server.folder / "appendonlydir.before").is_dir()
    assert digest(start_server(*LOG_ON, folder=server.folder).client()) == moments[2][1]


def test_a_backup_holds_every_moment_since_its_base(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(*LOG_ON)
    moments = history(server.client(), 4)
    assert tool("-p", str(server.port), "backup", tmp_path / "b").returncode == 0
    done = tool("restore", tmp_path / "b", "--into", tmp_path / "r", "--to", to(moments[1][0]))
    assert done.returncode == 0, done.stderr
    assert digest(start_server(*LOG_ON, folder=tmp_path / "r").client()) == moments[1][1]
    refused = tool("restore", tmp_path / "b", "--into", tmp_path / "x", "--to", "2020-01-01 00:00:00")
    assert refused.returncode == 2 and "There are:" in refused.stderr
    # Idle since: the log has no line of it, but the backup knows that it was complete then.
    late = tool("restore", tmp_path / "b", "--into", tmp_path / "late", "--to", to(moments[-1][0]))
    assert late.returncode == 0, late.stderr


def test_a_log_of_redis_with_timestamps(start_server: StartServer, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    (folder / "appendonlydir").mkdir(parents=True)
    (folder / "appendonlydir" / "a.aof.1.incr.aof").write_bytes(
        b"#TS:1700000000\r\n*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\n1\r\n#TS:1700000005\r\n*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\n2\r\n"
    )
    (folder / "appendonlydir" / "a.aof.manifest").write_text("file a.aof.1.incr.aof seq 1 type i\n")
    for second, value in (1700000004, "1"), (1700000005, "2"):
        done = tool("restore", folder, "--into", tmp_path / value, "--to", str(second))
        assert done.returncode == 0, done.stderr
        assert start_server(*LOG_ON, "--appendfilename", "a.aof", folder=tmp_path / value).client().get("a") == value


# --- check ------------------------------------------------------------------------------------------------------------


def increment(server: ShoalServer) -> Path:
    return max((server.folder / "appendonlydir").glob("*.incr.aof"), key=lambda p: int(p.name.split(".")[-3]))


def test_check_of_a_sound_log(dated: tuple[ShoalServer, list[tuple[int, str]]]) -> None:
    server, _ = dated
    for name in (server.folder, server.folder / "appendonlydir", server.folder / "appendonlydir" / "appendonly.aof.manifest"):
        done = tool("check", name)
        assert done.returncode == 0, done.stdout
        assert "append only file: 2 files" in done.stdout and "5 keys" in done.stdout and "sound" in done.stdout
    alone = tool("check", increment(server))
    assert alone.returncode == 0 and "4 keys" in alone.stdout


def test_a_torn_end_is_told_and_cut_by_a_start(
    start_server: StartServer, dated: tuple[ShoalServer, list[tuple[int, str]]], tmp_path: Path
) -> None:
    server, moments = dated
    path = increment(server)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"EXEC")])
    told = tool("check", server.folder)
    assert told.returncode == 1 and path.name in told.stdout and "torn end at byte" in told.stdout and "aof-load-truncated" in told.stdout
    done = tool("restore", server.folder, "--into", tmp_path / "r")
    assert done.returncode == 0 and "torn end" in done.stdout
    for folder in (tmp_path / "r", server.folder):  # the last transaction goes as a whole
        assert digest(start_server(*LOG_ON, folder=folder).client()) == moments[-2][1]


def test_damage_is_told_and_everything_before_it_restored(
    start_server: StartServer, dated: tuple[ShoalServer, list[tuple[int, str]]], tmp_path: Path
) -> None:
    server, moments = dated
    path = increment(server)
    data = bytearray(path.read_bytes())
    at = data.index(b"$2\r\nf4\r\n")  # "f4" alone may stand in a checksum
    data[at + 4] ^= 1
    path.write_bytes(data)
    told = tool("check", server.folder)
    assert told.returncode == 1 and path.name in told.stdout and "is damaged at byte" in told.stdout
    assert tool("restore", server.folder, "--into", tmp_path / "x").returncode == 2
    remedy = told.stdout.split("--to '")[1].split("'")[0]
    done = tool("restore", server.folder, "--into", tmp_path / "r", "--to", remedy)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == data
    assert digest(start_server(*LOG_ON, folder=tmp_path / "r").client()) == moments[3][1]


def test_check_of_snapshots_and_missing_files(dated: tuple[ShoalServer, list[tuple[int, str]]], tmp_path: Path) -> None:
    server, moments = dated
    assert tool("restore", server.folder, "--into", tmp_path / "r", "--format", "rdb").returncode == 0
    file = tmp_path / "r" / "dump.rdb"
    done = tool("check", file)
    assert done.returncode == 0 and "5 keys" in done.stdout
    half = tmp_path / "half.rdb"
    half.write_bytes(file.read_bytes()[:-100])
    done = tool("check", file, half)
    assert done.returncode == 1
    assert "half.rdb: NOT SOUND: at byte" in done.stdout and "shoal restore" in done.stdout
    base = next((server.folder / "appendonlydir").glob("*.base.rdb"))
    content = bytearray(base.read_bytes())
    content[-10] ^= 1
    base.write_bytes(content)
    done = tool("check", server.folder)
    assert done.returncode == 1 and base.name in done.stdout and "at byte" in done.stdout
    increment(server).unlink()
    done = tool("check", server.folder)
    assert done.returncode == 1 and "incr.aof is missing" in done.stdout
    assert tool("check", tmp_path / "nothing").returncode == 1
    # A snapshot becomes a log, for a server with appendonly yes.
    done = tool("restore", tmp_path / "r", "--into", tmp_path / "log", "--format", "aof")
    assert done.returncode == 0, done.stderr
    assert "2 files" in tool("check", tmp_path / "log").stdout
    shutil.rmtree(tmp_path / "log")
