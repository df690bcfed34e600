"""Random transactions over four connections, to Shoal with two workers and to redis-server: every reply must be the same.

Nearly every step has to do with MULTI, WATCH or with what touches watched keys: writes by others, flushes, swapped and selected databases,
keys whose time is over. SHOAL_DIFFERENTIAL_EXAMPLES sets how many examples are run.
"""

from __future__ import annotations

import os
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire import Wire

EXAMPLES = int(os.environ.get("SHOAL_DIFFERENTIAL_EXAMPLES", "200"))
CONNECTIONS = (2, 3, 2, 2)
"""Protocol of each."""

Command = tuple[str, ...]
OVER = "key whose time is over"

key = st.sampled_from(["a", "b", "c", "d"])
database = st.sampled_from(["0", "0", "1", "2"])


def call(name: str, *args: st.SearchStrategy[str]) -> st.SearchStrategy[Command]:
    return st.tuples(*args).map(lambda parts: (*name.split(), *parts))


commands = st.one_of(
    call("MULTI"), call("MULTI"), call("EXEC"), call("EXEC"), call("EXEC"), call("DISCARD"), call("UNWATCH"), call("RESET"),
    call("WATCH", key), call("WATCH", key), call("WATCH", key, key), call("WATCH"), call("EXEC x"), call("NOSUCH"), call("GET"),
    call("SET", key, st.sampled_from(["1", "2", "text"])), call("GET", key), call("INCR", key), call("APPEND", key, key),
    call("DEL", key), call("DEL", key, key), call("RENAME", key, key), call("COPY", key, key), call("MOVE", key, database),
    call("MSET", key, key, key, key), call("MGET", key, key), call("EXISTS", key, key), call("GETDEL", key), call("TYPE", key),
    call("LPUSH", key, key), call("LPOP", key), call("HSET", key, key, key), call("SADD", key, key), call("SMOVE", key, key, key),
    call("SELECT", database), call("SWAPDB", database, database), call("FLUSHDB"), call("FLUSHALL"), call("DBSIZE"),
    call("EXPIRE", key, st.sampled_from(["100", "0", "-1"])), call("PERSIST", key), call("TOUCH", key), call("PING"),
    call("SETRANGE", key, st.just("0"), st.just("")), call("SETRANGE", key, st.just("1"), st.just("x")),
    key.map(lambda k: (OVER, k)),
)  # fmt: skip
steps = st.lists(st.tuples(st.integers(0, len(CONNECTIONS) - 1), commands), min_size=1, max_size=40)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=steps)
def test_every_reply_is_the_same(pair: tuple[int, int], plan: list[tuple[int, Command]]) -> None:
    ours, theirs = ([Wire(port, resp, timeout=20) for resp in CONNECTIONS] for port in pair)
    done: list[tuple[int, Command]] = []

    def both(which: int, *command: str) -> None:
        done.append((which, command))
        ours[which].send(*command)
        theirs[which].send(*command)
        assert ours[which].read() == theirs[which].read(), done
        if command[0] == "EXEC":
            time.sleep(0.003 if any(name == OVER for _, (name, *_rest) in plan) else 0)  # a queued PEXPIRE began just now

    try:
        for side in (ours, theirs):
            side[0]("FLUSHALL")
            side[0]("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        for which, command in plan:
            if command[0] != OVER:
                both(which, *command)
                continue
            both(which, "SET", command[1], "over")
            both(which, "PEXPIRE", command[1], "1")
            time.sleep(0.003)
        for which in range(len(CONNECTIONS)):
            both(which, "EXEC")
        for db in ("0", "1", "2"):
            both(0, "SELECT", db)
            both(0, "EXISTS", "a", "b", "c", "d")
            both(0, "MGET", "a", "b", "c", "d")
        both(0, "DEBUG", "DIGEST")
    finally:
        for wire in (*ours, *theirs):
            wire.close()
