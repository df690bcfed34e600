"""Run the load test: a server of its own unless one is named, locust, a report, an exit status.

    python loadtest/run.py [--ui] [--seconds 30] [--users 8] [--workers N] [--server HOST:PORT] [--report FILE]

Thresholds and sizes: loadtest/options.py.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
START_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def own_server(workers: int) -> Iterator[tuple[str, int]]:
    """A server for this run alone; its log is shown when it does not start."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="shoal-load-") as folder:
        log = Path(folder, "log")
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--logfile", str(log)]
        options += ["--workers", str(workers)] if workers else []
        server = subprocess.Popen([sys.executable, "-m", "shoal", *options])
        try:
            deadline = time.monotonic() + START_SECONDS
            while not log.exists() or "Ready to accept connections" not in log.read_text():
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the server did not start:\n{log.read_text() if log.exists() else ''}")
                time.sleep(0.05)
            yield "127.0.0.1", port
        finally:
            server.terminate()
            server.wait(20)


def run_locust(host: str, port: int, options: argparse.Namespace) -> int:
    report = Path(options.report)
    report.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "SHOAL_LOAD_HOST": host, "SHOAL_LOAD_PORT": str(port)}
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest/locustfile.py"), "-u", str(options.users)]
    command += ["-r", str(options.users)]
    if options.ui:
        print("locust's page: http://127.0.0.1:8089", flush=True)
        command += ["--web-host", "127.0.0.1", "--autostart"]
    else:
        command += ["--headless", "--only-summary", "-t", f"{options.seconds}s", "--html", str(report)]
    status = subprocess.run(command, env=environment, cwd=ROOT).returncode
    if not options.ui:
        print(f"report: {report}")
    return status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ui", action="store_true", help="locust's web page instead of a headless run")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--workers", type=int, default=0, help="of the server; default: one for each core")
    parser.add_argument("--server", default="", metavar="HOST:PORT", help="test this one instead of starting one")
    parser.add_argument("--report", default=str(ROOT / "build/loadtest/report.html"))
    options = parser.parse_args()
    if options.server:
        host, _, port = options.server.rpartition(":")
        return run_locust(host or "127.0.0.1", int(port), options)
    with own_server(options.workers) as (host, port):
        return run_locust(host, port, options)


if __name__ == "__main__":
    sys.exit(main())
