"""Every key and value of memory that was taken over is checked beside the clients; what is damaged is named."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, wait_until
from tests.crash.memory import damage_beside, killed

KEYS = 30000


def _checked(server: ShoalServer, seconds: float = 30.0) -> dict[str, object]:
    """INFO persistence when the check is at its end."""
    client = server.client()

    def ended() -> dict[str, object] | None:
        info: dict[str, object] = client.info("persistence")
        return info if info["memory_check_status"] in ("sound", "damaged") else None

    found: dict[str, object] = wait_until(ended, seconds, "the check of the memory")
    return found


def _fill(client: redis.Redis) -> None:
    """All types and encodings; many keys."""
    client.execute_command("DEBUG", "POPULATE", KEYS, "k", 40)
    with client.pipeline(transaction=False) as p:
        for i in range(3000):
            p.zadd("zset", {f"member:{i}": i % 700})
            p.sadd("set", f"member:{i}")
            p.hset("hash", f"field:{i}", f"value:{i}")
            p.rpush("list", f"element:{i}", i)
            p.xadd("stream", {"a": i, "b": f"x{i}"})
            p.sadd("ints", i * 3)
        for name in ("small", "expiring"):
            p.zadd(f"z{name}", {"a": 1, "b": 2.5})
            p.sadd(f"s{name}", "a", "b")
            p.hset(f"h{name}", mapping={"user:1": "1", "user:2": "2", "user:3": "x"})
            p.rpush(f"l{name}", "item:1", "item:2", 3)
            p.set(f"x{name}", "v" * 50, ex=10000)
        p.execute_command("HPEXPIRE", "hexpiring", 10000000, "FIELDS", 1, "user:1")
        p.execute_command("HPEXPIRE", "hash", 10000000, "FIELDS", 1, "field:1")
        p.set("long", "y" * 300000)
        p.append("long", "z" * 10000)
        p.set("k" * 70000, "a long key")
        p.zadd("zset", {"n" * 400 + str(i): 5 for i in range(3)})
        p.rpush("list", "e" * 20000)
        p.xgroup_create("stream", "group", 0)
        p.xreadgroup("group", "consumer", {"stream": ">"}, 100)
        p.execute()


@contextlib.contextmanager
def _traffic(server: ShoalServer) -> object:
    """Values of all sizes come, change and go, so that pages are used anew all the time."""
    going = threading.Event()

    def write(seed: int) -> None:
        chosen = random.Random(seed)
        with contextlib.suppress(redis.ConnectionError), redis.Redis("127.0.0.1", server.port, socket_timeout=20, retry=None) as c:
            while not going.is_set():
                n = chosen.randrange(40)
                p = c.pipeline(transaction=bool(n % 2))
                p.set(f"big{n}", "b" * chosen.choice((10, 9000, 40000, 200000)))
                p.delete(f"t{n}", f"big{chosen.randrange(40)}")
                p.rpush(f"t{n}", *(f"element:{i}" for i in range(chosen.randrange(1, 300))))
                p.zadd(f"tz{n}", {f"m{i}": i for i in range(chosen.randrange(1, 400))})
                p.zremrangebyrank(f"tz{n}", 0, 100)
                p.hset(f"th{n}", mapping={f"f{i}": "v" * n for i in range(chosen.randrange(1, 200))})
                p.unlink(f"th{chosen.randrange(40)}")
                p.zincrby("zset", 1, f"member:{n}")
                p.xadd("stream", {"a": n}, maxlen=2000)
                p.execute()

    threads = [threading.Thread(target=write, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    try:
        yield going
    finally:
        going.set()
        for t in threads:
            t.join()


def test_good_memory_is_checked_wholly_beside_traffic(start_server: StartServer) -> None:
    server = start_server("--save", "")
    _fill(server.client())
    killed(server)
    again = start_server("--save", "", folder=server.folder)
    for _ in range(4):  # a check that is begun anew with every start, always beside traffic, of memory whose processes died in the middle of it
        with _traffic(again):
            info = _checked(again)
            place = killed(again)
        assert info["memory_check_status"] == "sound", info
        assert int(str(info["memory_check_keys"])) >= KEYS
        assert info["memory_check_stripes_done"] == info["memory_check_stripes_total"] == 16 * 1024
        assert "is sound" in again.log()
        again = start_server("--save", "", folder=server.folder)
    assert _checked(again)["memory_check_status"] == "sound"
    place = killed(again)
    found = subprocess.run([sys.executable, "-m", "shoal.cli", "check", place.name], capture_output=True, text=True, timeout=100)
    assert "sound" in found.stdout and found.returncode == 0, found.stdout
    fresh = start_server("--save", "")
    assert fresh.client().info("persistence")["memory_check_status"] == "none"


DAMAGES = {
    "list": (["RPUSH", "victim", "unlikely-text-of-a-list"], b"unlikely-text-of-a-list", -1, b"\xff"),
    "set": (["SADD", "victim", "unlikely-text-of-a-set", "b"], b"unlikely-text-of-a-set", -1, b"\xbf"),
    "hash": (["HSET", "victim", "unlikely-text-of-a-hash", "v"], b"unlikely-text-of-a-hash", -1, b"\xbd"),
    "zset": (["ZADD", "victim", "1", "unlikely-text-of-a-zset"], b"unlikely-text-of-a-zset", -1, b"\xf0"),
    "stream": (["XADD", "victim", "*", "unlikely-text-of-a-stream", "v"], b"unlikely-text-of-a-stream", -1, b"\xf0"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_value_is_reported_with_its_key(start_server: StartServer, kind: str) -> None:
    command, text, at, new = DAMAGES[kind]
    server = start_server("--save", "3600 1000000")
    client = server.client()
    client.execute_command("DEBUG", "POPULATE", 2000, "k", 40)
    client.save()
    client.execute_command(*command)
    client.set("b", "newer than the file")
    place = killed(server)
    assert damage_beside(place, text, at, new)
    found = subprocess.run([sys.executable, "-m", "shoal.cli", "check", place.name], capture_output=True, text=True, timeout=100)
    assert "key 'victim'" in found.stdout and found.returncode == 1, found.stdout
    again = start_server("--save", "3600 1000000", folder=server.folder)
    info = _checked(again)
    assert info["memory_check_status"] == "damaged" and info["memory_check_damaged"] == 1, info
    assert str(info["memory_check_first_damage"]).startswith("key 'victim' in database 0"), info
    assert info["memory_check_keys"] == 2002
    assert "is damaged: key 'victim'" in again.log() and "the next start loads the files" in again.log()
    status = subprocess.run(
        [sys.executable, "-m", "shoal.cli", "-p", str(again.port), "status"], capture_output=True, text=True, timeout=60
    ).stdout
    assert "IS DAMAGED in 1 places" in status and "victim" in status, status
    assert (again.folder / "dump.rdb.before-damage").exists()
    client = again.client()
    assert client.get("b") == "newer than the file", "the others are served"
    if kind != "list":
        return
    client.set("victim", "new")  # set anew: the damage is gone, all is looked at again
    assert _checked_again(again)["memory_check_status"] == "sound"
    killed(again)
    third = start_server("--save", "", folder=server.folder)
    assert "Took over the memory" in third.log() and third.client().get("victim") == "new"


def _checked_again(server: ShoalServer) -> dict[str, object]:
    wait_until(lambda: "No damaged key is known any more" in server.log(), 20, "the damage is seen to be gone")
    return _checked(server)


def test_memory_that_is_known_to_be_damaged_is_not_taken_over_again(start_server: StartServer) -> None:
    server = start_server("--save", "")
    client = server.client()
    client.set("a", "in the file")
    client.save()
    client.set("a", "newer")
    client.rpush("victim", "unlikely-text-of-a-list")
    place = killed(server)
    assert damage_beside(place, b"unlikely-text-of-a-list", -1, b"\xff")
    again = start_server("--save", "", folder=server.folder)
    assert _checked(again)["memory_check_status"] == "damaged"
    assert again.client().get("a") == "newer"
    killed(again)
    third = start_server("--save", "", folder=server.folder)
    assert "known to be damaged (key 'victim'" in third.log(), third.log()
    assert third.client().get("a") == "in the file" and not place.exists()


def _persistence(server: ShoalServer) -> int:
    for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split():
        if b"persistence" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return int(pid)
    raise AssertionError("there is no persistence process")


@pytest.mark.parametrize("what", ["kill", "save"])
def test_the_check_goes_on(start_server: StartServer, what: str) -> None:
    """After the persistence process was killed in the middle; after a snapshot that was asked for in the middle."""
    server = start_server("--save", "")
    server.client().execute_command("DEBUG", "POPULATE", 600000, "k", 20)
    client = server.client()
    for delay in (0.3, 0.2, 0.1, 0.05, 0.0):  # the longest after which it is not at its end yet
        killed(server)
        server = start_server("--save", "", folder=server.folder)
        client = server.client()
        time.sleep(delay)
        pid = _persistence(server)
        os.kill(pid, signal.SIGSTOP)
        if client.info("persistence")["memory_check_status"] == "running":
            break
    else:
        raise AssertionError("the check was always over before it could be looked at")
    if what == "kill":
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: client.info("server")["deaths_persistence"] == 1, 20, "its death is seen")
    else:
        asked = threading.Thread(target=server.client().bgsave)
        asked.start()
        os.kill(pid, signal.SIGCONT)
        asked.join()
        wait_until(lambda: client.info("persistence")["rdb_saves"] == 1, 30, "the save")
        assert client.info("persistence")["rdb_last_bgsave_status"] == "ok"
    found = _checked(server)
    assert found["memory_check_status"] == "sound" and found["memory_check_keys"] == client.dbsize() == 600000, found
