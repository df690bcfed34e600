"""Measure servers side by side: in turn, in one run, medians over rounds, the first one's ratio to the best of the others.

    python -m loadtest.compare throughput [--rounds 3] [--lines get-p16,set-p16] [NAME='COMMAND {port} {dir}' ...]
    python -m loadtest.compare saves --keys 1000000
    python -m loadtest.compare collections --rounds 1
    python -m loadtest.compare stalls --rounds 1
    python -m loadtest.compare durability --sync-ms 5 NAME='COMMAND {port} {dir} {fsync}' ...

Without servers: this one with one worker for each core, and the redis-server of the PATH. Run nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType

from loadtest.compare import collections, durability, saves, stalls, throughput
from loadtest.compare.servers import Spec

MEASUREMENTS: dict[str, ModuleType] = {
    "throughput": throughput,
    "saves": saves,
    "collections": collections,
    "stalls": stalls,
    "durability": durability,
}

_OPTIONS = "--bind 127.0.0.1 --port {port} --dir {dir}"
_DEFAULTS = {
    "throughput": "--save '' --appendonly no",
    "saves": "--save '' --appendonly no",
    "collections": "--save '' --appendonly no",
    "stalls": "--save '' --appendonly no",
    "durability": "--save '' --appendonly yes --appendfsync {fsync}",
}


def default_servers(measurement: str) -> list[Spec]:
    options = f"{_OPTIONS} {_DEFAULTS[measurement]}"
    return [Spec("shoal", f"{sys.executable} -m shoal {options}"), Spec("redis", f"redis-server {options}")]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="measurement", required=True)
    for name, module in MEASUREMENTS.items():
        command = commands.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        command.add_argument("--rounds", type=int, default=3)
        command.add_argument("--json", metavar="FILE", help="write the medians here")
        command.add_argument("--plot", metavar="FILE", help="draw them here (PNG, SVG or PDF)")
        command.add_argument("servers", nargs="*", metavar="NAME=COMMAND")
        module.arguments(command)
    options = parser.parse_args()
    specs = [Spec.parse(text) for text in options.servers] or default_servers(options.measurement)
    results = MEASUREMENTS[options.measurement].run(options, specs)
    print(results.table())
    if options.json:
        results.write_json(options.json)
    if options.plot:
        Path(options.plot).parent.mkdir(parents=True, exist_ok=True)
        results.plot(options.plot, f"{options.measurement}: median of {options.rounds}")


if __name__ == "__main__":
    main()
