"""Durable writes a second, and what readers beside them wait; with a disk as slow as wished."""

from __future__ import annotations

import subprocess
import tempfile
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from loadtest.compare.report import Results
from loadtest.compare.servers import Server, Spec, running
from loadtest.compare.throughput import parse

SUMMARY = "appendfsync always and everysec (put {fsync} into the commands): SETs/s, and GETs beside writers"
FAULTDISK = Path(__file__).parents[2] / "tests/crash/faultdisk.c"


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--sync-ms", type=int, default=0, help="every fsync takes so much longer")


def _benchmark(server: Server, words: str) -> tuple[float, float]:
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(server.port), "--csv", "-r", "100000", "-d", "64"]
    return parse(subprocess.run([*command, *words.split()], capture_output=True, text=True, timeout=600).stdout)


def _beside_writers(server: Server, gets: int) -> tuple[float, float]:
    writers = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(server.port), "-q", "-c", "8", "-n", "100000000"]
    with subprocess.Popen([*writers, "-r", "100000", "-d", "64", "-t", "set"], stdout=subprocess.DEVNULL) as load:
        try:
            time.sleep(0.5)
            return _benchmark(server, f"-c 4 -n {gets} -t get")
        finally:
            load.kill()


def slow_disk(folder: str, sync_ms: int) -> dict[str, str]:
    """The environment of a server whose fsync takes longer."""
    if not sync_ms:
        return {}
    library, faults = Path(folder, "faultdisk.so"), Path(folder, "faults")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, FAULTDISK, "-ldl"], check=True)
    faults.write_bytes(f"call=sync ms={sync_ms}".encode().ljust(4096, b"\0"))
    return {"FAULTDISK": str(faults), "LD_PRELOAD": str(library)}


def run(options: Namespace, specs: list[Spec]) -> Results:
    results = Results(("requests/s", "p99 ms"), judged="requests/s")
    with tempfile.TemporaryDirectory() as folder:
        environment = slow_disk(folder, options.sync_ms)
        for _ in range(options.rounds):
            for fsync in ("always", "everysec"):
                slow = fsync == "always" and options.sync_ms
                sets, gets = (3000 if slow else 20000, 8000) if fsync == "always" else (150000, 40000)
                for spec in specs:
                    with running(spec, environment, fsync=fsync) as server:
                        results.add(f"{fsync}, set c50", spec.name, _benchmark(server, f"-c 50 -n {sets} -t set"))
                        many = f"-c 50 -n {sets * 8} -P 16 -t set"
                        results.add(f"{fsync}, set c50 -P 16", spec.name, _benchmark(server, many))
                        results.add(f"{fsync}, get beside writers", spec.name, _beside_writers(server, gets))
    return results
