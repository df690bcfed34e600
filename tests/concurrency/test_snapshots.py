"""A cut is one moment: what was written before it is in the file, what comes later is not, whatever the writers do meanwhile.

A base and the increments behind its LSN must give the dataset as it is in the end. The commands are such that an effect which is both in
the base and in an increment, or in neither, shows: counters, pushes, pops, lengths.
"""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from crowd import Crowd
from wire import Wire, pack

from tests.conftest import StartServer, wait_until

NAMES = 60
LONG = "x" * 3000


def some_command(r: random.Random) -> tuple[Any, ...]:
    n = r.randrange(NAMES)
    word = f"w{r.randrange(300)}"
    commands: tuple[tuple[Any, ...], ...] = (
        ("INCRBY", f"number:{n}", r.randrange(100)),
        ("APPEND", f"text:{n}", word * r.randrange(1, 30)),
        ("SETRANGE", f"text:{n}", r.randrange(3000), word),
        ("SET", f"text:{n}", LONG[: r.randrange(3000)]),
        ("SET", f"fleeting:{n}", word, "PX", r.randrange(1, 400)),
        ("SET", f"lasting:{n}", word, "EX", 1000),
        ("RPUSH", f"list:{n}", *(word + str(i) for i in range(r.randrange(1, 20)))),
        ("LPUSH", f"list:{n}", LONG[: r.randrange(3000)], word),
        ("LPOP", f"list:{n}", r.randrange(1, 15)),
        ("RPOP", f"list:{n}", r.randrange(1, 15)),
        ("LINSERT", f"list:{n}", "BEFORE", word, "inserted"),
        ("LTRIM", f"list:{n}", 0, 300),
        ("HINCRBY", f"hash:{n}", word, 3),
        ("HSET", f"hash:{n}", word, 7, f"long {word}", LONG[:100]),
        ("HDEL", f"hash:{n}", word, f"w{r.randrange(300)}"),
        ("SADD", f"set:{n}", *(f"m{r.randrange(2000)}" for _ in range(r.randrange(1, 20)))),
        ("SADD", f"ints:{n}", *(r.randrange(2000) for _ in range(r.randrange(1, 20)))),
        ("SPOP", f"set:{n}", r.randrange(1, 8)),
        ("SREM", f"ints:{n}", r.randrange(2000)),
        ("ZINCRBY", f"zset:{n}", r.randrange(10), f"m{r.randrange(1500)}"),
        ("ZADD", f"zset:{n}", *(x for _ in range(10) for x in (r.randrange(1000), f"m{r.randrange(1500)}"))),
        ("ZPOPMIN", f"zset:{n}", r.randrange(1, 8)),
        ("XADD", f"stream:{n}", "MAXLEN", "500", "*", "field", word, "more", LONG[: r.randrange(200)]),
        ("PFADD", f"hll:{n}", word),
        ("SETBIT", f"bits:{n}", r.randrange(20000), r.randrange(2)),
        ("RENAME", f"list:{n}", f"list:{r.randrange(NAMES)}"),
        ("COPY", f"zset:{n}", f"zset:{r.randrange(NAMES)}", "REPLACE"),
        ("DEL", f"hash:{n}"),
        ("UNLINK", f"zset:{n}"),
        ("SUNIONSTORE", f"set:{n}", f"set:{r.randrange(NAMES)}", f"set:{r.randrange(NAMES)}"),
        ("LMOVE", f"list:{n}", f"list:{r.randrange(NAMES)}", "LEFT", "RIGHT"),
        ("EXPIRE", f"hash:{n}", 1000),
        ("PERSIST", f"hash:{n}"),
    )
    return commands[r.randrange(len(commands))]


@pytest.mark.parametrize("workers", [2, 4])
def test_base_and_increments_are_the_dataset(start_server: StartServer, workers: int) -> None:
    server = start_server(
        "--workers", str(workers), "--appendonly", "yes", "--appendfsync", "no", "--save", "",
        "--snapshot-preimage-memory", "1mb", "--rdb-key-save-delay", "200",
        "--hash-max-listpack-entries", "32", "--set-max-intset-entries", "64", "--auto-aof-rewrite-percentage", "0",
    )  # fmt: skip
    client = server.client()
    crowd = Crowd(server.port)

    def writer(seed: int) -> Any:
        r = random.Random(seed)

        def work(wire: Wire) -> None:
            while not crowd.over.is_set():
                commands = [some_command(r) for _ in range(40)]
                if r.random() < 0.2:
                    commands = [("MULTI",), *commands, ("EXEC",)]
                wire.socket.sendall(b"".join(pack(*c) for c in commands))
                for _ in commands:
                    wire.read()

        return work

    for seed in range(4):
        crowd.run(writer(seed))
    time.sleep(0.5)
    for i in range(4):
        rewrites = client.info("persistence")["aof_rewrites"]
        client.execute_command("BGREWRITEAOF")
        if i == 2:
            client.execute_command("FLUSHALL")
        wait_until(lambda n=rewrites: client.info("persistence")["aof_rewrites"] > n, 60, "a rewrite")  # type: ignore[misc]
        assert client.info("persistence")["aof_last_bgrewrite_status"] == "ok"
    crowd.finish([])
    time.sleep(0.6)  # what is fleeting is over now
    for i in range(NAMES):
        client.get(f"fleeting:{i}")
    assert client.dbsize() > NAMES
    before = client.execute_command("DEBUG", "DIGEST")
    assert client.execute_command("DEBUG", "LOADAOF")
    assert client.execute_command("DEBUG", "DIGEST") == before
    # and a snapshot of the same, through a file
    assert client.execute_command("DEBUG", "RELOAD")
    assert client.execute_command("DEBUG", "DIGEST") == before
