"""Requests a second and the server's CPU time for each, by redis-benchmark."""

from __future__ import annotations

import csv
import statistics
import subprocess
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass

from loadtest.compare.client import Connection, encode
from loadtest.compare.report import Results
from loadtest.compare.servers import Server, Spec, running

SUMMARY = "requests/s and server CPU per request, redis-benchmark, 50 connections"


@dataclass(frozen=True, slots=True)
class Line:
    """One run of redis-benchmark."""

    arguments: str
    """{few} and {many}: numbers of requests, without and with pipelining."""
    fill: str = ""
    """What the keys hold first: a row of `_FILLS`."""


LINES = {
    "set": Line("-n {few} -d 64 -r 100000 -t set"),
    "get": Line("-n {few} -d 64 -r 100000 -t get"),
    "set-p16": Line("-n {many} -d 64 -r 100000 -P 16 -t set"),
    "get-p16": Line("-n {many} -d 64 -r 100000 -P 16 -t get"),
    "get-p64": Line("-n {many} -d 64 -r 100000 -P 64 -t get"),
    "incr-p16": Line("-n {many} -r 100000 -P 16 -t incr"),
    "lpush-p16": Line("-n {many} -d 64 -r 100000 -P 16 -t lpush"),
    "hset-p16": Line("-n {many} -d 64 -r 100000 -P 16 -t hset"),
    "zadd-p16": Line("-n {many} -d 64 -r 100000 -P 16 -t zadd"),
    "sadd-p16": Line("-n {many} -r 100000 -P 16 -t sadd"),
    "xadd-p16": Line("-n {few} -P 16 -r 100000 XADD stream:__rand_int__ * field value"),
    "lrange-p16": Line("-n {few} -P 16 -r 1000 LRANGE list:__rand_int__ 0 99", fill="lists"),
    "zrange-p16": Line("-n {few} -P 16 -r 1000 ZRANGE zset:__rand_int__ 0 9", fill="zsets"),
}


def _key(kind: str, number: int) -> str:
    """As redis-benchmark writes __rand_int__."""
    return f"{kind}:{number:012d}"


def _lists() -> list[bytes]:
    return [encode("RPUSH", _key("list", i), *(f"value:{j}" for j in range(100))) for i in range(1000)]


def _zsets() -> list[bytes]:
    pairs = [(j, f"member:{j}") for j in range(200)]
    return [encode("ZADD", _key("zset", i), *(x for pair in pairs for x in pair)) for i in range(1000)]


_FILLS = {"lists": _lists, "zsets": _zsets}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--lines", default=",".join(LINES), help="which of " + ", ".join(LINES))
    parser.add_argument("--few", type=int, default=200_000, help="requests without pipelining")
    parser.add_argument("--many", type=int, default=1_500_000, help="requests with pipelining")


def parse(output: str) -> tuple[float, float]:
    """Requests a second and the 99th percentile in ms, from redis-benchmark --csv."""
    rows = [row for row in csv.reader(output.splitlines()) if len(row) >= 7 and row[1] != "rps"]
    if not rows:
        raise RuntimeError(f"redis-benchmark measured nothing: {output!r}")
    return statistics.mean(float(row[1]) for row in rows), max(float(row[6]) for row in rows)


def measure(server: Server, line: Line, few: int, many: int) -> tuple[float, float, float]:
    """Requests/s, CPU microseconds of the server per request, p99 in ms."""
    if line.fill:
        with Connection(server.port) as connection:
            connection.pipeline(_FILLS[line.fill]())
    words = line.arguments.format(few=few, many=many).split()
    before = server.cpu_seconds()
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(server.port), "-c", "50", "--csv", *words]
    output = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout
    spent = server.cpu_seconds() - before
    rate, p99 = parse(output)
    return rate, spent / int(words[words.index("-n") + 1]) * 1e6, p99


def run(options: Namespace, specs: list[Spec]) -> Results:
    results = Results(("requests/s", "CPU us/request", "p99 ms"), judged="CPU us/request")
    for _ in range(options.rounds):
        for spec in specs:
            with running(spec) as server:
                for name in options.lines.split(","):
                    results.add(name, spec.name, measure(server, LINES[name], options.few, options.many))
    return results
