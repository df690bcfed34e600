"""Every setting of the server: one row each.

The configuration parser, the command line, CONFIG GET, SET and REWRITE, `shoal.conf` and the documentation come from these
rows. `python -m shoal.settings` prints the sample configuration. Rows that C reads have a row of the same name in
cext/settings.def.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shoal.kinds import (
    Bare,
    Bool,
    Cron,
    Enum,
    EnumSet,
    Events,
    Folder,
    HostPort,
    Int,
    Keep,
    Kind,
    Memory,
    MemoryOrPercent,
    Octal,
    OomValues,
    OutputLimits,
    Percentiles,
    Save,
    Str,
    Title,
    Words,
)


@dataclass(frozen=True, slots=True)
class Setting:
    """A row. `apply` names what must be told of a change: see `shoal.supervisor` and `shoal.workers.apply`."""

    name: str
    kind: Kind
    default: Any
    doc: str
    section: str = ""
    aliases: tuple[str, ...] = ()
    fixed: bool = False
    """Cannot be changed while the server runs."""
    protected: bool = False
    """Can be changed at run time only as enable-protected-configs says."""
    ours: bool = False
    """Redis has no such setting: tools that set everything to what it is already must not fail on it, though it is fixed."""
    secret: bool = False
    """CONFIG GET shows it only when asked by its whole name; never logged."""
    not_loading: bool = False
    """CONFIG SET answers -LOADING while the dataset is being loaded."""
    hidden: bool = False
    """Not in CONFIG GET with a pattern, nor in shoal.conf."""
    noop: str = ""
    """Why it is accepted and shown, but changes nothing here."""
    apply: str = ""


ROWS: list[Setting] = []
SECTIONS: list[tuple[str, str]] = []


def _section(title: str, *rows: Setting) -> None:
    SECTIONS.append((title, ""))
    for row in rows:
        ROWS.append(_replace(row, title))


def _replace(row: Setting, section: str) -> Setting:
    fields = {name: getattr(row, name) for name in Setting.__slots__}
    return Setting(**{**fields, "section": section})


_YES, _NO = True, False
_I64 = 2**63 - 1
_U32 = 2**32 - 1
_THREADS = "commands run in processes of their own (see workers)"
_JEMALLOC = "the keyspace has its own allocator"
_CLUSTER = "cluster mode is not offered"
_NOFORK = "saving does not fork"

POLICIES = (
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
)
ON_SIGNAL = ("default", "save", "nosave", "now", "force")
FACILITIES = ("user", *(f"local{i}" for i in range(8)))

_section(
    "Processes",
    Setting(
        "workers",
        Int(1, 256),
        os.cpu_count() or 1,
        "Worker processes; each serves its share of the clients, all of them serve every key. Default: one for each core.",
        fixed=True,
        ours=True,
    ),
    Setting(
        "keep-memory",
        Bool(),
        _NO,
        "A clean stop leaves the dataset in shared memory for the next start, which serves it at once. After kill -9 it does so anyhow.",
        fixed=True,
        ours=True,
    ),
    Setting("daemonize", Bool(), _NO, "Go to the background. Not needed under systemd or docker.", fixed=True),
    Setting(
        "supervised",
        Enum(names=("upstart", "systemd", "auto", "no")),
        "no",
        "Tell systemd (NOTIFY_SOCKET) when the server is ready, and when it stops.",
        fixed=True,
    ),
    Setting("pidfile", Str(), "", "Write the process id there. Made by default when daemonized.", fixed=True),
    Setting("set-proc-title", Bool(), _YES, "Name the processes after what they do."),
    Setting(
        "proc-title-template", Title(), "{title} {listen-addr} {server-mode}", "How processes are named.", apply="title"
    ),
    Setting("always-show-logo", Bool(), _NO, "Show the start-up logo in logs too.", fixed=True),
    Setting(
        "enable-protected-configs",
        Enum(names=("no", "yes", "local")),
        "no",
        "Whether CONFIG SET may change settings that reach outside the server (dir, dbfilename...): no, yes, local clients.",
        fixed=True,
    ),
    Setting("enable-debug-command", Enum(names=("no", "yes", "local")), "no", "Who may use DEBUG.", fixed=True),
    Setting(
        "enable-module-command",
        Enum(names=("no", "yes", "local")),
        "no",
        "Who may use MODULE.",
        fixed=True,
        noop="modules are not offered",
    ),
    Setting("crash-log-enabled", Bool(), _YES, "Log a report when a process crashes."),
    Setting(
        "crash-memcheck-enabled", Bool(), _YES, "Test memory after a crash.", noop="the heir checks the segment instead"
    ),
    Setting(
        "use-exit-on-panic",
        Bool(),
        _NO,
        "Exit instead of abort (for tests).",
        hidden=True,
        noop="aborts are supervised",
    ),
    Setting(
        "oom-score-adj",
        Enum(names=("no", "yes", "relative", "absolute"), synonyms=(("yes", "relative"),)),
        "no",
        "Adjust the kernel's out-of-memory score of our processes.",
        apply="oom",
    ),
    Setting(
        "oom-score-adj-values",
        OomValues(),
        [0, 200, 800],
        "Scores for primary, replica and background processes.",
        apply="oom",
    ),
    Setting(
        "disable-thp",
        Bool(),
        _YES,
        "Disable transparent huge pages.",
        fixed=True,
        noop="the segment does not rely on the kernel's copy-on-write, so huge pages are welcome",
    ),
    Setting("ignore-warnings", Str(), "", "Start-up warnings to ignore.", noop="there are none that stop the start"),
    Setting("server_cpulist", Str(), "", "Processors of the workers, as in `0-7:2`.", fixed=True),
    Setting("bio_cpulist", Str(), "", "Processors of background threads.", fixed=True, noop=_THREADS),
    Setting("aof_rewrite_cpulist", Str(), "", "Processors of the log writer's rewrite.", fixed=True, noop=_NOFORK),
    Setting("bgsave_cpulist", Str(), "", "Processors of the persistence process.", fixed=True, noop=_NOFORK),
    Setting("io-threads", Int(1, 128), 1, "Threads for reading and writing.", fixed=True, noop=_THREADS),
    Setting("io-threads-do-reads", Bool(), _NO, "Read in threads.", fixed=True, noop=_THREADS),
    Setting("locale-collate", Str(), "", "Locale for string comparison.", noop="strings compare by bytes"),
)

_section(
    "Network",
    Setting(
        "bind",
        Words(too_many="Too many bind addresses specified."),
        ["*", "-::*"],
        "Addresses to listen on; one with a leading - may be missing.",
        apply="listen",
    ),
    Setting("port", Int(0, 65535), 6379, "TCP port; 0 does not listen on TCP.", apply="listen"),
    Setting("tcp-backlog", Int(0), 511, "Length of the queue of connections not yet accepted.", fixed=True),
    Setting("unixsocket", Str(), "", "Also listen on this Unix socket.", fixed=True),
    Setting("unixsocketperm", Octal(0, 0o777), 0, "Its permissions; 0 leaves what umask gives.", fixed=True),
    Setting(
        "protected-mode",
        Bool(),
        _YES,
        "Refuse clients from other machines as long as the default user has no password and no bind is given.",
    ),
    Setting("timeout", Int(), 0, "Close a client idle for so many seconds; 0 never."),
    Setting("tcp-keepalive", Int(), 300, "Seconds between TCP keepalives; 0 for none."),
    Setting("socket-mark-id", Int(0, _U32), 0, "SO_MARK of listening sockets.", fixed=True),
    Setting("bind-source-addr", Str(), "", "Source address of outgoing connections."),
    Setting("maxclients", Int(1, _U32), 10000, "Clients at one time, over all workers.", apply="maxclients"),
    Setting(
        "max-new-connections-per-cycle",
        Int(1, 1000),
        10,
        "Connections accepted in one turn of the loop.",
        noop="a worker accepts what is waiting, in shares",
        hidden=True,
    ),
    Setting("proto-max-bulk-len", Memory(1024 * 1024), 512 * 1024 * 1024, "Longest string a client may send."),
    Setting("client-query-buffer-limit", Memory(1024 * 1024), 1024**3, "Most memory of one client's unread command."),
    Setting(
        "client-output-buffer-limit",
        OutputLimits(),
        {"normal": [0, 0, 0], "slave": [268435456, 67108864, 60], "pubsub": [33554432, 8388608, 60]},
        "Close a client whose replies pile up: class, hard limit, soft limit and for how many seconds. 0 means none.",
    ),
    Setting(
        "maxmemory-clients", MemoryOrPercent(), 0, "Memory of all clients together; over it the largest are closed."
    ),
    Setting(
        "tracking-table-max-keys", Int(0, _I64), 1000000, "Keys remembered for client-side caching; 0 for no limit."
    ),
    Setting(
        "busy-reply-threshold",
        Int(0, _I64),
        5000,
        "Answer -BUSY after a script has run for so many ms.",
        aliases=("lua-time-limit",),
    ),
)

_section(
    "TLS",
    Setting("tls-port", Int(0, 65535), 0, "TLS port; 0 for none.", apply="tls"),
    Setting("tls-cert-file", Str(), "", "Certificate (PEM).", apply="tls"),
    Setting("tls-key-file", Str(), "", "Its key (PEM).", apply="tls"),
    Setting("tls-key-file-pass", Str(), "", "The key's password.", secret=True, apply="tls"),
    Setting("tls-client-cert-file", Str(), "", "Certificate for outgoing connections.", apply="tls"),
    Setting("tls-client-key-file", Str(), "", "Its key.", apply="tls"),
    Setting("tls-client-key-file-pass", Str(), "", "The key's password.", secret=True, apply="tls"),
    Setting("tls-dh-params-file", Str(), "", "Diffie-Hellman parameters.", apply="tls"),
    Setting("tls-ca-cert-file", Str(), "", "Certificate authorities, one file.", apply="tls"),
    Setting("tls-ca-cert-dir", Str(), "", "Certificate authorities, a folder.", apply="tls"),
    Setting("tls-auth-clients", Enum(names=("no", "yes", "optional")), "yes", "Ask clients for a certificate."),
    Setting("tls-replication", Bool(), _NO, "TLS to the primary."),
    Setting("tls-cluster", Bool(), _NO, "TLS on the cluster bus.", noop=_CLUSTER),
    Setting("tls-protocols", Str(), "", "Protocols, as in `TLSv1.2 TLSv1.3`.", apply="tls"),
    Setting("tls-ciphers", Str(), "", "Ciphers of TLS 1.2.", apply="tls"),
    Setting("tls-ciphersuites", Str(), "", "Cipher suites of TLS 1.3.", apply="tls"),
    Setting("tls-prefer-server-ciphers", Bool(), _NO, "Prefer our order of ciphers.", apply="tls"),
    Setting("tls-session-caching", Bool(), _YES, "Let clients resume sessions.", apply="tls"),
    Setting("tls-session-cache-size", Int(), 20 * 1024, "Sessions kept; 0 for no limit.", apply="tls"),
    Setting("tls-session-cache-timeout", Int(), 300, "Seconds that a session is kept.", apply="tls"),
)

_section(
    "Log",
    Setting("loglevel", Enum(names=("debug", "verbose", "notice", "warning")), "notice", "How much is logged."),
    Setting("logfile", Str(), "", "Log to this file; empty for standard output.", fixed=True),
    Setting("syslog-enabled", Bool(), _NO, "Also log to syslog.", fixed=True),
    Setting("syslog-ident", Str(), "redis", "Our name there.", fixed=True),
    Setting("syslog-facility", Enum(names=FACILITIES), "local0", "The facility there.", fixed=True),
)

_section(
    "Users",
    Setting("requirepass", Str(), "", "Password of the default user.", secret=True, apply="users"),
    Setting("aclfile", Str(), "", "File of users.", fixed=True),
    Setting("acllog-max-len", Int(0, _I64), 128, "Entries of ACL LOG."),
    Setting(
        "acl-pubsub-default", Enum(names=("allchannels", "resetchannels")), "resetchannels", "Channels of a new user."
    ),
)

_section(
    "Memory",
    Setting(
        "maxmemory",
        Memory(0, 2**64 - 1),
        0,
        "Most memory of the dataset. 0: as much as /dev/shm and the machine permit.",
    ),
    Setting(
        "maxmemory-policy",
        Enum(names=POLICIES, codes=(1, 2, 3, 4, 5, 6, 7, 0)),
        "noeviction",
        "Which keys go when maxmemory is reached: " + ", ".join(POLICIES) + ".",
    ),
    Setting("maxmemory-samples", Int(1), 5, "Keys compared for one eviction."),
    Setting(
        "maxmemory-eviction-tenacity",
        Int(0, 100),
        10,
        "Effort of eviction: 0 lowest latency, 100 without regard to it.",
    ),
    Setting("lfu-log-factor", Int(), 10, "How slowly the access counter grows."),
    Setting("lfu-decay-time", Int(), 1, "Minutes after which the access counter falls by one."),
    Setting("lazyfree-lazy-eviction", Bool(), _NO, "Free evicted values in the background."),
    Setting("lazyfree-lazy-expire", Bool(), _NO, "Free expired values in the background."),
    Setting("lazyfree-lazy-server-del", Bool(), _NO, "Free overwritten values in the background."),
    Setting("lazyfree-lazy-user-del", Bool(), _NO, "DEL works like UNLINK."),
    Setting(
        "lazyfree-lazy-user-flush", Bool(), _NO, "FLUSHALL and FLUSHDB work in the background unless SYNC is said."
    ),
    Setting("activedefrag", Bool(), _NO, "Active defragmentation.", noop=_JEMALLOC),
    Setting("active-defrag-ignore-bytes", Memory(1), 100 << 20, "Waste below which it rests.", noop=_JEMALLOC),
    Setting(
        "active-defrag-threshold-lower", Int(0, 1000), 10, "Percentage of waste at which it starts.", noop=_JEMALLOC
    ),
    Setting("active-defrag-threshold-upper", Int(0, 1000), 100, "Percentage of waste for full effort.", noop=_JEMALLOC),
    Setting("active-defrag-cycle-min", Int(1, 99), 1, "Least effort.", noop=_JEMALLOC),
    Setting("active-defrag-cycle-max", Int(1, 99), 25, "Most effort.", noop=_JEMALLOC),
    Setting("active-defrag-max-scan-fields", Int(1, _I64), 1000, "Fields looked at in one turn.", noop=_JEMALLOC),
    Setting("jemalloc-bg-thread", Bool(), _YES, "Background threads of jemalloc.", noop=_JEMALLOC),
)

_section(
    "Keyspace",
    Setting("databases", Int(1, 2**31 - 1), 16, "Number of databases.", fixed=True),
    Setting("hz", Int(), 10, "How often background work runs in a second, 1 to 500."),
    Setting("dynamic-hz", Bool(), _YES, "Run it more often with many clients."),
    Setting("activerehashing", Bool(), _YES, "Use idle time to grow and shrink the table."),
    Setting("active-expire-effort", Int(1, 10), 1, "Effort of looking for expired keys."),
    Setting("notify-keyspace-events", Events(), "", "Which changes are published, by Redis' letters; empty for none."),
    Setting(
        "hash-max-listpack-entries",
        Int(0, _I64),
        512,
        "Fields of a compact hash.",
        aliases=("hash-max-ziplist-entries",),
    ),
    Setting(
        "hash-max-listpack-value", Memory(0), 64, "Longest field or value there.", aliases=("hash-max-ziplist-value",)
    ),
    Setting(
        "list-max-listpack-size",
        Int(-(2**31)),
        -2,
        "Elements in one node of a list, or its size: -1 4 kb, -2 8 kb, -3 16 kb, -4 32 kb, -5 64 kb.",
        aliases=("list-max-ziplist-size",),
    ),
    Setting(
        "list-compress-depth", Int(), 0, "Nodes at each end of a list that are never compressed; 0 compresses none."
    ),
    Setting("set-max-intset-entries", Int(0, _I64), 512, "Members of a compact set of integers."),
    Setting("set-max-listpack-entries", Int(0, _I64), 128, "Members of a compact set."),
    Setting("set-max-listpack-value", Int(0, _I64), 64, "Longest member there."),
    Setting(
        "zset-max-listpack-entries",
        Int(0, _I64),
        128,
        "Members of a compact sorted set.",
        aliases=("zset-max-ziplist-entries",),
    ),
    Setting("zset-max-listpack-value", Memory(0), 64, "Longest member there.", aliases=("zset-max-ziplist-value",)),
    Setting("hll-sparse-max-bytes", Memory(0), 3000, "Largest sparse HyperLogLog."),
    Setting("stream-node-max-bytes", Memory(0), 4096, "Size of one node of a stream; 0 for no limit."),
    Setting("stream-node-max-entries", Int(0, _I64), 100, "Entries of one node of a stream; 0 for no limit."),
    Setting(
        "propagation-error-behavior",
        Enum(names=("ignore", "panic", "panic-on-replicas")),
        "ignore",
        "What a replica does with a command that fails.",
    ),
)

_section(
    "Snapshots",
    Setting(
        "save",
        Save(),
        [[3600, 1], [300, 100], [60, 10000]],
        'Save when so many seconds passed with so many changes, pair after pair. save "" saves never.',
        apply="save",
    ),
    Setting("dbfilename", Bare(), "dump.rdb", "Name of the snapshot.", protected=True),
    Setting(
        "dir",
        Folder(),
        "./",
        "Folder of all data files; one server at a time uses it.",
        protected=True,
        not_loading=True,
        apply="dir",
    ),
    Setting("stop-writes-on-bgsave-error", Bool(), _YES, "Refuse writes after a save has failed."),
    Setting("rdbcompression", Bool(), _YES, "Compress strings in the snapshot."),
    Setting("rdbchecksum", Bool(), _YES, "End the snapshot with a checksum.", fixed=True),
    Setting("rdb-del-sync-files", Bool(), _NO, "Delete snapshots that replication made."),
    Setting("rdb-save-incremental-fsync", Bool(), _YES, "fsync the snapshot while it is written."),
    Setting(
        "sanitize-dump-payload",
        Enum(names=("no", "yes", "clients")),
        "no",
        "Accepted: values of RESTORE and snapshots are always checked in full, whoever sends them.",
    ),
    Setting(
        "gather-us",
        Int(0, 1000),
        160,
        "Microseconds a worker with many busy clients may wait for more of them before it serves those that are ready; 0: never.",
    ),
    Setting(
        "snapshot-preimage-memory",
        Memory(1 << 20),
        256 << 20,
        "Memory for blocks that change during a snapshot; beyond it they go to an unlinked file in dir.",
    ),
    Setting("rdb-key-save-delay", Int(-(2**31)), 0, "Microseconds to wait after each key (for tests).", hidden=True),
    Setting("key-load-delay", Int(-(2**31)), 0, "Microseconds to wait after each key (for tests).", hidden=True),
    Setting(
        "loading-process-events-interval-bytes",
        Int(1024),
        2 << 20,
        "Bytes loaded between events.",
        hidden=True,
        noop="loading does not hold the event loop",
    ),
)

_section(
    "Append-only file",
    Setting("appendonly", Bool(), _NO, "Log every write to a file.", not_loading=True, apply="appendonly"),
    Setting("appendfilename", Bare(), "appendonly.aof", "Its base name.", fixed=True),
    Setting("appenddirname", Bare(), "appendonlydir", "Its folder, inside dir.", fixed=True),
    Setting(
        "appendfsync",
        Enum(names=("everysec", "always", "no"), codes=(2, 1, 0)),
        "everysec",
        "When it is forced to the disk: always, everysec, no.",
    ),
    Setting("no-appendfsync-on-rewrite", Bool(), _NO, "Do not force it while saving."),
    Setting("auto-aof-rewrite-percentage", Int(), 100, "Rewrite when it has grown so much; 0 never.", apply="save"),
    Setting("auto-aof-rewrite-min-size", Memory(0), 64 << 20, "Do not rewrite below this size.", apply="save"),
    Setting("aof-load-truncated", Bool(), _YES, "Load a log whose end is torn off."),
    Setting("aof-use-rdb-preamble", Bool(), _YES, "Write the base of the log as a snapshot."),
    Setting("aof-timestamp-enabled", Bool(), _NO, "Note the time in the log, for recovery to a point in time."),
    Setting("aof-rewrite-incremental-fsync", Bool(), _YES, "fsync the base while it is written."),
    Setting("aof-disable-auto-gc", Bool(), _NO, "Keep files of the log that are no longer needed."),
)

_section(
    "Backups",
    Setting(
        "backup-place",
        Str(),
        "",
        "Folder or URL (such as s3://bucket/path, with the extra s3) of this server's own backups; a relative folder is inside dir. "
        "Credentials come from the environment, as the file system's library reads them. `shoal backup` uses it, too.",
        protected=True,
        ours=True,
        apply="backup",
    ),
    Setting(
        "backup-schedule",
        Cron(),
        "",
        "When the server makes a backup there by itself: a cron expression in local time, such as `5 * * * *`, or @hourly, @daily, "
        "@weekly, @monthly. A process of its own does it; a failure is logged, shown in INFO and tried again after five minutes.",
        ours=True,
        apply="backup",
    ),
    Setting(
        "backup-keep",
        Keep(),
        [],
        "Which backups stay after each scheduled one: the newest of each hour, day, week or month, so many back, as in "
        "`hourly 48 daily 30`; the last one always. Empty keeps all.",
        protected=True,
        ours=True,
    ),
)

_section(
    "Shutdown",
    Setting("shutdown-timeout", Int(), 10, "Seconds to wait for replicas when shutting down."),
    Setting(
        "shutdown-on-sigint",
        EnumSet(names=ON_SIGNAL),
        ["default"],
        "What SIGINT does: default, save, nosave, now, force.",
    ),
    Setting("shutdown-on-sigterm", EnumSet(names=ON_SIGNAL), ["default"], "What SIGTERM does."),
)

_section(
    "Replication",
    Setting("replicaof", HostPort(), "", "Be a replica of host and port.", aliases=("slaveof",), fixed=True),
    Setting("masterauth", Str(), "", "Password for the primary.", secret=True),
    Setting("masteruser", Str(), "", "User for the primary."),
    Setting(
        "replica-serve-stale-data",
        Bool(),
        _YES,
        "Answer while not in step with the primary.",
        aliases=("slave-serve-stale-data",),
    ),
    Setting(
        "replica-read-only", Bool(), _YES, "Refuse writes from clients on a replica.", aliases=("slave-read-only",)
    ),
    Setting(
        "replica-ignore-maxmemory", Bool(), _YES, "Leave eviction to the primary.", aliases=("slave-ignore-maxmemory",)
    ),
    Setting("replica-ignore-disk-write-errors", Bool(), _NO, "Go on when a replica's disk fails."),
    Setting(
        "replica-lazy-flush", Bool(), _NO, "Free the old dataset in the background.", aliases=("slave-lazy-flush",)
    ),
    Setting("replica-priority", Int(), 100, "For Sentinel's choice; 0 never.", aliases=("slave-priority",)),
    Setting("replica-announced", Bool(), _YES, "Let Sentinel show this replica."),
    Setting("replica-announce-ip", Str(), "", "Address to announce.", aliases=("slave-announce-ip",)),
    Setting("replica-announce-port", Int(0, 65535), 0, "Port to announce.", aliases=("slave-announce-port",)),
    Setting("repl-backlog-size", Memory(1), 1 << 20, "Stream kept for replicas that come back."),
    Setting("repl-backlog-ttl", Int(0, _I64), 3600, "Seconds to keep it without replicas; 0 for ever."),
    Setting("repl-timeout", Int(1), 60, "Seconds of silence that end a replication link."),
    Setting("repl-ping-replica-period", Int(1), 10, "Seconds between pings.", aliases=("repl-ping-slave-period",)),
    Setting("repl-diskless-sync", Bool(), _YES, "Send snapshots without a file."),
    Setting("repl-diskless-sync-delay", Int(), 5, "Seconds to wait for more replicas."),
    Setting("repl-diskless-sync-max-replicas", Int(), 0, "Replicas that end the wait."),
    Setting(
        "repl-diskless-load",
        Enum(names=("disabled", "on-empty-db", "swapdb")),
        "disabled",
        "Load without a file.",
    ),
    Setting("repl-disable-tcp-nodelay", Bool(), _NO, "Fewer, larger packets to replicas."),
    Setting(
        "min-replicas-to-write",
        Int(),
        0,
        "Refuse writes with fewer replicas in step.",
        aliases=("min-slaves-to-write",),
    ),
    Setting(
        "min-replicas-max-lag",
        Int(),
        10,
        "Seconds of delay that still count as in step.",
        aliases=("min-slaves-max-lag",),
    ),
)

_section(
    "Cluster",
    Setting("cluster-enabled", Bool(), _NO, "Cluster mode.", fixed=True, noop=_CLUSTER),
    Setting("cluster-config-file", Str(), "nodes.conf", "Its state.", fixed=True, noop=_CLUSTER),
    Setting("cluster-port", Int(0, 65535), 0, "Port of the bus.", fixed=True, noop=_CLUSTER),
    Setting("cluster-node-timeout", Int(0, _I64), 15000, "Milliseconds until a node counts as failing.", noop=_CLUSTER),
    Setting("cluster-announce-ip", Str(), "", "Address to announce.", noop=_CLUSTER),
    Setting("cluster-announce-hostname", Str(), "", "Host name to announce.", noop=_CLUSTER),
    Setting("cluster-announce-human-nodename", Str(), "", "Name to announce.", noop=_CLUSTER),
    Setting("cluster-announce-port", Int(0, 65535), 0, "Port to announce.", noop=_CLUSTER),
    Setting("cluster-announce-tls-port", Int(0, 65535), 0, "TLS port to announce.", noop=_CLUSTER),
    Setting("cluster-announce-bus-port", Int(0, 65535), 0, "Bus port to announce.", noop=_CLUSTER),
    Setting(
        "cluster-preferred-endpoint-type",
        Enum(names=("ip", "hostname", "unknown-endpoint")),
        "ip",
        "What clients are told.",
        noop=_CLUSTER,
    ),
    Setting("cluster-migration-barrier", Int(), 1, "Replicas that stay.", noop=_CLUSTER),
    Setting("cluster-allow-replica-migration", Bool(), _YES, "Let replicas move.", noop=_CLUSTER),
    Setting(
        "cluster-replica-validity-factor",
        Int(),
        10,
        "Age of data for failover.",
        aliases=("cluster-slave-validity-factor",),
        noop=_CLUSTER,
    ),
    Setting(
        "cluster-replica-no-failover",
        Bool(),
        _NO,
        "No failover here.",
        aliases=("cluster-slave-no-failover",),
        noop=_CLUSTER,
    ),
    Setting("cluster-require-full-coverage", Bool(), _YES, "Stop when a slot is not served.", noop=_CLUSTER),
    Setting("cluster-allow-reads-when-down", Bool(), _NO, "Read when down.", noop=_CLUSTER),
    Setting("cluster-allow-pubsubshard-when-down", Bool(), _YES, "Publish when down.", noop=_CLUSTER),
    Setting("cluster-link-sendbuf-limit", Memory(0), 0, "Memory of a link.", noop=_CLUSTER),
)

_section(
    "Observation",
    Setting(
        "slowlog-log-slower-than",
        Int(-1, _I64),
        10000,
        "Log commands slower than so many microseconds; -1 none, 0 all.",
    ),
    Setting("slowlog-max-len", Int(0, _I64), 128, "Entries of the slow log."),
    Setting("latency-monitor-threshold", Int(0, _I64), 0, "Record events slower than so many milliseconds; 0 none."),
    Setting("latency-tracking", Bool(), _YES, "Keep a histogram for each command."),
    Setting(
        "latency-tracking-info-percentiles",
        Percentiles(),
        [50.0, 99.0, 99.9],
        "Percentiles that INFO latencystats shows.",
    ),
    Setting("watchdog-period", Int(), 0, "Software watchdog.", hidden=True, noop="the supervisor watches the workers"),
)

BY_NAME: dict[str, Setting] = {row.name: row for row in ROWS}
"""Rows by their own names only."""

LOOKUP: dict[str, Setting] = {name: row for row in ROWS for name in (row.name, *row.aliases)}
"""Rows by names and aliases."""

DEPRECATED = frozenset({"list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands", "no-value"})
"""Directives that Redis still accepts and ignores."""


def defaults() -> dict[str, Any]:
    """A fresh set of values."""
    return {row.name: row.default for row in ROWS}


def numbers(values: dict[str, Any]) -> dict[str, int]:
    """Everything of `values` that could live in the segment's settings array; the engine picks what it has rows for."""
    found: dict[str, int] = {}
    for row in ROWS:
        if row.name in values:
            found.update(row.kind.numbers(row.name, values[row.name]))
    found["hz"] = min(max(found.get("hz", 10), 1), 500)
    return found


def sample(rows: Iterable[Setting] = ROWS) -> str:
    """The text of shoal.conf."""
    out = [
        "# Shoal's configuration, in the grammar of redis.conf; every line here shows the default.",
        "# Written by `make conf` from server/settings.py: change a row there, not this file.",
        "#",
        "#   shoal-server shoal.conf --port 7000 --workers 4",
        "#",
        "# Sizes: 1k is 1000 bytes, 1kb is 1024, likewise m, mb, g, gb. `include /path/*.conf` reads more files.",
        "# CONFIG SET changes a setting at run time unless it is marked (fixed); CONFIG REWRITE keeps such changes here.",
    ]
    section = ""
    for row in rows:
        if row.hidden:
            continue
        if row.section != section:
            section = row.section
            out += ["", "#" * 80, f"# {section}"]
        marks = "".join([" (fixed)" if row.fixed else "", " (protected)" if row.protected else ""])
        text = row.doc + marks
        if row.noop:
            text += f" Accepted, without effect: {row.noop}."
        out.append("")
        out += [f"# {line}" for line in textwrap.wrap(text, 100)]
        default = "" if row.name == "workers" else row.default
        lines = ["workers 2"] if row.name == "workers" else row.kind.lines(row.name, default)
        out += [f"# {line}" for line in lines or [f'{row.name} ""']]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    print(sample(), end="")
