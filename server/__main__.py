"""`shoal-server`, called exactly like redis-server: `shoal-server [redis.conf] [--option value ...] [-]`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shoal import REDIS_VERSION, __version__, configfile, handover, log
from shoal.errors import StartError

if TYPE_CHECKING:
    from shoal.supervisor import Supervisor

USAGE = """\
Usage: shoal-server [/path/to/redis.conf] [options] [-]
       shoal-server -               read the configuration from standard input
       shoal-server -v or --version
       shoal-server -h or --help

Options are the directives of redis.conf with two dashes before them, and override the file:
       shoal-server --port 7777 --workers 4
       shoal-server /etc/redis/redis.conf --loglevel verbose --save ""
       echo 'maxmemory 128mb' | shoal-server -

All directives with their defaults: shoal.conf. Administration: shoal --help.
"""

LOGO = r"""
        ><((('>            Shoal {shoal} (for clients: Redis {redis}) 64 bit
   ><>        ><((('>
       ><((('>             Port: {port}
  ><((('>      ><>         PID: {pid}
        ><((('>            Workers: {workers}
"""


def _information(args: list[str]) -> int | None:
    """Options that only print; the exit status, or None."""
    if args and args[0] in ("-v", "--version"):
        print(f"Redis server v={REDIS_VERSION} sha=00000000:0 malloc=shoal bits=64 build=0 shoal={__version__}")
        return 0
    if args and args[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if args and args[0] == "--test-memory":
        print("shoal-server does not test memory; use a tool made for that, such as memtester.", file=sys.stderr)
        return 1
    if args and args[0] == "--check-system":
        print("shoal-server does not fork to save, so there is nothing to check.")
        return 0
    if "--sentinel" in args:
        print("shoal-server is no Sentinel; run redis-sentinel beside it.", file=sys.stderr)
        return 1
    return None


def _daemonize(fds_to: str = os.devnull) -> None:
    """Go to the background: the parent ends, the child leads a session of its own and forgets the terminal."""
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(fds_to, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


def _write_pidfile(path: str) -> None:
    content = f"{os.getpid()}\n"
    try:
        with open(path.encode("latin-1"), "a+") as f:
            f.seek(0)
            if f.read() != content:  # after an upgrade in place it is ours already
                f.truncate(0)
                f.write(content)
    except OSError as e:
        log.warning(f"Failed to write PID file: {e.strerror}")


def _remove_pidfile(path: str) -> None:
    log.warning("Removing the pid file.")
    try:
        os.unlink(path.encode("latin-1"))
    except OSError:
        pass


def main() -> None:
    """Entry point."""
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Read the configuration, then be the supervisor until the end; the exit status."""
    status = _information(args)
    if status is not None:
        return status
    executable, started_in = os.path.abspath(sys.argv[0]), os.getcwd()  # before `dir` changes where we stand
    handed = handover.receive()
    try:
        call = configfile.command_line(args)
        loaded = configfile.load(call)
        configured, values = loaded.values, dict(loaded.values)
        if handed:
            handed.carry_over(values)
        log.configure(
            values["loglevel"],
            values["logfile"],
            values["syslog-enabled"],
            values["syslog-ident"],
            values["syslog-facility"],
        )
    except configfile.ConfigError as e:
        print(e.report(), file=sys.stderr, end="")
        return 1
    except configfile.ConfigOpenError as e:
        log.warning(str(e))
        return 1
    except OSError as e:
        print(f"Can't open the log file: {e.strerror}", file=sys.stderr)
        return 1
    if handed and not handed.pid:
        handover.answer(handed, values)
        return 0
    background = values["daemonize"] and values["supervised"] == "no"
    if background and not handed:
        _daemonize()

    def make(greet: Callable[[], None]) -> Supervisor:
        # Imported here: reading a bad configuration file must not need the engine.
        from shoal.config import Config
        from shoal.supervisor import Supervisor

        config = Config()
        config.values, config.configured, config.file = values, configured, call.file
        return Supervisor(config, executable, greet, started_in, loaded.standard_input, handed)

    return _serve(call, values, background, make)


def _greet(values: dict[str, Any]) -> None:
    """Once the sockets listen: whoever waits for our PID in the log may connect then."""
    words = {"shoal": __version__, "redis": REDIS_VERSION, "port": values["port"], "pid": os.getpid(), "workers": values["workers"]}
    if values["always-show-logo"] or (log.to_standard_output() and os.isatty(1)):
        log.raw(LOGO.format(**words) + "\n")
    log.notice("Running mode=standalone, port={port}, workers={workers}. PID: {pid}".format(**words))


def _serve(
    call: configfile.Invocation, values: dict[str, Any], background: bool, make: Callable[[Callable[[], None]], Supervisor]
) -> int:
    pid = os.getpid()
    log.warning("oO0OoO0OoO0Oo Shoal is starting oO0OoO0OoO0Oo")
    log.warning(f"Redis version={REDIS_VERSION}, bits=64, commit=00000000, modified=0, pid={pid}, just started")
    if call.file or call.stdin or call.options:
        log.warning("Configuration loaded")
    else:
        log.warning(
            "Warning: no config file specified, using the default config. In order to specify a config file use "
            "shoal-server /path/to/redis.conf"
        )
    failure = ""
    pidfile = str(values["pidfile"]) or ("/var/run/shoal.pid" if background else "")
    started = False

    def greet() -> None:
        """Not before the sockets are ours: a server that is refused must not touch the pid file of the one that runs."""
        nonlocal started
        started = True
        if pidfile:
            _write_pidfile(pidfile)
        _greet(values)

    try:
        supervisor = make(greet)
        status = supervisor.run()
        failure = supervisor.failure
        return status
    except StartError as e:
        log.warning(str(e))
        return 1
    finally:
        if pidfile and started and os.getpid() == pid:
            _remove_pidfile(pidfile)
        if failure:
            log.warning(failure)  # the last words: why


if __name__ == "__main__":
    main()
