"""INFO: the whole server's state, whichever worker answers.

Sections are rows; each is a function that yields its fields in Redis' order. Counters are sums over the workers' slots.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shoal import REDIS_VERSION, __version__, engine
from shoal.commands import replication
from shoal.commands.client import FLAG_BLOCKED, FLAG_PUBSUB, FLAG_TRACKING, memory_of
from shoal.commands.registry import command, word
from shoal.commands.server_state import ServerState
from shoal.engine import Call
from shoal.persist import memory_check, schedule
from shoal.persist import state as save_state
from shoal.persist.appendonly import current_size
from shoal.replies import Reply, Verbatim

Field = tuple[str, object]
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def human(size: float) -> str:
    """1536 as 1.50K."""
    if size < 1024:
        return f"{int(size)}B"
    for unit in "KMGTP":
        size /= 1024
        if size < 1024 or unit == "P":
            break
    return f"{size:.2f}{unit}"


def _pids() -> list[int]:
    """Of the supervisor and its children."""
    supervisor = os.getppid()
    try:
        with open(f"/proc/{supervisor}/task/{supervisor}/children") as f:
            return [supervisor, *map(int, f.read().split())]
    except OSError:
        return [supervisor, *(s.pid for s in engine.slots() if s.pid and s.pid != supervisor)]


def private_bytes() -> int:
    """Resident memory of our processes outside of the segment and of files."""
    total = 0
    for pid in _pids():
        try:
            with open(f"/proc/{pid}/status") as f:
                found = re.search(r"^RssAnon:\s+(\d+) kB", f.read(), re.M)
        except OSError:
            continue
        total += int(found[1]) << 10 if found else 0
    return total


def _cpu_seconds() -> tuple[float, float, float, float]:
    """System and user time of all processes, then of those that have ended."""
    system = user = ended_system = ended_user = 0
    for i, pid in enumerate(_pids()):
        try:
            with open(f"/proc/{pid}/stat", "rb") as f:
                fields = f.read().rpartition(b")")[2].split()
        except OSError:
            continue
        user += int(fields[11])
        system += int(fields[12])
        if i == 0:
            ended_user, ended_system = int(fields[13]), int(fields[14])
    return system / _TICKS, user / _TICKS, ended_system / _TICKS, ended_user / _TICKS


def _alive(pid: int) -> bool:
    """A slot keeps its dead owner's number until the heir is there."""
    return os.path.exists(f"/proc/{pid}/task")


def _server(state: ServerState) -> Iterator[Field]:
    config, now = state.config, time.time()
    started = engine.word("started_ms") / 1000
    uptime = max(int(now - started), 0)
    yield "redis_version", REDIS_VERSION
    yield "shoal_version", __version__
    yield "redis_git_sha1", "00000000"
    yield "redis_git_dirty", 0
    yield "redis_build_id", "0"
    yield "redis_mode", "standalone"
    yield "os", f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "arch_bits", 64
    yield "monotonic_clock", "POSIX clock_gettime"
    yield "multiplexing_api", "epoll"
    yield "atomicvar_api", "c11-builtin"
    yield "gcc_version", re.sub(r"^\D*", "", platform.python_compiler()).split()[0]
    yield "process_id", os.getppid()
    yield "process_supervised", config["supervised"]
    yield "run_id", engine.run_id()
    yield "tcp_port", config["port"]
    yield "server_time_usec", int(now * 1e6)
    yield "uptime_in_seconds", uptime
    yield "uptime_in_days", uptime // 86400
    yield "hz", min(max(config["hz"], 1), 500)
    yield "configured_hz", config["hz"]
    yield "lru_clock", int(now) & 0xFFFFFF
    yield "executable", state.child.executable
    yield "config_file", config.file
    yield "io_threads_active", 0
    listening = 0
    if config["port"]:
        binds = "".join(f",bind={address}" for address in config["bind"])
        yield f"listener{listening}", f"name=tcp{binds},port={config['port']}"
        listening += 1
    if config["unixsocket"]:
        yield f"listener{listening}", f"name=unix,bind={config['unixsocket']}"
    yield "workers", config["workers"]
    yield "workers_ready", sum(1 for s in engine.slots() if s.kind == engine.KIND_WORKER and s.ready and _alive(s.pid))
    yield "worker_deaths", engine.deaths(engine.KIND_WORKER)
    yield "deaths_log_writer", engine.deaths(engine.KIND_LOG_WRITER)
    yield "deaths_persistence", engine.deaths(engine.KIND_PERSISTENCE)
    yield "segment_generation", engine.word("generation")


def _clients(state: ServerState) -> Iterator[Field]:
    clients, waiting = engine.clients(), engine.waiting()
    yield "connected_clients", engine.client_count()
    yield "cluster_connections", 0
    yield "maxclients", state.config["maxclients"]
    yield "client_recent_max_input_buffer", max((c.query_bytes + c.query_free for c in clients), default=0)
    yield "client_recent_max_output_buffer", max((c.output_list_bytes for c in clients), default=0)
    yield "blocked_clients", sum(1 for c in clients if c.flags & FLAG_BLOCKED)
    yield "tracking_clients", sum(1 for c in clients if c.flags & FLAG_TRACKING)
    yield "pubsub_clients", sum(1 for c in clients if c.flags & FLAG_PUBSUB)
    yield "watching_clients", sum(1 for c in clients if c.watches)
    yield "clients_in_timeout_table", waiting.timeouts
    yield "total_watched_keys", sum(c.watches for c in clients)
    yield "total_blocking_keys", waiting.blocking_keys
    yield "total_blocking_keys_on_nokey", waiting.blocking_keys_nokey
    for s in engine.slots():
        if s.kind == engine.KIND_WORKER:
            yield f"worker{s.index}", f"pid={s.pid},clients={s.clients},births={s.births}"


def _ratio(a: float, b: float) -> str:
    return f"{a / b if b else 1.0:.2f}"


def _memory(state: ServerState) -> Iterator[Field]:
    m = engine.memory()
    peak = state.peak()
    private = private_bytes()
    segment = state.segment_bytes()
    resident = segment + private
    total_system = os.sysconf("SC_PHYS_PAGES") * _PAGE
    limit = state.config["maxmemory"]
    overhead, arena = m.overhead + m.startup, m.used - m.startup
    dataset = max(m.used - overhead, 0)
    yield "used_memory", m.used
    yield "used_memory_human", human(m.used)
    yield "used_memory_rss", resident
    yield "used_memory_rss_human", human(resident)
    yield "used_memory_peak", peak
    yield "used_memory_peak_human", human(peak)
    yield "used_memory_peak_perc", f"{100 * m.used / peak if peak else 0:.2f}%"
    yield "used_memory_overhead", overhead
    yield "used_memory_startup", m.startup
    yield "used_memory_dataset", dataset
    yield "used_memory_dataset_perc", f"{100 * dataset / arena if arena else 0:.2f}%"
    yield "allocator_allocated", arena
    yield "allocator_active", m.committed
    yield "allocator_resident", m.committed
    yield "total_system_memory", total_system
    yield "total_system_memory_human", human(total_system)
    for name in ("lua", "vm_eval"):
        yield f"used_memory_{name}", 0
    yield "used_memory_lua_human", human(0)
    yield "used_memory_scripts_eval", 0
    yield "number_of_cached_scripts", 0
    yield "number_of_functions", 0
    yield "number_of_libraries", 0
    yield "used_memory_vm_functions", 0
    yield "used_memory_vm_total", 0
    yield "used_memory_vm_total_human", human(0)
    yield "used_memory_functions", 0
    yield "used_memory_scripts", 0
    yield "used_memory_scripts_human", human(0)
    yield "maxmemory", limit
    yield "maxmemory_human", human(limit)
    yield "maxmemory_policy", state.config["maxmemory-policy"]
    yield "allocator_frag_ratio", _ratio(m.committed, arena)
    yield "allocator_frag_bytes", m.committed - arena
    yield "allocator_rss_ratio", _ratio(1, 1)
    yield "allocator_rss_bytes", 0
    yield "rss_overhead_ratio", _ratio(resident, m.committed)
    yield "rss_overhead_bytes", resident - m.committed
    yield "mem_fragmentation_ratio", _ratio(resident, m.used)
    yield "mem_fragmentation_bytes", resident - m.used
    yield "mem_not_counted_for_evict", 0
    yield "mem_replication_backlog", 0
    yield "mem_total_replication_buffers", 0
    yield "mem_clients_slaves", 0
    yield "mem_clients_normal", _client_bytes()
    yield "mem_cluster_links", 0
    yield "mem_aof_buffer", 0
    yield "mem_allocator", "shoal"
    yield "active_defrag_running", 0
    yield "lazyfree_pending_objects", engine.waiting().lazy_objects
    yield "lazyfreed_objects", engine.stats().get("lazyfreed_objects", 0)
    yield "segment_committed", segment
    yield "segment_arena_committed", m.committed
    yield "segment_arena_size", m.arena_size
    yield "processes_private_memory", private


def _client_bytes() -> int:
    return sum(memory_of(c) for c in engine.clients())


def _persistence(state: ServerState) -> Iterator[Field]:
    save = save_state.read()
    done, total = engine.word("progress_done"), engine.word("progress_total")
    saving = bool(save.saving_since)
    writing = saving or bool(save.aof_since)
    yield "loading", int(not engine.word("serving"))
    yield "async_loading", 0
    yield "current_cow_peak", save.last_cow_bytes
    yield "current_cow_size", engine.word("preimg_next") * 512 if engine.word("cow_active") else 0
    yield "current_cow_size_age", 0
    yield "current_fork_perc", f"{100 * done / total if writing and total else 0:.2f}"
    yield "current_save_keys_processed", done if writing else 0
    yield "current_save_keys_total", total if writing else 0
    yield "rdb_changes_since_last_save", max(save.changes(), 0)
    yield "rdb_bgsave_in_progress", int(saving)
    yield "rdb_last_save_time", save.last_save
    yield "rdb_last_bgsave_status", "ok" if save.last_ok else "err"
    yield "rdb_last_bgsave_time_sec", save.last_seconds
    yield "rdb_current_bgsave_time_sec", int(time.time() - save.saving_since) if saving else -1
    yield "rdb_saves", save.saves
    yield "rdb_last_cow_size", save.last_cow_bytes
    yield "rdb_last_load_keys_expired", save.loaded_expired
    yield "rdb_last_load_keys_loaded", save.loaded_keys
    yield "rdb_last_cut_usec", save.cut_us
    if save.loading_since:
        passed = max(time.time() - save.loading_since, 0.001)
        yield "loading_start_time", int(save.loading_since)
        yield "loading_total_bytes", save.loading_bytes
        yield "loading_loaded_bytes", done
        yield "loading_loaded_perc", f"{100 * done / max(save.loading_bytes, 1):.2f}"
        yield "loading_eta_seconds", int(passed * (save.loading_bytes - done) / max(done, 1))
    yield from _memory_check(save)
    yield from _appendonly(state, save)
    yield from _backups()
    yield "module_fork_in_progress", 0
    yield "module_fork_last_cow_size", 0


def _memory_check(save: save_state.SaveState) -> Iterator[Field]:
    """Of memory that was taken over from an earlier instance (shoal.persist.memory_check)."""
    yield "memory_check_status", save.check_status
    yield "memory_check_keys", save.check_keys
    yield "memory_check_stripes_done", save.check_place
    yield "memory_check_stripes_total", save.check_places
    yield "memory_check_time_sec", f"{save.check_seconds:.3f}"
    yield "memory_check_damaged", save.check_damaged
    yield "memory_check_first_damage", memory_check.describe(save.check_damages[0]) if save.check_damages else ""
    yield "memory_check_slowest_cut_usec", save.check_cut_us
    yield "memory_check_cow_peak", save.check_cow_bytes


def _appendonly(state: ServerState, save: save_state.SaveState) -> Iterator[Field]:
    on = bool(state.config["appendonly"])
    rewriting = engine.word("log_rewriting")
    yield "aof_enabled", int(on or engine.word("log_enabled") != 0)  # switched off: when nothing is logged any more
    yield "aof_rewrite_in_progress", int(rewriting == 1)
    yield "aof_rewrite_scheduled", int(rewriting == 2)
    yield "aof_last_rewrite_time_sec", save.aof_last_seconds
    yield "aof_current_rewrite_time_sec", int(time.time() - save.aof_since) if save.aof_since else -1
    yield "aof_last_bgrewrite_status", "ok" if save.aof_last_ok else "err"
    yield "aof_rewrites", save.aof_rewrites
    yield "aof_rewrites_consecutive_failures", save.aof_failures
    yield "aof_last_write_status", "err" if engine.word("log_failed") else "ok"
    yield "aof_last_cow_size", save.aof_cow_bytes
    yield "aof_last_cut_usec", save.aof_cut_us
    if not on:
        return
    position, lsn = engine.log_position(), engine.word("lsn")
    synced = engine.word("synced_lsn")
    yield "aof_current_size", current_size()
    yield "aof_base_size", engine.word("log_base_bytes")
    yield "aof_pending_rewrite", int(engine.word("log_state") != 1)
    yield "aof_buffer_length", 0
    yield "aof_pending_bio_fsync", int(synced < position.lsn)
    yield "aof_delayed_fsync", 0
    yield "aof_last_lsn", lsn
    yield "aof_written_lsn", position.lsn
    yield "aof_written_file", position.file
    yield "aof_written_bytes", position.bytes
    yield "aof_durable_lsn", engine.word("durable_lsn")
    yield "aof_synced_lsn", synced
    yield "aof_records", engine.word("log_records")
    yield "aof_batches", engine.word("log_batches")
    yield "aof_fsyncs", engine.word("log_syncs")
    yield "aof_commits_per_fsync", f"{engine.word('log_records') / max(engine.word('log_syncs'), 1):.2f}"


def _backups() -> Iterator[Field]:
    """Those that the server makes by its schedule."""
    b = schedule.read()
    yield "backup_in_progress", int(bool(b.running_since))
    yield "backup_current_time_sec", int(time.time() - b.running_since) if b.running_since else -1
    yield "backup_last_status", "ok" if b.last_ok else "err"
    yield "backup_last_error", b.last_error.replace("\r", " ").replace("\n", " ")
    yield "backup_last_time", b.last_time
    yield "backup_last_name", b.last_name
    yield "backup_last_bytes", b.last_bytes
    yield "backup_last_time_sec", b.last_seconds
    yield "backup_next_time", int(b.next_time)
    yield "backups", b.done
    yield "backups_consecutive_failures", b.failures


def _stats(state: ServerState) -> Iterator[Field]:
    s = engine.stats()

    def get(name: str) -> int:
        return s.get(name, 0)

    yield "total_connections_received", get("total_connections_received")
    yield "total_commands_processed", get("total_commands_processed")
    yield "instantaneous_ops_per_sec", int(state.rates["COMMANDS"].per_second())
    yield "total_net_input_bytes", get("total_net_input_bytes")
    yield "total_net_output_bytes", get("total_net_output_bytes")
    yield "total_net_repl_input_bytes", 0
    yield "total_net_repl_output_bytes", get("total_net_repl_output_bytes")
    yield "instantaneous_input_kbps", f"{state.rates['NET_IN'].per_second() / 1024:.2f}"
    yield "instantaneous_output_kbps", f"{state.rates['NET_OUT'].per_second() / 1024:.2f}"
    yield "instantaneous_input_repl_kbps", "0.00"
    yield "instantaneous_output_repl_kbps", "0.00"
    yield "rejected_connections", get("rejected_connections")
    yield "sync_full", get("sync_full")
    yield "sync_partial_ok", get("sync_partial_ok")
    yield "sync_partial_err", get("sync_partial_err")
    yield "expired_keys", get("expired_keys")
    yield "expired_stale_perc", f"{get('expire_stale') / 1e6 / state.config['workers']:.2f}"
    yield "expired_time_cap_reached_count", get("expired_time_cap_reached_count")
    yield "expire_cycle_cpu_milliseconds", get("expire_us") // 1000
    yield "evicted_keys", get("evicted_keys")
    yield "evicted_clients", get("evicted_clients")
    yield "total_eviction_exceeded_time", 0
    yield "current_eviction_exceeded_time", 0
    yield "keyspace_hits", get("keyspace_hits")
    yield "keyspace_misses", get("keyspace_misses")
    yield "pubsub_channels", 0
    yield "pubsub_patterns", 0
    yield "pubsubshard_channels", 0
    yield "latest_fork_usec", 0
    yield "total_forks", 0
    yield "migrate_cached_sockets", get("migrate_cached_sockets")
    yield "slave_expires_tracked_keys", 0
    yield "active_defrag_hits", 0
    yield "active_defrag_misses", 0
    yield "active_defrag_key_hits", 0
    yield "active_defrag_key_misses", 0
    yield "total_active_defrag_time", 0
    yield "current_active_defrag_time", 0
    yield "tracking_total_keys", 0
    yield "tracking_total_items", 0
    yield "tracking_total_prefixes", 0
    yield "unexpected_error_replies", get("unexpected_error_replies")
    yield "total_error_replies", get("total_error_replies")
    yield "dump_payload_sanitizations", 0
    yield "total_reads_processed", get("total_reads_processed")
    yield "total_writes_processed", get("total_writes_processed")
    yield "io_threaded_reads_processed", 0
    yield "io_threaded_writes_processed", 0
    yield "reply_buffer_shrinks", 0
    yield "reply_buffer_expands", 0
    for name in (
        "client_query_buffer_limit_disconnections",
        "client_output_buffer_limit_disconnections",
        "acl_access_denied_auth",
        "acl_access_denied_cmd",
        "acl_access_denied_key",
        "acl_access_denied_channel",
    ):
        yield name, get(name)
    yield "transactions_committed", get("txns")
    yield "transactions_undone", get("undone")
    yield "slots_repaired", get("repairs")
    yield "gather_waits", get("gather_waits")


def _replication(state: ServerState) -> Iterator[Field]:
    config = state.config
    yield from replication.facts(config)


def _cpu(state: ServerState) -> Iterator[Field]:
    system, user, ended_system, ended_user = _cpu_seconds()
    yield "used_cpu_sys", f"{system:.6f}"
    yield "used_cpu_user", f"{user:.6f}"
    yield "used_cpu_sys_children", f"{ended_system:.6f}"
    yield "used_cpu_user_children", f"{ended_user:.6f}"
    own = resource.getrusage(resource.RUSAGE_THREAD)
    yield "used_cpu_sys_main_thread", f"{own.ru_stime:.6f}"
    yield "used_cpu_user_main_thread", f"{own.ru_utime:.6f}"


def _nothing(state: ServerState) -> Iterator[Field]:
    return iter(())


def _command_stats(state: ServerState) -> Iterator[Field]:
    for index, name in enumerate(engine.command_names()):
        s = engine.command_stats(index)
        if s.calls or s.rejected or s.failed:
            each = s.usec / s.calls if s.calls else 0.0
            yield (
                f"cmdstat_{name}",
                f"calls={s.calls},usec={s.usec},usec_per_call={each:.2f},"
                f"rejected_calls={s.rejected},failed_calls={s.failed}",
            )


def _error_stats(state: ServerState) -> Iterator[Field]:
    for code, count in sorted(engine.errors().items()):
        yield f"errorstat_{code}", f"count={count}"


def percentile(times: list[int], percent: float) -> float:
    """Microseconds that so many per cent of the calls stay under."""
    wanted = sum(times) * percent / 100.0
    seen = 0
    for count, end in zip(times, engine.time_bucket_ends(), strict=True):
        seen += count
        if count and seen >= wanted:
            return end / 1000
    return 0.0


def _latency_stats(state: ServerState) -> Iterator[Field]:
    if not state.config["latency-tracking"]:
        return
    percents: list[float] = state.config["latency-tracking-info-percentiles"]
    for index, name in enumerate(engine.command_names()):
        times = engine.command_times(index)
        if any(times):
            shown = ",".join(f"p{p:.10g}={percentile(times, p):.3f}" for p in percents)
            yield f"latency_percentiles_usec_{name}", shown


def _cluster(state: ServerState) -> Iterator[Field]:
    yield "cluster_enabled", 0


def _keyspace(state: ServerState) -> Iterator[Field]:
    for db in range(state.config["databases"]):
        keys = engine.db_size(db)
        if keys:
            yield f"db{db}", f"keys={keys},expires={engine.db_expires(db)},avg_ttl=0"


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    title: str
    fields: Callable[[ServerState], Iterator[Field]]
    default: bool = True


SECTIONS = (
    Section("server", "Server", _server),
    Section("clients", "Clients", _clients),
    Section("memory", "Memory", _memory),
    Section("persistence", "Persistence", _persistence),
    Section("stats", "Stats", _stats),
    Section("replication", "Replication", _replication),
    Section("cpu", "CPU", _cpu),
    Section("modules", "Modules", _nothing),
    Section("commandstats", "Commandstats", _command_stats, default=False),
    Section("errorstats", "Errorstats", _error_stats),
    Section("latencystats", "Latencystats", _latency_stats, default=False),
    Section("cluster", "Cluster", _cluster),
    Section("keyspace", "Keyspace", _keyspace),
)


def chosen(words: list[str]) -> list[Section]:
    """The sections that arguments of INFO ask for; unknown names ask for nothing."""
    wanted = set(words or ["default"])
    if wanted & {"all", "everything"}:
        return list(SECTIONS)
    return [s for s in SECTIONS if s.name in wanted or ("default" in wanted and s.default)]


def text(state: ServerState, words: list[str]) -> str:
    blocks = []
    for section in chosen(words):
        lines = [f"# {section.title}", *(f"{name}:{value}" for name, value in section.fields(state))]
        blocks.append("\r\n".join(lines) + "\r\n")
    return "\r\n".join(blocks)


@command("info")
def info(state: ServerState, call: Call) -> Reply:
    return Verbatim(text(state, [word(a) for a in call.args[1:]]).encode("latin-1", "replace"))
