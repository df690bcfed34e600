"""`shoal`, the administrator's tool: status, memory, check, backup, backups, restore.

Talks to a running server over the Redis protocol, as any client. Only `check` needs the engine, and no running server.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
from datetime import datetime, timezone
from typing import Any


class Failure(Exception):
    """What went wrong, for the user."""


class Connection:
    """A RESP2 client of few words."""

    def __init__(self, host: str, port: int, path: str, password: str) -> None:
        try:
            if path:
                self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self.sock.settimeout(10)
                self.sock.connect(path)
            else:
                self.sock = socket.create_connection((host, port), timeout=10)
        except OSError as e:
            raise Failure(f"Could not connect to {path or f'{host}:{port}'}: {e.strerror or e}") from None
        self.file = self.sock.makefile("rb")
        if password:
            self.call("AUTH", password)

    def call(self, *args: str) -> Any:
        parts = [a.encode("utf-8", "surrogateescape") for a in args]
        self.sock.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts))
        return self._read()

    def _read(self) -> Any:
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Failure("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Failure(rest.decode("utf-8", "replace"))
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2].decode("utf-8", "replace")
        if kind == b"*":
            return None if rest == b"-1" else [self._read() for _ in range(int(rest))]
        raise Failure(f"an answer that is no RESP: {line!r}")


def _info(connection: Connection) -> dict[str, str]:
    lines = str(connection.call("INFO", "everything")).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _duration(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    return (f"{days}d " if days else "") + f"{hours:02d}:{minutes:02d}:{rest:02d}"


def _workers(info: dict[str, str]) -> list[dict[str, Any]]:
    found = []
    for name, text in info.items():
        if name.startswith("worker") and name[6:].isdigit():
            fields = dict(part.split("=", 1) for part in text.split(","))
            found.append({"slot": int(name[6:]), **{k: int(v) for k, v in fields.items()}})
    return sorted(found, key=lambda w: int(w["slot"]))


def status(connection: Connection, as_json: bool) -> int:
    """Processes, deaths, clients, operations, memory. Exit status 1 when a worker is not serving."""
    info = _info(connection)
    keys = sum(
        int(text.split(",")[0].partition("=")[2])
        for name, text in info.items()
        if name.startswith("db") and text.startswith("keys=")
    )
    ready, wanted = int(info["workers_ready"]), int(info["workers"])
    report: dict[str, Any] = {
        "version": info["shoal_version"],
        "pid": int(info["process_id"]),
        "port": int(info["tcp_port"]),
        "uptime_seconds": int(info["uptime_in_seconds"]),
        "workers": _workers(info),
        "workers_ready": ready,
        "worker_deaths": int(info["worker_deaths"]),
        "clients": int(info["connected_clients"]),
        "operations_per_second": int(info["instantaneous_ops_per_sec"]),
        "commands": int(info["total_commands_processed"]),
        "keys": keys,
        "memory_used": int(info["used_memory"]),
        "memory_committed": int(info["segment_committed"]),
        "memory_private": int(info["processes_private_memory"]),
        "maxmemory": int(info["maxmemory"]),
    }
    if as_json:
        print(json.dumps(report, indent=2))
        return int(ready < wanted)
    print(f"Shoal {report['version']}, pid {report['pid']}, port {report['port']}, up {_duration(report['uptime_seconds'])}")
    print(f"workers   {ready} of {wanted} serving, {report['worker_deaths']} deaths")
    for worker in report["workers"]:
        print(f"          {worker['slot']}: pid {worker['pid']}, {worker['clients']} clients, {worker['births']} births")
    print(f"clients   {report['clients']}")
    print(f"commands  {report['commands']}, {report['operations_per_second']} per second now")
    print(f"keys      {keys}")
    limit = info["maxmemory_human"] if report["maxmemory"] else "none"
    committed, private = report["memory_committed"] >> 20, report["memory_private"] >> 20
    print(f"memory    {info['used_memory_human']} used, {committed}M shared, {private}M private, limit {limit}")
    return int(ready < wanted)


def memory(what: str, names: list[str], everything: bool) -> int:
    """Segments in shared memory, and whether a server has them; `drop` removes those that none has."""
    from shoal.segment import SHM, all_segments

    found = {s.name: s for s in all_segments()}
    if what == "list":
        for s in found.values():
            print(f"{s.name}  {s.bytes >> 20}M  {'in use' if s.in_use else 'left by a server that is gone'}")
        return 0
    chosen = [n for n, s in found.items() if not s.in_use] if everything else [n.lstrip("/") for n in names]
    if not chosen and not everything:
        raise Failure("which? Name segments of `shoal memory list`, or say --all")
    for name in chosen:
        if name not in found:
            raise Failure(f"there is no segment {name}")
        if found[name].in_use:
            raise Failure(f"a running server has {name}")
        os.unlink(os.path.join(SHM, name))
        print(f"{name} dropped")
    return 0


def check(names: list[str]) -> int:
    """Files and segments; exit status 1 when one is not sound."""
    status = 0
    for name in names:
        # A process for each: a mapped segment is for life.
        pid = os.fork()
        if pid == 0:
            os._exit(_check_one(name))
        status |= os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0
    return int(status)


def _check_one(name: str) -> int:
    from shoal.engine import EngineError
    from shoal.persist.check import check_rdb, check_segment

    try:
        of_segment = not os.path.exists(name) and os.path.exists(os.path.join("/dev/shm", name.lstrip("/")))
        print(f"{name}: {check_segment(name) if of_segment else check_rdb(name)}", flush=True)
    except (EngineError, OSError) as e:
        print(f"{name}: NOT SOUND: {e}", flush=True)
        return 1
    return 0


def backup(connection: Connection, url: str) -> int:
    """Save, wait until the file is there, copy it."""
    from shoal.persist.backup import Place, create

    place = Place(url)
    before = int(_info(connection)["rdb_saves"])
    connection.call("BGSAVE")
    while True:
        info = _info(connection)
        if info["rdb_bgsave_in_progress"] == "0" and int(info["rdb_saves"]) > before:
            break
        if info["rdb_bgsave_in_progress"] == "0" and info["rdb_last_bgsave_status"] != "ok":
            raise Failure("the server could not save; its log says why")
        time.sleep(0.05)
    folder = connection.call("CONFIG", "GET", "dir")[1]
    name = connection.call("CONFIG", "GET", "dbfilename")[1]
    keys = sum(int(v.split(",")[0].removeprefix("keys=")) for k, v in info.items() if k.startswith("db") and "keys=" in v)
    done = create(place, os.path.join(folder, name), keys, info["run_id"])
    print(f"{place.path(done.name)}  {done.bytes} bytes  sha256 {done.sha256}")
    return 0


def list_backups(what: str, url: str, hourly: int, daily: int, dry_run: bool) -> int:
    """Exit status 1 when `verify` finds a damaged one."""
    from shoal.persist import backup as b

    place = b.Place(url)
    found = b.backups(place)
    status = 0
    if what == "prune":
        for one in b.to_prune(found, hourly, daily, datetime.now(timezone.utc)):
            if not dry_run:
                b.remove(place, one)
            print(f"{one.name}  {'would be removed' if dry_run else 'removed'}")
        return 0
    for one in found:
        problem = b.verify(place, one) if what == "verify" else ""
        status |= bool(problem)
        print(f"{one.name}  {one.time}  {one.bytes} bytes  {one.keys} keys" + (f"  {problem or 'ok'}" if what == "verify" else ""))
    return int(status)


def restore(url: str, name: str, to: str, force: bool) -> int:
    """The last backup, or the one named."""
    from shoal.persist import backup as b

    place = b.Place(url)
    found = b.backups(place)
    chosen = next((one for one in reversed(found) if name in ("", one.name)), None)
    if chosen is None:
        raise Failure(f"there is no backup {name or 'at all'} in {url}")
    b.restore(place, chosen, to, force)
    print(f"{to} is the dataset of {chosen.time}: {chosen.keys} keys. Start the server in that folder.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shoal", description="Administer a Shoal server.")
    parser.add_argument("-H", "--host", default="127.0.0.1")
    parser.add_argument("-p", "--port", type=int, default=6379)
    parser.add_argument("-s", "--socket", default="", help="Unix socket instead of host and port")
    parser.add_argument("-a", "--password", default=os.environ.get("REDISCLI_AUTH", ""))
    commands = parser.add_subparsers(dest="command", required=True)
    of_status = commands.add_parser("status", help="processes, deaths, clients, operations, memory")
    of_status.add_argument("--json", action="store_true")
    of_status.add_argument("--watch", type=float, metavar="SECONDS", help="again and again")
    of_memory = commands.add_parser("memory", help="shared memory segments of this machine")
    of_memory.add_argument("what", choices=("list", "drop"), help="drop: the data in them is lost")
    of_memory.add_argument("names", nargs="*")
    of_memory.add_argument("--all", action="store_true", help="all that no server has")
    of_check = commands.add_parser("check", help="look whether snapshot files and left segments are sound")
    of_check.add_argument("names", nargs="+", help="files, or segments of `shoal memory list`")
    of_backup = commands.add_parser("backup", help="a consistent copy of the dataset, while the server goes on")
    of_backup.add_argument("place", help="a folder, or a URL such as s3://bucket/path")
    of_backups = commands.add_parser("backups", help="list, verify or prune backups")
    of_backups.add_argument("what", choices=("list", "verify", "prune"))
    of_backups.add_argument("place")
    of_backups.add_argument("--hourly", type=int, default=48, help="prune: keep the newest of each hour for so many hours")
    of_backups.add_argument("--daily", type=int, default=30, help="prune: keep the newest of each day for so many days")
    of_backups.add_argument("--dry-run", action="store_true")
    of_restore = commands.add_parser("restore", help="put a backup's snapshot where a server will load it")
    of_restore.add_argument("place")
    of_restore.add_argument("--name", default="", help="of `shoal backups list`; else the newest")
    of_restore.add_argument("--to", default="dump.rdb", help="the file to make")
    of_restore.add_argument("--force", action="store_true", help="also when it is there already; it is kept beside")
    return parser


def _run(o: argparse.Namespace) -> int:
    match o.command:
        case "memory":
            return memory(o.what, o.names, o.all)
        case "check":
            return check(o.names)
        case "backups":
            return list_backups(o.what, o.place, o.hourly, o.daily, o.dry_run)
        case "restore":
            return restore(o.place, o.name, o.to, o.force)
    connection = Connection(o.host, o.port, o.socket, o.password)
    if o.command == "backup":
        return backup(connection, o.place)
    while True:
        code = status(connection, o.json)
        if not o.watch:
            return code
        time.sleep(o.watch)


def main() -> None:
    """Entry point."""
    from shoal.persist.backup import BackupError

    options = _parser().parse_args()
    try:
        sys.exit(_run(options))
    except (Failure, BackupError) as e:
        print(f"shoal: {e}", file=sys.stderr)
        sys.exit(2)
    except OSError as e:
        print(f"shoal: {e.filename or ''}: {e.strerror or e}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
