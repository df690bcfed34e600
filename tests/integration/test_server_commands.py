"""INFO, SLOWLOG, LATENCY, MEMORY, DEBUG, LOLWUT, ROLE: what one worker tells about all of them."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

import pytest
import redis

from tests.conftest import ShoalServer, wait_until

SECTIONS = ["server", "clients", "memory", "persistence", "stats", "replication", "cpu", "modules", "errorstats", "cluster", "keyspace"]
NOT_DEFAULT = ["commandstats", "latencystats"]


def titles(text: str) -> list[str]:
    return [line[2:].lower() for line in text.splitlines() if line.startswith("# ")]


def info_text(client: redis.Redis, *sections: str) -> str:
    parse = client.response_callbacks["INFO"]
    client.set_response_callback("INFO", lambda reply, **_: reply)
    try:
        return str(client.execute_command("INFO", *sections))
    finally:
        client.set_response_callback("INFO", parse)


def test_sections_of_info(shoal: ShoalServer) -> None:
    client = shoal.client()
    assert titles(info_text(client)) == SECTIONS
    assert titles(info_text(client, "default")) == SECTIONS
    everything = titles(info_text(client, "everything"))
    assert sorted(everything) == sorted([*SECTIONS, *NOT_DEFAULT])
    assert titles(info_text(client, "all")) == everything
    assert titles(info_text(client, "CPU", "server", "nothing")) == ["server", "cpu"]
    assert titles(info_text(client, "nothing")) == []
    assert titles(info_text(client, "default", "commandstats")) == [*SECTIONS[:8], "commandstats", *SECTIONS[8:]]


def test_every_line_of_info_is_a_field(shoal: ShoalServer) -> None:
    text = info_text(shoal.client(), "everything")
    for line in text.split("\r\n"):
        assert line == "" or line.startswith("# ") or re.fullmatch(r"[A-Za-z0-9_|%.\-]+:.*", line), line


def test_fields_of_redis_are_there(shoal: ShoalServer) -> None:
    """Names that redis-server 7.2 has in these sections and that monitoring tools read."""
    info = shoal.client().info("everything")
    wanted = [
        "redis_version", "redis_mode", "os", "arch_bits", "process_id", "run_id", "tcp_port",
        "uptime_in_seconds", "hz", "executable", "config_file", "connected_clients", "blocked_clients",
        "maxclients", "used_memory", "used_memory_human", "used_memory_rss", "used_memory_peak",
        "used_memory_dataset", "maxmemory", "maxmemory_policy", "mem_fragmentation_ratio", "mem_allocator",
        "loading", "rdb_changes_since_last_save", "rdb_bgsave_in_progress", "rdb_last_save_time",
        "rdb_last_bgsave_status", "aof_enabled", "total_connections_received", "total_commands_processed",
        "instantaneous_ops_per_sec", "total_net_input_bytes", "total_net_output_bytes",
        "rejected_connections", "expired_keys", "evicted_keys", "keyspace_hits", "keyspace_misses",
        "total_error_replies", "role", "connected_slaves", "master_replid", "master_repl_offset",
        "used_cpu_sys", "used_cpu_user", "cluster_enabled",
    ]
    assert [name for name in wanted if name not in info] == []
    assert info["redis_version"] == "7.2.4"
    assert info["process_id"] == shoal.pid
    assert Path(info["executable"]).is_absolute()


def test_statistics_are_of_all_workers(shoal: ShoalServer) -> None:
    clients = [shoal.client() for _ in range(8)]
    clients[0].config_resetstat()
    for i, client in enumerate(clients):
        client.set(f"key:{i}", "x")
        client.get(f"key:{i}")
        client.get("missing")
    info = clients[-1].info("everything")
    assert info["keyspace_hits"] == 8
    assert info["keyspace_misses"] == 8
    assert info["connected_clients"] >= 8
    assert info["cmdstat_set"]["calls"] == 8
    assert info["cmdstat_get"]["calls"] == 16
    assert info["db0"]["keys"] == 8
    assert sum(info[f"worker{i}"]["clients"] for i in (1, 2)) == info["connected_clients"]


def test_errors_are_counted_by_code(shoal: ShoalServer) -> None:
    client = shoal.client()
    client.config_resetstat()
    client.set("text", "x")
    for words in (["INCR", "text"], ["NOSUCH"], ["GET"], ["SETBIT", "text", "x", "1"]):
        with pytest.raises(redis.ResponseError):
            client.execute_command(*words)
    with pytest.raises(redis.ResponseError):
        client.pipeline(transaction=True).execute_command("NOSUCH").get("a").execute()
    info = client.info("everything")
    assert info["errorstat_ERR"]["count"] == 5
    assert info["errorstat_EXECABORT"]["count"] == 1
    assert info["total_error_replies"] == 6
    assert info["cmdstat_incr"]["failed_calls"] == 1
    assert info["cmdstat_get"]["rejected_calls"] == 1


def test_run_times(shoal: ShoalServer) -> None:
    client = shoal.client()
    client.config_resetstat()
    for _ in range(50):
        client.set("a", "x")
    client.execute_command("DEBUG", "SLEEP", "0.05")
    info = client.info("latencystats")
    p50, p99 = info["latency_percentiles_usec_set"]["p50"], info["latency_percentiles_usec_set"]["p99.9"]
    assert 0 < p50 <= p99
    assert info["latency_percentiles_usec_debug"]["p50"] >= 50000
    histogram = client.execute_command("LATENCY", "HISTOGRAM", "set", "debug")
    assert histogram["set"]["calls"] == 50
    counts = list(histogram["set"]["histogram_usec"].values())
    assert counts == sorted(counts)
    assert counts[-1] == 50
    assert min(map(int, histogram["debug"]["histogram_usec"])) >= 32768
    client.config_set("latency-tracking", "no")
    assert client.info("latencystats") == {}


def test_slowlog(shoal: ShoalServer) -> None:
    client = shoal.client()
    client.client_setname("me")
    client.config_set("slowlog-log-slower-than", 30000)
    client.slowlog_reset()
    client.execute_command("DEBUG", "SLEEP", "0.04")
    other = shoal.client()
    assert other.slowlog_len() == 1
    (entry,) = other.slowlog_get()
    assert entry["command"].split() == ["DEBUG", "SLEEP", "0.04"] or entry["command"].split() == [b"DEBUG", b"SLEEP", b"0.04"]
    assert entry["duration"] >= 40000
    assert abs(entry["start_time"] - time.time()) < 60
    client.config_set("slowlog-max-len", 0)
    assert other.slowlog_len() == 0
    client.config_set("slowlog-max-len", 128)
    other.slowlog_reset()
    assert client.slowlog_get() == []


def test_latency_events(shoal: ShoalServer) -> None:
    client = shoal.client()
    assert "not being monitored" in client.execute_command("LATENCY", "DOCTOR")
    client.config_set("latency-monitor-threshold", 20)
    client.execute_command("DEBUG", "SLEEP", "0.03")
    other = shoal.client()
    (event,) = [e for e in other.latency_latest() if e[0] == "command"]
    assert 30 <= event[2] <= event[3] < 2000
    assert other.latency_history("command")[-1][1] == event[2]
    assert "command: 1 spikes" in other.execute_command("LATENCY", "DOCTOR")
    assert "high" in other.execute_command("LATENCY", "GRAPH", "command")
    with pytest.raises(redis.ResponseError, match="No samples available for event 'nothing'"):
        other.execute_command("LATENCY", "GRAPH", "nothing")
    assert other.latency_reset("command", "nothing") == 1
    assert client.latency_history("command") == []


def test_memory(client: redis.Redis) -> None:
    empty = client.info("memory")
    startup = empty["used_memory_startup"]
    assert empty["used_memory"] >= startup > 0
    assert empty["used_memory_overhead"] + empty["used_memory_dataset"] == empty["used_memory"]
    assert client.memory_stats()["startup.allocated"] == startup
    client.config_set("maxmemory", startup - 1)
    with pytest.raises(redis.ResponseError, match="used memory > 'maxmemory'"):
        client.set("big", "x")
    client.config_set("maxmemory", 0)
    client.set("big", "x" * 1_000_000)
    stats = client.memory_stats()
    assert stats["keys.count"] == 1
    assert stats["total.allocated"] >= 1_000_000
    assert stats["dataset.bytes"] >= 1_000_000
    assert "nothing to examine" in client.execute_command("MEMORY", "DOCTOR")
    assert "arena_size:" in client.execute_command("MEMORY", "MALLOC-STATS")
    assert client.memory_purge()
    assert client.info("memory")["used_memory"] >= 1_000_000


def test_lolwut_role_lastsave(client: redis.Redis) -> None:
    art = client.execute_command("LOLWUT", "40", "5")
    assert "Redis ver. 7.2.4, Shoal ver." in art
    assert len(art.split("\n\n")[0].splitlines()) <= 5
    assert client.execute_command("ROLE")[0] in ("master", b"master")
    assert client.execute_command("LASTSAVE")


def test_debug_needs_permission(start_server: object) -> None:
    server = start_server("--enable-debug-command", "no")  # type: ignore[operator]
    with pytest.raises(redis.ResponseError, match="DEBUG command not allowed"):
        server.client().execute_command("DEBUG", "HELP")


@pytest.mark.parametrize(
    ("kind", "resp2", "resp3"),
    [
        ("string", b"$11\r\nHello World\r\n", b"$11\r\nHello World\r\n"),
        ("integer", b":12345\r\n", b":12345\r\n"),
        ("double", b"$5\r\n3.141\r\n", b",3.141\r\n"),
        ("null", b"$-1\r\n", b"_\r\n"),
        ("true", b":1\r\n", b"#t\r\n"),
        ("bignum", b"$37\r\n1234567999999999999999999999999999999\r\n", b"(1234567999999999999999999999999999999\r\n"),
    ],
)
def test_debug_protocol(shoal: ShoalServer, kind: str, resp2: bytes, resp3: bytes) -> None:
    import socket

    for hello, expected in ((b"", resp2), (b"HELLO 3\r\n", resp3)):
        with socket.create_connection(("127.0.0.1", shoal.port), 10) as s:
            s.sendall(hello + b"ECHO mark\r\nDEBUG PROTOCOL " + kind.encode() + b"\r\nECHO end\r\n")
            data = b""
            while b"end\r\n" not in data:
                data += s.recv(65536)
        assert data.partition(b"mark\r\n")[2].removesuffix(b"$3\r\nend\r\n") == expected


def test_commands_that_are_not_built_say_so(client: redis.Redis) -> None:
    with pytest.raises(redis.ResponseError, match="unknown command"):
        client.execute_command("NOSUCH", "a")


def section(client: redis.Redis, name: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in info_text(client, name).splitlines() if ":" in line)


def test_info_counts_what_clients_wait_for(shoal: ShoalServer) -> None:
    admin = shoal.client()
    admin.xadd("stream", {"f": "v"})
    admin.xgroup_create("stream", "group", "$")
    names = ("total_blocking_keys", "total_blocking_keys_on_nokey", "clients_in_timeout_table", "blocked_clients")

    def told() -> list[int]:
        fields = section(admin, "clients")
        return [int(fields[n]) for n in names]

    assert told() == [0, 0, 0, 0]
    waiting = [socket.create_connection(("127.0.0.1", shoal.port)) for _ in range(3)]
    waiting[0].sendall(b"BLPOP a b 0\r\n")
    waiting[1].sendall(b"BLPOP b 100\r\n")
    waiting[2].sendall(b"XREADGROUP GROUP group c BLOCK 100000 STREAMS stream >\r\n")
    wait_until(lambda: told() == [3, 1, 2, 3])
    admin.rpush("b", "x", "y")
    admin.delete("stream")
    wait_until(lambda: told() == [0, 0, 0, 0])
    for s in waiting:
        s.close()


def test_info_counts_what_waits_to_be_freed(shoal: ShoalServer) -> None:
    admin = shoal.client()
    admin.config_resetstat()
    with admin.pipeline(transaction=False) as p:
        for i in range(3000):
            p.set(f"key:{i}", "v")
        p.sadd("set", *(f"member:{i}" for i in range(5000)))
        p.execute()
    with admin.pipeline() as p:  # INFO runs behind the transaction, before anything is freed
        p.unlink("set")
        p.flushall()
        p.info("memory")
        told = p.execute()[-1]
    assert told["lazyfree_pending_objects"] == 3001
    wait_until(lambda: section(admin, "memory")["lazyfree_pending_objects"] == "0")
    assert section(admin, "memory")["lazyfreed_objects"] == "3001"


def test_info_tells_of_active_expiry(shoal: ShoalServer) -> None:
    admin = shoal.client()
    admin.config_resetstat()
    admin.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    with admin.pipeline(transaction=False) as p:
        for i in range(30000):
            p.set(f"key:{i}", "v", px=1 if i % 3 else 10_000_000)
        p.execute()
    before = section(admin, "stats")
    assert before["expired_time_cap_reached_count"] == "0"
    admin.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "1")
    wait_until(lambda: section(admin, "stats")["expired_keys"] == "20000", 30)
    assert admin.dbsize() == 10000  # none is left behind where the table shrinks while it is walked
    stats = section(admin, "stats")
    assert int(stats["expired_time_cap_reached_count"]) > 0
    assert 0 < float(stats["expired_stale_perc"]) <= 100
    assert int(stats["expire_cycle_cpu_milliseconds"]) > int(before["expire_cycle_cpu_milliseconds"])
    admin.config_resetstat()
    assert section(admin, "stats")["expired_time_cap_reached_count"] == "0"
