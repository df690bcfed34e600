"""`shoal`, the administrator's tool: `shoal status`, `shoal segments`.

Talks to a running server over the Redis protocol, as any client; needs nothing of the engine.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
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


def segments(remove: bool) -> int:
    """Segments in shared memory, and whether a server has them."""
    from shoal.segment import SHM, all_segments

    for found in all_segments():
        removed = ""
        if remove and not found.in_use:
            os.unlink(os.path.join(SHM, found.name))
            removed = ", removed"
        print(f"{found.name}  {found.bytes >> 20}M  {'in use' if found.in_use else 'left by a server that is gone'}{removed}")
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
    of_segments = commands.add_parser("segments", help="shared memory segments of this machine")
    of_segments.add_argument("--remove", action="store_true", help="remove those that no server has (their data is lost)")
    return parser


def main() -> None:
    """Entry point."""
    options = _parser().parse_args()
    try:
        if options.command == "segments":
            sys.exit(segments(options.remove))
        connection = Connection(options.host, options.port, options.socket, options.password)
        while True:
            code = status(connection, options.json)
            if not options.watch:
                sys.exit(code)
            time.sleep(options.watch)
    except Failure as e:
        print(f"shoal: {e}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
