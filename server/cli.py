"""`shoal`, the administrator's tool: status, memory, check, backup, backups, restore.

Reads the command line and hands over to shoal.admin and shoal.persist, imported when they are needed. Talks to a running server over the
Redis protocol, as any client; `check`, `restore` and `memory` need none.
"""

from __future__ import annotations

import argparse
import os
import sys

from shoal.admin.connection import Connection, Failure


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
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code < 0:
            print(f"{name}: NOT SOUND: so damaged that whoever looks at it dies by signal {-code}", flush=True)
        status |= code != 0
    return int(status)


def _check_one(name: str) -> int:
    from shoal.engine import EngineError
    from shoal.persist import check as checks
    from shoal.persist.manifest import ManifestError

    try:
        print(f"{name}: {checks.check(name)}", flush=True)
    except (EngineError, ManifestError) as e:
        print(f"{name}: NOT SOUND: {e}", flush=True)
        return 1
    except OSError as e:
        print(f"{name}: cannot be read: {e.strerror or e}", flush=True)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shoal", description="Administer a Shoal server.")
    parser.add_argument("-H", "--host", default="127.0.0.1")
    parser.add_argument("-p", "--port", type=int, default=6379)
    parser.add_argument("-s", "--socket", default="", help="Unix socket instead of host and port")
    parser.add_argument("-a", "--password", default=os.environ.get("REDISCLI_AUTH", ""))
    commands = parser.add_subparsers(dest="command", required=True)
    of_status = commands.add_parser("status", help="processes, deaths, clients, operations, memory, what is running")
    of_status.add_argument("--json", action="store_true")
    of_status.add_argument("--watch", type=float, nargs="?", const=1.0, metavar="SECONDS", help="again and again; each second by default")
    of_memory = commands.add_parser("memory", help="shared memory segments of this machine")
    of_memory.add_argument("what", choices=("list", "drop"), help="drop: the data in them is lost")
    of_memory.add_argument("names", nargs="*")
    of_memory.add_argument("--all", action="store_true", help="all that no server has")
    of_check = commands.add_parser("check", help="look whether files of a server and left segments are sound")
    of_check.add_argument("names", nargs="+", help="snapshots, data folders, append-only files, segments of `shoal memory list`")
    of_backup = commands.add_parser("backup", help="a consistent copy of the dataset, while the server goes on")
    of_backup.add_argument("place", nargs="?", default="", help="a folder or URL (s3://bucket/path); else backup-place")
    of_backups = commands.add_parser("backups", help="list, verify or prune backups")
    of_backups.add_argument("what", choices=("list", "verify", "prune"))
    of_backups.add_argument("place")
    of_backups.add_argument("--keep", default="hourly 48 daily 30", help="prune: which stay, in the words of the setting backup-keep")
    of_backups.add_argument("--dry-run", action="store_true", help="prune: only say what would go")
    _restore_parser(commands.add_parser("restore", help="make a data folder from a backup, or from a log as it was at some moment"))
    return parser


def _restore_parser(parser: argparse.ArgumentParser) -> None:
    source = "a folder or URL of backups, one backup, or a data folder; else this folder"
    parser.add_argument("source", nargs="?", default=".", help=source)
    parser.add_argument("--into", default="restored", metavar="FOLDER", help="the data folder to make (./restored)")
    moment = "as it was then: '2026-01-31 12:00:00[.123]' in local time, or with Z or +01:00 behind it, or seconds since 1970"
    parser.add_argument("--to", default="", metavar="TIME", help=moment)
    parser.add_argument("--name", default="", help="one of `shoal backups list`; else the newest, or the one that has the time")
    parser.add_argument("--format", choices=("rdb", "aof"), default="", help="a snapshot, or an append-only file; else as the source")
    parser.add_argument("--force", action="store_true", help="also when files are in the way; they are kept as NAME.before")


def _run(o: argparse.Namespace) -> int:
    match o.command:
        case "memory":
            return memory(o.what, o.names, o.all)
        case "check":
            return check(o.names)
        case "status":
            return _status(o)
    from shoal.admin import backups

    match o.command, o.__dict__.get("what"):
        case "backups", "list":
            return backups.list_backups(o.place)
        case "backups", "verify":
            return backups.verify(o.place)
        case "backups", _:
            return backups.prune(o.place, o.keep, o.dry_run)
        case "restore", _:
            return _restore(o)
    return backups.backup(_connect(o), o.place)


def _connect(o: argparse.Namespace) -> Connection:
    return Connection(o.host, o.port, o.socket, o.password)


def _status(o: argparse.Namespace) -> int:
    from shoal.admin.status import status, watch

    if o.watch:
        return watch(lambda: _connect(o), o.watch, o.json)
    return status(_connect(o), o.json)


def _restore(o: argparse.Namespace) -> int:
    from shoal.admin.backups import restore_command
    from shoal.persist import moments
    from shoal.persist.restore import Wish

    try:
        to_ms = moments.parse(o.to) if o.to else 0
    except ValueError as e:
        raise Failure(str(e)) from None
    return restore_command(Wish(o.source, o.into, to_ms, o.name, o.format, o.force))


def main() -> None:
    """Entry point."""
    options = _parser().parse_args()
    try:
        sys.exit(_run(options))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:
        print(f"shoal: {_words(e)}", file=sys.stderr)
        sys.exit(2)


def _words(e: Exception) -> str:
    """What went wrong, for the user: known errors by their own words. Raises what is none of them: it is a bug of ours."""
    from shoal.engine import EngineError
    from shoal.persist.manifest import ManifestError
    from shoal.persist.place import BackupError

    if isinstance(e, OSError):
        return f"{e.filename or ''}: {e.strerror or e}".removeprefix(": ")
    if isinstance(e, (Failure, BackupError, ManifestError, EngineError)):
        return str(e)
    if (type(e).__module__.partition(".")[0]) in ("botocore", "aiobotocore", "s3fs", "fsspec", "aiohttp"):
        return f"{type(e).__name__}: {e}"
    raise e


if __name__ == "__main__":
    main()
