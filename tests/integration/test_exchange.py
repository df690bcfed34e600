"""Files go both ways between Shoal and real servers: RDB, AOF and hybrid, every type and encoding, compared key by key."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, wait_until
from tests.peers import NAMES, StartPeer, binary

FAR = 2_000_000_000_000
"""2033, in milliseconds."""
OURS = ("--save", "", "--keep-memory", "no")
LARGE = "a longer text that packs well " * 400


def has_field_ttl(name: str) -> bool:
    return name != "redis-7.0"


def fill(r: redis.Redis, field_ttl: bool) -> None:
    """Some of every type in each of its encodings."""
    pipe = r.pipeline(transaction=False)
    numbers = {f"int:{v}": v for v in (0, 1, -1, 127, -129, 40000, -2147483649, 9223372036854775807, -9223372036854775808)}
    pipe.mset({**numbers, "embstr": "short", "raw": "x" * 45, "packs": LARGE, "zeros": "00012", "empty": "", "bin:\x00\r\n\x7f": "\x00\r\n"})
    pipe.set("expires", "x", pxat=FAR).setbit("bits", 100_003, 1)
    pipe.rpush("list:small", "a", 1, -1, "", LARGE[:200]).rpush("list:nodes", *(f"element {i}" * (i % 7) for i in range(3000)))
    pipe.rpush("list:big", LARGE, "x" * 9000, 7).rpush("list:numbers", *range(-200, 200))
    for bits in (15, 31, 63):
        pipe.sadd(f"set:int{bits}", *(2**bits - i for i in range(1, 20)), -5)
    pipe.sadd("set:small", "a", "b", "17").sadd("set:table", *(f"m{i}" for i in range(2000)))
    pipe.zadd("zset:small", {"a": 1, "b": -2.5, "c": 1e300, "d": float("inf"), "e": float("-inf"), "17": 0.1})
    pipe.zadd("zset:large", {f"member {i}": i / 7 for i in range(1500)})
    pipe.hset("hash:small", mapping={"f": "v", "1": "2", "": "empty"}).hset("hash:table", mapping={f"f{i}": f"v{i}" for i in range(900)})
    pipe.hset("hash:long", "field", LARGE).pfadd("hll:sparse", *range(10)).pfadd("hll:dense", *range(30000))
    for i in range(1, 350):
        pipe.xadd("stream", {"field": f"value {i}", f"other{i % 3}": i}, id=f"{i}-{i % 5}")
    pipe.xdel("stream", "3-3", "4-4").xgroup_create("stream", "g", "0").xgroup_create("stream", "behind", "100-0").xgroup_create("stream", "new", "$")
    pipe.xreadgroup("g", "alice", {"stream": ">"}, count=20).xreadgroup("g", "bob", {"stream": ">"}, count=5).xack("stream", "g", "1-1", "25-0")
    pipe.xadd("stream:empty", {"a": "b"}, id="5-1").xdel("stream:empty", "5-1").xgroup_create("stream:empty", "g", "0")
    pipe.xadd("stream:gone", {"a": "b"}, id="5-1").xdel("stream:gone", "5-1").xgroup_create("stream:gone", "g", "0")
    pipe.xadd("stream:gone", {"n": "1"}, id="6-0").xreadgroup("g", "dave", {"stream:gone": ">"})
    if field_ttl:
        pipe.hset("hash:ttl small", mapping={"a": "1", "b": "2", "c": "3"}).execute_command("HPEXPIREAT", "hash:ttl small", FAR, "FIELDS", 1, "b")
        pipe.hset("hash:ttl table", mapping={f"f{i}": f"v{i}" for i in range(700)})
        pipe.execute_command("HPEXPIREAT", "hash:ttl table", FAR + 1, "FIELDS", 2, "f1", "f2")
        pipe.execute_command("HPEXPIREAT", "hash:ttl table", FAR + 50_000, "FIELDS", 1, "f3")
    pipe.execute_command("SELECT", 9)
    pipe.set("in nine", "9").sadd("set:nine", "a").execute_command("SELECT", 0)
    pipe.execute()


def change(r: redis.Redis, field_ttl: bool) -> None:
    """Commands that a log holds in more than one form."""
    r.pipeline(transaction=True).incr("int:0").append("embstr", "er").lpop("list:small").rpush("list:nodes", "tail").execute()
    pipe = r.pipeline(transaction=False)
    pipe.incrbyfloat("int:1", 1.5).setrange("raw", 3, "yyy").getdel("empty").set("int:127", "now text", keepttl=True).pexpire("zeros", 10**12)
    pipe.linsert("list:big", "BEFORE", "7", "between").lset("list:numbers", 5, "five").ltrim("list:nodes", 10, -3).lmove("list:numbers", "list:new")
    pipe.spop("set:table", 3).srem("set:int15", -5).smove("set:small", "set:new", "a").sunionstore("set:union", "set:small", "set:int31")
    pipe.zincrby("zset:large", 3, "member 7").zpopmin("zset:large", 2).zadd("zset:small", {"new": 3}).zrangestore("zset:range", "zset:large", 5, 50)
    pipe.hincrby("hash:small", "1", 40).hdel("hash:table", "f1", "f2").hincrbyfloat("hash:small", "x", 0.25).pfmerge("hll:all", "hll:sparse", "hll:dense")
    pipe.xadd("stream", {"n": "1"}, id="1000-*").xtrim("stream", maxlen=300).xclaim("stream", "g", "carol", 0, ["21-1", "22-2"]).xgroup_delconsumer("stream", "g", "bob")
    pipe.rename("bits", "bits:renamed").copy("hash:long", "hash:copied")
    pipe.geoadd("geo", (13.361389, 38.115556, "Palermo")).set("gone", "x", px=1).bitop("NOT", "bits:not", "packs").sort("list:numbers", alpha=True, store="sorted")
    if field_ttl:
        pipe.execute_command("HPERSIST", "hash:ttl table", "FIELDS", 1, "f1")
        pipe.execute_command("HPEXPIREAT", "hash:ttl small", FAR + 7, "FIELDS", 2, "a", "c")
    pipe.execute()
    wait_until(lambda: not r.exists("gone"))


def _stream(r: redis.Redis, key: str) -> Any:
    info = r.execute_command("XINFO", "STREAM", key)
    facts = [info[name] for name in ("last-generated-id", "max-deleted-entry-id", "entries-added", "groups")]
    groups = []
    for g in r.xinfo_groups(key):
        pending = r.xpending_range(key, g["name"], "-", "+", 1000)
        consumers = sorted((c["name"], c["pending"]) for c in r.xinfo_consumers(key, g["name"]))
        groups.append((g["name"], g["last-delivered-id"], g["entries-read"], consumers, [(p["message_id"], p["consumer"], p["times_delivered"]) for p in pending]))
    return facts, r.xrange(key), groups


def contents(r: redis.Redis, field_ttl: bool) -> dict[tuple[int, str], Any]:
    """Everything, by commands that all these servers have."""
    found: dict[tuple[int, str], Any] = {}
    for db in (0, 9):
        r.execute_command("SELECT", db)
        for key in r.keys("*"):
            kind, ttl = r.type(key), r.pexpiretime(key)
            match kind:
                case "string":
                    value: Any = r.get(key)
                case "list":
                    value = r.lrange(key, 0, -1)
                case "set":
                    value = set(r.smembers(key))
                case "zset":
                    value = r.zrange(key, 0, -1, withscores=True)
                case "hash":
                    value = r.hgetall(key)
                    if field_ttl:
                        value = value, dict(zip(value, r.execute_command("HPEXPIRETIME", key, "FIELDS", len(value), *value), strict=True))
                case _:
                    value = _stream(r, key)
            found[(db, key)] = (kind, ttl, value)
    r.execute_command("SELECT", 0)
    return found


def encodings(r: redis.Redis) -> dict[str, str]:
    return {key: str(r.object("ENCODING", key)) for key in r.keys("*")}


def same(found: dict[tuple[int, str], Any], wanted: dict[tuple[int, str], Any]) -> None:
    """One key after the other, so that a difference is shown, not two datasets."""
    assert sorted(found) == sorted(wanted)
    for key in wanted:
        assert found[key] == wanted[key], key


def single(r: redis.Redis) -> redis.Redis:
    """SELECT holds on one connection."""
    return redis.Redis(
        r.connection_pool.connection_kwargs["host"], r.connection_pool.connection_kwargs["port"], decode_responses=True, single_connection_client=True,
        socket_timeout=20, encoding_errors="surrogateescape",
    )  # fmt: skip


def check_tool(name: str, tool: str, file: Path, tmp_path: Path) -> None:
    """redis-check-rdb and redis-check-aof are the server under another name."""
    link = tmp_path / tool
    if not link.exists():
        link.symlink_to(binary(name))
    done = subprocess.run([link, file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def rewritten(r: redis.Redis) -> None:
    wait_until(lambda: not r.info("persistence")["aof_rewrite_in_progress"], 20)
    r.execute_command("BGREWRITEAOF")
    wait_until(lambda: not (i := r.info("persistence"))["aof_rewrite_in_progress"] and not i["aof_rewrite_scheduled"], 20)
    assert r.info("persistence")["aof_last_bgrewrite_status"] == "ok"


def copied(source: Path, target: Path, name: str) -> Path:
    target.mkdir()
    if (source / name).is_dir():
        shutil.copytree(source / name, target / name)
    else:
        shutil.copy(source / name, target / name)
    return target


def shoal_with_everything(start_server: StartServer, field_ttl: bool, *options: str) -> tuple[ShoalServer, dict[tuple[int, str], Any]]:
    """Stopped: its folder holds a snapshot and a log of the same dataset."""
    server = start_server(*OURS, "--appendonly", "yes", *options)
    client = single(server.client())
    fill(client, field_ttl)
    rewritten(client)
    change(client, field_ttl)
    client.save()
    wanted = contents(client, field_ttl)
    client.close()
    server.close_clients()
    assert server.stop() == 0
    return server, wanted


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("name", NAMES)
def test_they_read_ours(start_server: StartServer, start_peer: StartPeer, tmp_path: Path, name: str, preamble: str) -> None:
    binary(name)
    # Valkey does not read the form in which Redis (and we) keep times of fields in an RDB file; commands it does.
    field_ttl = has_field_ttl(name) and not (name == "valkey-9.1" and preamble == "yes")
    server, wanted = shoal_with_everything(start_server, field_ttl, "--aof-use-rdb-preamble", preamble, "--list-compress-depth", "1")
    if name != "valkey-9.1" or not field_ttl:
        check_tool(name, "redis-check-rdb", server.folder / "dump.rdb", tmp_path)
    check_tool(name, "redis-check-aof", next((server.folder / "appendonlydir").glob("*.manifest")), tmp_path)
    if preamble == "yes":
        of_snapshot = start_peer(name, copied(server.folder, tmp_path / "rdb", "dump.rdb"))
        same(contents(single(of_snapshot.client), field_ttl), wanted)
    of_log = start_peer(name, copied(server.folder, tmp_path / "aof", "appendonlydir"), "--appendonly", "yes")
    same(contents(single(of_log.client), field_ttl), wanted)


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("name", NAMES)
def test_we_read_theirs(start_server: StartServer, start_peer: StartPeer, tmp_path: Path, name: str, preamble: str) -> None:
    binary(name)
    field_ttl = has_field_ttl(name)
    peer = start_peer(name, tmp_path / "theirs", "--appendonly", "yes", "--aof-use-rdb-preamble", preamble, "--list-compress-depth", "1")
    client = single(peer.client)
    fill(client, field_ttl)
    rewritten(client)
    change(client, field_ttl)
    client.save()
    wanted, forms = contents(client, field_ttl), encodings(client)
    digest = client.execute_command("DEBUG", "DIGEST") if not field_ttl else ""
    client.close()
    peer.stop()
    files = [("rdb", "dump.rdb", ())] if preamble == "yes" else []
    for kind, file, options in [*files, ("aof", "appendonlydir", ("--appendonly", "yes"))]:
        server = start_server(*OURS, *options, folder=copied(peer.folder, tmp_path / kind, file))
        ours = single(server.client())
        same(contents(ours, field_ttl), wanted)
        if name == "redis-8.2":
            assert {k: e for k, e in encodings(ours).items() if e != forms[k] and k != "embstr"} == {}  # appended to: raw until loaded
        if digest:
            assert ours.execute_command("DEBUG", "DIGEST") == digest
        ours.close()
