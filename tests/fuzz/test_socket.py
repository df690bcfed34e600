"""Garbage over the socket: no worker dies, nothing hangs, the dataset stays whole.

SHOAL_FUZZ_SECONDS says how long (default 6), SHOAL_FUZZ_SEED where to begin (default: another one each time; it is printed).
`make fuzz-socket` does it for minutes on a build with address and undefined-behaviour sanitizers.
"""

from __future__ import annotations

import os
import re
import time

from garbage import Fuzzer

from tests.conftest import ShoalServer, StartServer

SECONDS = float(os.environ.get("SHOAL_FUZZ_SECONDS", "6"))
SEED = int(os.environ.get("SHOAL_FUZZ_SEED", "0")) or time.time_ns() % 1_000_000_000
WRONG = re.compile(r"ended by signal|Sanitizer|runtime error:|Python command failed|Unexpected error|internal error")


def healthy(server: ShoalServer, seed: int) -> None:
    log = server.log()
    found = WRONG.search(log)
    assert not found, f"SHOAL_FUZZ_SEED={seed}:\n{log[found.start() - 500 : found.start() + 4000]}"
    client = server.client()
    assert client.ping()
    assert client.info("server")["worker_deaths"] == 0
    client.close()


def test_garbage(start_server: StartServer) -> None:
    server = start_server("--maxmemory", "200mb", "--proto-max-bulk-len", "1mb", "--save", "", "--timeout", "20")
    end = time.monotonic() + SECONDS
    seed = SEED
    while time.monotonic() < end:
        Fuzzer(seed).attack(server.port, 40)
        healthy(server, seed)
        seed += 1
    print(f"{seed - SEED} connections from SHOAL_FUZZ_SEED={SEED} on")
    client = server.client()
    assert len(client.execute_command("DEBUG", "DIGEST")) == 40
    client.flushall()
    assert client.dbsize() == 0
    assert server.stop() == 0
    assert not WRONG.search(server.log()), server.log()[-4000:]
